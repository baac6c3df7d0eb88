"""What the messages of an exchange say, for rules that look across many of them: heads, and bodies as they were sent.

A message of an ordinary connection that fills one segment is read from the file; for any other its connection is followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from inspector.core.stream import Pdu
from inspector.index import Index
from inspector.protocols.http.head import Head, parse
from inspector.streams.exchanges import Exchange

MAX_BODY = 64 * 1024  # bytes of a body that are compared with another


class Detailing(Protocol):
    """What is asked of a session."""

    index: Index

    def detailed(self, exchange: Exchange) -> Exchange: ...


def head(capture: Detailing, exchange: Exchange, response: bool) -> Head | None:
    """The head of the request or of the response; None where it is not in the capture."""
    own = _direct(capture, exchange, response)
    if own is not None:
        return parse(own[0])
    pdus = _pdus(capture, exchange, response)
    if not pdus:
        return None
    first = pdus[0]
    if first.protocol == "http2":
        asked = first.info["asked"]
        found: Head | None = asked.get("response" if response else "head")
        return found
    start = first.span.start
    return parse(first.span.buffer.read(start, first.info.get("head_stop", start)).lstrip(b"\r\n"))


def body(capture: Detailing, exchange: Exchange, response: bool) -> bytes:
    """The body as it was coded, chunks and all, at most MAX_BODY bytes; the same content is the same bytes here."""
    own = _direct(capture, exchange, response)
    if own is not None:
        return own[1]
    pdus = _pdus(capture, exchange, response)
    if not pdus:
        return b""
    first = pdus[0]
    if first.protocol == "http2":
        bodies = [pdu for pdu in pdus if pdu.protocol == "http2.body"]
        return bodies[0].span.buffer.read(bodies[0].span.start, min(bodies[0].span.stop, MAX_BODY)) if bodies else b""
    start = first.info.get("head_stop", first.span.stop)
    return first.span.buffer.read(start, min(first.span.stop, start + MAX_BODY))


def prepare(capture: Detailing, exchanges: Iterable[Exchange]) -> None:
    """Fetch the units of many exchanges, one connection after the other: each is then followed once."""
    for exchange in sorted(exchanges, key=lambda one: one.flow):
        if any(_place(capture, exchange, response) < 0 for response in (False, True)):
            capture.detailed(exchange)


def _place(capture: Detailing, exchange: Exchange, response: bool) -> int:
    """Where a message lies in the file, where it is ordinary and alone in its segment; -1 elsewhere."""
    part = exchange.response if response else exchange.request
    if exchange.units is not None or part is None or part.first != part.last:
        return -1
    index, row = capture.index, part.first - 1
    offset = int(index.column("payload_offset")[row])
    alone = offset >= 0 and int(index.column("payload_length")[row]) == part.size
    return int(index.column("offset")[row]) + offset if alone else -1


def _direct(capture: Detailing, exchange: Exchange, response: bool) -> tuple[bytes, bytes] | None:
    """Head and body; None where the connection must be followed for them."""
    place, part = _place(capture, exchange, response), exchange.response if response else exchange.request
    if place < 0 or part is None:
        return None
    raw = capture.index.near(place, part.size)
    return raw[: part.head - part.start], raw[part.head - part.start :][:MAX_BODY]


def _pdus(capture: Detailing, exchange: Exchange, response: bool) -> list[Pdu]:
    units = capture.detailed(exchange).units
    return [] if units is None else units.response if response else units.request
