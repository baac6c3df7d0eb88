"""HTTP/2: conversations between two ends of the `h2` library, and what RFC 9113 says of frames, streams and windows."""

from __future__ import annotations

import gzip
import random
from base64 import urlsafe_b64encode

import hpack
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import given, settings
from hypothesis import strategies as st
from talk import C, S, Step, Unit, talk

from inspector.core.protocol import Sniff
from inspector.core.span import Frame, trace
from inspector.protocols.http2 import connection
from inspector.protocols.http2.http2 import sniff
from inspector.protocols.http2.names import PREFACE, plausible
from inspector.protocols.http2.streams import TRANSITIONS, Event, State

REQUEST = [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x")]
SETTINGS = bytes.fromhex("000000040000000000")
LINES = gzip.compress(b"line\n" * 100, mtime=0)
ACK = bytes.fromhex("000000040100000000")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Talk:
    """A client and a server; what each sends is a step of the conversation, and the other end hears it."""

    def __init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.steps: list[Step] = []
        self.server.initiate_connection()  # its SETTINGS are its first frame, also before it has heard the client's
        self.client.initiate_connection()
        self.flush()

    def flush(self) -> None:
        while True:
            up = self.client.data_to_send()
            if up:
                self.steps.append((C, up))
                self.server.receive_data(up)
            down = self.server.data_to_send()
            if down:
                self.steps.append((S, down))
                self.client.receive_data(down)
            if not up and not down:
                return

    def ask(self, headers: list[tuple[str, str]] = REQUEST, body: bytes | None = None) -> int:
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self.client.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def answer(self, stream: int, headers: list[tuple[str, str]], *parts: bytes, end: bool = True) -> None:
        self.server.send_headers(stream, [(":status", "200"), *headers], end_stream=end and not parts)
        self.flush()
        for at, part in enumerate(parts):
            self.server.send_data(stream, part, end_stream=end and at == len(parts) - 1)
            self.flush()


def frames(units: list[Unit], kind: int | None = None) -> list[Unit]:
    found = [unit for unit in units if unit.pdu.protocol == "http2" and unit.pdu.kind == "frame"]
    return [unit for unit in found if kind is None or unit.layer.value("http2.type") == kind]


def headers(unit: Unit) -> list[tuple[str, str]]:
    names = [field.value for field in unit.layer.walk() if field.name == "http2.header.name"]
    values = [field.value for field in unit.layer.walk() if field.name == "http2.header.value"]
    return list(zip(names, values, strict=True))


def bodies(units: list[Unit]) -> list[bytes]:
    return [unit.pdu.span.read() for unit in units if unit.pdu.protocol == "http2.body"]


def sound(units: list[Unit]) -> None:
    """Nothing is wrong, every byte is claimed, and every span leads to frames."""
    for unit in units:
        assert not unit.issues, (unit.layer, unit.layer.issues)
        assert unit.pdu.complete and not list(unit.layer.unclaimed())
        spans = trace(unit.pdu.span)
        assert all(isinstance(span.buffer, Frame) and span.exact for span in spans)
        if unit.pdu.protocol != "websocket.message":  # which was masked
            assert b"".join(span.read() for span in spans) == unit.pdu.span.read()


def exchange() -> Talk:
    made = Talk()
    first, second = made.ask(), made.ask(body=b'{"q": 1}')
    made.answer(second, [("content-type", "application/json")], b'{"a":', b" [1, 2]}")
    made.answer(first, [("content-type", "text/plain"), ("content-encoding", "gzip")], LINES)
    return made


@pytest.mark.parametrize("size", [0, 1, 7, 50])
def test_exchanges_however_they_are_cut(size: int) -> None:
    units = talk(exchange().steps, size)
    sound(units)
    requests = [unit for unit in frames(units, 1) if unit.pdu.info.get("role") == "request"]
    responses = [unit for unit in frames(units, 1) if unit.pdu.info.get("role") == "response"]
    assert [headers(unit) for unit in requests] == [REQUEST, REQUEST]
    assert [unit.pdu.info["asked"]["stream"] for unit in responses] == [3, 1]
    for unit in responses:
        asked = unit.pdu.info["asked"]
        request = next(r for r in requests if r.pdu.info["asked"] is asked)
        assert unit.layer.value("http2.request_in") == request.pdu.packet == asked["packet"]
        assert request.layer.value("http2.response_in") == unit.pdu.packet
        assert request.layer.value("http2.request.full_uri") == "https://a.example/x"
        assert unit.layer.value("http2.time") == (unit.pdu.packet - request.pdu.packet) * 1000
        assert asked["status"] == 200 and asked["response_end"] >= asked["answer"] >= asked["response_start"]
    assert bodies(units) == [b'{"q": 1}', b'{"a": [1, 2]}', LINES]
    inside = [[layer.protocol for layer in unit.dissection.layers] for unit in units if unit.pdu.protocol == "http2.body"]
    assert inside == [["http2.body"], ["http2.body", "json"], ["http2.body", "data-text-lines"]]


def test_bytes_after_the_last_frame_are_an_unfinished_frame() -> None:
    units = talk([*exchange().steps, (S, b"\x00\x00\x05\x00\x00")])
    cut = [unit for unit in units if not unit.pdu.complete]
    assert [unit.pdu.span.size for unit in cut] == [5] and "truncated" in cut[0].issues
    sound([unit for unit in units if unit.pdu.complete])


def test_a_side_that_does_not_begin_with_its_settings() -> None:
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    units = talk([(S, SETTINGS), (C, PREFACE + ACK + SETTINGS + get), (S, frame(1, 4, 1, b"\x88") + frame(0, 1, 1, b"x"))])
    wrong = [unit for unit in units if unit.issues]
    assert [(unit.pdu.direction, unit.issues) for unit in wrong] == [(C, {"preface"})]
    assert frames(units, 0)[0].layer.value("http2.calculated.connection.window_size.after") == 65_534


def test_windows_count_every_octet_of_data() -> None:
    made = Talk()
    stream = made.ask()
    made.answer(stream, [], b"x" * 10_000, b"y" * 6_384, end=False)
    made.client.increment_flow_control_window(5_000, stream)
    made.client.increment_flow_control_window(7_000)
    made.flush()
    made.server.send_data(stream, b"z" * 100, end_stream=True, pad_length=20)
    made.flush()
    units = talk(made.steps)
    names = [f"http2.calculated.{whose}.window_size.after" for whose in ("stream", "connection")]
    left = [tuple(unit.layer.value(name) for name in names) for unit in frames(units, 0)]
    assert left == [(55_535, 55_535), (49_151, 49_151), (49_151 + 5_000 - 121, 49_151 + 7_000 - 121)]
    updates = [tuple(unit.layer.value(name) for name in names) for unit in frames(units, 8)]
    assert updates == [(54_151, None), (None, 56_151)]


def test_a_changed_initial_window_counts_when_it_is_acknowledged() -> None:
    """RFC 9113, 6.9.2: also for the streams that are open, and below zero."""
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    less = frame(4, 0, 0, bytes.fromhex("000400000064"))  # INITIAL_WINDOW_SIZE 100
    data = frame(0, 0, 1, b"x" * 150)
    steps = [
        (C, PREFACE + SETTINGS),
        (S, SETTINGS + ACK),
        (C, ACK + get + less),
        (S, frame(1, 4, 1, b"\x88") + data + ACK + data),
    ]
    units = talk(steps)
    assert [unit.layer.value("http2.calculated.stream.window_size.after") for unit in frames(units, 0)] == [65_385, 100 - 300]
    assert ["flow-control" in unit.issues for unit in frames(units, 0)] == [False, True]


def test_more_than_the_window_is_an_issue() -> None:
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    data = b"".join(frame(0, 0, 1, bytes(16_384)) for _ in range(4))
    units = talk([(C, PREFACE + SETTINGS), (S, SETTINGS + ACK), (C, ACK + get), (S, frame(1, 4, 1, b"\x88") + data)])
    assert ["flow-control" in unit.issues for unit in frames(units, 0)] == [False, False, False, True]


def test_a_header_block_over_several_frames() -> None:
    long = [*REQUEST, ("x-long", "v" * 300), ("x-last", "end")]
    block = hpack.Encoder().encode(long, huffman=False)
    cuts = [block[:9], block[9:100], block[100:101], block[101:]]
    parts = [frame(9 if at else 1, (0 if at else 1) | (4 if at == 3 else 0), 1, cut) for at, cut in enumerate(cuts)]
    for size in (0, 1):
        units = talk([(C, PREFACE + SETTINGS), (C, b"".join(parts))], size)
        sound(units)
        told = [headers(unit) for unit in (*frames(units, 1), *frames(units, 9))]
        assert [header for part in told for header in part] == long
        last = frames(units, 9)[-1]
        assert last.pdu.info["role"] == "request" and last.pdu.info["asked"]["url"] == "https://a.example/x"
        value = next(field for field in last.layer.walk() if field.name == "http2.header.value" and field.value[:2] == "vv")
        assert b"".join(span.read() for span in trace(value.span)) == b"v" * 300


@pytest.mark.parametrize(
    ("sent", "told"),
    [  # RFC 9113, 8.8: request, response with a body in three frames, a request with a body
        ([(1, 5, REQUEST)], ["GET"]),
        ([(1, 1, REQUEST[:2]), (9, 4, REQUEST[2:])], ["GET"]),
        ([(1, 0, REQUEST[:3]), (9, 0, REQUEST[3:]), (9, 4, [("content-length", "3")]), (0, 0, b"ab"), (0, 1, b"c")], ["GET"]),
    ],
)
def test_the_shapes_of_messages(sent: list[tuple[int, int, list[tuple[str, str]] | bytes]], told: list[str]) -> None:
    encoder = hpack.Encoder()
    data = [frame(kind, flags, 1, part if isinstance(part, bytes) else encoder.encode(part)) for kind, flags, part in sent]
    units = talk([(C, PREFACE + SETTINGS + b"".join(data))])
    sound(units)
    asked = [unit.pdu.info["asked"] for unit in frames(units) if unit.pdu.info.get("role") == "request"]
    assert [each["method"] for each in asked] == told and asked[0]["request_end"] == 3
    assert bodies(units) == ([b"abc"] if len(sent) > 2 else [])


def test_a_smaller_table_must_be_announced() -> None:
    """RFC 7541, 4.2: the first block behind the acknowledgement begins with a size update."""
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    start = [(C, PREFACE + frame(4, 0, 0, bytes.fromhex("000100000064")) + get)]
    silent = talk([*start, (S, SETTINGS + ACK + frame(1, 5, 1, b"\x88"))])
    assert "hpack-size" in frames(silent, 1)[1].issues
    sound(talk([*start, (S, SETTINGS + ACK + frame(1, 5, 1, b"\x3f\x45\x88"))]))


def test_padding_and_priority_are_not_content() -> None:
    block = hpack.Encoder().encode(REQUEST)
    padded = frame(1, 0x2C, 1, bytes([3]) + bytes.fromhex("80000000 0f") + block + bytes(3))
    data = frame(0, 9, 1, bytes([2]) + b"hello" + bytes(2))
    units = talk([(C, PREFACE + SETTINGS + padded + data)])
    sound(units)
    head = frames(units, 1)[0]
    assert headers(head) == REQUEST and head.layer.value("http2.headers.weight_real") == 16
    assert head.layer.value("http2.exclusive") == 1 and bodies(units) == [b"hello"]


def test_trailers_and_interim_responses() -> None:
    encoder = hpack.Encoder()
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    down = frame(1, 4, 1, encoder.encode([(":status", "103"), ("link", "</a>")]))
    down += frame(1, 4, 1, encoder.encode([(":status", "200")])) + frame(0, 0, 1, b"x")
    down += frame(1, 5, 1, encoder.encode([("x-sum", "1")]))
    units = talk([(C, PREFACE + SETTINGS + get), (S, SETTINGS + down)])
    sound(units)
    assert [unit.pdu.info["role"] for unit in frames(units, 1)] == ["request", "interim", "response", "trailers"]


def test_a_promise_is_a_request_that_the_server_makes() -> None:
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    encoder = hpack.Encoder()
    promise = frame(5, 4, 1, (2).to_bytes(4, "big") + encoder.encode(REQUEST))
    pushed = frame(1, 5, 2, encoder.encode([(":status", "200")]))
    units = talk([(C, PREFACE + SETTINGS + get), (S, SETTINGS + promise + pushed)])
    sound(units)
    assert frames(units, 5)[0].layer.value("http2.push_promise.promised_stream_id") == 2
    response = frames(units, 1)[1]
    assert response.layer.value("http2.stream.state") == "reserved (promised by the server) → closed"
    assert response.pdu.info["asked"]["pushed"]


@pytest.mark.parametrize("size", [0, 1, 9])
def test_events_are_units_as_they_come(size: int) -> None:
    made = Talk()
    stream = made.ask()
    made.answer(stream, [("content-type", "text/event-stream")], b"data: a\n\nda", b"ta: b\n\n", end=False)
    units = talk(made.steps, size, close=False)
    events = [unit for unit in units if unit.pdu.protocol == "sse"]
    assert [unit.layer.value("sse.data") for unit in events] == ["a", "b"]
    if not size:
        assert [unit.pdu.packet for unit in events] == [unit.pdu.packet for unit in frames(units, 0)]
    assert b"".join(span.read() for span in trace(events[1].pdu.span)) == b"data: b\n\n"


def test_websocket_in_a_stream() -> None:
    """RFC 8441, 5.1."""
    ask = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"), (":authority", "a")]
    up = frame(1, 4, 1, hpack.Encoder().encode(ask))
    down = frame(4, 0, 0, bytes.fromhex("000800000001")) + frame(1, 4, 1, b"\x88")
    hello = bytes.fromhex("818537fa213d7f9f4d5158")
    steps = [(C, PREFACE + SETTINGS + up), (S, down), (C, frame(0, 0, 1, hello)), (S, frame(0, 0, 1, b"\x81\x02hi"))]
    units = talk(steps)
    sound(units)
    messages = [unit.layer.value("websocket.payload.text") for unit in units if unit.pdu.protocol == "websocket.message"]
    assert messages == ["Hello", "hi"]


def test_a_tunnel_finds_out_what_it_carries() -> None:
    up = frame(1, 4, 1, hpack.Encoder().encode([(":method", "CONNECT"), (":authority", "b.example:80")]))
    inner, answer = b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    agreed = SETTINGS + frame(1, 4, 1, b"\x88")
    units = talk([(C, PREFACE + SETTINGS + up), (S, agreed), (C, frame(0, 0, 1, inner)), (S, frame(0, 0, 1, answer))])
    sound(units)
    found = [unit.layer.summary for unit in units if unit.pdu.protocol == "http"]
    assert found == ["GET / HTTP/1.1", "HTTP/1.1 204 No Content"]


def test_upgrade() -> None:
    """RFC 7540, 3.2: the request is stream 1, and the settings in its header count at once."""
    coded = urlsafe_b64encode(bytes.fromhex("000400000064")).rstrip(b"=")
    up = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + coded
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = frame(1, 4, 1, b"\x88") + frame(0, 1, 1, b"hello")
    units = talk([(C, up + b"\r\n\r\n"), (S, agreed + SETTINGS + answer), (C, PREFACE + SETTINGS)])
    response, data = frames(units, 1)[0], frames(units, 0)[0]
    asked = units[0].dissection.find("http2.upgrade")
    assert asked is not None and asked.value("http2.settings.initial_window_size") == 100
    assert b"".join(span.read() for span in trace(asked.span)) == coded
    assert response.layer.value("http2.request_in") == units[0].pdu.packet
    assert data.layer.value("http2.calculated.stream.window_size.after") == 95
    assert data.layer.value("http2.stream.state") == "half-closed (the client has ended) → closed"


# --- captures that do not have everything


def test_a_late_start_decodes_what_it_can() -> None:
    made = exchange()
    requests = [at for at, (side, data) in enumerate(made.steps) if side == C and data[3] == 1]
    units = talk(made.steps[requests[1] :])
    unknown = [unit for unit in frames(units, 1) if "header-table-unknown" in unit.issues]
    assert unknown and all((":method", "GET") in headers(unit) for unit in unknown)
    assert not any("hpack-index" in unit.issues for unit in units)
    assert b'{"a": [1, 2]}' in bodies(units)
    assert all(unit.layer.find("http2.calculated.connection.window_size.after") is None for unit in frames(units))


def test_a_gap_is_passed_and_frames_are_found_again() -> None:
    made = Talk()
    for number in range(6):
        stream = made.ask()
        made.answer(stream, [("x-n", str(number))], b"%d" % number * 3000)
    made.client.ping(b"12345678")  # each side sends something at the end: a gap shows by what follows it
    made.server.ping(b"87654321")
    made.flush()
    whole = talk(made.steps, 1000)
    count = sum(-(-len(data) // 1000) for _, data in made.steps)
    for lost in range(2, count - 4):
        units = talk(made.steps, 1000, lost=[lost])
        assert len(frames(units)) >= len(frames(whole)) - 6
        assert not any(unit.issues & {"hpack-index", "hpack", "stream-state", "flow-control"} for unit in units), lost


def test_events_go_on_behind_a_gap() -> None:
    head = frame(1, 4, 1, hpack.Encoder().encode([(":status", "200"), ("content-type", "text/event-stream")]))
    get = frame(1, 5, 1, hpack.Encoder().encode(REQUEST))
    events = [(S, frame(0, 0, 1, b"data: %d\n\n" % number)) for number in range(5)]
    units = talk([(C, PREFACE + SETTINGS + get), (S, SETTINGS + head), *events], lost=[3])
    found = [unit.layer.value("sse.data") for unit in units if unit.pdu.protocol == "sse" and unit.pdu.complete]
    assert found == ["0", "3", "4"]  # the blank line behind 2 is where events are found again


def test_what_comes_before_the_first_found_frame_is_shown() -> None:
    made = exchange()
    data = b"".join(data for side, data in made.steps if side == S)
    at = data.index(b" [1, 2]}")
    units = talk([(C, PREFACE + SETTINGS), (S, SETTINGS), (S, b"x"), (S, data[at:])], lost=[2])
    assert [unit.pdu.span.read() for unit in units if unit.pdu.kind == "rest"] == [b" [1, 2]}"]


# --- what is not allowed


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(0, 0, 1, b"x"), "stream-state"),
        (frame(8, 0, 1, bytes(3) + b"\1"), "stream-state"),
        (frame(8, 0, 0, bytes(4)), "window"),
        (frame(8, 0, 0, b"\x7f\xff\xff\xff"), "flow-control"),
        (frame(6, 0, 1, bytes(8)), "stream-id"),
        (frame(6, 0, 0, bytes(7)), "frame-size"),
        (frame(4, 0, 0, bytes(5)), "frame-size"),
        (frame(4, 1, 0, bytes(6)), "frame-size"),
        (frame(4, 0, 0, bytes.fromhex("000200000002")), "setting"),
        (frame(4, 0, 0, bytes.fromhex("000900000002")), "setting"),
        (frame(4, 0, 0, bytes.fromhex("000480000000")), "setting"),
        (frame(4, 0, 0, bytes.fromhex("000500000001")), "setting"),
        (frame(9, 4, 1, b"\x82"), "continuation"),
        (frame(1, 0, 1, b"\x82") + frame(6, 0, 0, bytes(8)), "continuation"),
        (frame(1, 5, 2, b"\x82\x84\x87"), "stream-id"),
        (frame(1, 5, 1, b"\x82\x84\x87\xbe"), "hpack-index"),
        (frame(1, 5, 1, b"\x82\x84\x87\x80"), "hpack"),
        (frame(1, 5, 1, b"\x82\x84\x87\x40\x05ab"), "hpack"),
        (frame(1, 5, 1, b"\x3f\xe1\x7f\x82\x84\x87"), "hpack-size"),
        (frame(1, 5, 1, b"\x82\x20\x84\x87"), "hpack-size"),
        (frame(1, 5, 1, b"\x82\x04\x81\xff\x87"), "huffman"),
        (frame(1, 0xD, 1, b"\xff\x82\x84\x87"), "padding"),
        (frame(1, 5, 1, b"\x82\x84"), "pseudo-header"),
        (frame(1, 5, 1, b"\x82\x84\x87\x88"), "pseudo-header"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x01A\x01b"), "header-name"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x03a b\x01b"), "header-name"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x03a:b\x01b"), "header-name"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x01a\x03b\r\n"), "header-value"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x01a\x02 b"), "header-value"),
        (frame(1, 5, 1, b"\x82\x84\x87\x00\x0aconnection\x01b"), "connection-header"),
        (frame(1, 5, 3, b"\x82\x84\x87") + frame(1, 5, 1, b"\x82\x84\x87"), "stream-id"),
        (frame(1, 5, 1, b"\x82\x84\x87") + frame(0, 0, 1, b"x"), "stream-state"),
        (frame(0, 0, 1, bytes(16_385)), "frame-size"),
        (frame(5, 4, 1, bytes.fromhex("00000002") + b"\x82\x84\x87"), "push"),
    ],
)
def test_what_an_endpoint_must_refuse_is_an_issue(sent: bytes, code: str) -> None:
    units = talk([(C, PREFACE + SETTINGS), (S, SETTINGS), (C, sent)])
    assert code in {issue for unit in units for issue in unit.issues}


