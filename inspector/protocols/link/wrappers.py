"""Headers that a capturing program puts in front of a packet: PPI, Apple's PKTAP, Juniper's, and netfilter's NFLOG.

Sources: the PPI specification 1.0.10; XNU's bsd/net/pktap.h; tcpdump.org's descriptions of LINKTYPE_JUNIPER_ETHER and
LINKTYPE_NFLOG. Not here: the fields inside PPI's blocks.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, sint, string, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol

NFLOG_TYPES = {1: "packet header", 2: "mark", 3: "time stamp", 4: "in device", 5: "out device", 6: "physical in device",
               7: "physical out device", 8: "hardware address", 9: "payload", 10: "prefix", 11: "user id", 12: "sequence",
               13: "global sequence", 14: "group id", 15: "hardware type", 16: "hardware header",
               17: "hardware header length"}  # fmt: skip
PACKET_HEADER, PAYLOAD, PREFIX, USER, GROUP = 1, 9, 10, 11, 14
NFLOG_DEVICES = {4: "ifindex_indev", 5: "ifindex_outdev", 6: "ifindex_physindev", 7: "ifindex_physoutdev"}
NFLOG_FAMILIES = {2: "IPv4", 10: "IPv6"}
JUNIPER_MAGIC = b"MGC"
DLT = {1: "Ethernet", 12: "Raw IP", 105: "802.11", 127: "radiotap", 0: "BSD loopback"}

PPI_FIELDS = catalog(
    u8("ppi.version", "Version"),
    u8("ppi.flags", "Flags", Base.HEX),
    flag("ppi.flags.alignment", "Fields are aligned to 32 bits"),
    u16("ppi.length", "Header length"),
    u32("ppi.dlt", "Link type", values=DLT),
    heading("ppi.field", "Field"),
    u16("ppi.field_type", "Type"),
    u16("ppi.field_len", "Length"),
    octets("ppi.field_data", "Data"),
)
PKTAP_FIELDS = catalog(
    u32("pktap.hdrlen", "Header length"),
    u32("pktap.rectype", "Record type", values={0: "none", 1: "packet"}),
    u32("pktap.dlt", "Link type", values=DLT),
    string("pktap.ifname", "Interface"),
    u32("pktap.flags", "Flags", Base.HEX),
    u32("pktap.pfamily", "Protocol family"),
    u32("pktap.lltlen", "Link-layer header length"),
    u32("pktap.llhlen", "Link-layer trailer length"),
    u32("pktap.pid", "Process"),
    string("pktap.cmdname", "Command"),
    octets("pktap.rest", "Later fields"),
)
JUNIPER_FIELDS = catalog(
    octets("juniper.magic-number", "Magic number"),
    u8("juniper.flags", "Flags", Base.HEX),
    flag("juniper.flags.ext", "Extensions are there"),
    flag("juniper.l2hdr", "No link-layer header"),
    uint("juniper.direction", "Direction", 1, values={0: "out", 1: "in"}),
    u16("juniper.ext_total_len", "Length of the extensions"),
    octets("juniper.ext_value", "Extensions"),
)
NFLOG_FIELDS = catalog(
    u8("nflog.family", "Address family", values=NFLOG_FAMILIES),
    u8("nflog.version", "Version"),
    u16("nflog.res_id", "Group"),
    heading("nflog.tlv", "Attribute"),
    u16("nflog.tlv_length", "Length"),
    u16("nflog.tlv_type", "Type", values=NFLOG_TYPES),
    u16("nflog.protocol", "Protocol", Base.HEX),
    u8("nflog.hook", "Hook", values={0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}),
    *(u32(f"nflog.{name}", f"Interface ({NFLOG_TYPES[kind]})") for kind, name in NFLOG_DEVICES.items()),
    string("nflog.prefix", "Prefix"),
    sint("nflog.uid", "User", 32),
    sint("nflog.gid", "Group", 32),
    octets("nflog.tlv_value", "Value"),
    octets("nflog.padding", "Padding"),
)


def dissect_ppi(c: Cursor) -> None:
    c.uint("ppi.version", 1)
    c.flags("ppi.flags", 1, (None, 7), ("ppi.flags.alignment", 1))
    length = c.uint("ppi.length", 2, little=True)
    link = c.uint("ppi.dlt", 4, little=True)
    c.layer.summary = DLT.get(link, f"link type {link}")
    if length < 8:
        c.issue("length", f"a header of {length} bytes is shorter than 8", Severity.ERROR)
        return
    with c.within(length - 8):
        while c.remaining:
            with c.group("ppi.field"):
                c.uint("ppi.field_type", 2, little=True)
                c.octets("ppi.field_data", c.uint("ppi.field_len", 2, little=True))
    c.payload("link", link, None, f"PPI says link type {link}")


def dissect_pktap(c: Cursor) -> None:
    length = c.uint("pktap.hdrlen", 4, little=True)
    c.uint("pktap.rectype", 4, little=True)
    link = c.uint("pktap.dlt", 4, little=True)
    c.layer.summary = c.string("pktap.ifname", 24).rstrip("\0")
    for name in ("flags", "pfamily", "lltlen", "llhlen", "pid"):
        c.uint(f"pktap.{name}", 4, little=True)
    c.layer.summary += f", {c.string('pktap.cmdname', 20).rstrip(chr(0))}"
    if length < c.pos - c.start:
        c.issue("length", f"a header of {length} bytes is shorter than its fields", Severity.ERROR)
        return
    c.octets("pktap.rest", length - (c.pos - c.start))
    c.payload("link", link, None, f"PKTAP says link type {link}")


def dissect_juniper(c: Cursor) -> None:
    magic = c.octets("juniper.magic-number", 3)
    if magic != JUNIPER_MAGIC:
        c.issue("magic", "the header does not begin with the magic number 4d4743", Severity.ERROR)
        return
    flags = c.flags("juniper.flags", 1, ("juniper.flags.ext", 1), (None, 5), ("juniper.l2hdr", 1), ("juniper.direction", 1))
    c.layer.summary = "in" if flags & 1 else "out"
    if flags & 0x80:
        c.octets("juniper.ext_value", c.uint("juniper.ext_total_len", 2))
    if flags & 2:
        c.payload("juniper", "without link layer")
    else:
        c.payload("ethernet", "ethernet", None, "the link type is Juniper's for Ethernet")


def dissect_nflog(c: Cursor) -> None:
    family = c.uint("nflog.family", 1)
    c.uint("nflog.version", 1)
    c.layer.summary = f"group {c.uint('nflog.res_id', 2)}"
    while c.remaining:
        start = c.pos
        with c.group("nflog.tlv") as attribute:
            length = c.uint("nflog.tlv_length", 2, little=True)
            kind = c.uint("nflog.tlv_type", 2, little=True) & 0x7FFF
            attribute.text = NFLOG_TYPES.get(kind, f"type {kind}")
            if length < 4:
                c.issue("length", f"an attribute of {length} bytes cannot hold its own length and type", Severity.ERROR)
                return
            if kind == PAYLOAD:
                version = {"IPv4": 4, "IPv6": 6}.get(NFLOG_FAMILIES.get(family, ""), 0)
                c.payload("ip.version", version, length - 4, f"address family {family}")
            else:
                with c.within(length - 4):
                    _attribute(c, kind)
            padding = min(-(c.pos - start) % 4, c.remaining)  # attributes begin at multiples of four bytes
            if padding:
                c.octets("nflog.padding", padding)


def _attribute(c: Cursor, kind: int) -> None:
    if kind == PACKET_HEADER and c.remaining >= 3:
        c.uint("nflog.protocol", 2)
        c.uint("nflog.hook", 1)
    elif kind in NFLOG_DEVICES and c.remaining == 4:
        c.uint(f"nflog.{NFLOG_DEVICES[kind]}", 4)
    elif kind in (USER, GROUP) and c.remaining == 4:
        c.sint("nflog.uid" if kind == USER else "nflog.gid", 4)
    elif kind == PREFIX:
        c.string("nflog.prefix", c.remaining)
    if c.remaining:
        c.octets("nflog.tlv_value", c.remaining)


PPI = Protocol("ppi", "Per-packet information", 1, PPI_FIELDS, dissect_ppi, keys={"link": [192]})
PKTAP = Protocol("pktap", "Apple PKTAP", 1, PKTAP_FIELDS, dissect_pktap, keys={"link": [149, 258]})
JUNIPER = Protocol("juniper", "Juniper", 2, JUNIPER_FIELDS, dissect_juniper, keys={"link": [178]})
NFLOG = Protocol("nflog", "Linux netfilter log", 2, NFLOG_FIELDS, dissect_nflog, keys={"link": [239]})
