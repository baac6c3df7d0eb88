"""What one stream said, in the order in which it came: TCP and UDP payloads, decrypted TLS, HTTP and WebSocket messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

from inspector.core.errors import InspectError
from inspector.core.stream import Reader
from inspector.core.tcp_flags import RST, SYN
from inspector.export.messages import Message, message
from inspector.index.names import TCP, UDP
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange, of_conversation

if TYPE_CHECKING:
    from inspector.session import Session

_NAME = re.compile(r"(?:([a-z0-9]+):)?(\d{1,9})(?:\.(\d{1,10}))?")


class Chunk(NamedTuple):
    """Bytes that one side said. packet: the one with which they could be read; missing: so many bytes are not in the
    capture, and `data` is empty; reset: they stand in a RST, to explain it (RFC 9293, 3.5.3), and are no part of the stream."""

    from_client: bool
    packet: int
    data: bytes
    missing: int = 0
    reset: bool = False


class Stream(NamedTuple):
    """Which stream is followed: `tcp`, 4, or `http2`, 0, 5."""

    protocol: str
    number: int
    substream: int = -1


def parse(text: str) -> Stream:
    """`4`, `udp:2` or `http2:0.5`. Raises InspectError."""
    found = _NAME.fullmatch(text.strip().lower())
    protocol = (found[1] or "tcp") if found is not None else ""
    if found is None or protocol not in _FOLLOW or (found[3] is not None) != (protocol == "http2"):
        shapes = "4 (TCP), udp:2, tls:0, http:0, http2:0.5 (stream 5 of connection 0) or websocket:1"
        raise InspectError(f"--stream {text}: a stream is named like {shapes}")
    return Stream(protocol, int(found[2]), int(found[3]) if found[3] is not None else -1)


def follow(session: Session, stream: Stream) -> Iterator[Chunk]:
    """Everything that a stream said, piece by piece. Raises InspectError where there is no such stream."""
    transport = UDP if stream.protocol == "udp" else TCP
    flows = session.index.flows
    own = [flow for flow in range(len(flows)) if flows.protocol(flow) == transport]
    if stream.number >= len(own):
        name = "UDP" if transport == UDP else "TCP"
        last = f"; they are numbered 0 to {len(own) - 1:,}" if own else f"; it has no {name}"
        raise InspectError(f"--stream {stream.protocol}:{stream.number}: this capture has no such stream{last}")
    return _FOLLOW[stream.protocol](session, own[stream.number], stream)


def _tcp(session: Session, flow: int, stream: Stream) -> Iterator[Chunk]:
    conversation = session.conversation(flow)
    said = _read([side.reader for side in conversation.directions], conversation)
    return merge(said, _resets(session, conversation), key=lambda chunk: chunk.packet)


def _resets(session: Session, conversation: Conversation) -> Iterator[Chunk]:
    """What resets say, each where it follows what its side has said before, and once."""
    index, packets = session.index, session.index.flow_packets(conversation.id)
    told = (index.column("flags")[packets - 1] & RST != 0) & (index.column("payload_length")[packets - 1] > 0)
    ends: dict[int, int] = {}
    for number in packets[told].tolist():
        direction, flags = index.value("direction", number), index.value("flags", number)
        side = conversation.directions[direction]
        start = side.offset(index.value("seq", number) + (flags & SYN > 0)) if side.isn is not None else 0
        if start == ends.setdefault(direction, side.next):
            data = session.layers(number).last("tcp")
            if data is not None and data.payloads:
                ends[direction] += data.payloads[0].span.size
                yield Chunk(direction == conversation.tree.client, number, data.payloads[0].span.read(), reset=True)


def _read(readers: Iterable[Reader], conversation: Conversation) -> Iterator[Chunk]:
    """Both directions of a stream, in the order in which their pieces could be read."""

    def pieces(reader: Reader) -> Iterator[tuple[int, int, int, Reader, bool]]:
        for start, stop, packet, missing in reader.arrivals():
            yield packet, start, stop, reader, missing

    for packet, start, stop, reader, missing in merge(*map(pieces, readers), key=lambda piece: piece[0]):
        from_client = reader.direction == conversation.tree.client
        if missing:
            yield Chunk(from_client, packet, b"", stop - start)
        else:
            yield Chunk(from_client, packet, reader.buffer.read(start, stop))


def _udp(session: Session, flow: int, stream: Stream) -> Iterator[Chunk]:
    for number in session.index.flow_packets(flow).tolist():
        udp = session.layers(number).last("udp")
        if udp is not None and udp.payloads:
            from_client = not session.index.column("direction")[number - 1]
            yield Chunk(from_client, number, udp.payloads[0].span.read())


def _tls(session: Session, flow: int, stream: Stream) -> Iterator[Chunk]:
    conversation = session.conversation(flow)
    if not any(pdu.protocol == "tls" for pdus in conversation.tree.pdus.values() for pdu in pdus):
        raise InspectError(f"--stream tls:{stream.number}: TCP stream {stream.number} is not TLS")
    readers: dict[str, Reader] = {}
    for node in conversation.tree.nodes:
        if node.id.startswith("plaintext:") and node.successor is None:
            for direction in (0, 1):
                reader = node.reader(direction)
                readers.setdefault(reader.buffer.id, reader)
    if not any(reader.arrived for reader in readers.values()):
        raise InspectError(f"--stream tls:{stream.number}: nothing of it could be decrypted; give its keys with --keylog")
    return _read(readers.values(), conversation)


def _exchanges(session: Session, flow: int, stream: Stream) -> list[Exchange]:
    found = of_conversation(session.conversation(flow), stream.number)
    return [one for one in found if one.substream == stream.substream]


def _http(session: Session, flow: int, stream: Stream) -> Iterator[Chunk]:
    found = _exchanges(session, flow, stream)
    if not found:
        name = f"{stream.number}" if stream.substream < 0 else f"{stream.number}.{stream.substream}"
        raise InspectError(f"--stream {stream.protocol}:{name}: there is no HTTP message in it")
    return _messages(session, found)


def _messages(session: Session, exchanges: list[Exchange]) -> Iterator[Chunk]:
    for exchange in exchanges:
        for response, part in ((False, exchange.request), (True, exchange.response)):
            if part is not None:
                said = message(session, exchange, response)
                yield Chunk(not response, part.complete, _head(said, exchange, response) + (said.body or b""))


def _head(said: Message, exchange: Exchange, response: bool) -> bytes:
    """The head as lines, as HTTP/1 writes it: over HTTP/2 it has no bytes of its own."""
    if said.head is None:
        return b""
    words = [word for word in said.head.start if word]
    lines = [" ".join(words), *(f"{name}: {value}" for name, value in said.head.headers)]
    return ("\r\n".join([*lines, "", ""])).encode("utf-8", "surrogateescape")


def _websocket(session: Session, flow: int, stream: Stream) -> Iterator[Chunk]:
    items = [
        item
        for exchange in of_conversation(session.conversation(flow), stream.number)
        for item in exchange.items
        if item.pdu.protocol == "websocket.message"
    ]
    if not items:
        raise InspectError(f"--stream websocket:{stream.number}: there is no WebSocket message in it")
    return (Chunk(item.from_client, item.complete, item.pdu.span.read()) for item in items)


_FOLLOW: dict[str, Callable[[Session, int, Stream], Iterator[Chunk]]] = {
    "tcp": _tcp, "udp": _udp, "tls": _tls, "http": _http, "http2": _http, "websocket": _websocket,
}  # fmt: skip
