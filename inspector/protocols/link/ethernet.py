"""Ethernet II and IEEE 802.3 frames (IEEE 802.3 clause 3).

What follows the packet inside is told apart here: padding to the least size, the frame check sequence where the bytes
match one, and trailers. Not here: LLC and SNAP (`llc.py`), tags (`vlan.py`, `tags.py`).
"""

from __future__ import annotations

import zlib

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, flag, octets, u16, u32
from inspector.core.protocol import Card, Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES, MAX_LENGTH, inner_size

MIN_SIZE = 60  # of a frame without its check sequence (IEEE 802.3, 4.4.2)

FIELDS = catalog(
    ether("eth.dst", "Destination"),
    ether("eth.src", "Source"),
    u16("eth.type", "Type", Base.HEX, ETHERTYPES),
    u16("eth.len", "Length"),
    flag("eth.ig", "Group address"),
    flag("eth.lg", "Locally administered"),
    octets("eth.padding", "Padding"),
    octets("eth.trailer", "Trailer"),
    u32("eth.fcs", "Frame check sequence", Base.HEX),
)


def dissect(c: Cursor) -> None:
    _address(c, "eth.dst")
    _address(c, "eth.src")
    kind = c.peek_uint(2)
    if kind <= MAX_LENGTH:
        length = c.uint("eth.len", 2)
        c.layer.title = "IEEE 802.3"
        c.payload("llc", "llc", length, "the type field holds a length: LLC follows (IEEE 802.3, 3.2.6)")
        _rest(c)
    else:
        c.uint("eth.type", 2)
        c.payload("ethertype", kind, inner_size(c, kind))
        _rest(c)
    src, dst = (cell(c.spec(name), c.layer.value(name)) for name in ("eth.src", "eth.dst"))
    c.layer.summary = f"{src} → {dst}"


def _address(c: Cursor, name: str) -> None:
    start = c.pos
    value = c.octets(name, 6)
    field = c.layer.fields[-1]
    for label, bit in (("eth.lg", 6), ("eth.ig", 7)):
        child = c.add(label, bool(value[0] >> 7 - bit & 1), start, start + 1, bits=(bit, 1))
        c.layer.fields.remove(child)
        field.children.append(child)


def _rest(c: Cursor) -> None:
    """Padding, trailer and check sequence: what is behind the packet inside."""
    if not c.remaining:
        return
    check = 4 if c.remaining >= 4 and c.stop - c.start >= MIN_SIZE + 4 and _checks(c) else 0
    padding = max(min(MIN_SIZE - (c.pos - c.start), c.remaining - check), 0)
    if padding:
        c.octets("eth.padding", padding)
    if c.remaining > check:
        c.octets("eth.trailer", c.remaining - check)
    if check:
        c.uint("eth.fcs", 4, little=True)


def _checks(c: Cursor) -> bool:
    frame = c.slice(c.start, c.stop)
    return zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")


CARD = Card(
    "binary: destination, source and type, six, six and two octets; then the payload",
    "frames of 64 to 1,518 octets, each on its own",
    "48-bit hardware addresses, of one station, a group, or all",
    "full duplex on a switched link",
    "none in the stations; switches remember which address is behind which port",
    "switches, by the destination; never beyond the link",
    "pause frames (802.3x), rarely used; none of congestion",
    "a checksum (FCS) over the frame, mostly not captured; a damaged frame is dropped, nothing is sent again",
)
PROTOCOL = Protocol(
    "eth", "Ethernet II", 2, FIELDS, dissect,
    keys={"link": [1], "ethernet": ["ethernet"], "ethertype": [0x6558]}, reference="IEEE 802.3",
    card=CARD,
)  # fmt: skip
