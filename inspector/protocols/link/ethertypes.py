"""EtherType values (IANA "IEEE 802 Numbers")."""

from __future__ import annotations

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
}
