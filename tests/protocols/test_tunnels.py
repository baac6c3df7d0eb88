"""Tunnels: what is inside is dissected like any other packet, and every prefix and mutation holds."""

from __future__ import annotations

import struct

import pytest
from packets import assert_clean, assert_holds, assert_sound, codes, dissect, names, values
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, LLC, SNAP, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE

from inspector.index.decode import TUNNEL_PORTS
from inspector.protocols import PROTOCOLS

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)

TEXT = b"payload of the test, 32 bytes on"
INNER = bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000, dport=4001) / TEXT)
INNER6 = bytes(IPv6(src="2001::1", dst="2001:db8::2") / UDP(sport=4000, dport=4001) / TEXT)
FRAME = bytes.fromhex("0200000000020200000000010800") + INNER


def over_udp(port: int, data: bytes) -> bytes:
    return bytes(ETHER / IP(src="198.51.100.1", dst="198.51.100.2") / UDP(sport=50000, dport=port) / data)


def over_gre(flags: int, kind: int, data: bytes) -> bytes:
    return bytes(ETHER / IP(src="198.51.100.1", dst="198.51.100.2", proto=47) / (struct.pack(">HH", flags, kind) + data))


def gtp(flags: int, message: int, data: bytes) -> bytes:
    return struct.pack(">BBHI", flags, message, len(data), 7) + data


UDP_INNER, IP_INNER = ["ip", "udp", "data"], ["eth", "ip", "udp", "data"]
# name → (bytes, layers behind the outer Ethernet, a field and its value)
CASES: dict[str, tuple[bytes, list[str], str, object]] = {
    "gre": (
        bytes(ETHER / IP(src="198.51.100.1", dst="198.51.100.2") / GRE(key_present=1, key=7) / IP(INNER)),
        ["ip", "gre", *UDP_INNER],
        "gre.key",
        7,
    ),
    "gre source route": (
        over_gre(0x4000, 0x0800, bytes(4) + bytes.fromhex("08000004c0000201 00000000") + INNER),
        ["ip", "gre", *UDP_INNER],
        "gre.routing.sre_length",
        4,
    ),
    "gre bridging": (
        over_gre(0x2000, 0x6558, bytes.fromhex("00123400") + FRAME),
        ["ip", "gre", *IP_INNER],
        "gre.key",
        0x123400,
    ),
    "gre metadata": (
        over_gre(0, 0x8909, bytes.fromhex("0800010100010007") + INNER),
        ["ip", "gre", "cmd", *UDP_INNER],
        "cmd.sgt",
        7,
    ),
    "erspan I": (over_gre(0, 0x88BE, FRAME), ["ip", "gre", "erspan", *IP_INNER], "gre.proto", 0x88BE),
    "erspan II": (
        over_gre(0x1000, 0x88BE, bytes(4) + bytes.fromhex("1064000700000005") + FRAME),
        ["ip", "gre", "erspan", *IP_INNER],
        "erspan.spanid",
        7,
    ),
    "erspan III": (
        over_gre(0x1000, 0x22EB, bytes(4) + bytes.fromhex("206400070000000900000001") + bytes(8) + FRAME),
        ["ip", "gre", "erspan", *IP_INNER],
        "erspan.timestamp",
        9,
    ),
    "vxlan": (
        over_udp(4789, bytes.fromhex("0800000012345600") + FRAME),
        ["ip", "udp", "vxlan", *IP_INNER],
        "vxlan.vni",
        0x123456,
    ),
    "vxlan-gpe": (
        over_udp(4790, bytes.fromhex("0c00000112345600") + INNER),
        ["ip", "udp", "vxlan_gpe", *UDP_INNER],
        "vxlan.vni",
        0x123456,
    ),
    "nsh": (
        over_udp(4790, bytes.fromhex("0c000004123456000fc6010100000705") + bytes(16) + INNER),
        ["ip", "udp", "vxlan_gpe", "nsh", *UDP_INNER],
        "nsh.spi",
        7,
    ),
    "nsh variable": (
        over_udp(4790, bytes.fromhex("0c000004123456000fc40203000007050001020261620000") + FRAME),
        ["ip", "udp", "vxlan_gpe", "nsh", *IP_INNER],
        "nsh.metadata",
        b"ab",
    ),
    "geneve": (
        over_udp(6081, bytes.fromhex("02406558123456000103800101020304") + FRAME),
        ["ip", "udp", "geneve", *IP_INNER],
        "geneve.option.class",
        0x103,
    ),
    "gtp": (over_udp(2152, gtp(0x30, 255, INNER)), ["ip", "udp", "gtp", *UDP_INNER], "gtp.teid", 7),
    "gtp extension": (
        over_udp(2152, gtp(0x34, 255, bytes.fromhex("0000008501000900") + INNER6)),
        ["ip", "udp", "gtp", "ipv6", "udp", "data"],
        "gtp.ext_hdr.data",
        b"\x00\x09",
    ),
    "gtp control": (over_udp(2123, gtp(0x32, 1, bytes.fromhex("00010000"))), ["ip", "udp", "gtp"], "gtp.seq_number", 1),
    "gtpv2": (over_udp(2123, bytes.fromhex("4820000c000000070000010001000000")), ["ip", "udp", "gtpv2"], "gtpv2.seq", 1),
    "gtpv2 twice": (
        over_udp(2123, bytes.fromhex("5820000800000007000001004001000400000200")),
        ["ip", "udp", "gtpv2", "gtpv2"],
        "gtpv2.seq",
        2,
    ),
    "teredo": (
        over_udp(3544, bytes.fromhex("0001000001020304050607080000000fff3ffffdfe") + INNER6),
        ["ip", "udp", "teredo", "ipv6", "udp", "data"],
        "teredo.orig.addr",
        bytes((192, 0, 2, 1)),
    ),
    "teredo by content": (over_udp(40000, INNER6), ["ip", "udp", "teredo", "ipv6", "udp", "data"], "ipv6.plen", 40),
    "capwap": (
        over_udp(5247, bytes.fromhex("0010000000000000") + FRAME),
        ["ip", "udp", "capwap.data", *IP_INNER],
        "capwap.header.length",
        8,
    ),
    "capwap wireless": (
        over_udp(
            5247,
            bytes.fromhex("0028433000000000060200000000010003aabbcc")
            + bytes.fromhex("010800000200000000010200000000020200000000013000aaaa030000000800")
            + INNER,
        ),
        ["ip", "udp", "capwap.data", "wlan", "llc", *UDP_INNER],
        "capwap.header.mac.length",
        6,
    ),
    "lisp": (
        over_udp(4341, bytes.fromhex("8000000700000001") + INNER),
        ["ip", "udp", "lisp-data", *UDP_INNER],
        "lisp-data.nonce",
        7,
    ),
    "lisp instance": (
        over_udp(4341, bytes.fromhex("0800000000000501") + INNER),
        ["ip", "udp", "lisp-data", *UDP_INNER],
        "lisp-data.iid",
        5,
    ),
    "lisp control": (over_udp(4342, bytes.fromhex("80000000") + INNER), ["ip", "udp", "lisp", *UDP_INNER], "lisp.type", 8),
    "mpls": (
        bytes(Ether(**MACS, type=0x8847) / MPLS(label=16, s=0) / MPLS(label=17, s=1) / IP(INNER)),
        ["mpls", "mpls", *UDP_INNER],
        "mpls.label",
        17,
    ),
    "pppoe": (
        bytes(Ether(**MACS, type=0x8864) / PPPoE(sessionid=1) / PPP() / IP(INNER)),
        ["pppoe", "ppp", *UDP_INNER],
        "pppoe.session_id",
        1,
    ),
    "snap": (
        bytes(Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x0800) / IP(INNER)),
        ["llc", *UDP_INNER],
        "llc.type",
        0x0800,
    ),
    "6in4": (
        bytes(ETHER / IP(src="198.51.100.1", dst="198.51.100.2", proto=41) / INNER6),
        ["ip", "ipv6", "udp", "data"],
        "ip.proto",
        41,
    ),
    "4in6": (bytes(ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=4) / INNER), ["ipv6", *UDP_INNER], "ipv6.nxt", 4),
}


