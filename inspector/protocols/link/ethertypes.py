"""EtherType values (IANA "IEEE 802 Numbers"), and what every tag that ends in one shares."""

from __future__ import annotations

from inspector.core.cursor import Cursor

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
    0x8881: "Cisco FabricPath",
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
