"""The layer of one HTTP/1 unit: start line, header lines, body (RFC 9112, 2 to 7; semantics RFC 9110)."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import FieldSpec, Kind, catalog, duration, flag, frame, octets, string, u32
from inspector.core.layer import Severity
from inspector.core.limits import MAX_HEAD
from inspector.core.span import Span
from inspector.protocols.http.content import carry
from inspector.protocols.http.framing import Framing, chunk_size, codings, content_length, content_lengths
from inspector.protocols.http.head import Head, Line, parse

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] [0-9]{3}(?: [^\r\n]*)?\r?\n?")  # RFC 9112, 4

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
    string("http.unknown_header", "Header"),
    string("http.header.name", "Name"),
    string("http.header.value", "Value"),
    string("http.cookie_pair", "Cookie"),
    string("http.request.full_uri", "Full URI"),
    string("http.response_for.uri", "Answers the request for"),
    string("http.response_for.method", "Answers the method"),
    flag("http.request", "Request"),
    flag("http.response", "Response"),
    frame("http.request_in", "Answers the request in packet"),
    frame("http.response_in", "Answered in packet"),
    duration("http.time", "Time since the request"),
    string("http.chunk", "Chunk"),
    string("http.chunk_size", "Chunk size line"),
    string("http.chunk_extension", "Chunk extension"),
    octets("http.chunk_data", "Chunk data"),
    octets("http.chunk_boundary", "End of the chunk"),
    string("http.chunked_trailer_part", "Trailer"),
    octets("http.blank", "Blank line: end of the head"),
    octets("http.file_data", "Body"),
    u32("http.content_length", "Content length"),
)

FLAWS = {
    "obs-fold": "a folded header line: no longer allowed, and read in different ways (RFC 9112, 5.2)",
    "bare-cr": "a CR without LF inside a header line: invalid, or read as a space; some take it for a line end (RFC 9112, 2.2)",
    "header-line": "a header line without a colon (RFC 9112, 5)",
    "header-space": "white space before the colon: a server must refuse such a request, a proxy must mend such a response"
    " (RFC 9112, 5.1)",
    "header-name": "a header name with characters that no token has (RFC 9110, 5.1)",
    "header-value": "a NUL inside a header value: the receiver must refuse it or put a space in its place (RFC 9110, 5.5)",
}


def dissect(c: Cursor) -> None:
    kind = c.context.info.get("kind")
    if kind == "chunk":
        data = _chunk(c)
        last = c.context.info.get("last")
        c.layer.summary = "the last chunk: the body ends here" if last else f"chunk of {data.size if data else 0:,} bytes"
    elif kind in ("rest", "simple"):
        c.octets("http.file_data", c.remaining)
        c.layer.summary = "Continuation"
        if kind == "rest":
            c.issue("not-http", c.context.info.get("error", "the head is not complete"), Severity.WARNING)
    else:
        head = _head(c)
        if head is not None and kind != "head" and c.remaining:
            _body(c, head)


def websocket_accept(key: str) -> str:
    """The answer that a server owes to a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key.strip().encode("latin-1", "replace") + WEBSOCKET_GUID).digest()).decode("ascii")


# --- the head


def _head(c: Cursor) -> Head | None:
    base = c.pos
    raw = c.slice(base, min(max(c.context.info.get("head_stop", base + MAX_HEAD), base), c.stop))
    head = parse(raw)
    if head is None or head.layout is None:
        c.octets("http.file_data", c.remaining)
        return None
    while c.peek(1) in (b"\r", b"\n"):
        c.octets("http.blank", 1)
    layout = head.layout
    _start_line(c, head, base, raw)
    for line in layout.lines:
        _header(c, line, base)
    if layout.blank is not None:
        c.add("http.blank", raw[layout.blank.start : layout.blank.stop], base + layout.blank.start, base + layout.blank.stop)
    ends = [layout.start_stop, *(line.stop for line in layout.lines), layout.blank.stop if layout.blank else 0]
    c.pos = base + max(ends)
    if layout.bare_lf is not None:
        text = "a line ends in LF without CR: recipients may take it for a line end, and need not (RFC 9112, 2.2)"
        c.issue("bare-lf", text, Severity.NOTE, c.span(base + layout.bare_lf, base + layout.bare_lf + 1))
    _links(c, head)
    _framing_issues(c, head)
    return head


