"""What a field is: its declaration (`FieldSpec`) and its value in one packet (`Field`).

Names are Wireshark's display-filter names (`tcp.flags.syn`) wherever Wireshark has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum
from ipaddress import IPv6Address
from typing import Any, NamedTuple

from inspector.core.limits import MAX_TEXT
from inspector.core.span import Span
from inspector.core.text import printable


class Kind(Enum):
    """The type of a field's value."""

    UINT = "uint"
    INT = "int"
    BOOL = "bool"
    BYTES = "bytes"
    STRING = "string"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    ETHER = "ether"
    OID = "oid"
    FLOAT = "float"
    FRAME = "frame"  # the number of another packet
    DURATION = "duration"  # nanoseconds
    TIME = "time"  # nanoseconds since the epoch
    NONE = "none"  # a heading: what matters is that it is there


class Base(Enum):
    """How an integer is written."""

    DEC = 10
    HEX = 16


class FieldSpec(NamedTuple):
    """The declaration of a field: one object for every occurrence of it.

    width: bits of the value on the wire, 0 where it varies; values: the words for its numbers;
    scale: what a counted unit stands for (`ip.hdr_len` counts words of 4 bytes).
    """

    name: str
    kind: Kind
    label: str
    width: int = 0
    base: Base = Base.DEC
    values: Mapping[int, str] | None = None
    scale: int = 1
    unit: str = ""


Fields = Mapping[str, FieldSpec]


def words(enum: type[IntEnum]) -> dict[int, str]:
    """The members of an enum as words for a field's `values`."""
    return {int(member): member.name for member in enum}


def catalog(*specs: FieldSpec) -> dict[str, FieldSpec]:
    """A protocol's `FIELDS`: its declarations by name."""
    return {spec.name: spec for spec in specs}


def uint(
    name: str,
    label: str,
    bits: int,
    base: Base = Base.DEC,
    values: Mapping[int, str] | type[IntEnum] | None = None,
    scale: int = 1,
    unit: str = "",
) -> FieldSpec:
    """An unsigned number of `bits` bits."""
    if isinstance(values, type):
        values = words(values)
    return FieldSpec(name, Kind.UINT, label, bits, base, values, scale, unit)


def u8(name: str, label: str, base: Base = Base.DEC, values: Mapping[int, str] | type[IntEnum] | None = None) -> FieldSpec:
    return uint(name, label, 8, base, values)


def u16(name: str, label: str, base: Base = Base.DEC, values: Mapping[int, str] | type[IntEnum] | None = None) -> FieldSpec:
    return uint(name, label, 16, base, values)


def u24(name: str, label: str, base: Base = Base.DEC, values: Mapping[int, str] | type[IntEnum] | None = None) -> FieldSpec:
    return uint(name, label, 24, base, values)


def u32(name: str, label: str, base: Base = Base.DEC, values: Mapping[int, str] | type[IntEnum] | None = None) -> FieldSpec:
    return uint(name, label, 32, base, values)


def u64(name: str, label: str, base: Base = Base.DEC, values: Mapping[int, str] | type[IntEnum] | None = None) -> FieldSpec:
    return uint(name, label, 64, base, values)


def sint(name: str, label: str, bits: int, unit: str = "") -> FieldSpec:
    return FieldSpec(name, Kind.INT, label, bits, unit=unit)


def flag(name: str, label: str) -> FieldSpec:
    """One bit."""
    return FieldSpec(name, Kind.BOOL, label, 1)


def octets(name: str, label: str) -> FieldSpec:
    """Bytes with no meaning of their own."""
    return FieldSpec(name, Kind.BYTES, label)


def string(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.STRING, label)


def ipv4(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.IPV4, label, 32)


def ipv6(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.IPV6, label, 128)


def ether(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.ETHER, label, 48)


def oid(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.OID, label)


def number(name: str, label: str) -> FieldSpec:
    """A floating-point number."""
    return FieldSpec(name, Kind.FLOAT, label)


def frame(name: str, label: str) -> FieldSpec:
    """The number of another packet of this capture."""
    return FieldSpec(name, Kind.FRAME, label)


def duration(name: str, label: str) -> FieldSpec:
    """A length of time; values are nanoseconds."""
    return FieldSpec(name, Kind.DURATION, label)


def time(name: str, label: str) -> FieldSpec:
    """A point in time; values are nanoseconds since the epoch."""
    return FieldSpec(name, Kind.TIME, label)


def heading(name: str, label: str) -> FieldSpec:
    """A node with children, or a mark whose presence is the message; it has no value."""
    return FieldSpec(name, Kind.NONE, label)


