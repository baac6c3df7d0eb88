"""Fragmented IP datagrams (RFC 791, 3.2; RFC 8200, 4.5): which packet completes which, and from which frames.

Filled in packet order by one pass over the fragments of a capture; what it answers does not depend on what is viewed. The
bytes are held until their datagram is whole; then only where they lie is kept, and they are read again when somebody looks.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from inspector.core.layer import Severity
from inspector.core.limits import MAX_DATAGRAM, MAX_FRAGMENTS, MAX_OPEN_DATAGRAMS, MAX_REASSEMBLY
from inspector.core.span import Origin, Span

LEAST = 512  # bytes that any piece costs, however short it is
Name = tuple[Any, ...]  # of a datagram: source, destination, protocol, identification


class Trouble(NamedTuple):
    """What is wrong with a fragment: the parts of an issue."""

    code: str
    severity: Severity
    text: str


class Joined(NamedTuple):
    """What a fragment leads to.

    origins: where the bytes of the datagram that it completes lie, in order; none where it completes none; data: these
    bytes, while they are at hand.
    """

    origins: Sequence[Origin] = ()
    trouble: Trouble | None = None
    data: bytes | None = None

    def read(self) -> bytes:
        """The datagram. Bytes of a file that has shrunk since are zeros."""
        if self.data is not None:
            return self.data
        return b"".join(origin.source.read().ljust(origin.stop - origin.start, b"\0") for origin in self.origins)


NOTHING = Joined()


class Piece(NamedTuple):
    """Bytes of a datagram from `start` on, and where they lie."""

    start: int
    data: bytes
    span: Span

    @property
    def stop(self) -> int:
        return self.start + len(self.data)

    def part(self, start: int, stop: int) -> Piece:
        """Bytes `start` to `stop` of the datagram."""
        base = self.span.start - self.start
        data = self.data[start - self.start : stop - self.start]
        return Piece(start, data, Span(self.span.buffer, base + start, base + stop))


class Assembly:
    """One datagram whose fragments are being collected. The first copy of a byte stays.

    pieces: what no other one covers, in order; end: how long it is, once its last fragment has come; discarded: IPv6 forbids
    to go on with it.
    """

    __slots__ = ("_copies", "_covered", "cost", "count", "discarded", "end", "first", "pieces", "strict")

    def __init__(self, first: int, strict: bool) -> None:
        self.first = first  # the packet that began it
        self.strict = strict  # IPv6: no overlap is allowed
        self.pieces: list[Piece] = []
        self.end: int | None = None
        self.count = self.cost = 0
        self.discarded = False
        self._copies: dict[tuple[int, int], bytes] = {}
        self._covered = 0

    def add(self, new: Piece, more: bool) -> Trouble | None:
        """One more fragment."""
        self.count += 1
        if self.discarded:
            return _discarded("an earlier fragment of this datagram overlapped another")
        first = self._copies.get((new.start, new.stop))
        if first is not None and (not self.strict or first == new.data):
            return _overlap(len(new.data), first != new.data)
        shared, differs = self._insert(new)
        if shared and self.strict:
            self.discarded = True
            self.pieces, self._copies, self.cost = [], {}, LEAST
            return _discarded("it overlaps an earlier one")
        self._copies[new.start, new.stop] = new.data
        self.cost += max(len(new.data), LEAST)
        trouble = _overlap(shared, differs) if shared else None
        if not more and self.end is None:
            self.end = new.stop
            self._cut()
        elif self.end is not None and (not more or new.stop > self.end):
            text = f"the datagram already ended at byte {self.end:,}: what lies behind that is left out"
            trouble = Trouble("fragment-end", Severity.WARNING, text)
            self._cut()
        return trouble

    @property
    def whole(self) -> bool:
        return self._covered == self.end

    def joined(self) -> tuple[list[Origin], bytes]:
        """Where the datagram's bytes lie, and these."""
        origins = [Origin(piece.start, piece.stop, piece.span) for piece in self.pieces]
        return origins, b"".join(piece.data for piece in self.pieces)

    def _insert(self, new: Piece) -> tuple[int, bool]:
        """Put in what nobody covers yet; returns how many bytes somebody did, and whether these differ."""
        at = max(bisect_left(self.pieces, new.start, key=lambda piece: piece.start) - 1, 0)
        begin, shared, differs = new.start, 0, False
        fresh: list[Piece] = []
        for old in self.pieces[at:]:
            if old.start >= new.stop:
                break
            low, high = max(old.start, new.start), min(old.stop, new.stop)
            if low >= high:
                continue
            shared += high - low
            differs = differs or old.part(low, high).data != new.part(low, high).data
            if low > begin:
                fresh.append(new.part(begin, low))
            begin = high
        if begin < new.stop:
            fresh.append(new.part(begin, new.stop))
        for piece in fresh:
            insort(self.pieces, piece, key=lambda each: each.start)
            self._covered += len(piece.data)
        return shared, differs

    def _cut(self) -> None:
        """Nothing lies behind the end."""
        assert self.end is not None
        while self.pieces and self.pieces[-1].stop > self.end:
            last = self.pieces.pop()
            self._covered -= last.stop - max(last.start, self.end)
            if last.start < self.end:
                self.pieces.append(last.part(last.start, self.end))