def _start_line(c: Cursor, head: Head, base: int, raw: bytes) -> None:
    """The words of the start line; the white space and line end behind a word belong to its field."""
    layout = head.layout
    assert layout is not None
    names = ("method", "uri", "version") if head.request else ("version", "code", "phrase")
    words = layout.words if len(layout.words) < 3 or layout.words[2].text else layout.words[:2]
    stops = [word.start for word in words[1:]] + [layout.start_stop]
    for name, word, stop in zip(names, words, stops, strict=False):
        field = f"http.{'request' if head.request else 'response'}.{name}"
        text = raw[word.start : word.stop].decode("utf-8", "surrogateescape")
        c.add(field, head.code if name == "code" else text, base + word.start, base + stop)
    line = raw[layout.words[0].start : layout.start_stop]
    c.layer.summary = line.strip(b"\r\n").decode("utf-8", "surrogateescape")
    if not head.request and not _STATUS_LINE.fullmatch(line):
        text = "no right status line: HTTP-version, a space, three digits, a space, a reason (RFC 9112, 4)"
        c.issue("status-line", text, Severity.WARNING, c.span(base + layout.words[0].start, base + layout.start_stop))


def _header(c: Cursor, line: Line, base: int) -> None:
    """A header line: a field over the whole line, with its name and its value as fields of their own inside."""
    known = HEADERS.get(line.key) if "header-line" not in line.flaws else None
    name, value = line.name, line.value
    text = value.text if known else f"{name.text}: {value.text}" if "header-line" not in line.flaws else name.text
    c.pos = base + line.start
    with c.group(known or "http.unknown_header", text) as field:
        c.add("http.header.name", name.text, base + name.start, base + name.stop)
        if value.stop > value.start:
            c.add("http.header.value", value.text, base + value.start, base + value.stop)
            if known == "http.cookie" and "obs-fold" not in line.flaws:
                _cookies(c, base + value.start, base + value.stop)
            elif line.key == "http2-settings":
                c.hand_on(
                    c.span(base + value.start, base + value.stop), "http.header", line.key, "its value is a SETTINGS payload"
                )
        c.pos = base + line.stop
    for code in line.flaws:
        c.issue(code, FLAWS[code], Severity.WARNING, field.span)


def _cookies(c: Cursor, start: int, stop: int) -> None:
    """The pairs of a Cookie header (RFC 6265, 4.2.1)."""
    at = start
    for part in c.slice(start, stop).split(b";"):
        pair = part.strip()
        begin = at + len(part) - len(part.lstrip())
        if pair:
            c.add("http.cookie_pair", pair.decode("utf-8", "surrogateescape"), begin, begin + len(pair))
        at += len(part) + 1


def _links(c: Cursor, head: Head) -> None:
    """What follows from the head and from the request that it answers."""
    asked = c.context.info.get("asked")
    if head.request:
        host, target = head.get("host"), head.start[1]
        if host is not None:
            c.generated("http.request.full_uri", _full(head.start[0], host, target, asked))
        elif head.version == "HTTP/1.1":
            text = "a request of HTTP/1.1 without Host: the server must answer 400 (RFC 9112, 3.2)"
            c.issue("host-missing", text, Severity.WARNING, c.span(c.start))
        if sum(name == "host" for name, _ in head.headers) > 1:
            text = "more than one Host: the server must answer 400 (RFC 9112, 3.2)"
            c.issue("host-twice", text, Severity.WARNING, _at(c, "http.host"))
        if asked and asked["answer"]:
            c.generated("http.response_in", asked["answer"])
    elif asked and (c.context.packet is None or asked["packet"] <= c.context.packet.number):
        c.generated("http.request_in", asked["packet"])
        times = c.context.info.get("time_of")
        if times is not None and c.context.packet is not None:
            c.generated("http.time", c.context.packet.time_ns - times(asked["packet"]))
        c.generated("http.response_for.method", asked["method"])
        if asked["host"]:
            c.generated("http.response_for.uri", _full(asked["method"], asked["host"], asked["target"], asked))
        if head.code == 101:
            _check_accept(c, head, asked["head"])


def _full(method: str, host: str, target: str, asked: dict[str, Any] | None) -> str:
    """The target with its host; the absolute form and CONNECT's authority form have it already (RFC 9112, 3.2)."""
    scheme = asked["scheme"] if asked else "http"
    return target if _ABSOLUTE.match(target) or method == "CONNECT" else f"{scheme}://{host}{target}"


