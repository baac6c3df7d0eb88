"""Findings about HTTP as a whole: how connections are used, polls that bring nothing, tokens, cookies that bind to a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

import numpy as np

from inspector.annotations import tokens
from inspector.annotations.findings.finding import MAX_EVIDENCE, MS, Connection, Finding, View, milliseconds
from inspector.annotations.heads import head
from inspector.core.layer import Severity
from inspector.core.tcp_flags import FIN, RST
from inspector.core.text import counted
from inspector.protocols.http.head import Head
from inspector.streams.exchanges import Exchange

IDLE_NS = 1_000 * MS  # no server closes an idle connection sooner; a shorter pause is no idle time
NEW_EACH_TIMES = 4  # requests in a row on a connection each; fewer may be chance
NEW_EACH_PAUSE_NS = 10_000 * MS  # further apart, and a connection kept open would have been idle for long
BROWSER_LIMIT = 6  # connections to one host that browsers open over HTTP/1.1
QUEUED_TIMES = 3
QUEUED_NS = 50 * MS  # the next request follows the freed connection at once: a round trip and the client's own time
MAX_HEADS = 2_000  # exchanges whose heads one rule reads
MIN_HISTORY = 2  # requests that a cookie must have sent to a server before it is said to be bound to it


def keepalive_race(view: View) -> Iterator[Finding]:
    """A request on a connection that had been idle meets its close: the server's idle time-out was the shorter one."""
    for flow, exchanges in view.by_flow.items():
        last = exchanges[-1]
        if len(exchanges) < 2 or last.status or last.request is None or last.protocol != "HTTP/1.1":
            continue
        before = exchanges[-2]
        idle = last.begun - before.ended
        if not before.complete or idle < IDLE_NS:
            continue
        c = Connection(view.capture, flow)
        if c.misses_packets:
            continue
        closing = np.flatnonzero((c.flags & (FIN | RST) > 0) & (c.direction == c.server))
        answered = np.any((c.direction == c.server) & (c.length > 0) & (c.packet > last.request.first))
        if not len(closing) or answered or c.server < 0:
            continue
        row = int(closing[0])
        cause = f"after {milliseconds(idle)} of idle time the request {last.method} {_met(c, row, last.request.first)}"
        cause += ": the server had given the connection up"
        cure = "let the client's idle time-out be shorter than the server's; only what is idempotent may be sent again"
        packets = (last.request.first, int(c.packet[row]))
        yield Finding("keepalive-race", Severity.ERROR, packets, c.stream, cause, cure, "RFC 9112, 9.3.1 and 9.5", 1, c.vantage)


def _met(c: Connection, row: int, request: int) -> str:
    """What a request met. row: of the server's FIN or reset; request: the packet in which the request began."""
    word = "a reset" if c.flags[row] & RST else "the server's FIN"
    if c.packet[row] < request:
        return f"left after {word} had come"
    begun = int(c.sequence[np.searchsorted(c.packet, request)])
    knows = 0 < (int(c.acknowledgement[row]) - begun & 0xFFFFFFFF) < 1 << 31  # what a reset without ACK knows is not said
    return f"crossed {word} on the way" if c.flags[row] & FIN and not knows else f"was answered with {word}"


def no_reuse(view: View) -> Iterator[Finding]:
    """Requests one after the other, and each pays for a connection of its own."""
    for own in _by_server(view).values():
        single = [exchange for exchange in own if len(view.by_flow[exchange.flow]) == 1]
        for run in _in_a_row(view, single):
            handshakes = [max(one.phases.connect, 0) + max(one.phases.tls, 0) for one in run]
            paid = sum(handshakes)
            if len(run) < NEW_EACH_TIMES or any(one.phases.connect < 0 for one in run):
                continue
            tls = " and TLS" if any(one.phases.tls > 0 for one in run) else ""
            cause = f"{len(run)} requests one after the other, each with a TCP{tls} handshake of its own: {milliseconds(paid)}"
            closes = sum(_closes(view, one) for one in run[:NEW_EACH_TIMES])
            if closes:
                cause += "; Connection: close asks for it"
            cure = "keep the connection: one client object for all requests, and no Connection: close on either side"
            packets = tuple(one.first for one in run[:MAX_EVIDENCE])
            yield Finding("no-reuse", Severity.WARNING, packets, -1, cause, cure, "RFC 9112, 9.3", len(run))


