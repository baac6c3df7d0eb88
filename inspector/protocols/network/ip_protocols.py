"""IP protocol numbers (IANA "Protocol Numbers")."""

from __future__ import annotations

IP_PROTOCOLS = {
    0: "IPv6 hop-by-hop options",
    1: "ICMP",
    2: "IGMP",
    4: "IPv4",
    6: "TCP",
    17: "UDP",
    41: "IPv6",
    43: "IPv6 routing header",
    44: "IPv6 fragment header",
    46: "RSVP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    58: "ICMPv6",
    59: "no next header",
    60: "IPv6 destination options",
    88: "EIGRP",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    115: "L2TP",
    132: "SCTP",
    135: "Mobility header",
    136: "UDP-Lite",
    137: "MPLS-in-IP",
    139: "HIP",
    140: "Shim6",
}
