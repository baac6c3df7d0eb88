"""TCP and UDP headers: every option at its bits, lengths and checksums that lie."""

from __future__ import annotations

import pytest
from packets import assert_clean, assert_holds, assert_sound, codes, dissect, names, values
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from inspector.core.checksum import ones_complement_sum, pseudo_header

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)

A, B = "192.0.2.1", "192.0.2.2"


def segment(options: str, flags: str = "A", data: bytes = b"data") -> bytes:
    """A TCP segment with options given in hexadecimal, padded with NOPs to a word."""
    raw = bytes.fromhex(options)
    raw += b"\x01" * (-len(raw) % 4)
    head = bytes(TCP(sport=4000, dport=4001, flags=flags, dataofs=5 + len(raw) // 4))[:20]
    whole = head + raw + data
    checksum = 0xFFFF - ones_complement_sum(pseudo_header(bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)), 6, len(whole)) + whole)
    return bytes(ETHER / IP(src=A, dst=B, proto=6) / (whole[:16] + checksum.to_bytes(2, "big") + whole[18:]))


# option bytes → field → value; the layouts of the RFCs named in the module
OPTIONS: dict[str, tuple[str, dict[str, object]]] = {
    "mss": ("020405b4", {"tcp.options.mss_val": 1460}),
    "window scale": ("030307", {"tcp.options.wscale.shift": 7}),
    "sack": ("050a0000000100000002", {"tcp.options.sack_re": 2}),
    "timestamps": ("080a0000000100000002", {"tcp.options.timestamp.tsval": 1, "tcp.options.timestamp.tsecr": 2}),
    "echo": ("060600000007", {"tcp.options.echo_value": 7}),
    "connection count": ("0b0600000007", {"tcp.options.cc_value": 7}),
    "md5 (RFC 2385)": ("1312" + "ab" * 16, {"tcp.options.md5.digest": b"\xab" * 16}),
    "user timeout (RFC 5482, 3.1)": ("1c04803c", {"tcp.options.user_to_granularity": 1, "tcp.options.user_to_val": 60}),
    "authentication (RFC 5925, 2.2)": (
        "1d100305" + "cd" * 12,
        {"tcp.options.ao.keyid": 3, "tcp.options.ao.rnextkeyid": 5, "tcp.options.ao.mac": b"\xcd" * 12},
    ),
    "fast open (RFC 7413, 2)": ("220a0102030405060708", {"tcp.options.tfo.cookie": bytes(range(1, 9))}),
    "fast open request": ("2202", {"tcp.options.tfo.request": None}),
    "fast open experiment": (
        "fe08f98901020304",
        {"tcp.options.tfo.cookie": b"\1\2\3\4", "tcp.options.experimental.exid": 0xF989},
    ),
    "another experiment": ("fd06e2d40102", {"tcp.options.experimental.data": b"\1\2"}),
    "accurate ecn, order 0 (RFC 9768, 3.2.3)": (
        "ac0b000001000002000003",
        {"tcp.options.acc_ecn.ee0b": 1, "tcp.options.acc_ecn.eceb": 2, "tcp.options.acc_ecn.ee1b": 3},
    ),
    "accurate ecn, order 1": ("ae05000007", {"tcp.options.acc_ecn.ee1b": 7}),
    "quick start (RFC 4782, 3.2)": ("1b08074000000004", {"tcp.options.qs.rate": 7, "tcp.options.qs.nonce": 1}),
    "mp_capable of a SYN (RFC 8684, 3.1)": (
        "1e040181",
        {"tcp.options.mptcp.version": 1, "tcp.options.mptcp.checksumreq.flags": True, "tcp.options.mptcp.sha256.flag": True},
    ),
    "mp_capable with keys, length and checksum": (
        "1e180181" + "00000000000000010000000000000002" + "0010abcd",
        {
            "tcp.options.mptcp.sendkey": 1,
            "tcp.options.mptcp.recvkey": 2,
            "tcp.options.mptcp.datalvllen": 16,
            "tcp.options.mptcp.checksum": 0xABCD,
        },
    ),
    "mp_capable, version 0 (RFC 6824)": ("1e0c00010000000000000009", {"tcp.options.mptcp.sha1.flag": True}),
    "mp_join of a SYN (3.2)": (
        "1e0c11050000000a0000000b",
        {
            "tcp.options.mptcp.backup.flag": True,
            "tcp.options.mptcp.addrid": 5,
            "tcp.options.mptcp.recvtok": 10,
            "tcp.options.mptcp.sendrand": 11,
        },
    ),
    "mp_join of a SYN ACK": ("1e101005" + "0000000000000009" + "0000000b", {"tcp.options.mptcp.sendtrunchmac": 9}),
    "mp_join of an ACK": ("1e181000" + "ee" * 20, {"tcp.options.mptcp.sendhmac": b"\xee" * 20}),
    "dss (3.3)": (
        "1e1a201f" + "0000000000000003" + "0000000000000004" + "00000005" + "0006",
        {
            "tcp.options.mptcp.datafin.flag": True,
            "tcp.options.mptcp.rawdataack": 3,
            "tcp.options.mptcp.rawdataseqno": 4,
            "tcp.options.mptcp.subflowseqno": 5,
            "tcp.options.mptcp.datalvllen": 6,
        },
    ),
    "dss with a short acknowledgement": ("1e08200100000007", {"tcp.options.mptcp.rawdataack": 7}),
    "add_addr (3.4.1)": (
        "1e123102c00002011f90" + "0000000000000008",
        {
            "tcp.options.mptcp.echo": True,
            "tcp.options.mptcp.ipv4": bytes((192, 0, 2, 1)),
            "tcp.options.mptcp.port": 8080,
            "tcp.options.mptcp.addaddrtrunchmac": 8,
        },
    ),
    "add_addr of version 0": ("1e083402c0000201", {"tcp.options.mptcp.ipver": 4}),
    "add_addr of IPv6": (
        "1e1c3002" + "20010db8" + "00" * 11 + "01" + "0000000000000008",
        {"tcp.options.mptcp.ipv6": bytes.fromhex("20010db8" + "00" * 11 + "01")},
    ),
    "remove_addr (3.4.2)": ("1e04400a", {"tcp.options.mptcp.addrid": 10}),
    "mp_prio (3.3.8)": ("1e0351", {"tcp.options.mptcp.backup.flag": True}),
    "mp_fail (3.7)": ("1e0c60000000000000000007", {"tcp.options.mptcp.rawdataseqno": 7}),
    "mp_fastclose (3.5)": ("1e0c70000000000000000007", {"tcp.options.mptcp.recvkey": 7}),
    "mp_tcprst (3.6)": ("1e048102", {"tcp.options.mptcp.flag_T.flag": True, "tcp.options.mptcp.rst_reason": 2}),
    "unknown": ("c804abcd", {"tcp.option_data": b"\xab\xcd"}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option(name: str) -> None:
    options, wanted = OPTIONS[name]
    data = segment(options)
    assert names(data) == ["eth", "ip", "tcp"]
    for field, value in wanted.items():
        assert value in values(data, field), field
    assert_sound(dissect(data))
    assert_clean(data)


@pytest.mark.parametrize("name", OPTIONS)
def test_any_bytes_hold(name: str) -> None:
    assert_holds(segment(OPTIONS[name][0]), mutations=20)


@pytest.mark.parametrize("options", ["0201", "02ff0000", "0200"])
def test_an_option_that_lies_about_its_length_leaves_the_payload_alone(options: str) -> None:
    data = segment(options)
    assert "option-length" in codes(data)
    assert values(data, "tcp.len") == [4]
    assert not [span for layer in dissect(data).layers for span in layer.unclaimed()]


def test_a_shift_beyond_14_is_said_to_be_too_big() -> None:
    assert "window-scale" in codes(segment("03030f", "S", b""))


def test_a_length_of_udp_that_lies() -> None:
    made = ETHER / IP(src=A, dst=B) / UDP(sport=4000, dport=4001, len=5) / b"data"
    assert "length" in codes(bytes(made))
    made = ETHER / IP(src=A, dst=B) / UDP(sport=4000, dport=4001, len=50) / b"data"
    assert "length" in codes(bytes(made))


def test_a_header_that_promises_more_than_was_on_the_wire_counts_what_was_there() -> None:
    """Bytes that were never there are not payload; bytes that the capture cut off are."""
    made = ETHER / IP(src=A, dst=B, len=100) / TCP(sport=4000, dport=4001) / b"data"
    data = bytes(made)
    assert values(data, "tcp.len") == [4]
    assert "length" in codes(data)
    cut = bytes(ETHER / IP(src=A, dst=B) / TCP(sport=4000, dport=4001) / bytes(100))
    found = dissect(cut[:-50], wire=len(cut))
    assert [layer.value("tcp.len") for layer in found.layers if layer.protocol == "tcp"] == [100]
    assert not [issue for layer in found.layers for issue in layer.issues]
