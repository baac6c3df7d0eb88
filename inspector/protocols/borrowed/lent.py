"""What both libraries share: how a borrowed field is named and kept, and what happens where a library fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Field, FieldSpec, Kind
from inspector.core.layer import Severity
from inspector.core.limits import MAX_BORROWED_BYTES, MAX_BORROWED_FIELDS

ROOT = "borrowed"


@dataclass(frozen=True)
class Loan:
    """Which class of a library reads a protocol.

    protocol: Wireshark's short name; library: dpkt or scapy; module, entry: where the class is; known: library's field →
    our declaration, where Wireshark has the same field.
    """

    protocol: str
    title: str
    osi: int
    library: str
    module: str
    entry: str
    keys: Mapping[str, tuple[Any, ...]]
    known: Mapping[str, FieldSpec] = field(default_factory=dict)
    items: str = ""  # dpkt: what is repeated behind the header
    stop: Callable[[bytes], int] | None = None  # dpkt: how long an item is
    carries: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # scapy: payload → (table, its key's field)

    def name(self, *path: str) -> str:
        """The name of a field that Wireshark does not name so."""
        return ".".join((ROOT, self.library, self.protocol, *(part.lower().strip("_") for part in path)))


class TooMany(Exception):
    """A library finds more fields than anybody can look at."""


class Shelf:
    """Collects the fields of one borrowed layer, up to `MAX_BORROWED_FIELDS`."""

    def __init__(self, c: Cursor, start: int) -> None:
        self.c = c
        self.start = start
        self._count = 0

    def put(
        self,
        out: list[Field],
        spec: FieldSpec,
        value: Any,
        start: int,
        stop: int,
        text: str | None = None,
        bits: tuple[int, int] | None = None,
        exact: bool = True,
    ) -> Field:
        """A field of bytes `start` to `stop`, counted from the first of the layer's."""
        self._count += 1
        if self._count > MAX_BORROWED_FIELDS:
            raise TooMany
        span = self.c.span(self.start + start, self.start + stop)
        made = Field(spec, value, span if exact else span._replace(exact=False), text, bits)
        out.append(made)
        return made


def unreadable(c: Cursor, loan: Loan, what: str) -> None:
    """The library gave up. What it had read stays; the rest is shown as data."""
    text = f"the borrowed dissector ({loan.library}) could not read these bytes: {what}"
    c.issue("borrowed", text, Severity.WARNING, c.span(c.pos, c.stop))


def portion(c: Cursor) -> bytes:
    """The bytes that a library is given."""
    if c.remaining > MAX_BORROWED_BYTES:
        text = f"a borrowed dissector is given {MAX_BORROWED_BYTES:,} bytes and no more; the rest is shown as data"
        c.issue("limit", text, Severity.NOTE, c.span(c.pos + MAX_BORROWED_BYTES, c.stop))
    return c.peek(MAX_BORROWED_BYTES)


def spec(name: str, label: str, kind: Kind, width: int = 0, values: Mapping[int, str] | None = None) -> FieldSpec:
    """The declaration of a field that only the library knows."""
    return FieldSpec(name, kind, label.strip("_").replace("_", " ").capitalize(), width, values=values)
