"""Layers as scapy declares them: each field of `fields_desc` takes its bytes from the front of what is left, so what it took
is its range.

scapy's own loop over the fields is not used: here each step is watched. Packets are only read, never built: building asks the
network for addresses. Where a layer reads itself in another way (ASN.1), its fields get the range of the layer, and say so.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Field, FieldSpec, Kind
from inspector.core.layer import Severity
from inspector.core.limits import MAX_BORROWED_DEPTH, MAX_BORROWED_FIELDS
from inspector.protocols.borrowed.lent import ROOT, Loan, Shelf, TooMany, portion, spec, unreadable

# What our registry reads better: scapy's class → how the payload is named there.
OURS = {
    "Ether": ("ethertype", 0x6558), "Dot3": ("ethertype", 0x6558), "IP": ("ethertype", 0x0800), "IPv6": ("ethertype", 0x86DD),
    "ARP": ("ethertype", 0x0806), "LLC": ("llc", "llc"), "PPP": ("ppp", "ppp"), "HDLC": ("ppp", "ppp"), "PPP_": ("ppp", "ppp"),
    "DNS": ("udp.port", (53, 53)), "TCP": ("ip.proto", 6), "UDP": ("ip.proto", 17), "ICMP": ("ip.proto", 1),
    "MPLS": ("ethertype", 0x8847), "Dot1Q": ("ethertype", 0x8100),
}  # fmt: skip
NOBODY = frozenset({"Raw", "Padding", "NoPayload"})


class _Stop(Exception):
    """A layer reads itself in a way that cannot be followed."""


def load(loan: Loan) -> Any:
    logging.getLogger("scapy").setLevel(logging.CRITICAL)  # its warnings would land between our lines
    return getattr(import_module(loan.module), loan.entry)


def read(c: Cursor, loan: Loan) -> None:
    """The layer and those that scapy finds behind it, each as a group; what is left goes back to our registry."""
    data = portion(c)
    walk = _Walk(c, loan, data)
    try:
        end, key = walk.chain(load(loan), data, 0, c.layer.fields, None, 0)
    except TooMany:
        end, key = walk.reached, (loan.protocol, "payload")
        unreadable(c, loan, f"more than {MAX_BORROWED_FIELDS:,} fields")
    except Exception as bug:  # whatever a library raises on hostile bytes
        end, key = walk.reached, (loan.protocol, "payload")
        unreadable(c, loan, "they end too early" if isinstance(bug, struct.error) else type(bug).__name__)
    if walk.deeper is not None:
        start, stop = (walk.shelf.start + at for at in walk.deeper)
        text = f"packets in the fields of packets are followed for {MAX_BORROWED_DEPTH} levels: what is deeper is not broken up"
        c.issue("limit", text, Severity.NOTE, c.span(start, stop))
    shown = [one for one in c.layer.fields[:3] if one.spec.kind is not Kind.NONE]
    heads = [one.label for one in c.layer.fields if one.spec.kind is Kind.NONE]
    words = [*(f"{one.label.lower()} {one.text}" for one in shown), *heads]
    c.layer.summary = f"{', '.join(words[:4]) or loan.title} (as scapy reads it)"
    c.skip(min(end, c.remaining))
    table, value = key
    c.payload(table, value)


class _Walk:
    """Goes over the layers of one payload. reached: up to where something was read."""

    def __init__(self, c: Cursor, loan: Loan, data: bytes) -> None:
        self.c = c
        self.loan = loan
        self.data = data
        self.shelf = Shelf(c, c.pos)
        self.reached = 0
        self.deeper: tuple[int, int] | None = None  # the first bytes that nest deeper than is followed

    def chain(self, kind: Any, data: bytes, at: int, out: list[Field], around: Any, depth: int) -> tuple[int, tuple[str, Any]]:
        """Layers one behind the other, from `at` on, in `data`; gives where they end, and who reads on."""
        under, begin = None, at
        while True:
            if not isinstance(kind, type):  # a function that chooses the class by reading the packet
                kind = type(kind(data[begin:]))
            if "dispatch_hook" in kind.__dict__:
                kind = kind.dispatch_hook(data[begin:])
            if kind.__name__ in OURS and (depth or under is not None):
                return begin, OURS[kind.__name__]
            if kind.__name__ in NOBODY or begin >= len(data):
                return begin, (self.loan.protocol, "payload")
            packet = kind()
            if under is not None:
                packet.add_underlayer(under)
                under.payload = packet
            if around is not None:
                packet.add_parent(around)
            group = None
            if under is not None or depth:
                group = self.shelf.put(out, _heading(self.loan, kind), None, begin, begin)
            try:
                end, rest = self._layer(packet, kind, data, begin, out if group is None else group.children, depth)
            finally:
                if group is not None:
                    stops = [one.span.stop for one in group.children]
                    group.span = self.c.span(group.span.start, max(stops, default=group.span.start))
            if not rest or end + len(rest) > len(data):
                return end, (self.loan.protocol, "payload")
            data = data[: end + len(rest)]  # what is behind it is padding
            under, kind, begin = packet, packet.guess_payload_class(rest), end

    def _layer(self, packet: Any, kind: Any, data: bytes, at: int, out: list[Field], depth: int) -> tuple[int, bytes]:
        """One layer; gives where it ends, and the bytes of its payload."""
        from scapy.packet import Packet

        given = data[at:]
        if kind.do_dissect is not Packet.do_dissect or kind.dissect is not Packet.dissect or packet.pre_dissect(given) != given:
            return self._closed(packet, kind, given, at, out)
        left = self._fields(packet, data, at, out, depth)
        rest = packet.post_dissect(left)
        if not left.endswith(rest):
            raise _Stop
        payload, _ = packet.extract_padding(rest)
        return at + len(given) - len(rest), payload

    def _closed(self, packet: Any, kind: Any, given: bytes, at: int, out: list[Field]) -> tuple[int, bytes]:
        """A layer that reads itself: its values are known, the bytes of each are not."""
        rest = packet.do_dissect(packet.pre_dissect(given))
        size = len(given) - len(rest) if given.endswith(rest) else len(given)
        for name, value in packet.fields.items():
            self._whole(kind, name, value, at, at + size, out, 0)
        self._advance(at + size)
        return at + size, packet.extract_padding(rest)[0]

    def _whole(self, kind: Any, name: str, value: Any, start: int, stop: int, out: list[Field], depth: int) -> None:
        made = spec(self.loan.name(kind.__name__, name), name, Kind.STRING)
        values = value if isinstance(value, list) else [value]
        for one in values:
            inner = getattr(one, "fields", None)
            text = "" if inner is not None else _plain(one)
            group = self.shelf.put(out, made, text, start, stop, f"{text} (somewhere in these bytes)", exact=False)
            if inner is not None and self._follows(depth, start, stop):
                for label, below in inner.items():
                    self._whole(type(one), label, below, start, stop, group.children, depth + 1)

    def _fields(self, packet: Any, data: bytes, at: int, out: list[Field], depth: int) -> bytes:
        """scapy's loop over `fields_desc`, watched; gives what is left."""
        left: Any = data[at:]
        for field in packet.fields_desc:
            before, first = left if isinstance(left, tuple) else (left, 0)
            left, value = field.getfield(packet, left)
            after, last = left if isinstance(left, tuple) else (left, 0)
            if not before.endswith(after):
                raise _Stop
            if field.isconditional and value is None:
                continue
            packet.fields[field.name] = value
            start = len(data) - len(before)
            bits = (len(before) - len(after)) * 8 + last - first
            stop = start + (first + bits + 7) // 8
            partial = (first, bits) if first or last else None
            self._field(packet, field, value, data, start, stop, partial, out, depth)
            self._advance(len(data) - len(after))
            if not after and (field.ismayend or (field.isconditional and field.fld.ismayend)):
                break
        return left[0] if isinstance(left, tuple) else bytes(left)

    def _field(
        self, packet: Any, field: Any, value: Any, data: bytes, start: int, stop: int, bits: tuple[int, int] | None,
        out: list[Field], depth: int,
    ) -> None:  # fmt: skip
        kind = type(packet)
        carried = self.loan.carries.get(f"{kind.__name__}.{field.name}")
        if carried is not None and stop > start:
            size = min(_size(value), stop - start)
            span = self.c.span(self.shelf.start + start, self.shelf.start + start + size)
            self.c.hand_on(span, carried[0], packet.fields.get(carried[1]))
            start += size
            if start == stop:
                return
        if start == stop and bits is None:
            return  # a field of no bytes
        made, raw = _spec(self.loan, kind, field), data[start:stop]
        words = None if made.kind in _SIZES else _words(field, value)
        if made.kind in _SIZES and len(raw) != _SIZES[made.kind]:
            made = spec(self.loan.name("data"), "data", Kind.BYTES)
        shown: Any = None if made.kind is Kind.NONE else raw
        if made.kind is Kind.UINT:
            first, width = bits or (0, len(raw) * 8)
            whole = int.from_bytes(raw, "big") >> len(raw) * 8 - first - width & ((1 << width) - 1)
            shown = value if isinstance(value, int) else whole
        group = self.shelf.put(out, made, shown, start, stop, words, bits)
        if field.holds_packets:
            items = value if isinstance(value, list) else [value]
            self._items(packet, items, data, start, stop, group.children, depth)

    def _items(self, packet: Any, items: list[Any], data: bytes, start: int, stop: int, out: list[Field], depth: int) -> None:
        """Packets inside a field. Each was given all that was left, so what was left says where it began."""
        if all(type(one).__name__ in NOBODY for one in items) or not all(hasattr(one, "original") for one in items):
            return
        if not self._follows(depth, start, stop):
            return
        total = len(items[0].original)
        begins = [start + total - len(one.original) for one in items]
        if begins != sorted(begins) or begins[-1] >= stop:
            return  # cut in a way that cannot be told: the list has its range, its items have none
        for one, begin, end in zip(items, begins, [*begins[1:], stop], strict=True):
            kind = type(one)
            if kind.__name__ in NOBODY or end <= begin:
                continue
            ended, _ = self.chain(kind, data[:end], begin, out, packet, depth + 1)
            if ended < end:
                made = spec(self.loan.name("data"), "data", Kind.BYTES)
                self.shelf.put(out, made, data[ended:end], ended, end)

    def _follows(self, depth: int, start: int, stop: int) -> bool:
        """Packets at this depth are still looked into."""
        if depth >= MAX_BORROWED_DEPTH and self.deeper is None:
            self.deeper = start, stop
        return depth < MAX_BORROWED_DEPTH

    def _advance(self, reached: int) -> None:
        self.reached = max(self.reached, min(reached, len(self.data)))


