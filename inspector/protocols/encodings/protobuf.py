"""Protocol Buffers, the wire format (protobuf.dev, "Encoding"): records of a tag and a value, with a schema or without.

Without a schema a varint may be signed or not, and bytes may be a string, a message or packed numbers: what they could be is
said, and nothing is chosen.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from inspector.core.cursor import Cursor
from inspector.core.field import Field, catalog, flag, heading, number, octets, sint, string, u32, u64, uint
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.limits import MAX_NESTING, MAX_VALUES
from inspector.core.protocol import Card, Protocol

MAX_GUESSES = 8  # messages inside one another that are guessed at
MAX_NUMBER = (1 << 29) - 1  # the highest field number


class Wire(IntEnum):
    VARINT, I64, LEN, SGROUP, EGROUP, I32 = range(6)


WIRES = {0: "varint", 1: "64 bits", 2: "length-delimited", 3: "group start", 4: "group end", 5: "32 bits"}

FIELDS = catalog(
    string("protobuf.message.name", "Message"),
    heading("protobuf.field", "Field"),
    u64("protobuf.field.number", "Field number"),
    uint("protobuf.field.wiretype", "Wire type", 3, values=WIRES),
    string("protobuf.field.name", "Name"),
    string("protobuf.field.type", "Type"),
    u64("protobuf.field.value.length", "Length"),
    octets("protobuf.field.value", "Value"),
    u64("protobuf.field.value.uint64", "Unsigned"),
    u32("protobuf.field.value.uint32", "Unsigned"),
    sint("protobuf.field.value.int64", "Signed", 64),
    sint("protobuf.field.value.int32", "Signed", 32),
    flag("protobuf.field.value.bool", "Bool"),
    string("protobuf.field.value.string", "String"),
    string("protobuf.field.value.enum", "Enum"),
    number("protobuf.field.value.float", "Float"),
    number("protobuf.field.value.double", "Double"),
    string("protobuf.guess", "Could be"),
    string("protobuf.guess.field", "Field"),
    octets("protobuf.rest", "No protobuf"),
)


# --- what a schema says (made by `schema.Schema`)


class FieldType(NamedTuple):
    """A field of a message. type: as .proto files write it (`int32`, `string`, `message`, `enum`, …); values: an enum's."""

    name: str
    type: str
    repeated: bool = False
    message: MessageType | None = None
    values: Mapping[int, str] | None = None


@dataclass
class MessageType:
    """A message: its full name, and its fields by number."""

    name: str
    fields: dict[int, FieldType] = field(default_factory=dict)


# --- records


class Record(NamedTuple):
    """A tag and its value; offsets lie in the bytes that were walked. value: of a varint or a fixed number."""

    number: int
    wire: int
    start: int
    tag_stop: int
    begin: int
    stop: int
    value: int


class Malformed(Exception):
    """No record can be read at this offset."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at


def varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, at most ten octets; and where it ends."""
    value = shift = 0
    start = at
    while at < stop and shift < 70:
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise Malformed(start, "a varint of more than ten octets" if shift >= 70 else "the message ends inside a varint")


def record(data: bytes, start: int, stop: int) -> Record:
    """The record at `start`. Raises Malformed."""
    tag, at = varint(data, start, stop)
    key, wire = tag >> 3, tag & 7
    if not 1 <= key <= MAX_NUMBER:
        raise Malformed(start, f"field number {key}: the numbers go from 1 to {MAX_NUMBER:,}")
    tag_stop = begin = at
    value = 0
    if wire == Wire.VARINT:
        value, at = varint(data, at, stop)
    elif wire in (Wire.I64, Wire.I32):
        at += 8 if wire == Wire.I64 else 4
        value = int.from_bytes(data[begin:at], "little")
    elif wire == Wire.LEN:
        value, begin = varint(data, at, stop)
        at = begin + value
    elif wire not in (Wire.SGROUP, Wire.EGROUP):
        raise Malformed(start, f"wire type {wire} does not exist")
    if at > stop:
        raise Malformed(start, f"the message ends inside field {key}")
    return Record(key, wire, start, tag_stop, begin, at, value)


def records(data: bytes, start: int, stop: int) -> Iterator[Record]:
    """The records from `start` to `stop`, one after the other. Raises Malformed."""
    while start < stop:
        found = record(data, start, stop)
        yield found
        start = found.stop


# --- the layer


def dissect(c: Cursor) -> None:
    kind: MessageType | None = c.context.info.get("protobuf")
    size = c.remaining
    walker = _Walker(c)
    if kind is not None:
        c.generated("protobuf.message.name", kind.name, c.span(c.pos, c.stop))
    walker.message(0, size, kind, c.layer.fields, 0)
    c.pos = c.start + size
    name = f"{kind.name}: " if kind is not None else ""
    c.layer.summary = name + ", ".join(walker.told[:8]) if walker.told else f"{name}empty: every field has its default value"


