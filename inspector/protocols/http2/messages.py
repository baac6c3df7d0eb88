"""HTTP messages over HTTP/2 (RFC 9113, 8): which header block is a request, a response or trailers, and where DATA goes.

What a stream's request and response say of each other is in one dictionary, `asked`, as for HTTP/1; every unit of the stream
refers to it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.core.span import Span
from inspector.core.stream import Child, Reader
from inspector.core.text import decode
from inspector.protocols.http import codings
from inspector.protocols.http.head import Head
from inspector.protocols.http2 import upgrade
from inspector.protocols.http2.header_block import UNKNOWN
from inspector.protocols.http2.names import Flag, Type, setting_pairs
from inspector.protocols.http2.streams import Feed, State, Stream

if TYPE_CHECKING:
    from inspector.protocols.http2.connection import Frame, Http2

MAX_SHORT = 256  # octets of a text that is kept for the next time
EVENT_STREAM = "text/event-stream"
GRPC = "application/grpc"
PSEUDO_REQUEST = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_NAME = re.compile(rb":?[!-9;-@\[-~]+")  # visible ASCII without capital letters; a colon in front alone (RFC 9113, 8.2.1)
_BAD_VALUE = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z")
CONNECTION_HEADERS = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})


class Header(NamedTuple):
    """A header of a block; span: its representation, None where that began in an earlier frame."""

    name: bytes
    value: bytes
    span: Span | None


Said = dict[bytes, bytes]  # the headers of a block by name, where name and value are known; the first of each name


def said_by(headers: list[Header]) -> Said:
    """The headers by name."""
    return {header.name: header.value for header in reversed(headers) if header.value is not UNKNOWN}


class Messages:
    """The messages of a connection's streams."""

    def __init__(self, connection: Http2) -> None:
        self._connection = connection

    def upgraded(self, info: dict[str, Any]) -> None:
        """After an Upgrade: the request is stream 1, half-closed, and its HTTP2-Settings count at once (RFC 7540, 3.2)."""
        asked = info.get("asked")
        if asked is None:
            return
        connection, client = self._connection, self._connection.client
        stream = Stream(1, State.CLIENT_DONE, connection.epoch)
        stream.headed[client] = True
        target, host = asked["target"], asked["host"]
        stream.asked = {**asked, "answer": None, "stream": 1, "scheme": "http", "url": f"http://{host}{target}"}
        stream.asked.update(start=asked["packet"], request_end=asked["packet"])
        connection.streams[1] = stream
        connection.sides[client].highest = 1
        coded = asked["head"].get("http2-settings") or ""
        connection.announce(client, dict(setting_pairs(upgrade.payload(coded) or b"")))
        connection.accept(client)

    # --- header blocks

    def complete(
        self,
        stream: Stream,
        direction: int,
        opening: Frame,
        last: Frame,
        first: int,
        headers: list[Header],
        info: dict[str, Any],
    ) -> None:
        """A header block is whole: decide what it is. first: the packet with its first byte."""
        from_client = direction == self._connection.client
        said = said_by(headers)
        ends = bool(opening.flags & Flag.END_STREAM) and opening.kind == Type.HEADERS
        if opening.kind == Type.PUSH_PROMISE:
            role = "promise"
        elif stream.headed[direction]:
            role = "trailers"
        elif from_client:
            role = "request"
        else:
            status = said.get(b":status", b"")
            role = "interim" if status[:1] == b"1" and len(status) == 3 else "response"
            if stream.state is State.UNKNOWN and headers and not any(header.name[:1] == b":" for header in headers):
                role = "trailers"
        info["role"] = role
        if role in ("request", "promise"):
            self._request(stream, direction, role, last.packet, first, headers, said)
        elif role == "response":
            self._response(stream, direction, last.packet, first, headers, said)
        if role in ("request", "response"):
            stream.headed[direction] = True
        info["asked"] = stream.asked
        wrong = problems(role, headers, said)
        if role == "trailers" and not ends:
            wrong.append(("trailers", "trailers must end the stream (RFC 9113, 8.1)"))
        if wrong:
            info.setdefault("issues", []).extend((code, text, None) for code, text in wrong)
        if not from_client and (role == "trailers" or ends):
            self._call_status(stream, direction, last.packet, headers, role, info)
        if ends:
            self.end(stream, direction, last.packet)

    def _request(
        self, stream: Stream, direction: int, role: str, packet: int, first: int, headers: list[Header], said: Said
    ) -> None:
        method, path, scheme, authority = (
            _text(said.get(name, b"")) for name in (b":method", b":path", b":scheme", b":authority")
        )
        head = _head((method, path, "HTTP/2"), headers)
        host = authority or head.get("host") or ""
        stream.asked = {
            "method": method,
            "target": path,
            "host": host,
            "scheme": scheme,
            "url": f"{scheme}://{host}{path}" if scheme and host and path else "",
            "packet": packet,
            "start": first,
            "answer": None,
            "head": head,
            "stream": stream.id,
            "protocol": decode(said.get(b":protocol", b"")),
            "pushed": role == "promise",
        }
        if role == "request":
            self._grpc(stream, head, direction, "request")

    def _response(self, stream: Stream, direction: int, packet: int, first: int, headers: list[Header], said: Said) -> None:
        status = decode(said.get(b":status", b""))
        code = int(status) if len(status) == 3 and status.isascii() and status.isdigit() else 0
        asked = stream.asked
        if asked is None:  # the request is not in this capture
            asked = stream.asked = {
                "method": "", "target": "", "host": "", "scheme": "", "url": "", "packet": None, "start": None, "head": None,
                "stream": stream.id, "protocol": "", "pushed": False,
            }  # fmt: skip
        head = _head(("HTTP/2", status, ""), headers)
        asked.update(answer=packet, status=code, response_start=first, response=head)
        self._grpc(stream, head, direction, "response")
        if asked["method"] == "CONNECT" and 200 <= code < 300:
            self._tunnel(stream, asked, head)

    def _tunnel(self, stream: Stream, asked: dict[str, Any], head: Head) -> None:
        """CONNECT (RFC 9113, 8.5), and extended CONNECT, which names what is spoken inside (RFC 8441)."""
        node = self._connection.node
        extra = {
            "asked": asked,
            "extensions": head.get("sec-websocket-extensions") or "",
            "client": self._connection.client,
        }
        if asked["protocol"]:
            child = node.open(
                asked["protocol"], asked["protocol"], "http.upgrade", asked["protocol"], extra, f":protocol {asked['protocol']}"
            )
        else:
            child = node.open("tunnel", "tunnel", "stream", "detect", {}, "a tunnel: CONNECT was answered with success")
        if child is not None:
            for direction in (0, 1):
                if stream.feeds[direction] is None:
                    stream.feeds[direction] = Feed(child)

    # --- gRPC

    def _grpc(self, stream: Stream, head: Head, direction: int, side: str) -> None:
        media = _media(head)
        if not media.startswith(GRPC):
            return
        if stream.call is None:
            assert stream.asked is not None
            stream.call = {
                "path": stream.asked["target"], "media": media, "request": 0, "response": 0, "encoding": {},
                "client": self._connection.client,
            }  # fmt: skip
            stream.asked["grpc"] = stream.call
            key = "application/grpc-web" if media.startswith("application/grpc-web") else GRPC
            child = self._connection.node.open(
                "grpc", "gRPC messages", "http.body", key, {"call": stream.call}, f"content-type: {media}"
            )
            if child is not None:
                for each in (0, 1):
                    stream.feeds[each] = Feed(child)
        stream.call["encoding"][side] = head.get("grpc-encoding") or "identity"

    def _call_status(
        self, stream: Stream, direction: int, packet: int, headers: list[Header], role: str, info: dict[str, Any]
    ) -> None:
        """The outcome of a gRPC call stands in its last header block, or in the only one (`alone`): a unit of its own, behind
        the call's messages."""
        told = [header for header in headers if header.name.startswith(b"grpc-") and header.span is not None]
        if not any(header.name == b"grpc-status" for header in told):
            return
        spans = [header.span for header in told if header.span is not None]
        low, high = min(span.start for span in spans), max(span.stop for span in spans)
        inside = [
            (decode(header.name), decode(header.value), header.span.start, header.span.stop)
            for header in headers
            if header.span is not None and low <= header.span.start and header.span.stop <= high
        ]
        more = {"headers": inside, "call": stream.call, "asked": stream.asked, "alone": role == "response"}
        if stream.call is None:  # a call whose beginning is not here
            info["outcome"] = (low, high, more)
            return
        stream.call["status"] = next(decode(header.value) for header in told if header.name == b"grpc-status")
        stream.call["outcome"] = (self._connection.node.reader(direction), low, high, more, packet)

    def emitted(self, reader: Reader, info: dict[str, Any]) -> None:
        """The frame's unit is out: what else its header block says follows it."""
        outcome = info.pop("outcome", None)
        if outcome is not None:
            low, high, more = outcome
            self._connection.node.emit("status", reader, low, high, more, protocol="grpc")

    # --- bodies

    def feed(self, stream: Stream, direction: int) -> Feed | None:
        """Where this direction's DATA goes; None where nothing takes it."""
        feed = stream.feeds[direction]
        if feed is None:
            feed = stream.feeds[direction] = self._open(stream, direction)
        return None if feed is None or feed.ended else feed

    def _open(self, stream: Stream, direction: int) -> Feed | None:
        request = direction == self._connection.client
        asked = stream.asked
        head: Head | None = asked.get("head" if request else "response") if asked is not None else None
        node = self._connection.node
        if head is not None and not request and _media(head) == EVENT_STREAM:
            child: Child | None = node.open(
                "body", "HTTP/2 body", "http.body", EVENT_STREAM, {"asked": asked}, f"content-type: {EVENT_STREAM}"
            )
            coding = (head.tokens("content-encoding") or ["identity"])[0]
            id = f"coded:{node.id}:{direction}.{stream.id}"
            undoing = codings.Undoing(coding, id) if coding in codings.NAMES else None
            return Feed(child, undoing) if child is not None else None
        info = {"asked": asked, "head": head, "request": request, "stream": stream.id}
        child = node.open("body", "HTTP/2 body", "http2.body", "message", info, "what the DATA of the stream adds up to")
        return Feed(child) if child is not None else None

    def push(self, feed: Feed, reader: Reader, start: int, stop: int) -> None:
        """Hand octets of DATA on."""
        if stop <= start:
            return
        span, packet = Span(reader.buffer, start, stop), reader.packet_at(stop - 1)
        if feed.undoing is None:
            feed.child.push(reader.direction, span, packet)
            return
        try:
            source, data = feed.undoing.feed(span)
        except codings.Damaged as damaged:
            feed.ended = True
            self._connection.node.cut(packet, f"the body of this stream is not read on: {damaged}")
            return
        if data:
            feed.child.push(reader.direction, source, packet, data)

    @staticmethod
    def gap(feed: Feed, reader: Reader, size: int) -> None:
        """Octets are missing: what is coded cannot be read on from here."""
        packet = reader.packet_at(reader.pos)
        if feed.undoing is None:
            feed.child.gap(reader.direction, size, packet)
        else:
            feed.ended = True
            feed.child.end(reader.direction, packet, True)

    def end(self, stream: Stream, direction: int, packet: int, reset: bool = False) -> None:
        """Nothing more comes on the stream in this direction. reset: it was cut off."""
        feed = stream.feeds[direction]
        if feed is not None and not feed.ended:
            feed.ended = True
            feed.child.end(direction, packet, reset)
        if stream.asked is not None and not reset:
            stream.asked["request_end" if direction == self._connection.client else "response_end"] = packet


