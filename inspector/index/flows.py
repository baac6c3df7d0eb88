"""Flows: which packets belong to one TCP or UDP conversation, numbered as tshark numbers `tcp.stream` and `udp.stream`.

Everything is a column, and a batch of packets is entered at once: a scan, where every packet begins a flow, costs little more
than other packets. Endpoints are compared exactly: a hash of them could be made to collide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, SYN
from inspector.index.columns import Column
from inspector.index.entries import NO_SCALE, Entries, Transport
from inspector.index.grown import Numbers, Pairs
from inspector.index.names import TCP, UDP, Names

UNKNOWN, UNUSED = -1, -2  # window scales
EARLIEST, LATEST = -(1 << 63), (1 << 63) - 1
Int64s = npt.NDArray[np.int64]


class FlowTable:
    """The flows, as columns. Direction 0 is that of the first packet, or of the SYN where one was seen first.

    One thread enters packets; any may read.
    """

    ARRAYS = ("words", "starts", "name", "turned", "stream", "first", "bases", "seen", "shifts", "packets", "octets", "times")

    def __init__(self) -> None:
        self.names = Names()
        self._latest = Numbers("i4")  # by name: the last flow between these endpoints
        self._name = Numbers("i4")  # by flow: its endpoints in order
        self._turned = Numbers("u1")  # direction 0 is from the second of them to the first
        self._stream, self._first = Numbers("i4"), Numbers("u4")
        self._bases, self._seen, self._shifts = Pairs("u4"), Pairs("u1"), Pairs("i1")
        self._packets, self._octets = Pairs("u4"), Pairs("i8")
        self._times = Pairs("i8")  # of the first and the last packet
        self._count = 0  # flows of which every column is there
        self._streams = {TCP: 0, UDP: 0}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays, by the names of `ARRAYS`."""
        columns = {name: getattr(self, f"_{name}").values for name in self.ARRAYS[2:]}
        return {"words": self.names.words, "starts": self.names.starts, **columns}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> FlowTable:
        """The table that `arrays` was made of. Raises ValueError or LookupError where they do not belong together."""
        table = cls()
        table.names = Names(arrays["words"], arrays["starts"])
        for name in cls.ARRAYS[2:]:
            empty = getattr(table, f"_{name}")
            setattr(table, f"_{name}", type(empty)(empty.values.dtype.str, rows=arrays[name]))
        count, names = len(table._name), np.asarray(table._name)
        if {len(arrays[name]) for name in cls.ARRAYS[2:]} != {count} or not (names < len(table.names)).all():
            raise ValueError("columns of different lengths")
        table._latest.extend(-1, len(table.names))
        table._latest.values[names] = np.arange(count)
        table._count = count
        return table

    # --- what is known of a flow

    def __len__(self) -> int:
        return self._count

    def protocol(self, flow: int) -> int:
        return self.names[self._name[flow]][0]

    @property
    def protocols(self) -> npt.NDArray[np.uint8]:
        """The protocol of every flow."""
        return self.names.protocols(self._name.values[: self._count])

    def ends(self, flow: int) -> tuple[int, tuple[bytes, int], tuple[bytes, int]]:
        """Protocol, address and port of direction 0's sender and of its receiver."""
        protocol, *ends = self.names[self._name[flow]]
        return (protocol, ends[1], ends[0]) if self._turned[flow] else (protocol, ends[0], ends[1])

    def sport(self, flow: int) -> int:
        """The port of direction 0's sender."""
        return self.ends(flow)[1][1]

    def dport(self, flow: int) -> int:
        """The port of its receiver."""
        return self.ends(flow)[2][1]

    def addresses(self, flow: int) -> tuple[bytes, bytes]:
        """The addresses of direction 0's sender and receiver."""
        _, sender, receiver = self.ends(flow)
        return sender[0], receiver[0]

    def ports(self, first: int = 0) -> npt.NDArray[np.uint16]:
        """The ports of direction 0's sender and receiver, of all flows from `first` on."""
        pairs = self.names.ports(self._name.values[first : self._count])
        return np.where(self._turned.values[first : self._count, None] > 0, pairs[:, ::-1], pairs)

    def by_ends(self) -> Int64s:
        """All flows in the order of their senders' addresses, then of their receivers', then of the ports."""
        turned, ports = self._turned.values[: self._count], self.ports()
        columns: list[Column] = [*self.names.addresses(self._name.values[: self._count], turned), *ports.T]
        return np.lexsort(columns[::-1])

    @property
    def stream(self) -> Numbers:
        """tshark's number of the flow among those of its protocol."""
        return self._stream

    @property
    def first(self) -> Numbers:
        """The number of the first packet."""
        return self._first

    @property
    def first_ns(self) -> Int64s:
        """The time of each flow's earliest packet, in nanoseconds since 1970."""
        return self._times.values[: self._count, 0]

    @property
    def last_ns(self) -> Int64s:
        """The time of each flow's latest packet."""
        return self._times.values[: self._count, 1]

    @property
    def base_seq(self) -> Pairs:
        """The sequence number that tshark's relative numbers count from, by direction."""
        return self._bases

    @property
    def shift(self) -> Pairs:
        """The window scale that a direction's windows are shifted by; negative where none is known (-1) or used (-2)."""
        return self._shifts

    @property
    def packets(self) -> npt.NDArray[np.uint32]:
        """Packets by flow and direction."""
        return self._packets.values[: self._count]

    @property
    def octets(self) -> Int64s:
        """Bytes on the wire by flow and direction."""
        return self._octets.values[: self._count]

    def find(self, found: Transport, packet: int) -> tuple[int, int] | None:
        """The flow and direction of a transport of a packet that has been entered."""
        wanted, turned = found.name
        name, latest = self.names.find(wanted), self._latest.values
        if not 0 <= name < len(latest):
            return None
        flow = int(latest[name])
        if flow >= 0 and self._first[flow] > packet:
            own = np.flatnonzero(self._name.values == name)
            place = int(np.searchsorted(self._first.values[own], packet, "right")) - 1
            flow = int(own[place]) if place >= 0 else -1
        return None if flow < 0 else (flow, self._turned[flow] ^ turned)

    # --- entering

    def enter(self, found: Entries, first: int, sizes: Int64s, times: Int64s) -> tuple[Column, Column]:
        """The flows and directions of the headers of a batch; makes the flows that are new.

        first: the number of the batch's first packet; sizes, times: bytes on the wire and nanoseconds since 1970, by row.
        """
        self._latest.extend(-1, len(self.names) - len(self._latest))
        before = self._latest.values[found.names]
        since = self._beginnings(found, before)
        begins = np.flatnonzero(since == np.arange(len(since)))
        flows = np.concatenate([before, len(self) + np.arange(len(begins))])  # that may occur here
        own = np.where(since < 0, found.pair, len(before) + np.searchsorted(begins, since))
        flow = flows[own]
        self._make(found, begins, first)
        direction = self._turned.values[flow] ^ found.turned
        slot = 2 * own + direction
        self._settle_bases(found, slot, flows)
        self._settle_shifts(found, flow, direction)
        self._add_up(found, slot, flows, sizes, times)
        self._latest.values[found.names[found.pair[begins]]] = flow[begins]  # of several the last
        self._count += len(begins)
        return flow, direction

    def _beginnings(self, found: Entries, before: Column) -> Int64s:
        """Where the flow of every entry begins: the entry that begins it, -1 where it was there before.

        An unknown pair's first packet begins one; so does a SYN whose number is not what its side's numbers count from."""
        size = len(found.row)
        place = np.full(len(before), -1)
        new = before[found.pair] < 0
        place[found.pair[new][::-1]] = np.flatnonzero(new)[::-1]
        since = place[found.pair]
        opening = found.tcp & (found.flags & (SYN | ACK) == SYN) & (since != np.arange(size))
        if not opening.any():
            return since
        again = np.zeros(len(before), bool)
        again[found.pair[opening]] = True
        rows = np.flatnonzero(again[found.pair])
        bases: dict[int, list[int | None]] = {}  # by pair: the bases of the two sides, None where there is none yet
        began: dict[int, int] = {}
        columns = (found.pair, found.turned, found.seq, found.ack, found.flags, opening)
        for at, (pair, side, seq, ack, flags, opens) in zip(
            rows.tolist(), zip(*(column[rows].tolist() for column in columns), strict=True), strict=True
        ):
            known = bases.get(pair)
            if known is None:
                known = bases[pair] = self._known_bases(int(before[pair]))
                began[pair] = int(place[pair])
            if opens and known[side] is not None and known[side] != seq:
                known[0] = known[1] = None
                began[pair] = at
            since[at] = began[pair]
            if known[side] is None or flags & (SYN | ACK) == SYN | ACK:
                known[side] = seq if flags & SYN else (seq - 1) & 0xFFFFFFFF
            if known[1 - side] is None and flags & ACK:
                known[1 - side] = (ack - 1) & 0xFFFFFFFF
        return since

    def _known_bases(self, flow: int) -> list[int | None]:
        """The bases of a flow's two ends, in their order; of none (-1) there are none."""
        if flow < 0:
            return [None, None]
        known = [base if seen else None for base, seen in zip(self._bases[flow], self._seen[flow], strict=True)]
        return known[::-1] if self._turned[flow] else known

    def _make(self, found: Entries, begins: Int64s, first: int) -> None:
        """Add a flow for each entry that begins one."""
        count, tcp = len(begins), found.tcp[begins]
        stream = np.empty(count, np.int64)
        for protocol, own in ((TCP, tcp), (UDP, ~tcp)):
            many = int(np.count_nonzero(own))
            stream[own] = self._streams[protocol] + np.arange(many)
            self._streams[protocol] += many
        self._name.extend(found.names[found.pair[begins]], count)
        self._turned.extend(found.turned[begins], count)
        self._stream.extend(stream, count)
        self._first.extend(first + found.row[begins], count)
        for column in (self._bases, self._seen, self._packets, self._octets):
            column.extend(0, count)
        self._shifts.extend(UNKNOWN, count)
        self._times.extend((LATEST, EARLIEST), count)

    def _settle_bases(self, found: Entries, slot: Int64s, flows: Int64s) -> None:
        """What the relative numbers count from: the SYN's own number, or one before the first that was seen (as Wireshark
        counts), or what the other side acknowledges, whichever comes first. slot: twice the place in `flows`, + direction."""
        size, far = 2 * len(flows), len(slot)

        def earliest(chosen: Column) -> Int64s:
            at = np.full(size, far)
            at[slot[chosen][::-1]] = chosen[::-1]
            return at

        own = earliest(np.flatnonzero(found.tcp))
        other = earliest(np.flatnonzero(found.tcp & (found.flags & ACK != 0))).reshape(-1, 2)[:, ::-1].ravel()
        answers = np.flatnonzero(found.tcp & (found.flags & (SYN | ACK) == SYN | ACK))
        answer = np.full(size, -1)
        answer[slot[answers]] = answers  # of several the last
        rows = np.flatnonzero(np.minimum(own, other) < far)
        where = 2 * flows[rows >> 1] + (rows & 1)
        own, other, answer = own[rows], other[rows], answer[rows]
        seen, bases = self._seen.values.reshape(-1), self._bases.values.reshape(-1)
        new = seen[where] == 0
        mine, theirs = new & (own < other), new & (other < own)
        bases[where[mine]] = found.seq[own[mine]] - (found.flags[own[mine]] & SYN == 0)
        bases[where[theirs]] = found.ack[other[theirs]] - np.uint32(1)
        told = answer >= 0
        bases[where[told]] = found.seq[answer[told]]
        seen[where] = 1

    def _settle_shifts(self, found: Entries, flow: Int64s, direction: Column) -> None:
        """The window scale options of the SYNs. Scaling needs the option in both of them (RFC 7323, 2.2); where one was not
        seen, the other's counts. All flows' first SYNs, then all their second ones, and so on."""
        syns = np.flatnonzero(found.scale >= NO_SCALE)
        if not len(syns):
            return
        syns = syns[np.argsort(flow[syns], kind="stable")]
        heads = np.flatnonzero(np.diff(flow[syns], prepend=-1))
        turn = np.arange(len(syns)) - np.repeat(heads, np.diff(heads, append=len(syns)))
        order = np.argsort(turn, kind="stable")
        for own in np.split(syns[order], np.flatnonzero(np.diff(turn[order])) + 1):
            shifts = self._shifts.values
            which, side, scale = flow[own], direction[own], found.scale[own]
            bare = scale == NO_SCALE
            neither = bare & (shifts[which, side] == UNKNOWN)
            alone = (found.flags[own] & ACK != 0) & (shifts[which, 1 - side] == UNUSED)
            shifts[which[~bare], side[~bare]] = np.where(alone, UNUSED, scale)[~bare]
            shifts[which[neither]] = UNUSED

    def _add_up(self, found: Entries, slot: Int64s, flows: Int64s, sizes: Int64s, times: Int64s) -> None:
        """Add the packets to the figures of their flows. slot: as before."""
        own = np.flatnonzero(found.own)
        row, slot = found.row[own], slot[own]
        packets, octets = np.bincount(slot), np.bincount(slot, weights=sizes[row])
        told = np.flatnonzero(packets)
        where = 2 * flows[told >> 1] + (told & 1)
        self._packets.values.reshape(-1)[where] += packets[told].astype(np.uint32)
        self._octets.values.reshape(-1)[where] += octets[told].astype(np.int64)
        flow = flows[slot >> 1]
        np.minimum.at(self._times.values[:, 0], flow, times[row])
        np.maximum.at(self._times.values[:, 1], flow, times[row])
