"""Older and other links: ARCnet (RFC 1201, RFC 1051), FDDI (ISO 9314-2, RFC 1390), Solaris IP observability (ipnet).

Not here: putting ARCnet fragments together.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, octets, u8, u16, u32, uint
from inspector.core.protocol import Protocol

ARCNET_PROTOCOLS = {212: "IP", 213: "ARP", 214: "RARP", 221: "ATA", 240: "IP (RFC 1051)", 241: "ARP (RFC 1051)"}
ARCNET_TYPES = {212: 0x0800, 213: 0x0806, 214: 0x8035, 240: 0x0800, 241: 0x0806}
UNSPLIT = (240, 241)  # RFC 1051 has no fragments
EXCEPTION = 0xFF  # a split flag of an exception packet (RFC 1201, "exception packets")
FAMILIES = {2: "IPv4", 26: "IPv6"}
LLC_FRAME, LLC_MASK = 0x50, 0x70  # frame control: an LLC frame, whatever its class and address length

ARCNET_FIELDS = catalog(
    u8("arcnet.src", "Source", Base.HEX),
    u8("arcnet.dst", "Destination", Base.HEX),
    octets("arcnet.offset", "Offset"),
    u8("arcnet.protID", "Protocol", Base.HEX, ARCNET_PROTOCOLS),
    u8("arcnet.exception_flag", "Exception flag", Base.HEX),
    u8("arcnet.split_flag", "Split flag"),
    u16("arcnet.sequence", "Sequence"),
    u16("arcnet.padding", "Padding", Base.HEX),
)
FDDI_FIELDS = catalog(
    u8("fddi.fc", "Frame control", Base.HEX),
    uint("fddi.fc.clf", "Class, length, format", 4, Base.HEX),
    uint("fddi.fc.prio", "Priority", 3),
    ether("fddi.dst", "Destination"),
    ether("fddi.src", "Source"),
)
IPNET_FIELDS = catalog(
    u8("ipnet.version", "Version"),
    u8("ipnet.family", "Address family", values=FAMILIES),
    u16("ipnet.htype", "Hook", values={0: "inbound", 1: "outbound", 2: "local"}),
    u32("ipnet.pktlen", "Length"),
    u32("ipnet.ifindex", "Interface"),
    u32("ipnet.grifindex", "Group interface"),
    u32("ipnet.zsrc", "Source zone"),
    u32("ipnet.zdst", "Destination zone"),
)


def dissect_arcnet_linux(c: Cursor) -> None:
    _arcnet(c, offset=True)


def dissect_arcnet_bsd(c: Cursor) -> None:
    _arcnet(c, offset=False)


def _arcnet(c: Cursor, offset: bool) -> None:
    source, destination = c.uint("arcnet.src", 1), c.uint("arcnet.dst", 1)
    c.layer.summary = f"0x{source:02x} → 0x{destination:02x}"
    if offset:
        c.octets("arcnet.offset", 2)
    protocol = c.uint("arcnet.protID", 1)
    if protocol in ARCNET_TYPES and protocol not in UNSPLIT:
        if c.peek_uint(1) == EXCEPTION:
            c.uint("arcnet.exception_flag", 1)
            c.uint("arcnet.padding", 2)
            protocol = c.uint("arcnet.protID", 1)
        split = c.uint("arcnet.split_flag", 1)
        c.uint("arcnet.sequence", 2)
        if split:
            c.layer.summary += f", part of a split packet ({split})"
            c.payload("arcnet", "fragment")
            return
    kind = ARCNET_TYPES.get(protocol)
    if kind is None:
        c.payload("arcnet.protID", protocol)
    else:
        c.payload("ethertype", kind, None, f"ARCnet's protocol id is {protocol}")


def dissect_fddi(c: Cursor) -> None:
    control = c.flags("fddi.fc", 1, ("fddi.fc.clf", 4), (None, 1), ("fddi.fc.prio", 3))
    c.octets("fddi.dst", 6)
    c.octets("fddi.src", 6)
    destination, source = (cell(field.spec, field.value) for field in c.layer.fields[-2:])
    c.layer.summary = f"{source} → {destination}"
    if control & LLC_MASK == LLC_FRAME:
        c.payload("llc", "llc", None, f"frame control 0x{control:02x} is an LLC frame")
    else:
        c.payload("fddi.fc", control)


def dissect_ipnet(c: Cursor) -> None:
    c.uint("ipnet.version", 1)
    family = c.uint("ipnet.family", 1)
    hook = c.uint("ipnet.htype", 2)
    for name in ("pktlen", "ifindex", "grifindex", "zsrc", "zdst"):
        c.uint(f"ipnet.{name}", 4)
    c.layer.summary = c.spec("ipnet.htype").values.get(hook, f"hook {hook}")  # type: ignore[union-attr]
    c.payload("ip.version", {2: 4, 26: 6}.get(family, 0), None, f"address family {family}")


ARCNET_BSD = Protocol("arcnet", "ARCnet", 2, ARCNET_FIELDS, dissect_arcnet_bsd, keys={"link": [7]}, reference="RFC 1201")
ARCNET_LINUX = Protocol("arcnet", "ARCnet", 2, ARCNET_FIELDS, dissect_arcnet_linux, keys={"link": [129]}, reference="RFC 1201")
FDDI = Protocol("fddi", "FDDI", 2, FDDI_FIELDS, dissect_fddi, keys={"link": [10]}, reference="RFC 1390")
IPNET = Protocol("ipnet", "Solaris IPNET", 2, IPNET_FIELDS, dissect_ipnet, keys={"link": [226]})
