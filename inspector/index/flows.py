"""Flows: which packets belong to one TCP or UDP conversation, numbered as tshark numbers `tcp.stream` and `udp.stream`.

Keys are exact (the whole endpoint pair): a hash of the endpoints could be made to collide.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, SYN
from inspector.index.grown import Numbers, Pairs

TCP, UDP = 6, 17
UNKNOWN, UNUSED = -1, -2  # window scales
Int64s = npt.NDArray[np.int64]


class Transport(NamedTuple):
    """One transport header of a packet.

    payload_offset: in the packet, -1 where it lies elsewhere; quoted: inside an ICMP error; scale: of a SYN's window scale
    option, None where it has none.
    """

    protocol: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    payload_offset: int = -1
    payload_length: int = 0
    quoted: bool = False
    scale: int | None = None

    @property
    def key(self) -> Key:
        """The endpoints, the source first."""
        return self.protocol, self.src, self.sport, self.dst, self.dport


Key = tuple[int, bytes, int, bytes, int]  # protocol, source address and port, destination address and port


class FlowTable:
    """The flows, as columns. Direction 0 is that of the first packet, or of the SYN where one was seen first."""

    ARRAYS = ("names", "sizes", "turned", "stream", "first", "bases", "seen", "shifts", "packets", "octets", "times")

    def __init__(self) -> None:
        # By the endpoints in order: the flow, or those on that pair one after the other. None: not made yet, of `_names`.
        self._by_name: dict[bytes, int | list[int]] | None = {}
        self._names: list[bytes] = []  # the endpoints in order
        self._turned = Numbers("B")  # direction 0 is from the second of them to the first
        self._streams = {TCP: 0, UDP: 0}
        self._stream, self._first = Numbers("i"), Numbers("q")
        self._bases, self._seen, self._shifts = Pairs("I"), Pairs("B"), Pairs("b")
        self._counted = 0  # flows in the figures, which have room for more
        self._packets, self._octets = np.zeros((64, 2), np.int64), np.zeros((64, 2), np.int64)
        self._times = np.zeros((64, 2), np.int64)  # of the first and the last packet

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays, by the names of `ARRAYS`."""
        own = {"turned": self._turned, "stream": self._stream, "first": self._first, "bases": self._bases, "seen": self._seen,
               "shifts": self._shifts}  # fmt: skip
        return {
            "names": np.frombuffer(b"".join(self._names), np.uint8),
            "sizes": np.fromiter(map(len, self._names), np.uint8, len(self._names)),
            **{name: np.asarray(values) for name, values in own.items()},
            "packets": self.packets,
            "octets": self.octets,
            "times": self._times[: self._counted],
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> FlowTable:
        """The table that `arrays` was made of. Raises ValueError or LookupError where they do not belong together."""
        table = cls()
        packed, ends = arrays["names"].tobytes(), np.cumsum(arrays["sizes"], dtype=np.int64).tolist()
        table._names = [packed[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]
        table._by_name = None if ends else {}
        table._turned = Numbers("B", arrays["turned"].tolist())
        table._stream, table._first = Numbers("i", arrays["stream"].tolist()), Numbers("q", arrays["first"].tolist())
        table._bases, table._seen, table._shifts = (
            Pairs(kind, arrays[name].ravel().tolist()) for kind, name in (("I", "bases"), ("B", "seen"), ("b", "shifts"))
        )
        table._packets, table._octets, table._times = (arrays[name].copy() for name in ("packets", "octets", "times"))
        table._counted = len(ends)
        if {len(arrays[name]) for name in cls.ARRAYS[1:]} != {len(ends)} or len(packed) != (ends or [0])[-1]:
            raise ValueError("columns of different lengths")
        return table

    def __len__(self) -> int:
        return len(self._names)

    def protocol(self, flow: int) -> int:
        return self._names[flow][0]

    def sport(self, flow: int) -> int:
        return self._ports(flow)[0]

    def dport(self, flow: int) -> int:
        return self._ports(flow)[1]

    def _ports(self, flow: int) -> tuple[int, int]:
        _, _, first, second = _HEAD.unpack_from(self._names[flow])
        return (second, first) if self._turned[flow] else (first, second)

    @property
    def stream(self) -> Sequence[int]:
        """tshark's number of the flow among those of its protocol."""
        return self._stream

    @property
    def first(self) -> Sequence[int]:
        """The number of the first packet."""
        return self._first

    @property
    def first_ns(self) -> Int64s:
        """The time of each flow's earliest packet, in nanoseconds since 1970."""
        return self._times[: self._counted, 0]

    @property
    def last_ns(self) -> Int64s:
        """The time of each flow's latest packet."""
        return self._times[: self._counted, 1]

    def duration(self, flow: int) -> int:
        """Nanoseconds from a flow's first packet to its last; 0 for one that is only quoted, in an ICMP error."""
        first, last = self._times[flow].tolist()
        return max(int(last) - int(first), 0)

    @property
    def base_seq(self) -> Pairs:
        """The sequence number that tshark's relative numbers count from, by direction."""
        return self._bases

    @property
    def shift(self) -> Pairs:
        """The window scale that a direction's windows are shifted by; negative where none is known (-1) or used (-2)."""
        return self._shifts

    @property
    def packets(self) -> Int64s:
        """Packets by flow and direction."""
        return self._packets[: self._counted]

    @property
    def octets(self) -> Int64s:
        """Bytes on the wire by flow and direction."""
        return self._octets[: self._counted]

    def addresses(self, flow: int) -> tuple[bytes, bytes]:
        """The addresses of direction 0's sender and receiver."""
        name = self._names[flow]
        middle = _HEAD.size + name[1]
        first, second = name[_HEAD.size : middle], name[middle:]
        return (second, first) if self._turned[flow] else (first, second)

    def enter(self, key: Key, packet: int, seq: int = 0, ack: int = 0, flags: int = 0) -> tuple[int, int]:
        """The flow and direction of a packet's transport, in packet order; makes the flow where it is new.

        key: its endpoints, the source first."""
        flow, direction = self._lookup(key, packet, seq, flags)
        if key[0] == TCP:
            self._numbers(flow, direction, seq, ack, flags)
        return flow, direction

    def count(self, flows: npt.NDArray[np.int32], directions: npt.NDArray[np.uint8], sizes: Int64s, times: Int64s) -> None:
        """Add a batch of packets to the figures of their flows."""
        total = len(self._names)
        if total > len(self._packets):  # arrays of twice the size: a reader keeps those that it has
            room = np.zeros((total * 2, 2), np.int64)
            self._packets, self._octets, self._times = (
                np.concatenate([kept[: self._counted], room]) for kept in (self._packets, self._octets, self._times)
            )
        self._times[self._counted : total] = ((1 << 63) - 1, -(1 << 63))
        if not (flows >= 0).all():
            chosen = flows >= 0
            flows, directions, sizes, times = flows[chosen], directions[chosen], sizes[chosen], times[chosen]
        if len(flows):
            low = int(flows.min())
            slots = (flows - low).astype(np.int64) * 2 + directions
            packets = np.bincount(slots)
            octets = np.bincount(slots, weights=sizes).astype(np.int64)
            end = 2 * low + len(packets)
            self._packets.reshape(-1)[2 * low : end] += packets
            self._octets.reshape(-1)[2 * low : end] += octets
            np.minimum.at(self._times[:, 0], flows, times)
            np.maximum.at(self._times[:, 1], flows, times)
        self._counted = total

    def find(self, found: Transport, packet: int) -> tuple[int, int] | None:
        """The flow and direction of a transport of a packet that has been entered."""
        name, turned = _name(found.key)
        flows = self._known().get(name)
        if flows is None:
            return None
        if isinstance(flows, int):
            flow = flows if self._first[flows] <= packet else -1
        else:
            place = bisect_right(flows, packet, key=self._first.__getitem__) - 1
            flow = flows[place] if place >= 0 else -1
        return None if flow < 0 else (flow, self._turned[flow] ^ turned)

    def _known(self) -> dict[bytes, int | list[int]]:
        if self._by_name is None:
            made: dict[bytes, int | list[int]] = {}
            for flow, name in enumerate(self._names):
                _note(made, name, flow)
            self._by_name = made
        return self._by_name

    def _lookup(self, key: Key, packet: int, seq: int, flags: int) -> tuple[int, int]:
        name, turned = _name(key)
        known = self._known()
        flows = known.get(name)
        if flows is not None:
            flow = flows if isinstance(flows, int) else flows[-1]
            name = self._names[flow]  # of one pair there is one name
            direction = self._turned[flow] ^ turned
            opening = flags & (SYN | ACK) == SYN and key[0] == TCP
            if not (opening and self._seen.of(flow, direction) and seq != self._bases.of(flow, direction)):
                return flow, direction
        flow = len(self._names)
        _note(known, name, flow)
        number = self._streams.get(key[0], 0)
        self._streams[key[0]] = number + 1
        self._stream.append(number)
        self._first.append(packet)
        self._turned.append(turned)
        self._bases.append(0, 0)
        self._seen.append(0, 0)
        self._shifts.append(UNKNOWN, UNKNOWN)
        self._names.append(name)  # the last: now it counts
        return flow, 0

    def _numbers(self, flow: int, direction: int, seq: int, ack: int, flags: int) -> None:
        """The base of the relative numbers: the SYN's own, or one before the first that was seen (as Wireshark counts)."""
        bases, seen = self._bases, self._seen
        if not seen.of(flow, direction) or flags & (SYN | ACK) == SYN | ACK:
            bases.put(flow, direction, seq if flags & SYN else (seq - 1) & 0xFFFFFFFF)
            seen.put(flow, direction, 1)
        if not seen.of(flow, 1 - direction) and flags & ACK:
            bases.put(flow, 1 - direction, (ack - 1) & 0xFFFFFFFF)
            seen.put(flow, 1 - direction, 1)

    def offer_shift(self, flow: int, direction: int, shift: int | None, answer: bool) -> None:
        """The window scale option of a SYN (of a SYN ACK: `answer`), None where it has none.

        Scaling needs the option in both SYNs (RFC 7323, 2.2). Where one of them was not seen, the other's counts.
        """
        shifts = self._shifts
        if shift is None:
            if shifts.of(flow, direction) == UNKNOWN:
                shifts.put(flow, 0, UNUSED)
                shifts.put(flow, 1, UNUSED)
        else:
            shifts.put(flow, direction, UNUSED if answer and shifts.of(flow, 1 - direction) == UNUSED else shift)


_HEAD = struct.Struct("<BBHH")  # protocol, bytes of the first address, ports; the addresses follow


def _name(key: Key) -> tuple[bytes, int]:
    """The endpoints in order, as bytes, and whether (1) the source is the second one."""
    protocol, src, sport, dst, dport = key
    if (src, sport) <= (dst, dport):
        return _HEAD.pack(protocol, len(src), sport, dport) + src + dst, 0
    return _HEAD.pack(protocol, len(dst), dport, sport) + dst + src, 1


def _note(known: dict[bytes, int | list[int]], name: bytes, flow: int) -> None:
    """Enter a flow; a list is made only for a pair that has several."""
    before = known.get(name)
    if before is None:
        known[name] = flow
    elif isinstance(before, int):
        known[name] = [before, flow]
    else:
        before.append(flow)
