"""Findings about TCP connections: how they open, stall and lose. Each rule sees one connection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.annotations.findings.finding import MS, Connection, Finding, milliseconds
from inspector.core.layer import Severity
from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.streams.analysis import Mark
from inspector.streams.tcp_states import State

DELAYED_ACK_NS = (30 * MS, 500 * MS)  # 40 ms on Linux, 200 on Windows; RFC 1122, 4.2.3.2 allows less than 500
SMALL = 1000  # bytes: a write that does not fill a segment on any common path
NAGLE_TIMES = 3  # once or twice is chance
STALL_NS = 200 * MS  # the least retransmission time-out of Linux; RFC 6298, 2.4 says a second
ZERO_WINDOW_NS = 200 * MS  # shorter, and the reader was merely late
FULL_TIMES = 3
SYN_AGAIN = 2  # one SYN without an answer may have met the end of the capture
BLACK_HOLE_RESENDS = 3
IDLE_CUTS_S = (5, 10, 15, 30, 60, 75, 90, 120, 180, 240, 300, 350, 600, 900, 3600)  # usual idle time-outs
IDLE_SHARE = 0.02  # how close to one of them a silence must be


def nagle_delayed_ack(c: Connection) -> Iterator[Finding]:
    """A small write waits for the acknowledgement of the small write before it, which the receiver delays."""
    if c.size < 3 or c.misses_packets:
        return
    bare = (c.length == 0) & (c.flags & (SYN | FIN | RST | ACK) == ACK)
    small = (c.length > 0) & (c.length < SMALL)
    held, acks, freed = slice(0, c.size - 2), slice(1, c.size - 1), slice(2, c.size)
    waited, then = c.time[acks] - c.time[held], c.time[freed] - c.time[acks]
    pattern = (
        small[held] & bare[acks] & (c.length[freed] > 0)
        & (c.direction[held] != c.direction[acks]) & (c.direction[held] == c.direction[freed])
        & (waited >= DELAYED_ACK_NS[0]) & (waited <= DELAYED_ACK_NS[1]) & (then * 4 < waited)
    )  # fmt: skip
    for sender in (0, 1):
        rows = np.flatnonzero(pattern & (c.direction[held] == sender))
        if len(rows) >= NAGLE_TIMES:
            lost = int(waited[rows].sum())
            cause = (
                f"{c.who(sender)} holds a write back until the one before is acknowledged (Nagle), and {c.who(1 - sender)}"
                f" delays that acknowledgement: {len(rows)} times, {milliseconds(lost)} in all"
            )
            cure = "write a message with one call, or set TCP_NODELAY on the sender"
            reference = "RFC 9293, 3.7.4; RFC 1122, 4.2.3.2"
            yield c.finding("nagle-delayed-ack", Severity.WARNING, rows + 1, cause, cure, reference, len(rows))


def zero_window(c: Connection) -> Iterator[Finding]:
    """The receiver's buffer is full: the sender may not send."""
    for reader in (0, 1):
        rows = np.flatnonzero((c.direction == reader) & (c.flags & (SYN | FIN | RST) == 0))
        closed = c.window[rows] == 0
        starts = np.flatnonzero(closed & ~np.concatenate([[False], closed[:-1]]))
        total, evidence, open_end = 0, [], False
        for start in starts:
            later = np.flatnonzero(~closed[start:])
            stop = int(rows[start + later[0]]) if len(later) else c.size - 1
            total += int(c.time[stop] - c.time[rows[start]])
            evidence += [int(rows[start]), stop]
            open_end = not len(later)
        if not len(starts):
            continue
        long = total >= ZERO_WINDOW_NS
        cause = (
            f"{c.who(reader)} does not read what it gets: its window was closed {_times(len(starts))},"
            f" for {milliseconds(total)}"
            + (", until the end of the capture" if open_end else "")
        )
        cure = f"look at what {c.who(reader)} does instead of reading; a larger buffer only delays this"
        severity = Severity.ERROR if long else Severity.NOTE
        yield c.finding("zero-window", severity, evidence, cause, cure, "RFC 9293, 3.8.6", len(starts))


def window_limited(c: Connection) -> Iterator[Finding]:
    """The sender again and again uses all of the window, and nothing is lost: the window is the limit."""
    full = c.marked(Mark.WINDOW_FULL)
    for sender in (0, 1):
        rows = full[c.direction[full] == sender]
        if len(rows) >= FULL_TIMES and not len(c.marked(Mark.ZERO_WINDOW | Mark.RETRANSMISSION)):
            cause = f"{c.who(sender)} filled the window of {c.who(1 - sender)} {len(rows)} times and had to wait each time"
            cure = f"a larger receive buffer at {c.who(1 - sender)}: the window should be bandwidth times round trip"
            yield c.finding("window-limited", Severity.NOTE, rows, cause, cure, "RFC 7323, 1.1", len(rows))


