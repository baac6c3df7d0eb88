"""The messages of an ordinary HTTP/1 connection, in one pass over the bytes of a direction that are all there.

What the exchanges of a large capture need: where each message lies, and the few words of its head that are always shown. Here
is only what is beyond doubt: CRLF lines, Content-Length or no body. Everything else (chunks, bodies that end with the
connection, Upgrade, event streams, interim responses, conflicting headers) is left to the stream parser, `http1.Http1`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector.core.limits import MAX_HEAD

REMEMBERED = 4096  # heads, and header blocks: servers and clients repeat theirs
_REQUEST = re.compile(r"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) ([^\x00-\x20\x7f-\xff]+) (HTTP/1\.[01])(?=\r\n|\Z)")
_RESPONSE = re.compile(r"(HTTP/1\.[01]) ([2-5]\d\d)(?: ([^\x00-\x1f\x7f-\xff]*))?(?=\r\n|\Z)")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f]*)")
_ODD = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
NO_BODY = ("204", "304")


class Headers(NamedTuple):
    """Of a header block. length: -1 without Content-Length; host and media: empty where they are not there."""

    length: int
    host: str
    media: str


class Request(NamedTuple):
    """Bytes `start` to `stop` of the direction; the head ends at `head`."""

    start: int
    head: int
    stop: int
    method: str
    target: str
    version: str
    host: str


class Response(NamedTuple):
    start: int
    head: int
    stop: int
    version: str
    status: int
    reason: str
    media: str


class Reader:
    """Reads connections, and remembers heads from one to the next."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[str, str, str, Headers] | None] = {}
        self._answered: dict[str, tuple[str, str, str, Headers] | None] = {}
        self._known: dict[str, Headers | None] = {}

    def requests(self, data: bytes) -> list[Request] | None:
        """Every request of a direction; None where one is out of the ordinary."""
        text = data.decode("latin-1")  # a character a byte
        found: list[Request] = []
        at, size, known = 0, len(data), self._asked
        while at < size:
            end = text.find("\r\n\r\n", at)
            if not 0 <= end - at < MAX_HEAD - 4:
                return None
            block = text[at:end]
            head = known[block] if block in known else self._head(known, _REQUEST, block)
            if head is None:
                return None
            method, target, version, headers = head
            stop = end + 4 + max(headers.length, 0)
            if stop > size:
                return None
            found.append(Request(at, end + 4, stop, method, target, version, headers.host))
            at = stop
        return found

    def responses(self, data: bytes, requests: list[Request]) -> list[Response] | None:
        """Every response, the answers to the requests in their order; None where one is out of the ordinary."""
        text = data.decode("latin-1")
        found: list[Response] = []
        at, size, known = 0, len(data), self._answered
        while at < size:
            if len(found) == len(requests):
                return None
            end = text.find("\r\n\r\n", at)
            if not 0 <= end - at < MAX_HEAD - 4:
                return None
            block = text[at:end]
            head = known[block] if block in known else self._head(known, _RESPONSE, block)
            if head is None:
                return None
            version, status, reason, headers = head
            if headers.media == "text/event-stream":
                return None
            stop = end + 4
            if requests[len(found)].method != "HEAD" and status not in NO_BODY:
                if headers.length < 0:
                    return None
                stop += headers.length
            if stop > size:
                return None
            found.append(Response(at, end + 4, stop, version, int(status), reason, headers.media))
            at = stop
        return found

    def _head(
        self, known: dict[str, tuple[str, str, str, Headers] | None], pattern: re.Pattern[str], block: str
    ) -> tuple[str, str, str, Headers] | None:
        """The words of the start line, and the headers; None where something is out of the ordinary."""
        line = pattern.match(block)
        headers = self._headers(block[line.end() :]) if line is not None else None
        found = None
        if line is not None and headers is not None:
            first, second, third = line.groups("")
            found = first, second, third, headers
        if len(known) >= REMEMBERED:
            known.clear()
        known[block] = found
        return found

    def _headers(self, block: str) -> Headers | None:
        try:
            return self._known[block]
        except KeyError:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[block] = _parse(block.encode("latin-1"))
            return found


def _parse(block: bytes) -> Headers | None:
    """A header block without its start line; None where something in it is out of the ordinary."""
    length, host, media = -1, "", ""
    for line in block.split(b"\r\n")[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name, value = header.group(1).lower(), header.group(2).strip(b" \t")
        if name in _ODD or (name == b"connection" and b"upgrade" in value.lower()):
            return None
        if name == b"content-length":
            if length >= 0 or not value.isdigit() or len(value) > 15:
                return None
            length = int(value)
        elif name == b"host" and not host:
            host = value.decode("latin-1")
        elif name == b"content-type" and not media:
            media = value.decode("latin-1").split(";")[0].strip().lower()
    return Headers(length, host, media)
