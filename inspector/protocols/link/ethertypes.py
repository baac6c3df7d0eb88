"""EtherType values (IANA "IEEE 802 Numbers"), and what every tag that ends in one shares."""

from __future__ import annotations

from inspector.core.cursor import Cursor

TAGS = (0x8100, 0x88A8, 0x9100)
PPPOE = 0x8864
MAX_LENGTH = 1500  # a type field up to this is a length (IEEE 802.3, 3.2.6)

ETHERTYPES = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x8035: "RARP",
    0x8100: "802.1Q VLAN",
    0x86DD: "IPv6",
    0x8808: "Ethernet flow control",
    0x8847: "MPLS",
    0x8848: "MPLS with upstream-assigned label",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE session",
    0x888E: "802.1X",
    0x88A8: "802.1ad service VLAN",
    0x88CC: "LLDP",
    0x6558: "Transparent Ethernet bridging",
    0x880B: "PPP",
    0x88BE: "ERSPAN type II",
    0x22EB: "ERSPAN type III",
    0x9100: "VLAN double tagging",
    0x8870: "Jumbo LLC",
    0x8903: "Cisco FabricPath",
    0x88E5: "MACsec",
    0x88E7: "802.1ah provider backbone bridging",
    0x8909: "Cisco MetaData",
    0x8926: "VN-Tag",
    0x893F: "802.1BR E-Tag",
    0x894F: "Network service header",
    0xD28B: "Arista vendor protocol",
}


def type_or_length(c: Cursor, type_name: str, length_name: str) -> int:
    """Reads a field that is a type, or a length up to 1,500, and hands on what follows; returns its value."""
    kind = c.peek_uint(2)
    if kind <= MAX_LENGTH:
        c.uint(length_name, 2)
        c.payload("llc", "llc", kind, "the type field holds a length: LLC follows (IEEE 802.3, 3.2.6)")
    else:
        c.uint(type_name, 2)
        c.payload("ethertype", kind)
    return kind


def inner_size(c: Cursor, kind: int) -> int:
    """Bytes of the packet inside, which says so itself; all that are left where it does not."""
    at = 0
    while kind in TAGS and c.remaining >= at + 4:
        kind = c.peek_uint(2, at + 2)
        at += 4
    head = c.peek(8, at)
    if len(head) < 8:
        return c.remaining
    if kind == 0x0800 and head[0] >> 4 == 4:
        size = int.from_bytes(head[2:4], "big")
    elif kind == 0x86DD and head[0] >> 4 == 6:
        length = int.from_bytes(head[4:6], "big")
        size = 40 + length if length else 0
    elif kind == PPPOE:
        size = 6 + int.from_bytes(head[4:6], "big")
    elif kind in (0x0806, 0x8035):
        size = 8 + 2 * (head[4] + head[5])
    else:
        size = 0
    return min(at + size, c.remaining) if size >= 8 else c.remaining