@lru_cache(maxsize=4096)
def _short(raw: bytes) -> str:
    return decode(raw)


def _text(raw: bytes) -> str:
    """A header's text; one object for those that come again and again."""
    return _short(raw) if len(raw) <= MAX_SHORT else decode(raw)


def _head(start: tuple[str, str, str], headers: list[Header]) -> Head:
    pairs = [(_text(h.name), _text(h.value)) for h in headers if h.name[:1] != b":" and h.name is not UNKNOWN]
    return Head(start[2] != "", start, pairs)


def _media(head: Head) -> str:
    return (head.get("content-type") or "").split(";")[0].strip().lower()


def problems(role: str, headers: list[Header], said: Said) -> list[tuple[str, str]]:
    """What makes a message malformed (RFC 9113, 8.2 and 8.3)."""
    found: list[tuple[str, str]] = []
    names = [header.name for header in headers]
    known = [name for name in names if name is not UNKNOWN]
    pseudo = [name for name in known if name[:1] == b":"]
    regular = next((at for at, name in enumerate(names) if name is not UNKNOWN and name[:1] != b":"), len(names))
    if any(name[:1] == b":" for name in names[regular:]):
        found.append(("pseudo-header", "a pseudo-header behind an ordinary header (RFC 9113, 8.3)"))
    if len(set(pseudo)) < len(pseudo):
        found.append(("pseudo-header", "a pseudo-header twice (RFC 9113, 8.3)"))
    if role == "trailers":
        allowed: frozenset[bytes] = frozenset()
    else:
        allowed = PSEUDO_REQUEST if role in ("request", "promise") else frozenset({b":status"})
    for name in dict.fromkeys(pseudo):
        if name not in allowed:
            found.append(("pseudo-header", f"{decode(name)} must not stand in {_ARTICLES[role]} (RFC 9113, 8.3)"))
    if any(name != name.lower() for name in known):
        found.append(("header-name", "capital letters in a header name: the message is malformed (RFC 9113, 8.2.1)"))
    elif not all(map(_NAME.fullmatch, known)):
        found.append(("header-name", "a header name with characters that none may have: malformed (RFC 9113, 8.2.1)"))
    if any(header.value is not UNKNOWN and _BAD_VALUE.search(header.value) for header in headers):
        text = "a header value with NUL, CR or LF, or white space at an end: the message is malformed (RFC 9113, 8.2.1)"
        found.append(("header-value", text))
    for name in dict.fromkeys(known):
        if name in CONNECTION_HEADERS:
            found.append(("connection-header", f"{decode(name)} has no meaning in HTTP/2: malformed (RFC 9113, 8.2.2)"))
    if said.get(b"te", b"trailers") != b"trailers":
        found.append(("connection-header", "te may only say trailers (RFC 9113, 8.2.2)"))
    if len(known) == len(names):
        found += _missing(role, said, set(pseudo))
    return found


