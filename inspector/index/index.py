"""Builds the columns and the flows of a capture, a window at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from inspector.core.packet import Interface, Packet
from inspector.core.span import Frame
from inspector.index.columns import BLOCK, TYPES, Column, Columns, Rows
from inspector.index.decode import decode
from inspector.index.entries import Transport, entries
from inspector.index.flows import FlowTable
from inspector.sources import Batch, Source

PIECE = 32_768  # packets handled at a time: short enough that another thread's key press is not kept waiting
FEW = 200  # flows of which the packets are looked up before all packets are put in order, flow by flow
ABSENT = ("flow", "network_offset", "payload_offset")  # columns in which -1 says that there is none


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
        self._asked = 0  # flows whose packets were wanted before they were put in order
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Packets so far."""
        return self._columns.count

    def column(self, name: str) -> Column:
        """A column, one value a packet."""
        return self._columns.column(name)

    def at(self, name: str, rows: Rows) -> Column:
        """A column's values in these rows, which count from 0: without the whole column being put together for it."""
        return self._columns.at(name, rows)

    def value(self, name: str, number: int) -> int:
        """A column's value of one packet: while a capture grows, much quicker than the whole column."""
        return self._columns.value(name, number - 1)

    def flow_of(self, number: int) -> int:
        """The flow of a packet, -1 for none."""
        return self._columns.value("flow", number - 1)

    def flow_packets(self, flow: int) -> npt.NDArray[np.int64]:
        """The numbers of a flow's packets, in order."""
        known = self._order
        if known is None or known[0] != self.count:
            self._asked += 1
            if self._asked < FEW:  # one look through all packets takes a hundredth of the time of putting them in order
                return self.packets_of([flow], 0)
        order, starts = self.by_flow()
        return order[starts[flow] : starts[flow + 1]].astype(np.int64) + 1

    def by_flow(self) -> tuple[Column, Column]:
        """All rows, flow by flow, and where each flow's begin there: those of flow n are `order[starts[n] : starts[n + 1]]`."""
        with self._lock:
            count = self.count
            if self._order is None or self._order[0] != count:
                flows = self.column("flow")
                order = np.argsort(flows, kind="stable").astype(np.int32 if count < 1 << 31 else np.int64)
                own = np.bincount(flows + 1, minlength=len(self.flows) + 1)  # that of no flow first
                starts = np.cumsum(own)
                self._order = (count, order, starts)
            return self._order[1:]

    def since(self, name: str, after: int) -> Column:
        """A column's values of the packets behind packet `after`: for a capture that grows."""
        return self._columns.since(name, after)

    @property
    def memory(self) -> int:
        """Bytes of the columns."""
        return self.count * sum(np.dtype(kind).itemsize for kind in TYPES.values())

    def blocks(self, name: str) -> Iterator[Column]:
        """A column in pieces, as it lies in memory."""
        return self._columns.blocks(name)

    def restore(self, columns: Columns, flows: FlowTable) -> None:
        """What another index of the same source has found."""
        self._columns, self.flows = columns, flows

    @property
    def columns(self) -> Columns:
        return self._columns

    def packets_of(self, flows: list[int], after: int) -> npt.NDArray[np.int64]:
        """The numbers of these flows' packets behind packet `after`, in order: for a capture that grows."""
        wanted = np.zeros(len(self.flows) + 1, bool)  # the last place is that of packets of no flow
        wanted[flows] = True
        found = [np.zeros(0, np.int64)]
        for number in range(after // BLOCK, -(-self.count // BLOCK)):
            own = self._columns.block("flow", number)
            rows = np.flatnonzero(own == flows[0] if len(flows) == 1 else wanted[own])
            found.append(rows + number * BLOCK + 1)
        packets = np.concatenate(found)
        return packets[np.searchsorted(packets, after + 1) :]

    def packet(self, number: int) -> Packet:
        """A packet by its number, from 1. Raises IndexError where there is none."""
        value, row = self._columns.value, number - 1
        captured, interface = value("captured", row), value("interface", row)
        data = self._source.near(value("offset", row), captured)
        if len(data) < captured:
            self._source.shrunk()
        link = self._source.interfaces[interface].link_type
        return Packet(number, value("time_ns", row), link, value("wire", row), data, interface)

    def frame(self, number: int) -> Frame:
        """A packet's bytes as a buffer; they are read when they are asked for."""
        return Frame(number, self.value("captured", number), lambda: self.packet(number).data)

    @property
    def interfaces(self) -> list[Interface]:
        return self._source.interfaces

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file."""
        return self._source.read(offset, size)

    def near(self, offset: int, size: int) -> bytes:
        """The same, quicker where many small pieces that lie close together are wanted."""
        return self._source.near(offset, size)

    def build(self, progress: Callable[[float], None] | None = None) -> None:
        """Read the source to its end; of one that has grown since, what is new.

        progress: told the share that is done, 0 to 1 (0 where nobody knows: a pipe that is still open).
        """
        for batch in self._source.batches():
            for start in range(0, len(batch.offset), PIECE):
                piece = slice(start, start + PIECE)
                part = Batch(
                    batch.offset[piece], batch.captured[piece], batch.wire[piece], batch.time_ns[piece], batch.interface[piece],
                    batch.start[piece], batch.window,
                )  # fmt: skip
                self._add(part)
                if progress is not None:
                    progress(self._source.share(int(part.offset[-1])))

    def _add(self, batch: Batch) -> None:
        size = len(batch.offset)
        links = np.array([interface.link_type for interface in self._source.interfaces], np.int64)[batch.interface]
        rows: dict[str, Column] = {
            "offset": batch.offset,
            "time_ns": batch.time_ns,
            "captured": batch.captured,
            "wire": batch.wire,
            "interface": batch.interface,
        }
        for name in TYPES.keys() - rows.keys():
            rows[name] = np.full(size, -1 if name in ABSENT else 0, TYPES[name])
        found = decode(batch, links)
        odd = np.ones(size, bool)
        for part in found:
            odd[part.rows] = False
            place = slice(None) if len(part.rows) == size else part.rows
            for name, values in (
                ("shape", part.shape), ("seq", part.seq), ("ack", part.ack), ("window", part.window), ("flags", part.flags),
                ("network_offset", part.network), ("payload_offset", part.payload), ("payload_length", part.size),
            ):  # fmt: skip
                rows[name][place] = values
        first = self._columns.count + 1
        irregular = np.flatnonzero(odd).tolist()
        transports = [(row, one) for row in irregular for one in self._irregular(batch, row, first + row, rows)]
        headers = entries(batch, found, transports, self.flows.names)
        if headers is not None:
            flow, direction = self.flows.enter(headers, first, batch.wire, batch.time_ns)
            own = headers.row[headers.own]
            rows["flow"][own], rows["direction"][own] = flow[headers.own], direction[headers.own]
        self._columns.append(rows)

    def _irregular(self, batch: Batch, row: int, number: int, rows: dict[str, Column]) -> Sequence[Transport]:
        """The transports of a packet; what they say goes into its row."""
        start = int(batch.start[row])
        data = batch.window[start : start + int(batch.captured[row])].tobytes()
        interface = int(batch.interface[row])
        link = self._source.interfaces[interface].link_type
        found = self._slow(Packet(number, int(batch.time_ns[row]), link, int(batch.wire[row]), data, interface))
        for transport in found:
            if not transport.quoted:
                for name in ("seq", "ack", "flags", "window", "payload_offset", "payload_length"):
                    rows[name][row] = getattr(transport, name)
        return found
