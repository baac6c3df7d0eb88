"""Lessons: every bundled capture has one, and each stop's packet shows what is asked about."""

from __future__ import annotations

import pytest

from inspector.annotations.lessons import lesson
from inspector.cli import app
from inspector.query.filters import compile
from inspector.session import open_session
from inspector.sources.bundled import bundled

CAPTURES = {capture.name: capture for capture in bundled()}


@pytest.mark.parametrize("name", CAPTURES)
def test_each_stop_shows_what_it_asks_about(name: str) -> None:
    capture = CAPTURES[name]
    stops = lesson(capture.path.parent, name, capture.entry)
    assert len(stops) >= 2, "every bundled capture has a lesson in captures/lessons.toml"
    session = open_session(name)
    try:
        for stop in stops:
            assert 1 <= stop.packet <= session.count
            assert stop.ask.endswith("?") and len(stop.answer) > 20
            assert compile(stop.shows, session.registry).accepts(session, stop.packet), stop
    finally:
        session.close()


def test_the_command_asks_before_it_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["lesson", "http-get"]) == 0
    text = capsys.readouterr().out
    assert "1 of 7 · packet 1" in text
    assert text.index("What does it still need") < text.index("asks everybody on the link")
