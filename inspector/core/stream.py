"""Streams: the readers that a stream parser works with, and the units (PDUs) that it yields.

A parser is written as one generator a direction. It reads as if all bytes were there; where they are not, the
generator waits. It never reads a file, a socket or a clock, and sees each byte once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, TypeVar

from inspector.core.secrecy import Keys
from inspector.core.span import Buffer, Origin, Span

T = TypeVar("T")
Steps = Generator[None, None, T]  # what a parser's methods are: they yield where they must wait


class Ended(Exception):
    """The stream ended (close, reset, or end of the capture) before the value did."""

    limit = ""


class TooLong(Exception):
    """A limit was reached before the value ended; `limit` says which, in words."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class Gap(Exception):
    """Bytes are missing from the capture at the reader's position; `size` of them."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Pdu:
    """One unit of a protocol in a stream: light; its layer is built only when somebody looks.

    kind: which of the protocol's units (`request`, `event`); span: its bytes; packet: the one that completes it;
    info: what the parser knows and its bytes do not say; complete: false where the stream ended inside it, or a limit was
    reached (`info["limit"]` says which);
    node: the node of the tree of streams that yielded it.
    """

    __slots__ = ("complete", "direction", "info", "kind", "node", "packet", "protocol", "span")

    def __init__(
        self,
        protocol: str,
        kind: str,
        span: Span,
        packet: int,
        direction: int,
        node: Node,
        info: dict[str, Any],
        complete: bool = True,
    ) -> None:
        self.protocol = protocol
        self.kind = kind
        self.span = span
        self.packet = packet
        self.direction = direction
        self.node = node
        self.info = info
        self.complete = complete

    def __repr__(self) -> str:
        return f"<Pdu {self.protocol} {self.kind} {self.span.buffer.id} {self.span.start}:{self.span.stop} @{self.packet}>"


class StreamBuffer(Buffer):
    """The bytes of one direction of a stream, made of pieces of other buffers in the order in which they joined it.

    A piece that copies its source is read from there again. One that was worked out (inflated, decrypted) is kept, unless
    it comes with a way to work it out again. Bytes that are missing from the capture are zeros and come from nowhere.
    """

    __slots__ = ("_again", "_kept", "_missing", "_size", "_sources", "_starts", "_whole")

    def __init__(self, id: str, kind: str) -> None:
        super().__init__(id, kind)
        self._starts = array("q")
        self._sources: list[Span] = []
        self._kept: dict[int, bytes] = {}
        self._again: dict[int, Callable[[], bytes]] = {}
        self._whole: set[int] = set()  # pieces that came out of their source as a whole, not byte by byte
        self._missing: set[int] = set()
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    @property
    def kept(self) -> int:
        """Bytes that are held here, since nothing works them out again."""
        return sum(map(len, self._kept.values()))

    def append(
        self, source: Span, data: bytes | None = None, again: Callable[[], bytes] | None = None, copied: bool = False
    ) -> None:
        """Add a copy of `source`, or `data` that was worked out of it. again: works it out once more, so that it need not be
        kept; copied: byte i of `data` is byte i of the source all the same (unmasked)."""
        at, size = len(self._starts), source.size if data is None else len(data)
        if not size:
            return
        if data is not None:
            if again is not None:
                self._again[at] = again
            else:
                self._kept[at] = data
            if not copied:
                self._whole.add(at)
        self._starts.append(self._size)
        self._sources.append(source)
        self._size += size

    def append_gap(self, size: int) -> None:
        """Add `size` bytes that are missing from the capture."""
        if size > 0:
            self._missing.add(len(self._starts))
            self._starts.append(self._size)
            self._sources.append(Span(self, self._size, self._size))
            self._size += size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        parts = []
        at = max(bisect_right(self._starts, start) - 1, 0)
        while start < stop and at < len(self._starts):
            begin = self._starts[at]
            end = self._starts[at + 1] if at + 1 < len(self._starts) else self._size
            high = min(end, stop)
            parts.append(self._piece(at, start - begin, high - begin))
            start = high
            at += 1
        return b"".join(parts)

    def _piece(self, at: int, low: int, high: int) -> bytes:
        if at in self._missing:
            return bytes(high - low)
        kept = self._kept.get(at)
        if kept is None and at in self._again:
            kept = self._again[at]()
        if kept is not None:
            return kept[low:high]
        source = self._sources[at]
        return source.buffer.read(source.start + low, source.start + high)

    def origins(self, start: int, stop: int) -> Generator[Origin, None, None]:
        for at in range(max(bisect_right(self._starts, start) - 1, 0), len(self._starts)):
            begin = self._starts[at]
            if begin >= stop:
                break
            end = self._starts[at + 1] if at + 1 < len(self._starts) else self._size
            if at not in self._missing:
                yield Origin(begin, end, self._sources[at], at not in self._whole)


class Reader:
    """One direction of a stream, as far as it has arrived. `pos` is the offset of the next byte to read."""

    READ_AHEAD = 64 * 1024  # bytes fetched at a time while looking for a delimiter

    def __init__(self, buffer: Buffer, direction: int, pos: int = 0) -> None:
        self.buffer = buffer
        self.direction = direction
        self.pos = pos
        self.arrived = self._first = pos
        self.ended = False
        self.end_packet = 0
        self.end_seen = False
        self.reset = False
        self.owner: object = None  # the node that reads here now
        self.wanted = 0  # what reads here waits for bytes up to this place, and for nothing else; 0: it may wait for anything
        self._until = array("q")  # arrived up to here …
        self._packets = array("I")  # … with this packet
        self._gaps: list[tuple[int, int]] = []
        self._cache = b""
        self._cache_start = 0

    # --- what the tree tells the reader

    def push(self, until: int, packet: int) -> None:
        """Bytes up to `until` have arrived with `packet`."""
        if until > self.arrived:
            self._until.append(until)
            self._packets.append(packet)
            self.arrived = until

    def expect(self, until: array[int], packets: array[int]) -> None:
        """What will arrive, and with which packets. Each time, `arrived` is then set to the next of these places."""
        self._until.extend(until)
        self._packets.extend(packets)

    def push_gap(self, size: int, packet: int) -> None:
        """The next `size` bytes are not in the capture."""
        self._gaps.append((self.arrived, self.arrived + size))
        self.push(self.arrived + size, packet)

    def finish(self, packet: int, reset: bool = False, seen: bool = True) -> None:
        """No more bytes will come. seen: the stream ended; otherwise only the capture did."""
        if not self.ended:
            self.ended = True
            self.end_seen = seen
            self.end_packet = packet
            self.reset = reset

    def arrivals(self) -> Iterator[tuple[int, int, int, bool]]:
        """How the stream came: (start, stop, packet, missing) of each piece; bytes that the capture lacks are `missing`."""
        missing = set(self._gaps)
        start = 0
        for until, packet in zip(self._until, self._packets, strict=True):
            yield start, until, packet, (start, until) in missing
            start = until

    # --- what parsers ask

    @property
    def available(self) -> int:
        """Bytes that have arrived and are not read."""
        return self.arrived - self.pos

    @property
    def exhausted(self) -> bool:
        """Everything is read and nothing more will come."""
        return self.ended and self.pos >= self.arrived

    @property
    def reach(self) -> int:
        """How far the bytes go from here: to the next gap, or as far as they have arrived."""
        gap = self._next_gap() if self._gaps else None
        return self.arrived if gap is None else max(gap[0], self.pos)

    def present(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of a range that are in the capture, in order."""
        found, at = [], start
        for low, high in self._gaps:
            if high > at and low < stop:
                if low > at:
                    found.append((at, low))
                at = min(high, stop)
        return [*found, (at, stop)] if at < stop else found

    def packet_at(self, offset: int) -> int:
        """The packet with which the byte at `offset` became readable."""
        if not self._packets or self.arrived <= self._first:
            return self.end_packet
        return self._packets[bisect_right(self._until, min(offset, self.arrived - 1))]

    def packet(self) -> int:
        """The packet that brought the last byte read."""
        return self.packet_at(self.pos - 1)

    def segment_start(self, offset: int) -> int:
        """The first place at or after `offset` where new bytes began to arrive: where to look for a boundary after a gap."""
        at = bisect_left(self._until, offset)
        return min(self._until[at], self.arrived) if at < len(self._until) else self.arrived

    def _next_gap(self) -> tuple[int, int] | None:
        for gap in self._gaps:
            if gap[1] > self.pos:
                return gap
        return None

    def _clear(self) -> int:
        """How far the bytes go before the next gap; raises `Gap` (and moves behind it) when it is here."""
        gap = self._next_gap() if self._gaps else None
        if gap is None:
            return self.arrived
        if gap[0] <= self.pos:
            size = gap[1] - self.pos
            self.pos = gap[1]
            raise Gap(size)
        return gap[0]

    def _bytes(self, start: int, stop: int) -> bytes:
        """Bytes of the buffer through a small cache, so that reading line by line does not fetch a segment each time."""
        if not (self._cache_start <= start and stop <= self._cache_start + len(self._cache)):
            # A buffer may hold more than has arrived: bytes that will come, and stay as they are.
            self._cache = self.buffer.read(start, min(max(stop, start + self.READ_AHEAD), self.buffer.size))
            self._cache_start = start
        return self._cache[start - self._cache_start : stop - self._cache_start]

    def peek(self, size: int) -> Steps[bytes]:
        """The next `size` bytes without moving; fewer where the stream ends or has a gap first."""
        while True:
            clear = self._clear()
            if clear - self.pos >= size or clear < self.arrived or self.ended:
                return self._bytes(self.pos, min(self.pos + size, clear))
            self.wanted = self.pos + size
            yield
            self.wanted = 0

    def peek_now(self, size: int) -> bytes:
        """What has arrived of the next `size` bytes, without moving or waiting."""
        return self._bytes(self.pos, min(self.pos + size, self.reach))

    def peek_at(self, start: int, size: int) -> bytes:
        """What has arrived of `size` bytes from `start` on, up to the next gap; for looking further on without moving."""
        stop = min([start + size, self.arrived, *(max(low, start) for low, high in self._gaps if high > start)])
        return self.buffer.read(start, stop)

    def read(self, size: int) -> Steps[bytes]:
        """The next `size` bytes. Raises `Ended` (the position is unchanged) or `Gap` (it is behind the gap)."""
        while True:
            clear = self._clear()
            if clear - self.pos >= size:
                data = self._bytes(self.pos, self.pos + size)
                self.pos += size
                return data
            if clear < self.arrived:
                self.pos = clear
                self._clear()
            if self.ended:
                raise Ended
            self.wanted = self.pos + size
            yield
            self.wanted = 0

    def skip(self, size: int, over_gaps: bool = False) -> Steps[int]:
        """Move on by `size` bytes without looking at them; returns how many of them are missing from the capture."""
        stop = self.pos + size
        missing = 0
        while self.pos < stop:
            try:
                clear = self._clear()
            except Gap as gap:
                if not over_gaps:
                    raise
                beyond = max(self.pos - stop, 0)
                missing += gap.size - beyond
                continue
            if clear > self.pos:
                self.pos = min(clear, stop)
            elif self.ended:
                raise Ended
            else:
                self.wanted = stop
                yield
                self.wanted = 0
        return missing

    def until(self, delimiter: bytes, limit: int) -> Steps[bytes]:
        """The bytes up to and with `delimiter`. Raises `Ended`, `Gap`, or `TooLong` after `limit` bytes."""
        seen = 0
        while True:
            clear = self._clear()
            while seen < clear - self.pos:
                step = min(self.READ_AHEAD, clear - self.pos - seen)
                back = min(seen, len(delimiter) - 1)
                found = self._bytes(self.pos + seen - back, self.pos + seen + step).find(delimiter)
                size = seen - back + found + len(delimiter)
                if found >= 0 and size <= limit:
                    return (yield from self.read(size))
                seen += step
                if found >= 0 or seen > limit:
                    raise TooLong(f"its end is looked for within {limit:,} bytes")
            if clear < self.arrived:
                self.pos = clear
                self._clear()
            if self.ended:
                raise Ended
            yield

    def some(self) -> Steps[bool]:
        """Wait for at least one byte; false at the end of the stream. Raises `Gap` where one comes first."""
        while True:
            if self._clear() > self.pos:
                return True
            if self.ended:
                return False
            yield