def test_a_server_must_not_allow_push() -> None:
    allows = frame(4, 0, 0, bytes.fromhex("000200000001"))
    assert "setting" in frames(talk([(C, PREFACE + SETTINGS), (S, allows)]), 4)[1].issues
    assert not any(unit.issues for unit in talk([(C, PREFACE + allows), (S, SETTINGS)]))


@pytest.mark.parametrize(
    ("authority", "host", "differ"),
    [("a.example", "A.example:443", False), ("a.example", "b.example", True), ("a.example:80", "a.example", True)],
)
def test_host_and_authority_are_compared_as_the_same_site_is_written(authority: str, host: str, differ: bool) -> None:
    told = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/"), ("host", host)]
    units = talk([(C, PREFACE + SETTINGS + frame(1, 5, 1, hpack.Encoder().encode(told))), (S, SETTINGS)])
    assert ("authority" in frames(units, 1)[0].issues) is differ


def test_all_lines_of_cookies_are_one() -> None:
    told = [*REQUEST, ("cookie", "a=1"), ("cookie", "b=2; c=3")]
    units = talk([(C, PREFACE + SETTINGS + frame(1, 5, 1, hpack.Encoder().encode(told))), (S, SETTINGS)])
    assert frames(units, 1)[0].pdu.info["asked"]["head"].cookie == "a=1; b=2; c=3"


