"""The head of an HTTP/1 message: start line and header lines, with the place of every part (RFC 9112, 2 to 5).

Both the stream parser and the dissection read a head here, so that what frames a message is what is shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

METHODS = frozenset({
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
    "NOTIFY", "M-SEARCH", "SUBSCRIBE", "UNSUBSCRIBE", "CHECKOUT", "MERGE", "MKACTIVITY", "MKWORKSPACE", "UPDATE",
    "LABEL", "MKCALENDAR", "ACL", "VERSION-CONTROL", "BASELINE-CONTROL", "CHECKIN", "UNCHECKOUT", "ORDERPATCH", "LINK",
    "UNLINK", "BIND", "REBIND", "UNBIND", "PURGE", "SOURCE",
})  # fmt: skip
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_WORDS = re.compile(rb"([^ \t]*)(?:[ \t]+([^ \t]*)(?:[ \t]+(.*))?)?", re.DOTALL)  # parted leniently (RFC 9112, 3 and 4)
_CODE = re.compile(r"[0-9]{1,3}", re.ASCII)


class Part(NamedTuple):
    """Bytes `start` to `stop` of the head, and what they say."""

    start: int
    stop: int
    text: str


class Line(NamedTuple):
    """A header line and what continues it: `start` to `stop`, with its line end. value: without the white space around it,
    folds become single spaces (RFC 9112, 5.2). flaws: codes of what is wrong with it.
    """

    start: int
    stop: int
    name: Part
    value: Part
    flaws: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name in lower case. One with white space behind it is another name: a receiver must not take it for this one
        (RFC 9112, 5.1)."""
        return self.name.text.lower()


class Layout(NamedTuple):
    """Where the parts of a head stand. words: of the start line; blank: the line that ends the head, if it is there."""

    words: list[Part]
    start_stop: int
    lines: list[Line]
    blank: Part | None
    bare_lf: int | None  # where the first line begins that ends in LF alone


