"""The HTTP2-Settings header of a request that asks for h2c (RFC 7540, 3.2.1): a SETTINGS payload in Base64.

RFC 9113 has given the upgrade up; servers and tools that speak it are still met.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode

from inspector.core.cursor import Cursor
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Protocol
from inspector.core.span import Derived, Origin
from inspector.protocols.http2.frames import FIELDS, settings


def payload(coded: str) -> bytes | None:
    """The SETTINGS payload of the header's value; None where that is no Base64 for URLs."""
    try:
        return urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
    except (binascii.Error, ValueError):
        return None


def dissect(c: Cursor) -> None:
    start = c.pos
    coded = c.peek(c.remaining)
    c.skip(len(coded))
    data = payload(coded.decode("latin-1"))
    c.layer.summary = "HTTP2-Settings"
    if data is None:
        c.issue("base64", "no Base64 (RFC 7540, 3.2.1; RFC 4648, 5)", Severity.WARNING, c.span(start))
        return
    buffer = Derived(f"settings:{c.buffer.id}:{start}", "decoded", data, [Origin(0, len(data), c.span(start), copied=False)])
    settings(c.over(buffer, data))


def explain(layer: Layer) -> list[Note]:
    why = "What the client's first SETTINGS frame would say; the answer 101 acknowledges it, and the request becomes stream 1."
    return [Note(layer.span, "settings in a header", why, "RFC 7540, 3.2.1")]


PROTOCOL = Protocol(
    "http2.upgrade", "HTTP2-Settings", 6, FIELDS, dissect, keys={"http.header": ["http2-settings"]}, explain=explain,
    reference="RFC 7540, 3.2.1",
)  # fmt: skip
