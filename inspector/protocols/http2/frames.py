"""The layer of one HTTP/2 frame (RFC 9113, 4 and 6), with the headers of its piece of a header block (RFC 7541, 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import (
    Base,
    FieldSpec,
    Kind,
    catalog,
    duration,
    flag,
    frame,
    heading,
    octets,
    sint,
    string,
    u8,
    u16,
    u24,
    u32,
    uint,
)
from inspector.core.layer import Severity
from inspector.core.limits import MAX_HEADER_TABLE
from inspector.core.span import Derived, Origin, Span
from inspector.core.text import decode
from inspector.protocols.http2 import header_block
from inspector.protocols.http2.header_block import UNKNOWN, Entry, Fragment, Literal, Malformed, Representation
from inspector.protocols.http2.names import (
    ERRORS,
    FLAGS,
    MAX_WINDOW,
    SIZES,
    UNREADABLE,
    Flag,
    Setting,
    Type,
    type_name,
)

TYPES = {int(kind): kind.name for kind in Type}
SETTINGS = {int(setting): setting.name for setting in Setting}
SETTING_FIELDS = {
    Setting.HEADER_TABLE_SIZE: "http2.settings.header_table_size",
    Setting.ENABLE_PUSH: "http2.settings.enable_push",
    Setting.MAX_CONCURRENT_STREAMS: "http2.settings.max_concurrent_streams",
    Setting.INITIAL_WINDOW_SIZE: "http2.settings.initial_window_size",
    Setting.MAX_FRAME_SIZE: "http2.settings.max_frame_size",
    Setting.MAX_HEADER_LIST_SIZE: "http2.settings.max_header_list_size",
    Setting.ENABLE_CONNECT_PROTOCOL: "http2.settings.extended_connect",
    Setting.NO_RFC7540_PRIORITIES: "http2.settings.no_rfc7540_priorities",
}
SWITCHES = {
    Setting.ENABLE_PUSH: "RFC 9113, 6.5.2",
    Setting.ENABLE_CONNECT_PROTOCOL: "RFC 8441, 3",
    Setting.NO_RFC7540_PRIORITIES: "RFC 9218, 2.1",
}
# Headers with a field of their own, Wireshark's names: `:path` is http2.headers.path, `user-agent` http2.headers.user_agent.
HEADERS = (
    ":authority", ":path", ":method", ":scheme", "accept", "accept-charset", "accept-encoding", "accept-language",
    "accept-ranges", "access-control-allow-origin", "allow", "authorization", "cache-control", "content-disposition",
    "content-encoding", "content-language", "content-location", "content-range", "content-type", "cookie", "date", "etag",
    "expect", "expires", "from", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "last-modified", "link", "location", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
    "retry-after", "server", "set-cookie", "strict-transport-security", "user-agent", "vary", "via", "www-authenticate",
)  # fmt: skip
NUMBERS = {":status": 16, "age": 64, "content-length": 64, "max-forwards": 64}
HEADER_FIELDS = {name.encode(): "http2.headers." + name.lstrip(":").replace("-", "_") for name in (*HEADERS, *NUMBERS)}

FIELDS = catalog(
    string("http2.magic", "Connection preface"),
    u24("http2.length", "Length"),
    u8("http2.type", "Type", values=TYPES),
    u8("http2.flags", "Flags", Base.HEX),
    flag("http2.flags.end_stream", "END_STREAM"),
    flag("http2.flags.eh", "END_HEADERS"),
    flag("http2.flags.padded", "PADDED"),
    flag("http2.flags.priority", "PRIORITY"),
    flag("http2.flags.ack.settings", "ACK"),
    flag("http2.flags.ack.ping", "ACK"),
    uint("http2.r", "Reserved", 1),
    uint("http2.streamid", "Stream identifier", 31),
    u8("http2.padding", "Pad length"),
    flag("http2.exclusive", "Exclusive"),
    uint("http2.stream_dependency", "Depends on stream", 31),
    u8("http2.headers.weight", "Weight less 1"),
    u16("http2.headers.weight_real", "Weight"),
    octets("http2.data.data", "Data"),
    octets("http2.data.padding", "Padding"),
    octets("http2.headers.padding", "Padding"),
    octets("http2.push_promise.padding", "Padding"),
    octets("http2.headers", "Header block fragment"),
    octets("http2.push_promise.header", "Header block fragment"),
    octets("http2.continuation.header", "Header block fragment"),
    heading("http2.header", "Header"),
    string("http2.header.repr", "Representation"),
    u32("http2.header.index", "Index in the table"),
    flag("http2.header.huffman", "Huffman coded"),
    u32("http2.header.coded_length", "Coded length"),
    u32("http2.header.name.length", "Name length"),
    string("http2.header.name", "Name"),
    u32("http2.header.value.length", "Value length"),
    string("http2.header.value", "Value"),
    *(string(HEADER_FIELDS[name.encode()], name) for name in HEADERS),
    *(FieldSpec(HEADER_FIELDS[name.encode()], Kind.UINT, name, bits) for name, bits in NUMBERS.items()),
    heading("http2.header_table_size_update", "Header table size update"),
    u32("http2.header_table_size_update.header_table_size", "Header table size"),
    u32("http2.header.count", "Headers"),
    u32("http2.header_table.entries", "Entries in the header table"),
    u32("http2.header_table.size", "Octets in the header table"),
    u32("http2.header_table.limit", "Octets the header table may hold"),
    u32("http2.header_table.evicted", "Entries evicted so far"),
    u32("http2.rst_stream.error", "Error", values=ERRORS),
    heading("http2.settings", "Setting"),
    u16("http2.settings.id", "Identifier", values=SETTINGS),
    *(u32(name, SETTINGS[setting]) for setting, name in SETTING_FIELDS.items()),
    u32("http2.settings.unknown", "Value"),
    uint("http2.push_promise.r", "Reserved", 1),
    uint("http2.push_promise.promised_stream_id", "Promised stream", 31),
    octets("http2.ping", "Ping"),
    octets("http2.pong", "Pong"),
    uint("http2.goway.r", "Reserved", 1),
    uint("http2.goaway.last_stream_id", "Last stream", 31),
    u32("http2.goaway.error", "Error", values=ERRORS),
    octets("http2.goaway.addata", "Debug data"),
    uint("http2.window_update.r", "Reserved", 1),
    uint("http2.window_update.window_size_increment", "Window size increment", 31),
    u16("http2.altsvc.origin.len", "Origin length"),
    string("http2.altsvc.origin", "Origin"),
    string("http2.altsvc.field_value", "Alternative services"),
    heading("http2.origin", "Origin"),
    u16("http2.origin.origin_len", "Origin length"),
    string("http2.origin.origin", "Origin"),
    uint("http2.priority_update_r", "Reserved", 1),
    uint("http2.priority_update_stream_id", "Prioritised stream", 31),
    string("http2.priority_update_field_value", "Priority"),
    octets("http2.unknown", "Unknown"),
    string("http2.stream.state", "Stream state"),
    string("http2.push_promise.state", "State of the promised stream"),
    string("http2.request.full_uri", "Full URI"),
    frame("http2.request_in", "Answers the request in packet"),
    frame("http2.response_in", "Answered in packet"),
    duration("http2.time", "Time since the request"),
    sint("http2.calculated.connection.window_size.before", "Connection's window before", 64, unit="bytes"),
    sint("http2.calculated.connection.window_size.after", "Connection's window after", 64, unit="bytes"),
    sint("http2.calculated.stream.window_size.before", "Stream's window before", 64, unit="bytes"),
    sint("http2.calculated.stream.window_size.after", "Stream's window after", 64, unit="bytes"),
)


def dissect(c: Cursor) -> None:
    info = c.context.info
    if info.get("kind") == "magic":
        c.string("http2.magic", c.remaining)
        c.layer.summary = "Connection preface"
        return
    if info.get("kind") == "rest":
        c.octets("http2.unknown", c.remaining)
        c.layer.summary = f"{c.pos - c.start:,} bytes of frames whose beginning is not in this capture"
        return
    length, kind = c.uint("http2.length", 3), c.uint("http2.type", 1)
    flags = c.flags("http2.flags", 1, *FLAGS.get(kind, ()))
    _, stream = c.bits(4, ("http2.r", 1), ("http2.streamid", 31))
    c.layer.summary = f"{type_name(kind)}" + (f" on stream {stream}" if stream else "")
    _check_header(c, length, kind, stream)
    with c.within(length):
        if info.get("missing"):
            c.layer.summary += f", {info['missing']:,} of {length:,} bytes missing from the capture"
            c.octets("http2.unknown", c.remaining)
        else:
            _PAYLOADS.get(kind, _unknown)(c, flags)
        if c.remaining:
            c.octets("http2.unknown", c.remaining)
            if kind in SIZES:
                c.issue("frame-size", f"{type_name(kind)} is {SIZES[Type(kind)]} octets: FRAME_SIZE_ERROR (RFC 9113, 6)")
    for code, text, heard in info.get("issues", ()):
        if heard is None or heard.seen_from_start:
            c.issue(code, text, Severity.ERROR, Span(c.buffer, c.start, c.pos))
    _generated(c, kind)


def _check_header(c: Cursor, length: int, kind: int, stream: int) -> None:
    if stream and kind in (Type.SETTINGS, Type.PING, Type.GOAWAY):
        c.issue("stream-id", f"{type_name(kind)} belongs to the connection: stream 0 (RFC 9113, 6)", Severity.ERROR)
    elif not stream and kind in (
        Type.DATA, Type.HEADERS, Type.PRIORITY, Type.RST_STREAM, Type.PUSH_PROMISE, Type.CONTINUATION,
    ):  # fmt: skip
        c.issue("stream-id", f"{type_name(kind)} needs a stream (RFC 9113, 6)", Severity.ERROR)
    if kind in SIZES and length < SIZES[Type(kind)]:
        c.issue("frame-size", f"{type_name(kind)} is {SIZES[Type(kind)]} octets: FRAME_SIZE_ERROR (RFC 9113, 6)")


# --- what each type carries (6)


def _unknown(c: Cursor, flags: int) -> None:
    if c.remaining:
        c.octets("http2.unknown", c.remaining)


def _pad(c: Cursor, flags: int) -> int:
    """The pad length; 0 for none."""
    return c.uint("http2.padding", 1) if flags & Flag.PADDED else 0


def _padding(c: Cursor, name: str, size: int) -> None:
    if size and any(c.octets(name, size)):
        c.issue("padding", "padding that is not zero (RFC 9113, 6.1)", Severity.NOTE)


def _room(c: Cursor, pad: int) -> int:
    """What is left in front of the padding."""
    if pad > c.remaining:
        c.issue("padding", "more padding than the frame has room for: PROTOCOL_ERROR (RFC 9113, 6.1)", Severity.ERROR)
        return 0
    return c.remaining - pad


def _data(c: Cursor, flags: int) -> None:
    pad = _pad(c, flags)
    size = _room(c, pad)
    if size:
        c.octets("http2.data.data", size)
    c.layer.summary += f", {size:,} bytes" + (f" and {pad} of padding" if pad else "")
    if flags & Flag.END_STREAM:
        c.layer.summary += ", the last"
    _padding(c, "http2.data.padding", min(pad, c.remaining))


def _priority(c: Cursor, flags: int) -> None:
    _, depends = c.bits(4, ("http2.exclusive", 1), ("http2.stream_dependency", 31))
    weight = c.uint("http2.headers.weight", 1) + 1
    c.generated("http2.headers.weight_real", weight, c.last.span)
    if c.layer.value("http2.type") == Type.PRIORITY:
        c.layer.summary += f": depends on {depends}, weight {weight}"
    if depends and depends == c.layer.value("http2.streamid"):
        c.issue("priority", "a stream that depends on itself (RFC 7540, 5.3.1)")


def _headers(c: Cursor, flags: int) -> None:
    pad = _pad(c, flags)
    if flags & Flag.PRIORITY:
        _priority(c, flags)
    _block(c, "http2.headers", _room(c, pad))
    _padding(c, "http2.headers.padding", min(pad, c.remaining))


def _push_promise(c: Cursor, flags: int) -> None:
    pad = _pad(c, flags)
    _, promised = c.bits(4, ("http2.push_promise.r", 1), ("http2.push_promise.promised_stream_id", 31))
    c.layer.summary += f" promises stream {promised}"
    _block(c, "http2.push_promise.header", _room(c, pad))
    _padding(c, "http2.push_promise.padding", min(pad, c.remaining))


def _continuation(c: Cursor, flags: int) -> None:
    _block(c, "http2.continuation.header", c.remaining)


def _rst_stream(c: Cursor, flags: int) -> None:
    code = c.uint("http2.rst_stream.error", 4)
    c.layer.summary += f": {ERRORS.get(code, code)}"


def _settings(c: Cursor, flags: int) -> None:
    if flags & Flag.ACK:
        c.layer.summary += ", acknowledged"
        if c.remaining:
            c.issue("frame-size", "an acknowledgement is empty: FRAME_SIZE_ERROR (RFC 9113, 6.5)", Severity.ERROR)
    settings(c)


def settings(c: Cursor) -> None:
    """The parameters of a SETTINGS payload (6.5.1)."""
    told = []
    while c.remaining >= 6:
        with c.group("http2.settings") as group:
            which = c.uint("http2.settings.id", 2)
            value = c.uint(SETTING_FIELDS.get(which, "http2.settings.unknown"), 4)  # type: ignore[call-overload]
            group.text = f"{SETTINGS.get(which, f'{which:#06x} (unknown)')} = {value:,}"
        told.append(group.text)
        if which in SWITCHES and value > 1:
            c.issue("setting", f"{SETTINGS[which]} is 0 or 1: PROTOCOL_ERROR ({SWITCHES[Setting(which)]})", Severity.ERROR)
        elif which == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            c.issue("setting", "a window of more than 2^31-1: FLOW_CONTROL_ERROR (RFC 9113, 6.5.2)", Severity.ERROR)
        elif which == Setting.MAX_FRAME_SIZE and not 16_384 <= value < 1 << 24:
            c.issue("setting", "a frame size outside 16,384 to 16,777,215: PROTOCOL_ERROR (RFC 9113, 6.5.2)", Severity.ERROR)
    if told:
        c.layer.summary += ": " + ", ".join(told[:8])
    if c.remaining:
        c.octets("http2.unknown", c.remaining)
        c.issue("frame-size", "SETTINGS come in sixes of octets: FRAME_SIZE_ERROR (RFC 9113, 6.5)", Severity.ERROR)


def _ping(c: Cursor, flags: int) -> None:
    c.octets("http2.pong" if flags & Flag.ACK else "http2.ping", 8)
    if flags & Flag.ACK:
        c.layer.summary += ", the answer"


def _goaway(c: Cursor, flags: int) -> None:
    _, last = c.bits(4, ("http2.goway.r", 1), ("http2.goaway.last_stream_id", 31))
    code = c.uint("http2.goaway.error", 4)
    c.layer.summary += f": {ERRORS.get(code, code)}, last stream {last}"
    if c.remaining:
        text = c.octets("http2.goaway.addata", c.remaining)
        c.last.text = repr(text)[2:-1]
        c.layer.summary += f", {decode(text)[:80]}"


def _window_update(c: Cursor, flags: int) -> None:
    _, increment = c.bits(4, ("http2.window_update.r", 1), ("http2.window_update.window_size_increment", 31))
    c.layer.summary += f": {increment:,} more"
    if not increment:
        c.issue("window", "an increment of 0: PROTOCOL_ERROR (RFC 9113, 6.9)", Severity.ERROR)


def _altsvc(c: Cursor, flags: int) -> None:
    origin = c.string("http2.altsvc.origin", size) if (size := c.uint("http2.altsvc.origin.len", 2)) else ""
    value = c.string("http2.altsvc.field_value", c.remaining) if c.remaining else ""
    c.layer.summary += f": {origin} {value}".rstrip()


def _origin(c: Cursor, flags: int) -> None:
    told = []
    while c.remaining:
        with c.group("http2.origin") as group:
            size = c.uint("http2.origin.origin_len", 2)
            group.text = c.string("http2.origin.origin", size) if size else ""
        told.append(group.text)
    c.layer.summary += ": " + ", ".join(told[:8])


def _priority_update(c: Cursor, flags: int) -> None:
    _, stream = c.bits(4, ("http2.priority_update_r", 1), ("http2.priority_update_stream_id", 31))
    value = c.string("http2.priority_update_field_value", c.remaining) if c.remaining else ""
    c.layer.summary += f": stream {stream}, {value or 'defaults'}"


_PAYLOADS: dict[int, Callable[[Cursor, int], None]] = {
    Type.DATA: _data, Type.HEADERS: _headers, Type.PRIORITY: _priority, Type.RST_STREAM: _rst_stream,
    Type.SETTINGS: _settings, Type.PUSH_PROMISE: _push_promise, Type.PING: _ping, Type.GOAWAY: _goaway,
    Type.WINDOW_UPDATE: _window_update, Type.CONTINUATION: _continuation, Type.ALTSVC: _altsvc, Type.ORIGIN: _origin,
    Type.PRIORITY_UPDATE: _priority_update,
}  # fmt: skip


# --- header blocks (RFC 7541, 6)


def _block(c: Cursor, name: str, size: int) -> None:
    """The representations that end in this frame; one that began in an earlier frame is read with what it began with."""
    if not size:
        return
    start = c.pos
    c.octets(name, size)
    piece: Fragment | None = c.context.info.get("block")
    if piece is None:
        text = "this piece of a header block cannot be read: its beginning is not here, or what came before it is broken"
        c.issue("header-block", text, Severity.WARNING)
        return
    own = c.span(start)
    reader = Cursor(c.buffer, c.slice(start, c.pos), start, c.pos, c.layer, c.catalog, c.context, start)
    if piece.carry:
        data = b"".join(span.read() for span in piece.carry) + c.slice(own.start, own.stop)
        origins, at = [], 0
        for span in (*piece.carry, own):
            origins.append(Origin(at, at + span.size, span))
            at += span.size
        joined = Derived(f"headers:{c.buffer.id}:{own.start}", "header block", data, origins)
        reader = c.over(joined, data)
    count, unknown = _walk(reader, piece)
    state = piece.table
    c.generated("http2.header.count", count, own)
    if unknown:
        c.issue(
            "header-table-unknown" if not state.complete else "hpack-index",
            f"header table unknown for {unknown} header{'s' if unknown > 1 else ''}: put there before this capture, or in a gap"
            if not state.complete
            else "an index that the table does not have: COMPRESSION_ERROR (RFC 7541, 2.3.3; RFC 9113, 4.3)",
            Severity.WARNING if not state.complete else Severity.ERROR,
            own,
        )
    if piece.error is not None:
        c.issue("limit" if "read" in piece.error[1] else "hpack", f"nothing more is read here: {piece.error[1]}", span=own)
    at_least = "at least " if not state.complete else ""
    c.generated("http2.header_table.entries", state.entries, own, f"{at_least}{state.entries:,}")
    c.generated("http2.header_table.size", state.size, own, f"{at_least}{state.size:,}")
    c.generated("http2.header_table.limit", state.limit, own, None if state.complete else "unknown")
    c.generated("http2.header_table.evicted", state.evicted, own, f"{at_least}{state.evicted:,}")


def _walk(c: Cursor, piece: Fragment) -> tuple[int, int]:
    """The headers as fields; returns how many there are, and how many could not be told for want of the table."""
    answers: Iterator[Entry | None] = iter(piece.answers)

    def lookup(index: int) -> Entry | None:
        return header_block.static(index) if index <= header_block.STATIC else next(answers, None)

    count = unknown = 0
    data, most = c.peek(c.remaining), piece.error[0] if piece.error is not None else c.remaining
    base = c.pos
    try:
        for item in header_block.walk(data, lookup):
            if item.stop > most:
                break
            _header(c, item, base)
            count += item.kind is not header_block.Kind.SIZE_UPDATE
            unknown += item.number > header_block.STATIC and item.kind is not header_block.Kind.SIZE_UPDATE and not item.found
    except Malformed:  # `piece.error` says so
        pass
    return count, unknown


def _header(c: Cursor, item: Representation, base: int) -> None:
    bits = header_block.PREFIXES[item.kind]
    start, number_stop = base + item.start, base + item.number_stop
    number_bits = (8 - bits, bits + 8 * (number_stop - start - 1))
    c.pos = start
    if item.kind is header_block.Kind.SIZE_UPDATE:
        with c.group("http2.header_table_size_update", text=f"{item.number:,} octets"):
            c.add("http2.header.repr", header_block.WORDS[item.kind], start, start + 1, bits=(0, 8 - bits))
            c.add("http2.header_table_size_update.header_table_size", item.number, start, number_stop, bits=number_bits)
            c.pos = base + item.stop
        if item.number > MAX_HEADER_TABLE:
            text = f"the header table is kept to {MAX_HEADER_TABLE >> 20} MiB of {item.number:,} octets: the rest is unknown"
            c.issue("limit", text, Severity.NOTE, c.span(start, number_stop))
        return
    name, value = _shown(item.name, item), _shown(item.value, item)
    with c.group("http2.header", text=f"{name}: {value}"):
        words = header_block.WORDS[item.kind]
        if item.kind is not header_block.Kind.INDEXED:
            words += " - New Name" if item.name_literal else " - Indexed Name"
        c.add("http2.header.repr", words, start, start + 1, bits=(0, 8 - bits))
        c.add("http2.header.index", item.number, start, number_stop, bits=number_bits)
        number = Span(c.buffer, start, number_stop)
        _text(c, "http2.header.name", item.name, name, item.name_literal, number, base)
        _text(c, "http2.header.value", item.value, value, item.value_literal, number, base)
        field = HEADER_FIELDS.get(item.name)
        if field is not None and item.value is not UNKNOWN:
            _own_field(c, field, value, Span(c.buffer, start, base + item.stop))
        c.pos = base + item.stop


def _own_field(c: Cursor, field: str, value: str, span: Span) -> None:
    if c.spec(field).kind is not Kind.UINT:
        c.generated(field, value, span)
    elif value.isascii() and value.isdigit() and len(value) < 20:
        c.generated(field, int(value), span)


def _shown(text: bytes, item: Representation) -> str:
    if text is not UNKNOWN:
        return decode(text)
    broken = any(literal is not None and literal.text is None for literal in (item.name_literal, item.value_literal))
    return UNREADABLE[0] if broken and item.found is None and not item.number else UNREADABLE[1]


def _text(c: Cursor, name: str, raw: bytes, shown: str, literal: Literal | None, number: Span, base: int) -> None:
    """A name or a value: a literal with its length in front, or what the table holds at the index."""
    if literal is None:
        c.generated(f"{name}.length", len(raw), number)
        c.generated(name, shown, number)
        return
    start, begin, stop = base + literal.start, base + literal.begin, base + literal.stop
    c.add("http2.header.huffman", literal.huffman, start, start + 1, bits=(0, 1))
    c.add("http2.header.coded_length", stop - begin, start, begin, bits=(1, 8 * (begin - start) - 1))
    c.generated(f"{name}.length", len(raw), Span(c.buffer, start, begin))
    c.add(name, shown, begin, stop)
    if literal.text is None:
        c.issue("huffman", "the Huffman code is wrong, or its padding is: COMPRESSION_ERROR (RFC 7541, 5.2)", Severity.ERROR)


# --- what the connection knows


def _generated(c: Cursor, kind: int) -> None:
    info = c.context.info
    whole = Span(c.buffer, c.start, c.pos)
    for name, known in (("http2.stream.state", "states"), ("http2.push_promise.state", "promised_states")):
        if known in info:
            before, after = info[known]
            c.generated(name, after.value if before is after else f"{before.value} → {after.value}", whole)
    for name, (before, after) in zip(("connection", "stream"), info.get("windows", ()), strict=False):
        if before is not None and after is not None:
            c.generated(f"http2.calculated.{name}.window_size.before", before, whole)
            c.generated(f"http2.calculated.{name}.window_size.after", after, whole)
    if (info.get("windows") and info["windows"][0][1] == 0) or (info.get("windows") and info["windows"][1][1] == 0):
        c.layer.summary += ", the window is used up"
    role = info.get("role")
    if role is not None:
        _message(c, role, info, whole)


def _message(c: Cursor, role: str, info: dict[str, Any], whole: Span) -> None:
    asked = info.get("asked")
    if role in ("request", "promise") and asked is not None:
        target = asked["url"] or asked["target"] or asked["host"]
        c.layer.summary += f": {asked['method'] or '(method unknown)'} {target or '(path unknown)'}"
        if asked["url"]:
            c.generated("http2.request.full_uri", asked["url"], whole)
        if asked["answer"]:
            c.generated("http2.response_in", asked["answer"], whole)
        return
    status = c.layer.value("http2.headers.status")
    if role in ("response", "interim"):
        c.layer.summary += f": {status if status is not None else '(status unknown)'}"
        if role == "interim":
            c.layer.summary += ", the final response follows"
    else:
        c.layer.summary += ": trailers"
    if role == "response" and asked is not None and asked["packet"] is not None:
        c.generated("http2.request_in", asked["packet"], whole)
        times = info.get("time_of")
        if times is not None and c.context.packet is not None:
            c.generated("http2.time", c.context.packet.time_ns - times(asked["packet"]), whole)
        if asked["url"]:
            c.layer.summary += f" for {asked['url']}"
    if c.layer.value("http2.flags.end_stream") and role in ("response", "trailers"):
        c.layer.summary += ", the end of the stream"
