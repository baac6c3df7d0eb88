"""Linux "cooked" captures, versions 1 and 2 (link types 113 and 276), BSD null/loop (0, 108) and raw IP."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, ether, octets, u8, u16, u32
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES, inner_size

PACKET_TYPES = {0: "to us", 1: "broadcast", 2: "multicast", 3: "to somebody else", 4: "sent by us"}
MIN_TYPE, LLC = 0x0600, 0x0004
FAMILIES = {2: "IPv4", 24: "IPv6", 28: "IPv6", 30: "IPv6"}

FIELDS = catalog(
    u16("sll.pkttype", "Packet type", values=PACKET_TYPES),
    u16("sll.hatype", "Link-layer address type"),
    u16("sll.halen", "Link-layer address length"),
    ether("sll.src.eth", "Source"),
    octets("sll.src.other", "Source"),
    octets("sll.unused", "Unused"),
    u16("sll.etype", "Protocol", Base.HEX, ETHERTYPES),
    u16("sll.ltype", "Protocol", Base.HEX, {0x0001: "802.3 without LLC", LLC: "LLC"}),
    u32("sll.ifindex", "Interface index"),
    octets("sll.trailer", "Trailer"),
)
NULL_FIELDS = catalog(u32("null.family", "Address family", values=FAMILIES))
RAW_FIELDS = catalog(u8("raw.version", "Version"))


def dissect(c: Cursor) -> None:
    kind = c.uint("sll.pkttype", 2)
    c.uint("sll.hatype", 2)
    length = c.uint("sll.halen", 2)
    _address(c, length)
    protocol = _type(c)
    c.layer.summary = PACKET_TYPES.get(kind, f"packet type {kind}")
    _inner(c, protocol)


def _type(c: Cursor) -> int:
    """An EtherType, or below 0x0600 one of Linux's own numbers (linux/if_ether.h)."""
    return c.uint("sll.ltype" if c.peek_uint(2) < MIN_TYPE else "sll.etype", 2)


def _inner(c: Cursor, protocol: int) -> None:
    if protocol == LLC:
        c.payload("llc", "llc", None, "Linux's protocol number 4: LLC follows")
        return
    c.payload("ethertype", protocol, inner_size(c, protocol))
    if c.remaining:
        c.octets("sll.trailer", c.remaining)


def _address(c: Cursor, length: int) -> None:
    if length == 6:
        c.octets("sll.src.eth", 6)
        c.octets("sll.unused", 2)
    else:
        c.octets("sll.src.other", 8)


def dissect_v2(c: Cursor) -> None:
    protocol = _type(c)
    c.octets("sll.unused", 2)
    c.uint("sll.ifindex", 4)
    c.uint("sll.hatype", 2)
    kind = c.uint("sll.pkttype", 1)
    _address(c, c.uint("sll.halen", 1))
    c.layer.summary = PACKET_TYPES.get(kind, f"packet type {kind}")
    _inner(c, protocol)


def dissect_null(c: Cursor) -> None:
    big = c.peek_uint(4)
    family = c.uint("null.family", 4, little=big > 0xFFFF)
    c.layer.summary = FAMILIES.get(family, f"family {family}")
    if family not in FAMILIES:
        c.issue("family", f"address family {family} is not dissected", Severity.NOTE)
    c.payload("ip.version", {"IPv4": 4, "IPv6": 6}.get(FAMILIES.get(family, ""), 0))


def dissect_raw(c: Cursor) -> None:
    c.payload("ip.version", c.peek_uint(1) >> 4)
    c.layer.summary = "no link layer in this capture"


SLL = Protocol("sll", "Linux cooked capture", 2, FIELDS, dissect, keys={"link": [113]})
SLL2 = Protocol("sll2", "Linux cooked capture v2", 2, FIELDS, dissect_v2, keys={"link": [276]})
NULL = Protocol("null", "BSD loopback", 2, NULL_FIELDS, dissect_null, keys={"link": [0, 108]})
RAW = Protocol("raw", "Raw IP", 2, RAW_FIELDS, dissect_raw, keys={"link": [12, 14, 101, 228, 229]})
