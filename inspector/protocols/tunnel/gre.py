"""Generic routing encapsulation (RFC 2784, RFC 2890), and version 1 as PPTP uses it (RFC 2637).

The source routes of RFC 1701 are passed over. NVGRE (RFC 7637) is GRE with a key that carries Ethernet.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, u8, u16, u32, uint
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

ERSPAN, ERSPAN_III, CISCO_METADATA = 0x88BE, 0x22EB, 0x8909

FIELDS = catalog(
    uint("gre.flags_and_version", "Flags and version", 16, Base.HEX),
    flag("gre.flags.checksum", "Checksum is there"),
    flag("gre.flags.routing", "Routing is there"),
    flag("gre.flags.key", "Key is there"),
    flag("gre.flags.sequence_number", "Sequence number is there"),
    flag("gre.flags.ack", "Acknowledgement is there"),
    uint("gre.flags.version", "Version", 3),
    u16("gre.proto", "Protocol type", Base.HEX, ETHERTYPES),
    u16("gre.checksum", "Checksum", Base.HEX),
    u16("gre.offset", "Offset"),
    heading("gre.routing", "Source route entry"),
    u16("gre.routing.address_family", "Address family"),
    u8("gre.routing.sre_offset", "Offset"),
    u8("gre.routing.sre_length", "Length"),
    octets("gre.routing.information", "Route"),
    u32("gre.key", "Key", Base.HEX),
    u16("gre.key.payload_length", "Payload length"),
    u16("gre.key.call_id", "Call id"),
    u32("gre.sequence_number", "Sequence number"),
    u32("gre.ack_number", "Acknowledgement number"),
)


def dissect(c: Cursor) -> None:
    flags = c.flags(
        "gre.flags_and_version",
        2,
        ("gre.flags.checksum", 1),
        ("gre.flags.routing", 1),
        ("gre.flags.key", 1),
        ("gre.flags.sequence_number", 1),
        (None, 4),
        ("gre.flags.ack", 1),
        (None, 4),
        ("gre.flags.version", 3),
    )
    kind = c.uint("gre.proto", 2)
    version = flags & 7
    c.layer.summary = f"version {version}, {ETHERTYPES.get(kind, f'0x{kind:04x}')}"
    if flags & 0xC000:
        c.uint("gre.checksum", 2)
        c.uint("gre.offset", 2)
    if flags & 0x2000:
        if version == 1:
            c.uint("gre.key.payload_length", 2)
            c.uint("gre.key.call_id", 2)
        else:
            c.uint("gre.key", 4)
    if flags & 0x1000:
        c.uint("gre.sequence_number", 4)
    if flags & 0x0080 and version == 1:
        c.uint("gre.ack_number", 4)
    if flags & 0x4000:
        _routes(c)
    why = f"GRE's protocol type is 0x{kind:04x}"
    if kind in (ERSPAN, ERSPAN_III):  # type I has neither a sequence number nor a header of its own
        c.payload("gre.erspan", "header" if flags & 0x1000 or kind == ERSPAN_III else "no header", None, why)
    elif kind == CISCO_METADATA:
        c.payload("gre.cmd", "cmd", None, why)
    else:
        c.payload("ethertype", kind, None, why)


def _routes(c: Cursor) -> None:
    while True:
        with c.group("gre.routing"):
            family = c.uint("gre.routing.address_family", 2)
            c.uint("gre.routing.sre_offset", 1)
            length = c.uint("gre.routing.sre_length", 1)
            if length:
                c.octets("gre.routing.information", length)
        if family == 0 and length == 0:  # the empty entry is the last (RFC 1701)
            return


PROTOCOL = Protocol("gre", "GRE", 3, FIELDS, dissect, keys={"ip.proto": [47]}, reference="RFC 2784")
