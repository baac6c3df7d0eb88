"""Findings about a server that takes its time, where the packets prove that it was the server and not the way to it.

The server's TCP acknowledges a request within a round trip and at most half a second more (RFC 9293, 3.8.6.3). From then on the
network has done its part: what passes until the answer begins is the server's own time, unless the answer was sent and lost,
was held back by a closed window, or was on its way for long. Each of these shows, and then nothing is said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from inspector.annotations.findings.finding import FAR_NS, MAX_EVIDENCE, MAX_PATH, MS, Connection, Finding, View, milliseconds
from inspector.core.layer import Severity
from inspector.core.tcp_flags import ACK, SYN
from inspector.core.text import printable
from inspector.streams.analysis import RESENT, Mark
from inspector.streams.exchanges import Exchange

NOTICED_NS = 500 * MS  # longer than any acknowledgement may be delayed (RFC 9293, 3.8.6.3): told, as a note
SLOW_NS = 1_000 * MS  # longer, and who waits at a screen loses the thread (Nielsen, Usability Engineering, 5.5): a warning
DELAYED_ACK_NS = 500 * MS  # RFC 9293, 3.8.6.3: an acknowledgement comes sooner
ROUND_TRIPS = 5  # so much longer than the round trip the silence must be: jitter is of the order of the round trip
SLOWEST_TICK_NS = 10 * MS  # of the clocks that fill TCP timestamps in practice; RFC 7323, 5.4 allows up to a second
AGREES = 0.1  # how far a clock of milliseconds may be from the capture's and still say the same
COUNTED = 6  # segments of the server on either side whose IP identifications show whether it counts them
MAX_SLOW = 1_000  # responses that are looked into, the slowest first
# What TCP's analysis marks where segments were lost, came late, or are missing in the capture, or a receiver had no room.
TROUBLE = (
    RESENT | Mark.OUT_OF_ORDER | Mark.LOST_SEGMENT | Mark.ACK_LOST_SEGMENT | Mark.DUPLICATE_ACK
    | Mark.ZERO_WINDOW | Mark.ZERO_WINDOW_PROBE | Mark.WINDOW_FULL | Mark.WINDOW_CLOSED
)  # fmt: skip
NO_ANSWER = frozenset({0, 101, 408})  # nothing, another protocol, and "the request did not come whole" (RFC 9110, 15.5.9)


class Slow(NamedTuple):
    """A response that came late. own: nanoseconds that were the server's; acknowledged: from the request to its
    acknowledgement; ack: the packet of that; ticks: of the server's clock in between where its timestamps count
    milliseconds, else 0."""

    exchange: Exchange
    connection: Connection
    own: int
    acknowledged: int
    ack: int
    ticks: int

    @property
    def packets(self) -> tuple[int, ...]:
        request, response = self.exchange.request, self.exchange.response
        assert request is not None and response is not None
        return response.first, request.complete, self.ack


def slow_response(view: View) -> Iterator[Finding]:
    """The server had the whole request, and let the client wait."""
    late = [one for one in view.exchanges if one.phases.wait >= NOTICED_NS and one.status not in NO_ANSWER]
    tunnels = {one.flow for one in view.exchanges if one.method == "CONNECT"}  # the other end of TCP is not who answers
    slow = []
    late.sort(key=lambda one: -one.phases.wait)
    for exchange in view.first(late, MAX_SLOW, "slow-response", "late responses", lambda one: one.first):
        if exchange.flow not in tunnels and _ordinary(view, exchange):
            proven = _proven(view, exchange, Connection(view.capture, exchange.flow))
            if proven is not None and not _interim(view, exchange):
                slow.append(proven)
    found: dict[tuple[bytes, int], list[Slow]] = {}
    for one in _unasked(view, slow):
        found.setdefault(view.server(one.exchange)[1:], []).append(one)
    yield from (_finding(own) for own in found.values())


def _unasked(view: View, slow: Sequence[Slow]) -> Iterator[Slow]:
    """Those that may not be the answers of long polls."""
    if not slow:
        return
    from inspector.annotations.patterns.pattern import Scene
    from inspector.annotations.patterns.series import held, key_of, series

    scene = Scene(view.capture, sorted(view.exchanges, key=lambda one: one.begun))
    same = series(scene, scene.exchanges)
    yield from (one for one in slow if not held(scene, same[key_of(scene, one.exchange)], one.exchange))


def _finding(own: Sequence[Slow]) -> Finding:
    worst, first = own[0], own[0].exchange
    warns = worst.own >= SLOW_NS
    path = printable(first.target.partition("?")[0], MAX_PATH)
    round_trip = worst.connection.round_trip
    cause = "" if len(own) == 1 else f"{len(own)} times the server let its client wait, the longest: "
    cause += (
        f"{first.method} {path} was acknowledged after {milliseconds(worst.acknowledged)}, and {first.status} came"
        f" {milliseconds(worst.own)} later; the way takes {milliseconds(round_trip)} there and back, nothing was sent again and"
        " the client's window was open, so that it was the server's own time"
    )
    if worst.ticks:
        cause += f" (its clock, in the timestamps of its segments, counts {worst.ticks:,} ms)"
    cause += f". More than {milliseconds(SLOW_NS if warns else NOTICED_NS)} is {'slow' if warns else 'noticeable'}"
    cure = "look at what the server does for this request: a query, a lock, a queue, a service behind it (capture there too)"
    cure += "; if it is meant to wait for news (long polling), nothing is wrong"
    packets = tuple(packet for one in own for packet in one.packets)[:MAX_EVIDENCE]
    streams = {one.exchange.stream for one in own}
    stream = next(iter(streams)) if len(streams) == 1 else -1
    severity = Severity.WARNING if warns else Severity.NOTE
    return Finding("slow-response", severity, packets, stream, cause, cure, "RFC 9293, 3.8.6.3; RFC 9110, 3.4", len(own),
                   worst.connection.vantage)  # fmt: skip


def _ordinary(view: View, exchange: Exchange) -> bool:
    """One question and one answer, and the client waited for nothing else."""
    request, response = exchange.request, exchange.response
    if request is None or response is None or not request.whole or response.first <= request.complete:
        return False
    if exchange.media == "text/event-stream" or exchange.protocol == "WebSocket":
        return False
    if exchange.protocol == "gRPC":
        return _called_once(view, exchange)
    own = view.by_flow[exchange.flow]
    at = bisect_left(own, exchange.number, key=lambda one: one.number)
    if exchange.protocol.startswith("HTTP/1") and at:  # one that was sent too early waits for the answer before its own
        before = own[at - 1].response
        return before is not None and before.complete <= request.complete
    return True


def _called_once(view: View, exchange: Exchange) -> bool:
    """A gRPC call with one message each way at most, whose answer came in one go: not a stream that waits for news."""
    time, response = view.capture.time_of, exchange.response
    sent = [item.from_client for item in exchange.items]
    if sent.count(True) != 1 or sent.count(False) > 1 or response is None or exchange.outcome is None:
        return False
    return time(response.complete) - time(response.first) < NOTICED_NS


def _interim(view: View, exchange: Exchange) -> bool:
    """The server said something of the request before it answered (RFC 9110, 15.2): it is not silent, it works."""
    request, response = exchange.request, exchange.response
    assert request is not None and response is not None
    if exchange.protocol.startswith("HTTP/1"):
        pdus = view.capture.conversation(exchange.flow).tree.pdus
        between = (pdu for packet in range(request.complete, response.first) for pdu in pdus.get(packet, ()))
        return any(pdu.protocol == "http" and 100 <= pdu.info.get("code", 0) < 200 for pdu in between)
    units = view.capture.detailed(exchange).units
    return units is not None and any(pdu.packet < response.first for pdu in units.response)


def _proven(view: View, exchange: Exchange, c: Connection) -> Slow | None:
    """The time that was the server's, where the packets prove it."""
    request, response = exchange.request, exchange.response
    assert request is not None and response is not None
    there = c.halves[0]
    if c.client < 0 or not c.round_trip or there < 0 or c.misses_packets:
        return None
    first, asked, answered = np.searchsorted(c.packet, (request.first, request.complete, response.first)).tolist()
    if np.any(c.marks[first : answered + 1] & int(TROUBLE)):
        return None
    between = np.arange(asked + 1, answered)
    theirs = between[(c.direction[between] == c.server) & (c.flags[between] & ACK > 0)]
    end = int(c.sequence[asked] + c.length[asked])
    acks = theirs[(c.acknowledgement[theirs] - end & 0xFFFFFFFF) < 1 << 31]
    if not len(acks):
        return None  # that the request came is not known before the answer
    ack = int(acks[0])
    acknowledged = int(c.time[ack] - c.time[asked])
    said = theirs[c.length[theirs] > 0]  # of another stream or answer: what came behind it may have waited for it
    own = int(c.time[answered] - max(c.time[ack], c.time[said].max(initial=0)))
    if (there > FAR_NS and acknowledged < there // 2) or acknowledged > 2 * c.round_trip + DELAYED_ACK_NS:
        return None  # sooner, and somebody nearer than the server has acknowledged it; later, and the way was not free
    if own < max(NOTICED_NS, ROUND_TRIPS * c.round_trip):
        return None
    ticks = _ticks(view, c, ack, answered)
    if _lost(view, c, answered) or 0 <= ticks * SLOWEST_TICK_NS < (c.time[answered] - c.time[ack]) // 2:
        return None
    agrees = abs(ticks * MS - int(c.time[answered] - c.time[ack])) <= AGREES * own
    return Slow(exchange, c, own, acknowledged, int(c.packet[ack]), ticks if agrees else 0)


def _ticks(view: View, c: Connection, before: int, after: int) -> int:
    """How far the server's own clock went between two of its segments, by their timestamps (RFC 7323, 3.2); -1 without."""
    layers = (view.capture.layers(int(c.packet[row])).last("tcp") for row in (before, after))
    values = [layer.value("tcp.options.timestamp.tsval") if layer is not None else None for layer in layers]
    begin, stop = (-1 if value is None else int(value) for value in values)
    return (stop - begin) & 0xFFFFFFFF if min(begin, stop) >= 0 else -1


def _lost(view: View, c: Connection, answered: int) -> bool:
    """A segment of the server's in front of the answer never came here: its IP identifications count, and one is left out.

    Stacks need not count them (RFC 6864, 4.1), so that those around must show it: each of these is one more than before.
    """
    theirs = np.flatnonzero((c.direction == c.server) & (c.flags & SYN == 0))
    at = int(np.searchsorted(theirs, answered))
    near = theirs[max(at - COUNTED, 0) : at + COUNTED]
    headers = (view.capture.layers(int(c.packet[row])).last("ip") for row in near)
    ids = [int(header.value("ip.id", -1)) if header is not None else -1 for header in headers]
    if -1 in ids:
        return False
    steps = {int(row): (ids[place] - ids[place - 1]) & 0xFFFF for place, row in enumerate(near.tolist()) if place}
    own = steps.pop(answered, 1)
    return own != 1 and len(steps) > 1 and set(steps.values()) == {1}


RULES = (slow_response,)
