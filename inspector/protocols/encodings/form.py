"""Form data in a body: names and values (WHATWG URL, 5: application/x-www-form-urlencoded), decoded, each with its bytes."""

from __future__ import annotations

from urllib.parse import unquote_plus

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, string
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.limits import MAX_PAIRS
from inspector.core.protocol import Protocol

FIELDS = catalog(
    string("urlencoded-form.pair", "Pair"),
    string("urlencoded-form.key", "Key"),
    string("urlencoded-form.value", "Value"),
    octets("urlencoded-form.rest", "More"),
)


def dissect(c: Cursor) -> None:
    pairs: list[str] = []
    while c.remaining and len(pairs) < MAX_PAIRS:
        raw = _next(c)
        name, equals, value = raw.partition(b"=")
        key, content = _decoded(name), _decoded(value)
        with c.group("urlencoded-form.pair", raw.decode("utf-8", "surrogateescape"), f"{key} = {content}"):
            c.add("urlencoded-form.key", key, c.pos, c.pos + len(name))
            if equals:
                c.add("urlencoded-form.value", content, c.pos + len(name) + 1, c.pos + len(raw))
            c.skip(min(len(raw) + 1, c.remaining))  # with the ampersand
        pairs.append(f"{key} = {content}")
    if c.remaining:
        c.issue("limit", f"a form is shown to {MAX_PAIRS:,} pairs", Severity.NOTE, c.span(c.pos, c.stop))
        c.octets("urlencoded-form.rest", c.remaining)
    c.layer.summary = ", ".join(pairs[:8])


def _next(c: Cursor) -> bytes:
    """The bytes up to the next ampersand, looked for a little at a time."""
    size = 256
    while True:
        ahead = c.peek(size)
        found = ahead.find(b"&")
        if found >= 0 or size >= c.remaining:
            return ahead[:found] if found >= 0 else ahead
        size *= 4


def _decoded(raw: bytes) -> str:
    return unquote_plus(raw.decode("utf-8", "surrogateescape"), errors="surrogateescape")


def explain(layer: Layer) -> list[Note]:
    pairs = [field for field in layer.fields if field.name == "urlencoded-form.pair"]
    if not pairs:
        return []
    count = "1 pair" if len(pairs) == 1 else f"{len(pairs):,} pairs"
    why = f"{count} of a name and a value in {layer.span.size:,} bytes, as a form of a web page sends them: & stands between"
    why += " pairs, + for a space, and % before the hexadecimal of what has a meaning of its own."
    return [Note(layer.span, "form data", why, "WHATWG URL, 5", Rank.DETAIL)]


PROTOCOL = Protocol(
    "urlencoded-form", "Form data", 6, FIELDS, dissect, keys={"media_type": ["application/x-www-form-urlencoded"]},
    explain=explain, reference="WHATWG URL, 5",
)  # fmt: skip
