"""The Packets screen, driven with keys and the mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static
from textual.worker import WorkerCancelled

from inspector.core.field import Field
from inspector.session import open_session
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.screens.home import HomeScreen
from inspector.tui.views.packets import PacketsView
from inspector.tui.widgets.buffer_tabs import BufferTabs
from inspector.tui.widgets.field_tree import FieldTree
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.osi_stack import OsiStack
from inspector.tui.widgets.packet_list import PacketList

Steps = Callable[[Pilot[None], CaptureScreen], Awaitable[None]]


def drive(steps: Steps, capture: str = "http-get", start: int | None = None, size: tuple[int, int] = (140, 45)) -> None:
    """Open a bundled capture, wait until it is loaded, and run the steps."""

    async def run() -> None:
        session = open_session(capture, load=False)
        app = InspectorApp(session, start)
        try:
            async with app.run_test(size=size) as pilot:
                await settle(pilot)
                assert isinstance(app.screen, CaptureScreen)
                await steps(pilot, app.screen)
        finally:
            session.close()

    asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Let workers and the messages that they post come to rest."""
    for _ in range(4):
        with suppress(WorkerCancelled):  # a newer packet was chosen: its worker took this one's place
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def tree_cursor(screen: CaptureScreen) -> Field:
    node = screen.query_one(FieldTree).cursor_node
    assert node is not None and isinstance(node.data, Field)
    return node.data


def test_keys_move_the_cursor_and_the_panes_follow() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        assert packets.cursor == 1
        await pilot.press("j", "down", "k")
        assert packets.cursor == 2
        await pilot.press("G")
        await settle(pilot)
        assert packets.cursor == 20
        assert screen.query_one("#osi").border_title == "OSI layers of packet 20"
        await pilot.press("g")
        assert packets.cursor == 1

    drive(steps)


def test_start_packet_and_go_to() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        assert packets.cursor == 9
        await pilot.press("ctrl+g", "1", "2", "enter")
        await settle(pilot)
        assert packets.cursor == 12 and packets.has_focus
        await pilot.press("ctrl+g", "9", "9", "9", "enter")
        assert packets.cursor == 20

    drive(steps, start=9)


def test_brackets_step_the_layers() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        stack = screen.query_one(OsiStack)
        assert stack.option_count == 7 and stack.highlighted == 0  # the request: layer 7
        await pilot.press("[", "[", "[")
        await settle(pilot)
        assert stack.highlighted == 3
        assert "TCP" in str(screen.query_one("#why-text").render())
        await pilot.press("]")
        assert stack.highlighted == 2

    drive(steps, start=12)


def test_a_byte_selects_its_deepest_field_and_a_field_lights_its_bytes() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        view = screen.query_one(HexView)
        frame = screen.query_one(BufferTabs).buffers[0]
        view.show(frame, [(46, 47)], [])
        view.focus()
        await pilot.press("right")  # byte 47: the TCP flags
        await settle(pilot)
        assert tree_cursor(screen).name.startswith("tcp.flags")
        tree = screen.query_one(FieldTree)
        tree.focus()
        await pilot.press("down", "down")
        await settle(pilot)
        chosen = tree_cursor(screen)
        assert screen.query_one(PacketsView)._lit == (chosen.span, screen.query_one(PacketsView)._lit[1])

    drive(steps, start=9)


def test_tabs_show_the_reassembled_stream() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        kinds = [buffer.kind for buffer in screen.query_one(BufferTabs).buffers]
        assert len(kinds) >= 2
        before = screen.query_one(HexView).buffer
        await pilot.press("b")
        await settle(pilot)
        assert screen.query_one(HexView).buffer is not before

    drive(steps, start=16)


def test_decrypted_bytes_are_a_tab_and_the_title_says_so() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        kinds = [buffer.kind for buffer in screen.query_one(BufferTabs).buffers]
        assert "decrypted" in kinds and "decrypted stream" in kinds
        assert "decrypted" in str(screen.query_one("#title", Static).render())

    drive(steps, "https-tls13", start=17)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_sizes(size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        assert screen.has_class("narrow") == (size[0] == 80)
        for name in ("#packets", "#osi", "#fields", "#why"):
            assert screen.query_one(name).size.height >= 2, name

    drive(steps, size=size)


def test_home_lists_the_bundled_captures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    async def run() -> None:
        app = InspectorApp()
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            assert isinstance(app.screen, HomeScreen)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(app.screen, CaptureScreen)
            await pilot.press("q")
            await settle(pilot)
            assert isinstance(app.screen, HomeScreen)

    asyncio.run(run())


def test_theme_turns_and_help_opens() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        assert pilot.app.current_theme.dark
        await pilot.press("T")
        assert not pilot.app.current_theme.dark
        await pilot.press("question_mark")
        await pilot.pause()
        assert pilot.app.screen is not screen
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is screen

    drive(steps)
