"""`osi-inspect follow`: what one stream said, as text, bytes, a hex dump or JSON."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Proto, opened, seconds, write_lines
from inspector.core.errors import InspectError
from inspector.core.limits import MAX_LINE
from inspector.core.text import decode, printable

if TYPE_CHECKING:
    from inspector.export.follow import Chunk
    from inspector.session import Session

APART = ("udp", "websocket")  # streams of messages


def command(
    files: Files,
    stream: Annotated[
        str, typer.Option("--stream", metavar="N|udp:N|tls:N|http:N|http2:N.SUB|websocket:N", help="Which stream; TCP for N.")
    ],
    raw: Annotated[bool, typer.Option("--raw", help="Print the bytes, nothing else.")] = False,
    hexdump: Annotated[bool, typer.Option("--hex", help="Print a hex dump; what the server said is indented.")] = False,
    as_json: AsJson = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Show what a stream said, in order."""
    from inspector.export.follow import follow, parse

    if raw + hexdump + as_json > 1:
        raise InspectError("--raw, --hex and --json exclude each other; give one of them")
    wanted = parse(stream)
    with opened(files, keylog, rules, proto) as session:
        chunks = follow(session, wanted)
        if raw:
            out = sys.stdout.buffer
            for chunk in chunks:
                out.write(chunk.data)
            out.flush()
        elif as_json:
            write_lines(json.dumps(as_object(session, chunk)) for chunk in chunks)
        else:
            write_lines(as_hex(chunks) if hexdump else as_text(chunks, wanted.protocol in APART))


def as_object(session: Session, chunk: Chunk) -> dict[str, object]:
    """One piece of a stream; `text` where its bytes are UTF-8."""
    found: dict[str, object] = {
        "from": "client" if chunk.from_client else "server",
        "packet": chunk.packet,
        "time": seconds(session.time_of(chunk.packet)),
    }
    if chunk.missing:
        return {**found, "missing": chunk.missing}
    if chunk.reset:
        found["reset"] = True
    found["data"] = base64.b64encode(chunk.data).decode("ascii")
    with suppress(UnicodeDecodeError):
        found["text"] = chunk.data.decode("utf-8")
    return found


def as_hex(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Sixteen bytes a line with their offset in what that side said."""
    offsets = {True: 0, False: 0}
    for chunk in chunks:
        indent = "" if chunk.from_client else "    "
        if chunk.missing:
            yield f"{indent}[{chunk.missing:,} bytes are missing from the capture]"
        for at in range(0, len(chunk.data), 16):
            row = chunk.data[at : at + 16]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            place = offsets[chunk.from_client] + at
            yield f"{indent}{place:08x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {text}"
        offsets[chunk.from_client] += len(chunk.data) + chunk.missing


def as_text(chunks: Iterable[Chunk], apart: bool) -> Iterator[str]:
    """Lines of text, each side's words under its name; what cannot be printed is written as escapes.

    apart: each piece is a message of its own.
    """
    side: bool | None = None
    pending = b""
    for chunk in chunks:
        if apart or chunk.reset or chunk.from_client is not side:
            if pending:
                yield from _lines(pending)
                pending = b""
            side = chunk.from_client
            yield f"── {'client' if side else 'server'}, packet {chunk.packet}{', in its reset' if chunk.reset else ''}"
        if chunk.missing:
            yield from _lines(pending)
            pending = b""
            yield f"[{chunk.missing:,} bytes are missing from the capture]"
        *whole, pending = (pending + chunk.data).split(b"\n")
        for line in whole:
            yield _line(line)
        if len(pending) > MAX_LINE:  # each further piece would copy it once more
            yield _line(pending)
            pending = b""
    if pending:
        yield from _lines(pending)


def _lines(data: bytes) -> Iterator[str]:
    yield from (_line(line) for line in data.split(b"\n")) if data else ()


def _line(line: bytes) -> str:
    return printable(decode(line.removesuffix(b"\r"))).replace("\\t", "\t")
