"""Builds the columns and the flows of a capture, a window at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from inspector.core.packet import Interface, Packet
from inspector.index.columns import Column, Columns
from inspector.index.decode import Decoded, decode
from inspector.index.flows import TCP, UDP, FlowTable, Transport
from inspector.sources import Batch, Source

PIECE = 16_384  # packets handled at a time: short enough that another thread's key press is not kept waiting
SYN, ACK = 0x02, 0x10


class Index:
    """The columns and flows of a source. One thread builds it; any may read.

    slow: the transports of a packet that is not regular, outermost first; called in packet order.
    """

    def __init__(self, source: Source, slow: Callable[[Packet], Sequence[Transport]]) -> None:
        self._source = source
        self._slow = slow
        self._columns = Columns()
        self.flows = FlowTable()
        self._order: tuple[int, Column, Column] | None = None
        self._lock = threading.Lock()
        self._building = 0

    @property
    def count(self) -> int:
        """Packets so far."""
        return self._columns.count

    def column(self, name: str) -> Column:
        """A column, one value a packet."""
        return self._columns.column(name)

    def flow_of(self, number: int) -> int:
        """The flow of a packet, -1 for none."""
        return self._columns.value("flow", number - 1)

    def flow_packets(self, flow: int) -> npt.NDArray[np.int64]:
        """The numbers of a flow's packets, in order."""
        with self._lock:
            count = self.count
            if self._order is None or self._order[0] != count:
                flows = self.column("flow")
                order = np.argsort(flows, kind="stable")
                self._order = (count, order, flows[order])
            _, order, flows = self._order
        low, high = np.searchsorted(flows, [flow, flow + 1])
        return order[low:high].astype(np.int64) + 1

    def packet(self, number: int) -> Packet:
        """A packet by its number, from 1. Raises IndexError where there is none."""
        value, row = self._columns.value, number - 1
        captured, interface = value("captured", row), value("interface", row)
        data = self._source.read(value("offset", row), captured)
        link = self._source.interfaces[interface].link_type
        return Packet(number, value("time_ns", row), link, value("wire", row), data, interface)

    @property
    def interfaces(self) -> list[Interface]:
        return self._source.interfaces

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file."""
        return self._source.read(offset, size)

    def build(self, progress: Callable[[float], None] | None = None) -> None:
        """Read the whole source. progress: told the share that is done, 0 to 1."""
        size = max(self._source.size, 1)
        for batch in self._source.batches():
            for start in range(0, len(batch.offset), PIECE):
                piece = slice(start, start + PIECE)
                part = Batch(
                    batch.offset[piece], batch.captured[piece], batch.wire[piece], batch.time_ns[piece], batch.interface[piece],
                    batch.base, batch.window,
                )  # fmt: skip
                self._add(part)
                if progress is not None and len(part.offset):
                    progress(min(float(part.offset[-1]) / size, 1.0))

    def _add(self, batch: Batch) -> None:
        size = len(batch.offset)
        links = np.array([interface.link_type for interface in self._source.interfaces], np.int64)[batch.interface]
        found = decode(batch, links)
        rows: dict[str, Column] = {
            "offset": batch.offset,
            "time_ns": batch.time_ns,
            "captured": batch.captured,
            "wire": batch.wire,
            "interface": batch.interface,
        }
        for name, values in (
            ("shape", found.shape), ("seq", found.seq), ("ack", found.ack), ("window", found.window), ("flags", found.flags),
            ("payload_length", found.size),
        ):  # fmt: skip
            rows[name] = np.zeros(size, np.int64)
            rows[name][found.rows] = values
        for name, values in (("network_offset", found.network), ("payload_offset", found.payload)):
            rows[name] = np.full(size, -1, np.int64)
            rows[name][found.rows] = values
        rows["flow"] = np.full(size, -1, np.int32)
        rows["direction"] = np.zeros(size, np.uint8)
        self._number(batch, found, rows)
        self.flows.count(rows["flow"], rows["direction"], batch.wire, batch.time_ns)
        self._columns.append(rows)

    def _number(self, batch: Batch, found: Decoded, rows: dict[str, Column]) -> None:
        """Give every packet its flow. Regular packets of one endpoint pair are looked up once; those that can begin a flow or
        settle its numbers, and irregular ones, in packet order."""
        first = self._columns.count + 1
        count = len(found.rows)
        keys = np.zeros((count, 37), np.uint8)
        keys[:, :32] = found.addresses
        keys[:, 32], keys[:, 33] = found.sport >> 8, found.sport & 255
        keys[:, 34], keys[:, 35] = found.dport >> 8, found.dport & 255
        keys[:, 36] = found.shape
        packed = np.ascontiguousarray(keys).view(np.dtype((np.void, 37))).ravel()
        _, where, inverse = np.unique(packed, return_index=True, return_inverse=True)
        # Only a pair's first packet here, its SYNs, and the first packet with an ACK can change what is known of a flow.
        telling = np.zeros(count, bool)
        telling[where] = True
        telling |= (found.flags & SYN) != 0
        acks = np.flatnonzero((found.flags & ACK) != 0)
        if len(acks):
            _, at = np.unique(inverse[acks], return_index=True)
            telling[acks[at]] = True
        # A SYN behind other packets of its endpoints may begin a new flow there: those packets are entered one by one.
        opening = np.flatnonzero((found.flags & (SYN | ACK)) == SYN)
        if len(opening):
            pair_of = {keys[i].tobytes(): pair for pair, i in enumerate(where.tolist())}
            reused: set[int] = set()
            for i in opening.tolist():
                key, pair = keys[i].tobytes(), int(inverse[i])
                mate = pair_of.get(key[16:32] + key[:16] + key[34:36] + key[32:34] + key[36:], pair)
                if i > min(where[pair], where[mate]):
                    reused |= {pair, mate}
            if reused:
                telling |= np.isin(inverse, list(reused))
        odd = np.ones(len(batch.offset), bool)
        odd[found.rows] = False
        irregular: list[int] = np.flatnonzero(odd).tolist()
        events = sorted([(int(found.rows[i]), int(i)) for i in np.flatnonzero(telling)] + [(row, -1) for row in irregular])
        flow_of = np.full(len(where), -1, np.int64)
        direction_of = np.zeros(len(where), np.int64)
        changes: list[tuple[int, int, int, int]] = []  # (position, pair, flow, direction)
        for row, i in events:
            if i < 0:
                self._irregular(batch, row, first + row, rows)
                continue
            transport = self._transport(found, i)
            flow, direction = self.flows.enter(transport, first + row)
            if transport.flags & SYN:
                self._shift(batch, found, i, flow, direction)
            changes.append((i, int(inverse[i]), flow, direction))
        self._spread(found, inverse, changes, flow_of, direction_of, rows)

    @staticmethod
    def _spread(found: Decoded, inverse: Column, changes: list[tuple[int, int, int, int]], flow_of: Column,
                direction_of: Column, rows: dict[str, Column]) -> None:  # fmt: skip
        """From each telling packet on, its pair (and the same pair the other way) belongs to that flow."""
        flows = np.full(len(found.rows), -1, np.int64)
        directions = np.zeros(len(found.rows), np.int64)
        by_pair: dict[int, list[tuple[int, int, int]]] = {}
        for i, pair, flow, direction in changes:
            by_pair.setdefault(pair, []).append((i, flow, direction))
        single = {pair: found_[0][1:] for pair, found_ in by_pair.items() if len({f for _, f, _ in found_}) == 1}
        for pair, (flow, direction) in single.items():
            flow_of[pair], direction_of[pair] = flow, direction
        flows[:], directions[:] = flow_of[inverse], direction_of[inverse]
        for pair, entries in by_pair.items():
            if pair in single:
                continue
            members = np.flatnonzero(inverse == pair)
            starts = np.array([i for i, _, _ in entries])
            at = np.searchsorted(starts, members, side="right") - 1
            flows[members] = np.array([flow for _, flow, _ in entries])[at]
            directions[members] = np.array([direction for _, _, direction in entries])[at]
        rows["flow"][found.rows] = flows
        rows["direction"][found.rows] = directions

    @staticmethod
    def _transport(found: Decoded, i: int) -> Transport:
        shape = int(found.shape[i])
        size = 4 if shape <= 2 else 16
        address = found.addresses[i]
        return Transport(
            TCP if shape in (1, 3) else UDP,
            address[:size].tobytes(),
            address[16 : 16 + size].tobytes(),
            int(found.sport[i]),
            int(found.dport[i]),
            int(found.seq[i]),
            int(found.ack[i]),
            int(found.flags[i]),
        )

    def _shift(self, batch: Batch, found: Decoded, i: int, flow: int, direction: int) -> None:
        """The window scale option of a SYN (RFC 7323, 2.2)."""
        start = int(batch.offset[found.rows[i]]) - batch.base
        end = start + min(int(found.payload[i]), int(batch.captured[found.rows[i]]))
        head = batch.window[start:end].tobytes()
        options = head[len(head) - head_size(found, i, head) + 20 :]
        self.flows.offer_shift(flow, direction, window_scale(options), bool(found.flags[i] & ACK))

    def _irregular(self, batch: Batch, row: int, number: int, rows: dict[str, Column]) -> None:
        start = int(batch.offset[row]) - batch.base
        data = batch.window[start : start + int(batch.captured[row])].tobytes()
        interface = int(batch.interface[row])
        link = self._source.interfaces[interface].link_type
        packet = Packet(number, int(batch.time_ns[row]), link, int(batch.wire[row]), data, interface)
        for transport in self._slow(packet):
            flow, direction = self.flows.enter(transport, number)
            if transport.quoted:
                continue
            if transport.protocol == TCP and transport.flags & SYN:
                self.flows.offer_shift(flow, direction, transport.scale, bool(transport.flags & ACK))
            values = {
                "flow": flow, "direction": direction, "seq": transport.seq, "ack": transport.ack, "flags": transport.flags,
                "window": transport.window, "payload_offset": transport.payload_offset,
                "payload_length": transport.payload_length,
            }  # fmt: skip
            for name, value in values.items():
                rows[name][row] = value


def window_scale(options: bytes) -> int | None:
    """The window scale among a SYN's options, at most 14 (RFC 7323, 2.3); None where it is not there."""
    at, found = 0, None
    while at + 2 < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1]
        if length < 2:
            break
        if options[at] == 3 and length == 3:
            found = min(options[at + 2], 14)
        at += length
    return found


def head_size(found: Decoded, i: int, head: bytes) -> int:
    """Bytes of the TCP header at the end of `head`."""
    network = int(found.network[i])
    ip = (head[network] & 15) * 4 if found.shape[i] <= 2 else 40
    return len(head) - network - ip
