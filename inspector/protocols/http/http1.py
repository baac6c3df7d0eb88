"""HTTP/1.0 and 1.1 (RFC 9112; semantics RFC 9110): messages in a stream, and the layer of one message.

A message whose head decides that it is finite is one unit. Of an event stream, an Upgrade and a CONNECT the head is a unit
of its own, so that an unending response is seen as it comes; its chunks are units too, and its body is a stream of its own.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import deque
from hashlib import sha1
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import FieldSpec, Kind, catalog, duration, flag, frame, heading, octets, string, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.limits import MAX_BODY_DECODED, MAX_HEAD
from inspector.core.protocol import Card, Protocol, Sniff
from inspector.core.span import Origin, Span
from inspector.core.stream import Child, Ended, Gap, Reader, Steps, StreamParser, TooLong
from inspector.protocols.http import codings
from inspector.protocols.http.head import METHODS, Head, is_request_line, is_status_line, parse

EVENT_STREAM = "text/event-stream"
MAX_CHUNK_LINE = 16 * 1024  # a chunk's size and extensions
NO_BODY = (204, 304)
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;|\r?\n?$)")

HEADERS = {
    "host": "http.host", "user-agent": "http.user_agent", "referer": "http.referer", "accept": "http.accept",
    "accept-language": "http.accept_language", "accept-encoding": "http.accept_encoding", "connection": "http.connection",
    "cookie": "http.cookie", "authorization": "http.authorization", "server": "http.server", "location": "http.location",
    "set-cookie": "http.set_cookie", "content-type": "http.content_type", "content-length": "http.content_length_header",
    "transfer-encoding": "http.transfer_encoding", "content-encoding": "http.content_encoding",
    "cache-control": "http.cache_control", "upgrade": "http.upgrade", "date": "http.date",
    "last-modified": "http.last_modified",
    "x-forwarded-for": "http.x_forwarded_for", "sec-websocket-accept": "http.sec_websocket_accept",
    "sec-websocket-extensions": "http.sec_websocket_extensions", "sec-websocket-key": "http.sec_websocket_key",
    "sec-websocket-protocol": "http.sec_websocket_protocol", "sec-websocket-version": "http.sec_websocket_version",
    "www-authenticate": "http.www_authenticate", "proxy-authenticate": "http.proxy_authenticate",
    "proxy-authorization": "http.proxy_authorization",
}  # fmt: skip

FIELDS = catalog(
    string("http.request.method", "Method"),
    string("http.request.uri", "Target"),
    string("http.request.version", "Version"),
    string("http.response.version", "Version"),
    FieldSpec("http.response.code", Kind.UINT, "Status", 16),
    string("http.response.phrase", "Reason"),
    *(string(name, key.title()) for key, name in HEADERS.items()),
    string("http.header", "Header"),
    heading("http.cookies", "Cookies"),
    string("http.cookie_pair", "Cookie"),
    string("http.request.full_uri", "Full URI"),
    string("http.response_for.uri", "Answers the request for"),
    flag("http.request", "Request"),
    flag("http.response", "Response"),
    frame("http.request_in", "Answers the request in packet"),
    frame("http.response_in", "Answered in packet"),
    duration("http.time", "Time since the request"),
    heading("http.chunk", "Chunk"),
    string("http.chunk_size", "Chunk size line"),
    octets("http.chunk_data", "Chunk data"),
    octets("http.chunk_boundary", "End of the chunk"),
    octets("http.blank", "Blank line: end of the head"),
    octets("http.file_data", "Body"),
    u32("http.content_length", "Content length"),
)


def sniff(prefix: bytes) -> Sniff:
    """A request line or a status line of HTTP/1."""
    prefix = prefix.lstrip(b"\r\n")  # empty lines in front are passed over (RFC 9112, 2.2)
    if not prefix:
        return Sniff.NEED_MORE
    line = prefix.split(b"\n")[0].rstrip(b"\r")
    if is_status_line(line):
        return Sniff.YES
    method = line.split(b" ")[0]
    if b"\n" in prefix:
        return Sniff.YES if is_request_line(line) and b" HTTP/1" in line else Sniff.NO
    if b" " in line:
        return (Sniff.NEED_MORE if len(prefix) < 512 else Sniff.YES) if method.decode("latin-1") in METHODS else Sniff.NO
    possible = any(name.encode().startswith(method) for name in METHODS) or b"HTTP/1.".startswith(prefix[:7])
    return Sniff.NEED_MORE if possible else Sniff.NO


class Http1(StreamParser):
    """Both directions of an HTTP/1 connection. Requests are told from responses by their start lines."""

    protocol = "http"

    def __init__(self) -> None:
        self._asked: deque[dict[str, Any]] = deque()  # requests that are not answered yet
        self._requests_seen = False

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and not (yield from self._find_start(reader)):
            return
        while (yield from reader.some()):
            start = reader.pos
            try:
                raw = yield from self._head(reader)
            except (Ended, TooLong):
                self.node.emit("rest", reader, start, reader.arrived, complete=False)
                reader.pos = reader.arrived
                return
            head = parse(raw)
            if head is None:
                self.node.emit("rest", reader, start, reader.pos, {"error": "no HTTP start line here"})
                if not (yield from self._find_start(reader)):
                    return
                continue
            handed = yield from (self._request if head.request else self._response)(reader, start, head)
            if handed:
                return

    def _find_start(self, reader: Reader) -> Steps[bool]:
        """After a gap: the next place where a segment begins with a start line."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
            except Gap:
                continue
            line = reader.peek_now(2048).split(b"\n")[0].rstrip(b"\r")
            if is_request_line(line) or is_status_line(line):
                return True
            at, reader.pos = reader.pos, min(reader.segment_start(reader.pos + 1), reader.arrived)
            self.node.emit("rest", reader, at, reader.pos, {"error": "no HTTP start line here"})

    def _head(self, reader: Reader) -> Steps[bytes]:
        """From the start line to the blank line, whether lines end in CRLF or in a bare LF (RFC 9112, 2.2)."""
        raw = b""
        while len(raw) <= MAX_HEAD:
            line = yield from reader.until(b"\n", MAX_HEAD)
            if not raw and line.strip(b"\r\n") == b"":
                continue
            raw += line
            if line in (b"\r\n", b"\n"):
                return raw
        raise TooLong

    # --- requests

    def _request(self, reader: Reader, start: int, head: Head) -> Steps[bool]:
        self._requests_seen = True
        method, target, _ = head.start
        packet = reader.packet()
        asked: dict[str, Any] = {
            "method": method,
            "target": target,
            "host": head.get("host") or "",
            "scheme": "https" if "tls" in self.node.info else "http",
            "packet": packet,
            "answer": None,
            "head": head,
        }
        info: dict[str, Any] = {"asked": asked, "head_stop": reader.pos}
        self._asked.append(asked)
        if method == "CONNECT" or "upgrade" in head.tokens("connection"):
            if "chunked" in head.tokens("transfer-encoding") or _length(head):
                yield from self._body(reader, start, head, info, request=True)
            else:
                self.node.emit("head", reader, start, reader.pos, info)
            answered = yield from self.wait(lambda: asked["answer"] is not None)
            if answered and asked.get("handed"):
                table, key, extra, why = asked["handed"]
                return self.node.hand_over(reader, table, key, extra, why)
            return False
        yield from self._body(reader, start, head, info, request=True)
        return False

    # --- responses

    def _response(self, reader: Reader, start: int, head: Head) -> Steps[bool]:
        code = _code(head.start[1].encode("latin-1"))
        if not self._asked:
            other = self.node.reader(1 - reader.direction)
            if other.available or self._requests_seen:
                yield from self.wait(lambda: bool(self._asked))
        asked = self._asked[0] if self._asked else None
        info: dict[str, Any] = {"asked": asked, "head_stop": reader.pos, "code": code}
        if asked is not None and not 100 <= code < 200:
            self._asked.popleft()
        if asked is not None and asked["answer"] is None and (code == 101 or not 100 <= code < 200):
            asked["answer"] = reader.packet()
        if code == 101:
            self.node.emit("head", reader, start, reader.pos, info)
            if asked is not None:
                self._asked.popleft()
            protocol = (head.get("upgrade") or "").lower()
            extra = {"extensions": head.get("sec-websocket-extensions") or "", "asked": asked, "client": 1 - reader.direction}
            why = f"the server agreed to the upgrade: 101, Upgrade: {protocol}"
            if asked is not None:
                asked["handed"] = ("http.upgrade", protocol, extra, why)
            return self.node.hand_over(reader, "http.upgrade", protocol, extra, why)
        if asked is not None and asked["method"] == "CONNECT" and 200 <= code < 300:
            self.node.emit("head", reader, start, reader.pos, info)
            why = "a tunnel: CONNECT was answered with success"
            asked["handed"] = ("stream", "detect", {}, why)
            return self.node.hand_over(reader, "stream", "detect", {}, why)
        if 100 <= code < 200:
            self.node.emit("message", reader, start, reader.pos, info)
            return False
        yield from self._body(reader, start, head, info, request=False)
        return False

    # --- bodies (RFC 9112, 6.3)

    def _body(self, reader: Reader, start: int, head: Head, info: dict[str, Any], request: bool) -> Steps[None]:
        asked = info.get("asked")
        code = info.get("code", 0)
        method = asked["method"] if asked else ""
        chunked = "chunked" in head.tokens("transfer-encoding")
        length = _length(head)
        framing = "none"
        if not request and (method == "HEAD" or code in NO_BODY):
            framing = "none"
        elif chunked:
            framing = "chunked"
        elif length is not None:
            framing = "length"
        elif not request:
            framing = "close"
        info["framing"] = framing
        media = (head.get("content-type") or "").split(";")[0].strip().lower()
        if media == EVENT_STREAM and not request and framing != "none":
            yield from self._events(reader, start, head, info, framing, length or 0)
            return
        stop_packet: int | None = None
        complete = True
        try:
            if framing == "length":
                info["missing"] = yield from reader.skip(length or 0, over_gaps=True)
            elif framing == "chunked":
                info["missing"] = 0
                size = 1
                while size:
                    _, _, size, missing = yield from self._chunk(reader, over_gaps=True)
                    info["missing"] += missing
            elif framing == "close":
                while (yield from reader.some()):
                    reader.pos = reader.arrived
                stop_packet = reader.end_packet
        except (Ended, TooLong):
            reader.pos = reader.arrived
            complete = False
        except Gap:
            self.node.emit("message", reader, start, reader.pos, info, complete=False)
            raise
        pdu = self.node.emit("message", reader, start, reader.pos, info, complete=complete, packet=stop_packet)
        if request and asked:
            asked["packet"] = pdu.packet

    def _chunk(self, reader: Reader, over_gaps: bool = False) -> Steps[tuple[int, int, int, int]]:
        """One chunk; returns where its data begins and ends, its size (0 for the last, with its trailers), and how many
        of its bytes are missing."""
        line = yield from reader.until(b"\n", MAX_CHUNK_LINE)
        size = chunk_size(line)
        if size is None:
            raise TooLong
        begin = reader.pos
        if size:
            missing = yield from reader.skip(size, over_gaps)
            yield from reader.until(b"\n", 2)
            return begin, begin + size, size, missing
        while (yield from reader.until(b"\n", MAX_HEAD)).strip(b"\r\n"):
            pass
        return begin, begin, 0, 0

    def _events(self, reader: Reader, start: int, head: Head, info: dict[str, Any], framing: str, length: int) -> Steps[None]:
        self.node.emit("head", reader, start, reader.pos, {**info, "head_only": True})
        child = self.node.open("body", "HTTP body", "http.body", EVENT_STREAM, {"asked": info.get("asked")})
        coding = (head.tokens("content-encoding") or ["identity"])[0]
        feed = _Feed(reader, child, coding)
        end = reader.pos + length
        try:
            if framing == "chunked":
                while True:
                    at = reader.pos
                    begin, stop, size, _ = yield from self._chunk(reader)
                    self.node.emit("chunk", reader, at, reader.pos, {"last": size == 0})
                    feed.push(begin, stop)
                    if not size:
                        break
            else:
                while (framing == "close" or reader.pos < end) and (yield from reader.some()):
                    at = reader.pos
                    reader.pos = reader.arrived if framing == "close" else min(reader.arrived, end)
                    feed.push(at, reader.pos)
        except (Ended, TooLong):
            at, reader.pos = reader.pos, reader.arrived
            if reader.pos > at:
                self.node.emit("chunk", reader, at, reader.pos, {"last": False}, complete=False)
                feed.push_partial(at, reader.pos)
        except Gap as gap:
            feed.gap(gap.size)
            raise
        finally:
            feed.end()


