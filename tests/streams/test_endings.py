"""How conversations end, from the columns: the same as the state machines say that look at every segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.session import Session, open_session
from inspector.sources.bundled import bundled
from inspector.streams.endings import Ending, Endings
from tests.annotations.wire import ACK, FIN, RST, SYN, Wire

TCP = 6


def check(session: Session) -> list[Ending]:
    """What the columns say of the TCP conversations, which the states say too."""
    endings = Endings()
    endings.update(session.index)
    found = []
    for flow in range(len(session.index.flows)):
        if session.index.flows.protocol(flow) == TCP:
            ending, states = endings.of(flow), session.tcp(flow).states
            assert ending.completeness == states.completeness
            assert (ending.how, ending.packet) == (states.closed_by, states.closed_at)
            assert not ending.how or ending.end == states.closed_first
            found.append(ending)
        else:
            assert not endings.of(flow).completeness and endings.order()[flow] == 0
    return found


@pytest.mark.parametrize("name", [capture.name for capture in bundled()])
def test_columns_say_what_the_states_say(name: str) -> None:
    session = open_session(name)
    assert check(session) or name == "dns-udp"
    session.close()


@pytest.mark.parametrize(
    ("say", "words", "completeness"),
    [
        ([], "open", 7),
        ([(0, 1, 1, 10, ACK), (1, 1, 11, 0, FIN | ACK)], "← FIN", 31),
        ([(0, 1, 1, 0, FIN | ACK), (1, 1, 2, 0, RST)], "→ FIN", 55),
        ([(1, 1, 1, 5, ACK), (0, 1, 6, 0, RST)], "→ RST", 47),
    ],
)
def test_words(say: list[tuple[int, int, int, int, int]], words: str, completeness: int, tmp_path: Path) -> None:
    wire = Wire().open()
    for at, (end, sequence, acknowledgement, size, flags) in enumerate(say):
        wire.say(30 + at, end, sequence, acknowledgement, size, flags)
    session = wire.session(tmp_path)
    (ending,) = check(session)
    assert (ending.words, ending.completeness) == (words, completeness)
    session.close()


@pytest.mark.parametrize(("flags", "words"), [(0, "no answer"), (RST | ACK, "← refused")])
def test_nobody_there(flags: int, words: str, tmp_path: Path) -> None:
    wire = Wire()
    wire.say(0, 0, 0, 0, flags=SYN)
    if flags:
        wire.say(1, 1, 0, 1, flags=flags)
    session = wire.session(tmp_path)
    assert [ending.words for ending in check(session)] == [words]
    session.close()


def test_of_a_capture_that_grows() -> None:
    class Growing:
        """An index of which the first packets are there."""

        def __init__(self, session: Session, count: int) -> None:
            self.flows, self._index, self._count = session.index.flows, session.index, count

        def since(self, name: str, after: int) -> np.ndarray:
            return self._index.since(name, after)[: max(self._count - after, 0)]

    session = open_session("http1-six-connections")
    whole, grown = Endings(), Endings()
    whole.update(session.index)
    for count in range(0, session.count + 1, 7):
        grown.update(Growing(session, count))  # type: ignore[arg-type]
    grown.update(session.index)
    assert [grown.of(flow) for flow in range(len(grown))] == [whole.of(flow) for flow in range(len(whole))]
    assert grown.order().tolist() == whole.order().tolist() and len(set(whole.order().tolist())) > 1
    session.close()
