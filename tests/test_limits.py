"""Limits hold, and are told where they cut; work grows with the bytes, not with their square."""

from __future__ import annotations

import gzip
import json
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from inspector.core import limits
from tests.made import A, B, M, connection, ethernet, fragment, layers, opened, response, tcp, told, udp

BOMB = bytes(200 << 20)  # inflates to 200 MiB
MIB = 1 << 20


CODINGS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(BOMB, 6),
    "deflate": lambda: zlib.compress(BOMB, 6),
    "br": lambda: bytes(brotli.compress(BOMB, quality=1)),
    "zstd": lambda: zstandard.compress(BOMB),
    "gzip, gzip": lambda: gzip.compress(gzip.compress(BOMB, 6)),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_inflates_to_the_limit_and_says_so(coding: str, tmp_path: Path) -> None:
    session = opened(tmp_path, response(coding, CODINGS[coding]()))
    sizes = [buffer.size for n in range(1, session.count + 1) for buffer in session.dissect(n).buffers.values()]
    assert max(sizes) <= limits.MAX_BODY_DECODED + MIB
    assert [text for text in told(session) if "16 MiB" in text]


def test_deep_json_and_many_values_are_cut_and_told(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    many = b"[" + b"1," * 100_000 + b"1]"
    for body, words in ((deep, "64 levels"), (many, "5,000 values")):
        session = opened(tmp_path, response("identity", body, "application/json"))
        assert [text for text in told(session) if words in text], words


def test_a_name_that_points_at_itself(tmp_path: Path) -> None:
    loop = bytes.fromhex("000180000001000000000000") + b"\xc0\x0c\0\1\0\1"
    chain = bytes.fromhex("000180000001000000000000") + b"\1a\xc0\x0e\xc0\x0c\0\1\0\1"
    texts = told(opened(tmp_path, [udp(4000, 53, loop), udp(4000, 53, chain)]))
    assert len(texts) >= 2


def test_tunnels_inside_one_another_end(tmp_path: Path) -> None:
    packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20, 0, 0, 64, 59, 0, A, B)
    for _ in range(100):
        packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(packet), 0, 0, 64, 4, 0, A, B) + packet
    session = opened(tmp_path, [M + M + b"\x08\x00" + packet])
    assert len(session.dissect(1).layers) == limits.MAX_LAYERS
    assert [text for text in told(session) if f"more than {limits.MAX_LAYERS} layers" in text]


def test_fragments_that_never_end_take_bounded_room(tmp_path: Path) -> None:
    session = opened(tmp_path, [fragment(n, 0) for n in range(3 * limits.MAX_OPEN_DATAGRAMS)])
    assert len(session._fragments._open) == limits.MAX_OPEN_DATAGRAMS
    session = opened(tmp_path, [fragment(1, 1)] * 5000)
    assert [len(datagram.pieces) for datagram in session._fragments._open.values()] == [1]


def test_a_thousand_interleaved_connections_are_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass in packet order asks for each connection again and again."""
    said = (0, b"GET / HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 204 No\r\n\r\n"), (0, b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    rounds = list(zip(*(connection(10_000 + n, *said) for n in range(1000)), strict=True))
    session = opened(tmp_path, [frame for each in rounds for frame in each])
    followed: list[int] = []
    follow = session.conversations._follow

    def counted(flow: int, until: int | None) -> object:
        followed.append(flow)
        return follow(flow, until)

    monkeypatch.setattr(session.conversations, "_follow", counted)
    for number in range(1, session.count + 1, 3):
        session.dissect(number)
    assert 0 < len(followed) <= 1000


def seconds(frames: list[bytes], folder: Path) -> float:
    start = time.process_time()
    session = opened(folder, frames)
    for number in range(1, session.count + 1):
        session.explained(number)
    return time.process_time() - start


def alternating(count: int) -> list[bytes]:
    """Segments before the one that they all wait for, backwards: every one is held."""
    start = [tcp(4000, 0, 99, 0, 2), tcp(4000, 1, 499, 100, 0x12)]
    return start + [tcp(4000, 0, 100 + 10 * n, 500, 0x10, bytes(10)) for n in range(count, 0, -1)]


def unacknowledged(count: int) -> list[bytes]:
    """Segments that nobody acknowledges, resent in another order."""
    start = [tcp(4000, 0, 99, 0, 2), tcp(4000, 1, 499, 100, 0x12)]
    return start + [tcp(4000, 0, 100 + n * 7919 % count * 10, 500, 0x10, bytes(10)) for n in range(count)]


def one_byte_each(count: int) -> list[bytes]:
    """A request in segments of one byte."""
    return connection(4000, (0, b"GET / HTTP/1.1\r\nX: " + b"a" * count), size=1)


def pipelined(count: int) -> list[bytes]:
    return connection(4000, (0, b"GET / HTTP/1.1\r\n\r\n" * count), (1, b"HTTP/1.1 204 No\r\n\r\n" * count), size=1400)


def messages(count: int) -> list[bytes]:
    """WebSocket frames of no bytes, unmasked."""
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    grant = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    return connection(4000, (0, ask), (1, grant + b"\x01\x00" + b"\x00\x00" * count), size=1400)


def fragments(count: int) -> list[bytes]:
    """A datagram whose last piece comes first and whose first one never comes."""
    return [fragment(1, count, more=False)] + [fragment(1, count - n) for n in range(1, count)]


def asked(count: int) -> list[bytes]:
    """Echo requests without an answer: each is compared with those around it."""
    heads = (struct.pack(">BBHHH", 8, 0, 0, 1, n) + bytes(8) for n in range(count))
    return [ethernet(1, head, A, B) for head in heads]


def turns(count: int) -> list[bytes]:
    """Requests and their answers, each in a segment of its own."""
    said = ((0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, b"HTTP/1.1 204 No\r\n\r\n"))
    return connection(4000, *(said[n % 2] for n in range(count)))


CASES = [fragments, alternating, unacknowledged, one_byte_each, pipelined, messages, asked, turns]


@pytest.mark.parametrize("make", CASES)
def test_work_grows_with_the_bytes(make: Callable[[int], list[bytes]], tmp_path: Path) -> None:
    """Four times the input may take six times the time, not sixteen times."""
    small, large = (min(seconds(make(count), tmp_path) for _ in range(2)) for count in (300, 1200))
    assert large < 8 * small + 0.3, (small, large)


def test_json_numbers_of_any_length_print(tmp_path: Path) -> None:
    """Python refuses to print integers of more than 4,300 digits; nothing here makes integers of what a peer wrote."""
    session = opened(tmp_path, response("identity", b"[" + b"9" * 10_000 + b"]", "application/json"))
    assert json.dumps([layer.summary for layer in layers(session)])
