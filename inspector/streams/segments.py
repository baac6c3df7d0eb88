"""The segments of a TCP flow for its analysis: from the columns, with the SACK blocks read from the packets that have any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from inspector.index import Index
from inspector.streams.analysis import Edges, Segment

SACK, NOP, END = 5, 1, 0
PART = 32_768  # segments in one part
_STAMPS = b"\x01\x01\x08\x0a"  # what nearly every segment of a connection with timestamps carries: NOP, NOP, timestamps
_SMALLEST = 10  # kind, length and one block (RFC 2018, 3)
Int64s = npt.NDArray[np.int64]


class Part:
    """Segments that follow one another in their conversation. columns: those of `Segment`, in its order; bare: which of them
    surely have no SACK blocks; sack: reads the blocks of the others, by row."""

    def __init__(self, columns: Sequence[Int64s], bare: npt.NDArray[np.bool_], sack: Callable[[int], Edges]) -> None:
        self.packet, self.time_ns, self.direction, self.sequence = columns[:4]
        self.acknowledgement, self.flags, self.length, self.window = columns[4:]
        self.bare = bare
        self._sack = sack
        self._columns = columns

    def __len__(self) -> int:
        return len(self.packet)

    def segments(self, start: int, stop: int) -> Iterator[Segment]:
        """Segments `start` to `stop`, one by one."""
        values = zip(*(column[start:stop].tolist() for column in self._columns), strict=True)
        for at, (row, bare) in enumerate(zip(values, self.bare[start:stop].tolist(), strict=True), start):
            yield Segment._make((*row, () if bare else self._sack(at)))

    def slice(self, start: int, stop: int) -> Part:
        """Segments `start` to `stop`."""
        return Part([column[start:stop] for column in self._columns], self.bare[start:stop], lambda at: self._sack(start + at))


def parts(index: Index, packets: Int64s, odd: Callable[[int], Edges]) -> Iterator[Part]:
    """A flow's segments, from the numbers of its packets, in order. odd: gives the SACK blocks of a packet that the columns
    cannot read."""
    stamped = False
    for start in range(0, len(packets), PART):
        packet = packets[start : start + PART]
        rows = packet - 1

        def column(name: str, rows: Int64s = rows) -> Int64s:
            return index.at(name, rows).astype(np.int64)

        shape, offset = column("shape"), column("offset")
        begin = column("network_offset") + np.where(shape <= 2, 40, 60)  # behind IPv4 or IPv6 and the fixed part of TCP
        size = np.where(shape > 0, np.minimum(column("payload_offset"), column("captured")) - begin, 0)
        place = offset + begin
        stamped = stamped or _stamped(index, place, size)
        bare = (shape > 0) & ((size < _SMALLEST) | ((size == 12) if stamped else False))

        def sack(
            at: int, packet: Int64s = packet, shape: Int64s = shape, place: Int64s = place, size: Int64s = size
        ) -> Edges:
            return sack_blocks(index.read(int(place[at]), int(size[at]))) if shape[at] else odd(int(packet[at]))

        names = ("time_ns", "direction", "seq", "ack", "flags", "payload_length", "window")
        yield Part([packet, *map(column, names)], bare, sack)


def _stamped(index: Index, at: Int64s, size: Int64s) -> bool:
    """Segments whose options fill twelve bytes carry timestamps, and so no SACK: as the first one of them does."""
    found = np.flatnonzero(size == 12)
    return bool(len(found)) and index.read(int(at[found[0]]), 4) == _STAMPS


def sack_blocks(options: bytes) -> Edges:
    """The blocks of the SACK option among a segment's options (RFC 2018, 3)."""
    at = 0
    while at + 2 <= len(options) and options[at] != END:
        if options[at] == NOP:
            at += 1
            continue
        size = options[at + 1]
        if size < 2:
            break
        if options[at] == SACK:
            edges = [int.from_bytes(options[i : i + 4], "big") for i in range(at + 2, min(at + size, len(options)) - 3, 4)]
            return tuple(zip(edges[::2], edges[1::2], strict=False))
        at += size
    return ()
