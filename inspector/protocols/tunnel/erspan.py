"""ERSPAN: mirrored Ethernet frames inside GRE (draft-foschiano-erspan-03).

Type I has no header of its own, types II and III have one; GRE tells them apart. Not here: what the platform-specific
subheader of type III means.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, octets, u16, u32, uint
from inspector.core.protocol import Protocol

ETHERNET_TYPE, IP_TYPE = 0, 2  # frame types of type III

FIELDS = catalog(
    uint("erspan.version", "Version", 4, values={1: "type II", 2: "type III"}),
    uint("erspan.vlan", "VLAN", 12),
    uint("erspan.cos", "Class of service", 3),
    uint("erspan.encap", "Encapsulation of the mirrored frame", 2),
    uint("erspan.bso", "Bad, short or oversized", 2),
    flag("erspan.truncated", "Truncated"),
    uint("erspan.spanid", "Session", 10),
    uint("erspan.reserved", "Reserved", 12),
    uint("erspan.index", "Index", 20),
    u32("erspan.timestamp", "Time stamp"),
    u16("erspan.sgt", "Security group tag"),
    flag("erspan.p", "Holds an Ethernet frame"),
    uint("erspan.ft", "Frame type", 5, values={ETHERNET_TYPE: "Ethernet", IP_TYPE: "IP"}),
    uint("erspan.hw", "Hardware", 6),
    uint("erspan.direction", "Direction", 1, values={0: "incoming", 1: "outgoing"}),
    uint("erspan.gra", "Granularity of the time stamp", 2, values={0: "100 µs", 1: "100 ns", 2: "IEEE 1588", 3: "user"}),
    flag("erspan.o", "Platform subheader is there"),
    uint("erspan.platid", "Platform", 6),
    octets("erspan.pid.rsvd", "Platform data"),
    u32("erspan.unknown", "Header of an unknown version", Base.HEX),
)


def dissect_plain(c: Cursor) -> None:
    c.layer.summary = "type I: no header"
    c.payload("ethernet", "ethernet", None, "ERSPAN mirrors Ethernet frames")


def dissect(c: Cursor) -> None:
    version = c.peek_uint(1) >> 4
    if version not in (1, 2):
        c.issue("version", f"version {version} is neither type II nor type III")
        c.payload("erspan", "unknown version")
        return
    c.bits(2, ("erspan.version", 4), ("erspan.vlan", 12))
    name = "erspan.encap" if version == 1 else "erspan.bso"
    *_, session = c.bits(2, ("erspan.cos", 3), (name, 2), ("erspan.truncated", 1), ("erspan.spanid", 10))
    c.layer.summary = f"type {'II' if version == 1 else 'III'}, session {session}"
    kind = ETHERNET_TYPE
    if version == 1:
        c.bits(4, ("erspan.reserved", 12), ("erspan.index", 20))
    else:
        c.uint("erspan.timestamp", 4)
        c.uint("erspan.sgt", 2)
        _, kind, _, _, _, more = c.bits(
            2, ("erspan.p", 1), ("erspan.ft", 5), ("erspan.hw", 6), ("erspan.direction", 1), ("erspan.gra", 2), ("erspan.o", 1)
        )
        if more:
            at = c.pos
            c.add("erspan.platid", c.peek_uint(1) >> 2, at, at + 1, bits=(0, 6))
            c.octets("erspan.pid.rsvd", 8)
    if kind == IP_TYPE:
        c.payload("ip.version", c.peek_uint(1) >> 4, None, "the frame type is IP")
    elif kind == ETHERNET_TYPE:
        c.payload("ethernet", "ethernet", None, "ERSPAN mirrors Ethernet frames")
    else:
        c.payload("erspan.ft", kind)


PROTOCOL = Protocol("erspan", "ERSPAN", 2, FIELDS, dissect, keys={"gre.erspan": ["header"]})
PLAIN = Protocol("erspan", "ERSPAN", 2, FIELDS, dissect_plain, keys={"gre.erspan": ["no header"]})
