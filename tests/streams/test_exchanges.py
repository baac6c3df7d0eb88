"""Exchanges: requests with their responses, their phases, what is inside; and both ways of reading them say the same."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from inspector.cli.exchanges import as_object
from inspector.export.har import archive
from inspector.protocols.http.plain import Reader
from inspector.session import Session, open_session
from inspector.sources.bundled import bundled
from inspector.streams.exchanges import Exchange, of_conversation
from inspector.streams.plain import Plain
from tests.annotations.net import Net
from tests.made import connection, opened

SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16


def capture(path: Path, segments: list[tuple[int, int, int, bytes]]) -> Path:
    """A pcap of one connection: (direction, flags, offset in the direction's stream, payload), a millisecond apart."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    base, ends = (1000, 5000), [0, 0]
    for number, (side, flags, offset, payload) in enumerate(segments):
        seq = base[side] + (0 if flags & SYN else 1 + offset)
        ends[side] = max(ends[side], offset + len(payload))
        ack = base[1 - side] + 1 + ends[1 - side] if flags & ACK else 0
        ports = (40000, 80) if side == 0 else (80, 40000)
        tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 500, 0, 0) + payload
        ends_ = (b"\x0a\0\0\1", b"\x0a\0\0\2") if side == 0 else (b"\x0a\0\0\2", b"\x0a\0\0\1")
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + b"".join(ends_)
        out.append(struct.pack("<IIII", 1_700_000_000, number * 1000, len(ip) + len(tcp), len(ip) + len(tcp)) + ip + tcp)
    path.write_bytes(b"".join(out))
    return path


OPEN = [(0, SYN, 0, b""), (1, SYN | ACK, 0, b""), (0, ACK, 0, b"")]


def talk(*messages: tuple[int, bytes]) -> list[tuple[int, int, int, bytes]]:
    """A connection that says these messages, a segment each."""
    ends, found = [0, 0], list(OPEN)
    for side, payload in messages:
        found.append((side, PSH | ACK, ends[side], payload))
        ends[side] += len(payload)
    return found


