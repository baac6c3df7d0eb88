"""JSON (RFC 8259), walked with offsets so that every member has its bytes.

Not here: what the members mean.
"""

from __future__ import annotations

import re

from inspector.core.cursor import Cursor
from inspector.core.field import Field, catalog, octets, string
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.limits import MAX_NESTING, MAX_VALUES
from inspector.core.protocol import Card, Protocol

FIELDS = catalog(
    string("json.object", "object"),
    string("json.array", "array"),
    string("json.value", "value"),
    octets("json.rest", "not JSON"),
)
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_SCALAR = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


class _Broken(Exception):
    """No JSON at this offset, or none that is read."""

    def __init__(self, at: int, limit: str = "") -> None:
        super().__init__(at)
        self.at = at
        self.limit = limit


def looks_like(text: str) -> bool:
    """Text that is an object or an array by its first and last character."""
    text = text.strip(" \t\r\n")
    return len(text) > 1 and text[0] + text[-1] in ("{}", "[]")


def dissect(c: Cursor) -> None:
    data = c.peek(c.remaining)
    walker = _Walker(c, data)
    try:
        at = walker.value(_skip(data, 0), 0, c.layer.fields, "")
        at = _skip(data, at)
        if at < len(data):
            raise _Broken(at)
        c.pos = c.stop
    except _Broken as broken:
        at = min(broken.at, len(data))
        if broken.limit:
            c.issue("limit", broken.limit, Severity.NOTE, c.span(c.start + at, c.stop))
        else:
            c.issue("json", f"no JSON from byte {at:,} on", Severity.WARNING, c.span(c.start + at, c.stop))
    text = data[:100].decode("utf-8", "replace")
    c.layer.summary = text if len(data) <= 100 else text + "…"


def _skip(data: bytes, at: int) -> int:
    found = _SPACE.match(data, at)
    return found.end() if found else at


class _Walker:
    def __init__(self, c: Cursor, data: bytes) -> None:
        self._c = c
        self._data = data
        self._left = MAX_VALUES

    def _field(self, name: str, value: object, start: int, out: list[Field], text: str) -> Field:
        if self._left <= 0:
            raise _Broken(start, f"a document is shown to {MAX_VALUES:,} values")
        self._left -= 1
        field = Field(self._c.spec(name), value, self._c.span(self._c.start + start, self._c.start + start), text)
        out.append(field)
        return field

    def value(self, at: int, depth: int, out: list[Field], label: str) -> int:
        """Read the value at `at`; returns where it ends."""
        data = self._data
        opening = data[at : at + 1]
        if depth > MAX_NESTING:
            raise _Broken(at, f"a document is read to {MAX_NESTING} levels inside one another")
        if opening in (b"{", b"["):
            return self._container(at, depth, out, label)
        found = (_STRING if opening == b'"' else _SCALAR).match(data, at)
        if found is None:
            raise _Broken(at)
        text = found.group().decode("utf-8", "surrogateescape")
        field = self._field("json.value", text, at, out, f"{label}: {text}" if label else text)
        field.span = self._c.span(self._c.start + at, self._c.start + found.end())
        return found.end()

    def _container(self, at: int, depth: int, out: list[Field], label: str) -> int:
        kind = "json.object" if self._data[at : at + 1] == b"{" else "json.array"
        field = self._field(kind, "", at, out, label)
        try:
            stop, count = self._members(at, depth, field.children)
        except _Broken as broken:  # what was read until then is in it all the same
            field.span = self._c.span(self._c.start + at, self._c.start + min(broken.at, len(self._data)))
            raise
        field.span = self._c.span(self._c.start + at, self._c.start + stop)
        words = f"{count} member{'s' if count != 1 else ''}"
        field.text = f"{label}: {words}" if label else words
        return stop

    def _members(self, at: int, depth: int, children: list[Field]) -> tuple[int, int]:
        """What stands between the brackets; returns where the closing one ends, and how many members there are."""
        data = self._data
        is_object = data[at : at + 1] == b"{"
        closing = b"}" if is_object else b"]"
        count = 0
        at = _skip(data, at + 1)
        if data[at : at + 1] == closing:
            at += 1
        else:
            while True:
                name = str(count)
                if is_object:
                    key = _STRING.match(data, at)
                    if key is None:
                        raise _Broken(at)
                    name = key.group()[1:-1].decode("utf-8", "surrogateescape")
                    at = _skip(data, key.end())
                    if data[at : at + 1] != b":":
                        raise _Broken(at)
                    at = _skip(data, at + 1)
                at = _skip(data, self.value(at, depth + 1, children, name))
                count += 1
                mark = data[at : at + 1]
                at += 1
                if mark == closing:
                    break
                if mark != b",":
                    raise _Broken(at - 1)
                at = _skip(data, at)
        return at, count


def explain(layer: Layer) -> list[Note]:
    if not layer.fields or layer.fields[0].name == "json.rest":
        return []
    size = layer.span.size
    root = layer.fields[0]
    first = bytes(root.span.buffer.read(root.span.start, root.span.start + 1))
    count = len(root.children)
    members, elements = f"member{'s' if count != 1 else ''}", f"element{'s' if count != 1 else ''}"
    what = {b"{": f"An object of {count:,} {members}", b"[": f"An array of {count:,} {elements}"}.get(first, "One value")
    why = f"{what}, {size:,} bytes of text in UTF-8. "
    if first.isdigit() or first == b"-":
        why += "A number does not say where it ends: what carries it must."
    else:
        why += "It says where it ends by itself, so it can be read once all of it has come."
    return [Note(layer.span, "JSON", why, "RFC 8259, 2 and 8.1", Rank.DETAIL)]


CARD = Card(
    "text in UTF-8: objects, arrays, strings, numbers, true, false, null",
    "a value as a whole",
    "none; members have names",
    "none of its own",
    "none",
    "carried by others; proxies may read it where it is not encrypted",
    "none of its own",
    "a value that is cut, or not well formed, is refused as a whole",
)
PROTOCOL = Protocol(
    "json", "JSON", 6, FIELDS, dissect, keys={"media_type": ["json"]}, explain=explain, reference="RFC 8259",
    card=CARD,
)