class Head(NamedTuple):
    """A parsed head. start: the words of the start line; headers: (name in lower case, value) in order."""

    request: bool
    start: tuple[str, str, str]
    headers: list[tuple[str, str]]
    layout: Layout | None = None

    def get(self, name: str) -> str | None:
        """The first value of a header; its name is given in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def tokens(self, name: str) -> list[str]:
        """The comma-separated values of all headers of that name, in lower case, without their parameters."""
        values = ",".join(value for key, value in self.headers if key == name)
        return [word for token in values.split(",") if (word := token.partition(";")[0].strip(" \t").lower())]

    @property
    def cookie(self) -> str:
        """All cookies that a request brings; HTTP/2 may bring each in a line of its own (RFC 9113, 8.2.3)."""
        return "; ".join(value for key, value in self.headers if key == "cookie")

    @property
    def version(self) -> str:
        """`HTTP/1.1`; empty where the start line has none (HTTP/0.9)."""
        return self.start[2] if self.request else self.start[0]

    @property
    def code(self) -> int:
        """The status code of a response; the digits that it begins with, 0 where there are none."""
        found = _CODE.match(self.start[1])
        return int(found.group()) if found and not self.request else 0


def is_request_line(line: bytes) -> bool:
    """`METHOD target HTTP/1.x`; a known method may go without a version (HTTP/0.9)."""
    words = _words(line)
    if not words[1]:
        return False
    last = words[2].split(b" ")[-1]
    known = words[0].decode("latin-1") in METHODS
    return (known and (not words[2] or last.startswith(b"HTTP/"))) or (
        last.startswith(b"HTTP/1.") and TOKEN.fullmatch(words[0]) is not None
    )


def is_status_line(line: bytes) -> bool:
    """What begins like a status line; whether it is a right one is looked at later."""
    return line[:5] == b"HTTP/" and line[5:6].isdigit()


def is_start_line(line: bytes) -> bool:
    return is_status_line(line) or is_request_line(line)


def is_blank(line: bytes) -> bool:
    """The end of a head; also where a stray CR stands in front of it."""
    return not line.strip(b"\r\n")


def _words(line: bytes) -> tuple[bytes, bytes, bytes]:
    found = _WORDS.fullmatch(line)
    return (found.group(1), found.group(2) or b"", found.group(3) or b"") if found else (line, b"", b"")


def parse(raw: bytes) -> Head | None:
    """The head at the start of `raw`, start line to blank line (or to the end of `raw`); None where it is none."""
    at = len(raw) - len(raw.lstrip(b"\r\n"))  # empty lines in front are passed over (RFC 9112, 2.2)
    spans: list[tuple[int, int, int]] = []
    while at < len(raw):
        newline = raw.find(b"\n", at)
        following = len(raw) if newline < 0 else newline + 1
        stop = following if newline < 0 else newline - (raw[newline - 1 : newline] == b"\r" and newline > at)
        spans.append((at, stop, following))
        at = following
        if len(spans) > 1 and newline >= 0 and is_blank(raw[spans[-1][0] : following]):
            break
    if not spans or not is_start_line(raw[spans[0][0] : spans[0][1]]):
        return None
    first, first_stop, body = spans[0]
    found = _WORDS.fullmatch(raw, first, first_stop)
    words = [
        Part(found.start(group), found.end(group), found.group(group).decode("latin-1"))
        for group in (1, 2, 3)
        if found is not None and found.group(group) is not None
    ]
    blank: Part | None = None
    lines: list[Line] = []
    for start, stop, following in spans[1:]:
        if following > stop and is_blank(raw[start:following]):
            blank = Part(start, following, "")
        elif raw[start : start + 1] in (b" ", b"\t") and lines:
            lines[-1] = _folded(raw, lines[-1], start, stop, following)
        else:
            lines.append(_line(raw, start, stop, following))
    bare = next((start for start, stop, following in spans if following == stop + 1), None)
    texts = [word.text for word in words] + [""] * 3
    headers = [(line.key, line.value.text) for line in lines if "header-line" not in line.flaws]
    layout = Layout(words, body, lines, blank, bare)
    return Head(not is_status_line(raw[first:first_stop]), (texts[0], texts[1], texts[2]), headers, layout)


def _line(raw: bytes, start: int, stop: int, following: int) -> Line:
    colon = raw.find(b":", start, stop)
    flaws = []
    if colon < 0:
        flaws.append("header-line")
        colon = stop
    name = raw[start:colon]
    if b"\r" in raw[start:stop]:
        flaws.append("bare-cr")
    if name != name.rstrip(b" \t"):
        flaws.append("header-space")
    elif not flaws and TOKEN.fullmatch(name) is None:
        flaws.append("header-name")
    if b"\0" in raw[colon:stop]:
        flaws.append("header-value")
    value = _trimmed(raw, min(colon + 1, stop), stop)
    return Line(start, following, Part(start, colon, name.decode("latin-1")), value, tuple(flaws))


def _trimmed(raw: bytes, start: int, stop: int) -> Part:
    """What stands there without white space around it; a bare CR counts as a space (RFC 9112, 2.2)."""
    text = raw[start:stop].replace(b"\r", b" ")
    left = len(text) - len(text.lstrip(b" \t"))
    text = text.strip(b" \t")
    return Part(start + left, start + left + len(text), text.decode("utf-8", "surrogateescape"))


def _folded(raw: bytes, line: Line, start: int, stop: int, following: int) -> Line:
    """A header line with one more line that continues it (obs-fold: RFC 9112, 5.2)."""
    more = _trimmed(raw, start, stop)
    if not more.text:
        value = line.value
    elif not line.value.text:
        value = more
    else:
        value = Part(line.value.start, more.stop, f"{line.value.text} {more.text}")
    flaws = line.flaws if "obs-fold" in line.flaws else (*line.flaws, "obs-fold")
    return line._replace(stop=following, value=value, flaws=flaws)
