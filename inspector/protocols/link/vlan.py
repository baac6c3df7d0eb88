"""VLAN tags: IEEE 802.1Q and 802.1ad."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, u16, uint
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

FIELDS = catalog(
    uint("vlan.priority", "Priority", 3),
    flag("vlan.dei", "Drop eligible"),
    uint("vlan.id", "VLAN", 12),
    u16("vlan.etype", "Type", Base.HEX, ETHERTYPES),
    u16("vlan.len", "Length"),
)


def dissect(c: Cursor) -> None:
    _, _, number = c.bits(2, ("vlan.priority", 3), ("vlan.dei", 1), ("vlan.id", 12))
    kind = c.peek_uint(2)
    c.layer.summary = f"VLAN {number}"
    if kind <= 1500:
        size = c.uint("vlan.len", 2)
        c.payload("llc", "llc", size, "the type field holds a length: LLC follows")
    else:
        c.uint("vlan.etype", 2)
        c.payload("ethertype", kind)


PROTOCOL = Protocol(
    "vlan", "802.1Q VLAN", 2, FIELDS, dissect, keys={"ethertype": [0x8100, 0x88A8, 0x9100]}, reference="IEEE 802.1Q"
)
