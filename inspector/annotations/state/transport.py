"""What TCP remembers of a connection at a packet, as far as its segments show it (RFC 9293, 3.3.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from inspector.annotations.findings.finding import Connection
from inspector.annotations.state.fact import CANNOT_TELL, CLIENT, SERVER, Fact
from inspector.annotations.story.step import duration
from inspector.annotations.story.transport import Ends
from inspector.core.tcp_flags import ACK, FIN, SYN
from inspector.core.text import counted
from inspector.streams.analysis import RESENT, distance
from inspector.streams.tcp_states import State

LEAST_RTO_NS = 1_000_000_000  # RFC 6298, 2.4
HALF, SPACE = 0x80000000, 0xFFFFFFFF  # of the sequence numbers
Ints = npt.NDArray[np.int64]


def tcp(ends: Ends, number: int) -> Iterator[Fact]:
    """The state of both ends once packet `number` has arrived."""
    c = ends.connection
    count = int(np.searchsorted(c.packet, number, "right"))
    if not count:
        return
    now = c.tcp.states.at(number)
    for side in (ends.client, 1 - ends.client):
        holder = CLIENT if side == ends.client else SERVER
        changes = [change for change in c.tcp.states.transitions if change.end == side and change.packet <= number]
        changed = changes[-1].packet if changes else 0
        title = now[side].title if now[side] is not State.UNKNOWN else CANNOT_TELL
        yield Fact(4, "TCP", holder, "state", title, changed, changes[-1].step.reference if changes else "RFC 9293, 3.3.2")
        yield from _sending(c, side, count, holder)


def _sending(c: Connection, side: int, count: int, holder: str) -> Iterator[Fact]:
    """What this side has sent, what of it is acknowledged, and what the other side lets it send."""
    own = np.flatnonzero(c.direction[:count] == side)
    peer = np.flatnonzero(c.direction[:count] != side)
    acked = peer[c.flags[peer] & ACK != 0]
    if len(own) and len(acked):
        ends = c.sequence[own] + c.length[own] + (c.flags[own] & (SYN | FIN) != 0)
        last, best = _furthest(ends), _furthest(c.acknowledgement[acked])
        flight = max(distance(int(ends[last]) & SPACE, int(c.acknowledgement[acked[best]])), 0)
        newest = int(c.packet[max(own[last], acked[best])])
        yield Fact(4, "TCP", holder, "sent and not acknowledged", counted(flight, "byte"), newest, "RFC 9293, 3.3.1")
        row = int(peer[-1])
        shift = int(c.capture.index.flows.shift[c.flow][1 - side])
        window = int(c.window[row])
        if c.flags[row] & SYN or shift == -2:
            words = counted(window, "byte")
        else:
            words = counted(window << shift, "byte") if shift >= 0 else f"{window:,} units, whose size {CANNOT_TELL}"
        yield Fact(4, "TCP", holder, "may have in flight", words, int(c.packet[row]), "RFC 9293, 3.8.6; RFC 7323, 2")
    resent = own[c.marks[own] & int(RESENT) != 0]
    if len(resent):
        yield Fact(
            4, "TCP", holder, "sent again so far", counted(len(resent), "segment"), int(c.packet[resent[-1]]), "RFC 6298, 5"
        )
    samples, packet = _samples(c, own, peer)
    if len(samples):
        yield Fact(4, "TCP", holder, "round trip, last measured", duration(samples[-1]), packet, "RFC 6298, 3")
        timer = _timer(samples)
        words = f"{duration(timer)} by the formula, from {counted(len(samples), 'round trip')} seen here"
        if timer < LEAST_RTO_NS:
            words += "; the RFC raises it to 1.00 s, systems use less"
        words += ". What this end really waits is in no packet until it sends again"
        yield Fact(4, "TCP", holder, "retransmission time-out, an estimate", words, packet, "RFC 6298, 2")


def _furthest(numbers: Ints) -> int:
    """The row of the largest of these sequence numbers, seen from the first one."""
    return int(np.argmax((numbers - numbers[0] + HALF & SPACE) - HALF))


def _samples(c: Connection, own: Ints, peer: Ints) -> tuple[list[int], int]:
    """Round trips in nanoseconds, and the packet of the last one. A segment that was sent more than once gives none: nobody
    knows which copy an acknowledgement is for (Karn; RFC 6298, 3)."""
    acks, times = (np.asarray(column, np.int64) for column in c.tcp.analysis.round_trips)
    rows = peer[times[peer] > 0]
    _, first, counts = np.unique(c.sequence[own] << 32 | c.length[own], return_inverse=True, return_counts=True)
    once = np.zeros(len(c.packet), np.bool_)
    once[own] = counts[first] == 1
    rows = rows[once[np.searchsorted(c.packet, acks[rows])]]
    return times[rows].tolist(), int(c.packet[rows[-1]]) if len(rows) else 0


def _timer(samples: list[int]) -> int:
    """The retransmission time-out in nanoseconds after these round trips (RFC 6298, 2.2 and 2.3), not raised to its least."""
    smooth, variation = float(samples[0]), samples[0] / 2
    for sample in samples[1:]:
        variation = 0.75 * variation + 0.25 * abs(smooth - sample)
        smooth = 0.875 * smooth + 0.125 * sample
    return round(smooth + 4 * variation)
