"""Requests as curl commands, whatever carried them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from inspector.export import curl
from inspector.session import open_session
from tests.streams.test_exchanges import capture, request, response, talk

HEADERS = "--header 'user-agent: curl/7.88.1' --header 'accept: */*'"


@pytest.mark.parametrize(
    ("name", "packet", "command"),
    [
        ("https-http2-multiplex", 18, f"curl https://www.example.test/app.js {HEADERS}"),  # six complete here: the first
        ("https-http2-multiplex", 57, f"curl https://www.example.test/today.json {HEADERS}"),  # the end of an answer
        ("http1-pipelining", 12, "curl http://static.example.test/"),
        ("https-http2-multiplex", 9, ""),  # the SYN
        ("dns-udp", 3, ""),
        ("tcp-refused", 9, ""),
    ],
)
def test_the_request_that_a_packet_has_to_do_with(name: str, packet: int, command: str) -> None:
    session = open_session(name)
    found = curl.of_packet(session, packet)
    assert found == command or (name == "http1-pipelining" and found.startswith(command))
    session.close()


def test_a_call_without_tls_has_to_be_told_of_http2() -> None:
    session = open_session("grpc-streams")
    words = shlex.split(curl.of_packet(session, 13))
    assert words[:3] == ["curl", "--http2-prior-knowledge", "http://192.0.2.80:50051/example.orders.Orders/Get"]
    assert "te: trailers" in words and not any(word.startswith(":") for word in words)
    assert words[-2:] == ["--data-binary", "@body"]  # it has NULs, which no argument can hold
    session.close()


def test_a_body_in_several_segments_and_a_request_that_is_cut(tmp_path: Path) -> None:
    asked = request("/a", "Content-Length: 6", "X-Note: 1", method="POST", body=b"a=b&cd")
    path = capture(
        tmp_path / "a.pcap", talk((0, asked[:-3]), (0, asked[-3:]), (1, response("204 No Content")), (0, asked[:30]))
    )
    session = open_session(str(path))
    whole = "curl http://a.example/a --header 'x-note: 1' --data-binary 'a=b&cd'"
    assert [curl.of_packet(session, packet) for packet in range(1, session.count + 1)] == ["", "", "", whole, whole, whole, ""]
    session.close()