_SIZES = {Kind.IPV4: 4, Kind.IPV6: 16, Kind.ETHER: 6}
_KINDS = (("IP6Field", Kind.IPV6), ("IPField", Kind.IPV4), ("MACField", Kind.ETHER), ("BitField", Kind.UINT))


def _spec(loan: Loan, kind: Any, field: Any) -> FieldSpec:
    return loan.known.get(f"{kind.__name__}.{field.name}") or _declared(loan.protocol, kind, field)


@lru_cache(4096)
def _declared(protocol: str, kind: Any, field: Any) -> FieldSpec:
    inner = field
    while hasattr(inner, "fld"):  # conditional, padded and the like: around the field itself
        inner = inner.fld
    above = {one.__name__ for one in type(inner).__mro__}
    found = next((kind for name, kind in _KINDS if name in above), None)
    if field.holds_packets:
        found = Kind.NONE
    elif found is None:
        form = "" if above & {"StrField", "FieldListField", "MultipleTypeField"} else getattr(inner, "fmt", "")
        number = form[-1:] in ("B", "H", "I", "L", "Q") and len(form) <= 2
        found = Kind.UINT if number else Kind.BYTES
    width = int(abs(getattr(inner, "size", 0))) if "BitField" in above else inner.sz * 8 if found is Kind.UINT else 0
    words = getattr(inner, "i2s", None)
    values = words if isinstance(words, dict) and all(isinstance(key, int) for key in words) else None
    name = ".".join((ROOT, "scapy", protocol, kind.__name__.lower(), field.name.lower().strip("_")))
    return spec(name, field.name, found, int(width), {k: str(v) for k, v in values.items()} if values else None)


