"""Geneve: Ethernet frames and others over UDP (RFC 8926, section 3)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, u8, u16, u24, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

FIELDS = catalog(
    uint("geneve.version", "Version", 2),
    uint("geneve.option_length", "Length of the options", 6, scale=4, unit="bytes"),
    u8("geneve.flags", "Flags", Base.HEX),
    flag("geneve.flags.oam", "Control packet"),
    flag("geneve.flags.critical", "Critical options are there"),
    uint("geneve.flags.reserved", "Reserved", 6),
    u16("geneve.proto_type", "Protocol type", Base.HEX, ETHERTYPES),
    u24("geneve.vni", "Virtual network", Base.HEX),
    u8("geneve.reserved", "Reserved", Base.HEX),
    heading("geneve.option", "Option"),
    u16("geneve.option.class", "Class", Base.HEX),
    u8("geneve.option.type", "Type", Base.HEX),
    flag("geneve.option.type.critical", "Critical: who does not know it drops the packet"),
    uint("geneve.option.flags.reserved", "Reserved", 3),
    uint("geneve.option.length", "Length", 5, scale=4, unit="bytes"),
    octets("geneve.option.unknown.data", "Data"),
)


def dissect(c: Cursor) -> None:
    version, length = c.bits(1, ("geneve.version", 2), ("geneve.option_length", 6))
    c.flags("geneve.flags", 1, ("geneve.flags.oam", 1), ("geneve.flags.critical", 1), ("geneve.flags.reserved", 6))
    kind = c.uint("geneve.proto_type", 2)
    network = c.uint("geneve.vni", 3)
    c.uint("geneve.reserved", 1)
    c.layer.summary = f"network {network}"
    if version:
        c.issue("version", f"version {version} is not known (RFC 8926, 3.4)", Severity.ERROR)
        c.payload("geneve", "unknown version")
        return
    with c.within(length):
        while c.remaining:
            with c.group("geneve.option") as option:
                number = c.uint("geneve.option.class", 2)
                sort = c.flags("geneve.option.type", 1, ("geneve.option.type.critical", 1), (None, 7))
                _, size = c.bits(1, ("geneve.option.flags.reserved", 3), ("geneve.option.length", 5))
                option.text = f"class 0x{number:04x}, type 0x{sort:02x}"
                if size:
                    c.octets("geneve.option.unknown.data", size)
    c.payload("ethertype", kind, None, f"Geneve's protocol type is 0x{kind:04x}")


PROTOCOL = Protocol("geneve", "Geneve", 2, FIELDS, dissect, keys={"udp.port": [6081]}, reference="RFC 8926")
