"""Text bodies and form data: lines, and names with values (WHATWG URL, application/x-www-form-urlencoded)."""

from __future__ import annotations

from urllib.parse import unquote_plus

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, string
from inspector.core.protocol import Protocol

MAX_LINES = 2000  # lines shown of one text

FIELDS = catalog(string("data-text-lines.line", "Line"), string("data-text-lines.rest", "More"))
FORM_FIELDS = catalog(string("urlencoded-form.pair", "Pair"), string("urlencoded-form.key", "Key"))


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
        c.string("data-text-lines.rest", c.remaining)
    c.layer.summary = f"{count:,} line{'s' if count != 1 else ''}, {size:,} bytes"


def dissect_form(c: Cursor) -> None:
    pairs = []
    data, start = c.peek(c.remaining), c.pos
    while c.remaining:
        at = data.find(b"&", c.pos - start)
        size = c.remaining if at < 0 else at + 1 - (c.pos - start)
        raw = c.peek(size).rstrip(b"&").decode("utf-8", "surrogateescape")
        name, _, value = raw.partition("=")
        text = f"{unquote_plus(name)} = {unquote_plus(value)}"
        c.add("urlencoded-form.pair", raw, c.pos, c.pos + size, text)
        c.skip(size)
        pairs.append(text)
    c.layer.summary = ", ".join(pairs[:8])


PLAIN = Protocol(
    "data-text-lines", "Text", 6, FIELDS, dissect,
    keys={"media_type": ["text/plain", "text/html", "text/css", "text/javascript", "text/csv", "text/xml", "application/xml",
                         "application/javascript", "image/svg+xml"]},
)  # fmt: skip
FORM = Protocol(
    "urlencoded-form", "Form data", 6, FORM_FIELDS, dissect_form, keys={"media_type": ["application/x-www-form-urlencoded"]}
)