def _words(field: Any, value: Any) -> str | None:
    """How scapy writes a value that has a word; None where the number or the bytes themselves say it."""
    if field.holds_packets or isinstance(value, int):
        return None
    if isinstance(value, bytes):
        return value.decode("ascii") if value and value.isascii() and value.decode("ascii").isprintable() else None
    return _plain(value) or None


def _size(value: Any) -> int:
    """How many bytes the value of a field is, without padding: bytes, or a packet that holds them."""
    return len(value if isinstance(value, bytes) else getattr(value, "original", b"") or getattr(value, "load", b""))


def _plain(value: Any) -> str:
    inner = getattr(value, "val", value)
    if isinstance(inner, bytes):
        return inner.decode("utf-8", "backslashreplace")
    return str(inner)[:200]


def _heading(loan: Loan, kind: Any) -> FieldSpec:
    return FieldSpec(loan.name(kind.__name__), Kind.NONE, kind.name if isinstance(kind.name, str) else kind.__name__)


def _classes(loan: Loan) -> Iterator[Any]:
    from scapy.packet import Packet

    load(loan)
    for one in vars(import_module(loan.module)).values():
        if isinstance(one, type) and issubclass(one, Packet):
            yield one


def find(loan: Loan, path: tuple[str, ...]) -> FieldSpec | None:
    """The declaration of a name below `borrowed.scapy.PROTOCOL`; None where scapy has no such field."""
    wanted = loan.name(*path)
    for kind in _classes(loan):
        if loan.name(kind.__name__) == wanted:
            return _heading(loan, kind)
        for field in kind.fields_desc:
            made = _spec(loan, kind, field) if hasattr(field, "holds_packets") else spec(
                loan.name(kind.__name__, field.name), field.name, Kind.STRING)  # fmt: skip
            if made.name == wanted:
                return made
    return None
