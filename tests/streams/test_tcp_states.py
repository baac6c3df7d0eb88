"""The states of both ends: every step of RFC 9293's diagram, and what a capture cannot tell."""

from __future__ import annotations

import pytest

from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.session import open_session
from inspector.streams.analysis import Segment
from inspector.streams.tcp_states import STAYS, TABLE, Event, State, States

S = State
A, B = 0, 1
# What is sent: (end, flags, sequence, acknowledgement, bytes).
OPEN = [(A, SYN, 0, 0, 0), (B, SYN | ACK, 0, 1, 0), (A, ACK, 1, 1, 0)]
STORIES: dict[str, tuple[list[tuple[int, int, int, int, int]], list[tuple[State, State]]]] = {
    "A closes first": (
        [*OPEN, (A, FIN | ACK, 1, 1, 0), (B, ACK, 1, 2, 0), (B, FIN | ACK, 1, 2, 0), (A, ACK, 2, 2, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.SYN_RECEIVED), (S.ESTABLISHED, S.ESTABLISHED), (S.FIN_WAIT_1, S.CLOSE_WAIT),
         (S.FIN_WAIT_2, S.CLOSE_WAIT), (S.TIME_WAIT, S.LAST_ACK), (S.TIME_WAIT, S.CLOSED)],
    ),
    "FIN and its ACK in one segment": (
        [*OPEN, (B, FIN | ACK, 1, 1, 5), (A, FIN | ACK, 1, 7, 0), (B, ACK, 7, 2, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.SYN_RECEIVED), (S.ESTABLISHED, S.ESTABLISHED), (S.CLOSE_WAIT, S.FIN_WAIT_1),
         (S.LAST_ACK, S.TIME_WAIT), (S.CLOSED, S.TIME_WAIT)],
    ),
    "both close at once": (
        [*OPEN, (A, FIN | ACK, 1, 1, 0), (B, FIN | ACK, 1, 1, 0), (A, ACK, 2, 2, 0), (B, ACK, 2, 2, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.SYN_RECEIVED), (S.ESTABLISHED, S.ESTABLISHED), (S.FIN_WAIT_1, S.CLOSE_WAIT),
         (S.CLOSING, S.LAST_ACK), (S.CLOSING, S.CLOSED), (S.TIME_WAIT, S.CLOSED)],
    ),
    "a reset in TIME-WAIT": (
        [*OPEN, (B, FIN | ACK, 1, 1, 5), (A, FIN | ACK, 1, 7, 0), (A, RST, 2, 0, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.SYN_RECEIVED), (S.ESTABLISHED, S.ESTABLISHED), (S.CLOSE_WAIT, S.FIN_WAIT_1),
         (S.LAST_ACK, S.TIME_WAIT), (S.CLOSED, S.CLOSED)],
    ),
    "half of an older connection is found (RFC 9293, figure 9)": (
        [(A, SYN, 400, 0, 0), (B, ACK, 300, 100, 0), (A, RST, 100, 0, 0), (A, SYN, 400, 0, 0), (B, SYN | ACK, 700, 401, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.SYN_SENT, S.UNKNOWN), (S.SYN_SENT, S.CLOSED), (S.SYN_SENT, S.CLOSED),
         (S.ESTABLISHED, S.SYN_RECEIVED)],
    ),
    "refused": ([(A, SYN, 0, 0, 0), (B, RST | ACK, 0, 1, 0)], [(S.SYN_SENT, S.UNKNOWN), (S.CLOSED, S.CLOSED)]),
    "reset in the middle": ([*OPEN, (B, RST | ACK, 1, 1, 0)], [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.SYN_RECEIVED),
                                                              (S.ESTABLISHED, S.ESTABLISHED), (S.CLOSED, S.CLOSED)]),
    "both open at once": (
        [(A, SYN, 0, 0, 0), (B, SYN, 0, 0, 0), (A, SYN | ACK, 0, 1, 0), (B, SYN | ACK, 0, 1, 0)],
        [(S.SYN_SENT, S.UNKNOWN), (S.SYN_RECEIVED, S.SYN_SENT), (S.SYN_RECEIVED, S.ESTABLISHED),
         (S.ESTABLISHED, S.ESTABLISHED)],
    ),
    "the SYN ACK is not in the capture": (
        [(A, SYN, 0, 0, 0), (A, ACK, 1, 1, 0)], [(S.SYN_SENT, S.UNKNOWN), (S.ESTABLISHED, S.UNKNOWN)],
    ),
    "begun in the middle": (
        [(A, ACK, 100, 1, 10), (B, ACK, 1, 110, 0), (B, ACK, 1, 110, 20)],
        [(S.UNKNOWN, S.UNKNOWN), (S.UNKNOWN, S.UNKNOWN), (S.ESTABLISHED, S.ESTABLISHED)],
    ),
    "a close whose beginning is unknown": (
        [(A, FIN | ACK, 100, 1, 0), (B, ACK, 1, 101, 0)], [(S.UNKNOWN, S.UNKNOWN), (S.UNKNOWN, S.UNKNOWN)],
    ),
}  # fmt: skip


