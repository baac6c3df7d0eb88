"""Protocols that speak in lines of text: SMTP, FTP, POP3, IMAP."""

from __future__ import annotations

from typing import NamedTuple

from inspector.core.cursor import Cursor
from inspector.core.layer import Severity
from inspector.core.limits import MAX_LINE
from inspector.core.stream import Ended, Reader, Steps, TooLong


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


def text_size(c: Cursor) -> int:
    """How long the line at the cursor is without its end, up to the end of what the cursor may read."""
    data = c.peek(c.remaining)
    stop = data.find(b"\n")
    return len(data if stop < 0 else data[:stop].removesuffix(b"\r"))


def end_line(c: Cursor) -> None:
    """Pass over the end of the line; an issue where it is not CR LF (RFC 5321, 2.3.8; RFC 959, 3.1.1.5.2; RFC 9051, 2.2)."""
    data = c.peek(2)
    if not data and c.stop - c.start >= MAX_LINE:
        text = f"a line is read to {MAX_LINE >> 10} KiB; what follows is the rest of it"
        c.issue("limit", text, Severity.NOTE, c.span(c.start))
    if data == b"\r\n":
        c.skip(2)
    elif data[:1] == b"\n":
        c.skip(1)
        c.issue("line-end", "the line ends with LF alone, not with CR LF", Severity.NOTE, c.span(c.pos - 1, c.pos))
