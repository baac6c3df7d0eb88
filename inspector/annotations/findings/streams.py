"""Findings about what is pushed: event streams held back or broken off, WebSockets that end badly, silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from inspector.annotations.findings.finding import MAX_EVIDENCE, MS, Finding, Talk, View, milliseconds
from inspector.annotations.findings.tcp import idle_cutoff
from inspector.core.layer import Severity
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import RST
from inspector.core.text import counted
from inspector.protocols.websocket.websocket import Opcode
from inspector.streams.exchanges import Exchange, Item

EVENT_STREAM = "text/event-stream"
BURST_NS = 10 * MS  # events within this time arrive together
BURST = 3  # events together; two may be written together by any program
APART_NS = 500 * MS  # between bursts: what a program writes in one go is not held back this long
HELD_NS = 500 * MS  # a network delays less; who holds an event longer, buffers
LONELY_SHARE = 0.1  # of the events may come outside a burst where one hop alone is to raise a suspicion
MAX_EVENTS = 10_000  # of one stream that are compared
EVENT_BYTES = 4_096  # of an event that are compared
PONG_NS = 1_000 * MS  # any path answers sooner; what ends earlier may have ended before the pong could come
BAD_CLOSES = {
    1002: "a protocol error", 1003: "data of a kind that it cannot accept", 1007: "data that does not fit its type",
    1008: "a violation of its policy", 1009: "a message that is too big", 1010: "an extension that was not agreed on",
    1011: "an unexpected condition", 1012: "a restart", 1013: "too much load", 1014: "a bad answer behind the gateway",
}  # RFC 6455, 7.4.1; IANA's registry  # fmt: skip


# --- event streams


def sse_truncated(talk: Talk) -> Iterator[Finding]:
    """The server's side of an event stream ends before the body or the event does."""
    for exchange in talk.exchanges:
        if exchange.media != EVENT_STREAM or exchange.response is None or exchange.protocol != "HTTP/1.1":
            continue
        if talk.ending is None:
            return
        row, by = talk.ending
        c = talk.connection
        if c.misses_packets or by == c.client or c.client < 0:
            continue  # the client left: nothing is missing that anybody waits for
        last = exchange.items[-1].pdu if exchange.items else None
        cut = last is not None and bool(last.info.get("cut"))
        unended = not exchange.response.whole and _chunked(exchange)
        if not (cut or unended):
            continue
        what = "in the middle of an event, which the client throws away" if cut else "before the last chunk"
        word = "a reset" if c.flags[row] & RST else "FIN"
        whole = sum(bool(item.pdu.info.get("dispatched")) for item in exchange.items)
        cause = f"the event stream ends {what}: {word} after {counted(whole, 'whole event')}"
        cure = "look at what ended the server or the proxy; with ids the client asks for what it missed (Last-Event-ID)"
        packets = [int(c.packet[row])] + ([last.packet] if last is not None else [])
        yield talk.finding("sse-truncated", Severity.WARNING, packets, cause, cure, "RFC 9112, 8; WHATWG HTML, 9.2.6")


def _chunked(exchange: Exchange) -> bool:
    return exchange.units is not None and any(pdu.kind == "chunk" for pdu in exchange.units.response)


