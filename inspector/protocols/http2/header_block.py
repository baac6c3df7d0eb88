"""HPACK (RFC 7541): the representations of a header block, and the table that they refer to.

The `hpack` library holds the table and undoes the Huffman code. The representations are walked here, so that each has its
bytes, and so that an index which this capture cannot resolve loses one header and not the block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from inspector.core.limits import MAX_HEADER_TABLE
from inspector.core.span import Span

if TYPE_CHECKING:
    from hpack.table import HeaderTable

STATIC = 61  # entries of the static table (Appendix A); dynamic ones follow
MAX_SHORT = 128  # octets of a code whose text is kept for the next time
MAX_INTEGER_OCTETS = 6  # 5.1 sets no limit; a prefix and five octets hold every 32-bit number


class Unknown(bytes):
    """A name or a value that stands in a part of the connection which this capture does not have."""


UNKNOWN = Unknown()
Entry = tuple[bytes, bytes]


class Kind(IntEnum):
    """The representations: RFC 7541, 6.1, 6.2.1, 6.3, 6.2.3, 6.2.2."""

    INDEXED, INCREMENTAL, SIZE_UPDATE, NEVER, WITHOUT = range(5)


PREFIXES = {Kind.INDEXED: 7, Kind.INCREMENTAL: 6, Kind.SIZE_UPDATE: 5, Kind.NEVER: 4, Kind.WITHOUT: 4}  # bits of the integer
WORDS = {
    Kind.INDEXED: "Indexed Header Field",
    Kind.INCREMENTAL: "Literal Header Field with Incremental Indexing",
    Kind.SIZE_UPDATE: "Maximum Dynamic Table Size Change",
    Kind.NEVER: "Literal Header Field Never Indexed",
    Kind.WITHOUT: "Literal Header Field without Indexing",
}


class Literal(NamedTuple):
    """A string literal (5.2). start: its length's first octet; begin, stop: its coded octets; text: None where the Huffman
    code is wrong."""

    start: int
    begin: int
    stop: int
    huffman: bool
    text: bytes | None


class Representation(NamedTuple):
    """One representation; offsets lie in the bytes that were walked.

    number: the index, 0 where the name is a literal; the new size for a size update. number_stop: where that integer ends.
    found: the table's entry, None where this capture does not have it. name, value: UNKNOWN where they cannot be told.
    """

    kind: Kind
    start: int
    stop: int
    number: int
    number_stop: int
    found: Entry | None
    name: bytes
    value: bytes
    name_literal: Literal | None = None
    value_literal: Literal | None = None


class Malformed(Exception):
    """No representation can be read at this offset: a COMPRESSION_ERROR (RFC 9113, 4.3)."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at


class _Incomplete(Exception):
    """The bytes end inside a representation."""


def kind_of(octet: int) -> Kind:
    """What the first bits of a representation say (section 6)."""
    if octet & 0x80:
        return Kind.INDEXED
    if octet & 0x40:
        return Kind.INCREMENTAL
    if octet & 0x20:
        return Kind.SIZE_UPDATE
    return Kind.NEVER if octet & 0x10 else Kind.WITHOUT


