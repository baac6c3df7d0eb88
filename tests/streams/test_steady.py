"""TCP analysis of many segments at once says the same as of each by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from inspector.core.limits import MAX_UNACKNOWLEDGED as MOST
from inspector.core.tcp_flags import ACK, FIN, PSH, RST, SYN
from inspector.session import open_session
from inspector.sources.bundled import bundled
from inspector.streams.analysis import Analysis, Edges, Segment
from inspector.streams.segments import Part, parts
from inspector.streams.steady import take
from inspector.streams.tcp_layer import Tcp, follow
from inspector.streams.tcp_states import States


def plainly(segments: list[Segment], scales: tuple[int, int]) -> Tcp:
    found = Tcp(Analysis(scales), States())
    for segment in segments:
        found.analysis.feed(segment)
        found.states.feed(segment)
    return found


def part_of(segments: list[Segment]) -> Part:
    columns = [np.array(values, np.int64) for values in list(zip(*segments, strict=True))[:8]]
    sacks: list[Edges] = [segment.sack for segment in segments]
    return Part(columns, np.array([not sack for sack in sacks]), sacks.__getitem__)


def told(tcp: Tcp) -> dict[str, Any]:
    """All that is known, also what is only remembered for segments to come."""
    analysis, states = tcp
    sides = [{name: getattr(side, name) for name in side.__slots__ if name not in ("_high", "_least", "_low")}
             for side in analysis.sides]  # fmt: skip
    return {**vars(analysis), "sides": sides, **{f"states {name}": value for name, value in vars(states).items()}}


def assert_same(segments: list[Segment], scales: tuple[int, int]) -> None:
    one, many = told(plainly(segments, scales)), told(follow([part_of(segments)], scales))
    assert one.keys() == many.keys()
    for name in one:
        assert many[name] == one[name], name


def rising(rows: list[tuple[int, int, int, int, int]]) -> list[Segment]:
    """Segments of (direction, flags, sequence, acknowledgement, length), a microsecond apart."""
    return [
        Segment(at, at * 1000, end, seq, ack, flags, size, 500) for at, (end, flags, seq, ack, size) in enumerate(rows, 1)
    ]


def talk(seed: int, size: int = 1500) -> Iterator[Segment]:
    """A conversation with runs of order and every disorder between them: losses, resends, reordering, closed windows,
    keep-alives, duplicate acknowledgements with and without SACK, window updates, wrapping numbers, a side that is not seen."""
    dice = random.Random(seed)
    trouble = dice.choice((0.0, 0.003, 0.02, 0.2))
    seq = [dice.choice((1, 0xFFFFF000, 0x7FFFFF00, 5000)) for _ in (0, 1)]
    acked, window, now = seq[::-1], [500, 700], 0
    unseen = dice.choice((-1, -1, -1, 0, 1))
    heavy = dice.random()
    begin = dice.random() < 0.7
    found: list[tuple[int, int, int, int, int, int, Edges]] = []

    def say(end: int, flags: int, at: int, ack: int, length: int, sack: Edges = ()) -> None:
        if end != unseen:
            found.append((end, at & 0xFFFFFFFF, ack & 0xFFFFFFFF if flags & ACK else 0, flags, length, window[end], sack))

    if begin:
        say(0, SYN, seq[0] - 1, 0, 0)
        say(1, SYN | ACK, seq[1] - 1, seq[0], 0)
        say(0, ACK, seq[0], seq[1], 0)
    for _ in range(size):
        end = int(dice.random() < heavy)
        if dice.random() < trouble:
            kind = dice.randrange(10)
            if kind == 0:  # a loss that the capture does not show
                seq[end] += dice.randrange(1, 3000)
            elif kind == 1:
                back = dice.randrange(1, 4000)
                say(end, ACK, seq[end] - back, acked[end], min(back, 1000))
            elif kind == 2:
                window[end] = 0
                say(end, ACK, seq[end], acked[end], 0)
                window[end] = dice.choice((0, 300, 500))
            elif kind == 3:
                say(end, ACK, seq[end] - 1, acked[end], dice.randrange(2))
            elif kind == 4:
                for _ in range(dice.randrange(1, 5)):
                    say(end, ACK, seq[end], acked[end], 0)
            elif kind == 5:
                left = acked[end] + 1000
                say(end, ACK, seq[end], acked[end], 0, ((left & 0xFFFFFFFF, left + 500 & 0xFFFFFFFF),))
            elif kind == 6:
                say(end, ACK, seq[end] + 700, acked[end], 300)
                say(end, ACK, seq[end], acked[end], 700)
                seq[end] += 1000
            elif kind == 7:
                say(end, ACK, seq[end], acked[end] - 500, 0)
            elif kind == 8:
                say(end, dice.choice((FIN | ACK, RST, RST | ACK, SYN, ACK | 0x20)), seq[end], acked[end], 0)
            else:
                say(end, ACK, seq[end], acked[end] + dice.randrange(1, 900), 0)
            continue
        if dice.random() < 0.6:
            length = dice.choice((1, 100, 1448, 65_000))
            say(end, ACK | dice.choice((0, PSH)), seq[end], acked[end], length)
            seq[end] += length
        else:
            if dice.random() < 0.3:
                window[end] = dice.randrange(1, 900)
            acked[end] = dice.choice((seq[1 - end], acked[end], max(acked[end], seq[1 - end] - 1000)))
            say(end, ACK, seq[end], acked[end], 0)
    for number, row in enumerate(found, 1):
        now += dice.choice((1000, 1_000_000, 30_000_000))
        end, at, ack, flags, length, opened, sack = row
        yield Segment(number * 3, now, end, at, ack, flags, length, opened, sack)


@pytest.mark.parametrize("seed", range(120))
def test_generated_disorder(seed: int) -> None:
    scales = random.Random(seed).choice(((-1, -1), (-2, -2), (0, 7), (7, -1)))
    assert_same(list(talk(seed)), scales)


@pytest.mark.parametrize("capture", bundled(), ids=lambda capture: capture.name)
def test_bundled_captures(capture: Any) -> None:
    session = open_session(str(capture.path))
    for flow in range(len(session.index.flows)):
        if session.index.flows.protocol(flow) == 6:
            packets = session.index.flow_packets(flow)
            found = parts(session.index, packets, session.conversations.sack)
            segments = [one for part in found for one in part.segments(0, len(part))]
            first, second = session.index.flows.shift[flow]
            assert_same(segments, (first, second))
            own, all_ = told(session.tcp(flow)), told(plainly(segments, (first, second)))
            assert own == all_


def test_many_segments_that_nobody_acknowledges() -> None:
    rows = [(1, SYN, 1, 0, 0), *((1, ACK, 2 + 10 * at, 77, 10) for at in range(MOST + 2000))]
    rows += [(0, ACK, 77, 2 + 10 * (MOST - 5), 0), *((1, ACK, 2 + 10 * at, 77, 10) for at in range(12_000, 13_000))]
    segments = rising(rows)
    assert_same(segments, (0, 0))


def test_most_of_a_download_is_taken_at_once() -> None:
    rows = [(0, SYN, 0, 0, 0), (1, SYN | ACK, 0, 1, 0), (0, ACK, 1, 1, 0), (0, ACK, 1, 1, 100), (1, ACK, 1, 101, 0)]
    for at in range(1000):
        rows += [(1, ACK, 1 + 2000 * at, 101, 1000), (1, ACK, 1001 + 2000 * at, 101, 1000), (0, ACK, 101, 2001 + 2000 * at, 0)]
    segments = rising(rows)
    found = Analysis((0, 0))
    for segment in segments[:5]:
        found.feed(segment)
    assert take(found, part_of(segments[5:])) == 3000
    assert len(found.packets) == 3005
