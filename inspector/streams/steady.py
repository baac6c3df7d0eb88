"""Runs of segments of which TCP analysis has nothing to say but times: in order, nothing lost, nothing resent, windows open.

Such a run is worked out from its columns at once, with the very results that `Analysis.feed` has for its segments one by one;
the first segment that needs a rule ends it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.core.limits import MAX_UNACKNOWLEDGED
from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.streams.analysis import Analysis, Mark, Side, Waiting, distance
from inspector.streams.segments import Int64s, Part

NEAR = 1 << 30  # bytes between two numbers of one direction that belong together
_HALF, _MASK = 1 << 31, 0xFFFFFFFF
Flags = npt.NDArray[np.bool_]


def take(analysis: Analysis, part: Part) -> int:
    """Give the analysis the segments at the start of `part` that are steady; returns how many these are."""
    sides = analysis.sides
    if not (analysis.settled and len(part) and all(_calm(sides[end], sides[1 - end]) for end in (0, 1))):
        return 0
    run = _Run(analysis, part)
    while 0 < run.steady < len(run.part):
        run = _Run(analysis, run.part.slice(0, run.steady))
    if run.steady:
        run.keep()
    return run.steady


def _silent(side: Side) -> bool:
    return not side.next and side.window < 0 and not side.waiting


def _calm(own: Side, peer: Side) -> bool:
    """What this side has said is all in order, and leaves no rule something to wait for."""
    if _silent(own):
        return True
    if not own.next or own.to_be_acked != own.next or own.window <= 0 or not own.flight_known or not own.ordered:
        return False
    if own.sack or own.marks & (Mark.KEEP_ALIVE | Mark.ZERO_WINDOW_PROBE):
        return False
    waiting = own.waiting
    if waiting and not (distance(own.next, waiting[-1].stop) >= 0 and 0 <= distance(own.next, waiting[0].start) < NEAR):
        return False
    if _silent(peer):
        return True
    return 0 <= distance(own.next, peer.last_ack) < NEAR and (not waiting or distance(waiting[0].stop, peer.last_ack) > 0)


class _Run:
    """The columns of segments that may be steady, and how many at their start are. Numbers count from the `next` of the
    direction that they belong to, without wrapping."""

    def __init__(self, analysis: Analysis, part: Part) -> None:
        self.analysis = analysis
        self.part = part
        self.mine = [part.direction == end for end in (0, 1)]
        self.rows = [np.flatnonzero(mine) for mine in self.mine]
        self.data = part.length > 0
        self.sent = [np.cumsum(np.where(mine, part.length, 0)) for mine in self.mine]  # where each direction has come to
        self.ack = np.zeros(len(part), np.int64)
        self.prior = np.zeros(len(part), np.int64)  # what the segment before of the same sender acknowledged
        self.marks = np.zeros(len(part), np.uint16)
        self.looked = np.zeros(len(part), bool)
        good = (part.flags & (SYN | FIN | RST | ACK)) == ACK
        good &= part.bare & (part.window > 0) & (part.sequence != 0)
        for end in (0, 1):
            self._numbers(end, good)
        bad = np.flatnonzero(~good)
        self.steady = int(bad[0]) if len(bad) else len(part)
        if self.steady == len(part):
            for end in (0, 1):
                self._windows(end)
            self.waits = [_Waits(self, end) for end in (0, 1)]
            self.steady = min(self.steady, *(waits.room for waits in self.waits))

    def _numbers(self, end: int, good: Flags) -> None:
        """Which segments of one sender follow their predecessor and acknowledge what was seen."""
        part, rows = self.part, self.rows[end]
        own, peer = self.analysis.sides[end], self.analysis.sides[1 - end]
        if not len(rows):
            return
        if _silent(own):
            good[rows] = False
            return
        before = self.sent[end][rows] - part.length[rows]
        fine = part.sequence[rows] == (own.next + before & _MASK)
        acknowledged = part.acknowledgement[rows]
        if not _silent(peer):
            there = self.sent[1 - end][rows]
            behind = (there + peer.next - acknowledged) & _MASK
            fine &= behind < NEAR
            self.ack[rows] = there - behind
            first = distance(own.last_ack, peer.next)
            prior = _shifted(self.ack[rows], first)
            fine &= self.ack[rows] >= prior
            self.prior[rows] = prior
            same = self.ack[rows] == prior
        else:
            same = acknowledged == _shifted(acknowledged, own.last_ack)
            self.ack[rows] = ~same  # only whether it has changed counts
        pure = ~self.data[rows]
        alike = part.window[rows] == _shifted(part.window[rows], own.window)
        good[rows] &= fine & ~(pure & same & alike)  # such a one is a duplicate acknowledgement
        self.marks[rows] = np.where(pure & same & ~alike, int(Mark.WINDOW_UPDATE), 0)
        self.looked[rows] = pure & (acknowledged >= _shifted(acknowledged, own.last_ack))

    def _windows(self, end: int) -> None:
        """Which data fill the window that the other end has given last."""
        part, peer = self.part, self.analysis.sides[1 - end]
        rows = self.rows[end][self.data[self.rows[end]]]
        edges = np.full(len(self.rows[1 - end]) + 1, -1, np.int64)
        if peer.edge is not None:
            edges[0] = peer.edge
        if peer.scale != -1:
            answers = self.rows[1 - end]
            edges[1:] = part.acknowledgement[answers] + (part.window[answers] << max(peer.scale, 0)) & _MASK
        last = np.searchsorted(self.rows[1 - end], rows)  # answers before it; edges[0] stands before them all
        full = edges[last] == (part.sequence[rows] + part.length[rows] & _MASK)
        self.marks[rows[full]] |= int(Mark.WINDOW_FULL)

    def keep(self) -> None:
        """Add the results to the analysis, and leave the sides as their last segments do."""
        part, analysis = self.part, self.analysis
        acks, rtt, flight = (np.zeros(len(part), np.int64) for _ in range(3))
        for end in (0, 1):
            self.waits[end].fill(acks, rtt, flight)
        looked = self.looked | (self.marks > 0) | (acks > 0) | (flight > 0)
        analysis.extend(part.packet, part.time_ns, self.marks, acks, rtt, flight, looked)
        for end in (0, 1):
            self.waits[end].keep()
            self._leave(end)

    def _leave(self, end: int) -> None:
        part, rows, side = self.part, self.rows[end], self.analysis.sides[end]
        if not len(rows):
            return
        last, filled = int(rows[-1]), rows[self.data[rows]]
        if len(filled):
            final = int(filled[-1])
            side.next = side.to_be_acked = side.next + int(self.sent[end][-1]) & _MASK
            side.next_packet, side.next_ns = int(part.packet[final]), int(part.time_ns[final])
        acknowledged = part.acknowledgement[rows]
        changed = np.flatnonzero(acknowledged != _shifted(acknowledged, side.last_ack))
        if len(changed):
            side.first_ack_packet, side.duplicates = int(part.packet[rows[changed[-1]]]), 0
        side.window, side.window_scaled = int(part.window[last]), True
        side.last_ack, side.last_ns = int(part.acknowledgement[last]), int(part.time_ns[last])
        side.marks = Mark(int(self.marks[last]))


class _Waits:
    """The segments of one direction that wait for their acknowledgement, from before the run and from inside it."""

    def __init__(self, run: _Run, end: int) -> None:
        self.run = run
        self.side = side = run.analysis.sides[end]
        part, sent = run.part, run.sent[end]
        self.rows = run.rows[end][run.data[run.rows[end]]]
        self.answers = run.rows[1 - end]
        old = side.waiting
        self.full = len(old) >= MAX_UNACKNOWLEDGED
        new = self.rows[:0] if self.full else self.rows
        self.stops = np.concatenate([_column([distance(one.stop, side.next) for one in old]), sent[new]])
        self.starts = np.concatenate([_column([distance(one.start, side.next) for one in old]), sent[new] - part.length[new]])
        self.packets = np.concatenate([_column([one.packet for one in old]), part.packet[new]])
        self.times = np.concatenate([_column([one.time_ns for one in old]), part.time_ns[new]])
        self.gone = np.searchsorted(self.stops, run.ack[self.answers], "right")  # acknowledged, by the answers
        if _silent(side):
            self.gone[:] = 0
        self.before = np.concatenate([np.zeros(1, np.int64), self.gone])[np.searchsorted(self.answers, self.rows)]
        self.room = self._room(len(old))

    def _room(self, old: int) -> int:
        """How many segments of the run there are before the wait is too long, or no longer too long."""
        if self.full:
            freed = np.flatnonzero(self.gone)
            return int(self.answers[freed[0]]) if len(freed) else len(self.run.part)
        over = np.flatnonzero(old + np.arange(len(self.rows)) - self.before >= MAX_UNACKNOWLEDGED)
        return int(self.rows[over[0]]) if len(over) else len(self.run.part)

    def fill(self, acks: Int64s, rtt: Int64s, flight: Int64s) -> None:
        """Say what the answers acknowledge, and how many bytes are under way after each segment with data."""
        run, answers = self.run, self.answers
        if len(self.stops) and len(answers):
            number = run.ack[answers]
            at = np.minimum(np.searchsorted(self.stops, number), len(self.stops) - 1)
            found = (number > run.prior[answers]) & (self.stops[at] == number)
            if not _silent(self.side):
                acks[answers[found]] = self.packets[at[found]]
                rtt[answers[found]] = run.part.time_ns[answers[found]] - self.times[at[found]]
        if len(self.rows):
            last = self.stops[-1] if self.full else self.stops[len(self.stops) - len(self.rows) :]
            size = last - self.starts[self.before] & _MASK
            flight[self.rows] = np.where(size < _HALF, size, 0)

    def keep(self) -> None:
        """Leave those waiting that nobody has acknowledged."""
        if _silent(self.side):
            return
        if self.full and len(self.rows):
            self.side.unwatched = self.side.unwatched or int(self.run.part.packet[self.rows[0]])
        gone, waiting = int(self.gone[-1]) if len(self.gone) else 0, self.side.waiting
        old = len(waiting)
        for _ in range(min(gone, old)):
            waiting.popleft()
        if not self.full:
            rest = slice(max(gone, old), None)
            base = self.side.next
            columns = (self.starts[rest] + base & _MASK, self.stops[rest] + base & _MASK, self.packets[rest], self.times[rest])
            waiting.extend(map(Waiting._make, zip(*(column.tolist() for column in columns), strict=True)))


def _shifted(values: Int64s, first: int) -> Int64s:
    """Each value's predecessor."""
    return np.concatenate([np.array([first], np.int64), values[:-1]])


def _column(values: list[int]) -> Int64s:
    return np.array(values, np.int64)