class _Walker:
    def __init__(self, c: Cursor) -> None:
        self._c = c
        self._data = c.peek(c.remaining)
        self._base = c.pos
        self._left = MAX_VALUES
        self.told: list[str] = []

    def _add(self, out: list[Field], name: str, value: Any, start: int, stop: int, generated: bool = False) -> Field:
        span = self._c.span(self._base + start, self._base + stop)
        made = Field(self._c.spec(name), value, span, None, None, generated)
        out.append(made)
        return made

    def message(self, start: int, stop: int, kind: MessageType | None, out: list[Field], depth: int, group: int = 0) -> int:
        """The records of a message as fields; returns where it ends. group: the number of the group that it is, which ends
        with its own mark."""
        at = start
        try:
            while at < stop:
                found = record(self._data, at, stop)
                if found.wire == Wire.EGROUP and found.number != group:
                    raise Malformed(at, "the end of a group that was not begun")
                self._left -= 1
                if self._left < 0 or depth > MAX_NESTING:
                    text = f"a message is shown to {MAX_VALUES:,} fields and {MAX_NESTING} levels"
                    self._c.issue("limit", text, Severity.NOTE, self._c.span(self._base + at, self._base + stop))
                    self._add(out, "protobuf.rest", self._data[at:stop], at, stop)
                    return stop
                at = self._record(found, stop, kind, out, depth)
                if found.wire == Wire.EGROUP:
                    return at
        except Malformed as wrong:
            self._c.issue("protobuf", str(wrong), Severity.WARNING, self._c.span(self._base + at, self._base + stop))
            self._add(out, "protobuf.rest", self._data[at:stop], at, stop)
            return stop
        return at

    def _record(self, found: Record, stop: int, kind: MessageType | None, out: list[Field], depth: int) -> int:
        known = kind.fields.get(found.number) if kind is not None else None
        group = self._add(out, "protobuf.field", None, found.start, found.stop)
        children = group.children
        bits = (0, 5) if found.tag_stop - found.start == 1 else None
        self._add(children, "protobuf.field.number", found.number, found.start, found.tag_stop).bits = bits
        self._add(children, "protobuf.field.wiretype", found.wire, found.start, found.start + 1).bits = (5, 3)
        label = str(found.number)
        if known is not None:
            label = known.name
            self._add(children, "protobuf.field.name", known.name, found.start, found.tag_stop, True)
            words = known.message.name if known.message is not None else known.type
            self._add(children, "protobuf.field.type", words, found.start, found.tag_stop, True)
        if found.wire == Wire.LEN:
            self._add(children, "protobuf.field.value.length", found.value, found.tag_stop, found.begin)
        end = found.stop
        if found.wire == Wire.SGROUP:
            end = self.message(found.stop, stop, known.message if known else None, children, depth + 1, found.number)
            group.span = self._c.span(self._base + found.start, self._base + end)
            text = "a group"
        elif found.wire == Wire.EGROUP:
            text = "end of the group"
        else:
            text = self._value(found, known, children, depth)
        group.text = f"{label}: {text}"
        if depth == 0:
            self.told.append(f"{label}: {text}")
        return end

    def _value(self, found: Record, known: FieldType | None, out: list[Field], depth: int) -> str:
        data = self._data[found.begin : found.stop]
        if known is not None and known.message is not None and found.wire == Wire.LEN:
            self.message(found.begin, found.stop, known.message, out, depth + 1)
            return f"{known.message.name}, {len(data):,} bytes"
        if data or found.wire != Wire.LEN:
            self._add(out, "protobuf.field.value", data, found.begin, found.stop)
        if known is not None:
            return self._typed(found, known, out)
        return self._untyped(found, data, out)

    def _typed(self, found: Record, known: FieldType, out: list[Field]) -> str:
        """The value as the schema reads it; packed numbers one by one."""
        if found.wire == Wire.LEN and known.type == "string":
            text = self._data[found.begin : found.stop].decode("utf-8", "surrogateescape")
            self._add(out, "protobuf.field.value.string", text, found.begin, found.stop)
            return f'"{text[:80]}"'
        if found.wire == Wire.LEN and known.type == "bytes":
            return f"{found.stop - found.begin:,} bytes"
        if found.wire == Wire.LEN:
            told = []
            try:
                for value, start, stop in packed(self._data, found.begin, found.stop, known.type):
                    self._left -= 1
                    if self._left < 0:
                        break
                    told.append(self._number(value, known, start, stop, out))
            except Malformed as wrong:
                self._c.issue("protobuf", f"{known.name}: {wrong}", Severity.WARNING)
            return ", ".join(told[:8]) + (f", … ({len(told):,} numbers)" if len(told) > 8 else "")
        if WIRE_OF.get(known.type, Wire.VARINT) != found.wire:
            text = f"{known.name} is {known.type} by the schema, and has wire type {WIRES[found.wire]}"
            self._c.issue("schema", text, Severity.WARNING, self._c.span(self._base + found.start, self._base + found.stop))
            return str(found.value)
        return self._number(found.value, known, found.begin, found.stop, out)

    def _number(self, raw: int, known: FieldType, start: int, stop: int, out: list[Field]) -> str:
        value = typed(raw, known.type)
        if known.type == "enum":
            word = (known.values or {}).get(value)
            self._add(out, "protobuf.field.value.enum", f"{word} ({value})" if word else str(value), start, stop)
            return word or str(value)
        self._add(out, VALUE_FIELDS[known.type], value, start, stop)
        return f"{value:g}" if isinstance(value, float) else str(value).lower() if known.type == "bool" else str(value)

    def _untyped(self, found: Record, data: bytes, out: list[Field]) -> str:
        if found.wire != Wire.LEN:
            small = found.wire == Wire.I32 or (found.wire == Wire.VARINT and found.value < 1 << 32)
            self._add(out, f"protobuf.field.value.uint{32 if small else 64}", found.value, found.begin, found.stop)
            for guess in number_guesses(found):
                self._add(out, "protobuf.guess", guess, found.begin, found.stop, True)
            return str(found.value)
        told = []
        text = as_text(data)
        if text is not None:
            told.append("a string")
            self._add(out, "protobuf.guess", f'a string: "{text}"', found.begin, found.stop, True)
        inside = as_message(self._data, found.begin, found.stop)
        if inside is not None:
            told.append("a message")
            group = self._add(out, "protobuf.guess", f"a message of {_count(inside)}", found.begin, found.stop, True)
            self._guess(inside, group.children, 1)
        if not told:
            numbers = as_numbers(data)
            if numbers is not None:
                told.append("packed numbers")
                words = ", ".join(map(str, numbers[:16])) + (", …" if len(numbers) > 16 else "")
                self._add(out, "protobuf.guess", f"packed numbers: {words}", found.begin, found.stop, True)
        shown = f'"{text[:60]}"' if text is not None else f"{len(data):,} bytes"
        return shown + (f" (could be {' or '.join(told)})" if told else "")

    def _guess(self, inside: list[Record], out: list[Field], depth: int) -> None:
        for found in inside:
            self._left -= 1
            if self._left < 0:
                return
            data = self._data[found.begin : found.stop]
            text = as_text(data) if found.wire == Wire.LEN else None
            nested = as_message(self._data, found.begin, found.stop) if found.wire == Wire.LEN and depth < MAX_GUESSES else None
            shown = str(found.value) if found.wire != Wire.LEN else f'"{text}"' if text is not None else f"{len(data):,} bytes"
            made = self._add(out, "protobuf.guess.field", f"{found.number}: {shown}", found.start, found.stop, True)
            if nested is not None:
                self._guess(nested, made.children, depth + 1)