@pytest.mark.parametrize("name", CASES)
def test_the_inner_packet_is_dissected(name: str) -> None:
    data, layers, field, value = CASES[name]
    assert names(data) == ["eth", *layers]
    assert value in values(data, field)
    assert_sound(dissect(data))
    assert_clean(data)


@pytest.mark.parametrize("name", CASES)
def test_any_prefix_and_any_mutation_holds(name: str) -> None:
    assert_holds(CASES[name][0], mutations=30)


def test_the_index_leaves_every_tunnel_to_the_slow_path() -> None:
    """A tunnel's port that the vectorised pass took for plain UDP would hide the flows inside."""
    tunnels = [protocol for protocol in PROTOCOLS if ".tunnel." in protocol.dissect.__module__]
    ports = {port for protocol in tunnels for port in protocol.keys.get("udp.port", ())}
    assert ports - {3386} <= set(TUNNEL_PORTS)  # GTP' carries charging records, no packets


def test_what_headers_promise_and_do_not_hold() -> None:
    assert "length" in codes(over_udp(2152, struct.pack(">BBHI", 0x30, 255, 500, 7) + INNER))
    assert "version" in codes(over_udp(2152, b"\x10" + bytes(30)))
    assert "version" in codes(over_udp(6081, b"\xc0" + bytes(20)))
    assert "length" in codes(over_udp(2152, gtp(0x34, 255, bytes.fromhex("0000008500000000") + INNER)))
    assert "length" in codes(over_udp(4790, bytes.fromhex("0c000004123456000fc1010100000705") + INNER))
    assert "version" in codes(over_gre(0x1000, 0x88BE, bytes(4) + b"\x90" + bytes(30)))


def test_erspan_of_another_frame_type_is_no_ethernet() -> None:
    data = over_gre(0x1000, 0x22EB, bytes(4) + bytes.fromhex("20640007000000090000") + bytes.fromhex("1c00") + FRAME)
    assert names(data) == ["eth", "ip", "gre", "erspan", "data"]
