"""Ethernet II and IEEE 802.3 frames (IEEE 802.3 clause 3).

Not here: the frame check sequence, which captures rarely hold; LLC and SNAP (`llc.py`), tags (`vlan.py`).
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, flag, octets, u16
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

MAX_LENGTH = 1500  # a type field up to this is a length (IEEE 802.3, 3.2.6)
MIN_TYPE = 0x0600

FIELDS = catalog(
    ether("eth.dst", "Destination"),
    ether("eth.src", "Source"),
    u16("eth.type", "Type", Base.HEX, ETHERTYPES),
    u16("eth.len", "Length"),
    flag("eth.ig", "Group address"),
    flag("eth.lg", "Locally administered"),
    octets("eth.padding", "Padding"),
    octets("eth.trailer", "Trailer"),
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
        c.payload("ethertype", kind)
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
    if c.remaining:
        c.octets("eth.trailer", c.remaining)


PROTOCOL = Protocol(
    "eth", "Ethernet II", 2, FIELDS, dissect, keys={"link": [1], "ethernet": ["ethernet"]}, reference="IEEE 802.3"
)
