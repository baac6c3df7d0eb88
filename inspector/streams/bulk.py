"""The segments of a conversation as columns, and the runs of them in which nothing is lost, doubled or out of order.

Such a run is told by the numbers alone, and joins a stream without an object a segment.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.streams.tcp import Direction

MANY = 65_536  # segments looked at together
FEW = 4  # below this, one by one is as quick
Int64s = npt.NDArray[np.int64]
_HALF = 1 << 31


class SegmentRow(NamedTuple):
    """What the index knows of a segment; `length` bytes of payload were on the wire, `have` of them are in the capture, at
    `place` in the file (-1 where they do not lie there in one piece)."""

    packet: int
    direction: int
    sequence: int
    acknowledgement: int
    flags: int
    length: int
    have: int
    place: int = -1


class Segments(NamedTuple):
    """Columns of what SegmentRow says."""

    packet: Int64s
    direction: Int64s
    sequence: Int64s
    acknowledgement: Int64s
    flags: Int64s
    length: Int64s
    have: Int64s
    place: Int64s

    def slice(self, start: int, stop: int) -> Segments:
        """Segments `start` to `stop`."""
        return Segments(*(column[start:stop] for column in self))

    def rows(self) -> Iterator[SegmentRow]:
        """One by one."""
        return map(SegmentRow._make, zip(*(column.tolist() for column in self), strict=True))


class Ranges:
    """Which range of which direction's stream the payload of each packet fills: a mapping, kept as columns."""

    __slots__ = ("_directions", "_lengths", "_packets", "_starts")

    def __init__(self) -> None:
        self._packets, self._directions = array("I"), array("b")
        self._starts, self._lengths = array("q"), array("I")

    def append(self, packet: int, direction: int, start: int, stop: int) -> None:
        """Add a packet; their numbers rise."""
        self._packets.append(packet)
        self._directions.append(direction)
        self._starts.append(start)
        self._lengths.append(stop - start)

    def extend(self, packets: Int64s, directions: Int64s, starts: Int64s, stops: Int64s) -> None:
        """Add packets."""
        self._packets.extend(_array(packets, "I"))
        self._directions.frombytes(directions.astype(np.int8).tobytes())
        self._starts.extend(_array(starts))
        self._lengths.extend(_array(stops - starts, "I"))

    def get(self, packet: int) -> tuple[int, int, int] | None:
        """Direction, start and stop; None for a packet without payload."""
        at = bisect_left(self._packets, packet)
        if at == len(self._packets) or self._packets[at] != packet:
            return None
        return self._directions[at], self._starts[at], self._starts[at] + self._lengths[at]

    def items(self) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Each packet with its range, in packet order."""
        columns = zip(self._packets, self._directions, self._starts, self._lengths, strict=True)
        return ((packet, (direction, start, start + length)) for packet, direction, start, length in columns)

    def __iter__(self) -> Iterator[int]:
        return iter(self._packets)

    def __len__(self) -> int:
        return len(self._packets)


def plain(part: Segments, directions: Sequence[Direction]) -> int:
    """How many of these segments follow one another, each whole in the capture, from what has arrived on."""
    good = (part.flags & (SYN | FIN | RST)) == 0
    good &= part.have == part.length
    for number, direction in enumerate(directions):
        own = part.direction == number
        good &= ~own | (part.length == 0) | (part.sequence == _sequence(part, own, direction))
    bad = np.flatnonzero(~good)
    return int(bad[0]) if len(bad) else len(good)


def take(part: Segments, directions: Sequence[Direction], ranges: Ranges) -> Int64s:
    """Join a plain run of segments to both streams, all but their arrival; returns where each of them ends."""
    until = np.zeros(len(part.packet), np.int64)
    filled = part.length > 0
    for number, direction in enumerate(directions):
        own = part.direction == number
        ends = direction.next + np.cumsum(np.where(own, part.length, 0))
        until[own] = ends[own]
        peer = ~own & ((part.flags & ACK) != 0)
        if direction.isn is not None and peer.any():  # what the other side acknowledges, near what has arrived by then
            delta = (part.acknowledgement[peer] - direction.isn - ends[peer]) & 0xFFFFFFFF
            offset = ends[peer] + np.where(delta >= _HALF, delta - (1 << 32), delta)
            near = offset[offset - ends[peer] <= _HALF // 2]
            direction.acknowledged = max(direction.acknowledged, int(near.max(initial=0)))
        own &= filled
        if own.any():
            packets, lengths = _array(part.packet[own], "I"), _array(part.length[own], "I")
            direction.buffer.extend(_array(until[own] - part.length[own]), lengths, packets, _array(part.place[own]))
            direction.reader.expect(_array(until[own]), packets)
    ranges.extend(part.packet[filled], part.direction[filled], (until - part.length)[filled], until[filled])
    return until


def _sequence(part: Segments, own: npt.NDArray[np.bool_], direction: Direction) -> Int64s:
    """The sequence number that a segment of this direction has where nothing is missing before it."""
    assert direction.isn is not None
    before = np.cumsum(np.where(own, part.length, 0)) - part.length
    return direction.isn + direction.next + before & 0xFFFFFFFF


def _array(values: Int64s, kind: str = "q") -> array[int]:
    found = array(kind)
    found.frombytes(values.astype(kind).tobytes())
    return found
