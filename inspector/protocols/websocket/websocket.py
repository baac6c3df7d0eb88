"""WebSocket frames, RFC 6455 section 5, with permessage-deflate (RFC 7692): one layer a frame, one a message.

A message completes with the frame whose FIN bit is set; control frames may stand between its fragments.
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, octets, string, u8, u16, u64, uint
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.protocol import Card, Protocol
from inspector.core.span import Origin, Span
from inspector.core.stream import Child, Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.encodings.json import looks_like
from inspector.protocols.websocket.deflate import Inflater, agreed
from inspector.protocols.websocket.mask import unmask

PIECE = 64 * 1024  # bytes of a masked payload that are unmasked at a time
MAX_CHAIN = 1024 * 1024  # bytes looked through for frames after a gap


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


class Incoming:
    """One direction, as far as it has been read: the message that is not finished, and the inflater."""

    def __init__(self, from_client: bool, extensions: str) -> None:
        self.from_client = from_client
        self.deflates = agreed(extensions)
        fresh = ("client" if from_client else "server") + "_no_context_takeover" in extensions
        self.inflater = Inflater(fresh) if self.deflates else None
        self.message: Child | None = None
        self.open = False  # a message is not finished
        self.compressed = False
        self.damaged = False  # a piece of the open message could not be inflated

    def plausible(self, head: bytes) -> bool:
        """Whether these two octets can begin a frame of this direction."""
        opcode, length = head[0] & 15, head[1] & 127
        reserved = head[0] & (0x30 if self.deflates else 0x70)
        control = opcode < 8 or (length <= 125 and bool(head[0] & 128))
        return opcode in OPCODES and not reserved and control and bool(head[1] & 128) == self.from_client


class WebSocket(StreamParser):
    """The frames of both directions, after the upgrade."""

    protocol = "websocket"

    def __init__(self) -> None:
        self._sides: dict[int, Incoming] = {}

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        # the side that asked for the upgrade, whoever opened the connection or was captured first
        from_client = reader.direction == self.node.info.get("client", self.node.client)
        extensions = str(self.node.info.get("extensions", ""))
        side = self._sides.setdefault(reader.direction, Incoming(from_client, extensions))
        if resync:
            self._lost(side, reader)
            if not (yield from self._find_frame(side, reader)):
                return
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
                self.node.emit("frame", reader, start, reader.arrived, {"from_client": from_client}, complete=False)
                reader.pos = reader.arrived
                return
            opcode, fin = head[0] & 15, bool(head[0] & 128)
            info = {"missing": missing, "from_client": from_client, "deflates": side.deflates, "open": side.open}
            self.node.emit("frame", reader, start, reader.pos, info)
            if opcode < 8:
                self._carry(side, reader, head[0], key, Span(reader.buffer, begin, begin + length), missing)
                side.open = not fin

    def _carry(self, side: Incoming, reader: Reader, head: int, key: bytes, payload: Span, missing: int) -> None:
        """What a data frame carries belongs to its message."""
        opcode, fin, packet = head & 15, bool(head & 128), reader.packet()
        if opcode:
            side.compressed = bool(head & 0x40) and side.inflater is not None
            info = {"opcode": opcode, "compressed": side.compressed, "from_client": side.from_client}
            side.message = self.node.open("message", "message", "websocket", "message", info, "frames up to FIN: a message")
            side.damaged = False
            if side.compressed and side.inflater is not None:
                side.inflater.begin()
        message = side.message
        if side.compressed and side.inflater is not None:
            if missing:
                side.inflater.lose()
            found = side.inflater.feed(payload, key, fin)
            side.damaged = side.damaged or found is None
            if found is None and side.inflater.limit:
                self.node.cut(packet, f"the message is not read on: {side.inflater.limit}")
            if message is not None and found is not None:
                message.push(reader.direction, payload, packet, *found)
        elif message is not None:
            self._copy(message, reader, key, payload, packet)
        if fin and message is not None:
            message.end(reader.direction, packet, side.damaged)
            side.message = None

    @staticmethod
    def _copy(message: Child, reader: Reader, key: bytes, payload: Span, packet: int) -> None:
        """A payload that is not compressed, in pieces that can be unmasked again when somebody looks."""
        at = payload.start
        for low, high in reader.present(payload.start, payload.stop):
            message.gap(reader.direction, low - at, packet)
            for start in range(low, high, PIECE) if key else ():
                span = Span(payload.buffer, start, min(start + PIECE, high))
                turn = (start - payload.start) % 4
                again = partial(_unmasked, span, key[turn:] + key[:turn])
                message.push(reader.direction, span, packet, again(), again, True)
            if not key:
                message.push(reader.direction, Span(payload.buffer, low, high), packet)
            at = high
        message.gap(reader.direction, payload.stop - at, packet)

    @staticmethod
    def _lost(side: Incoming, reader: Reader) -> None:
        """Bytes are missing: the message that was open is over, and the window of the inflater is lost."""
        if side.message is not None:
            side.message.end(reader.direction, reader.packet(), True)
            side.message = None
        side.open = False
        if side.inflater is not None:
            side.inflater.lose()

    @staticmethod
    def _find_frame(side: Incoming, reader: Reader) -> Steps[bool]:
        """After a gap nothing marks where a frame begins. A segment from whose start plausible frames reach exactly to the
        end of a segment is taken for one that begins with a frame."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
            except Gap:
                continue
            at = 0
            while at < MAX_CHAIN:
                head = reader.peek_at(reader.pos + at, 10)
                if len(head) < 2 or not side.plausible(head):
                    break
                length = head[1] & 127
                extra = {126: 2, 127: 8}.get(length, 0)
                length = int.from_bytes(head[2 : 2 + extra], "big") if extra else length
                at += 2 + extra + (4 if head[1] & 128 else 0) + length
                end = reader.pos + at
                if end == reader.arrived or (end < reader.arrived and reader.segment_start(end) == end):
                    return True
            reader.pos = min(reader.segment_start(reader.pos + 1), reader.arrived)


