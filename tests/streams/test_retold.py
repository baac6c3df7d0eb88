"""The same bytes in other segments: in every bundled capture the messages stay what they are, and trace to their bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from inspector.core.span import Buffer, Frame, Span, parents, trace
from inspector.core.stream import Pdu
from inspector.session import Session, open_session
from inspector.sources.bundled import bundled
from inspector.streams.conversation import Conversation, SegmentRow
from inspector.streams.tcp import FIN, RST, SYN

NAMES = [entry.name for entry in bundled()]
CUTS, COPIES, SWAPS = 0.5, 0.2, 0.4  # how many segments are cut in two, come twice, change places with their neighbour
Message = tuple[str, str, int, bytes, bool]


def retold(rows: list[tuple[SegmentRow, bytes]], chance: random.Random) -> list[tuple[SegmentRow, bytes]]:
    """The same conversation, its segments cut at other places, some sent again, some in another order."""
    cut: list[tuple[SegmentRow, bytes]] = []
    for row, data in rows:
        if len(data) < 2 or row.flags & (SYN | RST) or chance.random() > CUTS:
            cut.append((row, data))
            continue
        at = chance.randrange(1, len(data))
        cut.append((row._replace(flags=row.flags & ~FIN, length=at, have=at), data[:at]))
        after = row.sequence + at & 0xFFFFFFFF
        cut.append((row._replace(sequence=after, length=len(data) - at, have=len(data) - at), data[at:]))
    for at in range(len(cut) - 1):  # neighbours of one direction, so that no acknowledgement comes before what it acknowledges
        (one, _), (two, _) = cut[at], cut[at + 1]
        plain = not (one.flags | two.flags) & (SYN | FIN | RST) and one.length and two.length
        if plain and one.direction == two.direction and chance.random() < SWAPS:
            cut[at], cut[at + 1] = cut[at + 1], cut[at]
    found = []
    for row, data in cut:
        found += [(row, data)] * (2 if data and not row.flags & RST and chance.random() < COPIES else 1)
    return [(row._replace(packet=number, place=-1), data) for number, (row, data) in enumerate(found, 1)]


def follow(session: Session, flow: int, rows: list[tuple[SegmentRow, bytes]]) -> Conversation:
    frames: dict[int, Buffer] = {row.packet: Frame(row.packet, len(data), lambda data=data: data) for row, data in rows}
    ports = int(session.index.flows.sport(flow)), int(session.index.flows.dport(flow))
    keys = session.keyring.of(flow)
    found = Conversation(flow, ports, lambda n: Span(frames[n], 0, frames[n].size), session.registry, True, keys)
    found.feed([row for row, _ in rows])
    found.finish()
    return found


def pdus(conversation: Conversation) -> list[Pdu]:
    return [pdu for number in sorted(conversation.tree.pdus) for pdu in conversation.tree.pdus[number]]


def messages(conversation: Conversation) -> list[Message]:
    return sorted((pdu.protocol, pdu.kind, pdu.direction, pdu.span.read(), pdu.complete) for pdu in pdus(conversation))


def conversations(session: Session) -> Iterator[tuple[int, list[tuple[SegmentRow, bytes]]]]:
    for flow in range(len(session.index.flows)):
        if session.index.flows.protocol(flow) == 6:
            session.conversation(flow)  # what it teaches of resumed sessions
            rows = list(session._segments(flow).rows())
            yield flow, [(row, session._payload(row.packet).read() if row.length else b"") for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_messages_do_not_depend_on_segments_and_trace_to_their_bytes(name: str) -> None:
    session = open_session(name)
    try:
        for flow, rows in conversations(session):
            told = messages(session.conversation(flow))
            assert told or not any(data for _, data in rows)
            for seed in range(2):
                again = follow(session, flow, retold(rows, random.Random(f"{name} {flow} {seed}")))
                assert messages(again) == told
                for pdu in pdus(again):
                    check(pdu)
    finally:
        session.close()


def check(pdu: Pdu) -> None:
    """The ranges of frames that a message names are the message: its bytes, the records that hide them, what inflates."""
    carried = b"".join(span.read() for span in trace(pdu.span))
    ways = set(way(pdu.span))
    if not ways:
        assert carried == pdu.span.read(), pdu
    elif any(name.startswith("tls:") for name in ways):
        assert whole_records(carried), (pdu, carried[:16])
    else:  # unmasked or inflated: the payloads that it came out of, each as a whole or byte by byte
        assert carried and in_order(trace(pdu.span)), pdu


def way(span: Span) -> Iterator[str]:
    """The buffers on the way down whose bytes are not copies of what lies below."""
    todo = [span]
    while todo:
        at = todo.pop()
        below = list(parents(at))
        if below and b"".join(part.read() for part in below) != at.read():
            yield at.buffer.id
        todo += below


def whole_records(data: bytes) -> bool:
    """TLS records from the first byte to the last."""
    at = 0
    while at < len(data):
        if data[at] not in (20, 21, 22, 23) or data[at + 1] != 3:
            return False
        at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")
    return at == len(data) > 0


def in_order(spans: list[Span]) -> bool:
    """No byte is named twice in a row, none of another place of the same frame before it."""
    return all(one.buffer != two.buffer or one.stop <= two.start for one, two in pairwise(spans))
