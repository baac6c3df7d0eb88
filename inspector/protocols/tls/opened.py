"""The records of one direction of a TLS connection: where each lies, and how it is opened again when somebody looks.

Plaintext is not kept: a record is decrypted when its bytes are asked for, under one bounded cache.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from inspector.core.secrecy import Cache, Opened, Opener, Sealed
from inspector.core.span import Buffer, Origin, Span
from inspector.protocols.tls.wire import HEADER

_CHAIN = 128  # bytes in front of a record that a chained IV is looked for in: a MAC and a block fit


class Unopened(str):
    """Why a record is not opened although keys are there: it does not authenticate under them."""


class Epoch:
    """Records under one set of keys. name: whose and what for; start: where in the stream the first one begins;
    sequence: the number that the next one is expected to have; reason: why there are no keys;
    handshake: application traffic keys follow (TLS 1.3); rejected: early data that the server did not take."""

    __slots__ = ("handshake", "name", "opener", "reason", "rejected", "sequence", "start")

    def __init__(self, name: str, start: int, opener: Opener | None, reason: str = "") -> None:
        self.name = name
        self.handshake = False
        self.start = start
        self.opener = opener
        self.reason = reason
        self.sequence = 0
        self.rejected = False

    def sealed(self, stream: Buffer, start: int, stop: int, sequence: int) -> Sealed:
        """The record at `start` as its protection needs it."""
        assert self.opener is not None
        raw = stream.read(start, stop)
        prior = stream.read(max(start - _CHAIN, 0), start) if self.opener.chained else b""
        position = start - self.start - HEADER * sequence
        return Sealed(sequence, raw[:HEADER], raw[HEADER:], position, prior)


class Records:
    """Columns of records, in stream order, numbered from 1."""

    def __init__(self, id: str, stream: Buffer) -> None:
        self.id = id
        self.stream = stream
        self.cache = Cache()
        self._starts = array("q")
        self._stops = array("q")
        self._sequences = array("q")
        self._sizes = array("l")
        self._how = array("l")  # an epoch's place in `_epochs`, or -1 - a reason's place in `_reasons`
        self._epochs: list[Epoch] = []
        self._reasons: list[str] = []

    def closed(self, start: int, stop: int, reason: str = "") -> None:
        """A record that is not opened: it is in clear, or `reason` says why not."""
        if not self._reasons or self._reasons[-1] != reason:
            self._reasons.append(reason)
        self._add(start, stop, 0, 0, -len(self._reasons))

    def opened(self, start: int, stop: int, epoch: Epoch, sequence: int, opened: Opened) -> Plaintext:
        """A record that was opened."""
        if not self._epochs or self._epochs[-1] is not epoch:
            self._epochs.append(epoch)
        self._add(start, stop, sequence, len(opened.data), len(self._epochs) - 1)
        plain = Plaintext(self, len(self._starts) - 1)
        self.cache.put(plain.id, opened)
        return plain

    def _add(self, start: int, stop: int, sequence: int, size: int, how: int) -> None:
        self._starts.append(start)
        self._stops.append(stop)
        self._sequences.append(sequence)
        self._sizes.append(size)
        self._how.append(how)

    def at(self, start: int) -> Plaintext | str:
        """What the record at `start` of the stream holds, or why that is not known (empty for one in clear)."""
        at = bisect_left(self._starts, start)
        if at == len(self._starts) or self._starts[at] != start:
            return ""
        how = self._how[at]
        return Plaintext(self, at) if how >= 0 else self._reasons[-1 - how]

    def size(self, at: int) -> int:
        return self._sizes[at]

    def span(self, at: int) -> Span:
        """The whole record, from which its content came."""
        return Span(self.stream, self._starts[at], self._stops[at], False)

    def epoch(self, at: int) -> Epoch:
        return self._epochs[self._how[at]]

    def sealed(self, at: int) -> Sealed:
        return self.epoch(at).sealed(self.stream, self._starts[at], self._stops[at], self._sequences[at])

    def open(self, at: int, name: str) -> Opened:
        """The record's content, from the cache or decrypted again."""
        found = self.cache.get(name)
        if found is None:
            opener = self.epoch(at).opener
            assert opener is not None
            found = opener.open(self.sealed(at))
            if found is None:  # it did open before: the capture changed under us
                return Opened(0, bytes(self._sizes[at]), 0)
            self.cache.put(name, found)
        return found


class Plaintext(Buffer):
    """What was inside one record: `tls:3.0.9` is the ninth record of direction 0 of conversation 3."""

    __slots__ = ("_at", "_records")

    def __init__(self, records: Records, at: int) -> None:
        super().__init__(f"{records.id}.{at + 1}", "decrypted")
        self._records = records
        self._at = at

    @property
    def size(self) -> int:
        return self._records.size(self._at)

    @property
    def epoch(self) -> Epoch:
        return self._records.epoch(self._at)

    def sealed(self) -> Sealed:
        return self._records.sealed(self._at)

    def opened(self) -> Opened:
        return self._records.open(self._at, self.id)

    def read(self, start: int, stop: int) -> bytes:
        return self.opened().data[start:stop]

    def origins(self, start: int, stop: int) -> Iterator[Origin]:
        yield Origin(0, self.size, self._records.span(self._at), copied=False)