def _unmasked(payload: Span, key: bytes) -> bytes:
    return unmask(payload.read(), key)


class Message(StreamParser):
    """A message: everything that its frames carried."""

    protocol = "websocket.message"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        missing = 0
        while True:
            try:
                if not (yield from reader.some()):
                    break
                reader.pos = reader.reach
            except Gap as gap:
                missing += gap.size
        whole = not reader.reset and not missing
        info = {**self.node.info, "missing": missing}
        self.node.emit("message", reader, 0, reader.arrived, info, packet=reader.end_packet, complete=whole)


def dissect(c: Cursor) -> None:
    info = c.context.info
    fin, reserved, opcode = c.bits(1, ("websocket.fin", 1), ("websocket.rsv", 3), ("websocket.opcode", 4))
    masked, length = c.bits(1, ("websocket.mask", 1), ("websocket.payload_length", 7))
    word = OPCODES.get(opcode, f"opcode {opcode}")
    c.layer.summary = word
    _check_head(c, bool(fin), reserved, opcode, bool(masked), length)
    if length >= 126:
        short = length == 126
        length = c.uint(f"websocket.payload_length_ext_{16 if short else 64}", 2 if short else 8)
        if length < 126 or (not short and length < 65536):
            c.issue("length-form", "the length must be written in as few bytes as it fits into (RFC 6455, 5.2)", Severity.ERROR)
        if length >> 63:
            c.issue("length-form", "the highest bit of the length must be 0 (RFC 6455, 5.2)", Severity.ERROR)
    c.layer.summary = f"{word}, {length:,} bytes" + (", masked" if masked else "") + ("" if fin else ", more to come")
    if reserved & 4:
        c.layer.summary += ", compressed"
    key = c.octets("websocket.masking_key", 4) if masked else b""
    if info.get("missing"):
        c.issue("missing-bytes", f"{info['missing']:,} bytes of this frame are missing from the capture", span=c.span(c.start))
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
    if opcode == Opcode.CLOSE:
        _close(c, body)
    elif opcode == Opcode.TEXT and fin and not reserved & 4:
        text = body.string("websocket.payload.text", body.remaining)
        c.layer.summary += f": {text[:80]}"


