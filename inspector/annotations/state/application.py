"""What HTTP, HTTP/2, event streams, WebSocket, cookies and tokens remember at a packet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.annotations import tokens
from inspector.annotations.state.fact import BOTH, CLIENT, SERVER, Fact
from inspector.annotations.story.content import head_of
from inspector.annotations.story.step import Narrated, listed
from inspector.core.stream import Pdu
from inspector.core.text import counted, printable
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange

SHOWN = 60
LOOKED_AT = 500  # requests before a packet whose heads are read: all of a busy client's would take minutes
DATA = b"\0"  # the type of a frame (RFC 9113, 6.1)


def http(exchanges: Sequence[Exchange], number: int) -> Iterator[Fact]:
    """How often this connection was used, and what waits for its answer. exchanges: those of the connection."""
    begun = [one for one in exchanges if one.request is not None and one.request.first <= number]
    if not begun:
        return
    last = begun[-1]
    assert last.request is not None
    count, streams = f"{len(begun):,}", last.substream >= 0
    yield Fact(7, "HTTP", BOTH, "requests on this connection so far", count, last.request.first,
               "RFC 9113, 9.1" if streams else "RFC 9112, 9.3")  # fmt: skip
    waiting = [one for one in begun if one.response is None or one.response.complete > number or not one.response.whole]
    for one in waiting[:4]:
        name = f"{one.method} {printable(one.target, SHOWN)}"
        answered = one.response is not None and one.response.first <= number
        text = f"{name}: {'its answer has begun' if answered else 'no byte of its answer yet'}"
        reference = "RFC 9113, 8.1" if one.substream >= 0 else "RFC 9112, 9.2"
        yield Fact(7, "HTTP", BOTH, "unfinished exchange", text, one.request.first if one.request else 0, reference)


def http2(conversation: Conversation, number: int) -> Iterator[Fact]:
    """The header tables and windows of an HTTP/2 connection, and the streams that are open."""
    tables: dict[int, tuple[int, object]] = {}
    windows: dict[int, tuple[int, int]] = {}
    streams: dict[int, int] = {}
    closed: set[int] = set()
    for pdu in units(conversation, number, "http2"):
        block, window, asked = pdu.info.get("block"), pdu.info.get("windows"), pdu.info.get("asked")
        if block is not None:
            tables[pdu.direction] = pdu.packet, block.table
        if window is not None and window[0][1] is not None:  # of the whole connection, after this frame
            kind = pdu.span.buffer.read(pdu.span.start + 3, pdu.span.start + 4)
            sender = pdu.direction if kind == DATA else 1 - pdu.direction  # WINDOW_UPDATE is said by the receiver
            windows[sender] = pdu.packet, window[0][1]
        if isinstance(asked, dict) and "stream" in asked:
            streams.setdefault(asked["stream"], pdu.packet)
            end = asked.get("response_end")
            if end is not None and end <= number:
                closed.add(asked["stream"])
    client = conversation.tree.client
    for direction, (packet, table) in sorted(tables.items()):
        entries, size, limit = getattr(table, "entries", 0), getattr(table, "size", 0), getattr(table, "limit", 0)
        whose = "requests" if direction == client else "responses"
        text = f"{counted(entries, 'entry', 'entries')}, {size:,} of {limit:,} bytes"
        text += "" if getattr(table, "complete", True) else "; some of it lies outside this capture"
        yield Fact(6, "HPACK", BOTH, f"header table of the {whose}", text, packet, "RFC 7541, 2.3.2")
    for direction, (packet, window) in sorted(windows.items()):
        holder = CLIENT if direction == client else SERVER
        text = f"{window:,} bytes of DATA on all streams together"
        yield Fact(5, "HTTP/2", holder, "may still send", text, packet, "RFC 9113, 5.2")
    left = [stream for stream in streams if stream not in closed]
    if streams:
        text = f"{counted(len(left), 'stream')} open" + (f" ({listed([str(stream) for stream in left[:8]])})" if left else "")
        text += f", {len(closed):,} finished"
        yield Fact(5, "HTTP/2", BOTH, "streams", text, max(streams.values()), "RFC 9113, 5.1")


def events(capture: Narrated, conversation: Conversation, number: int) -> Iterator[Fact]:
    """What an event source keeps: the last event id, and the delay before it connects again."""
    found = list(units(conversation, number, "sse"))
    if not found:
        return
    real = [pdu for pdu in found if pdu.info.get("dispatched")]
    yield Fact(7, "SSE", CLIENT, "events so far", f"{len(real):,}", real[-1].packet if real else 0, "WHATWG HTML, 9.2.6")
    known = [pdu for pdu in found if "last_id" in pdu.info]
    if known:
        id = str(known[-1].info["last_id"])
        text = (
            f"“{printable(id, 40)}”, which a reconnecting client sends as Last-Event-ID"
            if id
            else "none: nothing to go on from"
        )
        yield Fact(7, "SSE", CLIENT, "last event id", text, known[-1].packet, "WHATWG HTML, 9.2.6 and 9.2.4")
    for pdu in reversed(found):
        delay = capture.unit(pdu).layers[0].value("sse.retry") if pdu.complete else None
        if isinstance(delay, int):
            yield Fact(7, "SSE", CLIENT, "waits before it connects again", f"{delay:,} ms", pdu.packet, "WHATWG HTML, 9.2.6")
            return
    yield Fact(
        7, "SSE", CLIENT, "waits before it connects again", "what the client likes: no retry was sent", 0, "WHATWG HTML, 9.2.3"
    )


def websocket(conversation: Conversation, number: int) -> Iterator[Fact]:
    """The extensions in force, and a message that is not whole yet."""
    frames = list(units(conversation, number, "websocket"))
    if not frames:
        return
    node = frames[0].node
    extensions = str(getattr(node, "info", {}).get("extensions", ""))
    text = printable(extensions, SHOWN) or "none"
    yield Fact(6, "WebSocket", BOTH, "extensions", text, frames[0].packet, "RFC 6455, 9.1")
    if "permessage-deflate" in extensions:
        kept = "kept from message to message" if "no_context_takeover" not in extensions else "as the parameters above say"
        yield Fact(6, "WebSocket", BOTH, "compression window", kept, frames[0].packet, "RFC 7692, 7.1.1")
    whole = list(units(conversation, number, "websocket.message"))
    up = sum(bool(pdu.info.get("from_client")) for pdu in whole)
    text = f"{up:,} from the client, {len(whole) - up:,} from the server"
    yield Fact(7, "WebSocket", BOTH, "messages so far", text, whole[-1].packet if whole else 0, "RFC 6455, 5.4")


def cookies(capture: Narrated, exchanges: Sequence[Exchange], number: int) -> Iterator[Fact]:
    """Cookies set and sent by a packet, by name; credentials and tokens. exchanges: those of one client with one server."""
    begun = [one for one in exchanges if one.first <= number]
    if len(begun) > LOOKED_AT:
        text = f"told from the last {LOOKED_AT:,} of {len(begun):,} requests"
        yield Fact(7, "Cookies", BOTH, "cookies and credentials", text, begun[-LOOKED_AT].first, "RFC 6265, 5.4")
    given: dict[str, tuple[int, str]] = {}
    sent: dict[str, int] = {}
    credentials: dict[str, tuple[int, str]] = {}
    for one in begun[-LOOKED_AT:]:
        capture.detailed(one)
        if one.request is not None and one.request.complete <= number and (head := head_of(one, response=False)) is not None:
            for name, value in head.headers:
                if name == "cookie":
                    for pair in value.split(";"):
                        key, _, content = pair.strip().partition("=")
                        if key:
                            sent[key] = one.request.complete
                            _judge(credentials, f"the cookie {printable(key, 40)}", content, one.request.complete)
                elif name == "authorization":
                    scheme, _, content = value.partition(" ")
                    _judge(credentials, "Authorization", content, one.request.complete, printable(scheme, 20))
        if one.response is not None and one.response.first <= number and (head := head_of(one, response=True)) is not None:
            for name, value in head.headers:
                if name == "set-cookie":
                    key = value.partition("=")[0].strip()
                    words = [part.strip().partition("=")[0] for part in value.split(";")[1:]]
                    given[key] = one.response.first, ", ".join(printable(word, 20) for word in words if word)
    for name, (packet, attributes) in given.items():
        text = f"{printable(name, 40)}" + (f" ({attributes})" if attributes else "")
        yield Fact(7, "Cookies", CLIENT, "given by the server", f"{text}; the value is not shown", packet, "RFC 6265, 5.3")
    for name, packet in sent.items():
        origin = f"given in packet {given[name][0]}" if name in given else "given before this capture, or by other means"
        yield Fact(7, "Cookies", CLIENT, "sent by the client", f"{printable(name, 40)}, {origin}", packet, "RFC 6265, 5.4")
        if tokens.names_session(name) and f"the cookie {printable(name, 40)}" not in credentials:
            text = f"what {printable(name, 40)} stands for, if it is an identifier; a cookie may also hold all of it itself"
            yield Fact(7, "Cookies", SERVER, "session", text, packet, "RFC 6265, 8.4")
    for where, (packet, text) in credentials.items():
        token = tokens.token(text)
        if token is not None:
            said = tokens.words(token, capture.time_of(packet))
            yield Fact(7, "JWT", CLIENT, f"a token ({where})", said, packet, "RFC 7519, 4")
            keeps = "only the key that the signature is checked with; what is true of the user stands in the token"
            yield Fact(7, "JWT", SERVER, "must remember", keeps, packet, "RFC 7519, 7.2; RFC 7515, 5.2")
        else:
            said = f"{text.partition(' ')[0]}: sent with each request; the value is not shown"
            yield Fact(7, "Credentials", CLIENT, where, said, packet, "RFC 9110, 11.6.2")


def _judge(found: dict[str, tuple[int, str]], where: str, content: str, packet: int, scheme: str = "") -> None:
    """Keep credentials, and what is a token; of other cookies nothing."""
    if tokens.token(content) is not None:
        found[where] = packet, content
    elif scheme:
        found[where] = packet, f"{scheme} (redacted)"


def units(conversation: Conversation, number: int, protocol: str) -> Iterator[Pdu]:
    """The units of a protocol that are complete by a packet, in order."""
    for packet in sorted(conversation.tree.pdus):
        if packet > number:
            return
        yield from (pdu for pdu in conversation.tree.pdus[packet] if pdu.protocol == protocol)
