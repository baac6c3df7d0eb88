"""Findings about what is pushed: event streams, WebSockets, silence, boundaries; and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.core.layer import Severity
from inspector.session import open_session
from tests.annotations.net import ACK, CLIENT, FIN, PROXY, RST, SERVER, Net

PING, PONG, CLOSE, TEXT = 9, 10, 8, 1


def event(number: int) -> bytes:
    return b"id: %d\ndata: what happened as number %d\n\n" % (number, number)


def stream(*parts: bytes) -> tuple[Net, float]:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /events")
    link.stream(15)
    at = 20.0
    for part in parts:
        link.chunk(at, part)
        at += 100
    return net, at


def end(net: Net, at: float, by: int, flags: int = FIN | ACK, last: bool = False) -> Net:
    link = net.link(-100, opened=False)
    link.ports, link.sent = (40_001, 80), [1001, 5001]
    for _, _, frame in net.packets:  # go on where the stream is
        side = 0 if int.from_bytes(frame[34:36], "big") == 40_001 else 1
        size = int.from_bytes(frame[16:18], "big") - 20 - (frame[46] >> 4) * 4
        link.sent[side] = max(link.sent[side], int.from_bytes(frame[38:42], "big") + size)
    if last:
        link.segment(at - 10, 1, b"0\r\n\r\n")
    link.segment(at, by, flags=flags)
    return net


@pytest.mark.parametrize(("by", "flags", "last", "expected"), [
    (1, FIN | ACK, False, True), (1, RST | ACK, False, True), (0, FIN | ACK, False, False), (1, FIN | ACK, True, False),
], ids=["fin", "reset", "the client left", "ended"])  # fmt: skip
def test_an_event_stream_breaks_off(by: int, flags: int, last: bool, expected: bool, tmp_path: Path) -> None:
    net, at = stream(event(1), event(2))
    codes = end(net, at, by, flags, last).codes(tmp_path)
    assert ("sse-truncated" in codes) == expected
    if flags & RST:
        assert "reset-after-data" not in codes


def test_an_event_is_cut_in_the_recorded_capture() -> None:
    session = open_session("sse-cut")
    found = [finding for finding in session.findings() if finding.code == "sse-truncated"]
    assert [finding.packets for finding in found] == [(22, 20)] and "in the middle of an event" in found[0].cause
    session.close()


def two_hops(hold: int) -> Net:
    """A client, a proxy that passes `hold` events at a time, and a server that sends one each 300 ms."""
    net = Net()
    outer, inner = net.link(0, CLIENT, PROXY), net.link(5, PROXY, SERVER, 8080)
    outer.ask(10, "GET /events")
    inner.ask(12, "GET /events")
    inner.stream(14)
    outer.stream(16)
    for number in range(12):
        inner.chunk(100 + 300 * number, event(number))
        if number % hold == hold - 1:
            for held in range(number - hold + 1, number + 1):
                outer.chunk(101 + 300 * number, event(held))
    return net


def test_a_proxy_holds_events_back(tmp_path: Path) -> None:
    session = two_hops(4).session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "sse-buffered"]
    assert [(finding.severity, finding.stream, finding.times) for finding in found] == [(Severity.WARNING, 0, 12)]
    assert "901.0 ms later" in found[0].cause
    session.close()
    assert "sse-buffered" not in two_hops(1).codes(tmp_path)


@pytest.mark.parametrize(("apart", "together", "expected"), [(2000, 4, True), (100, 4, False), (2000, 1, False)])
def test_one_hop_is_a_suspicion_only(apart: float, together: int, expected: bool, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /events")
    link.stream(15)
    for burst in range(3):
        for number in range(together):
            link.chunk(20 + apart * burst + number, event(10 * burst + number))
    session = net.session(tmp_path)
    found = [finding.severity for finding in session.findings() if finding.code == "sse-buffered"]
    assert found == [Severity.NOTE] * expected
    session.close()


@pytest.mark.parametrize(("silence", "last", "severity"), [
    (60_000, False, Severity.WARNING), (60_000, True, Severity.NOTE), (47_000, False, None),
])  # fmt: skip
def test_a_stream_is_cut_off_after_a_silence(silence: float, last: bool, severity: Severity | None, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /events")
    link.stream(15)
    link.chunk(20, event(1))
    if last:
        link.segment(20, 1, b"0\r\n\r\n")
    link.close(20 + silence, 1)
    session = net.session(tmp_path)
    found = [finding.severity for finding in session.findings() if finding.code == "idle-cutoff"]
    assert found == ([severity] if severity else [])
    session.close()


def socket(*frames: tuple[float, int, int, bytes], closes: float = 5_000, by: int = 0, flags: int = FIN | ACK) -> Net:
    net = Net()
    link = net.link(0)
    link.upgrade(10)
    for frame in frames:
        link.frame(*frame)
    if closes:
        link.close(closes, by, flags)
    return net


def test_a_ping_without_pong(tmp_path: Path) -> None:
    ping = (100, 0, PING, b"1")
    assert socket(ping, (2_000, 0, PING, b"2")).codes(tmp_path)["ping-unanswered"] == 2
    silent = [
        socket(ping, (120, 1, PONG, b"1")), socket((100, 0, PING, b"0"), (110, 0, PING, b"1"), (120, 1, PONG, b"1")),
        socket(ping, closes=0), socket(ping, closes=500), socket(ping, (101, 1, CLOSE, b"\x03\xe8")),
    ]  # fmt: skip
    for net in silent:
        assert "ping-unanswered" not in net.codes(tmp_path)


def test_a_websocket_ends_badly(tmp_path: Path) -> None:
    hello = (100, 0, TEXT, b"hello")
    assert "websocket-abnormal" in socket(hello).codes(tmp_path)
    reset = socket(hello, by=1, flags=RST | ACK).codes(tmp_path)
    assert "websocket-abnormal" in reset and "reset-after-data" not in reset
    assert "websocket-abnormal" in socket(hello, (200, 1, CLOSE, b"\x03\xf1"), (201, 0, CLOSE, b"\x03\xf1")).codes(tmp_path)
    assert "websocket-abnormal" not in socket(hello, (200, 1, CLOSE, b"\x03\xe8"), (201, 0, CLOSE, b"\x03\xe8")).codes(tmp_path)
    assert "websocket-abnormal" not in socket(hello, closes=0).codes(tmp_path)


def test_a_read_is_no_message(tmp_path: Path) -> None:
    assert "boundaries" not in stream(event(1), event(2))[0].codes(tmp_path)
    assert stream(event(1) + event(2), event(3)[:9], event(3)[9:])[0].codes(tmp_path)["boundaries"] == 2


# --- PostgreSQL


def message(tag: bytes, body: bytes) -> bytes:
    return tag + (4 + len(body)).to_bytes(4, "big") + body


def database(status: bytes, pause: float, goes_on: bool = True) -> Net:
    net = Net()
    link = net.link(0, port=5432)
    start = b"\0\x03\0\0user\0somebody\0\0"
    link.segment(10, 0, (4 + len(start)).to_bytes(4, "big") + start)
    link.segment(15, 1, message(b"R", bytes(4)) + message(b"Z", b"I"))
    link.segment(20, 0, message(b"Q", b"BEGIN\0"))
    link.segment(25, 1, message(b"C", b"BEGIN\0") + message(b"Z", status))
    if goes_on:
        link.segment(25 + pause, 0, message(b"Q", b"COMMIT\0"))
    return net


@pytest.mark.parametrize(("status", "pause", "goes_on", "expected"), [
    (b"T", 8_000, True, True), (b"E", 8_000, True, True), (b"T", 100, True, False), (b"I", 8_000, True, False),
    (b"T", 0, False, False),
])  # fmt: skip
def test_idle_in_transaction(status: bytes, pause: float, goes_on: bool, expected: bool, tmp_path: Path) -> None:
    session = database(status, pause, goes_on).session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "idle-in-transaction"]
    assert len(found) == expected and all("8.0 s" in finding.cause for finding in found)
    session.close()
