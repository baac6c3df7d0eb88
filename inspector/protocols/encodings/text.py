"""Text bodies, line by line."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, string
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.limits import MAX_LINES
from inspector.core.protocol import Protocol
from inspector.core.text import counted

FIELDS = catalog(string("data-text-lines.line", "Line"), string("data-text-lines.rest", "More"))


def dissect(c: Cursor) -> None:
    count = 0
    size = c.remaining
    data = c.peek(size)
    start = c.pos
    while c.remaining and count < MAX_LINES:
        at = data.find(b"\n", c.pos - start)
        c.string("data-text-lines.line", c.remaining if at < 0 else at + 1 - (c.pos - start))
        count += 1
    if c.remaining:
        c.issue("limit", f"a text is shown to {MAX_LINES:,} lines", Severity.NOTE, c.span(c.pos, c.stop))
        c.string("data-text-lines.rest", c.remaining)
    c.layer.summary = f"{counted(count, 'line')}, {size:,} bytes"


def explain(layer: Layer) -> list[Note]:
    size = layer.span.size
    why = f"{layer.summary}: text has no length and no end of its own, what carries it must say where it stops. {size:,}"
    why += " bytes are"
    why += " not always as many characters: that depends on the charset."
    return [Note(layer.span, "text", why, "RFC 9110, 8.3.2 and 8.6", Rank.DETAIL)]


PLAIN = Protocol(
    "data-text-lines", "Text", 6, FIELDS, dissect,
    keys={"media_type": ["text/plain", "text/html", "text/css", "text/javascript", "text/csv", "text/xml", "application/xml",
                         "application/javascript", "image/svg+xml"]},
    explain=explain,
)  # fmt: skip