def test_frames_of_other_documents() -> None:
    down = frame(10, 0, 0, b'\0\x09https://ah2=":443"') + frame(12, 0, 0, b"\0\x09https://b") + frame(0xFA, 0x55, 0, b"grease")
    units = talk([(C, PREFACE + SETTINGS + frame(16, 0, 0, b"\0\0\0\1u=1, i")), (S, SETTINGS + down)])
    sound(units)
    assert frames(units, 16)[0].layer.value("http2.priority_update_field_value") == "u=1, i"
    assert frames(units, 10)[0].layer.value("http2.altsvc.origin") == "https://a"
    assert frames(units, 12)[0].layer.value("http2.origin.origin") == "https://b"
    assert frames(units, 0xFA)[0].layer.value("http2.unknown") == b"grease"


def test_every_state_answers_every_event() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(set(answers) == set(Event) for answers in TRANSITIONS.values())


def test_notes_are_about_these_bytes() -> None:
    units = talk(exchange().steps)
    told = {note.title: note.why for unit in units for note in unit.layer.notes}
    credit = [note.why for unit in frames(units, 0) for note in unit.layer.notes if note.title == "credit used"]
    assert credit[1] == "What may still be sent on the stream: 65,535 - 5 = 65,530; on the connection: 65,535 - 5 = 65,530."
    assert {"connection preface", "END_STREAM", "remembered", "in force"} <= set(told)


