"""How a conversation goes in time: the bytes sent and acknowledged, and how many a second; brought down to as many points as
a screen has columns. Everything is worked out from whole columns, never segment by segment."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, FIN, SYN
from inspector.index import Index
from inspector.index.names import TCP

HALF, SPACE = 0x80000000, 0xFFFFFFFF  # of the sequence numbers
LEVELS = 256  # at which single points are told apart: more than a screen has lines
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


class Curve(NamedTuple):
    """name: `sent`, `acknowledged`, `window` (how far the peer lets it go), `again`, `forward` or `backward`; x: nanoseconds
    since the first packet of the conversation; y: bytes, or bits a second. `again` is single points, all others are lines."""

    name: str
    x: Floats
    y: Floats


class Course:
    """The segments or datagrams of a conversation as columns, in the order of the capture."""

    def __init__(self, index: Index, flow: int) -> None:
        self.packet: Ints = index.flow_packets(flow)
        rows = self.packet - 1
        times = index.at("time_ns", rows).astype(np.int64)
        self.begun = int(times[0]) if len(times) else 0
        self.time: Ints = times - self.begun
        self.direction = index.at("direction", rows)
        self.length: Ints = index.at("payload_length", rows).astype(np.int64)
        self.is_tcp = index.flows.protocol(flow) == TCP
        self._index, self._rows, self._flow = index, rows, flow

    @property
    def lasts(self) -> int:
        """Nanoseconds from the first packet to the last."""
        return int(self.time.max()) if len(self.time) else 0

    @property
    def fuller(self) -> int:
        """The direction that carried more."""
        return int(self.length[self.direction == 1].sum() > self.length[self.direction == 0].sum())

    def packet_at(self, time: float) -> int:
        """The packet nearest to a time in nanoseconds since the first one; 0 where there is none."""
        return int(self.packet[np.argmin(np.abs(self.time - time))]) if len(self.packet) else 0

    def sequence(self, direction: int, low: float, high: float, columns: int) -> list[Curve]:
        """What one side sent, what of it was acknowledged, how far its peer's window let it go, and what it sent again (or what
        came late: at or below what was seen before), between two times. Empty for datagrams, which have no numbers."""
        if not self.is_tcp or not len(self.packet):
            return []
        own, peer = np.flatnonzero(self.direction == direction), np.flatnonzero(self.direction != direction)
        number = self._column("seq", own)
        flags = self._column("flags", own)
        size = self.length[own] + (flags & (SYN | FIN) != 0)
        if not len(own):
            return []
        ends = _unwrapped(number, int(number[0])) + size
        highest = np.maximum.accumulate(ends)
        curves = [Curve("sent", *_envelope(self.time[own], highest, low, high, columns))]
        acks = peer[self._column("flags", peer) & ACK != 0]
        if len(acks):
            acked = _unwrapped(self._column("ack", acks), int(number[0]))
            so_far = np.maximum.accumulate(acked)
            curves.append(Curve("acknowledged", *_envelope(self.time[acks], so_far, low, high, columns)))
            shift = int(self._index.flows.shift[self._flow][1 - direction])
            syn = self._column("flags", acks) & SYN != 0
            if shift != -1:  # else nobody knows in what units the window is
                window = self._column("window", acks) << np.where(syn, 0, max(shift, 0))
                curves.append(Curve("window", *_envelope(self.time[acks], acked + window, low, high, columns)))
        again = np.zeros(len(own), np.bool_)
        again[1:] = (size[1:] > 0) & (ends[1:] <= highest[:-1])
        if again.any():
            curves.append(Curve("again", *_points(self.time[own[again]], ends[again], low, high, columns)))
        return curves

    def throughput(self, low: float, high: float, columns: int) -> list[Curve]:
        """Payload in bits a second, both ways, between two times."""
        width = (high - low) / columns
        edges = low + width * np.arange(columns)
        found = []
        for direction, name in enumerate(("forward", "backward")):
            rows = np.flatnonzero((self.direction == direction) & (self.time >= low) & (self.time <= high))
            at = _columns(self.time[rows], low, high, columns)
            bits = np.bincount(at, weights=self.length[rows] * 8.0, minlength=columns)
            found.append(Curve(name, edges + width / 2, bits * 1e9 / width))
        return found

    def _column(self, name: str, rows: Ints) -> Ints:
        return self._index.at(name, self._rows[rows]).astype(np.int64)


def _unwrapped(numbers: Ints, base: int) -> Ints:
    """Sequence numbers as distances from `base`: no two neighbours are 2³¹ or more apart (RFC 9293, 3.4)."""
    if not len(numbers):
        return numbers
    first = (int(numbers[0]) - base + HALF & SPACE) - HALF
    steps = (np.diff(numbers) + HALF & SPACE) - HALF
    return first + np.concatenate(([0], np.cumsum(steps)))


def _columns(times: Ints, low: float, high: float, columns: int) -> Ints:
    """The column of the screen of each time."""
    at: Ints = np.clip((times - low) * (columns / max(high - low, 1)), 0, columns - 1).astype(np.int64)
    return at


def _envelope(times: Ints, values: Ints, low: float, high: float, columns: int) -> tuple[Floats, Floats]:
    """A line that keeps each value until the next one comes; of each column of the screen the lowest value and the highest."""
    rows = np.flatnonzero((times >= low) & (times <= high))
    before = np.flatnonzero(times < low)
    begin = values[before[-1]] if len(before) else None
    if not len(rows):  # nothing happens here: it stays where it was
        return _nothing() if begin is None else (np.array([low, high]), np.array([begin, begin], float))
    at = _columns(times[rows], low, high, columns)
    lowest, highest = np.full(columns, np.iinfo(np.int64).max), np.full(columns, np.iinfo(np.int64).min)
    np.minimum.at(lowest, at, values[rows])
    np.maximum.at(highest, at, values[rows])
    used = np.flatnonzero(highest >= lowest)
    last = np.zeros(columns, np.int64)
    last[at] = values[rows]  # of several the last one stays
    held = np.concatenate(([lowest[used[0]] if begin is None else begin], last[used[:-1]]))
    x = np.repeat(low + (used + 0.5) * (high - low) / columns, 4)
    y = np.stack((held, lowest[used], highest[used], last[used]), 1).ravel().astype(float)
    if begin is not None:
        x, y = np.concatenate(([low], x)), np.concatenate(([float(begin)], y))
    if rows[-1] + 1 < len(times):
        x, y = np.concatenate((x, [high])), np.concatenate((y, y[-1:]))
    return x, y


def _points(times: Ints, values: Ints, low: float, high: float, columns: int) -> tuple[Floats, Floats]:
    """Single points, those that would fall together on the screen once."""
    rows = np.flatnonzero((times >= low) & (times <= high))
    if not len(rows):
        return _nothing()
    levels = max(int(values.max() - values.min()) // LEVELS, 1)
    key = _columns(times[rows], low, high, columns) * (LEVELS + 2) + (values[rows] - values.min()) // levels
    _, first = np.unique(key, return_index=True)
    return times[rows[first]].astype(float), values[rows[first]].astype(float)


def _nothing() -> tuple[Floats, Floats]:
    return np.zeros(0), np.zeros(0)