class _Feed:
    """Hands a body on to its child stream, decoded where it is coded."""

    def __init__(self, reader: Reader, child: Child | None, coding: str) -> None:
        self._reader = reader
        self._child = child
        self._decoder = codings.Decoder(coding) if coding in codings.NAMES else None
        self._ended = False

    def push(self, start: int, stop: int) -> None:
        if self._child is None or stop <= start:
            return
        span = Span(self._reader.buffer, start, stop)
        packet = self._reader.packet_at(stop - 1)
        if self._decoder is None:
            self._child.push(self._reader.direction, span, packet)
            return
        try:
            data = self._decoder.feed(span.read())
        except codings.Damaged:
            self._child = None
            return
        if data:
            self._child.push(self._reader.direction, span, packet, data)

    def push_partial(self, start: int, stop: int) -> None:
        """The data of a chunk that was cut: what follows its size line."""
        line, newline, _ = self._reader.buffer.read(start, min(stop, start + MAX_CHUNK_LINE)).partition(b"\n")
        if newline:
            self.push(start + len(line) + 1, stop)

    def gap(self, size: int) -> None:
        if self._child is not None:
            self._child.gap(self._reader.direction, size, self._reader.packet())

    def end(self) -> None:
        if self._child is not None and not self._ended:
            self._ended = True
            packet = self._reader.end_packet if self._reader.ended else self._reader.packet()
            self._child.end(self._reader.direction, packet, self._reader.reset)


