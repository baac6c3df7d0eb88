"""How TCP connections end: who closes first and in which phase of the talk, and resets that may lose something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from inspector.annotations.findings.finding import MAX_EVIDENCE, MAX_PATH, Connection, Finding, Phase, milliseconds
from inspector.core.layer import Severity
from inspector.core.tcp_flags import ACK, FIN, RST
from inspector.core.text import counted, printable
from inspector.streams.exchanges import Exchange, Part
from inspector.streams.tcp_states import State

MANY_WAITING = 100  # connections whose port pairs a client holds: with 28,000 ports for each server fewer are no trouble
REQUEST, BEFORE, RESPONSE, END, IDLE = (
    "within a request", "before a response", "within a response", "at the end of a response", "idle",
)  # fmt: skip
UPGRADED, NO_BYTE, NO_REQUEST, SILENT = "after an upgrade", "before any byte", "before any request", "messages unknown"


def phase(c: Connection) -> Phase | None:
    """In which phase the first FIN or reset came; None where nobody closed, or the capture misses what would tell.

    It is that of the end that closed: what was still on its way to it does not count.
    """
    states = c.tcp.states
    if states.closed_first is None or c.misses_packets:
        return None
    row = int(np.searchsorted(c.packet, states.closed_at))
    data = np.flatnonzero(c.length[:row] > 0)
    if not len(data) and not c.length[row]:
        return Phase(NO_BYTE, "before any byte was sent")
    begun = [one for one in c.exchanges if one.first <= states.closed_at and _known(c, one, row)]
    if any(one.status == 101 or one.method == "CONNECT" for one in begun):
        return Phase(UPGRADED, "after the connection had been handed to another protocol")
    for one in begun:
        kind = _within(one, states.closed_at, int(c.direction[row]) if c.flags[row] & FIN else -1, c.client)
        if kind is not None:
            path = printable(one.target.partition("?")[0], MAX_PATH)
            what = f"{kind[0]} {one.method} {path}".rstrip() if one.method else kind[0].removesuffix(" to")
            return Phase(kind[1], what)
    silence = milliseconds(int(c.time[row] - c.time[data[-1]]) if len(data) else 0)
    if not begun and c.exchanges:
        return Phase(NO_REQUEST, "before any request")
    if not begun:
        return Phase(SILENT, f"{silence} after the last byte; where messages end is not known here")
    return Phase(IDLE, f"idle: {counted(len(begun), 'request')} answered, silent for {silence}")


def _known(c: Connection, exchange: Exchange, row: int) -> bool:
    """Who closes with segment `row` knows of an exchange: it sent the request, or acknowledges its first byte."""
    if exchange.request is None or c.direction[row] == c.client or not c.flags[row] & ACK:
        return True
    first = int(np.searchsorted(c.packet, exchange.request.first))
    return 0 < (int(c.acknowledgement[row]) - int(c.sequence[first]) & 0xFFFFFFFF) < 1 << 31


def _within(exchange: Exchange, closed: int, finished: int, client: int) -> tuple[str, str] | None:
    """In words, and which phase, where an exchange was not over in packet `closed`. finished: the direction that a FIN ends
    there, -1 for a reset: all of that direction was sent before, though it may have come later."""

    def over(part: Part, sender: int) -> bool:
        return part.whole and (part.complete <= closed or finished == sender)

    request, response = exchange.request, exchange.response
    if response is not None and response.first <= closed:
        if not over(response, 1 - client):
            return "within the response to", RESPONSE
        return ("with the end of the response to", END) if response.complete >= closed else None
    if request is not None and not over(request, client):
        return "within the request", REQUEST
    return "before the response to", BEFORE


def close(c: Connection) -> Iterator[Finding]:
    """Who closed first; a reset after data."""
    states = c.tcp.states
    if states.closed_first is None:
        return
    ending = np.flatnonzero(c.flags & (FIN | RST))
    first = int(ending[0])
    resets = np.flatnonzero(c.flags & RST)
    carried = bool(np.any(c.length > 0))
    if len(resets) and carried:
        row = int(resets[0])
        sender = int(c.direction[row])
        finished = bool(np.any((c.direction[:row] == sender) & (c.flags[:row] & FIN > 0)))
        both = all(np.any((c.direction[:row] == end) & (c.flags[:row] & FIN > 0)) for end in (0, 1))
        if not both and not finished:
            when = phase(c) if row == first else None
            cause = f"{c.who(sender)} reset the connection after data had passed: what was under way or not yet read is lost"
            cause += f" ({when.words})" if when is not None else ""
            cure = f"find out why {c.who(sender)} gave up: a crash, unread data at close, SO_LINGER 0, a box on the way"
            reference = "RFC 9293, 3.5.2 and 3.6.1; RFC 2525, 2.17"
            found = c.finding("reset-after-data", Severity.WARNING, [row], cause, cure, reference)
            yield found._replace(phase=when)
            return
    waits = states.at(int(c.packet[-1]))[states.closed_first] is State.TIME_WAIT
    if carried and states.closed_by == "FIN" and waits and c.client >= 0:
        server = states.closed_first == c.server
        who = f"{c.who(states.closed_first)} {c.end(states.closed_first) if server else c.end(c.client).rpartition(':')[0]}"
        cause = f"{who} closed first and holds the port pair in TIME-WAIT"
        cure = "keep connections open: while the port pairs are held the client may run out of ports"
        if server:
            cure = "let the client close where many connections are short: a server that closes first collects TIME-WAIT"
        found = c.finding("closed-first", Severity.NOTE, [first], cause, cure, "RFC 9293, 3.6.1")
        yield found._replace(phase=phase(c))


def closes(found: Sequence[Finding]) -> Iterator[Finding]:
    """The findings of `close` about TIME-WAIT, one for all connections of an end. At a client only many are worth a word."""
    ends: dict[str, list[Finding]] = {}
    for one in found:
        ends.setdefault(one.cause, []).append(one)
    for cause, own in ends.items():
        if len(own) == 1 and not cause.startswith("the client"):
            when = own[0].phase
            yield own[0]._replace(cause=f"{cause}; it closed {when.words}" if when is not None else cause)
        elif len(own) >= MANY_WAITING or not cause.startswith("the client"):
            packets = tuple(packet for one in own for packet in one.packets)[:MAX_EVIDENCE]
            cause = f"{cause}, {len(own)} times"
            kinds = Counter(one.phase.kind if one.phase is not None else "phase unknown" for one in own)
            cause += f" ({', '.join(f'{times} {kind}' for kind, times in kinds.most_common())})"
            one_phase = own[0].phase if len(kinds) == 1 else None
            yield own[0]._replace(packets=packets, stream=-1, cause=cause, times=len(own), phase=one_phase)


RULES = (close,)
