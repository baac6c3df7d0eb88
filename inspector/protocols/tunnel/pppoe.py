"""PPP over Ethernet (RFC 2516) and PPP (RFC 1661, 1662).

Not here: the control protocols of PPP, which are shown as bytes.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, u8, u16, uint
from inspector.core.protocol import Protocol

IPV4, IPV6, MPLS = 0x0021, 0x0057, 0x0281
PROTOCOLS = {
    IPV4: "IPv4",
    IPV6: "IPv6",
    MPLS: "MPLS",
    0xC021: "LCP",
    0xC023: "PAP",
    0xC223: "CHAP",
    0x8021: "IPCP",
    0x8057: "IPv6CP",
}
ETHERTYPES = {IPV4: 0x0800, IPV6: 0x86DD, MPLS: 0x8847}

FIELDS = catalog(
    uint("pppoe.version", "Version", 4),
    uint("pppoe.type", "Type", 4),
    u8("pppoe.code", "Code", Base.HEX, {0: "Session data", 7: "PADO", 9: "PADI", 0x19: "PADR", 0x65: "PADS", 0xA7: "PADT"}),
    u16("pppoe.session_id", "Session", Base.HEX),
    u16("pppoe.payload_length", "Payload length"),
)
PPP_FIELDS = catalog(
    u8("ppp.address", "Address", Base.HEX),
    u8("ppp.control", "Control", Base.HEX),
    u16("ppp.protocol", "Protocol", Base.HEX, PROTOCOLS),
)


def dissect(c: Cursor) -> None:
    c.bits(1, ("pppoe.version", 4), ("pppoe.type", 4))
    code = c.uint("pppoe.code", 1)
    session = c.uint("pppoe.session_id", 2)
    size = c.uint("pppoe.payload_length", 2)
    c.layer.summary = f"session 0x{session:04x}" if code == 0 else c.layer.fields[2].text
    c.payload("pppoe", "session" if code == 0 else "discovery", size)


def dissect_ppp(c: Cursor) -> None:
    if c.peek(1) in (b"\x0f", b"\x8f") and c.remaining >= 4:  # no address that PPP has: Cisco's framing
        c.layer.summary = "in Cisco's framing"
        c.payload("ppp", "chdlc", None, f"the first byte is 0x{c.peek_uint(1):02x}, Cisco HDLC's address")
        return
    if c.peek(2) == b"\xff\x03":  # HDLC-like framing (RFC 1662, 3.1)
        c.uint("ppp.address", 1)
        c.uint("ppp.control", 1)
    size = 1 if c.peek_uint(1) & 1 else 2  # a compressed protocol field is odd (RFC 1661, 2)
    kind = c.uint("ppp.protocol", size)
    c.layer.summary = PROTOCOLS.get(kind, f"protocol 0x{kind:04x}")
    if kind in ETHERTYPES:
        c.payload("ethertype", ETHERTYPES[kind], None, f"PPP's protocol field is 0x{kind:04x}")
    else:
        c.payload("ppp.protocol", kind)


PROTOCOL = Protocol(
    "pppoe", "PPPoE", 2, FIELDS, dissect, keys={"ethertype": [0x8863, 0x8864], "link": [51]}, reference="RFC 2516"
)
PPP = Protocol(
    "ppp", "PPP", 2, PPP_FIELDS, dissect_ppp,
    keys={"pppoe": ["session"], "ppp": ["ppp"], "ethertype": [0x880B], "link": [9, 50]}, reference="RFC 1661",
)  # fmt: skip