def _check_head(c: Cursor, fin: bool, reserved: int, opcode: int, masked: bool, length: int) -> None:
    """What the receiver must fail the connection for (RFC 6455, 5.1 to 5.5; RFC 7692, 6)."""
    info = c.context.info
    if opcode >= 8 and (length > 125 or not fin):
        c.issue("control-frame", "a control frame must be whole and at most 125 bytes (RFC 6455, 5.5)", Severity.ERROR)
    if opcode not in OPCODES:
        c.issue("opcode", "a reserved opcode: the receiver must fail the connection (RFC 6455, 5.2)", Severity.ERROR)
    if reserved & 3 or (reserved & 4 and not info.get("deflates", True)):
        c.issue("reserved-bits", "a reserved bit that no extension was agreed for (RFC 6455, 5.2)", Severity.ERROR)
    elif reserved & 4 and (opcode >= 8 or opcode == Opcode.CONTINUATION):
        text = "only the first frame of a message may say that it is compressed (RFC 7692, 6)"
        c.issue("reserved-bits", text, Severity.ERROR)
    if "from_client" in info and info["from_client"] != masked:
        who = "a client must mask every frame" if info["from_client"] else "a server must not mask"
        c.issue("mask", f"{who} (RFC 6455, 5.1)", Severity.ERROR)
    if opcode < 8 and "open" in info and info["open"] != (opcode == Opcode.CONTINUATION):
        text = (
            "a new message begins before the one before is finished (RFC 6455, 5.4)"
            if info["open"]
            else "a continuation without a message that it continues (RFC 6455, 5.4)"
        )
        c.issue("fragmentation", text, Severity.ERROR)


def _close(c: Cursor, body: Cursor) -> None:
    """The body of a Close frame: a code of two bytes, a reason in UTF-8 (RFC 6455, 5.5.1 and 7.4)."""
    if body.remaining < 2:
        c.issue("close-frame", "a Close frame is empty or begins with a code of two bytes (RFC 6455, 5.5.1)", Severity.ERROR)
        return
    code = body.uint("websocket.payload.close.status_code", 2)
    at = body.last.span
    reason = ""
    if body.remaining:
        reason = body.string("websocket.payload.close.reason", body.remaining)
        _check_text(c, reason, body.last.span)
    c.layer.summary = f"Close {code} {CLOSE_CODES.get(code, '')} {reason}".rstrip()
    if code in (1005, 1006, 1015):
        c.issue("close-code", f"{code} is for programs, and must not stand in a frame (RFC 6455, 7.4.1)", Severity.ERROR, at)
    elif code == 1004 or code < 1000 or code >= 5000:
        text = f"{code} has no meaning that has been defined (RFC 6455, 7.4.1 and 7.4.2)"
        c.issue("close-code", text, Severity.ERROR, at)


def _check_text(c: Cursor, text: str, span: Span) -> None:
    """Text must be UTF-8 (RFC 6455, 8.1); what did not decode is in it as surrogates."""
    if any("\udc80" <= char <= "\udcff" for char in text):
        c.issue(
            "utf-8", "this is no UTF-8: the receiver must fail the connection with 1007 (RFC 6455, 8.1)", Severity.ERROR, span
        )


