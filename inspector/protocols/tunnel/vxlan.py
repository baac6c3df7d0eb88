"""VXLAN: Ethernet frames over UDP (RFC 7348, section 5), and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe, 3)."""

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


NEXT = {1: "IPv4", 2: "IPv6", 3: "Ethernet", 4: "NSH"}
GPE_FIELDS = catalog(
    uint("vxlan.flags", "Flags", 8, Base.HEX),
    u16("vxlan.reserved16", "Reserved", Base.HEX),
    uint("vxlan.next_proto", "Next protocol", 8, values=NEXT),
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


def dissect_gpe(c: Cursor) -> None:
    c.uint("vxlan.flags", 1)
    c.uint("vxlan.reserved16", 2)
    following = c.uint("vxlan.next_proto", 1)
    c.layer.summary = f"network {c.uint('vxlan.vni', 3)}"
    c.uint("vxlan.reserved8", 1)
    why = f"VXLAN-GPE's next protocol is {NEXT.get(following, 'number')} ({following})"
    known = {1: ("ip.version", 4), 2: ("ip.version", 6), 3: ("ethernet", "ethernet")}
    table, key = known.get(following, ("vxlan_gpe", following))
    c.payload(table, key, None, why)


PROTOCOL = Protocol("vxlan", "VXLAN", 2, FIELDS, dissect, keys={"udp.port": [4789, 8472]}, reference="RFC 7348")
GPE = Protocol("vxlan_gpe", "VXLAN-GPE", 2, GPE_FIELDS, dissect_gpe, keys={"udp.port": [4790]})
