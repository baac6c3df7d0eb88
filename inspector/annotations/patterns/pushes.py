"""What a server pushes: event streams, WebSocket messages, and the same thing to several receivers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

from inspector.annotations.findings.finding import MS, milliseconds
from inspector.annotations.patterns.pattern import (
    EVENT_STREAM,
    PUBLISH,
    REQUEST_RESPONSE,
    UNKNOWN,
    WEBSOCKET_PUSH,
    Confidence,
    Pattern,
    Scene,
    cost,
    only,
    pattern,
)
from inspector.core.text import counted
from inspector.streams.exchanges import Exchange, Item

MEDIA = "text/event-stream"
TOGETHER_NS = 250 * MS  # one message to all: the server writes to one after the other, and each path has its own delay
SOLICITED_NS = 1_000 * MS  # a message so soon after the client's may be the answer to it
CONTENT = 2_048  # bytes of a message that are compared
TELLING = 8  # bytes: what is shorter is the same by chance
MAX_ITEMS = 20_000  # messages that are compared
SECOND = 1_000 * MS


def event_streams(scene: Scene) -> Iterator[tuple[Pattern, list[Exchange]]]:
    """Event streams by client and URL; a client that comes back is one pattern."""
    found: dict[tuple[bytes, str], list[Exchange]] = {}
    for exchange in scene.exchanges:
        if exchange.media == MEDIA:
            found.setdefault((scene.server(exchange)[0], exchange.url.partition("?")[0]), []).append(exchange)
    for own in found.values():
        events = [item for one in own for item in one.items if item.pdu.info.get("dispatched")]
        packets = {item.complete for item in events}
        lasted = max(one.ended - one.begun for one in own)
        evidence = ["Content-Type: text/event-stream", f"{counted(len(events), 'event')} in {counted(len(packets), 'packet')}"]
        counter = []
        if len(own) > 1:
            apart = all(later.begun >= one.ended for one, later in pairwise(own))
            evidence.append(f"{len(own)} streams, {'one after the other' if apart else 'some at the same time'}")
        if not events:
            counter.append("no event came")
        elif len(packets) < 2:
            counter.append("all of it came at once: a response like any other, in the form of events")
        polls = max(sum(one.ended - one.begun for one in own) // SECOND, 1)
        instead = f"short polling each second: about {counted(polls, 'request')}"
        sure = Confidence.HIGH if len(packets) > 1 else Confidence.MEDIUM if events or lasted > SECOND else Confidence.LOW
        yield pattern(EVENT_STREAM, sure, own, evidence, counter, cost(own, None, None, instead)), own


def websockets(scene: Scene) -> Iterator[tuple[Pattern, list[Exchange]]]:
    """WebSockets: what the server says unasked, or answers only."""
    own = [one for one in scene.exchanges if one.protocol == "WebSocket"]
    for exchange in own:
        unasked = _unasked(scene, exchange)
        down = [item for item in exchange.items if not item.from_client]
        up = len(exchange.items) - len(down)
        octets = sum(item.pdu.span.size for item in exchange.items)
        polls = max((exchange.ended - exchange.begun) // SECOND, 1)
        instead = f"short polling each second: about {counted(polls, 'request')}"
        paid = cost([exchange], None, None, instead)._replace(octets=cost([exchange]).octets + octets)
        evidence = [f"101 Switching Protocols, then {counted(len(down), 'message')} from the server and {up} from the client"]
        if unasked:
            evidence.append(f"{unasked} of the server's follow no message of the client's")
            sure = Confidence.HIGH if unasked >= 2 else Confidence.MEDIUM
            counter = [] if unasked >= 2 else ["a single one may be a greeting"]
            yield pattern(WEBSOCKET_PUSH, sure, [exchange], evidence, counter, paid), [exchange]
        elif up and down:
            counter = ["the server could speak unasked, and did not in this capture"]
            yield pattern(REQUEST_RESPONSE, Confidence.MEDIUM, [exchange], evidence, counter, paid), [exchange]
        else:
            counter = ["the server sent nothing" if not down else "nothing was asked"]
            yield pattern(UNKNOWN, Confidence.LOW, [exchange], evidence, counter, paid), [exchange]


def _unasked(scene: Scene, exchange: Exchange) -> int:
    """Messages of the server that no message of the client's can have asked for: behind another of the server's that took
    the question, or long after it."""
    time_of = scene.capture.time_of
    found, owed, asked_at = 0, 0, 0
    for item in exchange.items:
        if item.from_client:
            owed, asked_at = owed + 1, time_of(item.complete)
        elif owed and time_of(item.complete) - asked_at <= SOLICITED_NS:
            owed -= 1
        else:
            found += 1
    return found


def broadcasts(scene: Scene) -> Iterator[tuple[Pattern, list[Exchange]]]:
    """The same messages to several receivers of one server at the same time."""
    by_server: dict[tuple[bytes, int], list[Exchange]] = {}
    for exchange in scene.exchanges:
        if exchange.media == MEDIA or exchange.protocol == "WebSocket":
            by_server.setdefault(scene.server(exchange)[1:], []).append(exchange)
    for own in by_server.values():
        if len(own) > 1:
            yield from _broadcast(scene, own)


def _broadcast(scene: Scene, own: Sequence[Exchange]) -> Iterator[tuple[Pattern, list[Exchange]]]:
    seen: dict[bytes, dict[int, list[int]]] = {}
    sent: list[tuple[int, bytes]] = []  # when, what
    by_number = {one.number: one for one in own}
    budget = MAX_ITEMS
    for exchange in own:
        for item in exchange.items[:budget]:
            content = _content(item)
            if len(content) < TELLING:
                continue
            if item.from_client:
                sent.append((scene.capture.time_of(item.complete), content))
            elif item.pdu.protocol != "sse" or item.pdu.info.get("dispatched"):
                seen.setdefault(content, {}).setdefault(exchange.number, []).append(scene.capture.time_of(item.complete))
        budget -= min(len(exchange.items), budget)
    shared = {
        content: places for content, places in seen.items()
        if len(places) > 1 and all(len(times) == 1 for times in places.values())
        and max(times[0] for times in places.values()) - min(times[0] for times in places.values()) <= TOGETHER_NS
    }  # fmt: skip
    if len(shared) < 2:
        return
    receivers = sorted({number for places in shared.values() for number in places})
    sent.sort()
    delays = []
    for content, places in shared.items():
        first = min(times[0] for times in places.values())
        low, high = bisect_left(sent, first - SOLICITED_NS, key=itemgetter(0)), bisect_right(sent, first, key=itemgetter(0))
        delays += [first - at for at, words in sent[low:high] if words in content]
    exchanges = [by_number[number] for number in receivers]
    evidence = [f"{len(shared)} messages reached {len(receivers)} receivers within {milliseconds(TOGETHER_NS)} of each other"]
    counter = only(MAX_ITEMS, sum(len(exchange.items) for exchange in own), "message")
    if delays:
        soonest = milliseconds(min(delays))
        evidence.append(f"{len(delays)} of them hold what one of the clients had sent, {soonest} and more before")
    else:
        counter.append("who published them is not in this capture")
    sure = Confidence.HIGH if delays and len(receivers) > 2 else Confidence.MEDIUM
    paid = cost(exchanges, None, max(delays) if delays else None, "polling: each receiver asks for itself")
    about = f"{len(receivers)} receivers of {exchanges[0].host or 'one server'}"
    yield pattern(PUBLISH, sure, exchanges, evidence, counter, paid, about), []


def _content(item: Item) -> bytes:
    span = item.pdu.span
    return span.buffer.read(span.start, min(span.stop, span.start + CONTENT)).strip()
