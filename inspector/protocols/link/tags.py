"""Tags between the addresses of an Ethernet frame and its payload: each ends in the type of what follows.

VN-Tag (Cisco), E-Tag (IEEE 802.1BR, 7.5), the I-tag of provider backbone bridging (IEEE 802.1ah, 9.7), MACsec
(IEEE 802.1AE, 9), Cisco MetaData, and Arista's time stamps.

Not here: what MACsec encrypts.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, Field, catalog, cell, ether, flag, heading, octets, u8, u16, u24, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES, type_or_length

ICV_SIZE = 16  # of the default cipher suites (IEEE 802.1AE, 14.5)
TIMESTAMP_SUBTYPE = 1  # Arista
TIMESTAMP_64, TIMESTAMP_48 = (0x0010, 0x0110), (0x0020, 0x0120)

VNTAG_FIELDS = catalog(
    flag("vntag.dir", "To the bridge"),
    flag("vntag.ptr", "The destination is a list"),
    uint("vntag.dst", "Destination interface", 14),
    flag("vntag.looped", "Came back from the bridge"),
    uint("vntag.r", "Reserved", 1),
    uint("vntag.version", "Version", 2),
    uint("vntag.src", "Source interface", 12),
    u16("vntag.etype", "Type", Base.HEX, ETHERTYPES),
    u16("vntag.len", "Length"),
)
ETAG_FIELDS = catalog(
    uint("etag.pcp", "Priority", 3),
    uint("etag.dei", "Drop eligible", 1),
    uint("etag.iecid_base", "Ingress E-CID, base", 12, Base.HEX),
    uint("etag.resv", "Reserved", 2),
    uint("etag.group", "Group", 2),
    uint("etag.ecid_base", "E-CID, base", 12, Base.HEX),
    u8("etag.iecid_ext", "Ingress E-CID, extension", Base.HEX),
    u8("etag.ecid_ext", "E-CID, extension", Base.HEX),
    u16("etag.etype", "Type", Base.HEX, ETHERTYPES),
    u16("etag.len", "Length"),
)
PBB_FIELDS = catalog(
    uint("ieee8021ah.priority", "Priority", 3),
    uint("ieee8021ah.drop", "Drop eligible", 1),
    uint("ieee8021ah.nca", "No customer addresses", 1),
    uint("ieee8021ah.res1", "Reserved", 1),
    uint("ieee8021ah.res2", "Reserved", 2),
    u24("ieee8021ah.isid", "Service"),
    ether("ieee8021ah.cdst", "Customer destination"),
    ether("ieee8021ah.csrc", "Customer source"),
    u16("ieee8021ah.etype", "Type", Base.HEX, ETHERTYPES),
    u16("ieee8021ah.len", "Length"),
)
MACSEC_FIELDS = catalog(
    uint("macsec.TCI", "Tag control information", 6, Base.HEX),
    uint("macsec.TCI.V", "Version", 1),
    flag("macsec.TCI.ES", "End station"),
    flag("macsec.TCI.SC", "Secure channel identifier is there"),
    flag("macsec.TCI.SCB", "Single copy broadcast"),
    flag("macsec.TCI.E", "Encrypted"),
    flag("macsec.TCI.C", "Text changed"),
    uint("macsec.AN", "Association number", 2),
    u8("macsec.SL", "Short length"),
    u32("macsec.PN", "Packet number"),
    ether("macsec.SCI.system_identifier", "System"),
    u16("macsec.SCI.port_identifier", "Port"),
    u16("macsec.etype", "Type", Base.HEX, ETHERTYPES),
    u16("macsec.len", "Length"),
    octets("macsec.data", "Encrypted data"),
    octets("macsec.ICV", "Integrity check value"),
)
CMD_FIELDS = catalog(
    u8("cmd.version", "Version"),
    u8("cmd.length", "Length"),
    u16("cmd.options", "Options", Base.HEX),
    u16("cmd.sgt", "Security group tag"),
    u16("cmd.type", "Type", Base.HEX, ETHERTYPES),
    u16("cmd.len", "Length"),
)
ARISTA_FIELDS = catalog(
    u16("avsp.sub_type", "Subtype", values={TIMESTAMP_SUBTYPE: "time stamp"}),
    u16("avsp.ver", "Version", Base.HEX),
    heading("avsp.64ts", "Time stamp"),
    u32("avsp.64sec", "Seconds"),
    u32("avsp.64ns", "Nanoseconds"),
    heading("avsp.48ts", "Time stamp"),
    u16("avsp.48sec", "Seconds"),
    u32("avsp.48ns", "Nanoseconds"),
    u16("avsp.etype", "Type", Base.HEX, ETHERTYPES),
    u16("avsp.len", "Length"),
)


def dissect_vntag(c: Cursor) -> None:
    _, _, destination, _, _, _, source = c.bits(
        4, ("vntag.dir", 1), ("vntag.ptr", 1), ("vntag.dst", 14), ("vntag.looped", 1), ("vntag.r", 1), ("vntag.version", 2),
        ("vntag.src", 12),
    )  # fmt: skip
    c.layer.summary = f"interface {source} → {destination}"
    type_or_length(c, "vntag.etype", "vntag.len")


def dissect_etag(c: Cursor) -> None:
    c.bits(2, ("etag.pcp", 3), ("etag.dei", 1), ("etag.iecid_base", 12))
    _, _, channel = c.bits(2, ("etag.resv", 2), ("etag.group", 2), ("etag.ecid_base", 12))
    c.uint("etag.iecid_ext", 1)
    c.uint("etag.ecid_ext", 1)
    c.layer.summary = f"channel 0x{channel:03x}"
    type_or_length(c, "etag.etype", "etag.len")


def dissect_pbb(c: Cursor) -> None:
    *_, service = c.bits(
        4, ("ieee8021ah.priority", 3), ("ieee8021ah.drop", 1), ("ieee8021ah.nca", 1), ("ieee8021ah.res1", 1),
        ("ieee8021ah.res2", 2), ("ieee8021ah.isid", 24),
    )  # fmt: skip
    c.octets("ieee8021ah.cdst", 6)
    c.octets("ieee8021ah.csrc", 6)
    destination, source = (cell(field.spec, field.value) for field in c.layer.fields[-2:])
    c.layer.summary = f"service {service}, {source} → {destination}"
    type_or_length(c, "ieee8021ah.etype", "ieee8021ah.len")


def dissect_macsec(c: Cursor) -> None:
    flags, number = c.bits(
        1,
        ("macsec.TCI", 6, (("macsec.TCI.V", 1), ("macsec.TCI.ES", 1), ("macsec.TCI.SC", 1), ("macsec.TCI.SCB", 1),
                           ("macsec.TCI.E", 1), ("macsec.TCI.C", 1))),
        ("macsec.AN", 2),
    )  # fmt: skip
    short = c.uint("macsec.SL", 1)
    packet = c.uint("macsec.PN", 4)
    if flags & 0x08:
        c.octets("macsec.SCI.system_identifier", 6)
        c.uint("macsec.SCI.port_identifier", 2)
    c.layer.summary = f"association {number}, packet {packet:,}"
    # The short length counts the secure data where it is below 48 octets (IEEE 802.1AE, 9.7).
    secure = short if 0 < short < 48 else c.remaining - ICV_SIZE
    if not 0 <= secure <= c.remaining - ICV_SIZE:
        c.issue("length", "no room for the integrity check value of 16 bytes (IEEE 802.1AE, 9.11)", Severity.ERROR)
        secure = max(c.remaining - ICV_SIZE, 0)
    check = c.pos + secure
    if flags & 0x03 == 0 and secure >= 2:
        kind = c.uint("macsec.etype", 2)
        c.payload("ethertype", kind, secure - 2)
    else:
        c.layer.summary += ", encrypted" if flags & 0x02 else ""
        if secure:
            c.octets("macsec.data", secure)
    rest = min(ICV_SIZE, c.remaining) if c.pos == check else 0
    if rest:
        c.octets("macsec.ICV", rest)


def dissect_cmd(c: Cursor) -> None:
    c.uint("cmd.version", 1)
    c.uint("cmd.length", 1)
    c.uint("cmd.options", 2)
    c.layer.summary = f"security group {c.uint('cmd.sgt', 2)}"
    type_or_length(c, "cmd.type", "cmd.len")


def dissect_cmd_in_gre(c: Cursor) -> None:
    """In GRE the type stands in front."""
    kind = c.uint("cmd.type", 2)
    c.uint("cmd.version", 1)
    c.uint("cmd.length", 1)
    c.uint("cmd.options", 2)
    c.layer.summary = f"security group {c.uint('cmd.sgt', 2)}"
    c.payload("ethertype", kind)


def dissect_arista(c: Cursor) -> None:
    subtype = c.uint("avsp.sub_type", 2)
    version = c.uint("avsp.ver", 2)
    c.layer.summary = f"subtype {subtype}"
    if subtype != TIMESTAMP_SUBTYPE:
        c.payload("avsp.sub_type", subtype)
        return
    stamp: Field
    if version in TIMESTAMP_64:
        with c.group("avsp.64ts") as stamp:
            seconds, nanoseconds = c.uint("avsp.64sec", 4), c.uint("avsp.64ns", 4)
    elif version in TIMESTAMP_48:
        with c.group("avsp.48ts") as stamp:
            seconds, nanoseconds = c.uint("avsp.48sec", 2), c.uint("avsp.48ns", 4)
    else:
        c.issue("version", f"a time stamp of version 0x{version:04x} has no known form")
        c.payload("avsp.sub_type", subtype)
        return
    stamp.text = f"{seconds}.{nanoseconds:09d} s"
    c.layer.summary = f"time stamp {stamp.text}"
    type_or_length(c, "avsp.etype", "avsp.len")


VNTAG = Protocol("vntag", "VN-Tag", 2, VNTAG_FIELDS, dissect_vntag, keys={"ethertype": [0x8926]})
ETAG = Protocol("etag", "802.1BR E-Tag", 2, ETAG_FIELDS, dissect_etag, keys={"ethertype": [0x893F]}, reference="IEEE 802.1BR")
PBB = Protocol(
    "ieee8021ah", "802.1ah I-tag", 2, PBB_FIELDS, dissect_pbb, keys={"ethertype": [0x88E7]}, reference="IEEE 802.1ah"
)
MACSEC = Protocol("macsec", "MACsec", 2, MACSEC_FIELDS, dissect_macsec, keys={"ethertype": [0x88E5]}, reference="IEEE 802.1AE")
CMD = Protocol("cmd", "Cisco MetaData", 2, CMD_FIELDS, dissect_cmd, keys={"ethertype": [0x8909]})
CMD_IN_GRE = Protocol("cmd", "Cisco MetaData", 2, CMD_FIELDS, dissect_cmd_in_gre, keys={"gre.cmd": ["cmd"]})
ARISTA = Protocol("avsp", "Arista time stamp", 2, ARISTA_FIELDS, dissect_arista, keys={"ethertype": [0xD28B]})
