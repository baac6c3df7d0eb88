"""Server-sent events (WHATWG HTML, 9.2): one unit an event, complete with its blank line.

Lines end in CR, LF or CRLF; where they end in CR the event completes at the CR, and an LF that follows belongs to it.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, string, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.limits import MAX_EVENT
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Gap, Reader, Steps, StreamParser, TooLong
from inspector.protocols.encodings.json import looks_like

BOM = b"\xef\xbb\xbf"
NAMES = {b"event": "sse.event", b"data": "sse.data", b"id": "sse.id", b"retry": "sse.retry"}

FIELDS = catalog(
    string("sse.event", "event: its type"),
    string("sse.data", "data"),
    string("sse.id", "id: what the client repeats when it reconnects"),
    u32("sse.retry", "retry: milliseconds until it reconnects"),
    string("sse.comment", "comment"),
    string("sse.ignored", "a line that is ignored"),
    octets("sse.bom", "byte order mark"),
    octets("sse.end", "blank line: the event is complete"),
    string("sse.type", "Dispatched as"),
    string("sse.last_event_id", "Last event id"),
)


class EventStream(StreamParser):
    """One direction: the body of a response of type text/event-stream."""

    protocol = "sse"

    def __init__(self) -> None:
        self._last_id = ""
        self._number = 0

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        asked = (self.node.info.get("asked") or {}).get("head")
        self._last_id = (asked.get("last-event-id") or "") if asked is not None else ""  # the source goes on from it
        if resync and not (yield from self._next_event(reader)):
            return
        while True:
            start = reader.pos
            try:
                if not (yield from reader.some()):
                    return
                fields = yield from self._event(reader)
            except (Ended, Gap) as end:
                stop = reader.arrived if isinstance(end, Ended) else reader.pos - end.size
                if stop > start and not self._only_rest_of_crlf(reader, start, stop):
                    packet = reader.packet_at(stop - 1)
                    self.node.emit("event", reader, start, stop, {"cut": True}, complete=False, packet=packet)
                if isinstance(end, Gap):
                    raise
                reader.pos = reader.arrived
                return
            dispatched = b"data" in fields
            self._last_id = fields.get(b"id", self._last_id)  # kept for the events that follow, with data or without
            self._number += dispatched
            info = {"number": self._number, "dispatched": dispatched, "last_id": self._last_id}
            self.node.emit("event", reader, start, reader.pos, info)

    def _next_event(self, reader: Reader) -> Steps[bool]:
        """After a gap: behind the next blank line. What stands before it is the end of an event whose start is missing."""
        start, stop = reader.pos, reader.pos
        try:
            while (yield from reader.some()):
                line = yield from self._line(reader)
                stop = reader.pos
                if not line.strip(b"\r\n"):
                    break
        except Ended:
            stop = reader.pos = reader.arrived
        except Gap as gap:
            stop = reader.pos - gap.size
            raise
        finally:
            if stop > start:
                self.node.emit("event", reader, start, stop, {"headless": True}, complete=False)
        return not reader.exhausted

    def _event(self, reader: Reader) -> Steps[dict[bytes, str]]:
        fields: dict[bytes, str] = {}
        total = 0
        while total <= MAX_EVENT:
            line = yield from self._line(reader)
            total += len(line)
            text = line.rstrip(b"\r\n")
            if not text:
                return fields
            if total == len(line) and reader.pos == total:
                text = text.removeprefix(BOM)  # only at the start of the stream
            name, _, value = text.partition(b":")
            if name == b"id" and b"\0" in value:  # ignored (WHATWG HTML, 9.2.6)
                continue
            fields[name] = value.removeprefix(b" ").decode("utf-8", "surrogateescape")
        return fields

    def _line(self, reader: Reader) -> Steps[bytes]:
        """A line with its end. A CR ends it at once; the LF of a CRLF is taken along where it is there already, or later."""
        seen = 0
        while True:
            wanted = max(4096, 2 * seen)
            if seen > MAX_EVENT:
                raise TooLong(f"an event is read to {MAX_EVENT >> 20} MiB")
            ahead = reader.peek_now(wanted)
            skip = 1 if ahead[:1] == b"\n" and self._after_cr(reader) else 0
            begin = max(skip, seen)
            found = min((at for at in (ahead.find(b"\n", begin), ahead.find(b"\r", begin)) if at >= 0), default=-1)
            if found >= 0:
                size = found + 1
                if ahead[found : found + 2] == b"\r\n":
                    size += 1
                line = yield from reader.read(size)
                return line[skip:]
            if len(ahead) < wanted:
                yield from self._more(reader, len(ahead))
            seen = len(ahead)

    @staticmethod
    def _only_rest_of_crlf(reader: Reader, start: int, stop: int) -> bool:
        return stop - start == 1 and start > 0 and reader.buffer.read(start - 1, stop) == b"\r\n"

    @staticmethod
    def _after_cr(reader: Reader) -> bool:
        return reader.pos > 0 and reader.buffer.read(reader.pos - 1, reader.pos) == b"\r"

    @staticmethod
    def _more(reader: Reader, have: int) -> Steps[None]:
        """Wait for more bytes than `have`; raises Ended or Gap where none come."""
        while len((yield from reader.peek(have + 1))) <= have:
            if reader.available > have:  # a gap is next
                reader.pos += have
                yield from reader.read(1)
            raise Ended


def _line(c: Cursor) -> bytes:
    """What is left, as far as the end of its first line and the byte behind it; a longer look each time one fails."""
    size = 1024
    while True:
        rest = c.peek(size)
        found = min((at for at in (rest.find(b"\n"), rest.find(b"\r")) if at >= 0), default=-1)
        if size >= c.remaining or 0 <= found < size - 1:
            return rest
        size *= 4


def dissect(c: Cursor) -> None:
    data: list[str] = []
    kind, comment = "message", ""
    spans: list[tuple[int, int]] = []
    if c.peek(3) == BOM and c.pos == 0:
        c.octets("sse.bom", 3)
    while c.remaining:
        start = c.pos
        rest = _line(c)
        if start == c.start and rest[:1] == b"\n" and start > 0:
            c.octets("sse.end", 1)  # the LF of the CRLF that ended the event before
            continue
        at = min((i for i in (rest.find(b"\n"), rest.find(b"\r")) if i >= 0), default=len(rest))
        end = at + (2 if rest[at : at + 2] == b"\r\n" else 1 if at < len(rest) else 0)
        line = rest[:at]
        if not line:
            c.octets("sse.end", end)
            continue
        name, _, value = line.partition(b":")
        spaces = 1 if value.startswith(b" ") else 0
        text = value[spaces:].decode("utf-8", "surrogateescape")
        if not name:
            c.add("sse.comment", text, start, start + end)
            comment = text
        elif name == b"retry" and text.isascii() and text.isdigit() and len(text) < 16:
            c.add("sse.retry", int(text), start, start + end)
        elif name in NAMES and name != b"retry" and not (name == b"id" and b"\0" in value):
            c.add(NAMES[name], text, start, start + end)
            if name == b"event":
                kind = text or "message"
            elif name == b"data":
                data.append(text)
                spans.append((start + len(name) + 1 + spaces, start + at))
        else:
            c.add("sse.ignored", line.decode("utf-8", "surrogateescape"), start, start + end)
        c.pos = start + end
    info = c.context.info
    joined = "\n".join(data)
    if info.get("headless"):
        text = "the start of this event is missing from the capture: what it says cannot be known"
        c.issue("sse-headless", text, Severity.WARNING, c.span(c.start))
        c.layer.summary = f"the end of an event: {joined[:80]}"
    elif info.get("cut"):
        text = "the stream ends before the blank line: the client throws this event away (WHATWG HTML, 9.2.6)"
        c.issue("sse-cut", text, Severity.WARNING, c.span(c.start))
        c.layer.summary = f"unfinished event: {joined[:80]}"
    elif info.get("dispatched"):
        c.generated("sse.type", kind)
        c.generated("sse.last_event_id", info.get("last_id", ""))
        c.layer.summary = f"event {info.get('number', 0)}  {kind}: {joined[:80]}"
        if len(spans) == 1 and looks_like(joined):
            c.hand_on(c.span(*spans[0]), "media_type", "json", "the event's data looks like JSON")
    elif comment:
        c.layer.summary = f"comment: {comment[:80]} (keeps the connection open; no event is dispatched)"
    else:
        c.layer.summary = "no data: no event is dispatched"


def explain(layer: Layer) -> list[Note]:
    found = []
    end = next((field for field in layer.fields[1:] if field.name == "sse.end"), None)
    kind = layer.value("sse.type")
    if end is not None and kind is not None:
        lines = sum(field.name == "sse.data" for field in layer.fields)
        joined = f" Its {lines} data lines are joined by line feeds." if lines > 1 else ""
        why = f"The blank line completes the event: it is dispatched now as “{kind}”, while the response goes on.{joined}"
        found.append(Note(end.span, "dispatch", why, "WHATWG HTML, 9.2.6"))
    elif end is not None and layer.find("sse.event") is not None:
        why = "An event without a data line: its type is forgotten, and nothing is dispatched."
        found.append(Note(end.span, "no dispatch", why, "WHATWG HTML, 9.2.6"))
    identifier = layer.find("sse.id")
    if identifier is not None and identifier.value:
        why = f"The client remembers {identifier.value[:60]}; when the connection breaks it says so in Last-Event-ID."
        found.append(Note(identifier.span, "id", why, "WHATWG HTML, 9.2.6 and 9.2.4"))
    elif identifier is not None:
        why = "The client forgets the last id: when the connection breaks it sends no Last-Event-ID."
        found.append(Note(identifier.span, "id", why, "WHATWG HTML, 9.2.6 and 9.2.3"))
    retry = layer.find("sse.retry")
    if retry is not None:
        why = f"After the connection breaks the client waits {retry.value:,} ms, or longer, before it asks again."
        found.append(Note(retry.span, "retry", why, "WHATWG HTML, 9.2.6 and 9.2.3"))
    comment = layer.find("sse.comment")
    if comment is not None and kind is None:
        why = f"“{str(comment.value)[:60]}”: a line that begins with a colon is ignored; servers send one now and then, so that"
        why += " nobody on the way takes the stream for dead."
        found.append(Note(comment.span, "comment", why, "WHATWG HTML, 9.2.6 and 9.2.7"))
    return found


CARD = Card(
    "text in UTF-8: lines `field: value`, a blank line behind each event",
    "a response that does not end",
    "the URL of the stream; events have a type and an id",
    "server to client only",
    "the last event id, kept by the client",
    "as HTTP; proxies that buffer hold events back",
    "TCP's window: a slow client slows the server",
    "the client reconnects by itself and sends Last-Event-ID",
)
PROTOCOL = Protocol(
    "sse", "SSE event", 7, FIELDS, dissect, keys={"http.body": ["text/event-stream"]}, parser=EventStream,
    explain=explain, card=CARD, reference="WHATWG HTML, 9.2",
)  # fmt: skip
