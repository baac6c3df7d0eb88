"""gRPC over HTTP/2 (grpc.io, "gRPC over HTTP2"): the messages of a call, each with its length in front, and its outcome.

A call is one stream of the connection. Its messages are units; so is its outcome, which stands in the trailers. Of gRPC-Web
the binary form is read, whose trailers are a last message.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, string, u32, uint
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.protocol import Card, Protocol
from inspector.core.span import Derived, Origin, Span
from inspector.core.stream import Ended, Reader, Steps, StreamParser
from inspector.protocols.http import codings

PREFIX = 5  # octets in front of a message: the flags, the length

# grpc.io, "Status codes and their use in gRPC".
STATUSES = {
    0: "OK", 1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}  # fmt: skip
FIELDS = catalog(
    uint("grpc.frame_type", "Frame type", 1, values={0: "Data", 1: "Trailers"}),
    uint("grpc.compressed_flag", "Compressed flag", 1, values={0: "not compressed", 1: "compressed"}),
    u32("grpc.message_length", "Message length"),
    octets("grpc.message_data", "Message data"),
    string("grpc.method", "Method"),
    string("grpc.kind", "Kind of call"),
    u32("grpc.status", "Status", values=STATUSES),
    string("grpc.status_message", "Status message"),
    string("grpc.metadata", "Metadata"),
)


class Grpc(StreamParser):
    """The messages of one call, in both directions."""

    protocol = "grpc"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        call: dict[str, Any] = self.node.info["call"]
        side = "request" if reader.direction == call["client"] else "response"
        if not resync:  # after a gap nothing marks where a message begins
            yield from self._messages(reader, call, side)
        while (yield from reader.some()):
            reader.pos = reader.arrived
        if side == "response" and "outcome" in call:
            source, start, stop, info, packet = call.pop("outcome")
            self.node.emit("status", source, start, stop, info, packet=packet)

    def _messages(self, reader: Reader, call: dict[str, Any], side: str) -> Steps[None]:
        while (yield from reader.some()):
            start = reader.pos
            info = {"call": call, "side": side, "number": call[side] + 1, "encoding": call["encoding"].get(side, "identity")}
            try:
                head = yield from reader.read(PREFIX)
                length = int.from_bytes(head[1:], "big")
                missing = yield from reader.skip(length, over_gaps=True)
            except Ended:
                self.node.emit("message", reader, start, reader.arrived, info, complete=False)
                reader.pos = reader.arrived
                return
            if missing:
                info["missing"] = missing
            if not head[0] & 0x80:
                call[side] += 1
            self.node.emit("message", reader, start, min(reader.pos, start + PREFIX + length), info)
            if reader.pos > start + PREFIX + length:  # a gap goes on behind the message
                return


def kind_of(call: dict[str, Any]) -> str:
    """Which of the four kinds a call is, as far as its messages tell."""
    asked, answered = call["request"], call["response"]
    if asked > 1 and answered > 1:
        return "bidirectional streaming"
    if answered > 1:
        return "server streaming (one request, several responses)"
    if asked > 1:
        return "client streaming (several requests, one response)" if answered else "client streaming"
    return "unary, or streams of one (one message each way)" if asked and answered else "no response message"


def dissect(c: Cursor) -> None:
    if c.context.info.get("kind") == "status":
        _status(c)
        return
    info = c.context.info
    trailers, _, compressed = c.bits(1, ("grpc.frame_type", 1), (None, 6), ("grpc.compressed_flag", 1))
    length = c.uint("grpc.message_length", 4)
    call = info.get("call") or {}
    path, side = call.get("path", ""), info.get("side", "")
    what = "trailers" if trailers else f"{side} {info['number']}" if side else "message"
    c.layer.summary = f"{path} {what}, {length:,} bytes".strip()
    if path:
        c.generated("grpc.method", path, c.span(c.start))
    start = c.pos
    with c.within(length):
        if c.remaining:
            c.octets("grpc.message_data", c.remaining)
        body = c.span(start)
    if info.get("missing"):
        c.layer.summary += f", {info['missing']:,} of them missing from the capture"
        return
    data = c.slice(body.start, body.stop)
    if compressed:
        opened = _decompress(c, body, data, str(info.get("encoding")))
        if opened is None:
            return
        body, data = opened
        c.layer.summary += f", {info.get('encoding')}: {len(data):,} bytes"
    if trailers:
        _web_trailers(c, data, body)
    elif body.size:
        _hand_on(c, body, call, path, side)


def _decompress(c: Cursor, body: Span, data: bytes, encoding: str) -> tuple[Span, bytes] | None:
    """The message that was compressed by grpc-encoding."""
    if encoding == "identity":
        text = "compressed, and grpc-encoding names no compression: the receiver must answer INTERNAL"
        c.issue("grpc-encoding", text, Severity.ERROR, c.span(c.start, c.start + 1))
        return None
    if encoding not in codings.NAMES:
        c.issue("grpc-encoding", f"compressed by {encoding}, which is not undone here", Severity.NOTE, body)
        return None
    try:
        clear = codings.Decoder(encoding).feed(data)
    except codings.TooLarge as large:
        clear = large.out
        c.issue("limit", f"the message is shown to {len(clear) >> 20} MiB, and inflates to more", Severity.NOTE, body)
    except codings.Damaged as damaged:
        c.issue("grpc-encoding", f"the message is no whole {encoding} stream: {damaged}", Severity.ERROR, body)
        return None
    origins = [Origin(0, len(clear), body, copied=False)]
    buffer = Derived(f"{c.buffer.id}:{c.start}:{encoding}", f"decompressed ({encoding})", clear, origins)
    return Span(buffer, 0, len(clear)), clear


def _hand_on(c: Cursor, body: Span, call: dict[str, Any], path: str, side: str) -> None:
    codec = str(call.get("media", "")).partition("+")[2] or "proto"
    schema = c.context.info.get("schema")
    method = schema.method(path) if schema is not None and codec == "proto" else None
    if method is not None:
        c.context.info = {**c.context.info, "protobuf": method.request if side == "request" else method.response}
    if codec == "json":
        c.hand_on(body, "media_type", "json", "the codec is json")
    elif codec == "proto":
        c.hand_on(body, "grpc.codec", "proto", "gRPC messages are protobuf where the content-type names nothing else")


def _web_trailers(c: Cursor, data: bytes, body: Span) -> None:
    """The trailers of gRPC-Web: header lines in a last message."""
    at = 0
    for line in data.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        span = Span(body.buffer, body.start + at, body.start + at + len(line))
        if colon:
            _told(c, name.strip().lower().decode("latin-1"), value.strip().decode("utf-8", "surrogateescape"), span, True)
        at += len(line) + 2
    _outcome(c)


def _status(c: Cursor) -> None:
    """The headers that tell how a call ended; they stand in a frame of HTTP/2, coded there by HPACK."""
    for name, value, start, stop in c.context.info.get("headers", ()):
        if c.start <= start <= stop <= c.stop:
            _told(c, name, value, c.span(start, stop), False)
    c.pos = c.stop
    call = c.context.info.get("call")
    asked = c.context.info.get("asked")
    if call is not None:
        whole = c.span(c.start, c.stop)
        c.generated("grpc.method", call["path"], whole)
        schema = c.context.info.get("schema")
        method = schema.method(call["path"]) if schema is not None else None
        c.generated("grpc.kind", method.kind if method is not None else kind_of(call), whole)
    _outcome(c)
    path = call["path"] if call is not None else asked["target"] if asked else ""
    if path:
        c.layer.summary = f"{path} {c.layer.summary}"


def _told(c: Cursor, name: str, value: str, span: Span, generated: bool) -> None:
    add = c.generated if generated or span.buffer != c.buffer else lambda n, v, s: c.add(n, v, s.start, s.stop)
    if name == "grpc-status" and value.isascii() and value.isdigit() and len(value) < 5:
        add("grpc.status", int(value), span)
    elif name == "grpc-message":
        add("grpc.status_message", unquote(value, errors="surrogateescape"), span)
    else:
        add("grpc.metadata", f"{name}: {value}", span)


def _outcome(c: Cursor) -> None:
    status = c.layer.value("grpc.status")
    if status is None:
        c.layer.summary = "status unknown"
        return
    message = c.layer.value("grpc.status_message") or ""
    c.layer.summary = f"status {STATUSES.get(status, status)}" + (f" ({status}): {message}" if status else "")
    if status:
        field = c.layer.find("grpc.status")
        c.issue(
            "grpc-status", f"the call failed: {STATUSES.get(status, status)}", Severity.WARNING, field.span if field else None
        )


# What a client may do about a failed call (grpc.io, "Status codes and their use in gRPC").
ADVICE = {
    1: "The call was cancelled, usually by the client itself.",
    4: "The deadline passed. The call may have been carried out all the same.",
    8: "A quota or a limit is used up; wait before anything is sent again.",
    9: "The system is not in the state that the call needs: do not repeat it before that has changed.",
    10: "A conflict, such as a transaction that lost: the whole sequence may be tried again from its start.",
    12: "The server does not know this method: the path is wrong, or its version is older.",
    13: "Something on the server, or in between, is broken.",
    14: "The service cannot be reached at present: try again after a pause; a call that is not idempotent may have been begun.",
    16: "The call carries no valid credentials.",
}


def explain(layer: Layer) -> list[Note]:
    notes = []
    status = layer.find("grpc.status")
    if status is not None:
        why = f"{STATUSES.get(status.value, 'an unknown code')} ({status.value}): the outcome of the call. The HTTP status is"
        why += " 200 whether it succeeds or fails: the status of gRPC comes last, in"
        why += " trailers, since a stream of answers may fail after it has begun; one that fails at once has no other headers."
        notes.append(Note(status.span, "status", why, "gRPC over HTTP2: Responses"))
        if status.value in ADVICE:
            notes.append(Note(status.span, STATUSES[status.value], ADVICE[status.value], "gRPC: Status codes"))
    length = layer.find("grpc.message_length")
    if length is not None:
        why = f"A message is one octet of flags, four of length, and {length.value:,} octets. DATA frames may cut it anywhere."
        notes.append(Note(length.span, "length first", why, "gRPC over HTTP2: Length-Prefixed-Message", Rank.DETAIL))
    compressed = layer.find("grpc.compressed_flag")
    if compressed is not None and compressed.value:
        why = "This message is compressed by what grpc-encoding names, each message for itself; others of the call need not be."
        notes.append(Note(compressed.span, "compressed", why, "gRPC over HTTP2: Compressed-Flag"))
    return notes


CARD = Card(
    "binary messages: flags, length, mostly protobuf",
    "calls with one message or a stream of them in each direction",
    "the path: /package.Service/Method",
    "the client calls; messages go one way, the other, or both at once",
    "that of the call: one HTTP/2 stream; deadlines (grpc-timeout)",
    "as HTTP/2; a balancer must split streams, not connections",
    "HTTP/2's credit on each stream and on the connection",
    "a status in the trailers; clients retry what is safe to repeat",
)
PROTOCOL = Protocol(
    "grpc", "gRPC", 7, FIELDS, dissect, keys={"http.body": ["application/grpc", "application/grpc-web"]}, parser=Grpc,
    explain=explain, card=CARD, reference="gRPC over HTTP2",
)  # fmt: skip
