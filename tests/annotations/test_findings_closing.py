"""In which phase of its talk a connection is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.annotations.findings.closing import BEFORE, END, IDLE, NO_BYTE, REQUEST, RESPONSE, SILENT, UPGRADED
from inspector.annotations.findings.finding import Phase
from inspector.session import open_session
from tests.annotations.net import ACK, FIN, RST, Link, Net


def phase_of(net: Net, folder: Path) -> Phase | None:
    session = net.session(folder)
    try:
        return session.closed(0)
    finally:
        session.close()


def nothing(link: Link) -> None:
    link.close(10)


def half_asked(link: Link) -> None:
    link.segment(10, 0, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    link.close(20)


def asked(link: Link) -> None:
    link.ask(10, "GET /a")
    link.close(20, 1)


def half_answered(link: Link) -> None:
    link.ask(10, "GET /a?token=secret")
    link.segment(12, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    link.close(20, 1)


def broken_off(link: Link) -> None:
    link.ask(10, "GET /a")
    link.segment(12, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    link.close(20, 0, RST)


def ends_the_body(link: Link) -> None:
    link.ask(10, "GET /a")
    link.segment(12, 1, b"HTTP/1.0 200 OK\r\n\r\nabc")
    link.close(20, 1)


def last_bytes(link: Link) -> None:
    link.ask(10, "GET /a")
    link.segment(12, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", flags=FIN | ACK)
    link.segment(13, 0, flags=FIN | ACK)
    link.segment(14, 1)


def overtaken(link: Link) -> None:
    """The FIN comes before the bytes that the server sent before it."""
    link.ask(10, "GET /a")
    link.segment(12, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    link.sent[1] += 3
    link.segment(13, 1, flags=FIN | ACK)
    link.sent[1] -= 4
    link.segment(15, 1, b"def")
    link.sent[1] += 1
    link.segment(16, 0, flags=FIN | ACK)
    link.segment(17, 1)


def idle(link: Link) -> None:
    for at in (10, 100):
        link.ask(at, "GET /a")
        link.answer(at + 5, "200 OK", b"abc")
    link.close(1_105)


def crossed(link: Link) -> None:
    """The server closes, and has not heard of the request that is on its way."""
    link.ask(10, "GET /a")
    link.answer(15, "200 OK", b"abc")
    before = link.sent[0]
    link.ask(1_000, "GET /b")
    after, link.sent[0] = link.sent[0], before
    link.segment(1_015, 1, flags=FIN | ACK)
    link.sent[0] = after


def upgraded(link: Link) -> None:
    link.upgrade(10)
    link.close(20)


def unknown(link: Link) -> None:
    link.segment(10, 0, b"\x01\x02\x03hello")
    link.segment(12, 1, b"\x07\x08\x09there")
    link.close(40)


@pytest.mark.parametrize(("talk", "kind", "words"), [
    (nothing, NO_BYTE, "before any byte was sent"), (half_asked, REQUEST, "within the request POST /up"),
    (asked, BEFORE, "before the response to GET /a"), (half_answered, RESPONSE, "within the response to GET /a"),
    (broken_off, RESPONSE, "within the response to GET /a"), (ends_the_body, END, "with the end of the response to GET /a"),
    (last_bytes, END, "with the end of the response to GET /a"), (overtaken, END, "with the end of the response to GET /a"),
    (idle, IDLE, "idle: 2 requests answered, silent for 1.0 s"),
    (crossed, IDLE, "idle: 1 request answered, silent for 15.0 ms"),
    (upgraded, UPGRADED, "after the connection had been handed to another protocol"),
    (unknown, SILENT, "28.0 ms after the last byte; where messages end is not known here"),
])  # fmt: skip
def test_the_phase_of_a_close(talk: Callable[[Link], None], kind: str, words: str, tmp_path: Path) -> None:
    net = Net()
    talk(net.link(0))
    assert phase_of(net, tmp_path) == Phase(kind, words)


def test_nobody_closed(tmp_path: Path) -> None:
    net = Net()
    net.link(0).ask(10, "GET /a")
    assert phase_of(net, tmp_path) is None


def test_what_the_capture_misses_is_not_guessed(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /a")
    link.sent[1] += 500
    link.segment(20, 0)
    link.close(30, 1)
    assert phase_of(net, tmp_path) is None


@pytest.mark.parametrize(("capture", "code", "kind", "words"), [
    ("sse-cut", "closed-first", RESPONSE, "it closed within the response to GET /imports/7/events"),
    ("tcp-reset", "reset-after-data", RESPONSE, "(within the response to GET /orders.csv)"),
    ("http1-pipelining", "closed-first", END, "with the end of the response to GET /"),
    ("sse-buffered-by-proxy", "closed-first", END, "2 times (2 at the end of a response)"),
])  # fmt: skip
def test_the_findings_say_it(capture: str, code: str, kind: str, words: str) -> None:
    session = open_session(capture)
    (found,) = (finding for finding in session.findings() if finding.code == code)
    assert found.phase is not None and found.phase.kind == kind and words in found.cause
    session.close()


def test_many_closes_are_told_by_phase(tmp_path: Path) -> None:
    net = Net()
    for number in range(3):
        link = net.link(100 * number)
        link.ask(100 * number + 10, "GET /a")
        link.segment(100 * number + 12, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[: None if number else -1])
        link.close(100 * number + 20, 1)
    session = net.session(tmp_path)
    (found,) = (finding for finding in session.findings() if finding.code == "closed-first")
    session.close()
    assert found.phase is None and "3 times (2 idle, 1 within a response)" in found.cause
