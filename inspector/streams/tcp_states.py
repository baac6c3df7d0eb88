"""The state of both ends of a TCP connection, packet by packet (RFC 9293, 3.3.2 and figure 5).

A capture shows segments, not sockets: the state given for a packet is the one that holds once it has arrived. What the
capture cannot tell is UNKNOWN: an end is known from its SYN on, or from the moment both ends have sent data. Not here:
simultaneous open ends in ESTABLISHED like the ordinary one; time-outs, which no segment shows (TIME-WAIT stays).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from enum import IntEnum
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.streams.analysis import Segment, distance

Int64s = npt.NDArray[np.int64]


class State(IntEnum):
    UNKNOWN, SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT, CLOSED = (
        range(11)
    )

    @property
    def title(self) -> str:
        """As the RFC writes it: `FIN-WAIT-1`."""
        return self.name.replace("_", "-")


class Event(IntEnum):
    """What happens to an end: it sends something, or something reaches it."""

    SENDS_SYN, SENDS_SYN_ACK, SENDS_ACK, SENDS_FIN, SENDS_RST = range(5)
    GETS_SYN, GETS_SYN_ACK, GETS_ACK_OF_SYN, GETS_FIN, GETS_ACK_OF_FIN, GETS_RST = range(5, 11)
    DATA_BOTH_WAYS = 11


class Step(NamedTuple):
    """A transition: the state it leads to, why, and where the RFC says so."""

    to: State
    why: str
    reference: str


S, E = State, Event
_OPEN, _CLOSE, _ARRIVES, _RESET = "RFC 9293, 3.5", "RFC 9293, 3.6", "RFC 9293, 3.10.7", "RFC 9293, 3.5.2"
_RESET_SENT = Step(
    S.CLOSED, "it gives the connection up with a reset: what it had still to send is dropped", "RFC 9293, 3.6.1 and 3.10.5"
)
_RESET_LATE = Step(
    S.CLOSED, "it had closed its side already; the reset says that nobody is there to read what still comes", "RFC 9293, 3.6.1"
)
_AFTER_FIN = (S.FIN_WAIT_1, S.FIN_WAIT_2, S.CLOSING, S.LAST_ACK, S.TIME_WAIT)
_RESET_CAME = Step(
    S.CLOSED, "the other end reset the connection: whatever was not read or acknowledged is lost", "RFC 9293, 3.10.7.4"
)
TABLE: dict[tuple[State, Event], Step] = {
    (S.UNKNOWN, E.SENDS_SYN): Step(S.SYN_SENT, "it asks for a connection and waits for the answer", _OPEN),
    (S.UNKNOWN, E.SENDS_SYN_ACK): Step(S.SYN_RECEIVED, "it listened, and agrees to the connection", _OPEN),
    (S.UNKNOWN, E.DATA_BOTH_WAYS): Step(
        S.ESTABLISHED, "both ends have sent data, so neither has closed; the handshake is not in this capture", _OPEN
    ),
    (S.SYN_SENT, E.SENDS_SYN_ACK): Step(S.SYN_RECEIVED, "it answers a SYN that crossed its own", _OPEN),
    (S.SYN_SENT, E.GETS_SYN): Step(S.SYN_RECEIVED, "both ends asked at once: a simultaneous open", _OPEN),
    (S.SYN_SENT, E.GETS_SYN_ACK): Step(S.ESTABLISHED, "its SYN is answered: it may send", _ARRIVES),
    (S.SYN_SENT, E.SENDS_ACK): Step(
        S.ESTABLISHED, "it acknowledges, so its SYN was answered; the answer is not in this capture", _ARRIVES
    ),
    (S.SYN_RECEIVED, E.GETS_SYN_ACK): Step(S.ESTABLISHED, "its SYN is acknowledged in a simultaneous open", _ARRIVES),
    (S.SYN_RECEIVED, E.GETS_ACK_OF_SYN): Step(S.ESTABLISHED, "its SYN is acknowledged: the handshake is complete", _ARRIVES),
    (S.SYN_RECEIVED, E.SENDS_FIN): Step(S.FIN_WAIT_1, "it closes before the handshake is complete", _CLOSE),
    (S.SYN_RECEIVED, E.GETS_FIN): Step(S.CLOSE_WAIT, "the other end has nothing more to send", _ARRIVES),
    (S.ESTABLISHED, E.SENDS_FIN): Step(S.FIN_WAIT_1, "it has nothing more to send; it can still receive", _CLOSE),
    (S.ESTABLISHED, E.GETS_FIN): Step(S.CLOSE_WAIT, "the other end has nothing more to send; this one may go on", _ARRIVES),
    (S.FIN_WAIT_1, E.GETS_ACK_OF_FIN): Step(S.FIN_WAIT_2, "its FIN is acknowledged; the other end may still send", _ARRIVES),
    (S.FIN_WAIT_1, E.GETS_FIN): Step(S.CLOSING, "both ends closed at the same time", _ARRIVES),
    (S.FIN_WAIT_2, E.GETS_FIN): Step(
        S.TIME_WAIT, "both directions are closed; it waits two segment lifetimes, since it closed first", "RFC 9293, 3.6.1"
    ),
    (S.CLOSING, E.GETS_ACK_OF_FIN): Step(S.TIME_WAIT, "its FIN is acknowledged too; it waits two segment lifetimes", _ARRIVES),
    (S.CLOSE_WAIT, E.SENDS_FIN): Step(S.LAST_ACK, "it closes its direction as well, and waits for one last ACK", _CLOSE),
    (S.LAST_ACK, E.GETS_ACK_OF_FIN): Step(S.CLOSED, "its FIN is acknowledged: nothing is left to remember", _ARRIVES),
    (S.CLOSED, E.SENDS_SYN): Step(S.SYN_SENT, "it asks for a connection again", _OPEN),
    (S.CLOSED, E.SENDS_SYN_ACK): Step(S.SYN_RECEIVED, "it listened again, and agrees to the connection", _OPEN),
    **{(state, E.SENDS_RST): _RESET_SENT for state in (S.SYN_RECEIVED, S.ESTABLISHED, S.CLOSE_WAIT)},
    **{(state, E.SENDS_RST): _RESET_LATE for state in _AFTER_FIN},
    **{(state, E.GETS_RST): _RESET_CAME for state in State if state not in (S.SYN_SENT, S.CLOSED, S.TIME_WAIT)},
    (S.TIME_WAIT, E.GETS_RST): Step(S.CLOSED, "a reset ends the wait before its time", "RFC 9293, 3.10.7.4; RFC 1337, 2"),
    (S.UNKNOWN, E.SENDS_RST): Step(S.CLOSED, "it has no such connection, or gives it up", _RESET),
    (S.SYN_SENT, E.GETS_RST): Step(
        S.CLOSED, "its SYN is answered with a reset: nobody listens there, or something refuses", "RFC 9293, 3.10.7.3"
    ),
}
# What may come again, or without effect, in a state: a resend, an acknowledgement of what was acknowledged before, a reset
# that answers a reset, or, while a SYN waits for its answer, one that answers what is of another connection (RFC 9293, 3.5.2).
_SYNCHRONISED = (S.ESTABLISHED, S.FIN_WAIT_1, S.FIN_WAIT_2, S.CLOSE_WAIT, S.CLOSING, S.LAST_ACK, S.TIME_WAIT)
STAYS: frozenset[tuple[State, Event]] = frozenset({
    *((state, E.DATA_BOTH_WAYS) for state in State if state is not S.UNKNOWN),
    *((state, E.SENDS_ACK) for state in State if state is not S.SYN_SENT),
    *((S.UNKNOWN, event) for event in Event if (S.UNKNOWN, event) not in TABLE),
    (S.SYN_SENT, E.SENDS_SYN), (S.SYN_SENT, E.SENDS_RST), (S.SYN_RECEIVED, E.SENDS_SYN_ACK), (S.SYN_RECEIVED, E.GETS_SYN),
    (S.ESTABLISHED, E.SENDS_SYN_ACK),
    *((state, E.GETS_SYN_ACK) for state in _SYNCHRONISED), *((state, E.GETS_ACK_OF_SYN) for state in _SYNCHRONISED),
    *((state, E.SENDS_FIN) for state in (S.FIN_WAIT_1, S.FIN_WAIT_2, S.CLOSING, S.LAST_ACK, S.TIME_WAIT, S.CLOSED)),
    *((state, E.GETS_FIN) for state in (S.CLOSE_WAIT, S.CLOSING, S.LAST_ACK, S.TIME_WAIT, S.CLOSED)),
    *((state, E.GETS_ACK_OF_FIN) for state in (S.FIN_WAIT_2, S.TIME_WAIT, S.CLOSED)),
    (S.CLOSED, E.GETS_SYN), (S.CLOSED, E.SENDS_RST), (S.CLOSED, E.GETS_RST), (S.CLOSED, E.GETS_ACK_OF_SYN),
})  # fmt: skip


class Transition(NamedTuple):
    """An end (direction 0 or 1 of the flow) changes its state with a packet; `event` is what it did or got."""

    packet: int
    end: int
    before: State
    event: Event
    step: Step


class States:
    """Both ends' states, fed with the segments in packet order."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.unexpected: list[tuple[int, str]] = []  # (packet, what does not fit the state)
        self.closed_first: int | None = None  # the end that sent the first FIN or the reset
        self.closed_at = 0  # the packet with which it did
        self.closed_by: str = ""  # "FIN" or "RST", "" while nobody has closed
        self.completeness = 0  # as tcp.completeness: SYN 1, SYN ACK 2, ACK 4, data 8, FIN 16, RST 32
        self._now = [S.UNKNOWN, S.UNKNOWN]
        self._changes = array("q")  # packets at which a state changed, with the states after it
        self._after: list[tuple[State, State]] = []
        self._syn_end: list[int | None] = [None, None]
        self._fin_end: list[int | None] = [None, None]
        self._fin_acked = [False, False]
        self._data = [False, False]

    def at(self, packet: int) -> tuple[State, State]:
        """The states of the ends (senders of direction 0 and 1) once the packet has arrived."""
        row = bisect_right(self._changes, packet) - 1
        return self._after[row] if row >= 0 else (S.UNKNOWN, S.UNKNOWN)

    def changes(self, packet: int) -> list[Transition]:
        """The transitions that a packet brings."""
        low = bisect_left(self.transitions, packet, key=lambda change: change.packet)
        return list(takewhile(lambda change: change.packet == packet, self.transitions[low : low + 4]))

    def steady(self, directions: Int64s, lengths: Int64s) -> int:
        """How many of these segments, which carry ACK and no SYN, FIN or RST, are known beforehand to change no state."""
        for state, fin, acked in zip(self._now, self._fin_end, self._fin_acked, strict=True):
            if state is S.SYN_RECEIVED or (state, E.SENDS_ACK) not in STAYS or (fin is not None and not acked):
                return 0
        if self._fin_end != [None, None] or all((state, E.DATA_BOTH_WAYS) in STAYS for state in self._now):
            return len(lengths)
        first = 0
        for end in (0, 1):
            if not self._data[end]:
                found = np.flatnonzero((directions == end) & (lengths > 0))
                first = max(first, int(found[0]) if len(found) else len(lengths))
        return first

    def skip(self, directions: Int64s, lengths: Int64s) -> None:
        """Segments that are steady."""
        filled = lengths > 0
        for end in (0, 1):
            self._data[end] = self._data[end] or bool((filled & (directions == end)).any())
        self.completeness |= (8 if filled.any() else 0) | (0 if filled.all() else 4)

    def feed(self, s: Segment) -> None:
        """One more segment."""
        end, other = s.direction, 1 - s.direction
        self._complete(s)
        if s.flags & SYN:
            self._syn_end[end] = s.sequence + 1 & 0xFFFFFFFF
            answer = bool(s.flags & ACK)
            self._happens(s, end, E.SENDS_SYN_ACK if answer else E.SENDS_SYN)
            self._happens(s, other, E.GETS_SYN_ACK if answer else E.GETS_SYN)
        if s.flags & RST:
            self._closes(end, "RST", s.packet)
            self._happens(s, end, E.SENDS_RST)
            self._happens(s, other, E.GETS_RST)
            return
        if s.flags & FIN:
            self._closes(end, "FIN", s.packet)
            self._fin_end[end] = s.sequence + s.length + 1 & 0xFFFFFFFF
            self._happens(s, end, E.SENDS_FIN)
        if s.flags & ACK and not s.flags & SYN:
            self._happens(s, end, E.SENDS_ACK)
            self._acknowledged(s, other)
        if s.flags & FIN:
            self._happens(s, other, E.GETS_FIN)
        if s.length and not s.flags & (SYN | FIN):
            self._data[end] = True
            if all(self._data) and self._fin_end == [None, None]:  # who has sent FIN may be at any place of its close
                for each in (0, 1):
                    self._happens(s, each, E.DATA_BOTH_WAYS)

    def _acknowledged(self, s: Segment, end: int) -> None:
        """`s` acknowledges what `end` sent: its SYN, its FIN."""
        syn, fin = self._syn_end[end], self._fin_end[end]
        if syn is not None and self._now[end] is S.SYN_RECEIVED and distance(s.acknowledgement, syn) >= 0:
            self._happens(s, end, E.GETS_ACK_OF_SYN)
        if fin is not None and not self._fin_acked[end] and distance(s.acknowledgement, fin) >= 0:
            self._fin_acked[end] = True
            self._happens(s, end, E.GETS_ACK_OF_FIN)

    def _closes(self, end: int, how: str, packet: int) -> None:
        if self.closed_first is None:
            self.closed_first, self.closed_by, self.closed_at = end, how, packet

    def _complete(self, s: Segment) -> None:
        bits = 0
        if s.flags & SYN:
            bits = 2 if s.flags & ACK else 1
        elif s.flags & ACK and not s.flags & (FIN | RST) and not s.length:
            bits = 4
        self.completeness |= bits | (8 if s.length else 0) | (16 if s.flags & FIN else 0) | (32 if s.flags & RST else 0)

    def _happens(self, s: Segment, end: int, event: Event) -> None:
        before = self._now[end]
        step = TABLE.get((before, event))
        if step is None:
            if (before, event) not in STAYS:
                what = event.name.lower().replace("_", " ")
                text = f"an end in {before.title} {what}: the state machine of RFC 9293 has no such step"
                self.unexpected.append((s.packet, text))
            return
        if step.to is before:
            return
        self._now[end] = step.to
        self.transitions.append(Transition(s.packet, end, before, event, step))
        now = (self._now[0], self._now[1])
        if self._changes and self._changes[-1] == s.packet:
            self._after[-1] = now
        else:
            self._changes.append(s.packet)
            self._after.append(now)
