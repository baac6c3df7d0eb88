"""HTTP/1.0 and 1.1 (RFC 9112; semantics RFC 9110): the messages in a stream. Their layers are built in `message`.

A message whose head decides that it is finite is one unit. Of an event stream, an Upgrade and a CONNECT the head is a unit
of its own, so that an unending response is seen as it comes; its chunks are units too, and its body is a stream of its own.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from inspector.core.limits import MAX_CHUNK_LINE, MAX_HEAD
from inspector.core.protocol import Card, Protocol, Sniff
from inspector.core.span import Span
from inspector.core.stream import Child, Ended, Gap, Node, Reader, Steps, StreamParser, TooLong
from inspector.protocols.http import codings
from inspector.protocols.http.framing import Body, Framing, body_of, chunk_size
from inspector.protocols.http.head import METHODS, Head, is_blank, is_request_line, is_start_line, is_status_line, parse
from inspector.protocols.http.message import FIELDS, dissect
from inspector.protocols.http.notes import explain

EVENT_STREAM = "text/event-stream"
NOT_HTTP = "no HTTP start line here"


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
        if not is_request_line(line):
            return Sniff.NO
        return Sniff.YES if b" HTTP/1" in line else Sniff.NEED_MORE  # HTTP/0.9: too little to be sure, the port must say it too
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
        if resync and not self._is_simple(reader) and not (yield from self._find_start(reader)):
            return
        while (yield from reader.some()):
            start = reader.pos
            try:
                raw = yield from self._head(reader)
            except (Ended, TooLong) as stopped:
                if self._is_simple(reader) and not is_start_line(reader.peek_now(16)):
                    yield from self._simple(reader, start)
                    return
                info = {"error": "the head is not complete", "limit": stopped.limit}
                self.node.emit("rest", reader, start, reader.arrived, info, complete=False)
                reader.pos = reader.arrived
                return
            head = parse(raw)
            if head is None:
                if self._is_simple(reader):
                    yield from self._simple(reader, start)
                    return
                if not (yield from self._find_start(reader, -1 if raw else reader.pos)):
                    return
                continue
            handed = yield from (self._request if head.request else self._response)(reader, start, head)
            if handed:
                return

    def _find_start(self, reader: Reader, refused: int = -1) -> Steps[bool]:
        """After a gap, or behind what is no message: the next place where a segment begins with a start line. Not the one
        that was `refused`: a line that is longer than what is looked at here may prove to be none."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
            except Gap:
                continue
            line = reader.peek_now(2048).lstrip(b"\r\n").split(b"\n")[0]
            if reader.pos != refused and is_start_line(line.rstrip(b"\r")):
                return True
            at, reader.pos = reader.pos, min(reader.segment_start(reader.pos + 1), reader.arrived)
            self.node.emit("rest", reader, at, reader.pos, {"error": NOT_HTTP})

    def _head(self, reader: Reader) -> Steps[bytes]:
        """From the start line to the blank line, whether lines end in CRLF or in a bare LF (RFC 9112, 2.2). What does not
        begin with a start line is not read."""
        raw = b""
        while len(raw) <= MAX_HEAD:
            at = reader.pos
            line = yield from reader.until(b"\n", MAX_HEAD)
            if is_blank(line):
                if raw:
                    return raw + line
                continue
            if not raw and not is_start_line(line.strip(b"\r\n")):  # stray CRs in front are passed over, as blank lines are
                reader.pos = at
                return b""
            raw += line
            if b" HTTP/" not in raw and not is_status_line(raw) and not reader.available:
                return raw  # a request of HTTP/0.9 is one line (RFC 1945, 4.1)
        raise TooLong(f"a head is read to {MAX_HEAD >> 10} KiB")

    # --- HTTP/0.9 (RFC 1945, 4.1): a request line without a version; the answer is the body alone

    def _is_simple(self, reader: Reader) -> bool:
        asked = self._asked[0] if self._asked else None
        return asked is not None and reader.direction != asked["direction"] and asked["head"].version == ""

    def _simple(self, reader: Reader, start: int) -> Steps[None]:
        asked = self._asked.popleft()
        asked["answer"] = reader.packet_at(start)
        while (yield from reader.some()):
            reader.pos = reader.arrived
        self.node.emit("simple", reader, start, reader.arrived, {"asked": asked}, packet=reader.end_packet)

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
            "direction": reader.direction,
        }
        info: dict[str, Any] = {"asked": asked, "head_stop": reader.pos}
        self._asked.append(asked)
        if method == "CONNECT" or "upgrade" in head.tokens("connection"):
            body = body_of(head, method)
            if body.framing is Framing.CHUNKED or body.length:
                yield from self._body(reader, start, head, info)
            else:
                self.node.emit("head", reader, start, reader.pos, {**info, "framing": body.framing})
            answered = yield from self.wait(lambda: asked["answer"] is not None)
            if answered and asked.get("handed"):
                table, key, extra, why = asked["handed"]
                return self.node.hand_over(reader, table, key, extra, why)
            return False
        yield from self._body(reader, start, head, info)
        return False

    # --- responses

    def _response(self, reader: Reader, start: int, head: Head) -> Steps[bool]:
        code = head.code
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
        yield from self._body(reader, start, head, info)
        return False

    # --- bodies (RFC 9112, 6.3)

    def _body(self, reader: Reader, start: int, head: Head, info: dict[str, Any]) -> Steps[None]:
        asked = info.get("asked")
        body = body_of(head, asked["method"] if asked else "")
        framing, length = body.framing, body.length
        info["framing"] = framing
        media = (head.get("content-type") or "").split(";")[0].strip(" \t").lower()
        if media == EVENT_STREAM and not head.request and framing is not Framing.NONE:
            yield from self._events(reader, start, head, info, body)
            return
        stop_packet: int | None = None
        complete = True
        try:
            if framing is Framing.LENGTH:
                info["missing"] = yield from reader.skip(length, over_gaps=True)
            elif framing is Framing.CHUNKED:
                info["missing"] = 0
                size = 1
                while size:
                    _, _, size, missing = yield from self._chunk(reader, over_gaps=True)
                    info["missing"] += missing
            elif framing is Framing.CLOSE:
                info["missing"] = yield from self._to_the_end(reader)
                stop_packet = reader.end_packet
        except (Ended, TooLong) as stopped:
            reader.pos = reader.arrived
            complete = False
            info["limit"] = stopped.limit
        except Gap as gap:
            self.node.emit("message", reader, start, reader.pos - gap.size, info, complete=False)
            raise
        pdu = self.node.emit("message", reader, start, reader.pos, info, complete=complete, packet=stop_packet)
        if head.request and asked:
            asked["packet"] = pdu.packet

    @staticmethod
    def _to_the_end(reader: Reader) -> Steps[int]:
        """Everything that comes until the connection ends; returns how much of it is missing."""
        missing = 0
        while True:
            try:
                if not (yield from reader.some()):
                    return missing
            except Gap as gap:
                missing += gap.size
                continue
            missing += yield from reader.skip(reader.available, over_gaps=True)

    def _chunk(self, reader: Reader, over_gaps: bool = False) -> Steps[tuple[int, int, int, int]]:
        """One chunk; returns where its data begins and ends, its size (0 for the last, with its trailers), and how many
        of its bytes are missing."""
        line = yield from reader.until(b"\n", MAX_CHUNK_LINE)
        size = chunk_size(line)
        if size is None:
            raise Ended  # nothing here says where the body goes on
        begin = reader.pos
        if size:
            missing = yield from reader.skip(size, over_gaps)
            yield from reader.until(b"\n", MAX_CHUNK_LINE)  # CR LF; what else stands there is an issue of the chunk
            return begin, begin + size, size, missing
        while (yield from reader.until(b"\n", MAX_HEAD)).strip(b"\r\n"):
            pass
        return begin, begin, 0, 0

    def _events(self, reader: Reader, start: int, head: Head, info: dict[str, Any], body: Body) -> Steps[None]:
        pdu = self.node.emit("head", reader, start, reader.pos, {**info, "head_only": True})
        why = f"Content-Type: {EVENT_STREAM}"
        child = self.node.open("body", "HTTP body", "http.body", EVENT_STREAM, {"asked": info.get("asked")}, why)
        coding = (head.tokens("content-encoding") or ["identity"])[0]
        feed = _Feed(self.node, reader, child, coding)
        try:
            if body.framing is Framing.CHUNKED:
                yield from self._event_chunks(reader, feed)
            else:
                end = None if body.framing is Framing.CLOSE else reader.pos + body.length
                yield from self._event_bytes(reader, feed, end, pdu.info)
        finally:
            feed.end()

    @staticmethod
    def _event_bytes(reader: Reader, feed: _Feed, end: int | None, info: dict[str, Any]) -> Steps[None]:
        """An event stream without chunks: handed on as it comes, to `end` or until the connection ends. The unit of its head
        learns how far it has come (`body_stop`), and in which packet it ended (`body_end`)."""
        while end is None or reader.pos < end:
            try:
                if not (yield from reader.some()):
                    if end is None and reader.end_seen and not reader.reset:
                        info["body_end"] = reader.end_packet
                    return
            except Gap as gap:
                feed.gap(gap.size)
                continue
            at, reader.pos = reader.pos, reader.reach if end is None else min(reader.reach, end)
            feed.push(at, reader.pos)
            info["body_stop"] = reader.pos
        info["body_end"] = reader.packet()

    def _event_chunks(self, reader: Reader, feed: _Feed) -> Steps[None]:
        """An event stream in chunks, each a unit and handed on when it is whole. Behind a gap the next chunk is looked for."""
        size = 1
        while size:
            at = reader.pos
            try:
                begin, stop, size, _ = yield from self._chunk(reader, over_gaps=True)
            except Gap as gap:
                self._cut_chunk(reader, feed, at, reader.pos - gap.size)
                feed.gap(gap.size)
                if not (yield from self._next_chunk(reader, feed)):
                    return
                continue
            except (Ended, TooLong) as stopped:
                reader.pos = reader.arrived
                self._cut_chunk(reader, feed, at, reader.pos, stopped.limit)
                return
            self.node.emit("chunk", reader, at, reader.pos, {"last": size == 0})
            for low, high in reader.present(begin, stop):
                feed.gap(low - begin)
                feed.push(low, high)
                begin = high
            feed.gap(stop - begin)

    def _cut_chunk(self, reader: Reader, feed: _Feed, start: int, stop: int, limit: str = "") -> None:
        """A chunk that is not whole: its data is what follows its size line."""
        if stop > start:
            self.node.emit("chunk", reader, start, stop, {"last": False, "limit": limit}, complete=False)
            line, newline, _ = reader.buffer.read(start, min(stop, start + MAX_CHUNK_LINE)).partition(b"\n")
            if newline:
                feed.push(start + len(line) + 1, stop)

    def _next_chunk(self, reader: Reader, feed: _Feed) -> Steps[bool]:
        """After a gap: the next segment that begins with a chunk; false where the response is over."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
            except Gap as gap:
                feed.gap(gap.size)
                continue
            line = reader.peek_now(MAX_CHUNK_LINE).split(b"\n")[0]
            if is_status_line(line):
                return False
            if line.endswith(b"\r") and chunk_size(line) is not None:
                return True
            at, reader.pos = reader.pos, min(reader.segment_start(reader.pos + 1), reader.arrived)
            self.node.emit("rest", reader, at, reader.pos, {"error": "the start of this chunk is missing from the capture"})
            feed.gap(reader.pos - at)


class _Feed:
    """Hands a body on to its child stream, decoded where it is coded."""

    def __init__(self, node: Node, reader: Reader, child: Child | None, coding: str) -> None:
        self._node = node
        self._reader = reader
        self._child = child
        id = f"coded:{reader.buffer.id}:{reader.pos}"
        self._undoing = codings.Undoing(coding, id) if coding in codings.NAMES else None
        self._ended = False

    def push(self, start: int, stop: int) -> None:
        if self._child is None or stop <= start:
            return
        span = Span(self._reader.buffer, start, stop)
        packet = self._reader.packet_at(stop - 1)
        if self._undoing is None:
            self._child.push(self._reader.direction, span, packet)
            return
        try:
            source, data = self._undoing.feed(span)
        except codings.Damaged as damaged:
            self._child.end(self._reader.direction, packet, True)
            self._child = None
            self._node.cut(packet, f"the body of this response is not read on: {damaged}")
            return
        if data:
            self._child.push(self._reader.direction, source, packet, data)

    def gap(self, size: int) -> None:
        """Bytes are missing: what is coded cannot be read on from here."""
        if size <= 0 or self._child is None:
            return
        if self._undoing is not None:
            self.end()
            self._child = None
        else:
            self._child.gap(self._reader.direction, size, self._reader.packet())

    def end(self) -> None:
        if self._child is not None and not self._ended:
            self._ended = True
            packet = self._reader.end_packet if self._reader.ended else self._reader.packet()
            self._child.end(self._reader.direction, packet, self._reader.reset)


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
