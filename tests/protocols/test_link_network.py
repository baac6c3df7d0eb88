"""Links, networks and tunnels: every layer in its place, and no bytes that make a dissector raise."""

from __future__ import annotations

import pytest
from packets import assert_holds, dissect
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)

INNER = ETHER / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(sport=1, dport=2)
CASES = {
    "arp": (ETHER / ARP(op=2, psrc="192.0.2.1", pdst="192.0.2.2"), ["eth", "arp"], ("arp.opcode", 2)),
    "vlan": (ETHER / Dot1Q(vlan=7) / IP() / UDP(sport=1, dport=2), ["eth", "vlan", "ip", "udp"], ("vlan.id", 7)),
    "icmp": (ETHER / IP() / ICMP(type=8), ["eth", "ip", "icmp"], ("icmp.type", 8)),
    "icmpv6": (ETHER / IPv6() / ICMPv6EchoRequest(), ["eth", "ipv6", "icmpv6"], ("icmpv6.type", 128)),
    "vxlan": (
        ETHER / IP() / UDP(sport=50000, dport=4789) / VXLAN(vni=0x123456) / INNER,
        ["eth", "ip", "udp", "vxlan", "eth", "ip", "tcp"],
        ("vxlan.vni", 0x123456),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layers(name: str) -> None:
    made, layers, (field, value) = CASES[name]
    found = dissect(bytes(made))
    assert [layer.protocol for layer in found.layers] == layers
    assert value in [layer.value(field) for layer in found.layers]


@pytest.mark.parametrize("name", CASES)
def test_no_bytes_raise(name: str) -> None:
    assert_holds(bytes(CASES[name][0]))


def test_a_segment_longer_than_ipv4_can_carry() -> None:
    made = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", len=0) / TCP(sport=1, dport=2) / bytes(70000)
    tcp = dissect(bytes(made)).find("tcp")
    assert tcp is not None and "checksum" not in {issue.code for issue in tcp.issues}