def sse_buffered(view: View) -> Iterator[Finding]:
    """Events that are spaced at the source and come in bursts behind a proxy; seen at one hop only, it is a suspicion."""
    streams = [one for one in view.exchanges if one.media == EVENT_STREAM and len(one.items) >= BURST]
    proven: set[int] = set()
    for behind in streams:
        bursts = _bursts(view, behind.items)
        if not any(len(burst) >= BURST for burst in bursts):
            continue
        for source in streams:
            held = _held(view, source, behind) if source.flow != behind.flow else []
            if len(held) < BURST:
                continue
            proven.add(behind.number)
            longest = max(delay for _, _, delay in held)
            cause = (
                f"{len(held)} events that the server sent one by one (tcp {source.stream}) reach the client in bursts"
                f" (tcp {behind.stream}), up to {milliseconds(longest)} later: what stands between holds them back"
            )
            cure = "switch buffering off there (nginx: proxy_buffering off, or X-Accel-Buffering: no in the response)"
            packets = tuple(packet for late, early, _ in held for packet in (late, early))[:MAX_EVIDENCE]
            yield Finding("sse-buffered", Severity.WARNING, packets, behind.stream, cause, cure, "RFC 9112, 7.1; RFC 9110, 7.6",
                          len(held))  # fmt: skip
            break
    for exchange in streams:
        bursts = _bursts(view, exchange.items)
        together = [burst for burst in bursts if len(burst) >= BURST]
        lonely = len(exchange.items) - sum(map(len, together))
        if exchange.number in proven or len(together) < 2 or lonely > LONELY_SHARE * len(exchange.items):
            continue
        gaps = [view.capture.time_of(later[0].complete) - view.capture.time_of(burst[-1].complete)
                for burst, later in pairwise(together)]  # fmt: skip
        if min(gaps) < APART_NS:
            continue
        apart = milliseconds(min(gaps))
        cause = f"events come in {len(together)} bursts, {apart} and more apart: perhaps a proxy holds them back"
        cure = "capture at the server too: where they leave one by one, what stands between buffers"
        packets = tuple(burst[0].complete for burst in together)[:MAX_EVIDENCE]
        yield Finding("sse-buffered", Severity.NOTE, packets, exchange.stream, cause, cure, "RFC 9110, 7.6", len(together))


def _bursts(view: View, items: Sequence[Item]) -> list[list[Item]]:
    found: list[list[Item]] = []
    time_of = view.capture.time_of
    for item in view.first(items, MAX_EVENTS, "sse-buffered", "events of one stream", lambda item: item.complete):
        if found and time_of(item.complete) - time_of(found[-1][-1].complete) <= BURST_NS:
            found[-1].append(item)
        else:
            found.append([item])
    return found


def _held(view: View, source: Exchange, behind: Exchange) -> list[tuple[int, int, int]]:
    """(late packet, early packet, delay) of events that are in both streams, apart at the source and together behind."""
    time_of = view.capture.time_of
    first: dict[bytes, int] = {}
    for item in view.first(source.items, MAX_EVENTS, "sse-buffered", "events of one stream", lambda item: item.complete):
        first.setdefault(_content(item), item.complete)
    found = []
    for burst in _bursts(view, behind.items):
        both = [(item.complete, first[content]) for item in burst if (content := _content(item)) in first]
        if len(both) < BURST:
            continue
        sent = sorted(time_of(early) for _, early in both)
        if sent[-1] - sent[0] < HELD_NS:
            continue
        delays = [(late, early, time_of(late) - time_of(early)) for late, early in both]
        if all(delay >= 0 for _, _, delay in delays) and max(delay for _, _, delay in delays) >= HELD_NS:
            found += delays
    return found


def _content(item: Item) -> bytes:
    span = item.pdu.span
    return span.buffer.read(span.start, min(span.stop, span.start + EVENT_BYTES)).strip()


# --- WebSocket


def websocket(talk: Talk) -> Iterator[Finding]:
    """A ping without a pong, an end without Close, and Close with a code that says what went wrong."""
    frames = [pdu for pdu in talk.units if pdu.protocol == "websocket" and pdu.kind == "frame" and pdu.complete]
    if not frames:
        return
    c = talk.connection
    closes = [frame for frame in frames if _opcode(frame) == Opcode.CLOSE]
    if talk.ending is not None and not c.misses_packets:
        yield from _unanswered(talk, frames)
        if not closes:
            row, by = talk.ending
            word = "a reset" if c.flags[row] & RST else "FIN"
            cause = f"the WebSocket ends without a Close frame: {word} by {c.who(by)}; its API reports code 1006"
            cure = "look at who ended it: a crash, an idle time-out on the way, a page that was left"
            yield talk.finding("websocket-abnormal", Severity.WARNING, [int(c.packet[row])], cause, cure, "RFC 6455, 7.1.5")
    for frame in closes[:1]:
        code = talk.capture.unit(frame).layers[0].value("websocket.payload.close.status_code")
        if code in BAD_CLOSES:
            who = talk.side(bool(frame.info.get("from_client")))
            cause = f"{who} closes the WebSocket with {code}: {BAD_CLOSES[code]}"
            cure = "look at the last message of the other side and at the log of who closes"
            reference = "RFC 6455, 7.4.1" if code <= 1011 else "RFC 6455, 11.7"  # IANA's registry has the later ones
            yield talk.finding("websocket-abnormal", Severity.WARNING, [frame.packet], cause, cure, reference)