def told(segments: list[tuple[int, int, int, int, int]]) -> States:
    states = States()
    for packet, (end, flags, sequence, acknowledgement, size) in enumerate(segments, 1):
        states.feed(Segment(packet, packet, end, sequence, acknowledgement, flags, size, 100))
    return states


@pytest.mark.parametrize("name", STORIES)
def test_stories(name: str) -> None:
    segments, expected = STORIES[name]
    states = told(segments)
    assert [states.at(packet) for packet in range(1, len(segments) + 1)] == expected
    assert not states.unexpected


def test_a_resend_changes_nothing() -> None:
    segments, _ = STORIES["A closes first"]
    twice = told([segment for segment in segments for _ in (0, 1)])
    assert twice.at(len(segments) * 2) == (S.TIME_WAIT, S.CLOSED)
    assert not twice.unexpected


def test_what_does_not_fit_is_said_and_keeps_the_state() -> None:
    states = told([(A, SYN, 0, 0, 0), (A, FIN, 1, 0, 0)])
    assert states.at(2)[0] is S.SYN_SENT
    assert [packet for packet, _ in states.unexpected] == [2]


def test_every_step_has_a_reason_and_a_section() -> None:
    assert not set(TABLE) & STAYS
    for step in TABLE.values():
        assert step.why and step.reference.startswith("RFC 9293, 3.")


def test_every_state_can_be_reached_and_left_by_the_stories() -> None:
    reached = {change.step.to for segments, _ in STORIES.values() for change in told(segments).transitions}
    assert reached == set(State) - {S.UNKNOWN}
    assert {event for _, event in TABLE} <= set(Event)


def test_who_closed_first_and_how_complete_the_conversation_is() -> None:
    states = told(STORIES["FIN and its ACK in one segment"][0])
    assert (states.closed_first, states.closed_by, states.completeness) == (B, "FIN", 1 + 2 + 4 + 8 + 16)
    assert told(STORIES["refused"][0]).closed_by == "RST"


def test_data_behind_a_fin_does_not_say_that_nobody_has_closed() -> None:
    """The capture begins late: A asks and closes its direction, and only then B answers."""
    states = States()
    segments = [(A, ACK, 1, 1, 10), (A, FIN | ACK, 11, 1, 0), (B, ACK, 1, 12, 500)]
    for packet, (end, flags, sequence, acknowledgement, length) in enumerate(segments, 1):
        states.feed(Segment(packet, packet, end, sequence, acknowledgement, flags, length, 1000))
    assert states.at(3) == (S.UNKNOWN, S.UNKNOWN) and not states.unexpected


def test_a_packet_of_a_real_capture_tells_the_states() -> None:
    session = open_session("tcp-reset")
    try:
        last = session.dissect(20).last("tcp")
        assert last is not None
        assert (last.value("tcp.state.sender"), last.value("tcp.state.receiver")) == ("CLOSED", "CLOSED")
        assert any(note.title == "the sender: ESTABLISHED → CLOSED" for note in last.notes)
    finally:
        session.close()
