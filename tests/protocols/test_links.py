"""Links, tags and the wrappers of captures: byte by byte after their specifications."""

from __future__ import annotations

import struct
import zlib

import pytest
from packets import assert_clean, assert_holds, assert_sound, codes, dissect, names, values
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP

IPV4 = bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000, dport=4001) / b"payload of the test, 32 bytes on")
MACS = bytes.fromhex("020000000002020000000001")
SNAP = bytes.fromhex("aaaa030000000800")
ETHERNET = MACS + b"\x08\x00" + IPV4


def tagged(kind: int, tag: bytes) -> bytes:
    return MACS + struct.pack(">H", kind) + tag + b"\x08\x00" + IPV4


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


INNER = ["ip", "udp", "data"]
# name → (link type, bytes, layers, a field and its value)
CASES: dict[str, tuple[int, bytes, list[str], str, object]] = {
    "802.1ad": (
        1,
        MACS + bytes.fromhex("88a800c8810000640800") + IPV4,
        ["eth", "ieee8021ad", "vlan", *INNER],
        "ieee8021ad.id",
        200,
    ),
    "vntag": (1, tagged(0x8926, bytes.fromhex("80051007")), ["eth", "vntag", *INNER], "vntag.src", 7),
    "etag": (1, tagged(0x893F, bytes.fromhex("200110020304")), ["eth", "etag", *INNER], "etag.ecid_base", 2),
    "pbb": (1, tagged(0x88E7, bytes.fromhex("60000102") + MACS), ["eth", "ieee8021ah", *INNER], "ieee8021ah.isid", 0x102),
    "cmd": (1, tagged(0x8909, bytes.fromhex("010100010007")), ["eth", "cmd", *INNER], "cmd.sgt", 7),
    "arista": (1, tagged(0xD28B, bytes.fromhex("00010010 00000005 00000009")), ["eth", "avsp", *INNER], "avsp.64ns", 9),
    "macsec": (
        1,
        MACS + bytes.fromhex("88e5 20 00 00000007 020000000001 0001 0800") + IPV4 + bytes(16),
        ["eth", "macsec", *INNER],
        "macsec.PN",
        7,
    ),
    "macsec encrypted": (
        1,
        MACS + bytes.fromhex("88e50c0000000007") + bytes(range(64)),
        ["eth", "macsec"],
        "macsec.TCI.E",
        True,
    ),
    "wlan": (
        105,
        bytes.fromhex("0801 0000") + MACS[6:] + MACS + b"\x30\x00" + SNAP + IPV4,
        ["wlan", "llc", *INNER],
        "wlan.seq",
        3,
    ),
    "wlan qos": (
        105,
        bytes.fromhex("88020000") + MACS[6:] + MACS + b"\x30\x00\x05\x00" + SNAP + IPV4,
        ["wlan", "llc", *INNER],
        "wlan.qos",
        5,
    ),
    "wlan ack": (105, bytes.fromhex("d4000000") + MACS[:6], ["wlan"], "wlan.fc.type_subtype", 0x1D),
    "radiotap": (
        127,
        bytes.fromhex("00000900020000 0010")
        + bytes.fromhex("08010000")
        + MACS[6:]
        + MACS
        + b"\0\0"
        + SNAP
        + IPV4
        + b"\x01\x02\x03\x04",
        ["radiotap", "wlan", "llc", *INNER],
        "wlan.fcs",
        0x04030201,
    ),
    "cooked llc": (
        113,
        bytes.fromhex("00000001000602000000000100000004") + SNAP + IPV4,
        ["sll", "llc", *INNER],
        "sll.ltype",
        4,
    ),
    "chdlc": (104, b"\x0f\x00\x08\x00" + IPV4, ["chdlc", *INNER], "chdlc.protocol", 0x0800),
    "slarp": (
        104,
        bytes.fromhex("8f008035 00000002 00000005 00000004 ffff 00000000"),
        ["chdlc", "slarp"],
        "slarp.yoursequence",
        4,
    ),
    "chdlc in ppp": (9, b"\x0f\x00\x08\x00" + IPV4, ["ppp", "chdlc", *INNER], "chdlc.address", 0x0F),
    "ppp": (9, b"\xff\x03\x00\x21" + IPV4, ["ppp", *INNER], "ppp.protocol", 0x21),
    "arcnet": (129, bytes.fromhex("01020000d4000007") + IPV4, ["arcnet", *INNER], "arcnet.sequence", 7),
    "arcnet exception": (
        129,
        bytes.fromhex("01020000d4ffffffd4000007") + IPV4,
        ["arcnet", *INNER],
        "arcnet.exception_flag",
        255,
    ),
    "arcnet 1051": (7, bytes.fromhex("0102f0") + IPV4, ["arcnet", *INNER], "arcnet.protID", 240),
    "fddi": (10, b"\x50" + MACS + SNAP + IPV4, ["fddi", "llc", *INNER], "fddi.fc.clf", 5),
    "ipnet": (
        226,
        bytes.fromhex("01020001") + struct.pack(">5I", len(IPV4), 3, 0, 0, 0) + IPV4,
        ["ipnet", *INNER],
        "ipnet.ifindex",
        3,
    ),
    "ppi": (192, bytes.fromhex("00001000 01000000 0200 0400 aabbccdd") + ETHERNET, ["ppi", "eth", *INNER], "ppi.field_len", 4),
    "pktap": (
        258,
        struct.pack("<III24sIIIII20s", 112, 1, 1, b"en0", 2, 2, 14, 0, 512, b"curl") + bytes(36) + ETHERNET,
        ["pktap", "eth", *INNER],
        "pktap.pid",
        512,
    ),
    "juniper": (178, b"MGC\x81\x00\x03\x03\x01\x01" + ETHERNET, ["juniper", "eth", *INNER], "juniper.ext_total_len", 3),
    "nflog": (
        239,
        b"\x02\x00\x00\x07" + tlv(1, b"\x08\x00\x01\x00") + tlv(10, b"drop\0") + tlv(11, b"\0\0\x03\xe8") + tlv(9, IPV4),
        ["nflog", *INNER],
        "nflog.uid",
        1000,
    ),
    "ip by link type": (228, IPV4, ["raw", *INNER], "ip.proto", 17),
}


