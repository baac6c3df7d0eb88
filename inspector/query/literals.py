"""What is written in a filter, as a value of the type that stands on its other side."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, NamedTuple

from inspector.core.field import FieldSpec, Kind
from inspector.core.text import printable

NUMBERS = frozenset({Kind.UINT, Kind.INT, Kind.FRAME, Kind.BOOL, Kind.FLOAT})
OCTETS = frozenset({Kind.BYTES, Kind.ETHER, Kind.IPV4, Kind.IPV6})
TEXTS = frozenset({Kind.STRING, Kind.OID})
GROUPS = (NUMBERS, OCTETS, TEXTS, frozenset({Kind.DURATION}), frozenset({Kind.TIME}), frozenset({Kind.NONE}))


class Network(NamedTuple):
    """Addresses that share a prefix: `address` is the prefix's bits, as a number."""

    address: int
    mask: int


class Unfit(ValueError):
    """The text is no value of that type; the message ends a sentence that begins with the text."""


def convert(spec: FieldSpec, text: str, how: str) -> Any:
    """The value of `text` for a field of that type.

    how: `word` (not quoted), `string` or `char`. Raises Unfit.
    """
    if how == "char" and spec.kind in (Kind.UINT, Kind.INT, Kind.FRAME):
        return ord(text)
    return _CONVERT[spec.kind](spec, text, how == "string")


def integer(text: str) -> int | None:
    """Decimal, 0x…, 0b… or 0… (octal) with an optional minus; None for anything else."""
    found = re.fullmatch(r"(-?)(?:0[xX]([0-9A-Fa-f]+)|0[bB]([01]+)|(0[0-7]+)|(\d+))", text, re.ASCII)
    if found is None:
        return None
    sign, hexadecimal, binary, octal, decimal = found.groups()
    if len(text) > 100:
        return None
    for digits, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)):
        if digits:
            return -int(digits, base) if sign else int(digits, base)
    return None


