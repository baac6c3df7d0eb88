"""The same bytes in other segments: in every bundled capture the messages stay what they are, and trace to their bytes."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator

import brotli
import pytest
import zstandard
from undone import Hellos, Undone

from inspector.core.span import Buffer, Frame, Origin, Span, parents, trace
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import FIN, RST, SYN
from inspector.session import Session, open_session
from inspector.sources.bundled import bundled
from inspector.streams.conversation import Conversation, SegmentRow
from tests.protocols.talk import C, S, talk

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
            rows = list(session.conversations.segments(flow).rows())
            yield flow, [(row, session.conversations.payload(row.packet).read() if row.length else b"") for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_messages_do_not_depend_on_segments_and_are_their_bytes(name: str) -> None:
    session = open_session(name)
    log = secrets(session)
    try:
        for flow, rows in conversations(session):
            told = messages(session.conversation(flow))
            assert told or not any(data for _, data in rows)
            for seed in range(2):
                again = follow(session, flow, retold(rows, random.Random(f"{name} {flow} {seed}")))
                assert messages(again) == told
                undone = Undone(log, hellos(rows))
                for span in spans(session, again):
                    check(span, undone)
    finally:
        session.close()


def secrets(session: Session) -> str:
    return b"".join(block.data for block in session.source.secrets).decode()


def hellos(rows: list[tuple[SegmentRow, bytes]]) -> Hellos | None:
    """What both ends say first, where it is TLS; nothing is lost in the bundled captures that are."""
    said = [b"".join(data for row, data in rows if row.direction == end) for end in (0, 1)]
    return Hellos.of(*said)


def spans(session: Session, conversation: Conversation) -> Iterator[Span]:
    """The ranges of all messages, and of all that they carry: their bodies, joined and decoded."""
    for pdu in pdus(conversation):
        info = {**pdu.info, "time_of": lambda number: number * 1000}
        layers = session.engine.unit(session.packet(1), pdu.protocol, pdu.span, info, notes=False).layers
        assert layers[0].span == pdu.span
        yield from {layer.span: None for layer in layers}


def check(span: Span, undone: Undone) -> None:
    """The ranges of frames that it traces to are its bytes: as they are, or once what hides them is undone."""
    assert undone.read(span) == span.read(), span
    traced = [(place.buffer, at) for place in trace(span) for at in range(place.start, place.stop)]
    assert [(int(frame.id.partition(":")[2]), at) for frame, at in traced] == undone.needed(span), span


class Lie(Buffer):
    """A buffer that names the bytes beside those that it was made of."""

    def __init__(self, told: Buffer) -> None:
        super().__init__(told.id, told.kind)
        self._told = told

    @property
    def size(self) -> int:
        return self._told.size

    def read(self, start: int, stop: int) -> bytes:
        return self._told.read(start, stop)

    def origins(self, start: int, stop: int) -> Iterator[Origin]:
        for origin in self._told.origins(start, stop):
            source = origin.source
            beside = 1 if source.stop < source.buffer.size else -1
            yield origin._replace(source=Span(source.buffer, source.start + beside, source.stop + beside))


LIARS = {
    "http-post-json": {"TCP stream", "decompressed (gzip)"},
    "http-keepalive": {"dechunked", "decompressed (gzip)"},
    "https-tls12-keys": {"decrypted", "handshake messages"},
    "sse-tls": {"decrypted", "decrypted stream", "handshake messages", "HTTP body"},
    "websocket-chat": {"message"},
    "websocket-tls": {"message"},
    "grpc-streams": {"gRPC messages", "decompressed (gzip)"},
}


@pytest.mark.parametrize("name", LIARS)
def test_a_buffer_that_names_other_bytes_is_found_out(name: str) -> None:
    session = open_session(name)
    log = secrets(session)
    ranges: dict[str, tuple[Span, Hellos | None]] = {}  # kind of buffer → a message's range of one
    for flow, rows in conversations(session):
        todo = list(spans(session, session.conversation(flow)))
        while todo:
            span = todo.pop()
            if not isinstance(span.buffer, Frame) and span.size > 2:
                ranges.setdefault(span.buffer.kind, (span, hellos(rows)))
                todo += parents(span)
    assert ranges.keys() >= LIARS[name]
    for span, said in ranges.values():
        check(span, Undone(log, said))
        with pytest.raises((AssertionError, LookupError, ValueError, zlib.error)):
            check(Span(Lie(span.buffer), span.start, span.stop), Undone(log, said))
    session.close()


TEXT = b'{"orders": [' + b", ".join(b'{"id": %d, "state": "%d shipped"}' % (n, n * n) for n in range(60)) + b"]}"
EVENTS = b"".join(b"id: %d\nevent: order\ndata: number %d\n\n" % (n, n * n) for n in range(40))
CODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("size", [0, 1, 37])
def test_coded_bodies_are_their_bytes(coding: str, size: int) -> None:
    body = CODED[coding](TEXT)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\n" % coding.encode()
    plain = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    answers = plain + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 29)
    bodies = []
    for unit in talk([(C, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2), (S, answers)], size):
        for layer in unit.dissection.layers:
            check(layer.span, Undone())
            bodies += [layer.span.read()] * (layer.protocol == "json")
    assert bodies == [TEXT, TEXT]


@pytest.mark.parametrize("coding", CODED)
def test_events_of_coded_streams_are_their_bytes(coding: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: %s\r\n" % coding.encode()
    answer = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(CODED[coding](EVENTS), 50)
    units = talk([(C, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (S, answer)], 41)
    events = [unit.pdu.span for unit in units if unit.pdu.protocol == "sse"]
    assert b"".join(span.read() for span in events) == EVENTS
    for span in events:
        check(span, Undone())