def dissect_message(c: Cursor) -> None:
    info = c.context.info
    opcode = info.get("opcode", 0)
    size = c.remaining
    if opcode == Opcode.TEXT:
        text = c.string("websocket.payload.text", size)
        c.layer.summary = f"text message, {size:,} bytes: {text[:80]}"
        if not info.get("missing") and info.get("complete", True) and not c.context.cut:
            _check_text(c, text, c.last.span)
        if looks_like(text):
            c.hand_on(c.span(c.start), "media_type", "json", "the message looks like JSON")
    else:
        c.octets("websocket.payload", size)
        c.layer.summary = f"binary message, {size:,} bytes"
    if info.get("compressed"):
        c.layer.summary += " (was compressed)"


def explain(layer: Layer) -> list[Note]:
    notes = []
    key = layer.find("websocket.masking_key")
    if key is not None:
        why = (
            f"The client chose the key {key.value.hex(' ')} for this frame alone, so that no page can make it send bytes that a"
            " proxy on the way would take for HTTP. It hides nothing: it stands in front of what it masks."
        )
        notes.append(Note(key.span, "mask", why, "RFC 6455, 5.3 and 10.3", Rank.DETAIL))
    lengths = [field for field in layer.fields if field.name.startswith("websocket.payload_length")]
    length = lengths[-1] if lengths else None  # the extended one, where there is one
    opcode, fin = layer.value("websocket.opcode"), layer.find("websocket.fin")
    if key is None and length is not None:
        why = f"{length.value:,} bytes of payload. No mask: this is the server's frame, and only clients mask."
        notes.append(Note(length.span, "from the server", why, "RFC 6455, 5.1 and 5.2", Rank.DETAIL))
    if fin is not None and opcode is not None and opcode < 8 and (not fin.value or opcode == Opcode.CONTINUATION):
        part = "the first" if opcode else "the last" if fin.value else "a further"
        why = f"This frame is {part} piece of a message that comes in several; control frames may stand between them."
        notes.append(Note(fin.span, "fragment", why, "RFC 6455, 5.4"))
    reserved = layer.find("websocket.rsv")
    if reserved is not None and reserved.value & 4:
        why = "The message is compressed: its frames hold deflate data, whose last four bytes, 00 00 ff ff, are not sent."
        notes.append(Note(reserved.span, "permessage-deflate", why, "RFC 7692, 6 and 7.2.1", Rank.DETAIL))
    if opcode == Opcode.PING:
        why = "The other side must answer with a Pong that repeats these bytes, unless it has got a Close: a test of life."
        notes.append(Note(layer.span, "ping", why, "RFC 6455, 5.5.2 and 5.5.3"))
    elif opcode == Opcode.PONG:
        notes.append(Note(layer.span, "pong", "The answer to a Ping, or a heartbeat that nobody asked for.", "RFC 6455, 5.5.3"))
    elif opcode == Opcode.CLOSE:
        code = layer.value("websocket.payload.close.status_code")
        meaning = CLOSE_CODES.get(code, _range(code)) if code is not None else "No code and no reason are given"
        why = f"{meaning}. Each side sends one Close frame; after both, the server is to close the TCP connection first."
        notes.append(Note(layer.span, "close", why, "RFC 6455, 5.5.1, 7.1.1 and 7.4"))
    return notes


def explain_message(layer: Layer) -> list[Note]:
    size = layer.span.size
    text = layer.find("websocket.payload.text") is not None
    what = "of text, which must be UTF-8" if text else "that mean what both sides have agreed on"
    why = f"One message, whole: {size:,} bytes {what}. In how many frames it came is nothing that the program gets to see."
    return [Note(layer.span, "message", why, "RFC 6455, 5.4, 5.6 and 6.2")]


def _range(code: int) -> str:
    """Who gives a code its meaning that no registry here names (RFC 6455, 7.4.2)."""
    if 3000 <= code < 4000:
        return f"Code {code}, which a library or framework may have registered with IANA"
    return f"Code {code}, which only the application knows" if 4000 <= code < 5000 else f"Code {code}, which has no meaning"


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
    explain=explain_message, reference="RFC 6455, 5.4",
)  # fmt: skip
