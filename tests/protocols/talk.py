"""A conversation from a script: who says what; every piece is a packet of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.core.layer import Layer
from inspector.core.packet import Packet
from inspector.core.secrecy import Keys
from inspector.core.span import Buffer, Frame, Span
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import ACK, FIN, SYN
from inspector.dissection.engine import Dissection, Engine, make_registry
from inspector.streams.conversation import Conversation, SegmentRow

C, S = 0, 1  # client, server
Step = tuple[int, bytes]


class Unit(NamedTuple):
    pdu: Pdu
    dissection: Dissection

    @property
    def layer(self) -> Layer:
        return self.dissection.layers[0]

    @property
    def issues(self) -> set[str]:
        return {issue.code for layer in self.dissection.layers for issue in layer.issues}


def talk(
    steps: Sequence[Step],
    size: int = 0,
    lost: Sequence[int] = (),
    close: bool = True,
    ports: tuple[int, int] = (40000, 80),
    keys: Keys | None = None,
) -> list[Unit]:
    """The units of a conversation, in packet order. size: bytes a segment, 0 for one a step; lost: the segments that are
    missing from the capture, counted from 0; keys: the secrets that open its records."""
    frames: dict[int, Buffer] = {}
    rows: list[SegmentRow] = []
    sequence = [100, 500]

    def add(direction: int, flags: int, data: bytes = b"", seen: bool = True) -> None:
        number = len(rows) + 1
        if seen:
            frames[number] = Frame(number, len(data), lambda: data)
            at, other = sequence[direction], sequence[1 - direction]
            rows.append(SegmentRow(number, direction, at, other, flags, len(data), len(data)))
        sequence[direction] += len(data) + (1 if flags & (SYN | FIN) else 0)

    add(C, SYN)
    add(S, SYN | ACK)
    count = 0
    for direction, data in steps:
        step = size or len(data)
        for at in range(0, len(data), step):
            add(direction, ACK, data[at : at + step], count not in lost)
            add(1 - direction, ACK)
            count += 1
    if close:
        add(S, FIN | ACK)
        add(C, FIN | ACK)
    registry = make_registry()
    payload = lambda number: Span(frames[number], 0, frames[number].size)  # noqa: E731
    conversation = Conversation(0, ports, payload, registry, strict=True, keys=keys)
    conversation.feed(rows)
    conversation.finish()
    engine = Engine(registry, strict=True)
    found = []
    for number in sorted(conversation.tree.pdus):
        for pdu in conversation.tree.pdus[number]:
            packet = Packet(number, number * 1000, 1, 0, b"")
            info = {**pdu.info, "time_of": lambda n: n * 1000}
            found.append(Unit(pdu, engine.unit(packet, pdu.protocol, pdu.span, info)))
    return found