def _in_a_row(view: View, exchanges: Sequence[Exchange]) -> Iterator[list[Exchange]]:
    """Runs in which each connection is opened after the request before has ended, and its connection is given up meanwhile."""
    run: list[Exchange] = []
    flows = view.capture.index.flows
    for exchange in exchanges:
        if not exchange.complete or exchange.status == 101 or exchange.media == "text/event-stream":
            continue
        opened, closed = int(flows.first_ns[exchange.flow]), _closed(view, run[-1].flow) if run else 0
        if run and not (run[-1].ended <= opened <= run[-1].ended + NEW_EACH_PAUSE_NS and 0 < closed <= exchange.ended):
            yield run
            run = []
        run.append(exchange)
    yield run


def _closed(view: View, flow: int) -> int:
    """When the first FIN or RST of a connection came; 0 where none did."""
    index = view.capture.index
    rows = index.flow_packets(flow) - 1
    closing = np.flatnonzero(index.column("flags")[rows] & (FIN | RST))
    return int(index.column("time_ns")[rows[closing[0]]]) if len(closing) else 0


def _closes(view: View, exchange: Exchange) -> bool:
    heads = (head(view.capture, exchange, response) for response in (False, True))
    return any(found is not None and "close" in found.tokens("connection") for found in heads)


def six_connections(view: View) -> Iterator[Finding]:
    """All of a browser's connections to a host are busy: the next request starts when one becomes free."""
    for own in _by_server(view).values():
        if len({one.flow for one in own}) < BROWSER_LIMIT:
            continue
        busy: list[tuple[int, int]] = []  # (end, flow) of exchanges under way
        last: dict[int, Exchange] = {}
        queued: list[Exchange] = []
        most = 0
        for exchange in own:
            before = last.get(exchange.flow)
            freed = before is not None and 0 <= exchange.begun - before.ended <= QUEUED_NS
            while busy and busy[0][0] <= exchange.begun:
                heappop(busy)
            if freed and len(busy) == BROWSER_LIMIT - 1:
                queued.append(exchange)
            heappush(busy, (max(exchange.ended, exchange.begun), exchange.flow))
            most = max(most, len(busy))
            last[exchange.flow] = exchange
        if most == BROWSER_LIMIT and len(queued) >= QUEUED_TIMES:
            streams = {one.flow for one in own if one.media == "text/event-stream"}
            host = queued[0].host or "the server"
            cause = f"six connections to {host} were busy: {len(queued)} requests waited until one was free"
            if streams:
                cause += f"; {len(streams)} of the six held by an event stream"
            cure = "HTTP/2 carries them all on one connection; over HTTP/1.1 fewer or smaller requests"
            packets = tuple(one.first for one in queued[:MAX_EVIDENCE])
            yield Finding("six-connection-queue", Severity.WARNING, packets, -1, cause, cure, "RFC 9112, 9.4", len(queued))


def polling(view: View) -> Iterator[Finding]:
    """Polls most of which bring nothing."""
    from inspector.annotations.patterns import SHORT_POLLING, patterns

    for pattern in patterns(view.capture, only=frozenset({SHORT_POLLING})):
        wasted = pattern.cost.wasted
        if wasted is None or wasted < CHATTY:
            continue
        share = f"{wasted:.0%} of {pattern.cost.requests} polls brought nothing new"
        where = counted(pattern.cost.connections, "connection")
        cause = f"{pattern.about}: {share}, {pattern.cost.octets:,} bytes in all on {where}"
        cure = pattern.cost.instead or "let the server answer when there is something: long polling or server-sent events"
        yield Finding("chatty-polling", Severity.NOTE, pattern.packets[:MAX_EVIDENCE], -1, cause, cure, "RFC 6202, 2",
                      pattern.cost.requests)  # fmt: skip


CHATTY = 0.5  # of the polls bring nothing: a push would have sent half as much


