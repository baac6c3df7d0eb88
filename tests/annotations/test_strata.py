"""The strata: units of every level on the axis of the TCP stream; and which units are messages."""

from __future__ import annotations

import pytest

from inspector.annotations.messages import messages
from inspector.annotations.strata import FRAMES, SEGMENTS, strata
from inspector.core.span import Span, project
from inspector.session import Session, open_session
from inspector.sources.bundled import bundled

TCP = 6


def flows(session: Session) -> list[int]:
    return [flow for flow in range(len(session.index.flows)) if session.index.flows.protocol(flow) == TCP]


@pytest.mark.parametrize("capture", [capture.name for capture in bundled()])
def test_units_stand_where_their_bytes_stand(capture: str) -> None:
    session = open_session(capture)
    for flow in flows(session):
        conversation = session.conversation(flow)
        for direction in (0, 1):
            found = strata(conversation, direction, str)
            for row in found.rows:
                units = row.between(0, found.size)
                assert len(units) == len(row)
                for unit in units:
                    assert 0 <= unit.start < unit.stop <= found.size
                    if unit.pdu is None:
                        continue
                    carried = project(unit.pdu.span, found.buffer)
                    low, high = min(span.start for span in carried), max(span.stop for span in carried)
                    assert low <= unit.start and unit.stop <= high
                    if unit.exact:
                        assert (unit.start, unit.stop) == (low, high)
                    span = unit.pdu.span  # its ends stand where its first and its last byte were carried
                    first = project(Span(span.buffer, span.start, span.start + 1), found.buffer)[0]
                    last = project(Span(span.buffer, span.stop - 1, span.stop), found.buffer)[-1]
                    assert first.start <= unit.start < first.stop and last.start < unit.stop <= last.stop
    session.close()


def test_segments_and_frames_cover_the_stream() -> None:
    session = open_session("sse")
    found = strata(session.conversation(1), 1, str)
    segments = found.row(SEGMENTS).between(0, found.size)
    assert [unit.start for unit in segments] == [0, *(unit.stop for unit in segments[:-1])]
    assert [unit.packet for unit in segments] == [unit.packet for unit in found.row(FRAMES).between(0, found.size)]
    session.close()


def test_between_finds_what_touches_the_range_and_nothing_else() -> None:
    session = open_session("sse")
    row = strata(session.conversation(1), 1, str).row("sse")
    units = row.between(0, 1 << 40)
    for start in range(0, 900, 7):
        expected = [unit for unit in units if unit.start < start + 50 and unit.stop > start]
        assert row.between(start, start + 50) == expected
    assert row.of(20) == units[2] and row.of(21) is None
    assert row.at(units[3].start) == units[3] and row.at(0) == units[0]
    session.close()


def test_messages_leave_out_what_only_carries_another() -> None:
    session = open_session("sse-tls")
    kinds = [(pdu.packet, pdu.protocol) for pdu in messages(session.conversation(1)) if pdu.packet in (24, 36)]
    assert kinds == [(24, "sse")] * 3 + [(36, "sse")]
    session.close()