def chunk_size(line: bytes) -> int | None:
    """The number at the start of a chunk's size line (RFC 9112, 7.1): hexadecimal digits and nothing else, no sign."""
    found = _CHUNK_SIZE.match(line)
    return int(found.group(1), 16) if found else None


def websocket_accept(key: str) -> str:
    """The answer that a server owes to a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key.strip().encode("latin-1", "replace") + WEBSOCKET_GUID).digest()).decode("ascii")


def _length(head: Head) -> int | None:
    value = (head.get("content-length") or "").split(",")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def _code(word: bytes) -> int:
    """A status code: three digits (RFC 9112, 4); 0 where it is something else."""
    return int(word) if len(word) == 3 and word.isdigit() else 0


# --- the layer of one unit


def dissect(c: Cursor) -> None:
    kind = c.context.info.get("kind")
    if kind == "chunk":
        _chunk(c)
        c.layer.summary = (
            "the last chunk: the body ends here" if c.context.info.get("last") else f"chunk of {_data_size(c)} bytes"
        )
        return
    if kind == "rest":
        c.octets("http.file_data", c.remaining)
        c.issue("not-http", c.context.info.get("error", "the head is not complete"), Severity.WARNING)
        c.layer.summary = "Continuation"
        return
    head = _head(c)
    if head is None or kind == "head":
        return
    framing = c.context.info.get("framing", "none")
    if c.remaining:
        _message_body(c, head, framing)


def _data_size(c: Cursor) -> str:
    data = c.layer.find("http.chunk_data")
    return f"{data.span.size:,}" if data is not None else "0"


def _line(c: Cursor) -> tuple[bytes, int]:
    """The next line without its end, and where the next one begins."""
    rest = c.peek(512)
    at = rest.find(b"\n")
    if at < 0:
        rest = c.peek(min(c.remaining, MAX_HEAD))
        at = rest.find(b"\n")
    if at < 0:
        return rest, c.pos + len(rest)
    return rest[: at - 1 if rest[at - 1 : at] == b"\r" else at], c.pos + at + 1


def _head(c: Cursor) -> Head | None:
    while c.peek(1) in (b"\r", b"\n"):
        c.octets("http.blank", 1)
    head_stop = min(max(c.context.info.get("head_stop", c.stop), c.pos), c.stop)
    head = parse(c.slice(c.pos, head_stop))
    if head is None:
        c.octets("http.file_data", c.remaining)
        return None
    _start_line(c, head)
    while c.pos < head_stop:
        line, following = _line(c)
        if not line:
            c.octets("http.blank", following - c.pos)
            break
        _header(c, line, following)
    _links(c, head)
    return head


def _start_line(c: Cursor, head: Head) -> None:
    line, following = _line(c)
    words = line.split(b" ", 2)
    names = (
        ("http.request.method", "http.request.uri", "http.request.version")
        if head.request
        else ("http.response.version", "http.response.code", "http.response.phrase")
    )
    at = c.pos
    for name, word in zip(names, words, strict=False):
        if name == "http.response.code":
            c.add(name, _code(word), at, at + len(word))
        elif word or name != "http.response.phrase":
            c.add(name, word.decode("utf-8", "surrogateescape"), at, at + len(word))
        at += len(word) + 1
    c.layer.fields[0].span = c.span(c.start, c.layer.fields[0].span.stop)
    last = c.layer.fields[-1]
    last.span = c.span(last.span.start, following)
    for field, after in zip(c.layer.fields, c.layer.fields[1:], strict=False):
        field.span = c.span(field.span.start, after.span.start)
    c.pos = following
    c.layer.summary = line.decode("utf-8", "surrogateescape")


def _header(c: Cursor, line: bytes, following: int) -> None:
    name, colon, value = line.partition(b":")
    key = name.lower().decode("latin-1")
    text = value.strip(b" \t").decode("utf-8", "surrogateescape")
    shown = HEADERS.get(key, "http.header")
    start = c.pos
    if shown == "http.header":
        c.add(shown, line.decode("utf-8", "surrogateescape"), start, following)
    else:
        field = c.add(shown, text, start, following)
        if shown == "http.cookie":
            at = start + len(name) + 1
            for part in value.split(b";"):
                pair = part.strip()
                begin = at + (len(part) - len(part.lstrip()))
                child = c.add("http.cookie_pair", pair.decode("utf-8", "surrogateescape"), begin, begin + len(pair))
                c.layer.fields.remove(child)
                field.children.append(child)
                at += len(part) + 1
    if line[:1] in (b" ", b"\t"):
        c.issue("obs-fold", "a folded header line: forbidden since RFC 7230, and read in different ways (RFC 9112, 5.2)")
    elif b"\r" in line:
        c.issue("bare-cr", "a CR without LF inside a header line: some take it for the end of the line (RFC 9112, 2.2)")
    elif not colon:
        c.issue("header-line", "a header line without a colon (RFC 9112, 5)")
    elif name != name.rstrip():
        c.issue(
            "header-space", "white space before the colon: servers must refuse this, proxies were fooled by it (RFC 9112, 5.1)"
        )
    c.pos = following


def _links(c: Cursor, head: Head) -> None:
    asked = c.context.info.get("asked")
    if head.request:
        host, target = head.get("host"), head.start[1]
        if host is not None:
            c.generated("http.request.full_uri", _full(head.start[0], host, target, asked))
        if asked and asked["answer"]:
            c.generated("http.response_in", asked["answer"])
    elif asked and (c.context.packet is None or asked["packet"] <= c.context.packet.number):
        c.generated("http.request_in", asked["packet"])
        times = c.context.info.get("time_of")
        if times is not None and c.context.packet is not None:
            c.generated("http.time", c.context.packet.time_ns - times(asked["packet"]))
        if asked["host"]:
            c.generated("http.response_for.uri", _full(asked["method"], asked["host"], asked["target"], asked))
        if c.context.info.get("code") == 101:
            _check_accept(c, head, asked["head"])
    lengths = {part.strip() for name, value in head.headers if name == "content-length" for part in value.split(",")}
    if len(lengths) > 1:
        text = "different values of Content-Length: nobody knows where this message ends (RFC 9112, 6.3)"
        c.issue("framing-conflict", text, Severity.ERROR)
    elif any(not (length.isascii() and length.isdigit()) for length in lengths):
        c.issue("content-length", "Content-Length is not a number (RFC 9110, 8.6)", Severity.ERROR)
    if lengths and "chunked" in head.tokens("transfer-encoding"):
        c.issue(
            "framing-conflict",
            "both Content-Length and Transfer-Encoding: two servers may see two different messages (RFC 9112, 6.3)",
            Severity.ERROR,
        )


def _full(method: str, host: str, target: str, asked: dict[str, Any] | None) -> str:
    """The target with its host; the absolute form and CONNECT's authority form have it already (RFC 9112, 3.2)."""
    scheme = asked["scheme"] if asked else "http"
    return target if _ABSOLUTE.match(target) or method == "CONNECT" else f"{scheme}://{host}{target}"


