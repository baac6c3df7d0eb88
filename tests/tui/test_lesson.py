"""Lessons in the terminal: the question first, the answer on a key, then the next stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from driving import drive, press, screen_text, settle
from textual.pilot import Pilot

from inspector.sources.bundled import captures_folder
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.widgets.lesson_pane import LessonPane
from inspector.tui.widgets.packet_list import PacketList


def test_a_lesson_asks_answers_and_goes_on() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "L")
        packets = screen.query_one(PacketList)
        text = screen_text(screen)
        assert packets.cursor == 14 and "stop 1 of 7, packet 14" in text and "? The head is complete." in text
        assert not screen.query_one("#why").display and "space: the answer" in text  # Why would say it
        await press(pilot, "space")
        assert screen.query_one("#why").display and "→ The head alone: 200" in screen_text(screen)
        await press(pilot, "3", "space")
        assert screen.view.key == "packets" and packets.cursor == 16 and "stop 2 of 7" in screen_text(screen)
        await press(pilot, "backspace")
        assert packets.cursor == 14
        await press(pilot, *["space"] * 14)
        assert not screen.query_one(LessonPane).display and packets.cursor == 38
        await press(pilot, "space")  # is nobody's key any more
        assert not screen.query_one(LessonPane).display
        await press(pilot, "L")
        assert screen.query_one(LessonPane).display
        await press(pilot, "escape")
        assert not screen.query_one(LessonPane).display and screen.query_one("#why").display

    drive(steps, "sse", size=(140, 45))


def test_only_bundled_captures_have_lessons(tmp_path: Path) -> None:
    copy = tmp_path / "sse.pcapng"
    copy.write_bytes((captures_folder() / "sse.pcapng").read_bytes())

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "L", "space", "backspace")
        assert not screen.query(LessonPane) and "Lesson" not in screen_text(screen)
        assert all(title != "Lesson" for title, _, _ in screen.commands())

    drive(steps, str(copy))


def test_a_lesson_begins_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    async def run() -> None:
        app = InspectorApp()
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            await press(pilot, "down", "down", "l")
            screen = app.screen
            assert isinstance(screen, CaptureScreen) and screen.session.title == "http-post-json"
            assert "stop 1 of 5, packet 12" in screen_text(screen) and screen.query_one(PacketList).cursor == 12
            await press(pilot, "q")
            await press(pilot, "enter")
            assert isinstance(app.screen, CaptureScreen) and not app.screen.query(LessonPane)

    asyncio.run(run())