def _framing_issues(c: Cursor, head: Head) -> None:
    lengths = content_lengths(head)
    if len(lengths) > 1:
        text = "different values of Content-Length: nobody knows where this message ends (RFC 9112, 6.3)"
        c.issue("framing-conflict", text, Severity.ERROR, _at(c, "http.content_length_header"))
    elif lengths and content_length(head) is None:
        text = "Content-Length is not a number that can be counted (RFC 9110, 8.6)"
        c.issue("content-length", text, Severity.ERROR, _at(c, "http.content_length_header"))
    applied = codings(head)
    if not applied:
        return
    at = _at(c, "http.transfer_encoding")
    if lengths:
        text = "both Content-Length and Transfer-Encoding: the latter counts, but servers may differ (RFC 9112, 6.1 and 6.3)"
        c.issue("framing-conflict", text, Severity.ERROR, at)
    if applied[-1] != "chunked":
        text = "Transfer-Encoding does not end in chunked: " + (
            "the server cannot know where the body ends" if head.request else "the body ends with the connection"
        )
        c.issue("transfer-coding", f"{text} (RFC 9112, 6.3)", Severity.ERROR if head.request else Severity.WARNING, at)
    if head.version == "HTTP/1.0":
        text = "HTTP/1.0 has no Transfer-Encoding: the framing must be treated as faulty (RFC 9112, 6.1)"
        c.issue("transfer-coding", text, Severity.WARNING, at)


def _at(c: Cursor, name: str) -> Span:
    field = c.layer.find(name)
    return field.span if field is not None else c.span(c.start)


def _check_accept(c: Cursor, head: Head, asked: Head) -> None:
    key, accept = asked.get("sec-websocket-key"), head.get("sec-websocket-accept")
    if key is None or (head.get("upgrade") or "").lower() != "websocket":
        return
    if accept is None:
        text = "no Sec-WebSocket-Accept: the client must fail the connection (RFC 6455, 4.1)"
        c.issue("websocket-accept", text, Severity.ERROR, c.span(c.start))
    elif accept != websocket_accept(key):
        text = f"the request's key asks for {websocket_accept(key)}: the client must fail the connection (RFC 6455, 4.1)"
        c.issue("websocket-accept", text, Severity.ERROR, _at(c, "http.sec_websocket_accept"))


# --- the body


def _body(c: Cursor, head: Head) -> None:
    pieces: list[Span] = []
    chunked = c.context.info.get("framing") == Framing.CHUNKED
    if chunked:
        while c.remaining:
            span = _chunk(c)
            if span is None:
                break
            pieces.append(span)
        if c.remaining:
            c.octets("http.file_data", c.remaining)
    else:
        start = c.pos
        c.octets("http.file_data", c.remaining)
        pieces.append(c.span(start))
    missing = c.context.info.get("missing", 0)
    if missing:
        text = f"{missing:,} bytes of this message are missing from the capture: its body is not decoded"
        c.issue("missing-bytes", text, Severity.WARNING, c.span(c.start))
    elif pieces:
        carry(c, head, pieces, chunked)


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


def _chunk(c: Cursor) -> Span | None:
    """One chunk; returns the range of its data, None for the last."""
    with c.group("http.chunk") as chunk:
        line, following = _line(c)
        with c.group("http.chunk_size", line.decode("latin-1")):
            size, extension = chunk_size(line), line.find(b";")
            if extension >= 0:
                text = line[extension:].decode("utf-8", "surrogateescape")
                c.add("http.chunk_extension", text, c.pos + extension, c.pos + len(line))
            c.pos = following
        if size is None:
            c.issue("chunk-size", "no hexadecimal number (RFC 9112, 7.1)", Severity.ERROR)
            c.octets("http.chunk_data", c.remaining)
            return None
        chunk.text = f"{size:,} bytes" if size else "the last: nothing follows but trailers"
        if not size:
            _trailers(c)
            return None
        begin = c.pos
        c.octets("http.chunk_data", min(size, c.remaining))
        span = c.span(begin)
        if c.remaining:
            c.octets("http.chunk_boundary", min(_line(c)[1] - c.pos, c.remaining))
        return span


def _trailers(c: Cursor) -> None:
    """Header lines behind the last chunk (RFC 9112, 7.1.2), and the blank line that ends the message."""
    while c.remaining:
        line, following = _line(c)
        if not line:
            c.octets("http.chunk_boundary", following - c.pos)
            return
        c.add("http.chunked_trailer_part", line.decode("utf-8", "surrogateescape"), c.pos, following)
        c.pos = following
