"""What a request or a response said: its head and its body, decoded, from the units of its exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inspector.core.limits import MAX_BODY_DECODED
from inspector.core.stream import Pdu
from inspector.protocols.http.head import Head, parse
from inspector.streams.exchanges import Exchange, Item

if TYPE_CHECKING:
    from inspector.session import Session


class Message(NamedTuple):
    """head: None where it is not in the capture; body: decoded, None without one; coded: its bytes as they were sent."""

    head: Head | None
    body: bytes | None
    coded: int


def message(session: Session, exchange: Exchange, response: bool) -> Message:
    """The request or the response of an exchange."""
    units = session.detailed(exchange).units
    pdus = [] if units is None else units.response if response else units.request
    if not pdus:
        return Message(None, None, 0)
    first = pdus[0]
    if first.protocol == "http2":
        asked = first.info["asked"]
        head = asked.get("response" if response else "head")
        bodies = [pdu for pdu in pdus if pdu.protocol == "http2.body"]
        if bodies:
            return Message(head, _body(session, bodies[0]), bodies[0].span.size)
        return Message(head, *_items_body(exchange, response))
    start, head_stop = first.span.start, first.info.get("head_stop", first.span.start)
    head = parse(first.span.buffer.read(start, head_stop).lstrip(b"\r\n"))
    coded = sum(pdu.span.size for pdu in pdus) - (head_stop - start)
    if first.info.get("head_only"):
        return Message(head, _items_body(exchange, response)[0], coded)
    return Message(head, _body(session, first) if coded else None, coded)


def _body(session: Session, pdu: Pdu) -> bytes | None:
    """A body without its chunks and codings: what its layer hands on, or what it has worked out last."""
    unit = session.unit(pdu)
    layer = unit.layers[0]
    if layer.payloads:
        return layer.payloads[-1].span.read()
    derived = [buffer for id, buffer in unit.buffers.items() if id != pdu.span.buffer.id]
    if derived:
        return derived[-1].read(0, derived[-1].size)
    value = layer.value("http.file_data", layer.value("http2.body.reassembled.data"))
    return None if value is None else bytes(value)


def _items_body(exchange: Exchange, response: bool) -> tuple[bytes | None, int]:
    """The body of an event stream or of a call, from the stream that its events or messages lie in."""
    own = [item for item in exchange.items if item.from_client != response]
    if not own or own[0].pdu.protocol == "websocket.message":
        return None, 0
    buffer = own[0].pdu.span.buffer
    return buffer.read(0, min(buffer.size, MAX_BODY_DECODED)), buffer.size


def grpc_status(session: Session, exchange: Exchange) -> int | None:
    """The status of a gRPC call; None where there is none, or it is not in the capture."""
    if exchange.outcome is None:
        return None
    layers = session.unit(exchange.outcome.pdu).layers
    return layers[0].value("grpc.status") if layers else None


def item_text(session: Session, item: Item) -> str:
    """One line of words on an event or a message."""
    layers = session.unit(item.pdu).layers
    return layers[0].summary if layers else ""
