"""Headers as dpkt declares them: `__hdr__` gives each field its struct format, so each has its exact bytes.

Only the declarations are used, not dpkt's code: what is behind the header is cut into the items that the table names, or
handed on.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from importlib import import_module
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Field, FieldSpec, Kind
from inspector.core.limits import MAX_BORROWED_FIELDS
from inspector.protocols.borrowed.lent import Loan, Shelf, TooMany, portion, spec, unreadable


def load(loan: Loan, path: str) -> Any:
    """The class at `path` of the table's module."""
    found: Any = import_module(loan.module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def read(c: Cursor, loan: Loan) -> None:
    """The header, then its items or what it carries."""
    data = portion(c)
    shelf = Shelf(c, c.pos)
    header = load(loan, loan.entry)
    try:
        size = _fields(shelf, loan, "", header, data, 0, c.layer.fields)
        c.skip(min(size, len(data)))
        c.need(max(size - len(data), 0))
        while loan.items and c.remaining >= (least := load(loan, loan.items).__hdr_len__):
            at = c.pos - shelf.start
            size = _item(c, loan, shelf, data, at)
            if size < least or at + size > len(data) + 3:  # the padding of a last item may be left out
                unreadable(c, loan, "an item is longer than what is left" if size >= least else "an item has no length")
                break
            c.skip(min(size, c.remaining))
    except TooMany:
        unreadable(c, loan, f"more than {MAX_BORROWED_FIELDS:,} fields")
    c.layer.summary = f"{_summary(c)} (as dpkt reads it)"
    c.payload(loan.protocol, "payload")


def _summary(c: Cursor) -> str:
    return ", ".join(f"{one.label.lower()} {one.text}" for one in c.layer.fields[:3]) or c.layer.title


def _fields(shelf: Shelf, loan: Loan, prefix: str, header: Any, data: bytes, at: int, out: list[Field]) -> int:
    """The fields of a header that begins at `at`; returns its size, which may be more than there is."""
    order = header.__hdr_fmt__[0] if header.__hdr_fmt__[0] in "<>=!@" else ">"
    for name, form, _ in header.__hdr__:
        size = struct.calcsize(order + form)
        if at + size > len(data):
            break
        (value,) = struct.unpack_from(order + form, data, at)
        cut = getattr(header, "__bit_fields__", {}).get(name)
        if cut:
            first = 0
            for part, width in cut:
                bits = value >> (size * 8 - first - width) & ((1 << width) - 1)
                shelf.put(out, _spec(loan, prefix, part, "", width), bits, at, at + size, bits=(first, width))
                first += width
        else:
            made = _spec(loan, prefix, name, form, size * 8)
            shelf.put(out, made, value if made.kind is Kind.UINT else data[at : at + size], at, at + size)
        at += size
    return int(header.__hdr_len__)


def _spec(loan: Loan, prefix: str, name: str, form: str, width: int) -> FieldSpec:
    path = f"{prefix}.{name}" if prefix else name
    return loan.known.get(path) or _made(loan.name(*path.split(".")), name, form[-1:] in ("s", "p"), width)


@lru_cache(1024)
def _made(name: str, label: str, octets: bool, width: int) -> FieldSpec:
    return spec(name, label, Kind.BYTES if octets else Kind.UINT, width)


def _item(c: Cursor, loan: Loan, shelf: Shelf, data: bytes, at: int) -> int:
    """One item; returns how far the next one is."""
    kind = load(loan, loan.items)
    assert loan.stop is not None
    size = loan.stop(data[at : at + kind.__hdr_len__])
    end = min(at + size, len(data))
    label = loan.items.rsplit(".", 1)[-1]
    group = shelf.put(c.layer.fields, _heading(loan.name(label), label), None, at, max(end, at))
    if size < kind.__hdr_len__:
        group.span = c.span(shelf.start + at, shelf.start + min(at + kind.__hdr_len__, len(data)))
        end = at + kind.__hdr_len__
    _fields(shelf, loan, label, kind, data[:end], at, group.children)
    group.text = ", ".join(one.text for one in group.children[:2])
    body = at + kind.__hdr_len__
    if body < end:
        shelf.put(group.children, spec(loan.name(label, "data"), "data", Kind.BYTES), data[body:end], body, end)
    return size


def _heading(name: str, label: str) -> FieldSpec:
    return spec(name, label, Kind.NONE)


def find(loan: Loan, path: tuple[str, ...]) -> FieldSpec | None:
    """The declaration of a name below `borrowed.dpkt.PROTOCOL`; None where dpkt has no such field."""
    for prefix, entry in (("", loan.entry), (loan.items.rsplit(".", 1)[-1], loan.items)):
        if not entry:
            continue
        header = load(loan, entry)
        cuts: dict[str, Any] = getattr(header, "__bit_fields__", {})
        for name, form, _ in header.__hdr__:
            parts = cuts.get(name) or ((name, struct.calcsize(f">{form}") * 8),)
            for part, width in parts:
                made = _spec(loan, prefix, part, form if name not in cuts else "", width)
                if made.name == loan.name(*path):
                    return made
    if loan.items and loan.name(*path) == loan.name(loan.items.rsplit(".", 1)[-1]):
        return _heading(loan.name(*path), path[-1])
    return spec(loan.name(*path), path[-1], Kind.BYTES) if path[-1] in ("data", "padding") else None
