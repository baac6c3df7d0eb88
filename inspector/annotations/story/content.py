"""What a connection carries: requests and responses, events, messages; for every other protocol its messages in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

import numpy as np

from inspector.annotations.findings.finding import MS
from inspector.annotations.messages import messages
from inspector.annotations.story.step import SHORT, Narrated, Step, duration, listed, sentence, step
from inspector.annotations.story.transport import Ends
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import FIN, RST
from inspector.core.text import counted, decode, natural, printable
from inspector.protocols.http.framing import Body, Framing, body_of
from inspector.protocols.http.head import Head
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange, Item, Part

ITEMS_TOLD = 20  # arrivals of one exchange that are told one by one; more become one step that opens
TOLD_NS = 1 * MS  # a message that takes longer to come is said to take time; below, it is the pace of the machine
MESSAGES_TOLD = 24  # the same for the messages of other protocols
HANDLED = frozenset({"tls", "tls.handshake", "http", "http2", "http2.body", "sse", "websocket", "websocket.message", "grpc"})
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10  # opcodes (RFC 6455, 5.2)


def exchanges(capture: Narrated, ends: Ends, found: Sequence[Exchange]) -> Iterator[Step]:
    """The requests and responses of one connection, with what is inside."""
    together: dict[int, list[tuple[int, Exchange]]] = {}
    for place, exchange in enumerate(found, 1):
        capture.detailed(exchange)
        if exchange.request is not None:
            together.setdefault(exchange.request.complete, []).append((place, exchange))
    for group in together.values():
        own = [_request(capture, ends, exchange, place) for place, exchange in group]
        if len(own) == 1:
            yield own[0]
            continue
        names = listed([f"{one.method} {printable(one.target, SHORT)}" for _, one in group])
        where = "on one connection, before any of them is answered"
        text = f"{counted(len(own), 'request')} leave in the same packet, {where}: {names}"
        yield step(capture, "request", [packet for one in own for packet in one.packets], sentence(text), group[0][1].flow, own)
    for exchange in found:
        if exchange.response is not None:
            yield _response(capture, ends, exchange)
        elif exchange.request is not None:
            why, packets = _unanswered(ends, exchange.request)
            text = f"{_name(exchange)} gets no answer{why}"
            yield step(capture, "response", packets, sentence(text), exchange.flow)
        yield from _items(capture, ends, exchange)
    if found:
        yield from _interim(capture, found[0].flow)


def _name(exchange: Exchange) -> str:
    on = f" on stream {exchange.substream}" if exchange.substream >= 0 else ""
    known = f"{exchange.method} {printable(exchange.url, SHORT)}{on}"
    return known if exchange.method else "a request that is not in this capture"


def _unanswered(ends: Ends, request: Part) -> tuple[str, list[int]]:
    """Why a request has no answer, as far as the end of the connection says it; the packets that show it."""
    c = ends.connection
    closing = np.flatnonzero((c.flags & (FIN | RST) != 0) & (c.direction == 1 - ends.client))
    if not len(closing):
        return " in this capture", [request.complete]
    row = int(closing[0])
    begun = int(c.sequence[np.searchsorted(c.packet, request.first)])
    knows = 0 < (int(c.acknowledgement[row]) - begun & 0xFFFFFFFF) < 1 << 31
    why = ": the server ends the connection instead"
    if c.flags[row] & FIN and not knows:
        why = ": when the server closed this connection, the request had not reached it"
    return why, sorted({request.complete, int(c.packet[row])})


def _packets(part: Part) -> list[int]:
    return sorted({part.first, part.last, part.complete})


def _request(capture: Narrated, ends: Ends, exchange: Exchange, place: int) -> Step:
    part = exchange.request
    assert part is not None
    head = head_of(exchange, response=False)
    text = f"the client asks: {_name(exchange)}"
    if place > 1 and exchange.substream < 0:
        text += f", request {place} on this connection, without another handshake"
    said = [counted(part.size, "byte")]
    if exchange.substream < 0 and part.size > part.head - part.start:
        said.append(f"{part.size - (part.head - part.start):,} of them body")
    text += f" ({', '.join(said)})"
    if part.last != part.first and (late := capture.time_of(part.last) - capture.time_of(part.first)) >= TOLD_NS:
        text += f"; its last byte leaves {duration(late)} after its first"
    wishes = [] if head is None else list(_wishes(head))
    if wishes:
        text += f"; {listed(wishes)}"
    return step(capture, "request", _packets(part), sentence(text), exchange.flow)


def head_of(exchange: Exchange, response: bool) -> Head | None:
    units = exchange.units
    pdus = [] if units is None else units.response if response else units.request
    if not pdus:
        return None
    first = pdus[0]
    asked = first.info.get("asked") or {}
    if first.protocol == "http2":
        found = asked.get("response" if response else "head")
    elif response:
        from inspector.protocols.http.head import parse

        found = parse(first.span.buffer.read(first.span.start, first.info.get("head_stop", first.span.start)).lstrip(b"\r\n"))
    else:
        found = asked.get("head")
    return found if isinstance(found, Head) else None


def _wishes(head: Head) -> Iterator[str]:
    """What is special about a request."""
    if (expect := head.get("expect")) and expect.lower() == "100-continue":
        yield "its body waits until the server agrees (Expect: 100-continue)"
    if conditions := [name.title() for name in ("if-none-match", "if-modified-since") if head.get(name)]:
        reads = head.start[0] in ("GET", "HEAD")
        words = "the content is wanted only if it has changed" if reads else "it is to be done only on a condition"
        yield f"{words} ({listed(conditions)})"
    if wanted := head.get("range"):
        yield f"only a part is wanted ({printable(wanted, 40)})"
    if credentials := head.get("authorization"):
        yield f"it carries credentials ({printable(credentials.partition(' ')[0], 20)})"
    if (wait := natural((head.get("prefer") or "").partition("wait=")[2])) is not None:
        yield f"the server may hold it for up to {counted(wait, 'second')} (Prefer: wait)"
    pairs = [pair for name, value in head.headers if name == "cookie" for pair in value.split(";") if pair.strip()]
    if pairs:
        names = [printable(pair.partition("=")[0].strip(), 40) for pair in pairs]
        yield f"it carries {counted(len(pairs), 'cookie')} ({listed(names)})"
    if last := head.get("last-event-id"):
        yield f"it goes on after event id {printable(last, 40)} (Last-Event-ID)"
    if "upgrade" in head.tokens("connection"):
        yield f"it asks to go on in {printable(head.get('upgrade') or 'another protocol', 40)} (Upgrade)"
    if "close" in head.tokens("connection"):
        yield "it is the last one on this connection (Connection: close)"


def _response(capture: Narrated, ends: Ends, exchange: Exchange) -> Step:
    part = exchange.response
    assert part is not None
    head = head_of(exchange, response=True)
    reason = printable(exchange.reason or _reason(exchange), 40)
    text = f"the server answers {exchange.status} {reason}".rstrip()
    if exchange.request is not None:
        text += f" to {exchange.method} {printable(exchange.target, SHORT)}"
        if part.first < exchange.request.complete:
            text += " while the request still goes on"
        elif exchange.phases.wait >= 0:
            text += f" after {duration(exchange.phases.wait)}"
    items = bool(exchange.items)
    body = None if head is None else body_of(head, exchange.method)
    size = part.size - (part.head - part.start)
    if exchange.status == 101:
        text += ": from here on this connection speaks another protocol"
    elif exchange.substream >= 0:
        text += f": {_content(exchange, head)}" if exchange.media else ""
        if items:
            answers = sum(not item.from_client for item in exchange.items)
            text += f", {counted(answers, 'message')}" if answers else ", no message"
        else:
            bodies = [] if exchange.units is None else [pdu for pdu in exchange.units.response if pdu.protocol == "http2.body"]
            text += f", {counted(sum(pdu.span.size for pdu in bodies), 'byte')} of body" if bodies else ", no body"
        text += "; the flag END_STREAM on its last frame ends it" if part.whole else "; it does not end in this capture"
    elif exchange.media == "text/event-stream" and exchange.status == 200:
        text += ": a stream of events, which ends when either side likes"
    elif size:
        text += f": {_content(exchange, head)}, {counted(size, 'byte')} of body as sent"
    if body is not None and exchange.substream < 0 and exchange.status != 101:
        text += f"; {_end(body, exchange, size)}"
    for pdu in _outcomes(capture, exchange):
        _, _, outcome = capture.unit(pdu).layers[0].summary.rpartition("status ")
        place = "the trailers, which are its only headers" if pdu.info.get("alone") else "the trailers"
        text += f"; the outcome of the call is in {place}: {printable(outcome, SHORT)}"
    if exchange.phases.receive >= TOLD_NS and part.whole and not items:
        text += f"; it takes {duration(exchange.phases.receive)} to arrive"
    if not part.whole:
        text += "; it is not whole: " + ("the end is missing" if exchange.substream < 0 else "END_STREAM is missing")
    for extra in [] if head is None else _extras(head):
        text += f"; {extra}"
    return step(capture, "response", _packets(part), sentence(text), exchange.flow)


def _outcomes(capture: Narrated, exchange: Exchange) -> list[Pdu]:
    """The status of a gRPC call, which stands in the trailers of its stream."""
    if exchange.protocol != "gRPC" or exchange.units is None:
        return []
    calls = {id(pdu.info["asked"].get("grpc")) for pdu in exchange.units.request if "asked" in pdu.info}
    tree = capture.conversation(exchange.flow).tree
    return [
        pdu
        for pdus in tree.pdus.values()
        for pdu in pdus
        if pdu.protocol == "grpc" and pdu.kind == "status" and id(pdu.info.get("call")) in calls
    ]


def _end(body: Body, exchange: Exchange, size: int) -> str:
    """Why the body ends where it does (RFC 9112, 6.3)."""
    if body.framing is Framing.LENGTH:
        if not body.length:
            return "no body, for Content-Length is 0"
        if not exchange.complete:
            return f"Content-Length announces {counted(body.length, 'byte')}"
        return f"the body ends after the {counted(body.length, 'byte')} that Content-Length announces"
    if body.framing is Framing.CHUNKED:
        ends = "ends" if exchange.complete else "would end"
        return f"its length is not announced: it comes in chunks, and the chunk of size 0 {ends} it"
    if body.framing is Framing.CLOSE:
        return "nothing says how long the body is: it ends when the server closes the connection"
    if exchange.method == "HEAD":
        return "no body, since HEAD asks for the head alone"
    return f"no body: a {exchange.status} ends with its head"


def _content(exchange: Exchange, head: Head | None) -> str:
    coding = head.get("content-encoding") if head is not None else None
    media = printable(exchange.media, 60) or "content without a type"
    return f"{media} coded with {printable(coding, 20)}" if coding else media


def _reason(exchange: Exchange) -> str:
    """HTTP/2 sends no reason; the registered one, so that a reader need not know the number."""
    from http import HTTPStatus

    try:
        return HTTPStatus(exchange.status).phrase
    except ValueError:
        return ""


def _extras(head: Head) -> Iterator[str]:
    cookies = [printable(value.partition("=")[0].strip(), 40) for name, value in head.headers if name == "set-cookie"]
    if cookies:
        yield f"it gives the client {counted(len(cookies), 'cookie')} to keep ({listed(cookies)})"
    if location := head.get("location"):
        yield f"it points to {printable(location, SHORT)}"
    if (later := natural(head.get("retry-after") or "")) is not None:
        yield f"the client is to ask again after {counted(later, 'second')} (Retry-After)"
    if challenge := head.get("www-authenticate"):
        yield f"it says which proof is wanted: {printable(challenge, SHORT + 60)} (WWW-Authenticate)"
    if head.get("x-accel-buffering") == "no":
        yield "it asks a proxy not to keep it in a buffer (X-Accel-Buffering: no)"
    if "close" in head.tokens("connection"):
        yield "it is the last one on this connection (Connection: close)"


def _interim(capture: Narrated, flow: int) -> Iterator[Step]:
    """100 Continue and its kin: answers before the answer (RFC 9110, 15.2)."""
    tree = capture.conversation(flow).tree
    for packet in sorted(tree.pdus):
        for pdu in tree.pdus[packet]:
            code = pdu.info.get("code", 0)
            if pdu.protocol == "http" and 100 <= code < 200 and code != 101:
                why = ": the client may send the body" if code == 100 else ""
                text = f"the server says {code} first{why}; its final answer is still to come"
                yield step(capture, "response", [packet], sentence(text), flow)


# --- events and messages


def _items(capture: Narrated, ends: Ends, exchange: Exchange) -> Iterator[Step]:
    arrivals: dict[tuple[int, bool], list[Item]] = {}
    for item in exchange.items:
        arrivals.setdefault((item.complete, item.from_client), []).append(item)
    own = [_arrival(capture, ends, exchange, items) for items in arrivals.values()]
    own += _controls(capture, ends, exchange)
    own.sort(key=lambda one: one.packets[-1])
    if len(own) <= ITEMS_TOLD:
        yield from own
        return
    times = [capture.time_of(packet) for packet in sorted({complete for complete, _ in arrivals})]
    gaps = [after - before for before, after in pairwise(times)]
    word = _word(exchange)
    packets = [item.complete for item in exchange.items]
    sent = sum(item.from_client for item in exchange.items)
    text = f"{counted(len(exchange.items), word)} in {counted(len(set(packets)), 'packet')}"
    text += f", over {duration(times[-1] - times[0])}"
    if gaps:
        text += f"; half of the pauses between them are shorter than {duration(int(median(gaps)))}"
    if sent:
        text += f"; {sent:,} from the client, {len(exchange.items) - sent:,} from the server"
    yield step(capture, "events", packets, sentence(text), exchange.flow, own)


def _word(exchange: Exchange) -> str:
    return "event" if exchange.items[0].pdu.protocol == "sse" else "message"


def _arrival(capture: Narrated, ends: Ends, exchange: Exchange, items: list[Item]) -> Step:
    """What one packet completes."""
    first = items[0]
    packets = sorted({packet for item in items for packet in (item.first, item.complete)})
    who = "the client" if first.from_client else "the server"
    if first.pdu.protocol == "sse":
        text = _events(capture, items)
    elif len(items) == 1:
        text = f"{who} sends {_said(capture, first.pdu)}"
    else:
        text = f"{who} sends {counted(len(items), 'message')} at once: {'; '.join(_said(capture, item.pdu) for item in items)}"
    if first.first != first.complete:
        late = capture.time_of(first.complete) - capture.time_of(first.first)
        text += f" (begun in packet {first.first}, whole {duration(late)} later)"
    return step(capture, "events", packets, sentence(text), exchange.flow)


def _said(capture: Narrated, pdu: Pdu) -> str:
    """`a text message of 51 bytes: {…}`."""
    words = printable(capture.unit(pdu).layers[0].summary, SHORT + 60)
    if pdu.protocol == "grpc":
        path, _, rest = words.rpartition("/")
        return f"gRPC message: {rest if path else words}" + ("" if pdu.complete else " (not whole)")
    text = "a binary message" if pdu.info.get("opcode") == BINARY else "a text message"
    text += f" of {counted(pdu.span.size, 'byte')}{' (it came compressed)' if pdu.info.get('compressed') else ''}"
    if pdu.info.get("opcode") != BINARY:
        content = pdu.span.buffer.read(pdu.span.start, min(pdu.span.stop, pdu.span.start + 4 * SHORT))
        text += f": “{printable(decode(content), SHORT)}”"
    return text + ("" if pdu.complete else " (not whole)")


def _events(capture: Narrated, items: list[Item]) -> str:
    real = [item for item in items if item.pdu.info.get("dispatched")]
    other = [item for item in items if not item.pdu.info.get("dispatched")]
    told = []
    if real:
        numbers = [int(item.pdu.info["number"]) for item in real]
        which = f"event {numbers[0]} arrives" if len(real) == 1 else f"events {numbers[0]}–{numbers[-1]} arrive together"
        contents = [_event(capture, item.pdu) for item in real]
        told.append(f"{which}: {'; '.join(contents)}")
    for item in other:
        layer = capture.unit(item.pdu).layers[0]
        if not item.pdu.complete:
            told.append("an event begins, and the stream ends before its blank line: the client throws it away")
        elif layer.find("sse.comment") is not None and layer.find("sse.retry") is None:
            comment = printable(str(layer.value("sse.comment")).strip(), 40)
            told.append(f"a comment ({comment}) keeps the stream alive; it is no event")
        elif layer.find("sse.retry") is not None:
            delay = layer.value("sse.retry")
            wait = duration(delay * MS) if isinstance(delay, int) else "some time"
            told.append(f"the server sets the delay before the client connects again: {wait} (retry)")
        else:
            told.append("a block without data: no event comes of it")
    return "; ".join(told)


def _event(capture: Narrated, pdu: Pdu) -> str:
    layer = capture.unit(pdu).layers[0]
    data = "\n".join(str(field.value) for field in layer.walk() if field.name == "sse.data")
    kind = printable(str(layer.value("sse.type", "message")), 30)
    id = layer.value("sse.id")
    name = f"{kind}, id {printable(str(id), 20)}" if id is not None else kind
    return f"{name}: “{printable(data, SHORT)}”" if data else f"{name}, with empty data"


def _controls(capture: Narrated, ends: Ends, exchange: Exchange) -> list[Step]:
    """Pings, pongs and close frames of a WebSocket."""
    if exchange.status != 101:
        return []
    found = []
    pings: set[bool] = set()  # the sides whose ping waits for its pong
    tree = capture.conversation(exchange.flow).tree
    for packet in sorted(tree.pdus):
        for pdu in tree.pdus[packet]:
            layer = capture.unit(pdu).layers[0] if pdu.protocol == "websocket" else None
            opcode = layer.value("websocket.opcode") if layer is not None else None
            if layer is None or opcode not in (CLOSE, PING, PONG):
                continue
            client = bool(pdu.info.get("from_client"))
            who = "the client" if client else "the server"
            if opcode == CLOSE:
                reason = str(layer.value("websocket.payload.close.reason", ""))
                why = printable(layer.summary.removeprefix("Close").removesuffix(reason).strip(), SHORT)
                why += f", “{printable(reason, SHORT)}”" if reason else ""
                text = f"{who} sends Close: {why}" if why else f"{who} sends Close, without a reason"
            elif opcode == PING:
                pings.add(client)
                text = f"{who} sends a ping: is the other end still there?"
            else:
                answers = "the pong that answers it" if (not client) in pings else "a pong that nobody asked for"
                text = f"{who} sends {answers}"
                pings.discard(not client)
            found.append(step(capture, "message", [packet], sentence(text), exchange.flow))
    return found


# --- HTTP/2 itself, and every other protocol


def http2(capture: Narrated, conversation: Conversation) -> Iterator[Step]:
    """What is said for the whole HTTP/2 connection: preface and SETTINGS, GOAWAY, PING."""
    settings: list[Pdu] = []
    for packet in sorted(conversation.tree.pdus):
        for pdu in conversation.tree.pdus[packet]:
            if pdu.protocol != "http2" or "asked" in pdu.info:
                continue
            summary = capture.unit(pdu).layers[0].summary
            who = "the client" if pdu.direction == conversation.tree.client else "the server"
            if summary.startswith("GOAWAY"):
                text = f"{who} announces the end of the HTTP/2 connection: {printable(summary, SHORT)}"
                yield step(capture, "message", [packet], sentence(text), conversation.id)
            elif summary.startswith("SETTINGS") and "acknowledge" not in summary.lower():
                settings.append(pdu)
    if settings:
        said = [
            f"{'the client' if pdu.direction == conversation.tree.client else 'the server'} {_settings(capture, pdu)}"
            for pdu in settings[:2]
        ]
        text = f"both sides say what they allow each other (SETTINGS): {'; '.join(said)}" if len(said) > 1 else said[0]
        yield step(capture, "message", [pdu.packet for pdu in settings], sentence(text), conversation.id)


def _settings(capture: Narrated, pdu: Pdu) -> str:
    layer = capture.unit(pdu).layers[0]
    found = [field.text or "" for field in layer.walk() if field.name == "http2.settings"]
    shown = [printable(text, 60) for text in found if text]
    return f"sets {listed(shown)}" if shown else "leaves every setting at its default"


def others(capture: Narrated, ends: Ends, conversation: Conversation) -> Iterator[Step]:
    """The messages of protocols that are not told above, one a step; many of them behind one another become one."""
    own = []
    for pdu in messages(conversation):
        if pdu.protocol not in HANDLED:
            layer = capture.unit(pdu).layers[0]
            words = printable(layer.summary, SHORT + 40)
            text = f"{ends.who(pdu.direction)} says ({layer.title}): {words}{'' if pdu.complete else ' (not whole)'}"
            own.append(step(capture, "message", [pdu.packet], sentence(text), conversation.id))
    if len(own) <= MESSAGES_TOLD:
        yield from own
        return
    shown = MESSAGES_TOLD // 2
    yield from own[:shown]
    between = own[shown:-shown]
    packets = [packet for one in between for packet in one.packets]
    text = f"{counted(len(between), 'more message')} pass, in packets {packets[0]} to {packets[-1]}."
    yield step(capture, "message", packets, text, conversation.id, between)
    yield from own[-shown:]