def _number(spec: FieldSpec, text: str, quoted: bool) -> int:
    for value, word in (spec.values or {}).items():
        if word.casefold() == text.casefold():
            return value
    found = None if quoted else integer(text)
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(text, list((spec.values or {}).values()), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Unfit(f"is no number{' and no value of ' + spec.name if spec.values else ''}{hint}")
    bits = -(-spec.width // 8) * 8
    if spec.kind is Kind.UINT and bits and spec.scale == 1 and found >= 1 << bits:
        raise Unfit(f"is too big for {spec.name}, which goes to {(1 << bits) - 1:,}")
    return found


_BOOLEANS = {"true": 1, "false": 0, "set": 1, "not set": 0}


def _boolean(spec: FieldSpec, text: str, quoted: bool) -> int:
    word = _BOOLEANS.get(text.casefold())
    found = integer(text) if word is None and not quoted else word
    if found is None:
        raise Unfit("is neither true nor false")
    return int(found != 0)


def _float(spec: FieldSpec, text: str, quoted: bool) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unfit("is no number") from None


def _seconds(spec: FieldSpec, text: str, quoted: bool) -> int:
    try:
        return int((Decimal(text) * 1_000_000_000).to_integral_value())
    except (InvalidOperation, OverflowError, ValueError):
        raise Unfit("is no number of seconds") from None


def _text(spec: FieldSpec, text: str, quoted: bool) -> str:
    return text


def _octets(spec: FieldSpec, text: str, quoted: bool) -> bytes:
    if quoted:
        return text.encode("utf-8", "surrogateescape")
    word = text[1:] if text.startswith(":") else text
    word = word[2:] if word[:2] in ("0x", "0X") else word
    if re.fullmatch(r"[0-9A-Fa-f]{1,2}", word):
        return bytes([int(word, 16)])
    for mark in ":.-":
        parts = word.removesuffix(":").split(mark)
        if all(re.fullmatch(r"[0-9A-Fa-f]{1,2}", part) for part in parts):
            return bytes(int(part, 16) for part in parts)
        if all(re.fullmatch(r"[0-9A-Fa-f]{4}", part) for part in parts):  # 0011.2233.4455
            return bytes.fromhex("".join(parts))
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", word):
        return bytes.fromhex(word)
    raise Unfit("are no bytes; they are written 47:45:54, and a text in double quotes")


def _ether(spec: FieldSpec, text: str, quoted: bool) -> bytes:
    try:
        found = _octets(spec, text, False)
    except Unfit:
        found = b""
    if len(found) != 6:
        raise Unfit("is no Ethernet address, such as 00:11:22:33:44:55")
    return found


def _prefix(text: str, bits: int) -> tuple[str, int]:
    address, slash, length = text.partition("/")
    if not slash:
        return address, bits
    if not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise Unfit(f"has no prefix length from 0 to {bits}")
    return address, int(length)


def _ipv4(spec: FieldSpec, text: str, quoted: bool) -> bytes | Network:
    address, length = _prefix(text, 32)
    try:
        found = IPv4Address(address)
    except AddressValueError:
        raise Unfit("is no IPv4 address, such as 192.0.2.1 or 192.0.2.0/24") from None
    return found.packed if length == 32 else _network(int(found), length, 32)


def _ipv6(spec: FieldSpec, text: str, quoted: bool) -> bytes | Network:
    address, length = _prefix(text, 128)
    try:
        found = IPv6Address(address)
    except AddressValueError:
        raise Unfit("is no IPv6 address, such as 2001:db8::1 or 2001:db8::/32") from None
    return found.packed if length == 128 else _network(int(found), length, 128)


def _network(address: int, length: int, bits: int) -> Network:
    mask = (1 << bits) - (1 << bits - length)
    return Network(address & mask, mask)


_LEGACY = ("%b %d, %Y %H:%M:%S", "%b %d, %Y %H:%M", "%b %d, %Y")


def _time(spec: FieldSpec, text: str, quoted: bool) -> int:
    """ISO 8601, `Sep 26, 2004 23:18:04.954975`, or seconds since 1970; local time where no zone is given."""
    if re.fullmatch(r"-?\d{5,}(\.\d+)?", text):
        return _seconds(spec, text, quoted)
    utc = text.upper().endswith(("UTC", "Z"))
    bare = re.sub(r"\s*(UTC|Z)$", "", text.strip(), flags=re.IGNORECASE)
    whole, fraction = bare, ""
    point = re.search(r"(\d{2}:\d{2}:\d{2})\.(\d{1,9})", bare)
    if point is not None:
        whole, fraction = bare[: point.end(1)] + bare[point.end() :], point.group(2)
    moment = None
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        for pattern in _LEGACY:
            try:
                moment = datetime.strptime(whole, pattern)
                break
            except ValueError:
                continue
    if moment is None:
        raise Unfit('is no time, such as "2026-11-24 08:00:00.5"')
    if utc:
        moment = moment.replace(tzinfo=UTC)
    elif moment.tzinfo is None:
        moment = moment.astimezone()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(seconds=1) * 1_000_000_000 + int(fraction.ljust(9, "0") or "0")


def _nothing(spec: FieldSpec, text: str, quoted: bool) -> Any:
    raise Unfit(f"cannot be compared: {spec.name} has no value, only whether it is there can be asked")


_CONVERT: dict[Kind, Callable[[FieldSpec, str, bool], Any]] = {
    Kind.UINT: _number, Kind.INT: _number, Kind.FRAME: _number, Kind.BOOL: _boolean, Kind.FLOAT: _float,
    Kind.DURATION: _seconds, Kind.TIME: _time, Kind.STRING: _text, Kind.OID: _text, Kind.BYTES: _octets,
    Kind.ETHER: _ether, Kind.IPV4: _ipv4, Kind.IPV6: _ipv6, Kind.NONE: _nothing,
}  # fmt: skip


def shown(text: str) -> str:
    """A piece of a filter in a message."""
    return f"“{printable(text, 40)}”"
