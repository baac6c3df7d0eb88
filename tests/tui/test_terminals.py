"""Every view in every terminal: large and tiny and back again, without colours, and before anything is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import drive, press, screen_text, settle
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher

from inspector.core.span import Derived
from inspector.session import open_session
from inspector.sources.bundled import captures_folder
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.views import VIEWS
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.line_list import LineList, Piece

THUMB = str.maketrans("▁▂▃▄▅▆▇", " " * 7)  # of a scroll bar, which rounds one way or the other
SIZES = ((200, 60), (80, 24), (20, 5), (120, 40))


@pytest.mark.parametrize("key", VIEWS)
def test_a_view_fits_every_size_and_comes_back(key: str) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, key)
        before = screen_text(screen)
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            lines = screen_text(screen).splitlines()
            assert len(lines) == height and f"{key} {VIEWS[key].title}" in lines[1], (width, height)
            assert any(line.strip() for line in lines[2:]), "something of the view is left"
            await press(pilot, "down", "up", "pagedown", "home")
        await pilot.resize_terminal(140, 45)
        await settle(pilot)
        await press(pilot, key)
        assert len(before.splitlines()) == len(screen_text(screen).splitlines())

    drive(steps, "sse", start=18)


@pytest.mark.parametrize("key", "1789")
def test_a_view_says_the_same_without_colours(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, key)
        shown.append(screen_text(screen))
        if len(shown) == 2:
            strips = screen._compositor.render_strips()
            filters = [each for each in pilot.app._filters if each.enabled]
            assert filters, "NO_COLOR is heard"
            for strip in strips:
                for segment in strip.apply_filter(filters[0], screen.background_colors[1]):
                    colours = (segment.style.color, segment.style.bgcolor) if segment.style is not None else ()
                    assert all(c is None or c.triplet is None or len(set(c.triplet)) == 1 for c in colours), segment

    drive(steps, "sse-tls", start=24)
    monkeypatch.setenv("NO_COLOR", "1")
    drive(steps, "sse-tls", start=24)
    assert shown[0].translate(THUMB) == shown[1].translate(THUMB)


@pytest.mark.parametrize("key", "23579i")
def test_a_view_that_was_shown_too_early_is_filled(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Callable[[], None]] = []
    load = CaptureScreen._load
    monkeypatch.setattr(CaptureScreen, "_load", lambda screen: held.append(lambda: load(screen)))

    async def run() -> None:
        session = open_session("http-keepalive", load=False)
        app = InspectorApp(session, 21)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            screen = app.screen
            assert isinstance(screen, CaptureScreen)
            await press(pilot, key)
            early = screen_text(screen)
            held[0]()
            await settle(pilot)
            await settle(pilot)
            assert screen.query_one(ContentSwitcher).current == f"{VIEWS[key].name}-view"
            text = screen_text(screen)
            assert text.count("\n") == early.count("\n") and len(text.split()) > len(early.split())
            assert "reading" not in text and (key == "5" or all(one.total for one in screen.view.query(LineList)))
        session.close()

    asyncio.run(run())


class Hundred(LineList):
    """A hundred lines."""

    total = 100

    def line(self, position: int, width: int) -> list[Piece]:
        return [(f"line {position}", "")]


def test_what_is_found_before_the_first_layout_is_brought_into_view_as_after_it() -> None:
    class Showing(App[None]):
        CSS = "Hundred { overflow-x: hidden; }"
        early = True

        def compose(self) -> ComposeResult:
            yield Hundred(id="lines")
            yield HexView(id="bytes")

        def on_mount(self) -> None:
            if self.early:
                self.find()

        def find(self) -> None:
            self.query_one(Hundred).put(50)
            self.query_one(HexView).show(Derived("m", "body", bytes(1600), []), [(800, 816)], [])

    async def scrolled(early: bool) -> tuple[int, int]:
        app = Showing()
        app.early = early
        async with app.run_test(size=(90, 24)) as pilot:
            await pilot.pause()
            if not early:
                app.find()
                await pilot.pause()
            lines, view = app.query_one(Hundred), app.query_one(HexView)
            assert 50 in lines.in_view() and 0 < lines.scroll_offset.y < 50
            return int(lines.scroll_offset.y), int(view.scroll_offset.y)

    assert asyncio.run(scrolled(True)) == asyncio.run(scrolled(False))


def test_a_long_name_leaves_the_title_what_goes_on(tmp_path: Path) -> None:
    copy = tmp_path / f"{'a-long-name-' * 8}.pcapng"
    copy.write_bytes((captures_folder() / "sse.pcapng").read_bytes())

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        for width, height in ((80, 24), (120, 40)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            title = screen_text(screen).splitlines()[0].rstrip()
            assert title.endswith("… · 42 packets · 2 conversations") and len(title) == width

    drive(steps, str(copy))


def test_a_time_of_day_is_whole() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "t")
        for width in (80, 120):
            await pilot.resize_terminal(width, 40)
            await settle(pilot)
            assert "02:37:47.277113" in screen_text(screen)

    drive(steps, "sse")