def _check_accept(c: Cursor, head: Head, asked: Head) -> None:
    key, accept = asked.get("sec-websocket-key"), head.get("sec-websocket-accept")
    if key is None or (head.get("upgrade") or "").lower() != "websocket":
        return
    if accept is None:
        text = "no Sec-WebSocket-Accept: the client must fail the connection (RFC 6455, 4.1)"
        c.issue("websocket-accept", text, Severity.ERROR, c.span(c.start))
    elif accept != websocket_accept(key):
        text = f"the request's key asks for {websocket_accept(key)}: the client must fail the connection (RFC 6455, 4.1)"
        at = c.layer.find("http.sec_websocket_accept")
        c.issue("websocket-accept", text, Severity.ERROR, at.span if at else c.span(c.start))


def _chunk(c: Cursor) -> Span | None:
    """One chunk; returns the range of its data."""
    with c.group("http.chunk") as chunk:
        line, following = _line(c)
        c.add("http.chunk_size", line.decode("latin-1"), c.pos, following)
        c.pos = following
        size = chunk_size(line)
        if size is None:
            c.issue("chunk-size", "no hexadecimal number (RFC 9112, 7.1)", Severity.ERROR)
            c.octets("http.chunk_data", c.remaining)
            return None
        chunk.text = f"{size:,} bytes" if size else "the last: nothing follows but trailers"
        if not size:
            while c.remaining:
                line, following = _line(c)
                if not line:
                    c.octets("http.chunk_boundary", following - c.pos)
                    return None
                c.add("http.header", line.decode("utf-8", "surrogateescape"), c.pos, following)
                c.pos = following
            return None
        begin = c.pos
        c.octets("http.chunk_data", min(size, c.remaining))
        span = c.span(begin)
        if c.remaining:
            c.octets("http.chunk_boundary", min(_line(c)[1] - c.pos, c.remaining))
        return span


