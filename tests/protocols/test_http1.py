"""HTTP/1: framing (RFC 9112, 6.3), each vector whole, byte by byte, with trailing data, and with a gap; h11 is the oracle."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from random import Random

import h11
import pytest
from talk import C, S, Step, Unit, talk

from inspector.core.span import Frame, trace
from inspector.protocols.http.framing import chunk_size
from inspector.protocols.http.message import websocket_accept

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: example.com\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

# name → (request, response, body as the client sees it, ends only with the connection)
VECTORS: dict[str, tuple[bytes, bytes, bytes, bool]] = {
    "length": (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "chunked": (
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"hello world",
        False,
    ),
    "until close": (GET, b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", b"hello", True),
    "204": (GET, b"HTTP/1.1 204 No Content\r\n\r\n", b"", False),
    "304 with a length": (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", False),
    "HEAD": (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"", False),
    "post": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na=b1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ok",
        False,
    ),
}


def h11_body(request: bytes, response: bytes, closed: bool) -> bytes:
    client = h11.Connection(h11.CLIENT)
    method, target, _ = request.split(b"\r\n")[0].split(b" ")
    client.send(h11.Request(method=method, target=target, headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(response)
    if closed:
        client.receive_data(b"")
    body = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        if isinstance(event, h11.Data):
            body += event.data
    return body


def body_of(unit: Unit) -> bytes:
    spans = [f.span for f in unit.layer.walk() if f.name in ("http.chunk_data", "http.file_data")]
    return b"".join(span.read() for span in spans)


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("name", VECTORS)
def test_framing(name: str, size: int) -> None:
    request, response, body, closed = VECTORS[name]
    assert h11_body(request, response, closed) == body
    units = talk([(C, request), (S, response)], size)
    assert [unit.layer.value("http.response.code") is None for unit in units] == [True, False]
    answer = units[1]
    assert answer.pdu.complete and body_of(answer) == body
    assert answer.pdu.span.read() == response
    assert answer.layer.value("http.request_in") == units[0].pdu.packet
    assert answer.layer.value("http.time") == (answer.pdu.packet - units[0].pdu.packet) * 1000
    assert not answer.issues and not list(answer.layer.unclaimed())


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if not vector[3]])
def test_what_follows_is_the_next_message(name: str, size: int) -> None:
    request, response, body, _ = VECTORS[name]
    units = talk([(C, request + NEXT), (S, b"HTTP/1.1 103 Early Hints\r\n\r\n" + response + OK)], size)
    assert next(unit for unit in units if unit.pdu.direction == S).layer.value("http.response.code") == 103
    assert len(units) == 5 and body_of(units[3]) == body
    assert units[4].layer.value("http.request_in") == units[1].pdu.packet


@pytest.mark.parametrize("lost", [1, 2])
def test_after_a_gap_the_next_message_is_found(lost: int) -> None:
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    steps: list[Step] = [(C, GET[:10]), (C, GET[10:]), (S, OK), (C, NEXT), (S, missing)]
    units = talk(steps, lost=[lost])
    assert units[-1].layer.value("http.response.code") == 404
    assert any(unit.layer.value("http.request.uri") == "/next" for unit in units)


def test_a_gap_inside_a_body_does_not_lose_the_framing() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n" + b"a" * 10
    steps = [(C, GET), (S, head), (S, b"b" * 10), (S, b"c" * 10 + b"\r\n0\r\n\r\n"), (C, NEXT), (S, OK)]
    units = talk(steps, lost=[2])
    assert [unit.layer.value("http.response.code") for unit in units if unit.pdu.direction == S] == [200, 200]
    assert units[1].pdu.info["missing"] == 10


def test_an_answer_without_its_request_is_shown() -> None:
    assert [unit.layer.value("http.response.code") for unit in talk([(S, OK)])] == [200]


def test_a_body_that_is_cut_is_not_complete() -> None:
    units = talk([(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")])
    assert not units[1].pdu.complete and body_of(units[1]) == b"hello"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "framing-conflict"),
        (b"Content-Length: 0\r\nContent-Length: 3\r\n", "framing-conflict"),
        (b"Content-Length: 0\r\nContent-Length: 0\r\n", ""),
        (b"Content-Length: +0\r\n", "content-length"),
        (b"Content-Length: \xb2\r\n", "content-length"),
        (b"Content-Length: 0\r\nX : y\r\n", "header-space"),
        (b"Content-Length: 0\r\nX: y\r\n folded\r\n", "obs-fold"),
        (b"Content-Length: 0\r\nX: y\rZ: z\r\n", "bare-cr"),
        (b"Content-Length: 0\r\nno colon\r\n", "header-line"),
    ],
)
def test_what_fools_proxies_is_an_issue(head: bytes, code: str) -> None:
    body = b"0\r\n\r\n" if b"chunked" in head else b""
    units = talk([(C, GET), (S, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)])
    assert units[1].issues == ({code} if code else set())


@pytest.mark.parametrize("line", [b"-5", b"+5", b"0x5", b"1_0", b"", b"5 5", b"f" * 16, b"\xb2"])
def test_a_chunk_size_is_hexadecimal_digits_only(line: bytes) -> None:
    assert chunk_size(line + b"\r\n") is None
    talk([(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + line + b"\r\nabc\r\n0\r\n\r\n")])


@pytest.mark.parametrize("line", [b"5", b"05 ", b"5;x=y", b" 5 ; x"])
def test_chunk_sizes(line: bytes) -> None:
    assert chunk_size(line + b"\r\n") == 5


@pytest.mark.parametrize("status", [b"2" * 5000, b"200\xb2", b"20", b""])
def test_a_strange_status_does_not_hurt(status: bytes) -> None:
    units = talk([(C, GET), (S, b"HTTP/1.1 " + status + b" x\r\n\r\n"), (S, b"HTTP/1.1 200\xb2 x\r\n\r\n")])
    assert len(units) >= 2


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_coded_body_is_decoded_and_leads_back_to_the_frames(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(b'{"a": [1, 2]}')
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    units = talk([(C, GET), (S, head.encode()), (S, chunks)])
    json = units[1].dissection.find("json")
    assert json is not None and json.span.read() == b'{"a": [1, 2]}'
    assert b"".join(span.read() for span in trace(json.span)) == body
    assert all(isinstance(span.buffer, Frame) for span in trace(json.span))


def test_a_bomb_is_cut() -> None:
    body = gzip.compress(bytes(64 << 20), 9)
    units = talk([(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)])
    assert units[1].issues & {"content-coding", "limit"}


def test_websocket_accept_of_the_rfc() -> None:
    assert websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


def test_connect_hands_the_tunnel_over() -> None:
    connect = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"
    units = talk([(C, connect), (S, b"HTTP/1.1 200 OK\r\n\r\n"), (C, GET), (S, OK)])
    assert [unit.layer.value("http.request.method") for unit in units] == ["CONNECT", None, "GET", None]


def test_an_empty_line_in_front_is_passed_over() -> None:
    connect = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n\n"
    units = talk([(C, connect), (S, b"HTTP/1.1 200 OK\r\n\r\n\n"), (C, GET), (S, OK), (C, b"\r\n" + NEXT), (S, OK)])
    assert [unit.layer.value("http.request.method") for unit in units] == ["CONNECT", None, "GET", None, "GET", None]


def test_targets() -> None:
    absolute = b"GET http://b/c HTTP/1.1\r\nHost: b\r\n\r\n"
    units = talk([(C, GET), (S, OK), (C, absolute), (S, OK)])
    assert units[0].layer.value("http.request.full_uri") == "http://example.com/a?b=1"
    assert units[1].layer.value("http.response_for.uri") == "http://example.com/a?b=1"
    assert units[2].layer.value("http.request.full_uri") == "http://b/c"


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_raises(seed: int) -> None:
    chance = Random(seed)
    events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    events += b"9\r\ndata: a\n\n\r\n0\r\n\r\n"
    pairs = [vector[:2] for vector in VECTORS.values()] + [(GET, events)]
    for request, response in pairs:
        for _ in range(6):
            data = bytearray(response)
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.choice(b"\r\n :;,0-\x00\xb2\xff9")
            for unit in talk([(C, request), (S, bytes(data))], chance.choice([0, 3, 20])):
                for field in unit.layer.walk():
                    assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size
