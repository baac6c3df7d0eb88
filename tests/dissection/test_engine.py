"""The engine on packets made by scapy: layers, reasons, fragments, hostile nesting."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from inspector.core.packet import Packet
from inspector.core.span import trace
from inspector.dissection.engine import Engine, make_registry
from inspector.dissection.fragments import Fragments

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)


def packet(made: object, number: int = 1, cut: int = 0) -> Packet:
    data = bytes(made)  # type: ignore[call-overload]
    return Packet(number, 0, 1, len(data), data[: len(data) - cut])


def engine() -> Engine:
    return Engine(make_registry(), Fragments().offer, strict=True)


def test_layers_and_reasons() -> None:
    result = engine().dissect(
        packet(ETHER / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(sport=1, dport=2, options=[("MSS", 1460)]))
    )
    assert [layer.protocol for layer in result.layers] == ["eth", "ip", "tcp"]
    ip, tcp = result.layers[1:]
    assert ip.why == "ethertype 0x0800"
    assert "TCP (6)" in tcp.why
    assert tcp.value("tcp.options.mss_val") == 1460
    assert not [issue for layer in result.layers for issue in layer.issues]
    assert not [span for layer in result.layers for span in layer.unclaimed()]


def test_a_wrong_checksum_is_an_issue_and_an_offloaded_one_is_none() -> None:
    made = ETHER / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000, dport=4001, chksum=0x1234) / b"data"
    codes = [issue.code for issue in engine().dissect(packet(made)).layers[2].issues]
    assert codes == ["checksum"]
    pseudo = 0xC000 + 0x0201 + 0xC000 + 0x0202 + 17 + 12
    pseudo = (pseudo & 0xFFFF) + (pseudo >> 16)
    made[UDP].chksum = pseudo
    codes = [issue.code for issue in engine().dissect(packet(made)).layers[2].issues]
    assert codes == ["checksum-offloaded"]


@pytest.mark.parametrize("cut", [1, 5, 20, 30, 53, 60])
def test_a_cut_packet_keeps_what_is_there(cut: int) -> None:
    made = packet(ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2) / (b"x" * 10), cut=cut)
    result = engine().dissect(made)
    assert result.layers[0].protocol == "eth"
    assert not [issue for layer in result.layers for issue in layer.issues if issue.code == "checksum"]


def test_fragments_are_joined_at_the_last_one_and_lead_back_to_all() -> None:
    datagram = IP(src="192.0.2.1", dst="192.0.2.2", id=7) / UDP(sport=4000, dport=4001) / (bytes(range(250)) * 10)
    pieces = fragment(datagram, fragsize=800)
    one = engine()
    results = [one.dissect(packet(ETHER / piece, number)) for number, piece in enumerate(pieces, 1)]
    assert [[layer.protocol for layer in result.layers] for result in results[:-1]] == [["eth", "ip"]] * (len(pieces) - 1)
    udp = results[-1].find("udp")
    assert udp is not None and not udp.issues
    assert {span.buffer.id for span in trace(udp.span)} == {f"frame:{n}" for n in range(1, len(pieces) + 1)}
    again = one.dissect(packet(ETHER / pieces[-1], len(pieces)))
    assert again.find("udp") is not None


def test_nesting_without_end_stops() -> None:
    made = IP(src="192.0.2.1", dst="192.0.2.2")
    for _ in range(60):
        made = IP(src="192.0.2.1", dst="192.0.2.2") / made
    result = engine().dissect(packet(ETHER / made))
    assert any(issue.code == "too-many-layers" for layer in result.layers for issue in layer.issues)
