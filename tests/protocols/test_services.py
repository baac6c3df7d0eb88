"""NTP, DHCP and STUN: values against dpkt and scapy, the vectors of RFC 5769, and what is wrong with the bytes."""

from __future__ import annotations

import dpkt
import pytest
from packets import assert_clean, codes, dissect, names, values
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them


def over_udp(port: int, data: bytes, source: int = 40000) -> bytes:
    return bytes(Ether(**MACS) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=source, dport=port) / data)


NTP = bytes.fromhex(
    "24 02 06 e9 00000123 00000456 c0000201 e2a3b4c5 80000000 e2a3b4c6 00000000 e2a3b4c7 40000000 00000001 00000000"
)
ROUTERS = ("router", "192.0.2.1", "192.0.2.3")
OPTIONS = [("message-type", "offer"), ("server_id", "192.0.2.1"), ("lease_time", 3600), ROUTERS, "end"]
HARDWARE = bytes.fromhex("020000000001")
OFFER = bytes(BOOTP(op=2, xid=7, yiaddr="192.0.2.9", chaddr=HARDWARE, sname=b"host") / DHCP(options=OPTIONS))
# RFC 5769, 2.2: a success response with an IPv4 address.
STUN = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c"
    "7489f92af9ba53f06be7d780280004c07d4c96"
)
CASES = {
    "ntp": (over_udp(123, NTP),),
    "ntp extension": (over_udp(123, NTP + bytes.fromhex("0104001c") + bytes(24) + bytes(20)),),
    "ntp control": (over_udp(123, bytes.fromhex("1602000100000000 00000000")),),
    "dhcp": (over_udp(68, OFFER, 67),),
    "bootp": (over_udp(67, OFFER[:236] + bytes(64), 68),),
    "stun": (over_udp(40001, STUN),),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_wrong_and_every_byte_is_claimed(name: str) -> None:
    assert_clean(CASES[name][0])


def test_ntp_as_dpkt_reads_it() -> None:
    data, theirs = CASES["ntp"][0], dpkt.ntp.NTP(NTP)
    assert values(data, "ntp.stratum") == [theirs.stratum]
    assert values(data, "ntp.flags.mode") == [theirs.mode] and values(data, "ntp.flags.vn") == [theirs.v]
    assert values(data, "ntp.refid") == [theirs.id]


def test_ntp_times_and_eras() -> None:
    """RFC 5905, 6: 1 January 1970 is 2,208,988,800 s; era 1 begins on 7 February 2036."""
    data = CASES["ntp"][0]
    assert values(data, "ntp.reftime") == [(0xE2A3B4C5 - 2_208_988_800) * 10**9 + 5 * 10**8]
    assert values(data, "ntp.xmt") == [(2**32 + 1 - 2_208_988_800) * 10**9]


def test_ntp_kiss_of_death_is_explained() -> None:
    kiss = bytes.fromhex("24 00") + NTP[2:12] + b"RATE" + NTP[16:]
    notes = [note for layer in dissect(over_udp(123, kiss)).layers for note in layer.notes]
    assert any("RATE" in note.why and note.reference == "RFC 5905, 7.4" for note in notes)


def test_dhcp_as_scapy_made_it() -> None:
    data = CASES["dhcp"][0]
    assert values(data, "dhcp.type") == [2] and values(data, "dhcp.option.dhcp") == [2] and values(data, "dhcp.id") == [7]
    assert values(data, "dhcp.ip.your") == [bytes((192, 0, 2, 9))]
    assert values(data, "dhcp.option.router") == [bytes((192, 0, 2, 1)), bytes((192, 0, 2, 3))]
    assert values(data, "dhcp.option.ip_address_lease_time") == [3600]
    assert values(data, "dhcp.option.type") == [53, 54, 51, 3, 255]
    assert "DHCP Offer" in [layer.summary for layer in dissect(data).layers]


def test_dhcp_lengths_that_do_not_fit() -> None:
    broken = OFFER.replace(bytes.fromhex("3304"), bytes.fromhex("3303"), 1)
    assert "length" in codes(over_udp(68, broken, 67))
    assert "length" in codes(over_udp(68, OFFER[:2] + b"\x20" + OFFER[3:], 67))


def test_stun_vector() -> None:
    data = CASES["stun"][0]
    assert names(data)[-1] == "stun"
    assert values(data, "stun.type") == [0x0101] and values(data, "stun.length") == [60]
    assert values(data, "stun.id") == [bytes.fromhex("b7e7a701bc34d686fa87dfae")]
    assert values(data, "stun.att.type") == [0x8022, 0x0020, 0x0008, 0x8028]
    assert values(data, "stun.att.ipv4") == [bytes((192, 0, 2, 1))] and values(data, "stun.att.port") == [32853]
    assert values(data, "stun.type.method") == [1] and values(data, "stun.type.class") == [2]


def test_what_has_no_cookie_is_no_stun() -> None:
    assert "stun" not in names(over_udp(40001, STUN[:4] + b"\0\0\0\0" + STUN[8:]))
