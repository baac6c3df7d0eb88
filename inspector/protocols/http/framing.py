"""Where the body of an HTTP/1 message ends, and why (RFC 9112, 6.3)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from inspector.core.text import counted
from inspector.protocols.http.head import Head

NO_BODY = (204, 304)
MAX_LENGTH_DIGITS = 18  # of a Content-Length: what fits into 63 bits, as servers count
_LENGTH = "RFC 9112, 6.3"
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;|\r?\n?$)")


class Framing(StrEnum):
    """How a receiver knows where the body ends."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Body(NamedTuple):
    """framing, the length that Content-Length gives, and the reason in words with its reference."""

    framing: Framing
    length: int
    why: str
    reference: str


def codings(head: Head) -> list[str]:
    """The transfer codings in the order in which they were applied; `identity`, which RFC 2616 had, is none."""
    return [name for name in head.tokens("transfer-encoding") if name != "identity"]


def content_lengths(head: Head) -> list[str]:
    """The different values of Content-Length; a list of equal values is one value (RFC 9110, 8.6)."""
    values = (part.strip(" \t") for name, value in head.headers if name == "content-length" for part in value.split(","))
    return list(dict.fromkeys(values))


def content_length(head: Head) -> int | None:
    """The length that is given; None where there is none or it is no number. Of different ones the first, though nobody
    should go on reading such a message (RFC 9112, 6.3)."""
    value = next(iter(content_lengths(head)), "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MAX_LENGTH_DIGITS else None


def body_of(head: Head, method: str) -> Body:
    """How the body of a message is framed. method: of the request that a response answers; empty where it is not known."""
    code = head.code
    if not head.request:
        if method == "HEAD":
            return Body(Framing.NONE, 0, "the answer to a HEAD request ends with its head", _LENGTH)
        if code in NO_BODY or 100 <= code < 200:
            return Body(Framing.NONE, 0, f"a response with status {code} ends with its head", _LENGTH)
    applied = codings(head)
    if applied:
        if applied[-1] == "chunked":
            why = "chunked is the last transfer coding: the body ends with the chunk of size 0"
            return Body(Framing.CHUNKED, 0, why, "RFC 9112, 7.1")
        if not head.request:
            why = "the last transfer coding is not chunked: the body ends when the server closes the connection"
            return Body(Framing.CLOSE, 0, why, _LENGTH)
        why = "the last transfer coding is not chunked: the server cannot know where the body ends"
        return Body(Framing.NONE, 0, why, _LENGTH)
    length = content_length(head)
    if length is not None:
        why = f"Content-Length: the {counted(length, 'byte')} behind the blank line"
        return Body(Framing.LENGTH, length, why if length else "Content-Length is 0: there is no body", _LENGTH)
    if head.request:
        return Body(Framing.NONE, 0, "a request without Content-Length and Transfer-Encoding has no body", _LENGTH)
    why = "neither a length nor chunks: the body ends when the server closes the connection"
    return Body(Framing.CLOSE, 0, why, _LENGTH)


def chunk_size(line: bytes) -> int | None:
    """The number at the start of a chunk's size line (RFC 9112, 7.1): hexadecimal digits and nothing else, no sign."""
    found = _CHUNK_SIZE.match(line)
    return int(found.group(1), 16) if found else None
