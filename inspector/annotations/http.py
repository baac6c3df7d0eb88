"""What a packet's HTTP layer is about, for those who want to use it: its body, and the other half of its exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.annotations.around import nearby, said, same
from inspector.core.layer import Layer
from inspector.core.span import Span
from inspector.dissection.engine import Dissection
from inspector.index.names import TCP
from inspector.streams.exchanges import nearest, of_conversation

if TYPE_CHECKING:
    from inspector.session import Session

PARTNERS = ("http.response_in", "http.request_in", "http2.response_in", "http2.request_in")  # the other half of an exchange


def body(result: Dissection) -> Span | None:
    """The body that completes in this packet, decoded; of a response that goes on, what came of it so far."""
    for layer in reversed(result.layers):
        for payload in layer.payloads:
            if payload.table == "media_type" and layer.protocol.startswith("http"):
                return payload.span
    found = next((buffer for buffer in result.buffers.values() if buffer.kind == "HTTP body"), None)
    return Span(found, 0, found.size) if found is not None else None


def partner(result: Dissection) -> int | None:
    """The packet with the other half of the exchange that this packet's layers tell of: the response to its request, or the
    request of its response."""
    for layer in reversed(result.layers):
        number = _first(layer)
        if number is not None and number != result.packet.number:
            return number
    return None


def other_half(session: Session, number: int) -> int | None:
    """The same for a packet whose layers do not tell: one that carries a piece of a request or a response, or an event."""
    flow = session.index.flow_of(number)
    if flow < 0 or session.index.flows.protocol(flow) != TCP:
        return _datagram_half(session, number)
    found = nearest(of_conversation(session.conversation(flow), flow), number)
    if found is None:
        return None
    asked = found.request is not None and found.request.first <= number <= found.request.complete
    part = found.response if asked else found.request
    return part.complete if part is not None else None


def _datagram_half(session: Session, number: int) -> int | None:
    """The packet that answers what this one asks by itself (DNS, ping, ARP, Neighbour Discovery), or that it answers."""
    own = said(session.layers(number))
    if own is None:
        return None
    near = nearby(session, number, 1 if own.asks else -1)
    return next((at for at in near if same(session, at, own) is (not own.asks)), None)


def _first(layer: Layer) -> int | None:
    return next((int(field.value) for field in layer.walk() if field.name in PARTNERS), None)