class Node(Protocol):
    """One node of the tree of streams, as its parser sees it."""

    id: str
    info: dict[str, Any]
    why: str

    @property
    def client(self) -> int:
        """The direction that the client sends in: 0 or 1."""

    def reader(self, direction: int) -> Reader:
        """The reader of a direction."""

    def emit(
        self,
        kind: str,
        reader: Reader,
        start: int,
        stop: int,
        info: dict[str, Any] | None = None,
        *,
        complete: bool = True,
        packet: int | None = None,
        protocol: str | None = None,
    ) -> Pdu:
        """Yield the PDU of bytes `start` to `stop` of the reader's buffer. It belongs to the packet that brought its
        last byte, unless `packet` names another (a body that ends with the connection ends with the FIN)."""

    def open(
        self, name: str, kind: str, table: str, key: Any, info: dict[str, Any] | None = None, why: str = ""
    ) -> Child | None:
        """A child stream, for what this one carries; None where no stream parser is known for `key`. As in `hand_over`, the
        table "protocol" has protocols by name, and ("stream", "detect") lets the content decide."""

    def hand_over(self, reader: Reader, table: str, key: Any, info: dict[str, Any] | None = None, why: str = "") -> bool:
        """From the reader's position on, this direction belongs to another protocol. The first call names it for both
        directions. False where no stream parser is known for `key`; the caller then goes on."""

    def cut(self, packet: int, text: str) -> None:
        """Say, at a packet, that something is not read because of a limit, and which."""

    @property
    def keys(self) -> Keys | None:
        """The secrets that were given; None where nobody hands any in."""

    @property
    def over(self) -> bool:
        """The capture has no more of this conversation: what the other direction has not said, it will never say."""


class Child(Protocol):
    """The feeding end of a child stream."""

    def push(
        self,
        direction: int,
        source: Span,
        packet: int,
        data: bytes | None = None,
        again: Callable[[], bytes] | None = None,
        copied: bool = False,
    ) -> None:
        """Add a copy of `source`, or `data` that was worked out of it; it is readable from `packet` on. again and copied are
        `StreamBuffer.append`'s."""

    def gap(self, direction: int, size: int, packet: int) -> None:
        """`size` bytes are missing here."""

    def end(self, direction: int, packet: int, reset: bool = False) -> None:
        """Nothing more comes in this direction."""


class StreamParser:
    """Base of every stream parser. One object for both directions; `parse` is started once for each.

    A `Gap` or `Ended` that `parse` lets out ends the direction's parsing: after `Gap` it is started anew behind
    the gap with `resync` true, so that it can look for the next boundary.
    """

    protocol: str = ""
    node: Node

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        raise NotImplementedError

    def wait(self, ready: Callable[[], bool]) -> Steps[bool]:
        """Wait for something that the other direction must say; false where it never will."""
        while not ready():
            if self.node.over:
                yield  # what the other direction has said, and was not read yet, is heard first
                return ready()
            yield
        return True
