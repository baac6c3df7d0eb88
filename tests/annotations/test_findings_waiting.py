"""A server that takes its time: where the packets prove it, and all that looks like it and must stay silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.annotations.findings import Finding
from inspector.core.layer import Severity
from tests.annotations.net import ACK, SERVER, SYN, Link, Net
from tests.annotations.test_findings_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame,
    headers,
)

BODY = b'{"orders": 17}'


def slow(net: Net, folder: Path) -> list[Finding]:
    session = net.session(folder)
    try:
        return [finding for finding in session.findings() if finding.code == "slow-response"]
    finally:
        session.close()


def asked(request: str = "GET /report", wait: float = 1_500, status: str = "200 OK", body: bytes = BODY, ack: float = 1.5,
          then: Callable[[Link], None] | None = None) -> Net:  # fmt: skip
    """A request that is acknowledged, and answered later. ack: milliseconds until it is, 0 for not at all; then: what else
    happens in between."""
    net = Net()
    link = net.link(0)
    link.ask(10, request)
    if ack:
        link.segment(10 + ack, 1)
    if then is not None:
        then(link)
    link.answer(10 + wait, status, body)
    link.segment(11 + wait, 0)
    return net


@pytest.mark.parametrize(("wait", "severity", "limit"), [
    (1_500, Severity.WARNING, "More than 1.0 s is slow"), (1_002, Severity.WARNING, "More than 1.0 s"),
    (900, Severity.NOTE, "More than 500.0 ms is noticeable"),
], ids=["slow", "just", "noticed"])  # fmt: skip
def test_the_request_came_and_the_answer_is_late(wait: float, severity: Severity, limit: str, tmp_path: Path) -> None:
    (found,) = slow(asked("GET /report?token=abc", wait), tmp_path)
    assert found.severity == severity and limit in found.cause and found.packets == (6, 4, 5)
    assert "GET /report was acknowledged after 1.5 ms" in found.cause and "2.0 ms there and back" in found.cause
    assert "abc" not in found.cause


@pytest.mark.parametrize("status", ["500 Internal Server Error", "504 Gateway Timeout", "303 See Other", "201 Created"])
def test_whatever_the_answer_says(status: str, tmp_path: Path) -> None:
    assert slow(asked("POST /login", status=status, body=b""), tmp_path)


def test_as_fast_as_a_server_may_be(tmp_path: Path) -> None:
    assert not slow(asked(wait=480), tmp_path)


def test_several_of_one_server_are_told_once(tmp_path: Path) -> None:
    net = Net()
    for number, wait in enumerate((700, 1_500, 600)):
        link = net.link(2_000 * number)
        link.ask(2_000 * number + 10, f"GET /report/{number}")
        link.segment(2_000 * number + 12, 1)
        link.answer(2_000 * number + 10 + wait, "200 OK", BODY)
    (found,) = slow(net, tmp_path)
    assert found.times == 3 and found.stream == -1 and "/report/1 was" in found.cause and len(found.packets) == 9


# --- the way, or it cannot be told


def resent(link: Link) -> None:
    link.sent[0] -= 60
    link.segment(300, 0, b"x" * 60)


def overtaken(link: Link) -> None:
    """The answer's second segment comes, the first is lost and comes again."""
    link.sent[1] += 400
    link.segment(700, 1, b"y" * 100)
    link.sent[1] -= 500


def closed(link: Link) -> None:
    link.segment(20, 0, window=0)


def doubled(link: Link) -> None:
    link.segment(30, 0)
    link.segment(31, 0)


@pytest.mark.parametrize("net", [
    asked(ack=0), asked(ack=0.1), asked(ack=900, wait=2_500), asked(then=resent), asked(then=overtaken), asked(then=closed),
    asked(then=doubled),
], ids=["not acknowledged before", "acknowledged by somebody nearer", "acknowledged late", "sent again", "its head was lost",
        "no room", "something is missing"])  # fmt: skip
def test_the_network_may_have_had_a_part(net: Net, tmp_path: Path) -> None:
    assert not slow(net, tmp_path)