def loss(c: Connection) -> Iterator[Finding]:
    """What was lost and how it came again: after a time-out, or quickly, told by duplicate acknowledgements."""
    if c.misses_packets:
        return
    stalls, fast = [], []
    for row in c.marked(Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION):
        found = c.tcp.analysis.of(int(c.packet[row]))
        assert found is not None
        if found.marks & Mark.FAST_RETRANSMISSION:
            fast.append(row)
        elif found.rto >= STALL_NS and not c.flags[row] & SYN:
            stalls.append((row, found.rto))
    if stalls:
        rows = [row for row, _ in stalls]
        cause = (
            f"{c.who(int(c.direction[rows[0]]))} waited for a time-out before it sent again: {_times(len(stalls))},"
            f" {milliseconds(max(rto for _, rto in stalls))} at the longest; no acknowledgement told it of the loss sooner"
        )
        cure = "look for loss on the path; short flows at their last segment suffer most (tail loss)"
        yield c.finding("rto-stall", Severity.WARNING, rows, cause, cure, "RFC 6298, 2 and 5", len(stalls))
    if fast:
        cause = f"{_times(len(fast))} a segment was missing and was sent again at once: acknowledgements told of the hole"
        cure = "nothing to mend in the programs; the path loses or reorders segments"
        yield c.finding("fast-recovery", Severity.NOTE, fast, cause, cure, "RFC 5681, 3.2", len(fast))


def unanswered(c: Connection) -> Iterator[Finding]:
    """A SYN that nobody answers, or that is refused."""
    if c.client < 0:
        return
    syns = np.flatnonzero((c.flags & (SYN | ACK) == SYN) & (c.direction == c.client))
    answered = np.flatnonzero(c.direction == c.server)
    if not len(answered):
        if len(syns) >= SYN_AGAIN:
            waited = int(c.time[syns[-1]] - c.time[syns[0]])
            cause = f"{c.end(c.server)} did not answer {len(syns)} SYNs within {milliseconds(waited)}"
            cure = "a filter drops them, the host is down, or the queue of the listening socket is full: look there"
            yield c.finding("syn-unanswered", Severity.ERROR, syns, cause, cure, "RFC 9293, 3.5", len(syns))
        return
    first = int(answered[0])
    if c.flags[first] & RST and c.tcp.states.at(int(c.packet[first]))[c.client] is State.CLOSED and first <= len(syns):
        cause = f"{c.end(c.server)} refused the connection with a reset: nobody listens on that port, or a firewall says so"
        cure = "start the service, or correct the port"
        yield c.finding("connection-refused", Severity.ERROR, [first, *syns], cause, cure, "RFC 9293, 3.10.7.1")


def black_hole(c: Connection) -> Iterator[Finding]:
    """Large segments are sent again and again and small ones pass: something on the way drops what is large."""
    if c.misses_packets or c.size < 5:
        return
    resent = c.marked(Mark.RETRANSMISSION)
    for sender in (0, 1):
        rows = resent[(c.direction[resent] == sender) & (c.length[resent] > SMALL)]
        if len(rows) < BLACK_HOLE_RESENDS:
            continue
        start = int(c.sequence[rows[0]])
        same = rows[c.sequence[rows] == start]
        answers = np.flatnonzero((c.direction != sender) & (c.packet > c.packet[rows[0]]) & (c.flags & ACK > 0))
        acked = any(0 < (int(c.acknowledgement[row]) - start & 0xFFFFFFFF) < 1 << 31 for row in answers)
        passed = np.any((c.direction == sender) & (c.length > 0) & (c.length < SMALL))
        if len(same) >= BLACK_HOLE_RESENDS and not acked and passed:
            cause = f"segments of {int(c.length[same[0]]):,} bytes from {c.who(sender)} never arrive, smaller ones do"
            cure = "the path's MTU is smaller than believed and ICMP is filtered: let ICMP pass, or lower the MSS"
            yield c.finding("path-mtu-black-hole", Severity.ERROR, same, cause, cure, "RFC 2923, 2.1; RFC 8899", len(same))


def idle_cutoff(c: Connection) -> Iterator[Finding]:
    """Closed after a silence that looks like somebody's idle time-out."""
    ending = np.flatnonzero(c.flags & (FIN | RST))
    if not len(ending):
        return
    row = int(ending[0])
    data = np.flatnonzero(c.length[:row] > 0)
    if not len(data):
        return
    silence = int(c.time[row] - c.time[data[-1]])
    for seconds in IDLE_CUTS_S:
        if abs(silence - seconds * 1e9) <= IDLE_SHARE * seconds * 1e9:
            closer = c.who(int(c.direction[row]))
            cause = f"{closer} closed the connection after {milliseconds(silence)} of silence"
            cause += f": as long as an idle time-out of {seconds} s"
            cure = "send a heartbeat more often than that, or let the client's idle time-out be the shorter one"
            reference = "RFC 9112, 9.5 (HTTP); RFC 9293, 3.8.4 (keep-alive)"
            yield c.finding("idle-cutoff", Severity.NOTE, [row, int(data[-1])], cause, cure, reference)
            return


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


RULES = (nagle_delayed_ack, zero_window, window_limited, loss, unanswered, black_hole, idle_cutoff)
