"""Protocols that speak in lines of text: SMTP, FTP, POP3, IMAP."""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

from inspector.core.cursor import Cursor
from inspector.core.layer import Severity
from inspector.core.limits import MAX_COMMANDS, MAX_LINE
from inspector.core.stream import Ended, Node, Reader, Steps, TooLong

T = TypeVar("T")


class Line(NamedTuple):
    """A line of a stream. `data` has its end of line, unless it is longer than MAX_LINE or the stream ends inside it."""

    start: int
    stop: int
    data: bytes
    complete: bool

    @property
    def text(self) -> bytes:
        """Without the end of line."""
        return self.data.rstrip(b"\r\n")


def line(reader: Reader) -> Steps[Line | None]:
    """The next line; None where the stream has ended. Raises `Gap`."""
    if not (yield from reader.some()):
        return None
    start, complete = reader.pos, True
    try:
        data = yield from reader.until(b"\n", MAX_LINE)
    except TooLong:
        data = yield from reader.read(MAX_LINE)
    except Ended:
        data = reader.peek_now(MAX_LINE)
        reader.pos += len(data)
        complete = False
    return Line(start, reader.pos, data, complete)


class Commands(Generic[T]):
    """The commands of one connection that wait for their reply, oldest first; `MAX_COMMANDS` of them."""

    def __init__(self) -> None:
        self._open: deque[T] = deque()
        self._told = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def append(self, command: T, node: Node, reader: Reader) -> None:
        """One more waits. Where there are too many the oldest is forgotten, which is told once."""
        self._open.append(command)
        if len(self._open) > MAX_COMMANDS:
            self._open.popleft()
            if not self._told:
                text = f"more than {MAX_COMMANDS:,} commands wait for a reply: replies may be taken for those to others"
                node.cut(reader.packet(), text)
            self._told = True

    def next(self) -> T:
        """The one that waits longest."""
        return self._open[0]

    def take(self) -> T:
        """It is answered."""
        return self._open.popleft()


def text_size(c: Cursor) -> int:
    """How long the line at the cursor is without its end, up to the end of what the cursor may read."""
    data = c.peek(c.remaining)
    stop = data.find(b"\n")
    return len(data if stop < 0 else data[:stop].removesuffix(b"\r"))


def end_line(c: Cursor) -> None:
    """Pass over the end of the line; an issue where it is not CR LF (RFC 5321, 2.3.8; RFC 959, 5.3; RFC 9051, 2.2)."""
    data = c.peek(2)
    if not data and c.stop - c.start >= MAX_LINE:
        text = f"a line is read to {MAX_LINE >> 10} KiB; what follows is the rest of it"
        c.issue("limit", text, Severity.NOTE, c.span(c.start))
    if data == b"\r\n":
        c.skip(2)
    elif data[:1] == b"\n":
        c.skip(1)
        c.issue("line-end", "the line ends with LF alone, not with CR LF", Severity.NOTE, c.span(c.pos - 1, c.pos))
