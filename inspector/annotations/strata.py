"""The strata of one direction of a TCP conversation: what its bytes are at every level, all on one axis.

The axis counts the bytes of the TCP stream. A unit of any level (an event, a chunk, a record, a segment, a frame) stands where
the bytes that carried it stand, so that it is seen which boundaries coincide and which do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.span import Buffer, Span, parents, project
from inspector.core.stream import Pdu
from inspector.streams.conversation import Conversation

SEGMENTS, FRAMES = "TCP segments", "frames"
Ints = npt.NDArray[np.int64]


class Unit(NamedTuple):
    """One unit of a stratum. start, stop: on the axis; packet: that completes it; pdu: None for segments and frames."""

    stratum: str
    number: int  # in its stratum, from 0, in the order of the axis
    start: int
    stop: int
    packet: int
    pdu: Pdu | None


class Stratum:
    """The units of one level, sorted by where they begin; they may overlap where streams are interleaved."""

    def __init__(self, title: str, starts: Ints, stops: Ints, packets: Ints, pdus: list[Pdu] | None = None) -> None:
        order = np.argsort(starts, kind="stable")
        self.title = title
        self._starts, self._stops, self._packets = starts[order], stops[order], packets[order]
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
        return Unit(self.title, number, int(self._starts[number]), int(self._stops[number]), int(self._packets[number]), pdu)

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
    grouped: dict[str, list[tuple[int, int, Pdu]]] = {}
    depths: dict[str, int] = {}
    for id, pdus in conversation.tree.by_buffer.items():
        for pdu in pdus:
            if pdu.direction != direction:
                continue
            span = Span(pdu.span.buffer, pdu.span.start, pdu.span.stop)
            places = [span] if id == buffer.id else project(span, buffer)
            if not places:
                continue
            begin, end = min(place.start for place in places), max(place.stop for place in places)
            grouped.setdefault(pdu.protocol, []).append((begin, end, pdu))
            if pdu.protocol not in depths:
                depths[pdu.protocol] = _depth(span, buffer)
    order = {protocol: at for at, protocol in enumerate(grouped)}
    rows = [
        Stratum(
            title(protocol),
            np.array([begin for begin, _, _ in units], np.int64),
            np.array([end for _, end, _ in units], np.int64),
            np.array([pdu.packet for _, _, pdu in units], np.int64),
            [pdu for _, _, pdu in units],
        )
        for protocol, units in sorted(grouped.items(), key=lambda item: (-depths[item[0]], order[item[0]]))
    ]
    rows.append(_columns(SEGMENTS, buffer.segments(0, buffer.size)))
    copies = [(start, stop, packet) for packet, (way, start, stop) in conversation.ranges.items() if way == direction]
    rows.append(_columns(FRAMES, copies))
    return Strata(buffer, buffer.size, rows)


def _depth(span: Span, buffer: Buffer) -> int:
    """Steps from a range down to the TCP stream."""
    steps = 0
    while span.buffer != buffer:
        below = next(iter(parents(span)), None)
        if below is None:
            break
        span, steps = below, steps + 1
    return steps


def _columns(title: str, ranges: list[tuple[int, int, int]]) -> Stratum:
    columns = np.array(ranges, np.int64).reshape(-1, 3)
    return Stratum(title, columns[:, 0], columns[:, 1], columns[:, 2])
