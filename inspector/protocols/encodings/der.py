"""DER, the distinguished encoding of ASN.1 (ITU-T X.690, 8 and 10): a walk over tags, lengths and contents.

Not here: what the contents mean; indefinite lengths, which DER forbids (10.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from inspector.core.cursor import Cursor
from inspector.core.field import Field

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8, PRINTABLE, TELETEX, IA5, UTC_TIME, GENERALIZED_TIME, BMP = 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1E
SEQUENCE, SET = 0x30, 0x31
MAX_LENGTH_OCTETS = 4  # a length of more octets than these is beyond any capture
MAX_INTEGER = 1024  # octets of a number that is told as one: the exponent of a key of 8,192 bits
MAX_ARCS = 128  # of an object identifier; registered ones have about ten
MAX_ARC = 19  # octets: a UUID, of 128 bits, is the longest arc that anybody registers (ITU-T X.667)


class NotDer(ValueError):
    """The bytes are not what ASN.1 has here; it never leaves the reader that began the walk."""


class Element(NamedTuple):
    """One value: its identifier octet, where it starts, and where its contents begin and stop. Offsets: in the data."""

    tag: int
    start: int
    begin: int
    stop: int

    @property
    def constructed(self) -> bool:
        """Its contents are elements (8.1.2.5)."""
        return bool(self.tag & 0x20)

    @property
    def size(self) -> int:
        """Octets of the contents."""
        return self.stop - self.begin


def element(data: bytes, at: int, stop: int | None = None) -> Element | None:
    """The element at `at`; None where its tag or length cannot be read, or it does not fit before `stop`."""
    end = len(data) if stop is None else min(stop, len(data))
    found = _head(data, at, end)
    return found if found is not None and found.stop <= end else None


def _head(data: bytes, at: int, end: int) -> Element | None:
    if at < 0 or at + 2 > end or data[at] & 0x1F == 0x1F:  # tags of several octets occur in none of what is read here
        return None
    size, begin = data[at + 1], at + 2
    if size & 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= MAX_LENGTH_OCTETS or begin + octets > end:
            return None
        size = int.from_bytes(data[begin : begin + octets], "big")
        begin += octets
    return Element(data[at], at, begin, begin + size)


# --- with a cursor: fields at their own bytes


def tag(c: Cursor) -> int:
    """The identifier octet of the next element; -1 where there is none."""
    return c.peek(1)[0] if c.remaining else -1


def enter(c: Cursor, *expected: int) -> int:
    """Move behind the identifier and length of the next element; returns the size of its contents.

    Raises NotDer where it is not one of `expected`, or does not fit.
    """
    head = c.peek(2 + MAX_LENGTH_OCTETS)
    found = _head(head, 0, len(head))
    if found is None or (expected and found.tag not in expected) or found.stop > c.remaining:
        raise NotDer
    c.skip(found.begin)
    return found.size


@contextmanager
def node(c: Cursor, name: str | None, *expected: int, value: Any = None) -> Iterator[Field | None]:
    """The next element as a field over all of it, whose children are what the block reads of its contents."""
    if name is None:
        with c.within(enter(c, *expected)):
            yield None
        return
    with c.group(name, value) as field, c.within(enter(c, *expected)):
        yield field


def leave(c: Cursor) -> None:
    """Pass over the next element; the field around it holds its bytes."""
    c.skip(enter(c))


def contents(c: Cursor, name: str, *expected: int, text: str | None = None) -> bytes:
    """The contents of the next element as they are."""
    return c.octets(name, enter(c, *expected), text)


def bit_string(c: Cursor, name: str) -> bytes:
    """The bits of a BIT STRING; its first octet, which says how many of the last are unused (8.6.2), is the parent's."""
    size = enter(c, BIT_STRING)
    if not size:
        raise NotDer
    c.skip(1)
    return c.octets(name, size - 1)


def integer(c: Cursor, name: str) -> int:
    """INTEGER or ENUMERATED."""
    size = enter(c, INTEGER, ENUMERATED)
    if size > MAX_INTEGER:
        raise NotDer
    start = c.pos
    value = int.from_bytes(c.peek(size), "big", signed=True)
    c.skip(size)
    c.add(name, value, start, c.pos)
    return value


def boolean(c: Cursor, name: str) -> bool:
    size = enter(c, BOOLEAN)
    start = c.pos
    value = any(c.peek(size))
    c.skip(size)
    c.add(name, value, start, c.pos)
    return value


def oid(c: Cursor, name: str, names: dict[str, str]) -> str:
    """OBJECT IDENTIFIER, as dotted numbers (8.19), with its word."""
    size = enter(c, OID)
    start = c.pos
    value = dotted(c.peek(size))
    c.skip(size)
    word = names.get(value)
    c.add(name, value, start, c.pos, f"{word} ({value})" if word else None)
    return value


def dotted(data: bytes) -> str:
    """The arcs of an object identifier; those beyond the limits are `…`."""
    arcs: list[int] = []
    value = size = 0
    cut = False
    for octet in data:
        size += 1
        cut = size > MAX_ARC or len(arcs) >= MAX_ARCS
        if cut:
            break
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = size = 0
    if not arcs:
        return "…" if cut else ""
    first = min(arcs[0] // 40, 2)
    return ".".join([str(first), str(arcs[0] - 40 * first), *map(str, arcs[1:]), *(["…"] if cut else [])])


def decode(data: bytes, kind: int) -> str:
    """The text of a string of the given tag (8.23); what does not decode is kept as surrogates."""
    if kind == BMP and len(data) % 2 == 0:
        return data.decode("utf-16-be", "replace")
    return data.decode("latin-1") if kind == TELETEX else data.decode("utf-8", "surrogateescape")