_ARTICLES = {
    "request": "a request", "promise": "a promised request", "response": "a response", "interim": "a response",
    "trailers": "trailers",
}  # fmt: skip


def _normal(authority: bytes | None, scheme: bytes | None) -> bytes | None:
    """An authority as it is compared: in lower case, without the scheme's own port (RFC 9113, 8.3.1; RFC 3986, 6.2.3)."""
    port = {b"http": b":80", b"https": b":443"}.get(scheme or b"", b"")
    return authority.lower().removesuffix(port).removesuffix(b":") if authority is not None else None


def _missing(role: str, said: Said, pseudo: set[bytes]) -> list[tuple[str, str]]:
    if role in ("response", "interim"):
        return [] if b":status" in pseudo else [("pseudo-header", "a response without :status (RFC 9113, 8.3.2)")]
    if role == "trailers":
        return []
    plain_connect = said.get(b":method") == b"CONNECT" and b":protocol" not in pseudo
    needed = {b":method", b":authority"} if plain_connect else {b":method", b":scheme", b":path"}
    found = [("pseudo-header", f"a request without {decode(name)} (RFC 9113, 8.3.1)") for name in sorted(needed - pseudo)]
    if plain_connect and pseudo & {b":scheme", b":path"}:
        found.append(("pseudo-header", "CONNECT has no :scheme and no :path (RFC 9113, 8.5)"))
    authority, host = (_normal(said.get(name), said.get(b":scheme")) for name in (b":authority", b"host"))
    if authority is not None and host is not None and authority != host:
        found.append(("authority", "Host and :authority differ: two servers may read two different sites (RFC 9113, 8.3.1)"))
    return found
