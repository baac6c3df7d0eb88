"""IPv4 options, IPv6 extension headers, ICMP, IGMP, IPsec and PIM."""

from __future__ import annotations

import struct

import pytest
from packets import assert_clean, assert_holds, assert_sound, codes, dissect, names, values
from scapy.layers.inet import (
    ICMP,
    IP,
    UDP,
    IPerror,
    IPOption,
    IPOption_LSRR,
    IPOption_MTU_Probe,
    IPOption_Router_Alert,
    IPOption_RR,
    IPOption_Stream_Id,
    UDPerror,
)
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6DestUnreach,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLQuery2,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting,
    Jumbo,
    PadN,
    RouterAlert,
)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
A6, B6, C6 = "2001:db8::1", "2001:db8::2", "2001:db8::3"
TEXT = b"payload of the test, 32 bytes on"
DATAGRAM = UDP(sport=4000, dport=4001) / TEXT
QUOTED = bytes(IP(src=B, dst=A) / UDP(sport=53, dport=4000) / bytes(100))
RECORD = ICMPv6MLDMultAddrRec(rtype=4, dst="ff02::1:3")


def extended(body: bytes) -> bytes:
    """An extension structure with its checksum."""
    head = b"\x20\x00\x00\x00" + body
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return b"\x20\x00" + struct.pack(">H", ~total & 0xFFFF) + body


def v4(*options: object) -> bytes:
    return bytes(ETHER / IP(src=A, dst=B, options=list(options)) / UDP(sport=4000, dport=4001, chksum=0) / TEXT)


def v6(*headers: object) -> bytes:
    made = ETHER / IPv6(src=A6, dst=B6)
    for header in headers:
        made = made / header
    return bytes(made)


