"""IEEE 802.2 logical link control, and SNAP (RFC 1042)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, u8, u16, u24
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

SNAP, IP = 0xAA, 0x06
SAPS = {0x00: "Null", 0x06: "IP", 0x42: "Spanning tree", 0xAA: "SNAP", 0xE0: "IPX", 0xF0: "NetBIOS", 0xFE: "ISO network layer"}
ETHERNET_OUI = (0x000000, 0x0000F8)  # those under which the protocol id is an EtherType

FIELDS = catalog(
    u8("llc.dsap", "Destination service", Base.HEX, SAPS),
    u8("llc.ssap", "Source service", Base.HEX, SAPS),
    u16("llc.control", "Control", Base.HEX),
    u24("llc.oui", "Organisation", Base.HEX),
    u16("llc.type", "Type", Base.HEX, ETHERTYPES),
    u16("llc.pid", "Protocol id", Base.HEX),
)


def dissect(c: Cursor) -> None:
    destination = c.uint("llc.dsap", 1)
    c.uint("llc.ssap", 1)
    unnumbered = c.peek_uint(1) & 3 == 3  # one octet of control, as opposed to two (IEEE 802.2, 5.2)
    c.uint("llc.control", 1 if unnumbered else 2)
    c.layer.summary = SAPS.get(destination, f"service 0x{destination:02x}")
    if destination == SNAP and unnumbered:
        organisation = c.uint("llc.oui", 3)
        if organisation in ETHERNET_OUI:
            c.payload("ethertype", c.uint("llc.type", 2))
        else:
            c.payload("llc.pid", (organisation, c.uint("llc.pid", 2)))
    elif destination == IP:
        c.payload("ethertype", 0x0800)
    else:
        c.payload("llc.dsap", destination)


PROTOCOL = Protocol("llc", "LLC", 2, FIELDS, dissect, keys={"llc": ["llc"]}, reference="IEEE 802.2")
