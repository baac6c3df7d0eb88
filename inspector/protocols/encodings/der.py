"""DER, the distinguished encoding of ASN.1 (ITU-T X.690, 8 and 10): a walk over tags, lengths and contents.

Not here: what the contents mean; indefinite lengths, which DER forbids (10.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

INTEGER, SEQUENCE = 0x02, 0x30
MAX_LENGTH_OCTETS = 4  # a length of more octets than these is beyond any capture


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


def element(data: bytes, at: int, stop: int | None = None) -> Element | None:
    """The element at `at`; None where its tag or length cannot be read, or it does not fit before `stop`."""
    end = len(data) if stop is None else min(stop, len(data))
    if at < 0 or at + 2 > end or data[at] & 0x1F == 0x1F:  # tags of several octets occur in none of what is read here
        return None
    size, begin = data[at + 1], at + 2
    if size & 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= MAX_LENGTH_OCTETS or begin + octets > end:
            return None
        size = int.from_bytes(data[begin : begin + octets], "big")
        begin += octets
    return Element(data[at], at, begin, begin + size) if begin + size <= end else None


def elements(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Element]:
    """The elements that follow one another from `start` to `stop`; ends early at the first that cannot be read."""
    at = start
    while (found := element(data, at, stop)) is not None:
        yield found
        at = found.stop


def certificate_serial(data: bytes) -> Element | None:
    """Where a certificate has its serial number (RFC 5280, 4.1): Certificate → TBSCertificate → after the optional version."""
    outer = element(data, 0)
    if outer is None or outer.tag != SEQUENCE:
        return None
    inner = element(data, outer.begin, outer.stop)
    if inner is None or inner.tag != SEQUENCE:
        return None
    return next((found for found in elements(data, inner.begin, inner.stop) if found.tag == INTEGER), None)
