"""Tunnels on packets made by scapy: what is inside is dissected like any other packet, and every prefix and mutation holds."""

from __future__ import annotations

import random

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import GRE, LLC, SNAP, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE

from inspector.core.packet import Packet
from inspector.dissection.engine import Engine, make_registry

INNER = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000, dport=4001) / b"payload"
CASES = {
    "gre": (Ether() / IP(src="198.51.100.1", dst="198.51.100.2") / GRE(key_present=1, key=7) / INNER,
            ["eth", "ip", "gre", "ip", "udp"]),
    "mpls": (Ether(type=0x8847) / MPLS(label=16, s=0) / MPLS(label=17, s=1) / INNER, ["eth", "mpls", "mpls", "ip", "udp"]),
    "pppoe": (Ether(type=0x8864) / PPPoE(sessionid=1) / PPP() / INNER, ["eth", "pppoe", "ppp", "ip", "udp"]),
    "snap": (Dot3() / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x0800) / INNER, ["eth", "llc", "ip", "udp"]),
}  # fmt: skip


def names(data: bytes) -> list[str]:
    return [layer.protocol for layer in engine().dissect(Packet(1, 0, 1, len(data), data)).layers]


def engine() -> Engine:
    return Engine(make_registry(), strict=True)


@pytest.mark.parametrize("name", CASES)
def test_the_inner_packet_is_dissected(name: str) -> None:
    made, wanted = CASES[name]
    data = bytes(made)
    assert names(data)[: len(wanted)] == wanted
    result = engine().dissect(Packet(1, 0, 1, len(data), data))
    assert not [span for layer in result.layers for span in layer.unclaimed()]
    assert not [issue for layer in result.layers for issue in layer.issues]


@pytest.mark.parametrize("name", CASES)
def test_any_prefix_and_any_mutation_holds(name: str) -> None:
    data = bytes(CASES[name][0])
    for size in range(len(data)):
        assert names(data[:size])
    rng = random.Random(name)
    for _ in range(200):
        changed = bytearray(data)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        assert names(bytes(changed))