def request(target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: a.example", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def response(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def described(exchange: Exchange) -> tuple[Any, ...]:
    words = exchange.method, exchange.url, exchange.status, exchange.reason, exchange.media
    return *words, exchange.request, exchange.response


ORDINARY = {
    "kept alive": talk(
        (0, request("/1")), (1, response("200 OK", "Content-Length: 5", "Content-Type: text/plain; charset=x", body=b"hello")),
        (0, request("/2")), (1, response("404 Not Found", "content-length: 0")),
    ),
    "pipelined": talk(
        (0, request("/1") + request("/2")),
        (1, response("200 OK", "Content-Length: 1", body=b"a") + response("200 OK", "Content-Length: 1", body=b"b")),
    ),
    "in pieces": talk(
        (0, request("/1")[:9]), (0, request("/1")[9:]),
        (1, b"HTTP/1.1 200"), (1, b" OK\r\nContent-Length: 4\r\n\r"), (1, b"\nab"), (1, b"cd"),
    ),
    "with bodies": talk(
        (0, request("/f", "Content-Length: 3", method="POST", body=b"x=1")), (1, response("204 No Content")),
        (0, request("/h", method="HEAD")), (1, response("200 OK", "Content-Length: 100")),
        (0, request("/n")), (1, response("304 Not Modified", "Content-Length: 100")),
    ),
    "not answered": talk((0, request("/1")), (1, response("200 OK", "Content-Length: 0")), (0, request("/2"))),
    "absolute": talk((0, request("http://b.example/x?u=http://c")), (1, response("200", "Content-Length: 0"))),
}  # fmt: skip
ODD = {
    "chunked": talk((0, request("/")), (1, response("200 OK", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n"))),
    "to the end": [*talk((0, request("/")), (1, response("200 OK", body=b"abc"))), (1, FIN | ACK, 22, b"")],
    "cut": talk((0, request("/")), (1, response("200 OK", "Content-Length: 9", body=b"abc"))),
    "interim": talk((0, request("/")), (1, response("100 Continue") + response("200 OK", "Content-Length: 0"))),
    "bare LF": talk((0, b"GET / HTTP/1.1\nHost: a\n\n"), (1, response("200 OK", "Content-Length: 0"))),
    "two lengths": talk((0, request("/")), (1, response("200 OK", "Content-Length: 1", "Content-Length: 2", body=b"ab"))),
    "no request": talk((1, response("200 OK", "Content-Length: 0"))),
    "not HTTP": talk((0, b"HELLO\r\n"), (1, b"250 hi\r\n")),
    "a segment again": [*talk((0, request("/")), (1, response("200 OK", "Content-Length: 0"))), (0, ACK, 0, request("/"))],
    "a hole": [*OPEN, (0, ACK, 10, request("/")), (1, ACK, 0, response("200 OK", "Content-Length: 0"))],
    "reset": [*talk((0, request("/")), (1, response("200 OK", "Content-Length: 0"))), (1, RST, 38, b"")],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_both_readings_say_the_same(name: str, tmp_path: Path) -> None:
    session = open_session(str(capture(tmp_path / "a.pcap", ORDINARY[name])))
    fast = Plain(session.index).exchanges(0)
    whole = of_conversation(session.conversation(0), 0)
    assert fast and [described(one) for one in fast] == [described(one) for one in whole]


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_ordinary_is_left_to_the_streams(name: str, tmp_path: Path) -> None:
    session = open_session(str(capture(tmp_path / "a.pcap", ODD[name])))
    assert Plain(session.index).exchanges(0) is None
    found = session.exchanges()
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert bool(found) == (name != "not HTTP")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_segments_give_the_same_messages(size: int, tmp_path: Path) -> None:
    sides = [b"", b""]
    for side, _, _, payload in ORDINARY["with bodies"][3:]:
        sides[side] += payload
    pieces = [(side, sides[side][at : at + size]) for side in (0, 1) for at in range(0, len(sides[side]), size)]
    session = open_session(str(capture(tmp_path / "a.pcap", talk(*pieces))))
    fast, whole = Plain(session.index).exchanges(0), of_conversation(session.conversation(0), 0)
    assert fast and [described(one) for one in fast] == [described(one) for one in whole]
    assert [one.url for one in fast] == ["http://a.example/f", "http://a.example/h", "http://a.example/n"]


@pytest.mark.parametrize("at", range(0, 56, 7))
def test_a_damaged_head_is_never_read_as_plain(at: int) -> None:
    raw = bytearray(request("/", "Content-Length: 0"))
    raw[at] = 0
    assert Reader().requests(bytes(raw)) is None


@pytest.fixture(scope="module")
def captures() -> Iterator[dict[str, Session]]:
    opened = {capture.name: open_session(capture.name) for capture in bundled()}
    yield opened
    for session in opened.values():
        session.close()


def test_bundled_captures_are_read_the_same_both_ways(captures: dict[str, Session]) -> None:
    compared = 0
    for session in captures.values():
        plain = Plain(session.index)
        for flow in range(len(session.index.flows)):
            fast = plain.exchanges(flow) if session.index.flows.protocol(flow) == 6 else None
            if fast:
                whole = of_conversation(session.conversation(flow), int(session.index.flows.stream[flow]))
                assert [described(one) for one in fast] == [described(one) for one in whole]
                compared += len(fast)
    assert compared >= 2


def test_times_are_those_of_the_packets(captures: dict[str, Session]) -> None:
    for session in captures.values():
        for one in session.exchanges():
            for part in (one.request, one.response):
                if part is not None:
                    assert part.first <= part.last <= part.complete
                    assert session.time_of(part.first) <= session.time_of(part.complete) <= one.ended
            if one.request and one.response and not one.items:
                assert one.phases.send + one.phases.wait + one.phases.receive == one.ended - one.begun


def test_the_events_of_a_stream_are_inside_its_exchange(captures: dict[str, Session]) -> None:
    (one,) = captures["sse"].exchanges()
    assert one.media == "text/event-stream" and one.status == 200 and one.complete
    events = [item for item in one.items if item.pdu.info["dispatched"]]
    assert len(events) == 9 and not any(item.from_client for item in one.items)
    split = next(item for item in one.items if item.first != item.complete)
    assert split.first < split.last == split.complete
    assert one.phases.dns > 0 and one.phases.connect > 0


def test_an_event_stream_that_was_cut_is_not_whole(captures: dict[str, Session]) -> None:
    found = captures["sse-cut"].exchanges()
    assert any(one.response is not None and not one.response.whole and not one.complete for one in found)


def test_websocket_messages_know_who_sent_them(captures: dict[str, Session]) -> None:
    found = captures["websocket-chat"].exchanges()
    assert [one.protocol for one in found] == ["WebSocket"] * 3
    assert all(any(item.from_client for item in one.items) for one in found[:2])
    assert all(not one.items[0].from_client for one in found)


def test_units_of_a_plain_exchange_are_found_again(captures: dict[str, Session]) -> None:
    session = captures["http-keepalive"]
    for one in session.exchanges():
        units = session.detailed(one).units
        assert units is not None and one.request is not None
        assert units.request[0].span.start == one.request.start
        assert units.response[0].packet == one.response.complete  # type: ignore[union-attr]


def test_whatever_the_order_of_the_packets_both_readings_say_the_same(tmp_path: Path) -> None:
    """A capture may have packets in another order than they were sent in."""
    frames = connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, b"HTTP/1.1 204 No\r\n\r\n"))
    for order in permutations(range(len(frames))):
        session = opened(tmp_path, [frames[at] for at in order])
        fast = [(exchange.method, exchange.status) for exchange in session.exchanges()]
        flows = range(len(session.index.flows))
        whole = [exchange for flow in flows for exchange in of_conversation(session.conversation(flow), 0)]
        assert fast == [(exchange.method, exchange.status) for exchange in sorted(whole, key=lambda each: each.first)], order
        for exchange in session.exchanges():
            session.detailed(exchange)
        session.close()


@pytest.mark.parametrize(("ends", "whole"), [(True, True), (False, False)])
def test_an_event_stream_that_ends_with_its_connection(ends: bool, whole: bool, tmp_path: Path) -> None:
    """Without chunks, as an HTTP/1.0 client gets it (RFC 9112, 6.3): its events count as body, and the FIN ends it."""
    link = (net := Net()).link(0)
    link.ask(10, "GET /events")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    link.segment(20, 1, head)
    link.segment(300, 1, b"data: one\n\n")
    link.segment(600, 1, b"data: two\n\n")
    if ends:
        link.close(900, 1)
    session = net.session(tmp_path)
    try:
        (found,) = session.exchanges()
        assert found.response is not None and found.response.size == len(head) + 22
        assert (found.complete, found.response.complete) == (whole, 8 if ends else 7)
        assert len(found.items) == 2
    finally:
        session.close()


def test_six_requests_on_one_connection_over_http2() -> None:
    session = open_session("https-http2-multiplex")
    found = [as_object(session, exchange) for exchange in session.exchanges()]
    assert [(one["protocol"], one["stream"], one["substream"]) for one in found] == [("HTTP/2", 0, n) for n in range(1, 12, 2)]
    assert {one["url"] for one in found} == {
        f"https://www.example.test/{name}"
        for name in ("app.js", "orders.js", "theme.css", "icons.svg", "today.json", "photo.bin")
    }
    first = found[0]
    assert first["phases"]["dns"] > 0 and first["phases"]["connect"] > 0 and first["phases"]["tls"] > 0
    assert all(one["phases"][name] is None for one in found[1:] for name in ("dns", "connect", "tls"))  # later ones need none
    ended = [one["response"]["packet"] for one in found]
    assert ended != sorted(ended) and max(one["request"]["packet"] for one in found) < min(ended)  # all under way at once
    assert all(one["complete"] and one["grpc_status"] is None for one in found)
    session.close()


@pytest.mark.parametrize("name", ["https-tls13", "sse-tls", "websocket-tls", "tls13-hello-retry", "http1-six-connections"])
def test_the_tls_phase_is_the_handshake(name: str) -> None:
    """It begins behind the last segment of TCP's handshake, and ends with the client's last one of TLS's."""
    session = open_session(name)
    for exchange in session.exchanges():
        phases = exchange.phases
        assert phases.connect > 0 and phases.tls > 0 and exchange.request is not None
        packets = session.index.flow_packets(exchange.flow).tolist()
        opened = session.time_of(packets[2])
        hello = next(n for n in packets if session.index.value("payload_length", n))
        pdus = session.conversation(exchange.flow).tree.pdus
        finished = [
            number
            for number, found in pdus.items()
            for pdu in found
            if pdu.protocol == "tls.handshake" and pdu.direction == 0 and pdu.span.read()[:1] == b"\x14"
        ]
        begun, done = session.time_of(hello), session.time_of(finished[-1])
        assert done - begun <= phases.tls <= session.time_of(exchange.request.first) - opened
    session.close()


def test_calls_over_grpc() -> None:
    session = open_session("grpc-streams")
    found = [as_object(session, exchange) for exchange in session.exchanges()]
    assert {one["protocol"] for one in found} == {"gRPC"} and {one["status"] for one in found} == {200}
    assert [one["grpc_status"] for one in found] == [0, 0, 0, 0, 5]  # the last call fails, with HTTP's 200
    said = [[item["from"][0] for item in one["items"]] for one in found]
    kinds = ["cs", "cssss", None, None, "c"]
    assert all(kind is None or "".join(way) == kind for kind, way in zip(kinds, said, strict=True))
    assert said[2].count("s") == 1 < said[2].count("c") and {"c", "s"} == set(said[3])  # client streaming; both
    for one in found:
        times = [item["time"] for item in one["items"]]
        assert times == sorted(times) and all(item["complete"] and item["first"] <= item["packet"] for item in one["items"])
    entries = archive(session, session.exchanges())["log"]["entries"]
    assert [entry["_grpcStatus"] for entry in entries] == [0, 0, 0, 0, 5]
    assert [entry["_http2Stream"] for entry in entries] == [1, 3, 5, 7, 9]
    assert [len(entry.get("_messages", ())) for entry in entries] == [len(one["items"]) for one in found]
    assert all(entry["request"]["httpVersion"] == "HTTP/2" and entry["response"]["status"] == 200 for entry in entries)
    session.close()
