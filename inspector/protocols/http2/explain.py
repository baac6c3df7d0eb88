"""What one HTTP/2 frame means: its notes, each at its bytes and with the section that says so."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.core.field import Field
from inspector.core.layer import Layer, Note, Rank
from inspector.protocols.http import meaning
from inspector.protocols.http.head import Head
from inspector.protocols.http.meaning import Message
from inspector.protocols.http2.names import ERRORS, UNREADABLE, Setting, Type
from inspector.protocols.http2.streams import MEANINGS, State

ARROW = " → "  # between the state before and the one after

SETTING_NOTES = {
    Setting.HEADER_TABLE_SIZE: (
        "The other side may keep up to {value:,} octets of headers in the table that it refers to by index (default 4,096); 0"
        " switches the table off.",
        "RFC 9113, 6.5.2; RFC 7541, 4.2",
    ),
    Setting.MAX_CONCURRENT_STREAMS: (
        "Of streams that the other side opens, {value:,} may be open at a time; without this setting there is no limit.",
        "RFC 9113, 5.1.2 and 6.5.2",
    ),
    Setting.INITIAL_WINDOW_SIZE: (
        "On each stream the other side may send {value:,} octets of DATA before it must wait for a WINDOW_UPDATE (default"
        " 65,535). It also moves the windows of the streams that are open. The connection's own window stays as it is.",
        "RFC 9113, 6.5.2 and 6.9.2",
    ),
    Setting.MAX_FRAME_SIZE: (
        "This side accepts frames with up to {value:,} octets of payload (default 16,384, the least allowed).",
        "RFC 9113, 4.2 and 6.5.2",
    ),
    Setting.MAX_HEADER_LIST_SIZE: (
        "Advice: a message's headers, decoded, should not exceed {value:,} octets; each counts 32 on top of name and value.",
        "RFC 9113, 6.5.2",
    ),
}
SWITCHES = {
    (Setting.ENABLE_PUSH, 0): ("No PUSH_PROMISE may be sent to this side.", "RFC 9113, 6.5.2 and 8.4"),
    (Setting.ENABLE_PUSH, 1): (
        "A client that says so takes responses that it has not asked for, which is the default; a server must not say it.",
        "RFC 9113, 6.5.2 and 8.4",
    ),
    (Setting.ENABLE_CONNECT_PROTOCOL, 1): (
        "Extended CONNECT is understood: a client may open a tunnel for a protocol, such as a WebSocket, inside one stream.",
        "RFC 8441, 3",
    ),
    (Setting.NO_RFC7540_PRIORITIES, 1): (
        "A client that says so does not use the dependencies and weights of RFC 7540, a server ignores them; the `priority`"
        " header and PRIORITY_UPDATE may stand in for them.",
        "RFC 9218, 2.1",
    ),
}
# Whether a request may be sent again after its stream was reset with a code.
RETRY = {
    7: "What was to happen on the stream has not begun: a request is safe to send again, even a POST.",
    8: "The sender no longer needs the stream. A request may have been processed in part.",
    11: "The peer thinks that it is being overloaded: slow down before anything is sent again.",
    13: "The request is to be made over HTTP/1.1.",
}


def explain(layer: Layer) -> list[Note]:
    """The notes of one frame."""
    magic = layer.find("http2.magic")
    if magic is not None:
        why = (
            "The client begins every HTTP/2 connection with these 24 octets. They look like a request with a method that no"
            " HTTP/1 server knows, so that one which does not speak HTTP/2 fails at once. A SETTINGS frame must follow."
        )
        return [Note(magic.span, "connection preface", why, "RFC 9113, 3.4")]
    kind = layer.value("http2.type")
    notes = list(_BY_TYPE[kind](layer)) if kind in _BY_TYPE else []
    end = layer.find("http2.flags.end_stream")
    if end is not None and end.value:
        why = f"Its sender has said all it will say on stream {layer.value('http2.streamid')}; the other direction is not"
        why += " touched."
        notes.append(Note(end.span, "END_STREAM", why, "RFC 9113, 5.1 and 8.1", Rank.DETAIL))
    return [*_states(layer), *notes]


def _states(layer: Layer) -> Iterator[Note]:
    """What a frame changes in the state of its stream, or of the one that it promises."""
    pairs = (
        ("http2.stream.state", "http2.streamid"),
        ("http2.push_promise.state", "http2.push_promise.promised_stream_id"),
    )
    for state, number in pairs:
        change, stream = layer.find(state), layer.find(number)
        if change is None or stream is None or ARROW not in str(change.value):
            continue
        before, after = (State(part) for part in str(change.value).split(ARROW))
        why, reference = MEANINGS[before, after]
        yield Note(stream.span, f"stream {stream.value}: {change.value}", why, reference)


def _settings(layer: Layer) -> list[Note]:
    ack = layer.find("http2.flags.ack.settings")
    if ack is not None and ack.value:
        why = "The oldest SETTINGS of the other side that were not acknowledged are now in force for what this side sends."
        return [Note(layer.span, "in force", why, "RFC 9113, 6.5.3")]
    notes = []
    for group in (field for field in layer.fields if field.name == "http2.settings"):
        if len(group.children) < 2:
            continue
        which, value = group.children[0].value, group.children[1].value
        if which in SETTING_NOTES:
            text, reference = SETTING_NOTES[which]
            notes.append(Note(group.span, Setting(which).name, text.format(value=value), reference))
        elif (which, value) in SWITCHES:
            text, reference = SWITCHES[which, value]
            notes.append(Note(group.span, Setting(which).name, text, reference))
        elif which > 9 and which & 0x0F0F == 0x0A0A:
            why = "An identifier that nobody has defined: the other side must ignore it, and shows by this that it does."
            notes.append(Note(group.span, "greased", why, "RFC 9113, 6.5.2"))
    return notes


def _window_update(layer: Layer) -> list[Note]:
    increment = layer.find("http2.window_update.window_size_increment")
    if increment is None:
        return []
    whose = "connection" if not layer.value("http2.streamid") else "stream"
    before = layer.value(f"http2.calculated.{whose}.window_size.before")
    after = layer.value(f"http2.calculated.{whose}.window_size.after")
    why = f"The other side may send {increment.value:,} more octets of DATA on this {whose}"
    if before is not None and after is not None:
        why += f": {before:,} + {increment.value:,} = {after:,}"
    return [Note(increment.span, "more credit", f"{why}. Only DATA counts.", "RFC 9113, 5.2 and 6.9")]


def _data(layer: Layer) -> list[Note]:
    length = layer.find("http2.length")
    if length is None or not length.value:
        return []
    parts = []
    for whose in ("stream", "connection"):
        before = layer.value(f"http2.calculated.{whose}.window_size.before")
        after = layer.value(f"http2.calculated.{whose}.window_size.after")
        if before is not None and after is not None:
            parts.append(f"{whose}: {before:,} - {length.value:,} = {after:,}")
            if after <= 0:
                parts[-1] += " (the sender must wait for a WINDOW_UPDATE)"
    if not parts:
        return []
    padding = " Padding counts too." if layer.value("http2.flags.padded") else ""
    return [
        Note(length.span, "credit used", f"What may still be sent on the {'; on the '.join(parts)}.{padding}", "RFC 9113, 6.9")
    ]


def _headers(layer: Layer) -> list[Note]:
    lines = _lines(layer)
    notes = _semantics(lines)
    for name, _, group in lines:
        if name in _PSEUDO:
            title, text, reference = _PSEUDO[name]
            notes.append(Note(group.span, title, text, reference, Rank.BACKGROUND))
    notes += _representations(layer)
    if layer.find("http2.flags.eh") is not None and not layer.value("http2.flags.eh"):
        why = "The header block goes on in CONTINUATION frames, which must follow at once; no other frame may come between."
        notes.append(Note(layer.span, "more headers", why, "RFC 9113, 4.3 and 6.10"))
    weight = layer.find("http2.headers.weight")
    if weight is not None:
        notes.append(Note(weight.span, "priority", _PRIORITY, "RFC 9113, 5.3.1 and 5.3.2; RFC 9218, 2", Rank.BACKGROUND))
    return notes


def _lines(layer: Layer) -> list[tuple[str, str, Field]]:
    """The headers of a frame: name, value and field."""
    lines = []
    for group in (field for field in layer.fields if field.name == "http2.header"):
        parts = {field.name: str(field.value) for field in group.children}
        name, value = parts.get("http2.header.name", ""), parts.get("http2.header.value", "")
        if value not in UNREADABLE:
            lines.append((name, value, group))
    return lines


def _semantics(lines: list[tuple[str, str, Field]]) -> list[Note]:
    """What the message says, as it would in any version of HTTP. Nothing where the frame does not begin it: trailers, or the
    rest of a header block."""
    pseudo = {name: (value, group) for name, value, group in reversed(lines) if name.startswith(":")}
    headers = [line for line in lines if not line[0].startswith(":")]
    words = [(name, value) for name, value, _ in headers]
    if ":status" in pseudo:
        code, start = pseudo[":status"]
        return meaning.explain(Message(Head(False, ("HTTP/2", code, ""), words), headers, start, ""))
    if ":method" in pseudo and ":protocol" not in pseudo:  # an extended CONNECT asks for something else (RFC 8441, 4)
        method, start = pseudo[":method"]
        authority, target = (pseudo[name][0] if name in pseudo else "" for name in (":authority", ":path"))
        if authority:
            words.append(("host", authority))
        return meaning.explain(Message(Head(True, (method, target or authority, "HTTP/2"), words), headers, start, ""))
    return []


def _representations(layer: Layer) -> list[Note]:
    """One note for each kind of representation, at its first use in this frame."""
    notes, seen = [], set()
    for group in (field for field in layer.fields if field.name in ("http2.header", "http2.header_table_size_update")):
        words = str(group.children[0].value).split(" - ")[0] if group.children else ""
        if words not in _REPRESENTATIONS or words in seen:
            continue
        seen.add(words)
        index = group.children[1].value if len(group.children) > 1 else 0
        if words == "Indexed Header Field" and index > 61:
            text = f"Entry {index} of the table: {index - 62} entries behind the newest one that this side has put there."
            notes.append(Note(group.span, "one index for a whole header", text, "RFC 7541, 2.3.3 and 6.1", Rank.DETAIL))
            continue
        title, text, reference = _REPRESENTATIONS[words]
        notes.append(Note(group.span, title, text, reference, Rank.DETAIL))
    return notes


_PSEUDO = {
    ":method": (
        "no request line",
        "Names with a colon are pseudo-headers: :method, :scheme, :authority and :path say what HTTP/1 says in its request line"
        " and Host. They stand before all other headers.",
        "RFC 9113, 8.3 and 8.3.1",
    ),
    ":status": (
        "no status line",
        "The status is a pseudo-header of three digits; HTTP/2 has no version and no reason phrase to go with it.",
        "RFC 9113, 8.3.2",
    ),
    ":protocol": (
        "extended CONNECT",
        "The stream becomes a tunnel for the protocol named here; :scheme and :path are sent too, unlike with a plain CONNECT.",
        "RFC 8441, 4",
    ),
}
_REPRESENTATIONS = {
    "Indexed Header Field": (
        "one index for a whole header",
        "Name and value stand in the static table, which both sides know by heart.",
        "RFC 7541, 6.1 and Appendix A",
    ),
    "Literal Header Field with Incremental Indexing": (
        "remembered",
        "Both sides put this header at the top of their table; next time one index is enough. Every older entry moves down.",
        "RFC 7541, 6.2.1 and 4.4",
    ),
    "Literal Header Field Never Indexed": (
        "never indexed",
        "No table on the way may keep this value: its sender holds that it could be guessed from the sizes of messages.",
        "RFC 7541, 6.2.3 and 7.1.3",
    ),
    "Maximum Dynamic Table Size Change": (
        "the table's size",
        "From here on this side uses a table of this size; what does not fit is evicted, the oldest first.",
        "RFC 7541, 4.2 and 6.3",
    ),
}
_PRIORITY = "Advice on the order of responses in the scheme of RFC 7540, which RFC 9113 deprecates: many servers ignored it."


def _rst_stream(layer: Layer) -> list[Note]:
    error = layer.find("http2.rst_stream.error")
    if error is None:
        return []
    why = "The stream is closed at once in both directions; the connection and its other streams go on."
    if error.value == 0:
        why += " With NO_ERROR behind a whole response a server asks the client to stop sending a body that it does not need."
    elif error.value in RETRY:
        why += f" {RETRY[error.value]}"
    else:
        why += " The request may have been processed: only one that is idempotent is safe to repeat."
    return [Note(error.span, ERRORS.get(error.value, "unknown error"), why, "RFC 9113, 6.4, 7, 8.1 and 8.7")]


def _goaway(layer: Layer) -> list[Note]:
    last = layer.find("http2.goaway.last_stream_id")
    error = layer.find("http2.goaway.error")
    if last is None or error is None:
        return []
    if last.value == (1 << 31) - 1 and not error.value:
        why = "A warning: the connection will end, and no new streams may be opened. Another GOAWAY may name the last one."
    else:
        why = (
            f"Streams above {last.value} that the other side has opened were not processed and are safe to repeat on a new"
            f" connection; those up to {last.value} may have been{'' if error.value else ', and go on'}."
        )
    notes = [Note(last.span, "the last stream", why, "RFC 9113, 6.8")]
    if error.value:
        why = "The whole connection has failed with this error: behind it the sender must close the connection."
        notes.append(Note(error.span, ERRORS.get(error.value, "unknown error"), why, "RFC 9113, 5.4.1 and 7"))
    return notes


def _ping(layer: Layer) -> list[Note]:
    data = layer.find("http2.pong") or layer.find("http2.ping")
    octets = f" ({data.text})" if data is not None else ""
    at = data.span if data is not None else layer.span
    if layer.value("http2.flags.ack.ping"):
        return [Note(at, "the answer", f"The same eight octets back{octets}: the connection lives.", "RFC 9113, 6.7")]
    why = f"The other side must send these eight octets{octets} back, if it can before other frames: a test of life and of the"
    why += " delay."
    return [Note(at, "ping", why, "RFC 9113, 6.7")]


def _push_promise(layer: Layer) -> list[Note]:
    promised = layer.find("http2.push_promise.promised_stream_id")
    if promised is None:
        return []
    why = (
        f"The server answers a request that it expects and that was not made; the response comes on stream {promised.value},"
        " which has an even number as all that a server opens. To guess well what will be asked for is hard, so push is rare."
    )
    return [Note(promised.span, "promise", why, "RFC 9113, 5.1.1, 6.6 and 8.4"), *_headers(layer)]


def _priority(layer: Layer) -> list[Note]:
    return [Note(layer.span, "priority", _PRIORITY, "RFC 9113, 5.3.1, 5.3.2 and 6.3")]


def _priority_update(layer: Layer) -> list[Note]:
    why = "Urgency u=0 (first) to 7, 3 where it is not given; i: the response may be interleaved with others of its urgency."
    return [Note(layer.span, "priority", why, "RFC 9218, 4 and 7.1")]


def _altsvc(layer: Layer) -> list[Note]:
    return [
        Note(layer.span, "elsewhere too", "The same origin is also served there, by the protocol named.", "RFC 7838, 3 and 4")
    ]


def _origin(layer: Layer) -> list[Note]:
    why = "Requests to these origins may be sent on this connection, where its certificate covers them."
    return [Note(layer.span, "origins", why, "RFC 8336, 2")]


_BY_TYPE = {
    Type.DATA: _data, Type.HEADERS: _headers, Type.PRIORITY: _priority, Type.RST_STREAM: _rst_stream,
    Type.SETTINGS: _settings, Type.PUSH_PROMISE: _push_promise, Type.PING: _ping, Type.GOAWAY: _goaway,
    Type.WINDOW_UPDATE: _window_update, Type.CONTINUATION: _headers, Type.ALTSVC: _altsvc, Type.ORIGIN: _origin,
    Type.PRIORITY_UPDATE: _priority_update,
}  # fmt: skip