def integer(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """An integer with a prefix of `bits` bits (5.1) and where it ends."""
    most = (1 << bits) - 1
    value = data[at] & most
    start, at = at, at + 1
    if value < most:
        return value, at
    shift = 0
    while True:
        if at >= len(data):
            raise _Incomplete
        octet = data[at]
        at += 1
        value += (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80:
            return value, at
        if at - start >= MAX_INTEGER_OCTETS:
            raise Malformed(start, "an integer longer than 32 bits (RFC 7541, 5.1)")


@lru_cache(maxsize=4096)
def _short(data: bytes) -> bytes | None:
    return _decode(data)


def _huffman(data: bytes) -> bytes | None:
    """The text of a Huffman code (5.2); None where it is none. Short ones come again and again."""
    return _short(data) if len(data) <= MAX_SHORT else _decode(data)


def _decode(data: bytes) -> bytes | None:
    from hpack.exceptions import HPACKError
    from hpack.huffman_table import decode_huffman

    try:
        return decode_huffman(data)
    except HPACKError:
        return None


def _literal(data: bytes, at: int) -> Literal:
    if at >= len(data):
        raise _Incomplete
    huffman = bool(data[at] & 0x80)
    size, begin = integer(data, at, 7)
    stop = begin + size
    if stop > len(data):
        raise _Incomplete
    raw = data[begin:stop]
    return Literal(at, begin, stop, huffman, _huffman(raw) if huffman else raw)


def walk(data: bytes, lookup: Callable[[int], Entry | None]) -> Iterator[Representation]:
    """The whole representations in `data`, one after the other; a last one that is not whole is left.

    lookup: the table's entry at an index. The caller changes its table, as the representation says, before it asks for the
    next one. Raises Malformed.
    """
    at = 0
    try:
        while at < len(data):
            item = _one(data, at, lookup)
            yield item
            at = item.stop
    except _Incomplete:
        return


def _one(data: bytes, start: int, lookup: Callable[[int], Entry | None]) -> Representation:
    kind = kind_of(data[start])
    index, at = integer(data, start, PREFIXES[kind])
    if kind is Kind.SIZE_UPDATE:
        return Representation(kind, start, at, index, at, None, b"", b"")
    if kind is Kind.INDEXED:
        if index == 0:
            raise Malformed(start, "index 0 is not used (RFC 7541, 6.1)")
        found = lookup(index)
        name, value = found or (UNKNOWN, UNKNOWN)
        return Representation(kind, start, at, index, at, found, name, value)
    number_stop, name_literal, found = at, None, None
    if index == 0:
        name_literal = _literal(data, at)
        at = name_literal.stop
    value_literal = _literal(data, at)
    if name_literal is not None:
        name = UNKNOWN if name_literal.text is None else name_literal.text
    else:
        found = lookup(index)
        name = found[0] if found else UNKNOWN
    value = UNKNOWN if value_literal.text is None else value_literal.text
    return Representation(kind, start, value_literal.stop, index, number_stop, found, name, value, name_literal, value_literal)


def static(index: int) -> Entry | None:
    """An entry of the static table (Appendix A)."""
    from hpack.table import HeaderTable

    return HeaderTable.STATIC_TABLE[index - 1] if 0 < index <= STATIC else None


class State(NamedTuple):
    """The dynamic table after a block. complete: nothing of it lies outside this capture."""

    entries: int
    size: int
    limit: int
    evicted: int
    complete: bool


class Table:
    """The dynamic table of one direction (RFC 7541, 2.3.2), as far as this capture tells it.

    Of a connection whose beginning is missing the newest entries are known, by their distance from the top, and the older
    ones are not: `find` then gives None, never a wrong entry. `answers` is what it said of dynamic indices since it was last
    emptied: what `walk` needs to say the same again later.
    """

    def __init__(self) -> None:
        from hpack.table import HeaderTable

        self._table: HeaderTable = HeaderTable()
        self.complete = True
        self.answers: list[Entry | None] = []
        self._evicted = 0
        self._size = 0
        self._sizes: deque[int] = deque()  # of the entries, the newest first

    @property
    def limit(self) -> int:
        """The most octets that the table may hold; its encoder sets it (4.2)."""
        return int(self._table.maxsize)

    def forget(self) -> None:
        """Bytes of this direction are missing: what the table holds is not known any more."""
        from hpack.table import HeaderTable

        self._table = HeaderTable()
        self._table.maxsize = MAX_HEADER_TABLE  # its real size is not known; an entry that is kept too long is never asked for
        self.complete = False
        self._size = 0
        self._sizes.clear()

    def find(self, index: int) -> Entry | None:
        """The entry at an index of both tables; None where this capture does not have it."""
        if index <= STATIC:
            return static(index)
        at = index - STATIC - 1
        entries = self._table.dynamic_entries
        found: Entry | None = entries[at] if at < len(entries) else None
        self.answers.append(found)
        return found

    def resize(self, size: int) -> None:
        """A dynamic table size update (6.3)."""
        if size == 0 or size > MAX_HEADER_TABLE:  # an empty table is known; a longer one than is kept here is not
            self.complete = size == 0
        self._table.maxsize = min(size, MAX_HEADER_TABLE)
        self._evict()

    def add(self, name: bytes, value: bytes) -> None:
        """Insert an entry at the top, and evict from the bottom what no longer fits (4.4)."""
        self._table.add(name, value)
        size = 32 + len(name) + len(value)  # 4.1
        self._sizes.appendleft(size)
        self._size += size
        self._evict()

    def _evict(self) -> None:
        """Count off what the table has dropped."""
        while len(self._sizes) > len(self._table.dynamic_entries):
            self._size -= self._sizes.pop()
            self._evicted += 1

    def state(self) -> State:
        """What is shown of the table."""
        return State(len(self._table.dynamic_entries), self._size, self.limit, self._evicted, self.complete)


class Fragment(NamedTuple):
    """What a frame's dissection needs to read its piece of a header block again.

    carry: the bytes of earlier frames that its first representation began in; answers: what the table said of its dynamic
    indices, in order; table: its state behind this piece; error: where nothing more can be read, and why.
    """

    carry: tuple[Span, ...]
    answers: tuple[Entry | None, ...]
    table: State
    error: tuple[int, str] | None = None
