"""Findings about names and the network: slow and repeated lookups, a second address family, ICMP errors."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.annotations.findings import findings, network
from inspector.core.layer import Severity
from inspector.session import open_session
from tests.annotations.net import ACK, CLIENT, ICMP, SERVER, SYN, TCP, Net

ROUTER = "192.0.2.1"
AAAA = 28
SIX, CLIENT_SIX = "2001:db8::80", "2001:db8::10"


@pytest.mark.parametrize(("after", "expected"), [(450, True), (20, False)])
def test_a_slow_resolver(after: float, expected: bool, tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "api.example.test", SERVER, after)
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "slow-dns"]
    assert len(found) == expected and all("450.0 ms" in finding.cause for finding in found)
    session.close()


def test_a_question_again(tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "api.example.test")
    net.lookup(5_000, "api.example.test", SERVER)
    assert net.codes(tmp_path) == {"dns-retried": 1}
    answered = Net()
    answered.lookup(0, "api.example.test", SERVER)
    answered.lookup(5_000, "api.example.test", SERVER, id=8)
    other = Net()
    other.lookup(0, "api.example.test")
    other.lookup(5_000, "www.example.test", SERVER, id=8)
    assert answered.codes(tmp_path) == other.codes(tmp_path) == {}


def families(wait: float, six_answers: bool = False, names: bool = True) -> Net:
    net = Net()
    if names:
        net.lookup(0, "api.example.test", SIX, 5, AAAA, id=1)
        net.lookup(1, "api.example.test", SERVER, 5, id=2)
    six = net.link(20, CLIENT_SIX, SIX, 443, opened=False)
    six.segment(20, 0, flags=SYN)
    if six_answers:
        six.segment(21, 1, flags=SYN | ACK)
    net.link(20 + wait, port=443)
    return net


def test_ipv6_is_silent_and_ipv4_is_tried(tmp_path: Path) -> None:
    session = families(250).session(tmp_path)
    found = next(finding for finding in session.findings() if finding.code == "address-family-fallback")
    assert found.severity == Severity.NOTE and "250.0 ms" in found.cause and "api.example.test" in found.cause
    session.close()


@pytest.mark.parametrize("net", [families(250, six_answers=True), families(20_000), families(250, names=False)],
                         ids=["it answers", "much later", "nobody knows that they are one host"])  # fmt: skip
def test_no_fallback(net: Net, tmp_path: Path) -> None:
    assert "address-family-fallback" not in net.codes(tmp_path)


def error(net: Net, at: float, quoted: bytes, kind: int, code: int, mtu: int = 0) -> None:
    net.put(at, ROUTER, CLIENT, ICMP, struct.pack("!BBHHH", kind, code, 0, 0, mtu) + quoted[:28])


def test_a_router_says_why_nobody_answers(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0, opened=False)
    syn = link.segment(0, 0, flags=SYN)
    error(net, 5, syn, 3, 13)
    link.sent[0] -= 1
    error(net, 1_005, link.segment(1_000, 0, flags=SYN), 3, 13)
    session = net.session(tmp_path)
    found = [(finding.code, finding.times) for finding in session.findings()]
    assert found == [("destination-unreachable", 2)]
    assert f"{ROUTER} answers by ICMP about {SERVER}:80: a filter forbids it" in session.findings()[0].cause
    session.close()


def test_an_error_about_an_open_connection_is_a_hint_only(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    error(net, 20, link.segment(10, 0, b"hello"), 3, 1)
    assert net.codes(tmp_path) == {}


def test_a_smaller_path_mtu(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    error(net, 20, link.segment(10, 0, b"x" * 1400), 3, 4, 1280)
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "path-mtu"]
    assert [finding.severity for finding in found] == [Severity.NOTE] and "1,280 bytes" in found[0].cause
    session.close()


def test_a_closed_udp_port_in_the_recorded_capture() -> None:
    session = open_session("dns-udp")
    found = [finding for finding in session.findings() if finding.code == "port-unreachable"]
    assert [finding.packets for finding in found] == [(36,)] and "192.0.2.80:53" in found[0].cause
    session.close()


def test_other_protocols_are_no_errors(tmp_path: Path) -> None:
    net = Net()
    net.put(0, CLIENT, SERVER, ICMP, struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"ping")
    net.put(1, CLIENT, SERVER, TCP + 100, b"x" * 40)
    assert net.codes(tmp_path) == {}


def test_what_a_rule_does_not_look_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session("http-get")
    assert not any(one.code == "not-looked-at" for one in session.findings())
    monkeypatch.setattr(network, "MAX_LOOKED_AT", 1)
    told = next(one for one in findings(session) if one.code == "not-looked-at")
    session.close()
    assert "1 of 4 DNS messages for slow-dns" in told.cause and told.packets
