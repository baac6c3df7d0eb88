"""Notes on Neighbour Discovery: from the bytes of the message itself, so that another target is another sentence."""

from __future__ import annotations

import pytest

from inspector.session import Session, open_session


@pytest.fixture
def session() -> Session:
    return open_session("http-keepalive")


def test_a_solicitation_and_its_answer(session: Session) -> None:
    asks, answers = (session.dissect(number).last("icmpv6") for number in (7, 8))
    assert asks is not None and answers is not None
    assert "hardware address of 2001:db8::80" in asks.notes[0].why
    assert "2001:db8::80 is here at 00:00:5e:00:53:50" in answers.notes[0].why


def test_another_target_is_another_sentence(session: Session) -> None:
    packet = session.packet(7)
    target = bytes.fromhex("20010db8000000000000000000000080")
    at = packet.data.rindex(target)
    changed = packet._replace(data=packet.data[: at + 15] + b"\x99" + packet.data[at + 16 :])
    layer = session.engine.dissect(changed, lambda: changed.data).last("icmpv6")
    assert layer is not None and "2001:db8::99" in layer.notes[0].why
