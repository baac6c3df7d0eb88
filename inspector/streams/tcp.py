"""TCP reassembly: the segments of one direction, in the order of the capture, become one stream of bytes.

Out-of-order segments wait; where copies overlap the first one wins; what the peer has acknowledged and the
capture never shows is a gap (the approach of Zeek). RFC 9293, 3.4 and 3.10.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from typing import NamedTuple

from inspector.core.limits import MAX_HELD_SEGMENTS
from inspector.core.span import Buffer, Origin, Span
from inspector.core.stream import Reader
from inspector.core.tcp_flags import FIN, SYN

_HALF = 1 << 31


class Segment(NamedTuple):
    """Bytes of one segment: `offset` in the stream, where they lie in packet `packet`; only `have` of them were captured;
    place: of the payload in the file, -1 where it is not known."""

    offset: int
    length: int
    packet: int
    skip: int
    have: int
    place: int = -1


class TcpBuffer(Buffer):
    """One direction of a TCP conversation: columns of segments; the bytes are read from the packets when asked for.

    payload: gives the span of a packet's TCP payload; load: reads bytes of the file, where it is known at which place of it
    a segment lies.
    """

    __slots__ = ("_have", "_load", "_packets", "_payload", "_places", "_size", "_skips", "_starts")

    def __init__(self, id: str, payload: Callable[[int], Span], load: Callable[[int, int], bytes] | None = None) -> None:
        super().__init__(id, "TCP stream")
        self._payload = payload
        self._load = load
        self._starts = array("q")
        self._have = array("I")
        self._packets = array("I")
        self._skips = array("I")
        self._places = array("q")  # in the file, -1 where that is not known
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def append(self, offset: int, length: int, have: int, packet: int, skip: int, place: int = -1) -> None:
        """Bytes `offset` to `offset + length`; the first `have` of them stand `skip` bytes into the packet's payload, which
        begins at `place` in the file."""
        if have > 0:
            self._starts.append(offset)
            self._have.append(have)
            self._packets.append(packet)
            self._skips.append(skip)
            self._places.append(-1 if place < 0 or self._load is None else place + skip)
        self._size = max(self._size, offset + length)

    def extend(self, starts: array[int], lengths: array[int], packets: array[int], places: array[int]) -> None:
        """Whole segments that follow one another, each as `append` has it."""
        self._starts.extend(starts)
        self._have.extend(lengths)
        self._packets.extend(packets)
        self._skips.frombytes(bytes(self._skips.itemsize * len(starts)))
        self._places.extend(places if self._load is not None else array("q", [-1]) * len(starts))
        self._size = starts[-1] + lengths[-1]

    def _pieces(self, start: int, stop: int) -> Iterator[int]:
        for at in range(max(bisect_right(self._starts, start) - 1, 0), len(self._starts)):
            begin = self._starts[at]
            if begin >= stop:
                return
            if begin + self._have[at] > start:
                yield at

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        if stop <= start:
            return b""
        parts: list[bytes] = []
        at = start
        for piece in self._pieces(start, stop):
            begin = self._starts[piece]
            low, high = max(begin, at), min(begin + self._have[piece], stop)
            if low > at:
                parts.append(bytes(low - at))
            place = self._places[piece]
            if place >= 0 and self._load is not None:
                part = self._load(place + low - begin, high - low)
            else:
                source = self._payload(self._packets[piece])
                base = source.start + self._skips[piece] - begin
                part = source.buffer.read(base + low, base + high)
            parts.append(part if len(part) == high - low else part.ljust(high - low, b"\0"))  # the file has shrunk
            at = high
        if at < stop:
            parts.append(bytes(stop - at))
        return b"".join(parts)

    def origins(self, start: int, stop: int) -> Iterator[Origin]:
        for piece in self._pieces(start, stop):
            begin, size = self._starts[piece], self._have[piece]
            source = self._payload(self._packets[piece])
            base = source.start + self._skips[piece]
            yield Origin(begin, begin + size, Span(source.buffer, base, base + size))

    def segments(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """(start, stop, packet) of the segments that carried a range."""
        starts, have, packets = self._starts, self._have, self._packets
        return [(starts[at], starts[at] + have[at], packets[at]) for at in self._pieces(start, stop)]


class Direction:
    """One direction's reassembly: fed with segments and acknowledgements in packet order."""

    def __init__(self, buffer: TcpBuffer, reader: Reader) -> None:
        self.buffer = buffer
        self.reader = reader
        self.isn: int | None = None  # sequence number of stream offset 0
        self.acknowledged = 0
        self.end: int | None = None  # stream offset of the FIN
        self.conflicts: set[int] = set()  # packets whose bytes differ from an earlier copy
        self.given_up: set[int] = set()  # packets at which too many were waiting for a missing one
        self._held: list[Segment] = []
        self._ranges: dict[int, tuple[int, int]] = {}

    @property
    def next(self) -> int:
        """The stream offset that is expected next."""
        return self.reader.arrived

    def offset(self, sequence: int) -> int:
        """The stream offset of a sequence number, near the expected one."""
        assert self.isn is not None
        delta = (sequence - self.isn - self.next) & 0xFFFFFFFF
        return self.next + (delta - (1 << 32) if delta >= _HALF else delta)

    @property
    def plain(self) -> bool:
        """Nothing is missing, and nothing has ended: segments that follow one another can be taken many at a time."""
        return self.isn is not None and self.end is None and not self._held and not self.reader.ended

    def segment(
        self, sequence: int, flags: int, length: int, have: int, packet: int, place: int = -1
    ) -> tuple[int, int]:
        """A segment; returns the range of the stream that its payload fills (whether or not it is new)."""
        if flags & SYN:
            sequence = (sequence + 1) & 0xFFFFFFFF
            if self.isn is None:
                self.isn = sequence
        if self.isn is None:
            self.isn = sequence
        offset = self.offset(sequence)
        if flags & FIN and self.end is None:
            self.end = offset + length
        if length:
            self._add(Segment(offset, length, packet, 0, min(have, length), place))
        if self.end is not None and self.next >= self.end:
            self.reader.finish(packet)
        return offset, offset + length

    def acknowledge(self, number: int, packet: int) -> None:
        """The peer has received everything before `number`."""
        if self.isn is None:
            return
        offset = self.offset(number)
        if offset - self.next > _HALF // 2:
            return
        self.acknowledged = max(self.acknowledged, offset)
        if self._held and self.acknowledged >= self._held[0].offset > self.next:
            self._gap(self._held[0].offset, packet)
            self._release(packet)

    def reset(self, packet: int) -> None:
        """The connection was reset: nothing that is missing will come."""
        self.flush(packet)
        self.reader.finish(packet, reset=True)

    def flush(self, packet: int) -> None:
        """Nothing more comes: what waits for missing bytes is released behind gaps."""
        while self._held:
            self._gap(self._held[0].offset, packet)
            self._release(packet)

    def _add(self, new: Segment) -> None:
        if new.offset > self.next:
            if self.acknowledged >= new.offset and not self._held:
                self._gap(new.offset, new.packet)
            else:
                if len(self._held) >= MAX_HELD_SEGMENTS:
                    self.given_up.add(new.packet)
                    self._gap(self._held[0].offset, new.packet)
                    self._release(new.packet)
                insort(self._held, new)
                return
        self._deliver(new, new.packet)
        self._release(new.packet)

    def _deliver(self, new: Segment, packet: int) -> None:
        old = self.next - new.offset
        if old > 0:
            self._compare(new, min(old, new.length))
        if old >= new.length:
            return
        length, have = new.length - max(old, 0), new.have - max(old, 0)
        self.buffer.append(self.next, length, have, new.packet, new.skip + max(old, 0), new.place)
        if have >= length:
            self.reader.push(self.next + length, packet)
        else:
            if have > 0:
                self.reader.push(self.next + have, packet)
            self.reader.push_gap(length - max(have, 0), packet)

    def _release(self, packet: int) -> None:
        while self._held and self._held[0].offset <= self.next:
            self._deliver(self._held.pop(0), packet)
        if self.end is not None and self.next >= self.end:
            self.reader.finish(packet)

    def _gap(self, until: int, packet: int) -> None:
        if until > self.next:
            size = until - self.next
            self.buffer.append(self.next, size, 0, 0, 0)
            self.reader.push_gap(size, packet)

    def _compare(self, new: Segment, size: int) -> None:
        """Notes a copy whose bytes differ from the first one (RFC 9293 leaves the choice to the receiver)."""
        start = max(new.offset, 0)
        size = min(size - (start - new.offset), new.have - (start - new.offset))
        if size <= 1:  # a keep-alive may carry one byte of garbage (RFC 9293, 3.8.4)
            return
        pieces = self.buffer.segments(start, start + size)
        if sum(min(stop, start + size) - max(begin, start) for begin, stop, _ in pieces) < size:
            return
        source = self.buffer._payload(new.packet)
        base = source.start + new.skip + start - new.offset
        if source.buffer.read(base, base + size) != self.buffer.read(start, start + size):
            self.conflicts.add(new.packet)
