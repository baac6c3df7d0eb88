"""What is typed: filters, searches, packet numbers, commands, file names."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from driving import drive, press, screen_text, settle, type_in
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from inspector.export.messages import message
from inspector.session import open_session
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.widgets.ask_line import AskLine
from inspector.tui.widgets.field_tree import FieldTree
from inspector.tui.widgets.key_line import KeyLine
from inspector.tui.widgets.packet_list import PacketList


def test_filter_narrows_the_list_and_escape_shows_all() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        await press(pilot, "slash")
        await type_in(pilot, "sse.id == 3")
        assert list(packets.numbers()) == [20] and packets.cursor == 20 and packets.has_focus
        assert "only sse.id == 3" in screen_text(screen)
        await press(pilot, "escape")
        assert packets.total == 42 and packets.cursor == 20

    drive(steps, "sse", start=18)


def test_who_types_faster_than_the_line_opens_loses_nothing() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        for key in ("slash", *"tcp", "enter"):  # a pasted line: all of it is there before the first key was heard
            pilot.app.post_message(events.Key(key, "/" if key == "slash" else key if len(key) == 1 else None))
        await settle(pilot)
        await settle(pilot)
        assert screen.query_one(AskLine).query_one(Input).value == "tcp"
        assert "only tcp" in screen_text(screen) and screen.view.key == "packets"

    drive(steps, "sse")


def test_a_wrong_filter_points_at_its_column_and_changes_nothing() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "slash")
        await type_in(pilot, "tcp.port == 80 and htpp")
        assert screen.query_one(AskLine).open
        lines = screen_text(screen).splitlines()
        at = next(i for i, line in enumerate(lines) if "▲" in line)
        assert lines[at].index("▲") == lines[at - 1].index("htpp")
        assert screen.query_one(PacketList).total == screen.session.count
        await press(pilot, "escape")
        assert not screen.query_one(AskLine).open

    drive(steps)


def test_tab_completes_a_field_name() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "slash")
        await pilot.press(*"http", "full_stop", *"request", "full_stop", *"me")
        await settle(pilot)
        assert "http.request.method" in screen_text(screen)
        await press(pilot, "tab")
        assert screen.query_one(Input).value == "http.request.method"

    drive(steps)


def test_search_finds_fields_and_bytes_also_decrypted() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        packets = screen.query_one(PacketList)
        await press(pilot, "ctrl+f")
        await type_in(pilot, "curl")
        assert packets.cursor == 17
        node = screen.query_one(FieldTree).cursor_node
        assert node is not None and getattr(node.data, "name", "") == "http.user_agent"
        await press(pilot, "n")  # nowhere further
        assert packets.cursor == 17
        packets.go(1)
        await press(pilot, "ctrl+f", "ctrl+u")
        await type_in(pilot, "0x160301")  # the ClientHello's record
        assert packets.cursor == 12
        await press(pilot, "G", "N")
        assert packets.cursor < screen.session.count

    drive(steps, "https-tls13")


def test_palette_goes_to_a_packet_and_changes_times() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "colon")
        await type_in(pilot, "packet 12")
        assert screen.query_one(PacketList).cursor == 12
        await press(pilot, "colon")
        await type_in(pilot, "Time: delta")
        assert screen.query_one(PacketList).times == "delta"

    drive(steps)


def test_copying_goes_to_the_clipboard_of_the_terminal() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "c")
        assert pilot.app.clipboard.startswith("12  ") and "GET / HTTP/1.1" in pilot.app.clipboard
        await press(pilot, "C")
        assert pilot.app.clipboard == (
            "curl http://www.example.test/ --header 'user-agent: curl/7.88.1' --header 'accept: */*'"
        )
        await press(pilot, "tab", "tab", "end", "c")
        assert pilot.app.clipboard

    drive(steps, start=12)


def test_saving_packets_and_a_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "slash")
        await type_in(pilot, "http")
        numbers = list(screen.query_one(PacketList).numbers())
        await press(pilot, "w")
        assert screen.query_one(Input).value == "https-tls13-saved.pcapng"
        await press(pilot, "enter")
        saved = tmp_path / "https-tls13-saved.pcapng"
        again = open_session(str(saved))
        assert again.count == len(numbers) and not again.source.secrets
        assert again.packet(1).data == screen.session.packet(numbers[0]).data
        assert again.comments(1) == screen.session.comments(numbers[0])
        again.close()
        assert any("without the keys" in note.message for note in pilot.app._notifications)
        before = saved.read_bytes()
        await press(pilot, "w", "enter")
        assert screen.query_one(AskLine).open  # it exists: asked once more
        await press(pilot, "escape")
        assert saved.read_bytes() == before
        screen.action_save(keys=True)
        await settle(pilot)
        screen.query_one(Input).value = "keys.pcapng"
        await press(pilot, "enter")
        assert stat.S_IMODE((tmp_path / "keys.pcapng").stat().st_mode) == 0o600
        with_keys = open_session(str(tmp_path / "keys.pcapng"))
        assert [b.data for b in with_keys.source.secrets] == [b.data for b in screen.session.source.secrets] != []
        with_keys.close()
        await press(pilot, "G", "x", "enter")
        assert (tmp_path / "body-22").read_bytes().startswith(b"<!DOCTYPE html>")

    drive(steps, "https-tls13")


def test_a_click_on_the_line_of_keys_presses_one() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        line = screen_text(screen).splitlines()[-1]
        await pilot.click(KeyLine, offset=(line.index("Filter") + 2, 0))
        await settle(pilot)
        assert screen.query_one(AskLine).open
        assert screen_text(screen).splitlines()[-1].startswith(" ⏎ Done  tab Complete")
        await press(pilot, "escape")
        assert screen_text(screen).splitlines()[-1] == line

    drive(steps)


@pytest.mark.parametrize(
    ("name", "packet", "partner"),
    [
        ("http-post-json", 12, 14),
        ("http-post-json", 20, 24),  # a piece of the second request
        ("https-http2-multiplex", 18, 27),
        ("https-http2-multiplex", 57, 22),  # the end of the fifth answer
        ("sse-tls", 24, 17),  # an event
        ("grpc-streams", 34, 19),  # a message of the second call
        ("dns-udp", 3, 4),
        ("dns-udp", 10, 9),
        ("http-get", 9, 9),  # the SYN
    ],
)
def test_from_a_request_to_its_response_and_back(name: str, packet: int, partner: int) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "r")
        assert screen.query_one(PacketList).cursor == partner

    drive(steps, name, start=packet)


def test_copying_a_request_over_http2() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "C")
        assert pilot.app.clipboard.startswith("curl https://www.example.test/app.js --header 'user-agent: curl/")

    drive(steps, "https-http2-multiplex", start=18)


def test_saving_a_body_over_http2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "x", "enter")
        (saved,) = tmp_path.iterdir()
        exchange = next(one for one in screen.session.exchanges() if one.response and one.response.complete == 57)
        body = message(screen.session, exchange, True).body
        assert body and saved.read_bytes() == body

    drive(steps, "https-http2-multiplex", start=57)
