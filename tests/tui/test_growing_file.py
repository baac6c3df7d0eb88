"""A file that another program is writing, on the screen and as lines."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from inspector.session import open_session
from inspector.streams import conversations
from inspector.tui.app import InspectorApp
from inspector.tui.screens.growing import FileScreen
from tests.annotations.net import Net

HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def record(number: int) -> bytes:
    return struct.pack("<IIII", 1_700_000_000 + number, 0, 60, 60) + b"\2" * 12 + b"\x88\xb5" + bytes([number]) * 46


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait, for ten seconds at most."""
    for _ in range(200):
        if true():
            return
        await pilot.pause(0.05)
    raise AssertionError("it never came")


async def test_leaving_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(HEAD + record(0))
    screen = FileScreen(open_session(str(path), load=False, growing=True, follow=True))
    async with InspectorApp(screen=screen).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: screen.packets.total == 1)
    screen.session.close()  # it does not wait for the file


async def test_rows_come_as_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(HEAD + record(0))
    screen = FileScreen(open_session(str(path), load=False, growing=True, follow=True))
    try:
        async with InspectorApp(screen=screen).run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: screen.packets.total == 1)
            assert "● file that grows · following" in screen.state()
            with path.open("ab") as file:
                file.write(b"".join(map(record, range(1, 100))) + record(100)[:20])
            await until(pilot, lambda: screen.packets.total == 100)
            await pilot.press("S")
            await until(pilot, lambda: screen.session.complete)
            assert screen.session.count == 100 and screen.session.damage is not None and "■ stopped" in screen.state()
    finally:
        screen.session.source.stop()  # or its thread would be waited for
    screen.session.close()


def test_one_line_a_packet_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(HEAD + record(0))
    words = [sys.executable, "-m", "inspector", "open", "--follow", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.readline().split()[0] == "1"
        for number in (1, 2):
            with path.open("ab") as file:
                file.write(record(number))
            assert program.stdout.readline().split()[0] == str(number + 1)  # before the next one is written
        program.send_signal(signal.SIGINT)
        assert program.stdout.read() == "" and program.stderr.read() == "" and program.wait(10) == 130


@pytest.mark.parametrize("files", [["-"], ["missing"], ["a", "b"]])
def test_what_cannot_be_followed_is_refused(tmp_path: Path, files: list[str]) -> None:
    words = [sys.executable, "-m", "inspector", "open", "--follow", *files]
    found = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert found.returncode == 2 and found.stderr == "osi-inspect: --follow takes one file that another program is writing\n"


async def test_what_is_too_large_to_be_followed_as_it_comes_is_named_and_read_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MAX_CONVERSATIONS", 20_000)  # the room of one segment and some messages
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /events")
    link.stream(12)
    for number in range(200):
        link.chunk(20 + number, b"data: %d\n\n" % number)
    net.session(tmp_path).close()
    whole = (tmp_path / "made.pcap").read_bytes()
    path = tmp_path / "growing.pcap"
    path.write_bytes(whole[: len(whole) // 2])
    screen = FileScreen(open_session(str(path), load=False, growing=True, follow=True))
    try:
        async with InspectorApp(screen=screen).run_test(size=(160, 40)) as pilot:
            await until(pilot, lambda: screen.packets.total > 50)
            with path.open("ab") as file:
                file.write(whole[len(whole) // 2 :])
            await until(pilot, lambda: screen.packets.total == 205)
            await until(pilot, lambda: "messages of tcp 0 when looked at (over " in screen.state())
            screen._read_on()
            await until(pilot, lambda: screen.session.conversation(0).reached == 205)
            assert len(screen.session.exchanges()[0].items) == 200
            await pilot.press("S")
            await until(pilot, lambda: screen.session.complete)
            assert "when looked at" not in screen.state()
    finally:
        screen.session.source.stop()
    screen.session.close()
