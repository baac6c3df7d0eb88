"""Server-sent events (WHATWG HTML, 9.2): the standard's own examples, line ends, and how events complete."""

from __future__ import annotations

import gzip
import zlib

import pytest
from talk import C, S, Unit, talk

from inspector.core.span import Frame, trace

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

# stream → (type, data, last event id) of every event that is dispatched
VECTORS: dict[bytes, list[tuple[str, str, str]]] = {
    b"data: YHOO\ndata: +2\ndata: 10\n\n": [("message", "YHOO\n+2\n10", "")],
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n": [
        ("message", "first event", "1"),
        ("message", "second event", ""),
        ("message", " third event", ""),
    ],
    b"data\n\ndata\ndata\n\ndata:\n": [("message", "", ""), ("message", "\n", "")],
    b"event: add\ndata: 1\n\nevent: add\n\n": [("add", "1", "")],
    b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n": [("message", "a", "")],
    b"id: 1\ndata: a\n\nid: x\x00y\ndata: b\n\n": [("message", "a", "1"), ("message", "b", "1")],
    b"retry: 10\ndata: a\n\nretry: \xc2\xb2\ndata: b\n\n": [("message", "a", ""), ("message", "b", "")],
}


def dispatched(units: list[Unit]) -> list[tuple[str, str, str]]:
    found = []
    for unit in units:
        if unit.pdu.protocol == "sse" and (kind := unit.layer.value("sse.type")) is not None:
            data = "\n".join(field.value for field in unit.layer.walk() if field.name == "sse.data")
            found.append((kind, data, unit.layer.value("sse.last_event_id")))
    return found


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("stream", VECTORS)
def test_events(stream: bytes, end: bytes, size: int) -> None:
    body = stream.replace(b"\n", end)
    until_close = talk([(C, GET), (S, HEAD + b"\r\n"), (S, body)], size)
    assert dispatched(until_close) == VECTORS[stream]
    whole = stream.endswith(b"\n\n")
    assert whole == all(unit.pdu.complete for unit in until_close if unit.pdu.protocol == "sse")
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:])) + b"0\r\n\r\n"
    in_chunks = talk([(C, GET), (S, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), (S, chunked)], size)
    assert dispatched(in_chunks) == VECTORS[stream]


def test_a_client_that_comes_back_goes_on_from_the_id_that_it_brings() -> None:
    again = GET.replace(b"\r\n\r\n", b"\r\nLast-Event-ID: 7\r\n\r\n")
    units = talk([(C, again), (S, HEAD + b"\r\ndata: a\n\nid: 8\ndata: b\n\n")])
    assert dispatched(units) == [("message", "a", "7"), ("message", "b", "8")]


def test_an_event_belongs_to_the_packet_of_its_blank_line() -> None:
    steps = [(C, GET), (S, HEAD + b"\r\n"), (S, b"data: a\n"), (S, b"\n"), (S, b"data: b\r"), (S, b"\r"), (S, b"\ndata: c")]
    units = [unit for unit in talk(steps) if unit.pdu.protocol == "sse"]
    assert [b"".join(span.read() for span in trace(unit.pdu.span))[:7] for unit in units[:2]] == [b"data: a", b"data: b"]
    assert [unit.pdu.packet for unit in units[:2]] == [9, 13]
    assert not units[2].pdu.complete and "sse-cut" in units[2].issues


def test_a_coded_stream_is_decoded_as_it_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    parts = []
    for number in range(3):
        parts.append(packer.compress(b'data: {"n": %d}\n\n' % number) + packer.flush(zlib.Z_SYNC_FLUSH))
    assert gzip.decompress(b"".join(parts) + packer.flush())
    head = HEAD + b"Content-Encoding: gzip\r\n\r\n"
    units = [u for u in talk([(C, GET), (S, head), *((S, part) for part in parts)]) if u.pdu.protocol == "sse"]
    assert dispatched(units) == [("message", f'{{"n": {number}}}', "") for number in range(3)]
    for unit, part in zip(units, parts, strict=True):
        assert unit.dissection.find("json") is not None
        assert b"".join(span.read() for span in trace(unit.pdu.span)) == part
        assert all(isinstance(span.buffer, Frame) for span in trace(unit.pdu.span))


def test_behind_a_gap_the_next_event_is_found() -> None:
    events = [b"data: %d\n\n" % number for number in range(5)]
    for chunked in (False, True):
        head = HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
        sent = [b"%x\r\n%s\r\n" % (len(event), event) if chunked else event for event in events]
        steps = [(C, GET), (S, head), *((S, part) for part in sent)]
        units = talk(steps, lost=[4])
        assert [data for _, data, _ in dispatched(units)][-1] == "4" and len(dispatched(units)) >= 3
        assert [data for _, data, _ in dispatched(units)][:2] == ["0", "1"]


def test_an_id_with_nul_is_an_ignored_line() -> None:
    units = [u for u in talk([(C, GET), (S, HEAD + b"\r\n"), (S, b"id: a\0b\ndata: x\n\n")]) if u.pdu.protocol == "sse"]
    assert units[0].layer.value("sse.id") is None and units[0].layer.value("sse.ignored") is not None
    assert units[0].layer.value("sse.last_event_id") == ""


def test_the_notes_follow_the_lines() -> None:
    body = b"id: 7\nretry: 1500\nevent: add\ndata: 1\ndata: 2\n\n: ping\n\nid\ndata: x\n\n"
    units = [u for u in talk([(C, GET), (S, HEAD + b"\r\n"), (S, body)]) if u.pdu.protocol == "sse"]
    notes = [{note.title: note.why for note in unit.layer.notes} for unit in units]
    assert "“add”" in notes[0]["dispatch"] and "2 data lines" in notes[0]["dispatch"]
    assert "remembers 7" in notes[0]["id"] and "1,500 ms" in notes[0]["retry"]
    assert set(notes[1]) == {"comment"} and "forgets" in notes[2]["id"]