def test_a_capture_that_begins_later_knows_no_round_trip(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0, opened=False)
    link.ask(10, "GET /report")
    link.segment(12, 1)
    link.answer(1_510, "200 OK", BODY)
    assert not slow(net, tmp_path)


@pytest.mark.parametrize(("round_trip", "expected"), [(150, True), (400, False)])
def test_over_a_long_way_jitter_may_be_long(round_trip: float, expected: bool, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0, opened=False)
    link.segment(0, 0, flags=SYN)
    link.segment(round_trip, 1, flags=SYN | ACK)
    link.segment(round_trip + 1, 0)
    link.ask(1_000, "GET /report")
    link.segment(1_000 + round_trip, 1)
    link.answer(2_200 + round_trip, "200 OK", BODY)
    assert bool(slow(net, tmp_path)) == expected


@pytest.mark.parametrize(("ticks", "expected"), [(1_498, "counts 1,498 ms"), (150, "server's own time."), (3, "")],
                         ids=["of a millisecond", "of ten", "it left at once"])  # fmt: skip
def test_the_servers_clock_tells_when_it_sent(ticks: int, expected: str, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /report")
    link.segment(12, 1, clock=0xFFFFFF00)
    link.segment(1_510, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", clock=0xFFFFFF00 + ticks & 0xFFFFFFFF)
    found = slow(net, tmp_path)
    assert [expected in one.cause for one in found] == [True] * bool(expected)


@pytest.mark.parametrize(("lost", "expected"), [(0, True), (1, False)])
def test_an_answer_lost_before_the_capture_leaves_a_gap_in_the_count(lost: int, expected: bool, tmp_path: Path) -> None:
    net = Net(ids={SERVER: 700})
    link = net.link(0)
    for turn in range(2):
        link.ask(3 + 3 * turn, f"GET /{turn}")
        link.answer(5 + 3 * turn, "200 OK", BODY)
    link.ask(10, "GET /report")
    link.segment(12, 1)
    net.ids[SERVER] += lost
    link.answer(1_510, "200 OK", BODY)
    assert bool(slow(net, tmp_path)) == expected


# --- waits that are meant


@pytest.mark.parametrize("net", [
    asked("GET /news?wait=10"), asked("GET /news?timeout=30000"), asked("GET /poll"), asked("GET /news\nPrefer: wait=10"),
    asked("GET /news", status="204 No Content", body=b""), asked("GET /news", body=b"[]"),
    asked("GET /news", status="304 Not Modified", body=b""), asked("GET /x", status="408 Request Timeout", body=b""),
    asked("CONNECT db.example.test:5432"),
], ids=["wait", "timeout", "poll", "Prefer", "204", "nothing new", "304", "408", "CONNECT"])  # fmt: skip
def test_who_asks_the_server_to_wait_may_not_complain(net: Net, tmp_path: Path) -> None:
    assert not slow(net, tmp_path)


@pytest.mark.parametrize(("pause", "expected"), [(5, False), (3_000, True)])
def test_asked_again_at_once_it_may_be_a_long_poll(pause: float, expected: bool, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    at = 10.0
    for turn in range(2):
        link.ask(at, "GET /news")
        link.segment(at + 2, 1)
        link.answer(at + 1_200, "200 OK", b"[%d]" % turn)
        at += 1_200 + pause
    assert bool(slow(net, tmp_path)) == expected


def test_streams_begin_when_there_is_something(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /events")
    link.segment(12, 1)
    link.stream(1_500)
    link.chunk(1_500, b"data: 1\n\n")
    other = net.link(5_000)
    other.ask(5_010, "GET /room\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: "
              "dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
    other.segment(5_012, 1)
    other.segment(7_000, 1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")  # fmt: skip
    assert not slow(net, tmp_path)


def test_a_slow_download_and_a_slow_upload_are_no_slow_answers(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /big")
    link.segment(11.5, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
    for turn in range(3):
        link.segment(1_000 * (turn + 1), 1, b"x" * 1_000)
    link.segment(4_000, 0, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
    link.segment(4_002, 1)
    link.segment(6_000, 0, b"x" * 20)
    link.answer(6_002, "200 OK", BODY)
    assert not slow(net, tmp_path)


@pytest.mark.parametrize(("interim", "before", "expected"), [
    (b"103 Early Hints", False, False), (b"102 Processing", False, False), (b"100 Continue", True, True),
])  # fmt: skip
def test_interim_responses(interim: bytes, before: bool, expected: bool, tmp_path: Path) -> None:
    """103 and 102 speak while the server works; 100 asks for the body, and what follows that is as any request."""
    net = Net()
    link = net.link(0)
    link.segment(10, 0, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
    if before:
        link.segment(12, 1, b"HTTP/1.1 " + interim + b"\r\n\r\n")
    link.segment(900, 0, b"x" * 20)  # a client that waits for leave
    link.segment(901.5, 1)
    if not before:
        link.segment(910, 1, b"HTTP/1.1 " + interim + b"\r\n\r\n")
        link.segment(911, 0)
    link.answer(3_000, "200 OK", BODY)
    assert bool(slow(net, tmp_path)) == expected


def test_a_pipelined_request_waits_for_the_answer_before_its_own(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /first")
    link.ask(11, "GET /second")
    link.segment(12, 1)
    link.answer(1_500, "200 OK", BODY)
    link.answer(3_000, "200 OK", BODY)
    (found,) = slow(net, tmp_path)
    assert found.times == 1 and "/first" in found.cause


# --- HTTP/2


def two(*answers: tuple[float, bytes], path: str = "/report", media: str = "text/plain", sent: bytes = b"") -> Net:
    """A request on stream 1, acknowledged, and what the server says when."""
    net = Net()
    link = net.link(0)
    ask = headers(method="POST" if sent else "GET", path=path, scheme="http", content_type=media)
    first = PREFACE + frame(SETTINGS, 0) + frame(HEADERS, 1, ask, END_HEADERS | (0 if sent else END_STREAM))
    link.segment(10, 0, first + (frame(DATA, 1, sent, END_STREAM) if sent else b""))
    link.segment(11.5, 1, frame(SETTINGS, 0))
    for at, data in answers:
        link.segment(at, 1, data)
        link.segment(at + 1, 0)
    return net


CONTENT = frame(DATA, 1, BODY, END_STREAM)


def reply(status: str = "200", flags: int = END_HEADERS, **more: str) -> bytes:
    return frame(HEADERS, 1, headers(status=status, **more), flags)


def test_over_http2(tmp_path: Path) -> None:
    (found,) = slow(two((1_500, reply() + CONTENT)), tmp_path)
    assert "GET /report" in found.cause and found.severity == Severity.WARNING


@pytest.mark.parametrize("between", [reply("103"), frame(DATA, 3, b"x" * 100)], ids=["103", "another stream"])
def test_over_http2_the_server_was_not_silent(between: bytes, tmp_path: Path) -> None:
    assert not slow(two((1_200, between), (1_500, reply() + CONTENT)), tmp_path)


MESSAGE = b"\0\0\0\0\2\x08\1"  # gRPC over HTTP/2: five bytes of length, and a protobuf
GRPC = {"content_type": "application/grpc"}
OK = frame(HEADERS, 1, headers(grpc_status="0"), END_HEADERS | END_STREAM)


@pytest.mark.parametrize(("answers", "expected"), [
    ([(1_500, reply(**GRPC) + frame(DATA, 1, MESSAGE) + OK)], True),
    ([(1_500, reply(**GRPC) + frame(DATA, 1, MESSAGE)), (2_500, OK)], False),
    ([(1_500, reply(**GRPC) + frame(DATA, 1, MESSAGE * 2) + OK)], False),
    ([(1_500, reply(**GRPC) + frame(DATA, 1, MESSAGE))], False),
], ids=["one answer", "goes on", "two messages", "not over"])  # fmt: skip
def test_a_grpc_call_with_one_answer(answers: list[tuple[float, bytes]], expected: bool, tmp_path: Path) -> None:
    net = two(*answers, path="/Orders/Get", media="application/grpc", sent=MESSAGE)
    assert bool(slow(net, tmp_path)) == expected
