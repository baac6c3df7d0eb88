"""Reassembly: what the receiver would have read, whatever the order of the segments."""

from __future__ import annotations

import itertools
import random

from inspector.core.span import Frame, Span, trace
from inspector.core.stream import Reader
from inspector.streams.tcp import Direction, TcpBuffer

ISN = 0xFFFFFFF0  # close to the wrap, so that every test crosses it


class Wire:
    """Segments as frames whose payload begins at byte 54."""

    def __init__(self) -> None:
        self.frames: dict[int, Frame] = {}
        buffer = TcpBuffer("tcp:0.0", self.payload)
        self.direction = Direction(buffer, Reader(buffer, 0))
        self.direction.segment(ISN, 0x02, 0, 0, 1)

    def payload(self, number: int) -> Span:
        return Span(self.frames[number], 54, self.frames[number].size)

    def send(self, number: int, offset: int, data: bytes, flags: int = 0x10, have: int | None = None) -> None:
        raw = bytes(54) + data
        self.frames[number] = Frame(number, len(raw), lambda: raw)
        sequence = (ISN + 1 + offset) & 0xFFFFFFFF
        self.direction.segment(sequence, flags, len(data), len(data) if have is None else have, number)

    def text(self) -> bytes:
        return self.direction.buffer.read(0, self.direction.buffer.size)


def test_in_order_bytes_and_their_frames() -> None:
    wire = Wire()
    wire.send(2, 0, b"hello ")
    wire.send(3, 6, b"world of segments that cross the wrap")
    assert wire.text() == b"hello world of segments that cross the wrap"
    found = trace(Span(wire.direction.buffer, 4, 8))
    assert [(span.buffer.id, span.start, span.stop) for span in found] == [("frame:2", 58, 60), ("frame:3", 54, 56)]


def test_any_order_gives_the_same_stream() -> None:
    text = bytes(random.Random(7).randrange(256) for _ in range(300))
    for seed in range(20):
        rng = random.Random(seed)
        cuts = sorted({0, 300, *(rng.randrange(300) for _ in range(12))})
        parts = [(a, text[a:b]) for a, b in itertools.pairwise(cuts)]
        parts += rng.sample(parts, 3)  # retransmissions
        rng.shuffle(parts)
        wire = Wire()
        for number, (offset, data) in enumerate(parts, 2):
            wire.send(number, offset, data)
        assert wire.text() == text
        assert not wire.direction.conflicts
        assert wire.direction.reader.packet_at(0) >= 2


def test_a_byte_belongs_to_the_packet_that_made_it_readable() -> None:
    wire = Wire()
    wire.send(2, 5, b"later")
    assert wire.direction.next == 0
    wire.send(3, 0, b"first")
    assert wire.text() == b"firstlater"
    assert wire.direction.reader.packet_at(7) == 3
    assert [packet for _, _, packet in wire.direction.buffer.segments(0, 10)] == [3, 2]


def test_the_first_copy_wins_and_a_conflict_is_noted() -> None:
    wire = Wire()
    wire.send(2, 0, b"abcdef")
    wire.send(3, 2, b"XXXXgh")
    assert wire.text() == b"abcdefgh"
    assert wire.direction.conflicts == {3}


def test_acknowledged_bytes_that_were_never_captured_are_a_gap() -> None:
    wire = Wire()
    wire.send(2, 0, b"aaa")
    wire.send(3, 6, b"ccc")
    assert wire.direction.next == 3
    wire.direction.acknowledge((ISN + 1 + 9) & 0xFFFFFFFF, 4)
    assert wire.direction.next == 9
    assert wire.text() == b"aaa\0\0\0ccc"
    assert [span.buffer.id for span in trace(Span(wire.direction.buffer, 0, 9))] == ["frame:2", "frame:3"]


def test_the_end_comes_with_the_fin_even_when_it_arrives_early() -> None:
    wire = Wire()
    wire.send(2, 3, b"def", flags=0x11)
    assert not wire.direction.reader.ended
    wire.send(3, 0, b"abc")
    assert wire.direction.reader.ended
    assert wire.direction.reader.end_packet == 3


def test_a_segment_cut_by_the_snap_length_leaves_a_gap() -> None:
    wire = Wire()
    wire.send(2, 0, b"abcdef", have=4)
    wire.send(3, 6, b"gh")
    assert wire.text() == b"abcd\0\0gh"
