"""VXLAN: Ethernet frames over UDP (RFC 7348, section 5)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, u16, uint
from inspector.core.protocol import Protocol

FIELDS = catalog(
    u16("vxlan.flags", "Flags", Base.HEX),
    u16("vxlan.gbp", "Group policy"),
    uint("vxlan.vni", "Network identifier", 24),
    uint("vxlan.reserved8", "Reserved", 8),
)


def dissect(c: Cursor) -> None:
    c.uint("vxlan.flags", 2)
    c.uint("vxlan.gbp", 2)
    network = c.uint("vxlan.vni", 3)
    c.uint("vxlan.reserved8", 1)
    c.layer.summary = f"network {network}"
    c.payload("ethernet", "ethernet", why="VXLAN carries Ethernet frames (RFC 7348, 5)")


PROTOCOL = Protocol("vxlan", "VXLAN", 2, FIELDS, dissect, keys={"udp.port": [4789, 8472]}, reference="RFC 7348")
