"""What a packet's HTTP layer is about, for those who want to use it: its body, and the request that it makes or answers."""

from __future__ import annotations

from typing import NamedTuple

from inspector.core.layer import Layer
from inspector.core.limits import MAX_HEAD
from inspector.core.span import Span
from inspector.dissection.engine import Dissection
from inspector.protocols.http.head import parse

PARTNERS = ("http.response_in", "http.request_in", "dns.response_in", "dns.response_to")  # the other half of an exchange


class Request(NamedTuple):
    """A request as it can be sent again; body: as it was sent, without transfer coding."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


def body(result: Dissection) -> Span | None:
    """The body that completes in this packet, decoded; of a response that goes on, what came of it so far."""
    for layer in reversed(result.layers):
        for payload in layer.payloads:
            if payload.table == "media_type" and layer.protocol.startswith("http"):
                return payload.span
    found = next((buffer for buffer in result.buffers.values() if buffer.kind == "HTTP body"), None)
    return Span(found, 0, found.size) if found is not None else None


def request(result: Dissection) -> Request | None:
    """The request in this packet; None where it has none that is whole."""
    layer = next((layer for layer in result.layers if layer.find("http.request.method") is not None), None)
    if layer is None:
        return None
    head = parse(layer.span.buffer.read(layer.span.start, min(layer.span.stop, layer.span.start + MAX_HEAD)))
    url = layer.value("http.request.full_uri", "")
    if head is None or not url:
        return None
    found = body(result)
    return Request(head.start[0], url, head.headers, found.read() if found is not None else b"")


def partner(result: Dissection) -> int | None:
    """The packet with the other half of the exchange: the response to this request, or the request of this response."""
    for layer in reversed(result.layers):
        number = _first(layer)
        if number is not None and number != result.packet.number:
            return number
    return None


def _first(layer: Layer) -> int | None:
    return next((int(field.value) for field in layer.walk() if field.name in PARTNERS), None)
