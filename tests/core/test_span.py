"""Provenance: any range leads down to the frames that carried it."""

from __future__ import annotations

from inspector.core.span import Derived, Frame, Origin, Span, project, trace
from inspector.core.stream import StreamBuffer


def frame(number: int, data: bytes) -> Frame:
    return Frame(number, len(data), lambda: data)


def test_a_range_over_two_segments_leads_to_both_frames() -> None:
    one, two = frame(1, b"..hello"), frame(2, b"...world")
    stream = StreamBuffer("tcp:0.0", "TCP stream")
    stream.append(Span(one, 2, 7))
    stream.append(Span(two, 3, 8))
    assert stream.read(3, 8) == b"lowor"
    assert trace(Span(stream, 3, 8)) == [Span(one, 5, 7), Span(two, 3, 6)]


def test_what_was_worked_out_leads_to_the_whole_source_and_says_so() -> None:
    one = frame(1, b"compressed")
    inflated = Derived("body", "decompressed", b"a much longer text", [Origin(0, 18, Span(one, 0, 10), copied=False)])
    assert trace(Span(inflated, 2, 6)) == [Span(one, 0, 10, exact=False)]
    assert trace(Span(inflated, 0, 18)) == [Span(one, 0, 10, exact=True)]


def test_neighbouring_ranges_of_a_frame_are_joined() -> None:
    one = frame(1, b"0123456789")
    body = StreamBuffer("http:0.1.2", "body")
    body.append(Span(one, 0, 4))
    body.append(Span(one, 4, 8))
    assert trace(Span(body, 1, 7)) == [Span(one, 1, 7)]


def test_a_range_is_projected_on_a_buffer_in_between() -> None:
    one = frame(1, b"0123456789")
    stream = StreamBuffer("tcp:0.0", "TCP stream")
    stream.append(Span(one, 2, 10))
    body = StreamBuffer("http:0.0.1", "body")
    body.append(Span(stream, 3, 6))
    assert project(Span(body, 1, 3), stream) == [Span(stream, 4, 6)]
    assert trace(Span(body, 1, 3)) == [Span(one, 6, 8)]


def test_kept_pieces_are_read_back() -> None:
    one = frame(1, b"xyz")
    plain = StreamBuffer("tls:0.0.1", "decrypted")
    plain.append(Span(one, 0, 3), b"clear text")
    plain.append(Span(one, 1, 3))
    assert plain.size == 12
    assert plain.read(6, 12) == b"textyz"