def expired_token(view: View) -> Iterator[Finding]:
    """401, and the token that was sent had expired by the capture's clock. Nothing of the token but its times is told."""
    refused = [exchange for exchange in view.exchanges if exchange.status == 401]
    for exchange in view.first(refused, MAX_HEADS, "expired-token", "requests that were refused", lambda one: one.first):
        found = head(view.capture, exchange, False)
        scheme, _, text = ((found.get("authorization") or "") if found is not None else "").partition(" ")
        token = tokens.token(text) if scheme.lower() == "bearer" else None
        known = tokens.times(token) if token is not None else {}
        now = exchange.begun / 1e9
        expires, begins = known.get("exp"), known.get("nbf")
        if expires is not None and expires < now:
            what = f"expired at {tokens.moment(expires)}, {milliseconds(int((now - expires) * 1e9))} before it was sent"
        elif begins is not None and begins > now:
            what = f"is not valid before {tokens.moment(begins)}, {milliseconds(int((begins - now) * 1e9))} after it was sent"
        else:
            continue
        claim = "RFC 7519, 4.1.4" if what.startswith("expired") else "RFC 7519, 4.1.5"
        cause = f"401 for {exchange.method}: the token {what}"
        cure = "refresh the token before it expires; if it is new, compare the clocks of issuer and server"
        packets = tuple(part.first for part in (exchange.request, exchange.response) if part is not None)
        reference = f"{claim}; RFC 6750, 3.1"
        yield Finding("expired-token", Severity.WARNING, packets, exchange.stream, cause, cure, reference)


def cookie_affinity(view: View) -> Iterator[Finding]:
    """Behind a balancer: a cookie follows one backend, although several serve the same host."""
    for (name, _), own in _by_host(view).items():
        servers = {view.server(one)[1:] for one in own}
        if not name or len(servers) < 2:
            continue
        went: dict[tuple[str, str], list[Exchange]] = {}
        lost: list[tuple[str, Exchange]] = []
        for exchange in view.first(own, MAX_HEADS, "cookie-affinity", "requests to one host", lambda one: one.first):
            asked, answered = (head(view.capture, exchange, response) for response in (False, True))
            sent = [pair.strip() for pair in asked.cookie.split(";")] if asked is not None else []
            given = dict(_given(answered)) if answered is not None else {}
            for pair in sent:
                key, mark, value = pair.partition("=")
                if not mark or not value:
                    continue
                before = went.setdefault((key, value), [])
                elsewhere = bool(before) and view.server(before[-1])[1:] != view.server(exchange)[1:]
                if elsewhere and given.get(key, value) != value:
                    lost.append((key, exchange))
                before.append(exchange)
        yield from _bound(view, name, went, lost)


def _given(answered: Head) -> Iterator[tuple[str, str]]:
    """The cookies that a response sets: name and value."""
    for name, text in answered.headers:
        if name == "set-cookie":
            key, _, value = text.partition(";")[0].partition("=")
            yield key.strip(), value.strip()


def _bound(
    view: View, host: str, went: dict[tuple[str, str], list[Exchange]], lost: list[tuple[str, Exchange]]
) -> Iterator[Finding]:
    for cookie in dict.fromkeys(key for key, _ in went):
        values = [own for (key, _), own in went.items() if key == cookie and len(own) >= MIN_HISTORY]
        moved = [exchange for key, exchange in lost if key == cookie]
        homes = [{view.server(one)[1:] for one in own if one not in moved} for own in values]
        if len(values) < 2 or any(len(home) != 1 for home in homes) or len(set.union(*homes)) < 2:
            continue
        cause = f"each value of the cookie {cookie} goes to one server of {len(set.union(*homes))} that serve {host}"
        if moved:
            cause += f"; {counted(len(moved), 'time')} it went to another, which began a new session"
        cure = "keep the session where all servers find it; what is hidden in one of them is lost with it"
        packets = tuple(one.first for one in (*moved, *(own[0] for own in values)))[:MAX_EVIDENCE]
        yield Finding("cookie-affinity", Severity.NOTE, packets, -1, cause, cure, "RFC 6265, 8.4", max(len(moved), 1))


def _by_server(view: View) -> dict[tuple[bytes, bytes, int], list[Exchange]]:
    """The exchanges of HTTP/1 by who asks whom, in the order in which they began."""
    found: dict[tuple[bytes, bytes, int], list[Exchange]] = {}
    for exchange in sorted(view.exchanges, key=lambda one: one.begun):
        if exchange.protocol.startswith("HTTP/1"):
            found.setdefault(view.server(exchange), []).append(exchange)
    return found


def _by_host(view: View) -> dict[tuple[str, bytes], list[Exchange]]:
    found: dict[tuple[str, bytes], list[Exchange]] = {}
    for exchange in view.exchanges:
        found.setdefault((exchange.host, view.addresses(exchange)[0]), []).append(exchange)
    return found


RULES = (keepalive_race, no_reuse, six_connections, polling, expired_token, cookie_affinity)