def _message_body(c: Cursor, head: Head, framing: str) -> None:
    pieces: list[Span] = []
    if framing == "chunked":
        while c.remaining:
            span = _chunk(c)
            if span is None:
                break
            pieces.append(span)
    else:
        start = c.pos
        c.octets("http.file_data", c.remaining)
        pieces.append(c.span(start))
    if not pieces:
        return
    body = pieces[0]
    buffer_id = f"body:{c.buffer.id}:{c.start}"
    if framing == "chunked":
        data = b"".join(c.slice(p.start, p.stop) for p in pieces)
        origins, at = [], 0
        for piece in pieces:
            origins.append(Origin(at, at + piece.size, piece))
            at += piece.size
        inner = c.derive(buffer_id, "dechunked", data, origins)
        body = Span(inner.buffer, 0, len(data))
    else:
        data = c.slice(body.start, body.stop)
    for coding in reversed(head.tokens("content-encoding")):
        if coding not in codings.NAMES:
            break
        try:
            data = codings.Decoder(coding).feed(data)
        except codings.Damaged as damaged:
            c.issue("content-coding", f"the body is no whole {coding} stream: {damaged}", Severity.ERROR, body)
            return
        buffer_id += f":{coding}"
        inner = c.derive(buffer_id, f"decompressed ({coding})", data, [Origin(0, len(data), body, copied=False)])
        body = Span(inner.buffer, 0, len(data))
    if len(data) >= MAX_BODY_DECODED:
        c.issue("limit", f"the body is shown to {MAX_BODY_DECODED >> 20} MiB", Severity.NOTE, body)
    media = (head.get("content-type") or "").split(";")[0].strip().lower()
    key = "json" if media == "application/json" or media.endswith("+json") else media
    if key:
        c.hand_on(body, "media_type", key, f"Content-Type: {media}")