def _unanswered(talk: Talk, frames: Sequence[Pdu]) -> Iterator[Finding]:
    row, _ = talk.ending or (0, 0)
    ended, last_packet = int(talk.connection.time[row]), int(talk.connection.packet[row])  # what comes later came too late
    for from_client in (False, True):
        own = [pdu for pdu in frames if bool(pdu.info.get("from_client")) == from_client]
        others = [pdu for pdu in frames if bool(pdu.info.get("from_client")) != from_client and pdu.packet < last_packet]
        pings = [pdu for pdu in own if _opcode(pdu) == Opcode.PING]
        answers = [pdu.packet for pdu in others if _opcode(pdu) == Opcode.PONG]
        last = max(answers, default=0)  # a pong answers every ping before it (RFC 6455, 5.5.3)
        left = [ping for ping in pings if ping.packet > last]
        closed = [pdu.packet for pdu in others if _opcode(pdu) == Opcode.CLOSE]
        if not left or (closed and closed[0] > left[0].packet):
            continue
        waited = ended - talk.time(left[0].packet)
        if waited >= PONG_NS:
            cause = (
                f"{talk.side(from_client)} sent {counted(len(left), 'ping')} and got no pong within {milliseconds(waited)},"
                " then the connection ended: the other end or the path is dead"
            )
            cure = "nothing at this end; look at the peer, and at what forgets idle connections on the way"
            packets = [int(talk.connection.packet[row]), *(ping.packet for ping in left)]
            yield talk.finding("ping-unanswered", Severity.ERROR, packets, cause, cure, "RFC 6455, 5.5.2", len(left))


def _opcode(frame: Pdu) -> int:
    return next(iter(frame.span.buffer.read(frame.span.start, frame.span.start + 1)), 0) & 15


# --- silence


def silence(talk: Talk) -> Iterator[Finding]:
    """An event stream or a WebSocket that was cut off after a silence as long as somebody's idle time-out."""
    last = talk.exchanges[-1] if talk.exchanges else None
    if last is None or talk.ending is None:
        return
    stream = last.media == EVENT_STREAM and last.response is not None and not last.response.whole
    socket = last.protocol == "WebSocket" and not any(
        pdu.protocol == "websocket" and pdu.kind == "frame" and _opcode(pdu) == Opcode.CLOSE for pdu in talk.units
    )
    if stream or socket:
        what = "WebSocket" if socket else "event stream"
        for found in idle_cutoff(talk.connection):
            cause = found.cause.replace("the connection", f"the {what}", 1)
            cure = "send a heartbeat more often than that: " + ("a ping" if socket else "a comment line")
            reference = "RFC 6455, 5.5.2" if socket else "WHATWG HTML, 9.2.7"
            yield found._replace(severity=Severity.WARNING, cause=cause, cure=cure, reference=reference)


# --- boundaries


def boundaries(talk: Talk) -> Iterator[Finding]:
    """Events and messages against the segments that carry them: a read is no message."""
    items = [item for exchange in talk.exchanges for item in exchange.items]
    if not items:
        return
    split = [item.complete for item in items if item.first != item.complete]
    count: dict[tuple[bool, int], int] = {}
    for item in items:
        if item.first == item.complete:
            count[item.from_client, item.complete] = count.get((item.from_client, item.complete), 0) + 1
    shared = [packet for (_, packet), several in count.items() if several > 1]
    if not (split or shared):
        return
    words = []
    if split:
        words.append(f"{len(split)} of {counted(len(items), 'unit')} (events, messages) came in several segments")
    if shared:
        words.append(f"{counted(len(shared), 'segment')} carried several")
    cause = " and ".join(words) + ": TCP is a stream, and a read is no message"
    cure = "let the reader look for the end of each message (blank line, length), whatever one read returns"
    yield talk.finding("boundaries", Severity.NOTE, sorted({*split, *shared}), cause, cure, "RFC 9293, 2.2",
                       len(split) + len(shared))  # fmt: skip


TALK_RULES = (sse_truncated, websocket, silence, boundaries)
RULES = (sse_buffered,)
