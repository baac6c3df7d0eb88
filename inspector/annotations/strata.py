"""The strata of one direction of a TCP conversation: what its bytes are at every level, all on one axis.

The axis counts the bytes of the TCP stream. A unit of any level (an event, a chunk, a record, a segment, a frame) stands where
the bytes that carried it stand, so that it is seen which boundaries coincide and which do not. Inside what was enciphered or
compressed as a whole it stands at its share of the whole, and is said not to be exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.span import Buffer, Origin, Span
from inspector.core.stream import Pdu
from inspector.streams.conversation import Conversation

SEGMENTS, FRAMES = "TCP segments", "frames"
Ints = npt.NDArray[np.int64]


class Unit(NamedTuple):
    """One unit of a stratum. start, stop: on the axis; exact: they are; packet: that completes it; pdu: None for segments
    and frames."""

    stratum: str
    number: int  # in its stratum, from 0, in the order of the axis
    start: int
    stop: int
    packet: int
    exact: bool
    pdu: Pdu | None


class Stratum:
    """The units of one level, sorted by where they begin; they may overlap where streams are interleaved."""

    def __init__(self, title: str, columns: Ints, pdus: list[Pdu] | None = None) -> None:
        """columns: a row a unit: start, stop, packet, and 1 where they are exact."""
        starts, stops, packets, exact = columns.T
        order = np.argsort(starts, kind="stable")
        self.title = title
        self._starts, self._stops, self._packets, self._exact = starts[order], stops[order], packets[order], exact[order]
        self._furthest = np.maximum.accumulate(self._stops) if len(order) else self._stops
        self._pdus = [pdus[i] for i in order.tolist()] if pdus is not None else None

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def typical(self) -> int:
        """The size of a unit in the middle of all sizes."""
        return int(np.median(self._stops - self._starts)) if len(self) else 0

    def unit(self, number: int) -> Unit:
        pdu = self._pdus[number] if self._pdus is not None else None
        start, stop, packet = (int(column[number]) for column in (self._starts, self._stops, self._packets))
        return Unit(self.title, number, start, stop, packet, bool(self._exact[number]), pdu)

    def between(self, start: int, stop: int) -> list[Unit]:
        """The units that have a byte from `start` to `stop` of the axis."""
        low = int(np.searchsorted(self._furthest, start, "right"))
        high = int(np.searchsorted(self._starts, stop, "left"))
        return [self.unit(at) for at in range(low, high) if self._stops[at] > start]

    def at(self, offset: int) -> Unit | None:
        """The unit that a byte of the axis is in, or the nearest one before it, or after."""
        if not len(self):
            return None
        found = self.between(offset, offset + 1)
        if found:
            return found[-1]
        return self.unit(max(int(np.searchsorted(self._starts, offset, "right")) - 1, 0))

    def of(self, packet: int) -> Unit | None:
        """The first unit that a packet completes."""
        found = np.flatnonzero(self._packets == packet)
        return self.unit(int(found[0])) if len(found) else None


class Strata(NamedTuple):
    """All levels, the highest first. buffer: the direction's TCP stream; size: bytes of the axis."""

    buffer: Buffer
    size: int
    rows: list[Stratum]

    def row(self, title: str) -> Stratum:
        return next(row for row in self.rows if row.title == title)


def strata(conversation: Conversation, direction: int, title: Callable[[str], str]) -> Strata:
    """The strata of a direction. title: a protocol's name as people write it."""
    buffer = conversation.directions[direction].buffer
    grouped: dict[str, list[tuple[int, int, int, int, Pdu]]] = {}
    depths: dict[str, int] = {}
    for pdus in conversation.tree.by_buffer.values():
        for pdu in pdus:
            if pdu.direction != direction:
                continue
            span = pdu.span
            place = (span.start, span.stop, 1, 0) if span.buffer is buffer else _place(span, buffer)
            if place is not None:
                start, stop, exact, depth = place
                grouped.setdefault(pdu.protocol, []).append((start, stop, pdu.packet, exact, pdu))
                depths.setdefault(pdu.protocol, depth)
    order = {protocol: at for at, protocol in enumerate(grouped)}
    rows = [
        Stratum(title(protocol), _table([unit[:4] for unit in units]), [unit[4] for unit in units])
        for protocol, units in sorted(grouped.items(), key=lambda item: (-depths[item[0]], order[item[0]]))
    ]
    rows.append(Stratum(SEGMENTS, _table([(*segment, 1) for segment in buffer.segments(0, buffer.size)])))
    copies = [(start, stop, packet, 1) for packet, (way, start, stop) in conversation.ranges.items() if way == direction]
    rows.append(Stratum(FRAMES, _table(copies)))
    return Strata(buffer, buffer.size, rows)


def _table(rows: list[tuple[int, int, int, int]]) -> Ints:
    return np.array(rows, np.int64).reshape(-1, 4)


def _place(span: Span, buffer: Buffer) -> tuple[int, int, int, int] | None:
    """Where a range stands in a buffer below, whether that is exact, and how many steps down it is.

    Its two ends go down by themselves: the bytes between may lie in several buffers (the plaintexts of TLS records).
    """
    if not span.size:
        return None
    low, high = _fall(span.buffer, span.start, buffer), _fall(span.buffer, span.stop - 1, buffer)
    if low is None or high is None:
        return None
    return low[0], high[1], int(low[2] and high[2]), low[3]


def _fall(at: Buffer, offset: int, buffer: Buffer) -> tuple[int, int, bool, int] | None:
    """A byte as a range of a buffer below: start, stop, whether that is exact, how many steps down it is."""
    start, stop, exact, depth = offset, offset + 1, True, 0
    while at != buffer:
        origin = next(iter(at.origins(start, stop)), None)
        if origin is None or not origin.source.size:
            return None
        source = origin.source
        low, high = _down(origin, max(start, origin.start)), _down(origin, min(stop, origin.stop))
        start = min(low, source.stop - 1)
        at, stop, exact, depth = source.buffer, max(high, start + 1), exact and origin.copied, depth + 1
    return start, stop, exact, depth


def _down(origin: Origin, offset: int) -> int:
    """A place in a buffer as a place in the one below: the same byte of a copy, or its share of what it came out of."""
    inside, size = offset - origin.start, origin.stop - origin.start
    return origin.source.start + (inside if origin.copied else inside * origin.source.size // size)
