"""A capture that grows is followed in bounded steps, and says then what it says when it is whole."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.export import pcapng
from inspector.session import Session, open_session
from inspector.sources.bundled import resolve
from inspector.streams.exchanges import Phases


def parts(path: Path, pieces: int) -> list[bytes]:
    """A pcapng file in pieces of whole blocks."""
    data, at, blocks = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        blocks.append(data[at : at + length])
        at += length
    step = -(-len(blocks) // pieces)
    return [b"".join(blocks[start : start + step]) for start in range(0, len(blocks), step)]


def told(session: Session) -> list[tuple[str, str]]:
    return [(row.protocol, row.info) for row in session.rows(1, session.count + 1)]


def exchanges(session: Session) -> list[tuple[int, str, int, Phases, int]]:
    return [
        (one.number, one.target, one.status, one.phases, len(session.detailed(one).items)) for one in session.exchanges()
    ]


@pytest.mark.parametrize("name", ["sse-tls", "websocket-chat", "https-http2-multiplex", "http1-six-connections"])
def test_what_is_followed_in_steps_is_what_is_followed_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "growing.pcapng"
    pieces = parts(Path(resolve(name)), 7)
    path.write_bytes(pieces[0])
    session = open_session(str(path), growing=True)
    for piece in pieces[1:]:
        with path.open("ab") as file:
            file.write(piece)
        session.grow()
        while session.keep_up(1e-6):  # the least step there is
            pass
        assert not any(session.to_follow(number) for number in range(1, session.count + 1))
        session.exchanges()
    whole = open_session(resolve(name))
    assert exchanges(session) == exchanges(whole)
    session.load()
    assert told(session) == told(whole)


def test_a_lookup_is_told_of_the_connection_that_waited_for_it_alone(tmp_path: Path) -> None:
    whole = open_session(resolve("sse"))
    first = [whole.packet(number) for number in range(1, whole.count + 1)]
    port = whole.index.flows.sport(1).to_bytes(2, "big")
    later = [
        packet._replace(time_ns=packet.time_ns + 5_000_000_000, data=packet.data.replace(port, b"\x9d\x09"))
        for packet in first[8:]
    ]
    path = tmp_path / "growing.pcapng"
    pcapng.write(str(path), whole.interfaces, [*first, *later], pcapng.Extras())
    blocks = parts(path, 1 << 20)  # one by one
    path.write_bytes(b"".join(blocks[: -len(later)]))
    session = open_session(str(path), growing=True)
    session.grow()
    assert [one.phases.dns > 0 for one in session.exchanges()] == [True]
    with path.open("ab") as file:
        file.write(b"".join(blocks[-len(later) :]))
    session.grow()
    assert [one.phases.dns > 0 for one in session.exchanges()] == [True, False]
    session.load()
    assert [one.phases.dns > 0 for one in session.exchanges()] == [True, False]


def test_it_says_how_far_behind_it_is(tmp_path: Path) -> None:
    session = open_session(resolve("sse"), growing=True)
    session.grow()
    assert session.to_follow(session.count)
    assert session.keep_up(0) == session.count
    assert session.keep_up(60) == 0
    assert not session.to_follow(session.count)
