"""GPRS tunnelling: version 1 (3GPP TS 29.060 for control, TS 29.281 for user data) and version 2 (TS 29.274).

Not here: the information elements of control messages, which are shown as bytes; version 0.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, u8, u16, u24, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol

G_PDU = 255
MESSAGES = {1: "Echo request", 2: "Echo response", 3: "Version not supported", 16: "Create PDP context request",
            17: "Create PDP context response", 18: "Update PDP context request", 19: "Update PDP context response",
            20: "Delete PDP context request", 21: "Delete PDP context response", 26: "Error indication",
            31: "Supported extension headers notification", 240: "Data record transfer request",
            241: "Data record transfer response", 254: "End marker", G_PDU: "G-PDU: user data"}  # fmt: skip
MESSAGES2 = {1: "Echo request", 2: "Echo response", 3: "Version not supported", 32: "Create session request",
             33: "Create session response", 34: "Modify bearer request", 35: "Modify bearer response",
             36: "Delete session request", 37: "Delete session response", 95: "Create bearer request",
             96: "Create bearer response", 97: "Update bearer request", 98: "Update bearer response",
             99: "Delete bearer request", 100: "Delete bearer response", 170: "Release access bearers request",
             171: "Release access bearers response", 176: "Downlink data notification"}  # fmt: skip
EXTENSIONS = {0x00: "none", 0x01: "MBMS support", 0x02: "MS info change reporting", 0x20: "service class indicator",
              0x40: "UDP port", 0x81: "RAN container", 0x82: "long PDCP PDU number", 0x83: "Xw RAN container",
              0x84: "NR RAN container", 0x85: "PDU session container", 0xC0: "PDCP PDU number", 0xC1: "suspend request",
              0xC2: "suspend response"}  # fmt: skip

FIELDS = catalog(
    u8("gtp.flags", "Flags", Base.HEX),
    uint("gtp.flags.version", "Version", 3),
    uint("gtp.flags.payload", "Protocol type", 1, values={0: "GTP'", 1: "GTP"}),
    uint("gtp.flags.reserved", "Reserved", 1),
    flag("gtp.flags.e", "Extension headers are there"),
    flag("gtp.flags.s", "Sequence number is there"),
    flag("gtp.flags.pn", "N-PDU number is there"),
    u8("gtp.message", "Message", Base.HEX, MESSAGES),
    u16("gtp.length", "Length"),
    u32("gtp.teid", "Tunnel endpoint", Base.HEX),
    u16("gtp.seq_number", "Sequence number", Base.HEX),
    u8("gtp.npdu_number", "N-PDU number", Base.HEX),
    u8("gtp.next", "Next extension header", Base.HEX, EXTENSIONS),
    heading("gtp.ext_hdr", "Extension header"),
    u8("gtp.ext_hdr.length", "Length in words"),
    octets("gtp.ext_hdr.data", "Content"),
    u8("gtp.ext_hdr.next", "Next extension header", Base.HEX, EXTENSIONS),
    octets("gtp.ie", "Information elements"),
)
FIELDS2 = catalog(
    u8("gtpv2.flags", "Flags", Base.HEX),
    uint("gtpv2.version", "Version", 3),
    flag("gtpv2.p", "Another message follows"),
    flag("gtpv2.t", "Tunnel endpoint is there"),
    flag("gtpv2.mp", "Message priority is there"),
    u8("gtpv2.message_type", "Message", values=MESSAGES2),
    u16("gtpv2.msg_lengt", "Length"),
    u32("gtpv2.teid", "Tunnel endpoint", Base.HEX),
    u24("gtpv2.seq", "Sequence number", Base.HEX),
    u8("gtpv2.spare", "Spare"),
    octets("gtpv2.ie", "Information elements"),
)


def dissect(c: Cursor) -> None:
    flags = c.flags(
        "gtp.flags", 1, ("gtp.flags.version", 3), ("gtp.flags.payload", 1), ("gtp.flags.reserved", 1), ("gtp.flags.e", 1),
        ("gtp.flags.s", 1), ("gtp.flags.pn", 1),
    )  # fmt: skip
    message = c.uint("gtp.message", 1)
    c.layer.summary = MESSAGES.get(message, f"message {message}")
    if flags >> 5 != 1:
        c.issue("version", f"version {flags >> 5} has another header, which is not dissected", Severity.NOTE)
        c.octets("gtp.ie", c.remaining)
        return
    length = c.uint("gtp.length", 2)
    if not flags & 0x10:  # GTP': charging records have a sequence number and no tunnel (TS 32.295, 6.1)
        c.uint("gtp.seq_number", 2)
        if c.remaining:
            c.octets("gtp.ie", c.remaining)
        return
    c.layer.summary += f"  tunnel 0x{c.uint('gtp.teid', 4):08x}"
    end = c.pos + length
    if end > c.stop + c.context.cut:
        at = c.span(c.start + 2, c.start + 4)
        c.issue("length", "the header promises more bytes than the datagram holds", Severity.ERROR, at)
    if flags & 7:  # any of the three bits brings all three fields (TS 29.281, 5.1)
        c.uint("gtp.seq_number", 2)
        c.uint("gtp.npdu_number", 1)
        following = c.uint("gtp.next", 1)
        while flags & 4 and following:
            with c.group("gtp.ext_hdr", text=EXTENSIONS.get(following)):
                words = c.uint("gtp.ext_hdr.length", 1)
                if not words:
                    c.issue("length", "an extension header of no length cannot be passed (TS 29.281, 5.2.1)", Severity.ERROR)
                    return
                c.octets("gtp.ext_hdr.data", words * 4 - 2)
                following = c.uint("gtp.ext_hdr.next", 1)
    size = max(end - c.pos, 0)
    if message != G_PDU:
        if min(size, c.remaining):
            c.octets("gtp.ie", min(size, c.remaining))
        return
    version = c.peek(1)[0] >> 4 if c.remaining else 0
    if version in (4, 6):  # nothing names the user's protocol: its first four bits do
        c.payload("ip.version", version, size, f"the user data begins with {version}, as IPv{version} does")
    elif c.peek(2) == b"\xff\x03":
        c.payload("ppp", "ppp", size, "the user data begins as PPP does")
    else:
        c.payload("gtp", "user data", size)


def dissect2(c: Cursor) -> None:
    flags = c.flags("gtpv2.flags", 1, ("gtpv2.version", 3), ("gtpv2.p", 1), ("gtpv2.t", 1), ("gtpv2.mp", 1), (None, 2))
    message = c.uint("gtpv2.message_type", 1)
    c.layer.summary = MESSAGES2.get(message, f"message {message}")
    length = c.uint("gtpv2.msg_lengt", 2)
    with c.within(length):
        if flags & 8:
            c.layer.summary += f"  tunnel 0x{c.uint('gtpv2.teid', 4):08x}"
        c.uint("gtpv2.seq", 3)
        c.uint("gtpv2.spare", 1)
        if c.remaining:
            c.octets("gtpv2.ie", c.remaining)
    if c.remaining:
        if flags & 0x10:
            c.payload("gtp", "next message", None, "the flag P says that another message follows (TS 29.274, 5.5.1)")
        else:
            c.octets("gtpv2.ie", c.remaining)


def dissect_any(c: Cursor) -> None:
    """By the version, which both headers begin with."""
    if c.peek_uint(1) >> 5 == 2:
        c.layer.protocol, c.layer.title = V2.name, V2.title
        dissect2(c)
    else:
        dissect(c)


V2 = Protocol("gtpv2", "GTPv2", 4, FIELDS2, dissect2, reference="3GPP TS 29.274")
PROTOCOL = Protocol(
    "gtp", "GTP", 4, {**FIELDS, **FIELDS2}, dissect_any,
    keys={"udp.port": [2123, 2152, 3386], "gtp": ["next message"]}, reference="3GPP TS 29.281",
)  # fmt: skip