def _checked(message: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack(">H", ~total & 0xFFFF) + message[4:]


UDP4_BYTES = bytes(IP(src=A, dst=B) / DATAGRAM)[20:]
UDP4, UDP6 = ["eth", "ip", "udp", "data"], ["eth", "ipv6"]
CASES: dict[str, tuple[bytes, list[str], str, object]] = {
    "record route": (v4(IPOption_RR(routers=[C, "0.0.0.0"], pointer=8)), UDP4, "ip.rec_rt", bytes((192, 0, 2, 3))),
    "free place": (v4(IPOption_RR(routers=[C, "0.0.0.0"], pointer=8)), UDP4, "ip.empty_rt", bytes(4)),
    "source route": (v4(IPOption(bytes.fromhex("830708c0000203"))), UDP4, "ip.rec_rt", bytes((192, 0, 2, 3))),
    "router alert": (v4(IPOption_Router_Alert()), UDP4, "ip.opt.ra", 0),
    "stream id": (v4(IPOption_Stream_Id(security=7)), UDP4, "ip.opt.sid", 7),
    "mtu probe": (v4(IPOption_MTU_Probe(mtu=1500)), UDP4, "ip.opt.mtu", 1500),
    "traceroute": (v4(IPOption(bytes.fromhex("520c000900010002c0000203"))), UDP4, "ip.opt.id_number", 9),
    "hop by hop": (
        v6(IPv6ExtHdrHopByHop(options=[RouterAlert(value=0), PadN(optdata=b"")]), DATAGRAM),
        [*UDP6, "ipv6.hopopts", "udp", "data"],
        "ipv6.opt.router_alert",
        0,
    ),
    "destination options": (
        v6(IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optdata=b"abcd")]), DATAGRAM),
        [*UDP6, "ipv6.dstopts", "udp", "data"],
        "ipv6.opt.unknown",
        b"abcd",
    ),
    "ah": (
        bytes(ETHER / IP(src=A, dst=B, proto=51) / (bytes.fromhex("110400000000000700000009") + bytes(12) + UDP4_BYTES)),
        ["eth", "ip", "ah", "udp", "data"],
        "ah.sequence",
        9,
    ),
    "esp": (bytes(ETHER / IP(src=A, dst=B, proto=50) / ESP(spi=7, seq=9, data=TEXT)), ["eth", "ip", "esp"], "esp.spi", 7),
    "esp over udp": (
        bytes(ETHER / IP(src=A, dst=B) / UDP(sport=4500, dport=4500) / ESP(spi=7, seq=9, data=TEXT)),
        ["eth", "ip", "udp", "udpencap", "esp"],
        "esp.sequence",
        9,
    ),
    "nat keep-alive": (
        bytes(ETHER / IP(src=A, dst=B) / UDP(sport=4500, dport=4500) / b"\xff"),
        ["eth", "ip", "udp", "udpencap"],
        "udpencap.nat_keepalive",
        b"\xff",
    ),
    "timestamp": (
        bytes(ETHER / IP(src=A, dst=B) / ICMP(type=13, ts_ori=1, ts_rx=2, ts_tx=3)),
        ["eth", "ip", "icmp"],
        "icmp.receive_timestamp",
        2,
    ),
    "redirect": (
        bytes(ETHER / IP(src=A, dst=B) / ICMP(type=5, code=1, gw=C) / IPerror(QUOTED)),
        ["eth", "ip", "icmp", "ip", "udp", "dns"],
        "icmp.redir_gw",
        bytes((192, 0, 2, 3)),
    ),
    "address mask": (
        bytes(ETHER / IP(src=A, dst=B) / ICMP(type=18, addr_mask="255.255.255.0")),
        ["eth", "ip", "icmp"],
        "icmp.address_mask",
        b"\xff\xff\xff\0",
    ),
    "routers": (
        bytes(ETHER / IP(src=A, dst=B, proto=1) / _checked(bytes.fromhex("0900000001020708c000020100000005"))),
        ["eth", "ip", "icmp"],
        "icmp.pref_level",
        5,
    ),
    "router advertisement": (
        v6(
            ICMPv6ND_RA(routerlifetime=1800, M=1),
            ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"),
            ICMPv6NDOptMTU(mtu=1500),
            ICMPv6NDOptPrefixInfo(prefix="2001:db8::", prefixlen=64),
            ICMPv6NDOptRDNSS(dns=[C6], lifetime=60),
            ICMPv6NDOptDNSSL(searchlist=["example.com.", "example.org."], lifetime=60),
            ICMPv6NDOptRouteInfo(prefix="2001:db8:1::", plen=48, rtlifetime=600),
        ),
        [*UDP6, "icmpv6"],
        "icmpv6.opt.dnssl",
        "example.org",
    ),
    "neighbour solicitation": (
        v6(ICMPv6ND_NS(tgt=C6), ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01")),
        [*UDP6, "icmpv6"],
        "icmpv6.opt.src_linkaddr",
        bytes.fromhex("020000000001"),
    ),
    "neighbour advertisement": (
        v6(ICMPv6ND_NA(tgt=C6, R=0, S=1), ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:01")),
        [*UDP6, "icmpv6"],
        "icmpv6.nd.na.flag.s",
        True,
    ),
    "listener query": (v6(ICMPv6MLQuery2(mladdr="ff02::1:3", sources=[C6])), [*UDP6, "icmpv6"], "icmpv6.mld.nb_sources", 1),
    "listener report": (
        v6(IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"")]), ICMPv6MLReport2(records=[RECORD], records_number=1)),
        [*UDP6, "ipv6.hopopts", "icmpv6"],
        "icmpv6.mldr.mar.record_type",
        4,
    ),
    "too big": (
        v6(ICMPv6PacketTooBig(mtu=1280), IPv6(src=B6, dst=A6, nh=17), UDPerror(sport=9, dport=7), TEXT),
        [*UDP6, "icmpv6", "ipv6", "udp", "data"],
        "icmpv6.mtu",
        1280,
    ),
    "igmp": (
        bytes(ETHER / IP(src=A, dst="224.0.0.1", proto=2) / _checked(bytes.fromhex("16000000ef010203"))),
        ["eth", "ip", "igmp"],
        "igmp.maddr",
        bytes((239, 1, 2, 3)),
    ),
    "igmp report": (
        bytes(
            ETHER
            / IP(src=A, dst="224.0.0.22", proto=2)
            / _checked(bytes.fromhex("220000000000000104000002ef010203c0000201c0000202"))
        ),
        ["eth", "ip", "igmp"],
        "igmp.record_type",
        4,
    ),
    "pim register": (
        bytes(
            ETHER
            / IP(src=A, dst=B, proto=103)
            / (bytes.fromhex("2100def800000000") + bytes(IP(src=A, dst="239.1.2.3") / DATAGRAM))
        ),
        ["eth", "ip", "pim", "ip", "udp", "data"],
        "pim.type",
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_layers_and_a_field(name: str) -> None:
    data, layers, field, value = CASES[name]
    assert names(data) == layers
    assert value in values(data, field)
    assert_sound(dissect(data))
    assert_clean(data)


@pytest.mark.parametrize("name", CASES)
def test_any_bytes_hold(name: str) -> None:
    assert_holds(CASES[name][0], mutations=30)


def test_a_source_route_still_to_pass_names_the_real_destination_last() -> None:
    data = v4(IPOption_LSRR(routers=[B, C], pointer=4))
    assert values(data, "ip.cur_rt") == [bytes((192, 0, 2, 2))]
    assert values(data, "ip.src_rt") == [bytes((192, 0, 2, 2))]
    assert values(data, "ip.dst") == [bytes((192, 0, 2, 3))]


@pytest.mark.parametrize(
    "header",
    [
        IPv6ExtHdrRouting(type=0, segleft=1, addresses=[C6]),
        IPv6ExtHdrSegmentRouting(addresses=[C6, B6], segleft=1, lastentry=1),
    ],
)
def test_checksums_count_the_final_destination(header: object) -> None:
    """RFC 8200, 8.1; and scapy computes them so."""
    data = v6(header, DATAGRAM)
    assert names(data) == ["eth", "ipv6", "ipv6.routing", "udp", "data"]
    assert_clean(data)
    assert_holds(data, mutations=30)


def test_an_atomic_fragment_is_whole() -> None:
    udp = bytes(IPv6(src=A6, dst=B6) / DATAGRAM)[40:]
    data = v6()[:-40] + bytes(IPv6(src=A6, dst=B6, nh=44, plen=8 + len(udp))) + bytes.fromhex("1100000000000007") + udp
    assert names(data) == ["eth", "ipv6", "ipv6.fraghdr", "udp", "data"]
    assert_clean(data)


def test_a_jumbogram_takes_its_length_from_what_there_is() -> None:
    data = bytes(ETHER / IPv6(src=A6, dst=B6, plen=0) / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)]) / DATAGRAM)
    assert values(data, "ipv6.opt.jumbo") == [70000]
    assert names(data)[:4] == ["eth", "ipv6", "ipv6.hopopts", "udp"]