def test_headers_mean_what_they_mean_in_every_version_of_http() -> None:
    asks = [*REQUEST, ("if-none-match", '"a"'), ("cookie", "sid=1")]
    made = Talk()
    made.server.send_headers(made.ask(asks), [(":status", "302"), ("cache-control", "max-age=60"), ("location", "/b")])
    made.flush()
    told = {note.title: note for unit in talk(made.steps) for note in unit.layer.notes}
    assert {"what is asked", "condition", "cookies sent", "caching", "redirect"} <= set(told)
    assert told["caching"].why == "Fresh for 60 seconds." and "/b" in told["redirect"].why
    tunnel = [(":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:]]
    units = talk([(C, PREFACE + SETTINGS + frame(1, 4, 1, hpack.Encoder().encode(tunnel)))])
    assert not any(note.title == "what is asked" for unit in units for note in unit.layer.notes)


def test_a_bomb_of_indexed_headers_is_cut() -> None:
    block = b"\x40\x01x\x7f\x80\x1e" + b"v" * 3967 + b"\xbe" * 10_000
    units = talk([(C, PREFACE + SETTINGS + frame(1, 5, 1, block))])
    unit = frames(units, 1)[0]
    assert "limit" in unit.issues and len(headers(unit)) < 100


def test_a_long_stream_outlives_many_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_STREAMS", 4)
    made = Talk()
    long = made.ask()
    made.answer(long, [], b"begin", end=False)
    for _ in range(20):
        made.answer(made.ask(), [], b"short")
    made.server.send_data(long, b" end", end_stream=True)
    made.flush()
    units = talk(made.steps)
    sound(units)
    assert bodies(units) == [b"short"] * 20 + [b"begin end"]


def test_signature() -> None:
    assert [sniff(PREFACE[:size]) for size in (1, 10, 24)] == [Sniff.NEED_MORE, Sniff.NEED_MORE, Sniff.YES]
    assert sniff(frame(4, 0, 0, bytes.fromhex("000400000064"))) is Sniff.YES
    assert all(sniff(SETTINGS[:size]) is Sniff.NEED_MORE for size in range(1, 10)) and sniff(SETTINGS + ACK) is Sniff.YES
    assert sniff(b"GET / HTTP/1.1\r\n") is Sniff.NO and sniff(bytes(40)) is Sniff.NO
    assert plausible(frame(0, 1, 3, b"x")) and not plausible(frame(0, 1, 0, b"x"))


# --- against h2, and against chance


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=400)), min_size=1, max_size=12),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_interleaved_streams_as_h2_has_them(pieces: list[tuple[int, bytes]], cut: int, chance: random.Random) -> None:
    made = Talk()
    streams = [made.ask([*REQUEST, ("x-stream", str(number))]) for number in range(5)]
    for number in streams:
        made.server.send_headers(number, [(":status", "200"), ("x-of", str(number) * 20)])
    want = dict.fromkeys(streams, b"")
    for at, data in pieces:
        made.server.send_data(streams[at], data, pad_length=chance.choice([None, 0, 9]))
        want[streams[at]] += data
        if chance.random() < 0.5:
            made.flush()
    for number in streams:
        made.server.end_stream(number)
    made.flush()
    units = talk(made.steps, [0, 1, 13, 1000][cut])
    assert not any(unit.issues for unit in units)
    got = {u.pdu.info["stream"]: u.pdu.span.read() for u in units if u.pdu.protocol == "http2.body"}
    assert got == {number: data for number, data in want.items() if data}
    asked = {u.pdu.info["asked"]["stream"]: headers(u) for u in frames(units, 1) if u.pdu.info["role"] == "response"}
    assert asked == {number: [(":status", "200"), ("x-of", str(number) * 20)] for number in streams}


def test_no_bytes_raise() -> None:
    steps = exchange().steps
    chance = random.Random(9113)
    for _ in range(150):
        changed = []
        for side, data in steps:
            raw = bytearray(data)
            for _ in range(chance.choice([0, 0, 1, 3])):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            changed.append((side, bytes(raw)))
        for unit in talk(changed, chance.choice([0, 0, 11]), lost=[chance.randrange(30)] if chance.random() < 0.3 else []):
            assert unit.layer.summary
            for field in unit.layer.walk():
                assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size


def test_any_prefix() -> None:
    data = b"".join(data for side, data in exchange().steps if side == C)
    for size in range(1, len(data), 3):
        assert talk([(C, data[:size])]) or size < 24
