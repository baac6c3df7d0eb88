"""The head of an HTTP/1 message: start line and header fields (RFC 9112, 2 to 5), without a dissection."""

from __future__ import annotations

from typing import NamedTuple

METHODS = frozenset({
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
    "NOTIFY", "M-SEARCH", "SUBSCRIBE", "UNSUBSCRIBE", "CHECKOUT", "MERGE", "MKACTIVITY", "MKWORKSPACE", "UPDATE",
    "LABEL", "MKCALENDAR", "ACL", "VERSION-CONTROL", "BASELINE-CONTROL", "CHECKIN", "UNCHECKOUT", "ORDERPATCH", "LINK",
    "UNLINK", "BIND", "REBIND", "UNBIND", "PURGE", "SOURCE",
})  # fmt: skip


class Head(NamedTuple):
    """A parsed head. start: the words of the start line; headers: (name in lower case, value) in order."""

    request: bool
    start: tuple[str, str, str]
    headers: list[tuple[str, str]]

    def get(self, name: str) -> str | None:
        """The first value of a header; its name is given in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def tokens(self, name: str) -> list[str]:
        """The comma-separated values of all headers of that name, in lower case."""
        values = ",".join(value for key, value in self.headers if key == name)
        return [token.strip().lower() for token in values.split(",") if token.strip()]


def is_request_line(line: bytes) -> bool:
    """`METHOD target HTTP/1.x`."""
    words = line.split(b" ")
    return len(words) >= 2 and words[0].decode("latin-1") in METHODS and (len(words) == 2 or words[-1].startswith(b"HTTP/"))


def is_status_line(line: bytes) -> bool:
    """`HTTP/1.x 200 …`."""
    return line.startswith(b"HTTP/1.") and len(line) > 11 and line[9:12].isdigit()


def parse(raw: bytes) -> Head | None:
    """The head in `raw`, start line to blank line; None where it is none."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    first = lines[0]
    if not (is_request_line(first) or is_status_line(first)):
        return None
    words = first.decode("latin-1").split(" ", 2)
    start = (words[0], words[1] if len(words) > 1 else "", words[2] if len(words) > 2 else "")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t") and headers:  # obs-fold (RFC 9112, 5.2)
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip().decode('latin-1')}")
            continue
        name, colon, value = line.partition(b":")
        if colon:
            headers.append((name.strip().lower().decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return Head(is_request_line(first), start, headers)
