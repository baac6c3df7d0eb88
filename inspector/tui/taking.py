"""What can be taken out of the TUI: text for the clipboard, and files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.span import Buffer
from inspector.core.text import printable
from inspector.export.files import written

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection

LARGEST = 64 * 1024  # bytes that are copied as hexadecimal: terminals drop longer clipboards


def of_entry(entry: Layer | Field) -> str:
    """A field's value, or a layer's summary, as text."""
    return entry.text if isinstance(entry, Field) else printable(f"{entry.title}  {entry.summary}")


def of_bytes(buffer: Buffer, ranges: list[tuple[int, int]]) -> str:
    """Bytes as hexadecimal."""
    return b"".join(buffer.read(start, min(stop, start + LARGEST)) for start, stop in ranges)[:LARGEST].hex(" ")


def body_name(result: Dissection) -> str:
    """A file name for the body in a packet: the last part of its URL, with nothing in it that a file name should not have."""
    for layer in result.layers:
        url = layer.value("http.request.full_uri") or layer.value("http.response_for.uri")
        if isinstance(url, str):
            path = re.split("[?#]", url)[0].partition("://")[2].partition("/")[2]
            safe = re.sub(r"[^A-Za-z0-9._-]", "_", path.rstrip("/").rpartition("/")[2]).lstrip(".-")[:80]
            if safe:
                return safe
    return f"body-{result.packet.number}"


def save_body(path: str, result: Dissection) -> int:
    """Write the body in a packet to a file; returns its size. Raises InspectError where it cannot be written."""
    from inspector.annotations import http

    found = http.body(result)
    data = found.read() if found is not None else b""
    with written(path) as file:
        file.write(data)
    return len(data)
