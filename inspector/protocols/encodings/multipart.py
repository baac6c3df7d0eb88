"""Multipart bodies (RFC 2046, 5.1; form data RFC 7578): parts between boundary lines, each with a head and a body of its own.

A part's body goes to the protocol of its media type; a multipart inside a part is read here too.
Not here: transfer encodings (base64, quoted-printable): HTTP does not use them (RFC 7578, 4.7), and they are shown as they are.
"""

from __future__ import annotations

import re

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, string
from inspector.core.layer import Severity
from inspector.core.limits import MAX_MULTIPARTS, MAX_PARTS
from inspector.core.protocol import Protocol

MAX_BOUNDARY = 70  # characters (RFC 2046, 5.1.1)
_PARAMETER = re.compile(r';\s*([^\s;=]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))')

HEADERS = {
    "content-disposition": "mime_multipart.header.content-disposition",
    "content-type": "mime_multipart.header.content-type",
    "content-transfer-encoding": "mime_multipart.header.content-transfer-encoding",
    "content-encoding": "mime_multipart.header.content-encoding",
    "content-id": "mime_multipart.header.content-id",
    "content-length": "mime_multipart.header.content-length",
}
FIELDS = catalog(
    octets("mime_multipart.preamble", "Before the first part: to be ignored"),
    string("mime_multipart.boundary", "Boundary"),
    string("mime_multipart.last_boundary", "Last boundary"),
    string("mime_multipart.part", "Part"),
    *(string(name, key.title()) for key, name in HEADERS.items()),
    string("mime_multipart.header", "Header"),
    octets("mime_multipart.blank", "Blank line: end of the part's head"),
    octets("mime_multipart.data", "Content"),
    octets("mime_multipart.trailer", "Behind the last part: to be ignored"),
)


def parameter(value: str, name: str) -> str:
    """A parameter of a header value, such as the boundary of a Content-Type; empty where it has none."""
    for found in _PARAMETER.finditer(value):
        if found.group(1).lower() == name:
            quoted = found.group(2)
            return re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else found.group(3) or ""
    return ""


def dissect(c: Cursor) -> None:
    boundary = parameter(str(c.context.info.get("content_type", "")), "boundary")
    if not boundary or len(boundary) > MAX_BOUNDARY:
        c.issue("boundary", "Content-Type names no boundary of 1 to 70 characters (RFC 2046, 5.1.1)", Severity.ERROR)
        c.octets("mime_multipart.data", c.remaining)
        return
    names = _parts(c, boundary, 0)
    c.layer.summary = f"{len(names)} part{'s' if len(names) != 1 else ''}: {', '.join(names[:6])}"


def _parts(c: Cursor, boundary: str, depth: int) -> list[str]:
    """Every part between lines of `boundary`, to the end of the cursor; returns what they are called."""
    delimiter = re.compile(
        rb"(?:^|\r?\n)(--" + re.escape(boundary.encode("utf-8", "surrogateescape")) + rb"(--)?[ \t]*(?:\r?\n|$))"
    )
    data, base = c.peek(c.remaining), c.pos
    found = delimiter.search(data)
    if found is None:
        c.issue("boundary", "the boundary does not stand in the body", Severity.ERROR, c.span(base, c.stop))
        c.octets("mime_multipart.data", c.remaining)
        return []
    if found.start(1):
        c.octets("mime_multipart.preamble", found.start(1))
    names: list[str] = []
    while found is not None:
        last = found.group(2) is not None or len(names) >= MAX_PARTS
        name = "mime_multipart.last_boundary" if found.group(2) is not None else "mime_multipart.boundary"
        c.add(name, boundary, base + found.start(1), base + found.end(1))
        c.pos = base + found.end(1)
        if len(names) >= MAX_PARTS and c.remaining:
            c.issue("limit", f"a body is shown to {MAX_PARTS:,} parts", Severity.NOTE, c.span(c.pos, c.stop))
        if last:
            break
        start = found.end(1)
        found = delimiter.search(data, max(start - 1, 0))  # an empty part ends with the line end of its own boundary line
        if found is not None and found.start() < start <= found.start(1):
            found = delimiter.search(data, start - 1)
        stop = max(found.start(), start) if found is not None else len(data)
        with c.group("mime_multipart.part") as part, c.within(stop - start):
            part.text = _part(c, depth)
        if found is None:
            c.issue("boundary", "the last boundary is missing: the body ends inside a part", Severity.WARNING, part.span)
            return [*names, part.text]
        names.append(part.text)
        line_end = found.start(1) - found.start()
        if line_end and found.start() >= start:
            c.add("mime_multipart.blank", data[found.start() : found.start(1)], base + found.start(), base + found.start(1))
    if c.remaining:
        c.octets("mime_multipart.trailer", c.remaining)
    return names


def _part(c: Cursor, depth: int) -> str:
    """A part: header lines, a blank line, content. Returns what it is called."""
    headers: dict[str, str] = {}
    while c.remaining:
        line = c.peek(c.remaining).split(b"\n", 1)[0]
        size = min(len(line) + 1, c.remaining)
        text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
        if not text:
            c.octets("mime_multipart.blank", size)
            break
        key, _, value = text.partition(":")
        headers.setdefault(key.strip().lower(), value.strip())
        known = HEADERS.get(key.strip().lower())
        c.add(known or "mime_multipart.header", value.strip() if known else text, c.pos, c.pos + size)
        c.skip(size)
    disposition = headers.get("content-disposition", "")
    called = parameter(disposition, "name") or headers.get("content-id", "") or "a part without a name"
    filename = parameter(disposition, "filename")
    _content(c, headers, depth)
    return f"{called} (file {filename})" if filename else called


def _content(c: Cursor, headers: dict[str, str], depth: int) -> None:
    if not c.remaining:
        return
    content_type = headers.get("content-type", "text/plain")  # RFC 2046, 5.1
    media = content_type.split(";")[0].strip().lower()
    if media.startswith("multipart/") and depth >= MAX_MULTIPARTS:
        text = f"multiparts are read to {MAX_MULTIPARTS} levels inside one another"
        c.issue("limit", text, Severity.NOTE, c.span(c.pos, c.stop))
        c.octets("mime_multipart.data", c.remaining)
    elif media.startswith("multipart/") and parameter(content_type, "boundary"):
        _parts(c, parameter(content_type, "boundary"), depth + 1)
    elif headers.get("content-transfer-encoding", "binary").lower() not in ("7bit", "8bit", "binary"):
        c.octets("mime_multipart.data", c.remaining)
    else:
        key = "json" if media == "application/json" or media.endswith("+json") else media
        c.payload("media_type", key, why=f"the part's Content-Type: {media}")


PROTOCOL = Protocol(
    "mime_multipart", "Multipart", 6, FIELDS, dissect, keys={"media_type": ["multipart"]}, reference="RFC 2046, 5.1"
)
