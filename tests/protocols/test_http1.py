"""HTTP/1: framing (RFC 9112, 6.3), each vector whole, byte by byte, with trailing data, and with a gap; h11 is the oracle."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


# --- RFC 9112 and 9110, from a table (tests/vectors/http)

FRAMED = json.loads((Path(__file__).parents[1] / "vectors/http/framing.json").read_text())


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("vector", FRAMED, ids=lambda vector: vector["name"])
def test_where_a_body_ends(vector: dict[str, Any], size: int) -> None:
    request, response = (vector[side].encode("latin-1") for side in ("request", "response"))
    after = [(C, NEXT), (S, OK)] if vector["framing"] != "close" else []
    units = talk([(C, request), (S, response), *after], size)
    answer = next(unit for unit in units if unit.pdu.direction == S)
    assert answer.pdu.info["framing"] == vector["framing"]
    assert body_of(answer).decode("latin-1") == vector["body"]
    assert answer.issues == set(vector["issues"])
    assert len(units) == 2 + len(after) and not answer.layer.unclaimed()
    section = next(note.reference for note in answer.layer.notes if note.title == "why the body ends")
    assert section == vector["section"]


HEAD = b"GET / HTTP/1.1\r\nHost: a \r\nX-Folded: one\r\n\ttwo\r\nCookie: a=1;  b=2\r\nEmpty:\r\n\r\n"


def test_every_name_and_value_has_its_bytes() -> None:
    layer = talk([(C, HEAD), (S, OK)])[0].layer
    lines = [field for field in layer.fields if field.children and field.children[0].name == "http.header.name"]
    assert [line.span.read() for line in lines] == [
        b"Host: a \r\n", b"X-Folded: one\r\n\ttwo\r\n", b"Cookie: a=1;  b=2\r\n", b"Empty:\r\n",
    ]  # fmt: skip
    assert [line.children[0].span.read() for line in lines] == [b"Host", b"X-Folded", b"Cookie", b"Empty"]
    values = [child for line in lines for child in line.children if child.name == "http.header.value"]
    assert [value.span.read() for value in values] == [b"a", b"one\r\n\ttwo", b"a=1;  b=2"]
    assert [value.value for value in values] == ["a", "one two", "a=1;  b=2"]
    assert [f.span.read() for f in layer.walk() if f.name == "http.cookie_pair"] == [b"a=1", b"b=2"]
    assert not layer.unclaimed()


@pytest.mark.parametrize(
    ("response", "title", "said"),
    [
        (b"200 OK\r\nCache-Control: max-age=60, private", "caching", "Fresh for 60 seconds; only the user's own cache"),
        (
            b"200 OK\r\nSet-Cookie: s=x; Max-Age=5; HttpOnly; SameSite=Lax",
            "cookie s",
            "for 5 seconds, for this host alone, hidden",
        ),
        (b"200 OK\r\nCache-Control: no-store, no-cache", "caching", "No cache may keep this, whatever else stands here."),
        (b"200 OK\r\nCache-Control: private, no-cache", "caching", "no shared one; whoever keeps it must ask"),
        (b"200 OK\r\nContent-Encoding: identity", "content coding", "is not coded at all"),
        (b"302 Found\r\nLocation: /there", "redirect", "is to ask for /there"),
        (b"308 Permanent Redirect\r\nLocation: /there", "redirect", "with the same method and body"),
        (b"401 Unauthorized\r\nWWW-Authenticate: Basic realm=x", "who are you?", "Basic: user and password in Base64"),
        (b"200 OK\r\nConnection: close", "close", "The server closes the connection behind this response"),
        (b"206 Partial Content\r\nContent-Range: bytes 0-4/10", "206 Partial Content", "bytes 0-4/10"),
        (b"200 OK\r\nVary: Accept", "vary", "the request's Accept"),
        (b"200 OK\r\nVary: *", "vary", "more than the request's headers"),
        (b"200 OK\r\nCache-Control: max-age=60, private=\"Set-Cookie\"", "caching", "Fresh for 60 seconds."),
        (b"200 OK\r\nSet-Cookie: s=x; Max-Age=--5", "cookie s", "until the session ends"),
        (b"200 OK\r\nSet-Cookie: s=x; Expires=Thu, 01-Jan-1970 00:00:01 GMT", "cookie s", "It is deleted"),
        (b"200 OK\r\nSet-Cookie: s=x; Expires=Sat, 01 Jan 2050 00:00:00 GMT", "cookie s", "keeps it until Sat, 01 Jan 2050"),
        (
            b"200 OK\r\nDate: Sun, 02 Jan 2050 00:00:00 GMT\r\nSet-Cookie: s=x; Expires=Sat, 01 Jan 2050 00:00:00 GMT",
            "cookie s",
            "It is deleted",
        ),
        (b"200 OK\r\nSet-Cookie: s=x; Expires=soon", "cookie s", "until the session ends"),
        (b"200 OK\r\nWWW-Authenticate: Basic realm=x", "challenge", "Credentials might change the answer"),
        (b"401 Unauthorized\r\nWWW-Authenticate: Own a=b", "who are you?", "ask again with Own."),
        (b"200 OK\r\nSet-Cookie: s=x; Domain=.example.test", "cookie s", "for example.test and all below it"),
        (b"200 OK\r\nAge: 7", "from a cache", "or said that it still holds, 7 seconds ago"),
        (b"301 Moved Permanently\r\nLocation: /there", "redirect", "with GET again"),
        (b'200 OK\r\nETag: W/"x"', "validator", "a weak one"),
    ],
)
def test_the_notes_of_a_response_follow_its_bytes(response: bytes, title: str, said: str) -> None:
    units = talk([(C, GET), (S, b"HTTP/1.1 " + response + b"\r\nContent-Length: 0\r\n\r\n")])
    notes = {note.title: note for note in units[1].layer.notes}
    assert said in notes[title].why and notes[title].reference.startswith("RFC")
    assert title not in {note.title for note in talk([(C, GET), (S, OK)])[1].layer.notes}


@pytest.mark.parametrize(
    ("header", "title", "said"),
    [
        (b"Authorization: Basic dXNlcjpzZWNyZXQ=", "credentials", "16 characters, not shown"),
        (b"Authorization: Bearer abc.def.ghi", "credentials", "11 characters, not shown"),
        (b'If-None-Match: "x"', "condition", "else 304"),
        (b"Range: bytes=0-4", "range", "bytes=0-4"),
        (b"Accept-Encoding: gzip, br", "codings offered", "gzip, br"),
        (b"Expect: 100-continue", "expectation", "ready to hold its body back"),
        (b"Last-Event-ID: 7", "reconnected", "the last id it got was 7"),
        (b"Cookie: a=1; b=2", "cookies sent", "2 cookies"),
    ],
)
def test_the_notes_of_a_request_follow_its_bytes(header: bytes, title: str, said: str) -> None:
    layer = talk([(C, b"GET / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n"), (S, OK)])[0].layer
    notes = {note.title: note.why for note in layer.notes}
    assert said in notes[title]
    assert not any(secret in why for why in notes.values() for secret in ("dXNlcjpzZWNyZXQ=", "abc.def"))


@pytest.mark.parametrize(
    ("request_head", "said"),
    [
        (b"PUT / HTTP/1.1\r\nIf-None-Match: *", "nothing is overwritten; else 412"),
        (b"PUT / HTTP/1.1\r\nIf-None-Match: \"x\"", "else 412"),
        (b"HEAD / HTTP/1.1\r\nIf-None-Match: *", "else 304"),
        (b"GET / HTTP/1.1\r\nIf-Range: \"x\"", "done for the range only if"),
        (b"PUT / HTTP/1.1\r\nIf-Match: *", "only if there is something already"),
        (b"PUT / HTTP/1.1\r\nIf-Unmodified-Since: Sat, 01 Jan 2050 00:00:00 GMT\r\nIf-Match: \"x\"", "know If-Match"),
    ],
)
def test_a_condition_depends_on_the_method(request_head: bytes, said: str) -> None:
    layer = talk([(C, request_head + b"\r\nHost: a\r\n\r\n"), (S, OK)])[0].layer
    assert said in " ".join(note.why for note in layer.notes if note.title == "condition")


def test_a_missing_host_is_an_issue() -> None:
    assert "host-missing" in talk([(C, b"GET / HTTP/1.1\r\n\r\n"), (S, OK)])[0].issues
    assert "host-missing" not in talk([(C, b"GET / HTTP/1.0\r\n\r\n"), (S, OK)])[0].issues


def test_two_hosts_are_an_issue() -> None:
    assert "host-twice" in talk([(C, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), (S, OK)])[0].issues
    assert "host-twice" not in talk([(C, GET), (S, OK)])[0].issues


def test_a_chunk_says_its_size_in_both_ways() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    units = talk([(C, GET), (S, head + b"1a;x=y\r\n: twenty-six octets of it\n\r\n0\r\n\r\n")])
    told = [note.why for unit in units for note in unit.layer.notes if note.title == "chunk"]
    assert len(told) == 1 and "in hexadecimal: 1a, which is 26 bytes." in told[0]


def test_each_piece_of_what_is_inflated_has_its_own_bytes() -> None:
    text = b"".join(b"line %d of many\n" % number for number in range(2000))
    body = gzip.compress(text, 6)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    units = talk([(C, GET), (S, head + body)], 400)
    lines = units[1].dissection.find("data-text-lines")
    assert lines is not None and lines.span.read() == text
    early, late = lines.fields[0].span, lines.fields[-1].span
    first, last = trace(early), trace(late)
    assert first[0].buffer.id != last[-1].buffer.id  # they come out of different segments
    assert sum(span.size for span in first) < len(body) / 4
    assert not early.exact or not first[0].exact


def test_gzip_of_several_members_and_with_a_tail() -> None:
    whole = gzip.compress(b"one ") + gzip.compress(b"two")
    for body, code in ((whole, set()), (whole + b"junk", {"content-coding"}), (whole[:-3], {"content-coding"})):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        unit = talk([(C, GET), (S, head + body)])[1]
        assert unit.issues == code
        found = unit.dissection.find("data-text-lines")
        assert (found is not None and found.span.read() == b"one two") == (not code)


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_other_codings(coding: str) -> None:
    import brotli
    import zstandard

    text = b'{"n": [1, 2, 3]}'
    body = brotli.compress(text) if coding == "br" else zstandard.compress(text)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    unit = talk([(C, GET), (S, head.encode() + body)], 5)[1]
    found = unit.dissection.find("json")
    assert found is not None and found.span.read() == text and not unit.issues
    assert b"".join(span.read() for span in trace(found.span)) == body


def test_a_zstd_bomb_is_cut() -> None:
    import zstandard

    body = zstandard.ZstdCompressor(level=19).compress(bytes(256 << 20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert "limit" in talk([(C, GET), (S, head + body)])[1].issues


def test_http_0_9() -> None:
    units = talk([(C, GET), (S, OK), (C, b"GET /old\r\n"), (S, b"<p>no head at all")])
    assert units[2].layer.value("http.request.uri") == "/old"
    assert units[3].pdu.kind == "simple" and not units[3].issues


def test_a_gap_in_a_body_that_ends_with_the_connection() -> None:
    units = talk([(C, GET), (S, b"HTTP/1.0 200 OK\r\n\r\nabc"), (S, b"def"), (S, b"ghi")], lost=[2])
    assert units[1].issues == {"missing-bytes"} and units[1].pdu.info["missing"] == 3
    assert units[1].pdu.span.size == len(b"HTTP/1.0 200 OK\r\n\r\nabcdefghi")


def test_trailers_and_extensions() -> None:
    body = b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    layer = talk([(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)])[1].layer
    assert layer.value("http.chunk_extension") == ";a=b" and layer.value("http.chunked_trailer_part") == "X-Sum: 1"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["GET", "POST", "HEAD"]), st.binary(max_size=60), st.booleans()), min_size=1, max_size=4
    ),
    st.sampled_from([0, 1, 5, 64]),
)
def test_what_h11_sends_is_what_is_read(exchanges: list[tuple[str, bytes, bool]], size: int) -> None:
    """h11 speaks both sides of keep-alive exchanges; the bodies that it sent are those that are found, each at its message."""
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    steps: list[Step] = []
    for method, body, chunked in exchanges:
        framing = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(len(body)))]
        sent = client.send(
            h11.Request(method=method, target="/", headers=[("Host", "a"), *(framing if method == "POST" else [])])
        )
        sent += (client.send(h11.Data(data=body)) if method == "POST" else b"") + client.send(h11.EndOfMessage())
        steps.append((C, sent))
        server.receive_data(sent)
        while not isinstance(server.next_event(), h11.EndOfMessage):
            pass
        back = server.send(h11.Response(status_code=200, headers=framing))
        back += server.send(h11.Data(data=b"" if method == "HEAD" else body)) + server.send(h11.EndOfMessage())
        steps.append((S, back))
        client.receive_data(back)
        while not isinstance(client.next_event(), h11.EndOfMessage):
            pass
        client.start_next_cycle()
        server.start_next_cycle()
    units = talk(steps, size)
    assert [unit.pdu.span.read() for unit in units] == [data for _, data in steps]
    wanted = [
        part for method, body, _ in exchanges for part in (body if method == "POST" else b"", b"" if method == "HEAD" else body)
    ]
    assert [body_of(unit) for unit in units] == wanted
    assert not any(unit.issues for unit in units)
