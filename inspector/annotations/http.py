"""What a packet's HTTP layer is about, for those who want to use it: its body, and the other half of its exchange."""

from __future__ import annotations

from inspector.core.layer import Layer
from inspector.core.span import Span
from inspector.dissection.engine import Dissection

PARTNERS = ("http.response_in", "http.request_in", "dns.response_in", "dns.response_to")  # the other half of an exchange


def body(result: Dissection) -> Span | None:
    """The body that completes in this packet, decoded; of a response that goes on, what came of it so far."""
    for layer in reversed(result.layers):
        for payload in layer.payloads:
            if payload.table == "media_type" and layer.protocol.startswith("http"):
                return payload.span
    found = next((buffer for buffer in result.buffers.values() if buffer.kind == "HTTP body"), None)
    return Span(found, 0, found.size) if found is not None else None


def partner(result: Dissection) -> int | None:
    """The packet with the other half of the exchange: the response to this request, or the request of this response."""
    for layer in reversed(result.layers):
        number = _first(layer)
        if number is not None and number != result.packet.number:
            return number
    return None


def _first(layer: Layer) -> int | None:
    return next((int(field.value) for field in layer.walk() if field.name in PARTNERS), None)
