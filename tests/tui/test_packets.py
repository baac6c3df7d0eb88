"""The Packets screen, driven with keys and the mouse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from driving import drive, press, screen_text, settle
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from inspector.core.field import Field
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.screens.home import HomeScreen
from inspector.tui.views.packets import PacketsView
from inspector.tui.widgets.buffer_tabs import BufferTabs
from inspector.tui.widgets.field_tree import FieldTree
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.osi_stack import OsiStack
from inspector.tui.widgets.packet_list import PacketList


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
        lit = screen.query_one(PacketsView)._lit
        assert lit is not None and lit[0] == chosen.span

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


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_all_panes_have_room_at_every_usual_size(size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        assert screen.query_one(PacketList).size.height >= 5
        assert screen.query_one("#osi").size.height >= 7  # all seven, always
        for name in ("#fields", "#hex", "#why"):
            assert screen.query_one(name).size.height >= 2, name

    drive(steps, size=size)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_an_event_is_chosen_and_lit_at_once(size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        stack, view = screen.query_one(OsiStack), screen.query_one(HexView)
        assert stack.highlighted == 0 and "event 1" in str(stack.get_option_at_index(0).prompt)
        assert view.buffer is not None and view.buffer.kind == "HTTP body"
        (start, stop), = view.lit
        assert view.buffer.read(start, stop).startswith(b"id: 1\nevent: order\ndata: ")
        assert int(view.scroll_offset.y) * view._row <= start < (int(view.scroll_offset.y) + view.size.height) * view._row

    drive(steps, "sse", 18, size)


def test_a_terminal_that_shrinks_to_nothing_and_grows_again() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        for key in ("1", "2", "3", "4", "f"):
            await press(pilot, key)
            for size in ((80, 24), (40, 10), (20, 5), (3, 2), (120, 40)):
                await pilot.resize_terminal(*size)
                await press(pilot, "down")
        assert screen.query_one("#osi").size.height >= 7 or screen.view.key == "follow"

    drive(steps, "sse", 18)


def test_a_click_chooses_a_row_a_field_a_byte_a_layer_and_a_tab() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets, stack, view = screen.query_one(PacketList), screen.query_one(OsiStack), screen.query_one(HexView)
        await pilot.click(PacketList, offset=(20, 1 + 1 + 3))  # below the frame and the heading: the fourth line
        await settle(pilot)
        assert packets.cursor == int(packets.scroll_offset.y) + 4
        await press(pilot, "g")
        packets.go(12)
        await settle(pilot)
        await pilot.click(OsiStack, offset=(5, 1 + 4))  # layer 3
        await settle(pilot)
        assert stack.highlighted == 4 and view.buffer is not None and view.buffer.kind == "frame" and view.lit == [(14, 34)]
        await pilot.click(HexView, offset=(6 + 3 * 8 + 1, 0))  # the ninth byte of the first line in view
        await settle(pilot)
        low = int(view.scroll_offset.y) * 16 + 8
        assert any(start <= low < stop for start, stop in view.lit)
        await pilot.click("#tabs", offset=(20, 0))
        await settle(pilot)
        assert view.buffer.kind == "TCP stream"
        await pilot.click("#views", offset=(14, 0))
        await settle(pilot)
        assert screen.view.key == "conversations"

    drive(steps)


def test_the_wheel_scrolls_the_list_and_leaves_the_cursor() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        for _ in range(3):
            packets.post_message(events.MouseScrollDown(packets, 5, 5, 0, 1, 0, False, False, False))
        await settle(pilot)
        assert packets.scroll_offset.y > 0 and packets.cursor == 1

    drive(steps, "websocket-chat")


def test_marks_partners_and_comments() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        await press(pilot, "m", "r")  # the request, then its response
        assert packets.cursor == 14
        await press(pilot, "m", "apostrophe")
        assert packets.marked == {12, 14} and packets.cursor == 12
        await press(pilot, "m")
        assert packets.marked == {14}
        comments = [n for n in range(1, screen.session.count) if screen.session.comments(n)]
        packets.go(comments[0])
        await settle(pilot)
        assert screen.session.comments(comments[0])[0][:20] in str(screen.query_one("#why-text").render())

    drive(steps, "sse", start=12)


def test_addresses_have_the_names_that_dns_answered() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        text = screen_text(screen)
        assert "192.0.2.10 → www.example.test" in text

    drive(steps, start=12)


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
