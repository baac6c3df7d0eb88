"""The body of a message over HTTP/2: all that a stream's DATA carried in one direction, shown when it is whole."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, u32
from inspector.core.layer import Layer, Note
from inspector.core.protocol import Protocol
from inspector.core.stream import Gap, Reader, Steps, StreamParser
from inspector.protocols.http.content import carry
from inspector.protocols.http.head import Head

FIELDS = catalog(
    octets("http2.body.reassembled.data", "Body"),
    u32("http2.body.reassembled.length", "Body length"),
)


class Body(StreamParser):
    """One direction of one stream."""

    protocol = "http2.body"

    def __init__(self) -> None:
        self._missing = 0

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        while True:
            try:
                if not (yield from reader.some()):
                    break
                reader.pos += len(reader.peek_now(reader.available))
            except Gap as gap:
                self._missing += gap.size
        if reader.arrived:
            info = {**self.node.info, "missing": self._missing}
            whole = not reader.reset and not self._missing
            self.node.emit("body", reader, 0, reader.arrived, info, packet=reader.end_packet, complete=whole)


def dissect(c: Cursor) -> None:
    info = c.context.info
    head: Head | None = info.get("head")
    size = c.remaining
    start = c.pos
    c.octets("http2.body.reassembled.data", size)
    body = c.span(start)
    c.generated("http2.body.reassembled.length", size, body)
    c.layer.summary = f"body on stream {info.get('stream', '?')}, {size:,} bytes"
    if info.get("missing"):
        c.layer.summary += ", not all that were sent: there is a gap in the capture"
    if head is None or info.get("missing"):
        return
    carry(c, head, [body], chunked=False)


def explain(layer: Layer) -> list[Note]:
    body = layer.find("http2.body.reassembled.data")
    if body is None:
        return []
    why = f"All that the DATA frames of this stream carried in this direction, {body.span.size:,} bytes, in one piece. Frames"
    why += " of other"
    why += " streams may have come between them; END_STREAM is what ends it; a content-length that says otherwise would make"
    why += " the message malformed."
    return [Note(body.span, "put together", why, "RFC 9113, 8.1 and 8.1.1")]


PROTOCOL = Protocol(
    "http2.body", "HTTP/2 body", 6, FIELDS, dissect, keys={"http2.body": ["message"]}, parser=Body, explain=explain,
    reference="RFC 9113, 8.1",
)