@pytest.mark.parametrize("name", CASES)
def test_the_layers_and_a_field(name: str) -> None:
    link, data, layers, field, value = CASES[name]
    assert names(data, link) == layers
    assert value in values(data, field, link)
    assert_sound(dissect(data, link))
    assert_clean(data, link)


@pytest.mark.parametrize("name", CASES)
def test_any_bytes_hold(name: str) -> None:
    link, data, *_ = CASES[name]
    assert_holds(data, link, 30)


def test_padding_trailer_and_check_sequence_are_told_apart() -> None:
    short = MACS + bytes(ARP(op=1, psrc="192.0.2.1", pdst="192.0.2.2")).join((b"\x08\x06", b""))
    frame = short + bytes(60 - len(short))
    assert values(frame, "eth.padding") == [bytes(60 - len(short))]
    checked = frame + zlib.crc32(frame).to_bytes(4, "little")
    assert values(checked, "eth.fcs") == [zlib.crc32(frame)]
    assert values(checked, "eth.padding") == [bytes(60 - len(short))]
    assert values(ETHERNET + b"trailer!", "eth.trailer") == [b"trailer!"]
    wrong = frame + b"\1\2\3\4"
    assert values(wrong, "eth.fcs") == []
    assert values(wrong, "eth.trailer") == [b"\1\2\3\4"]
    for data in (frame, checked, wrong):
        assert_clean(data)


def test_padding_behind_a_tag() -> None:
    frame = MACS + b"\x81\x00\x00\x05\x08\x00" + IPV4[:2] + b"\x00\x1c" + IPV4[4:24] + b"\x00\x08\x00\x00"
    assert values(frame + bytes(14), "eth.padding") == [bytes(14)]


def test_a_fragment_of_arcnet_is_not_taken_for_a_packet() -> None:
    assert names(bytes.fromhex("01020000d4010007") + IPV4, 129) == ["arcnet", "data"]


def test_protected_frames_stay_closed() -> None:
    frame = bytes.fromhex("08410000") + MACS[6:] + MACS + b"\x30\x00" + bytes(range(40))
    assert names(frame, 105) == ["wlan"]
    assert values(frame, "wlan.body", 105) == [bytes(range(40))]


def test_a_wrapper_shorter_than_itself() -> None:
    assert "length" in codes(bytes.fromhex("0000040001000000") + ETHERNET, 192)
    assert "magic" in codes(b"XXX\x00" + ETHERNET, 178)
    assert "length" in codes(b"\x02\x00\x00\x07\x03\x00\x01\x00", 239)
    assert "version" in codes(tagged(0xD28B, bytes.fromhex("000100ff")))
    assert "length" in codes(MACS + bytes.fromhex("88e5000000000007") + bytes(9))
