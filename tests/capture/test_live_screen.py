"""The screen of a capture that is being made, on the loopback interface, as root."""

from __future__ import annotations

import socket
from pathlib import Path
from time import monotonic

import pytest

from inspector.capture.client import Broker
from inspector.capture.labs import LABS
from inspector.capture.labs.running import Running
from inspector.capture.options import Options
from inspector.session import open_session
from inspector.tui.app import InspectorApp
from inspector.tui.screens.live import LiveScreen
from inspector.tui.widgets.line_list import LineList
from tests.capture.rights import root


@root
async def test_rows_follow_stay_pause_and_stop(tmp_path: Path) -> None:
    with Broker() as broker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        to = sock.getsockname()
        captures = [broker.start(Options(("lo",), str(tmp_path / "a.pcapng"), f"udp port {to[1]}"))]
        screen = LiveScreen(captures, lambda path: open_session(path, growing=True), broker)

        def send() -> None:
            for _ in range(100):
                sock.sendto(b"x", to)

        async with InspectorApp(screen=screen).run_test(size=(120, 40)) as pilot:
            await pilot.pause(0.3)
            assert sum(worker.group == "load" for worker in screen.workers) == 1  # two would count packets twice
            send()
            await pilot.pause(0.8)
            assert screen.packets.total == 100
            assert screen.packets.scroll_offset.y == screen.packets.max_scroll_y > 0
            assert "0 dropped · following" in screen.state()
            await pilot.press("g")
            send()
            await pilot.pause(0.8)
            assert screen.packets.scroll_offset.y == 0
            assert "▼ 100 new packets (F)" in screen.state()
            await pilot.press("space")
            send()
            await pilot.pause(0.8)
            assert "paused, 100 new (space)" in screen.state()
            await pilot.press("F")
            await pilot.pause(0.3)
            assert "following" in screen.state()
            await pilot.press("S")
            await pilot.pause(1.0)
            assert "■ stopped · 0 dropped" in screen.state()
            assert screen.session.complete
            assert screen.session.count == captures[0].packets == 300


@root
async def test_a_labs_messages_are_decrypted_and_read_while_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("hypercorn")
    with Broker() as broker, Running(LABS["sse"], 8, tls=True) as running:
        captures = [broker.start(Options(("lo",), str(tmp_path / "lab.pcapng"), f"tcp port {running.port}"))]
        keylog = str(running.keylog)
        screen = LiveScreen(captures, lambda path: open_session(path, keylog=keylog, growing=True), None)
        running.start()
        async with InspectorApp(screen=screen).run_test(size=(120, 40)) as pilot:
            packets, seen = screen.packets, ""
            for _ in range(200):
                await pilot.pause(0.1)
                lines = [packets.line(position, 118) for position in packets.in_view()]
                seen = "".join(text for pieces in lines for text, _ in pieces)
                if "SSE event" in seen:
                    break
            assert "SSE event" in seen
            assert captures[0].running and not screen.session.complete
            await pilot.press("6")
            await pilot.pause(2.0)
            assert screen.query_one("#story", LineList).total  # the story is told while it happens
            left = monotonic()
            await pilot.press("Q")
        assert monotonic() - left < 5  # nothing waits for the capture to end
