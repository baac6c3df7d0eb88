"""CAPWAP data channel: the frames of a wireless access point to its controller (RFC 5415, section 4.3).

Not here: DTLS, fragments, and the control channel's messages.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, u8, u16, uint
from inspector.core.protocol import Protocol

NATIVE, FRAGMENT, LAST, WIRELESS, RADIO, KEEP_ALIVE = 0x100, 0x80, 0x40, 0x20, 0x10, 0x08
IEEE_80211 = 1  # wireless binding (RFC 5416)

FIELDS = catalog(
    uint("capwap.preamble.version", "Version", 4),
    uint("capwap.preamble.type", "Type", 4, values={0: "clear", 1: "DTLS"}),
    uint("capwap.header.length", "Header length", 5, scale=4, unit="bytes"),
    uint("capwap.header.rid", "Radio", 5),
    uint("capwap.header.wbid", "Wireless binding", 5, values={1: "802.11", 3: "EPCGlobal"}),
    uint("capwap.header.flags", "Flags", 9, Base.HEX),
    flag("capwap.header.flags.t", "The frame has the form of the wireless binding"),
    flag("capwap.header.flags.f", "Fragment"),
    flag("capwap.header.flags.l", "Last fragment"),
    flag("capwap.header.flags.w", "Wireless information is there"),
    flag("capwap.header.flags.m", "Radio MAC address is there"),
    flag("capwap.header.flags.k", "Keep-alive"),
    uint("capwap.header.flags.r", "Reserved", 3),
    u16("capwap.header.fragment.id", "Fragment id"),
    uint("capwap.header.fragment.offset", "Fragment offset", 13, scale=8),
    uint("capwap.header.fragment.reserved", "Reserved", 3),
    heading("capwap.header.mac", "Radio MAC address"),
    u8("capwap.header.mac.length", "Length"),
    octets("capwap.header.mac.data", "Address"),
    heading("capwap.header.wireless", "Wireless information"),
    u8("capwap.header.wireless.length", "Length"),
    octets("capwap.header.wireless.data", "Data"),
    octets("capwap.header.padding", "Padding"),
    octets("capwap.data", "Data"),
)


def dissect(c: Cursor) -> None:
    start = c.pos
    _, sort = c.bits(1, ("capwap.preamble.version", 4), ("capwap.preamble.type", 4))
    if sort:
        c.layer.summary = "encrypted"
        c.octets("capwap.data", c.remaining)
        return
    length, radio, binding, flags = c.bits(
        3, ("capwap.header.length", 5), ("capwap.header.rid", 5), ("capwap.header.wbid", 5),
        ("capwap.header.flags", 9, (
            ("capwap.header.flags.t", 1), ("capwap.header.flags.f", 1), ("capwap.header.flags.l", 1),
            ("capwap.header.flags.w", 1), ("capwap.header.flags.m", 1), ("capwap.header.flags.k", 1),
            ("capwap.header.flags.r", 3))),
    )  # fmt: skip
    c.uint("capwap.header.fragment.id", 2)
    c.bits(2, ("capwap.header.fragment.offset", 13), ("capwap.header.fragment.reserved", 3))
    for bit, name in ((RADIO, "mac"), (WIRELESS, "wireless")):
        if flags & bit:
            with c.group(f"capwap.header.{name}"):
                c.octets(f"capwap.header.{name}.data", c.uint(f"capwap.header.{name}.length", 1))
            padding = -(c.pos - start) % 4
            if padding:
                c.octets("capwap.header.padding", padding)
    if start + length > c.pos:
        c.octets("capwap.header.padding", start + length - c.pos)
    c.layer.summary = f"radio {radio}"
    if flags & (FRAGMENT | KEEP_ALIVE):
        c.layer.summary += ", fragment" if flags & FRAGMENT else ", keep-alive"
        if c.remaining:
            c.octets("capwap.data", c.remaining)
    elif not flags & NATIVE:
        c.payload("ethernet", "ethernet", None, "flag T is clear: an 802.3 frame (RFC 5415, 4.3)")
    elif binding == IEEE_80211:
        c.payload("capwap", "802.11", None, "the wireless binding is 802.11 (RFC 5416)")
    else:
        c.payload("capwap", binding)


PROTOCOL = Protocol("capwap.data", "CAPWAP data", 4, FIELDS, dissect, keys={"udp.port": [5247]}, reference="RFC 5415")
