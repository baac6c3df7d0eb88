"""Network service header (RFC 8300, section 2)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, u8, u16, u24, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol

IPV4, IPV6, ETHERNET, NSH, MPLS = 1, 2, 3, 4, 5
NEXT = {IPV4: "IPv4", IPV6: "IPv6", ETHERNET: "Ethernet", NSH: "NSH", MPLS: "MPLS"}
FIXED, VARIABLE = 1, 2  # metadata types

FIELDS = catalog(
    uint("nsh.version", "Version", 2),
    flag("nsh.Obit", "Operations packet"),
    uint("nsh.CBit", "Unassigned", 1),
    uint("nsh.ttl", "Time to live", 6),
    uint("nsh.length", "Length", 6, scale=4, unit="bytes"),
    uint("nsh.unassigned", "Unassigned", 4),
    uint("nsh.mdtype", "Metadata type", 4),
    u8("nsh.nextproto", "Next protocol", values=NEXT),
    u24("nsh.spi", "Service path"),
    u8("nsh.si", "Service index"),
    octets("nsh.contextheader", "Context header"),
    heading("nsh.tlv", "Metadata"),
    u16("nsh.metadataclass", "Class", Base.HEX),
    u8("nsh.metadatatype", "Type", Base.HEX),
    uint("nsh.metadataunassignedbit", "Unassigned", 1),
    uint("nsh.metadatalen", "Length", 7),
    octets("nsh.metadata", "Value"),
)


def dissect(c: Cursor) -> None:
    *_, length = c.bits(2, ("nsh.version", 2), ("nsh.Obit", 1), ("nsh.CBit", 1), ("nsh.ttl", 6), ("nsh.length", 6))
    _, metadata = c.bits(1, ("nsh.unassigned", 4), ("nsh.mdtype", 4))
    following = c.uint("nsh.nextproto", 1)
    path = c.uint("nsh.spi", 3)
    c.layer.summary = f"path {path}, index {c.uint('nsh.si', 1)}"
    if length < 8:
        c.issue("length", f"a length of {length} bytes is shorter than base and path headers (RFC 8300, 2.2)", Severity.ERROR)
        return
    with c.within(length - 8):
        _metadata(c, metadata)
    if following in (IPV4, IPV6):
        c.payload("ip.version", 4 if following == IPV4 else 6, None, f"NSH says {NEXT[following]}")
    elif following == ETHERNET:
        c.payload("ethernet", "ethernet", None, "NSH says Ethernet")
    elif following == MPLS:
        c.payload("ethertype", 0x8847, None, "NSH says MPLS")
    else:
        c.payload("nsh.nextproto", following)


def _metadata(c: Cursor, kind: int) -> None:
    while c.remaining:
        if kind != VARIABLE:
            c.octets("nsh.contextheader", 4 if kind == FIXED else c.remaining)
            continue
        start = c.pos
        with c.group("nsh.tlv"):
            c.uint("nsh.metadataclass", 2)
            c.uint("nsh.metadatatype", 1)
            _, size = c.bits(1, ("nsh.metadataunassignedbit", 1), ("nsh.metadatalen", 7))
            if size:
                c.octets("nsh.metadata", size)
            padding = -(c.pos - start) % 4  # to the next word (RFC 8300, 2.5.1)
            if padding:
                c.octets("nsh.contextheader", padding)


PROTOCOL = Protocol(
    "nsh", "NSH", 3, FIELDS, dissect,
    keys={"ethertype": [0x894F], "vxlan_gpe": [NSH], "nsh.nextproto": [NSH]}, reference="RFC 8300",
)  # fmt: skip
