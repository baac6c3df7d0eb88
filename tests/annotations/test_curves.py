"""Curves: what a conversation's columns say of its course, at any size of screen."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.annotations.curves import Course, Curve
from inspector.session import open_session

WINDOW = "tcp-zero-window"


def course(capture: str, packet: int) -> Course:
    session = open_session(capture)
    found = Course(session.index, session.index.flow_of(packet))
    session.close()
    return found


def named(curves: list[Curve]) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves}


def value_at(curve: Curve, time: float) -> float:
    """The value that the line has at a time."""
    return float(curve.y[np.searchsorted(curve.x, time, "right") - 1])


def test_sent_and_acknowledged_stand_still_while_the_window_is_closed() -> None:
    c = course(WINDOW, 23)
    assert c.fuller == 1
    curves = named(c.sequence(1, 0, c.lasts, 400))
    assert value_at(curves["sent"], 1e9) == value_at(curves["acknowledged"], 1e9) == 7301 == value_at(curves["window"], 1e9)
    assert curves["sent"].y[-1] == curves["sent"].y.max() == curves["acknowledged"].y[-1]
    assert curves["again"].x.tolist() == [9_204_577] and curves["again"].y.tolist() == [7301]  # packet 16, from the SYN on


@pytest.mark.parametrize("columns", (3, 40, 900))
def test_a_line_has_no_more_points_than_the_screen_has_room_for(columns: int) -> None:
    c = course("tcp-loss", 63)
    for curve in c.sequence(1, 0, c.lasts, columns):
        assert len(curve.x) == len(curve.y) <= 4 * columns + 2
        assert curve.name == "again" or np.all(np.diff(curve.x) >= 0)
    sent = named(c.sequence(1, 0, c.lasts, columns))["sent"]
    assert np.all(np.diff(sent.y) >= 0) and sent.y[-1] == 140_682
    assert len(named(c.sequence(1, 0, c.lasts, 900))["again"].x) == 3  # as many as tshark finds retransmissions


def test_a_part_of_the_time_begins_and_ends_where_the_whole_is() -> None:
    c = course(WINDOW, 23)
    whole = named(c.sequence(1, 0, c.lasts, 4000))["sent"]
    part = named(c.sequence(1, 1e9, 2e9, 50))["sent"]
    assert part.x[0] == 1e9 and part.y[0] == value_at(whole, 1e9) and part.x[-1] == 2e9
    quiet = named(c.sequence(1, 1.0e9, 1.2e9, 50))["sent"]
    assert quiet.x.tolist() == [1.0e9, 1.2e9] and set(quiet.y) == {7301.0}


def test_throughput_loses_no_bit() -> None:
    c = course("tcp-loss", 63)
    for columns in (7, 300):
        forward, backward = c.throughput(0, c.lasts, columns)
        seconds = c.lasts / columns / 1e9
        assert round(float(forward.y.sum()) * seconds) == 8 * int(c.length[c.direction == 0].sum())
        assert round(float(backward.y.sum()) * seconds) == 8 * int(c.length[c.direction == 1].sum())


def test_datagrams_have_no_sequence() -> None:
    c = course("dns-udp", 3)
    assert c.sequence(0, 0, c.lasts, 80) == []
    assert float(c.throughput(0, c.lasts, 10)[0].y.sum()) > 0


def test_numbers_go_on_behind_their_largest() -> None:
    from inspector.annotations.curves import _unwrapped

    numbers = np.array([0xFFFFFF00, 0xFFFFFFF0, 0x10, 0xFFFFFFF8, 0x100])
    assert _unwrapped(numbers, 0xFFFFFF00).tolist() == [0, 0xF0, 0x110, 0xF8, 0x200]


def test_the_packet_nearest_to_a_time() -> None:
    c = course(WINDOW, 23)
    assert c.packet_at(0) == int(c.packet[0]) and c.packet_at(1e18) == int(c.packet[-1])
    assert c.packet_at(1.9e9) == 23