def _count(inside: list[Record]) -> str:
    return f"{len(inside)} field{'s' if len(inside) != 1 else ''}"


# --- numbers by their type

WIRE_OF = {
    "fixed64": Wire.I64, "sfixed64": Wire.I64, "double": Wire.I64, "fixed32": Wire.I32, "sfixed32": Wire.I32,
    "float": Wire.I32, "string": Wire.LEN, "bytes": Wire.LEN, "message": Wire.LEN, "group": Wire.SGROUP,
}  # fmt: skip
VALUE_FIELDS = {
    "int32": "protobuf.field.value.int32", "sint32": "protobuf.field.value.int32", "sfixed32": "protobuf.field.value.int32",
    "int64": "protobuf.field.value.int64", "sint64": "protobuf.field.value.int64", "sfixed64": "protobuf.field.value.int64",
    "uint32": "protobuf.field.value.uint32", "fixed32": "protobuf.field.value.uint32",
    "uint64": "protobuf.field.value.uint64", "fixed64": "protobuf.field.value.uint64",
    "bool": "protobuf.field.value.bool", "float": "protobuf.field.value.float", "double": "protobuf.field.value.double",
}  # fmt: skip


def signed(raw: int, bits: int) -> int:
    """The lowest bits as two's complement."""
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def zigzag(raw: int) -> int:
    """sint32 and sint64: 0, -1, 1, -2, … are written as 0, 1, 2, 3, …"""
    return (raw >> 1) ^ -(raw & 1)


