"""Cisco HDLC, and SLARP, its keep-alive and address protocol (as tcpdump.org describes LINKTYPE_C_HDLC)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, ipv4, octets, u8, u16, u32
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

SLARP, CLNS = 0x8035, 0xFEFE
REQUEST, REPLY, KEEPALIVE = 0, 1, 2

FIELDS = catalog(
    u8("chdlc.address", "Address", Base.HEX, {0x0F: "unicast", 0x8F: "multicast"}),
    u8("chdlc.control", "Control", Base.HEX),
    u16("chdlc.protocol", "Protocol", Base.HEX, {**ETHERTYPES, SLARP: "SLARP", CLNS: "CLNS"}),
    u8("chdlc.clns_padding", "Padding", Base.HEX),
)
SLARP_FIELDS = catalog(
    u32("slarp.ptype", "Packet type", values={REQUEST: "request", REPLY: "reply", KEEPALIVE: "keep-alive"}),
    ipv4("slarp.address", "Address"),
    ipv4("slarp.netmask", "Mask"),
    u32("slarp.mysequence", "Outgoing sequence number"),
    u32("slarp.yoursequence", "Returned sequence number"),
    u16("slarp.reliability", "Reliability", Base.HEX),
    octets("slarp.rest", "Rest"),
)


def dissect(c: Cursor) -> None:
    c.uint("chdlc.address", 1)
    c.uint("chdlc.control", 1)
    kind = c.uint("chdlc.protocol", 2)
    c.layer.summary = c.last.text
    if kind == SLARP:
        c.payload("chdlc.protocol", SLARP)
    elif kind == CLNS:
        c.uint("chdlc.clns_padding", 1)
        c.payload("chdlc.protocol", CLNS)
    else:
        c.payload("ethertype", kind, None, f"Cisco HDLC's protocol field is 0x{kind:04x}")


def dissect_slarp(c: Cursor) -> None:
    kind = c.uint("slarp.ptype", 4)
    c.layer.summary = c.last.text
    if kind in (REQUEST, REPLY):
        c.octets("slarp.address", 4)
        c.octets("slarp.netmask", 4)
    elif kind == KEEPALIVE:
        c.uint("slarp.mysequence", 4)
        c.uint("slarp.yoursequence", 4)
    if c.remaining >= 2:
        c.uint("slarp.reliability", 2)
    if c.remaining:
        c.octets("slarp.rest", c.remaining)


PROTOCOL = Protocol("chdlc", "Cisco HDLC", 2, FIELDS, dissect, keys={"link": [104], "ppp": ["chdlc"]})
SLARP_PROTOCOL = Protocol("slarp", "Cisco SLARP", 2, SLARP_FIELDS, dissect_slarp, keys={"chdlc.protocol": [SLARP]})
