"""WebSocket frames, RFC 6455 section 5, with permessage-deflate (RFC 7692): one layer a frame, one a message.

A message completes with the frame whose FIN bit is set; control frames may stand between its fragments.
"""

from __future__ import annotations

import zlib
from enum import IntEnum

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, octets, string, u8, u16, u64, uint
from inspector.core.layer import Layer, Note, Severity
from inspector.core.limits import MAX_BODY_DECODED
from inspector.core.protocol import Card, Protocol
from inspector.core.span import Origin, Span
from inspector.core.stream import Child, Ended, Reader, Steps, StreamParser


class Opcode(IntEnum):
    CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


OPCODES = {0: "Continuation", 1: "Text", 2: "Binary", 8: "Close", 9: "Ping", 10: "Pong"}
CLOSE_CODES = {
    1000: "Normal closure", 1001: "Going away", 1002: "Protocol error", 1003: "Unsupported data", 1005: "No status received",
    1006: "Abnormal closure", 1007: "Invalid frame payload data", 1008: "Policy violation", 1009: "Message too big",
    1010: "Mandatory extension", 1011: "Internal error", 1012: "Service restart", 1013: "Try again later", 1014: "Bad gateway",
    1015: "TLS handshake",
}  # fmt: skip
FIELDS = catalog(
    flag("websocket.fin", "FIN: the last frame of its message"),
    uint("websocket.rsv", "Reserved bits", 3),
    uint("websocket.opcode", "Opcode", 4, values=OPCODES),
    flag("websocket.mask", "Masked"),
    uint("websocket.payload_length", "Payload length", 7),
    u16("websocket.payload_length_ext_16", "Extended payload length"),
    u64("websocket.payload_length_ext_64", "Extended payload length"),
    octets("websocket.masking_key", "Masking key"),
    octets("websocket.masked_payload", "Masked payload"),
    octets("websocket.payload", "Payload"),
    string("websocket.payload.text", "Text"),
    u16("websocket.payload.close.status_code", "Status code", values=CLOSE_CODES),
    string("websocket.payload.close.reason", "Reason"),
    u8("websocket.message.fragments", "Frames"),
)


def unmask(data: bytes, key: bytes) -> bytes:
    """Octet i of the payload is octet i of the data XOR octet i mod 4 of the key (RFC 6455, 5.3)."""
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


class WebSocket(StreamParser):
    """The frames of both directions, after the upgrade."""

    protocol = "websocket"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync:
            return  # nothing in the stream marks where a frame begins
        extensions = str(self.node.info.get("extensions", ""))
        # the side that asked for the upgrade, whoever opened the connection or was captured first
        from_client = reader.direction == self.node.info.get("client", self.node.client)
        inflater = _Inflater(extensions, from_client) if _deflates(extensions) else None
        message: Child | None = None
        while (yield from reader.some()):
            start = reader.pos
            try:
                head = yield from reader.read(2)
                length = head[1] & 127
                if length >= 126:
                    length = int.from_bytes((yield from reader.read(2 if length == 126 else 8)), "big")
                key = (yield from reader.read(4)) if head[1] & 128 else b""
                begin = reader.pos
                missing = yield from reader.skip(length, over_gaps=True)
            except Ended:
                self.node.emit("frame", reader, start, reader.arrived, complete=False)
                reader.pos = reader.arrived
                return
            opcode, fin = head[0] & 15, bool(head[0] & 128)
            self.node.emit("frame", reader, start, reader.pos, {"missing": missing, "from_client": from_client})
            if opcode >= 8:
                continue
            if opcode:
                compressed = bool(head[0] & 0x40)
                info = {"opcode": opcode, "compressed": compressed}
                message = self.node.open("message", "message", "websocket", "message", info)
                if inflater is not None:
                    inflater.compressed = compressed
            if message is None or length > MAX_BODY_DECODED:
                continue
            span, packet = Span(reader.buffer, begin, begin + length), reader.packet()
            clear = unmask(span.read(), key) if key else None
            if inflater is not None and inflater.compressed:
                clear = inflater.feed(clear if clear is not None else span.read(), fin)
            if clear is None or clear:
                message.push(reader.direction, span, packet, clear)
            if fin:
                message.end(reader.direction, packet)
                message = None


def _deflates(extensions: str) -> bool:
    return "permessage-deflate" in extensions


class _Inflater:
    """permessage-deflate (RFC 7692, 7.2): raw deflate; its window lasts over messages unless that was ruled out."""

    def __init__(self, extensions: str, from_client: bool) -> None:
        self._fresh = ("client" if from_client else "server") + "_no_context_takeover" in extensions
        self._inflater = zlib.decompressobj(-15)
        self._broken = False
        self.compressed = False

    def feed(self, data: bytes, fin: bool) -> bytes:
        if self._broken:
            return b""
        try:
            clear = self._inflater.decompress(data + (b"\x00\x00\xff\xff" if fin else b""), MAX_BODY_DECODED)
        except zlib.error:
            self._broken = True
            return b""
        if fin and self._fresh:
            self._inflater = zlib.decompressobj(-15)
        return clear


class Message(StreamParser):
    """A message: everything that its frames carried."""

    protocol = "websocket.message"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        while (yield from reader.some()):
            reader.pos = reader.arrived
        self.node.emit("message", reader, 0, reader.arrived, dict(self.node.info), packet=reader.end_packet)


