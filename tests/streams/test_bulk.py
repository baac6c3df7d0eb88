"""Segments taken many at a time say exactly what they say one by one."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.core.span import Frame, Span
from inspector.core.stream import Pdu
from inspector.dissection.engine import make_registry
from inspector.session import TCP, open_session
from inspector.sources.bundled import bundled
from inspector.streams.bulk import Segments
from inspector.streams.conversation import Conversation

REGISTRY = make_registry()
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def plain_info(value: Any, depth: int = 3) -> Any:
    """What a parser knows of a unit, without the objects that only stand for themselves. It may know itself."""
    if isinstance(value, dict):
        return {key: plain_info(one, depth - 1) for key, one in value.items()} if depth else len(value)
    if isinstance(value, (tuple, list)):
        return [plain_info(one, depth - 1) for one in value] if depth else len(value)
    return value if isinstance(value, (str, int, bytes, float, type(None))) else type(value).__name__


def unit(pdu: Pdu) -> tuple[Any, ...]:
    span = pdu.span
    where = (span.buffer.id, span.start, span.stop, span.read())
    return pdu.protocol, pdu.kind, where, pdu.packet, pdu.direction, pdu.complete, plain_info(pdu.info)


def told(conversation: Conversation) -> dict[str, Any]:
    """All that a conversation says."""
    return {
        "units": {packet: [unit(pdu) for pdu in pdus] for packet, pdus in conversation.tree.pdus.items()},
        "ranges": dict(conversation.ranges.items()),
        "conflicts": [side.conflicts for side in conversation.directions],
        "acknowledged": [side.acknowledged for side in conversation.directions],
        "bytes": [side.buffer.read(0, side.buffer.size) for side in conversation.directions],
        "segments": [side.buffer.segments(0, side.buffer.size) for side in conversation.directions],
        "ended": [(side.reader.ended, side.reader.end_packet, side.reader.reset) for side in conversation.directions],
        "protocols": conversation.protocols,
    }


def both(make: Callable[[], Conversation], segments: Segments) -> Conversation:
    """The conversation followed in both ways, which must agree."""
    single, many = make(), make()
    for row in segments.rows():
        single.feed([row])
    many.follow(segments)
    single.finish()
    many.finish()
    assert told(many) == told(single)
    return many


@pytest.mark.parametrize("name", [capture.name for capture in bundled()])
def test_bundled_captures(name: str) -> None:
    session = open_session(name)
    flows = session.index.flows
    found = [flow for flow in range(len(flows)) if flows.protocol(flow) == TCP]
    segments = 0
    for flow in found:
        segments += len(both(lambda flow=flow: session.conversations.new(flow), session.conversations.segments(flow)).ranges)  # type: ignore[misc]
    assert segments or not found or "refused" in name
    session.close()


class Talk:
    """A conversation that is written here: turns of either side, cut into segments."""

    def __init__(self, rng: random.Random, turns: list[tuple[int, bytes]]) -> None:
        self.payloads: dict[int, bytes] = {}
        self.rows: list[tuple[int, ...]] = []  # without the packet's number
        self.parts: list[bytes] = []
        seq = [0xFFFFFF00, 7]  # one side crosses the wrap
        self._add(0, seq[0], 0, SYN, b"")
        self._add(1, seq[1], seq[0] + 1, SYN | ACK, b"")
        seq = [seq[0] + 1, seq[1] + 1]
        self._add(0, seq[0], seq[1], ACK, b"")
        for side, text in turns:
            while text:
                size = rng.choice((1, 3, 40, 200, 1400))
                piece, text = text[:size], text[size:]
                self._add(side, seq[side], seq[1 - side], PSH | ACK, piece)
                seq[side] += len(piece)
                if rng.random() < 0.5:
                    self._add(1 - side, seq[1 - side], seq[side], ACK, b"")
        for side in (0, 1):
            self._add(side, seq[side], seq[1 - side], FIN | ACK, b"")
            seq[side] += 1

    def _add(self, side: int, seq: int, ack: int, flags: int, payload: bytes) -> None:
        self.rows.append((side, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, len(payload), len(payload)))
        self.parts.append(payload)

    def shuffle(self, rng: random.Random) -> None:
        """Lose some, double some, swap some, cut some by the snap length."""
        pairs = list(zip(self.rows, self.parts, strict=True))
        for _ in range(rng.randrange(6)):
            at = rng.randrange(3, len(pairs))
            what = rng.choice(("lose", "double", "swap", "snap", "reset"))
            if what == "lose":
                del pairs[at]
            elif what == "double":
                pairs.insert(min(at + rng.randrange(5), len(pairs)), pairs[at])
            elif what == "swap":
                other = min(at + rng.randrange(1, 4), len(pairs) - 1)
                pairs[at], pairs[other] = pairs[other], pairs[at]
            elif what == "snap":
                row, payload = pairs[at]
                pairs[at] = ((*row[:5], row[5] // 2), payload)
            elif rng.random() < 0.2:
                row, payload = pairs[at]
                pairs[at] = ((*row[:3], RST | ACK, 0, 0), b"")
        self.rows, self.parts = [row for row, _ in pairs], [part for _, part in pairs]

    def segments(self) -> Segments:
        columns = np.array(self.rows, np.int64).T
        places = np.cumsum([0, *map(len, self.parts)])[:-1]
        return Segments(np.arange(1, len(self.rows) + 1), *columns, places)

    def make(self) -> Conversation:
        whole = b"".join(self.parts)
        places = self.segments().place.tolist()

        def payload(number: int) -> Span:
            start = places[number - 1]
            return Span(Frame(number, len(whole), lambda: whole), start, start + len(self.parts[number - 1]))

        def load(at: int, size: int) -> bytes:
            return whole[at : at + size]

        return Conversation(0, (40000, 80), payload, REGISTRY, True, None, load)


def http(rng: random.Random) -> list[tuple[int, bytes]]:
    """Requests with their answers: with a length, in chunks, an event stream, pipelined, an upgrade to WebSocket at the end."""
    turns: list[tuple[int, bytes]] = []
    for n in range(rng.randrange(1, 12)):
        body = rng.randbytes(rng.choice((0, 5, 3000)))
        ask = b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (n, len(body)) + body
        kind = rng.choice(("length", "chunks", "events"))
        if kind == "length":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        else:
            media = b"text/event-stream" if kind == "events" else b"application/json"
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % media
            for part in (b"data: one\n\n", b"id: 7\ndata: t", b"wo\n\n: note\n\n"):
                answer += b"%x\r\n%s\r\n" % (len(part), part)
            answer += b"0\r\n\r\n"
        turns += [(0, ask), (1, answer)]
    if rng.random() < 0.3 and len(turns) > 3:  # pipelined
        turns[1], turns[2] = turns[2], turns[1]
    if rng.random() < 0.4:
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        turns.append((0, b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + key + b"\r\n"))
        turns.append((1, b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"))
        turns.append((0, b"\x81\x85\1\2\3\4" + bytes(c ^ (i % 4 + 1) for i, c in enumerate(b"world"))))
    return turns


@pytest.mark.parametrize("seed", range(60))
def test_generated_conversations(seed: int) -> None:
    rng = random.Random(seed)
    talk = Talk(rng, http(rng))
    whole = both(talk.make, talk.segments())
    assert whole.protocols[0] == "http" and whole.tree.pdus
    talk.shuffle(rng)
    both(talk.make, talk.segments())


@pytest.mark.parametrize("seed", range(20))
def test_nonsense(seed: int) -> None:
    rng = random.Random(seed)
    turns = [(rng.randrange(2), rng.randbytes(rng.randrange(1, 3000))) for _ in range(10)]
    talk = Talk(rng, turns)
    talk.shuffle(rng)
    both(talk.make, talk.segments())


def test_a_long_conversation_is_read_in_few_pieces(tmp_path: Path) -> None:
    """The bytes of a conversation lie together in the file: they are not fetched a segment at a time."""
    rng = random.Random(1)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
    talk = Talk(rng, [(0, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (1, answer)])
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)
    for (side, seq, ack, flags, size, _), payload in zip(talk.rows, talk.parts, strict=True):
        ports = (40000, 80) if side == 0 else (80, 40000)
        tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 500, 0, 0) + payload
        ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if side == 0 else (b"\x0a\0\0\2", b"\x0a\0\0\1")
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + b"".join(ends) + tcp
        data += struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet
        assert size == len(payload)
    path = tmp_path / "long.pcap"
    path.write_bytes(data)
    session = open_session(str(path))
    conversation = session.conversation(0)
    assert [pdu.kind for pdus in conversation.tree.pdus.values() for pdu in pdus] == ["message", "message"]
    reads = 0
    read = session.source._store.read

    def counted(offset: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return read(offset, size)

    session.source._store.read = counted  # type: ignore[method-assign]
    assert len(conversation.directions[1].buffer.read(0, 1 << 20)) > 200_000
    assert reads < 10
    session.close()