class Field:
    """A value that was read from bytes.

    value: int, bool, bytes, str, float or None, as `spec.kind` says; addresses are the bytes of the address.
    span: where it was read. bits: (first bit from the left of the span, number of bits) where it does not fill its bytes.
    generated: the value was worked out, from these bytes or from the conversation, and does not stand in them.
    """

    __slots__ = ("_text", "bits", "children", "generated", "span", "spec", "value")

    def __init__(
        self,
        spec: FieldSpec,
        value: Any,
        span: Span,
        text: str | None = None,
        bits: tuple[int, int] | None = None,
        generated: bool = False,
    ) -> None:
        self.spec = spec
        self.value = value
        self.span = span
        self._text = text
        self.bits = bits
        self.generated = generated
        self.children: list[Field] = []

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def text(self) -> str:
        """The value as people read it, safe to print."""
        return printable(self._text, MAX_TEXT) if self._text is not None else human(self.spec, self.value)

    @text.setter
    def text(self, text: str) -> None:
        self._text = text

    def walk(self) -> Iterator[Field]:
        """This field and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __repr__(self) -> str:
        return f"Field({self.name}={self.text!r} {self.span.start}:{self.span.stop})"


def human(spec: FieldSpec, value: Any) -> str:
    """A value in words: `TCP (6)`, `1,460 bytes`, `0.000120 s`."""
    kind = spec.kind
    if value is None or kind is Kind.NONE:
        return ""
    if kind is Kind.UINT or kind is Kind.INT:
        digits = cell(spec, value) if spec.base is Base.HEX else f"{value}"
        if spec.values is not None:
            word = spec.values.get(value)
            return f"{word} ({digits})" if word is not None else f"{digits} (unknown)"
        return f"{digits} {spec.unit}" if spec.unit else digits
    if kind is Kind.BOOL:
        return "set" if value else "not set"
    if kind is Kind.BYTES:
        more = f" … ({len(value):,} bytes)" if len(value) > 32 else ""
        return bytes(value[:32]).hex(" ") + more
    if kind is Kind.DURATION:
        return f"{value / 1e9:.6f} s"
    return printable(cell(spec, value), MAX_TEXT)


def cell(spec: FieldSpec, value: Any) -> str:
    """A value as `tshark -T fields` prints it (Wireshark 4.0)."""
    kind = spec.kind
    if kind is Kind.UINT:
        return f"0x{value:0{(spec.width + 7) // 8 * 2}x}" if spec.base is Base.HEX else str(value)
    if kind is Kind.BOOL:
        return "1" if value else "0"
    if kind is Kind.NONE:
        return "1"
    if kind is Kind.BYTES:
        return bytes(value).hex()
    if kind is Kind.IPV4:
        return ".".join(str(octet) for octet in bytes(value))
    if kind is Kind.IPV6:
        return ipv6_text(bytes(value))
    if kind is Kind.ETHER:
        return bytes(value).hex(":")
    if kind is Kind.DURATION:
        sign = "-" if value < 0 else ""
        return f"{sign}{abs(value) // 1_000_000_000}.{abs(value) % 1_000_000_000:09d}"
    if kind is Kind.TIME:
        return time_text(value)
    if kind is Kind.FLOAT:
        return f"{value:g}"
    return str(value)


def ipv6_text(address: bytes) -> str:
    """RFC 5952 text, with the dotted form for IPv4-mapped and IPv4-compatible addresses, as inet_ntop writes it."""
    if address[:10] == bytes(10) and address[10:12] in (b"\0\0", b"\xff\xff") and address[12:14] != b"\0\0":
        dotted = ".".join(map(str, address[12:]))
        return f"::{dotted}" if address[10] == 0 else f"::ffff:{dotted}"
    return str(IPv6Address(address)).lower()


def address_text(address: bytes) -> str:
    """An address as people write it."""
    return ".".join(map(str, address)) if len(address) == 4 else ipv6_text(address)


def endpoint_text(address: bytes, port: int) -> str:
    """`192.0.2.80:443`, `[2001:db8::1]:443` (RFC 3986, 3.2.2)."""
    text = address_text(address)
    return f"{text}:{port}" if len(address) == 4 else f"[{text}]:{port}"


def time_text(time_ns: int) -> str:
    """`2026-11-24 01:02:03.000000004 UTC`; a time that no calendar holds is given in seconds."""
    from datetime import UTC, datetime

    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds}.{rest:09d} s since 1970"