def test_extensions_behind_a_quotation() -> None:
    quotation = QUOTED.ljust(128, b"\0")[:128]
    for length, code in ((32, 0), (0, 0)):  # announced (RFC 4884), and as older routers send them
        body = bytes((0, length, 0, 0)) + quotation + extended(bytes.fromhex("000801010001f101"))
        data = bytes(ETHER / IP(src=C, dst=B) / ICMP(type=11, code=code) / b"")[:-4] + body
        data = bytes(ETHER / IP(src=C, dst=B, proto=1) / (_checked(b"\x0b\x00\x00\x00" + body)))
        assert names(data)[:4] == ["eth", "ip", "icmp", "ip"]
        assert values(data, "icmp.mpls.label") == [31]
        assert values(data, "icmp.mpls.s") == [True]
        assert "checksum" not in codes(data)
        assert_holds(data, mutations=30)


def test_an_extended_echo_holds_one_object_and_data() -> None:
    """RFC 8335, 2: the structure ends with its object; what follows is the sender's data."""
    body = bytes.fromhex("f6ea0001") + extended(bytes.fromhex("0008030200000001")) + b"data of ping, 16"
    data = bytes(ETHER / IP(src=A, dst=B, proto=1) / _checked(b"\x2a\x00\x00\x00" + body))
    assert values(data, "icmp.int_ident.index") == [1]
    assert values(data, "icmp.data") == [b"data of ping, 16"]
    assert_clean(data)


def test_a_quotation_is_marked_and_its_checksums_are_not_judged() -> None:
    data = v6(ICMPv6DestUnreach(code=4), IPv6(src=B6, dst=A6, nh=17), UDPerror(sport=9, dport=7, chksum=0x1234), TEXT)
    layers = dissect(data).layers
    assert [layer.quoted for layer in layers] == [False, False, False, True, True, True]
    assert codes(data) == []


def test_what_cannot_be() -> None:
    assert "option-length" in codes(v6(ICMPv6ND_NS(tgt=C6), b"\x01\x00" + bytes(6)))
    wrong = bytearray(v4(IPOption_Router_Alert()))
    wrong[14 + 21] = 40
    assert "option-length" in codes(bytes(wrong))
    six = bytearray(v4())
    six[14] = 0x35
    assert "version" in codes(bytes(six))
    assert "fragment-length" in codes(
        v6()[:-40] + bytes(IPv6(src=A6, dst=B6, nh=44, plen=15)) + bytes.fromhex("11000001000000070000000000000000")[:15]
    )
