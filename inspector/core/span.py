"""Where bytes come from: buffers, ranges of buffers, and the way from any range down to the frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """Bytes `start` to `stop` of a buffer; `exact` is false where a wider range had to be given (a whole TLS record)."""

    buffer: Buffer
    start: int
    stop: int
    exact: bool = True

    @property
    def size(self) -> int:
        """Bytes in the range."""
        return self.stop - self.start

    def read(self) -> bytes:
        return self.buffer.read(self.start, self.stop)


class Origin(NamedTuple):
    """Bytes `start` to `stop` of a buffer came from `source`, a range of another buffer.

    copied: byte i of the range is byte i of the source (possibly masked); otherwise the range came out of the source
    as a whole.
    """

    start: int
    stop: int
    source: Span
    copied: bool = True


class Buffer:
    """A sequence of bytes with a name that says what it is: `frame:12`, `tcp:3.0`, `http:3.1.2`.

    Two buffers with the same id are the same buffer. kind: what a tab of the bytes pane calls it.
    """

    __slots__ = ("id", "kind")

    def __init__(self, id: str, kind: str) -> None:
        self.id = id
        self.kind = kind

    @property
    def size(self) -> int:
        """Bytes so far."""
        raise NotImplementedError

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, cut where the buffer ends; bytes that were never captured are zeros."""
        raise NotImplementedError

    def origins(self, start: int, stop: int) -> Iterable[Origin]:
        """Where the bytes from `start` to `stop` came from, in order; a frame comes from nowhere."""
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Buffer) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"


class Frame(Buffer):
    """A packet as captured. `load` reads it again when it is asked for."""

    __slots__ = ("_load", "_size", "number")

    def __init__(self, number: int, size: int, load: Callable[[], bytes]) -> None:
        super().__init__(f"frame:{number}", "frame")
        self.number = number
        self._size = size
        self._load = load

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        return self._load()[start:stop]


class Derived(Buffer):
    """Bytes that were worked out from others (unmasked, inflated, reassembled), small enough to be kept."""

    __slots__ = ("_data", "_origins", "_starts")

    def __init__(self, id: str, kind: str, data: bytes, origins: Iterable[Origin]) -> None:
        super().__init__(id, kind)
        self._data = data
        self._origins = list(origins)
        self._starts = [origin.start for origin in self._origins]

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]

    def origins(self, start: int, stop: int) -> Iterator[Origin]:
        at = max(bisect_right(self._starts, start) - 1, 0)
        for origin in self._origins[at:]:
            if origin.start >= stop:
                break
            if origin.stop > start:
                yield origin


def parents(span: Span) -> Iterator[Span]:
    """The ranges that `span` came from, one step down."""
    for origin in span.buffer.origins(span.start, span.stop):
        source = origin.source
        if origin.copied:
            low = max(span.start, origin.start) - origin.start
            high = min(span.stop, origin.stop) - origin.start
            yield Span(source.buffer, source.start + low, source.start + high, span.exact and source.exact)
        else:
            whole = span.start <= origin.start and span.stop >= origin.stop
            yield Span(source.buffer, source.start, source.stop, span.exact and source.exact and whole)


def trace(span: Span) -> list[Span]:
    """The ranges of frames that carried `span`, in order, neighbours joined."""
    found: list[Span] = []
    for at in _below(span, lambda buffer: isinstance(buffer, Frame)):
        last = found[-1] if found else None
        if last and last.buffer == at.buffer and last.start <= at.start <= last.stop:
            found[-1] = Span(at.buffer, last.start, max(last.stop, at.stop), last.exact and at.exact)
        else:
            found.append(at)
    return found


def project(span: Span, buffer: Buffer) -> list[Span]:
    """The ranges of `buffer`, one of the buffers below, that carried `span`; empty where it carried nothing of it."""
    return list(_below(span, lambda other: other == buffer))


def _below(span: Span, wanted: Callable[[Buffer], bool]) -> Iterator[Span]:
    """The ranges of the wanted buffers, in order. What several pieces came out of as a whole (one record) is given once."""
    todo = [span]
    wholes: set[Span] = set()
    while todo:
        at = todo.pop()
        if not at.exact:
            if at in wholes:
                continue
            wholes.add(at)
        if wanted(at.buffer):
            yield at
        else:
            todo.extend(reversed(list(parents(at))))
