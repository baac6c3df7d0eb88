"""Findings about HTTP/2 and gRPC, from frames that are written here and from a recorded capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.core.layer import Severity
from inspector.session import open_session
from tests.annotations.net import Link, Net

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, GOAWAY, WINDOW = 0, 1, 3, 4, 7, 8
END_STREAM, END_HEADERS = 1, 4
WHOLE = 65_535  # the window that every stream and connection begins with (RFC 9113, 6.9.2)


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def header(name: bytes, value: bytes) -> bytes:
    """A literal without indexing, with a new name (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def headers(**values: str) -> bytes:
    names = {"method": b":method", "path": b":path", "scheme": b":scheme", "status": b":status"}
    block = b""
    for key, value in values.items():
        block += header(names.get(key, key.replace("_", "-").encode()), value.encode())
    return block


def opened(media: str = "text/plain") -> tuple[Net, Link]:
    """A connection on which stream 1 was asked for and is being answered."""
    net = Net()
    link = net.link(0)
    ask = headers(method="GET", path="/Orders/Get", scheme="http", content_type=media)
    link.segment(10, 0, PREFACE + frame(SETTINGS, 0) + frame(HEADERS, 1, ask, END_HEADERS | END_STREAM))
    link.segment(12, 1, frame(SETTINGS, 0) + frame(HEADERS, 1, headers(status="200", content_type=media), END_HEADERS))
    return net, link


def body(link: Link, at: float, size: int, flags: int = 0) -> None:
    while size:
        step = min(size, 1_300)
        last = flags if step == size else 0
        link.segment(at, 1, frame(DATA, 1, b"x" * step, last))
        size -= step


def credit(link: Link, at: float) -> None:
    link.segment(at, 0, frame(WINDOW, 0, WHOLE.to_bytes(4, "big")) + frame(WINDOW, 1, WHOLE.to_bytes(4, "big")))


@pytest.mark.parametrize(("size", "waits", "more", "expected"), [
    (WHOLE, 500, True, True), (WHOLE, 20, True, False), (WHOLE, 500, False, False), (WHOLE - 1_000, 500, True, False),
], ids=["waits", "at once", "nothing more to send", "not closed"])  # fmt: skip
def test_a_window_stays_closed(size: int, waits: float, more: bool, expected: bool, tmp_path: Path) -> None:
    net, link = opened()
    body(link, 20, size)
    credit(link, 20 + waits)
    if more:
        body(link, 22 + waits, 1_000, END_STREAM)
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "flow-control-stall"]
    assert len(found) == expected
    assert all("the client gives no credit" in finding.cause for finding in found)
    session.close()


@pytest.mark.parametrize(("code", "severity"), [(0, Severity.NOTE), (11, Severity.ERROR)])
def test_goaway(code: int, severity: Severity, tmp_path: Path) -> None:
    net, link = opened()
    ask = headers(method="GET", path="/b", scheme="http")
    link.segment(20, 0, frame(HEADERS, 3, ask, END_HEADERS | END_STREAM))
    link.segment(21, 1, frame(GOAWAY, 0, (1).to_bytes(4, "big") + code.to_bytes(4, "big")))
    session = net.session(tmp_path)
    found = next(finding for finding in session.findings() if finding.code == "goaway")
    assert found.severity == severity and found.packets == (7, 6)
    assert "the last stream it looked at is 1; 1 request above it was not looked at" in found.cause
    session.close()


def test_a_goaway_that_only_repeats_another_is_told_once(tmp_path: Path) -> None:
    """As Node.js sends it; a client that looked at no stream of the server's says nothing about its own."""
    net, link = opened()
    for at in (20, 21):
        link.segment(at, 0, frame(GOAWAY, 0, bytes(8)))
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "goaway"]
    session.close()
    assert [finding.cause for finding in found] == ["the client ends the connection: GOAWAY, NO_ERROR (0)"]


@pytest.mark.parametrize(("code", "severity"), [(8, Severity.NOTE), (2, Severity.ERROR), (7, Severity.ERROR)])
def test_a_stream_is_given_up(code: int, severity: Severity, tmp_path: Path) -> None:
    net, link = opened()
    link.segment(20, 0 if code == 8 else 1, frame(RESET, 1, code.to_bytes(4, "big")))
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "rst-stream"]
    assert [(finding.severity, finding.times) for finding in found] == [(severity, 1)]
    session.close()


def call(trailers: bytes | None) -> Net:
    net, link = opened("application/grpc")
    link.segment(20, 1, frame(DATA, 1, bytes(5), 0 if trailers is not None else END_STREAM))
    if trailers is not None:
        link.segment(21, 1, frame(HEADERS, 1, trailers, END_HEADERS | END_STREAM))
    return net


def test_a_call_fails_under_200(tmp_path: Path) -> None:
    assert call(headers(grpc_status="14")).codes(tmp_path) == {"grpc-status": 1}
    assert call(headers(grpc_status="0")).codes(tmp_path) == {}
    assert call(None).codes(tmp_path) == {"grpc-status-missing": 1}


def test_trailers_only_in_the_recorded_capture() -> None:
    session = open_session("grpc-streams")
    found = [finding for finding in session.findings() if finding.code == "grpc-status"]
    assert [(finding.packets, finding.times) for finding in found] == [((71,), 1)] and "NOT_FOUND (5)" in found[0].cause
    session.close()


def test_a_healthy_connection_is_silent(tmp_path: Path) -> None:
    net, link = opened()
    body(link, 20, 3_000, END_STREAM)
    assert net.codes(tmp_path) == {}