def explain(layer: Layer) -> list[Note]:
    notes = []
    chunk = layer.find("http.chunk_size")
    if layer.find("http.response.code") is not None or layer.find("http.request.method") is not None:
        notes.append(_framing(layer))
    elif chunk is not None:
        why = "The length in front, in hexadecimal, lets the server send before it knows how long the body will be."
        notes.append(Note(chunk.span, "chunk", why, "RFC 9112, 7.1"))
    code = layer.value("http.response.code")
    if code == 101:
        why = "From the byte behind the blank line on, this connection no longer speaks HTTP."
        notes.append(Note(layer.span, "101 Switching Protocols", why, "RFC 9110, 15.2.2"))
    accept = layer.find("http.sec_websocket_accept")
    if accept is not None:
        why = (
            "SHA-1 over the request's Sec-WebSocket-Key and a fixed text, in Base64: proof that the server speaks WebSocket and"
            " did not take the request for an ordinary one. It keeps nothing secret."
        )
        notes.append(Note(accept.span, "accept", why, "RFC 6455, 1.3 and 4.2.2"))
    return notes


def _framing(layer: Layer) -> Note:
    coding = layer.find("http.transfer_encoding")
    if coding is not None and "chunked" in str(coding.value).lower():
        why = "The body ends with a chunk of size 0, so the connection can be used again without a length in front."
        return Note(coding.span, "why the body ends", why, "RFC 9112, 6.3 and 7.1")
    length = layer.find("http.content_length_header")
    if length is not None:
        why = f"The receiver counts: the body is the {length.value} bytes behind the blank line."
        return Note(length.span, "why the body ends", why, "RFC 9112, 6.2 and 6.3")
    if layer.find("http.request.method") is not None:
        return Note(
            layer.span, "no body", "A request without Content-Length and Transfer-Encoding has no body.", "RFC 9112, 6.3"
        )
    code = layer.value("http.response.code")
    if code in NO_BODY or (isinstance(code, int) and code < 200):
        return Note(layer.span, "no body", f"A {code} response never has one.", "RFC 9112, 6.3")
    why = "Neither a length nor chunks: the body ends when the server closes the connection."
    return Note(layer.span, "why the body ends", why, "RFC 9112, 6.3")


CARD = Card(
    "text: a start line, header lines, a blank line; then any bytes",
    "a message at a time; a body by length, in chunks, or until the connection closes",
    "the target in the request line and the Host header",
    "the client asks, the server answers",
    "none between requests by itself; cookies and tokens carry it; the connection only frames messages",
    "proxies and gateways read the target and the Host header",
    "TCP's; at most one message at a time in each direction",
    "status codes; a body that ends too early shows by its framing",
)
PROTOCOL = Protocol(
    "http", "HTTP/1.1", 7, FIELDS, dissect, keys={"tcp.port": [80, 3128, 8000, 8008, 8080, 8888]}, sniff=sniff, parser=Http1,
    explain=explain, card=CARD, reference="RFC 9112",
)  # fmt: skip
SSDP = Protocol(
    "ssdp",
    "SSDP: HTTP heads in datagrams",
    7,
    FIELDS,
    dissect,
    keys={"udp.port": [1900]},
    reference="UPnP Device Architecture 2.0, 1",
)
