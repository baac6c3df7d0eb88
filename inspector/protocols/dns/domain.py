"""Domain names on the wire (RFC 1035, 3.1 and 4.1.4): labels, and pointers to names that stand elsewhere in the message."""

from __future__ import annotations

import re

from inspector.core.cursor import Cursor, Truncated
from inspector.core.layer import Severity
from inspector.core.limits import MAX_JUMPS

MAX_NAME = 255  # octets of a name on the wire (RFC 1035, 3.1)
TOO_LONG = "<Name too long>"
LOOPS = "<Name contains a pointer that loops>"
ROOT = "<Root>"
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def read_name(c: Cursor, field: str, base: int) -> str:
    """A name as text; the field covers what stands here, to the pointer that ends it. base: where the message begins.

    Control characters are written as in a zone file, `\\DDD` (RFC 1035, 5.1). A pointer may only point backwards; others are
    followed, and an issue says so.
    """
    start, at, jumps, size = c.pos, c.pos, 0, 0
    labels: list[str] = []
    after: int | None = None
    wrong = ""
    while True:
        length = _octet(c, at)
        if length == 0:
            at += 1
            break
        if length >= 0xC0:
            target = base + ((length & 0x3F) << 8 | _octet(c, at + 1))
            after = at + 2 if after is None else after
            jumps += 1
            if jumps > MAX_JUMPS:
                wrong = LOOPS
                break
            if target >= at:
                text = "a compression pointer that does not point backwards (RFC 1035, 4.1.4)"
                c.issue("name-pointer", text, Severity.ERROR, c.span(at, at + 2))
            at = target
            continue
        if length >= 0x40:
            c.issue("label-type", f"a label of type {length >> 6} is not defined (RFC 6891, 5)", Severity.ERROR)
            raise Truncated(0, "a label whose type is not defined: what follows cannot be read")
        label = c.slice(at + 1, at + 1 + length)
        if len(label) < length:
            raise Truncated(length - len(label))
        size += length + 1
        if size >= MAX_NAME:
            if after is not None:
                wrong = TOO_LONG
                break
            wrong = TOO_LONG  # it is walked to its end all the same: what follows it can be read
        labels.append(_CONTROL.sub(_escape, label.decode("utf-8", "surrogateescape")))
        at += 1 + length
    c.pos = at if after is None else after
    text = wrong or ".".join(labels) or ROOT
    c.add(field, text, start, c.pos)
    if wrong == TOO_LONG:
        c.issue("name-length", f"a name of more than {MAX_NAME} octets (RFC 1035, 3.1)", Severity.ERROR)
    elif wrong:
        c.issue("name-pointer", "the name's pointers lead round and round (RFC 1035, 4.1.4)", Severity.ERROR)
    return text


def _octet(c: Cursor, at: int) -> int:
    octet = c.slice(at, at + 1)
    if not octet:
        raise Truncated(1)
    return octet[0]


def _escape(found: re.Match[str]) -> str:
    return f"\\{ord(found.group()):03d}"