def typed(raw: int, kind: str) -> Any:
    """The value that a number stands for, by its type in the schema."""
    if kind in ("sint32", "sint64"):
        return zigzag(raw)
    if kind in ("int32", "enum", "sfixed32"):
        return signed(raw, 32)
    if kind in ("int64", "sfixed64"):
        return signed(raw, 64)
    if kind == "bool":
        return bool(raw)
    if kind == "float":
        return struct.unpack("<f", (raw & 0xFFFFFFFF).to_bytes(4, "little"))[0]
    if kind == "double":
        return struct.unpack("<d", raw.to_bytes(8, "little"))[0]
    return raw & 0xFFFFFFFF if kind in ("uint32", "fixed32") else raw


def packed(data: bytes, start: int, stop: int, kind: str) -> Iterator[tuple[int, int, int]]:
    """The numbers of a packed field, each with where it begins and ends. Raises Malformed."""
    wire = WIRE_OF.get(kind, Wire.VARINT)
    size = {Wire.I64: 8, Wire.I32: 4}.get(wire, 0)
    if wire not in (Wire.VARINT, Wire.I64, Wire.I32) or (size and (stop - start) % size):
        raise Malformed(start, f"{stop - start:,} bytes are no packed {kind}")
    while start < stop:
        if size:
            value, end = int.from_bytes(data[start : start + size], "little"), start + size
        else:
            value, end = varint(data, start, stop)
        yield value, start, end
        start = end


# --- what bytes could be


def as_text(data: bytes) -> str | None:
    """UTF-8 without control characters but line ends and tabs."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    plain = text.replace("\n", "").replace("\r", "").replace("\t", "")
    return text if text and (not plain or plain.isprintable()) else None


def as_message(data: bytes, start: int, stop: int) -> list[Record] | None:
    """The records, where all the bytes are records of a message without groups."""
    found: list[Record] = []
    try:
        for each in records(data, start, stop):
            if each.wire in (Wire.SGROUP, Wire.EGROUP) or len(found) >= MAX_VALUES:
                return None
            found.append(each)
    except Malformed:
        return None
    return found or None


def as_numbers(data: bytes) -> list[int] | None:
    """Varints, one after the other, at least two."""
    try:
        found = [value for value, _, _ in packed(data, 0, len(data), "uint64")]
    except Malformed:
        return None
    return found if len(found) > 1 else None


def number_guesses(found: Record) -> list[str]:
    """What else a number without a type can stand for."""
    if found.wire == Wire.VARINT:
        guesses = [f"a zigzag number (sint): {zigzag(found.value)}"]
        if found.value >> 63:
            guesses.append(f"a negative number (int): {signed(found.value, 64)}")
        return guesses
    double = found.wire == Wire.I64
    value = typed(found.value, "double" if double else "float")
    guesses = [f"a {'double' if double else 'float'}: {value:g}"]
    if found.value >> (63 if double else 31):
        guesses.append(f"a negative number: {signed(found.value, 64 if double else 32)}")
    return guesses


def explain(layer: Layer) -> list[Note]:
    first = layer.find("protobuf.field")
    if first is None:
        return []
    notes = []
    tag = layer.find("protobuf.field.number")
    if tag is not None:
        why = "The tag: the field's number and, in the lowest three bits, how its value is written. Names are not sent at all."
        notes.append(Note(tag.span, "number, not name", why, "protobuf.dev, Encoding: Message Structure", Rank.BACKGROUND))
    if layer.find("protobuf.guess") is not None:
        why = (
            "Without the schema it cannot be known what a value means. --proto FILE gives the fields their names and types;"
            " until then what is shown as `could be` is a possibility."
        )
        notes.append(Note(first.span, "no schema", why, "protobuf.dev, Encoding", Rank.DETAIL))
    return notes


CARD = Card(
    "binary records: field number, wire type, value; no names",
    "a message as a whole; what carries it must say how long it is",
    "none; a field has a number",
    "none of its own",
    "none: the schema on both sides, which may differ in what one of them does not know",
    "carried by others; a proxy needs the schema to understand it",
    "none of its own",
    "unknown fields are passed over; a wrong schema shows as wrong types",
)
PROTOCOL = Protocol(
    "protobuf", "Protobuf", 6, FIELDS, dissect,
    keys={"media_type": ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"],
          "grpc.codec": ["proto"]},
    explain=explain, card=CARD, reference="protobuf.dev, Encoding",
)  # fmt: skip