def dissect(c: Cursor) -> None:
    fin, reserved, opcode = c.bits(1, ("websocket.fin", 1), ("websocket.rsv", 3), ("websocket.opcode", 4))
    masked, length = c.bits(1, ("websocket.mask", 1), ("websocket.payload_length", 7))
    word = OPCODES.get(opcode, f"opcode {opcode}")
    c.layer.summary = word
    if opcode >= 8 and (length > 125 or not fin):
        c.issue("control-frame", "a control frame must be whole and at most 125 bytes (RFC 6455, 5.5)", Severity.ERROR)
    if opcode not in OPCODES:
        c.issue("opcode", "a reserved opcode: the receiver must fail the connection (RFC 6455, 5.2)", Severity.ERROR)
    from_client = c.context.info.get("from_client")
    if from_client is not None and from_client != bool(masked):
        who = "a client must mask every frame" if from_client else "a server must not mask"
        c.issue("mask", f"{who} (RFC 6455, 5.1)", Severity.ERROR)
    if length >= 126:
        length = c.uint(f"websocket.payload_length_ext_{16 if length == 126 else 64}", 2 if length == 126 else 8)
    c.layer.summary = f"{word}, {length:,} bytes" + (", masked" if masked else "") + ("" if fin else ", more to come")
    if reserved & 4:
        c.layer.summary += ", compressed"
    key = c.octets("websocket.masking_key", 4) if masked else b""
    if not length:
        return
    start = c.pos
    data = c.octets("websocket.masked_payload" if key else "websocket.payload", min(length, c.remaining))
    body = c
    if key:
        clear = unmask(data, key)
        origins = [Origin(0, len(clear), c.span(start))]
        body = c.derive(f"unmasked:{c.buffer.id}:{c.start}", "unmasked", clear, origins)
    else:
        body = Cursor(c.buffer, data, start, start + len(data), c.layer, c.catalog, c.context, start)
    if opcode == Opcode.CLOSE and len(data) >= 2:
        code = body.uint("websocket.payload.close.status_code", 2)
        reason = body.string("websocket.payload.close.reason", body.remaining) if body.remaining else ""
        c.layer.summary = f"Close {code} {CLOSE_CODES.get(code, '')} {reason}".rstrip()
        if code in (1005, 1006, 1015) or code < 1000:
            c.issue("close-code", f"{code} must not stand in a frame (RFC 6455, 7.4.1)", Severity.ERROR, c.span(start))
    elif opcode == Opcode.CLOSE:
        c.issue("close-frame", "a Close frame is empty or begins with a code of two bytes (RFC 6455, 5.5.1)", Severity.ERROR)
    elif opcode == Opcode.TEXT and fin and not reserved & 4:
        text = body.string("websocket.payload.text", body.remaining)
        c.layer.summary += f": {text[:80]}"


def dissect_message(c: Cursor) -> None:
    opcode = c.context.info.get("opcode", 0)
    size = c.remaining
    if opcode == Opcode.TEXT:
        text = c.string("websocket.payload.text", size)
        c.layer.summary = f"text message, {size:,} bytes: {text[:80]}"
        if text[:1] in ("{", "["):
            c.hand_on(c.span(c.start), "media_type", "json", "the message looks like JSON")
    else:
        c.octets("websocket.payload", size)
        c.layer.summary = f"binary message, {size:,} bytes"
    if c.context.info.get("compressed"):
        c.layer.summary += " (was compressed)"


def explain(layer: Layer) -> list[Note]:
    notes = []
    key = layer.find("websocket.masking_key")
    if key is not None:
        why = (
            "A client masks every frame with a key of its own, so that no page can make it send bytes that a proxy on the way"
            " would take for HTTP."
        )
        notes.append(Note(key.span, "mask", why, "RFC 6455, 5.3 and 10.3"))
    opcode = layer.value("websocket.opcode")
    if opcode == Opcode.PING:
        why = "The other side must answer with a Pong that repeats these bytes: a test of life."
        notes.append(Note(layer.span, "ping", why, "RFC 6455, 5.5.2"))
    elif opcode == Opcode.PONG:
        notes.append(Note(layer.span, "pong", "The answer to a Ping, or a heartbeat that nobody asked for.", "RFC 6455, 5.5.3"))
    elif opcode == Opcode.CLOSE:
        why = "Each side sends one Close frame; after both, the server closes the TCP connection."
        notes.append(Note(layer.span, "close", why, "RFC 6455, 5.5.1 and 7.1.1"))
    return notes


CARD = Card(
    "binary frames: two octets, a length, a mask; text in UTF-8 or any bytes inside",
    "messages of one or more frames, in both directions at once",
    "the URL of the opening request; none in the frames",
    "full duplex after the upgrade",
    "the open connection itself, on both sides; the compression window where deflate keeps it",
    "whoever holds the TCP connection; a balancer cannot move it",
    "TCP's; no credit of its own",
    "close codes; ping and pong find a dead peer; nothing is sent again",
)
PROTOCOL = Protocol(
    "websocket", "WebSocket", 7, FIELDS, dissect, keys={"http.upgrade": ["websocket"]}, parser=WebSocket, explain=explain,
    card=CARD, reference="RFC 6455",
)  # fmt: skip
MESSAGE = Protocol(
    "websocket.message", "WebSocket message", 7, FIELDS, dissect_message, keys={"websocket": ["message"]}, parser=Message,
    reference="RFC 6455, 5.4",
)  # fmt: skip