def _overlap(size: int, differs: bool) -> Trouble:
    text = f"{size:,} of its bytes came in an earlier fragment too" + (", and differ" if differs else ", and are the same")
    text += ". The first copy is shown"
    if differs:
        text += ": what the receiver takes is up to it (the last one in RFC 791, 3.2), which can deceive a filter (RFC 1858, 4)"
    return Trouble("fragment-overlap", Severity.WARNING if differs else Severity.NOTE, text)


def _discarded(why: str) -> Trouble:
    text = f"{why}: the receiver must discard the whole datagram, and whatever comes of it (RFC 5722; RFC 8200, 4.5)"
    return Trouble("fragment-overlap", Severity.ERROR, text)


class Fragments:
    """Collects fragments and tells the packet that completes a datagram where its bytes lie."""

    def __init__(self) -> None:
        self._open: dict[Name, Assembly] = {}
        self._joined: dict[tuple[int, Any], Joined] = {}  # by packet and key: a fragment may carry a fragment
        self._now: dict[Any, Joined] = {}  # what the latest packet was told: it may hold the same fragment twice
        self.packets: array[int] = array("q")  # that were offered, in order
        self._owed: tuple[Sequence[int], Callable[[int], object]] | None = None
        self._paying = threading.RLock()
        self._catching = False
        self._last = 0
        self._cost = 0  # of those that are open

    def offer(self, packet: int, key: Any, span: Span, data: bytes) -> Joined:
        """A fragment's payload; gives the datagram that it completes. The first pass, in packet order, decides; a packet
        that is looked at again gets the same answer. key: (source, destination, protocol, identification, offset, more).
        """
        if self._owed is not None:
            self._catch_up()
        if packet > self._last:
            self._last, self._now = packet, {}
            self.packets.append(packet)
        if packet < self._last:
            return self._joined.get((packet, key), NOTHING)
        if key in self._now:
            return self._now[key]
        joined = self._now[key] = self._add(packet, key, span, data)
        if joined is not NOTHING:
            self._joined[packet, key] = joined._replace(data=None)
        return joined

    def owe(self, packets: Sequence[int], dissect: Callable[[int], object]) -> None:
        """These packets carry fragments and have not been offered: `dissect` does so, once an answer is wanted."""
        self._owed = (packets, dissect) if packets else None

    def _catch_up(self) -> None:
        with self._paying:
            if self._owed is None:  # another thread has done it
                return
            packets, dissect = self._owed
            if self._catching:  # it is one of them that is offered
                return
            self._catching = True
            for packet in packets:
                dissect(packet)
            self._owed = None

    def _add(self, packet: int, key: Any, span: Span, data: bytes) -> Joined:
        source, *_, offset, more = key
        name: Name = tuple(key[:-2])
        new = Piece(offset, data, span)
        if new.stop > MAX_DATAGRAM:
            return _limit(f"it ends behind byte {MAX_DATAGRAM:,}, and no datagram is that long: it is left out (RFC 791, 3.1)")
        given_up = ""
        assembly = self._open.get(name)
        if assembly is None:
            if len(self._open) >= MAX_OPEN_DATAGRAMS:
                given_up = self._give_up(f"more than {MAX_OPEN_DATAGRAMS:,} datagrams wait for fragments")
            assembly = self._open[name] = Assembly(packet, len(source) == 16)
        self._cost -= assembly.cost
        trouble = assembly.add(new, more)
        self._cost += assembly.cost
        if assembly.count > MAX_FRAGMENTS:
            self._forget(name)
            return _limit(f"more than {MAX_FRAGMENTS:,} fragments of one datagram: it is given up")
        origins: Sequence[Origin] = ()
        whole = None
        if assembly.whole:
            origins, whole = assembly.joined()
            self._forget(name)
        while self._cost > MAX_REASSEMBLY:
            given_up = self._give_up(f"fragments of more than {MAX_REASSEMBLY >> 20} MiB wait for their rest")
        if given_up and trouble is None:
            trouble = Trouble("limit", Severity.NOTE, given_up)
        return Joined(origins, trouble, whole) if origins or trouble is not None else NOTHING

    def _give_up(self, why: str) -> str:
        """Forget the datagram that has waited longest; returns what is said of it."""
        name = next(iter(self._open))
        packet = self._open[name].first
        self._forget(name)
        return f"{why}: the oldest datagram, begun by packet {packet:,}, is given up"

    def _forget(self, name: Name) -> None:
        self._cost -= self._open.pop(name).cost


def _limit(text: str) -> Joined:
    return Joined((), Trouble("limit", Severity.WARNING, text))
