"""`open -` in a real terminal (tmux): packets from a pipe, keys from the keyboard."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.sources.bundled import resolve

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, socket: str) -> None:
        self._tmux = ["tmux", "-S", socket]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True, env=_environment())
        return done.stdout

    def start(self, command: str) -> None:
        self.run("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "120", "-y", "40", "-c", str(ROOT), command)

    def keys(self, *keys: str) -> None:
        self.run("send-keys", "-t", "t", *keys)

    def wait_for(self, ready: Callable[[str], bool]) -> str:
        """The screen, once it is as wanted; what it was at last after 20 seconds."""
        screen = ""
        for _ in range(200):
            screen = self.run("capture-pane", "-t", "t", "-p")
            if ready(screen):
                return screen
            time.sleep(0.1)
        raise AssertionError(screen)


def _environment() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(str(tmp_path / "tmux"))
    yield found
    subprocess.run(["tmux", "-S", str(tmp_path / "tmux"), "kill-server"], capture_output=True, check=False)


def test_packets_from_a_pipe_and_keys_from_the_terminal(terminal: Terminal) -> None:
    program = f"{sys.executable} -m inspector open -"
    terminal.start(f"sh -c 'cat {resolve('sse')} | {program}; echo left with $?; sleep 60'")
    terminal.wait_for(lambda screen: "standard input · 42 packets" in screen and "loading" not in screen)
    terminal.keys("G")
    terminal.wait_for(lambda screen: "OSI layers of packet 42" in screen)
    terminal.keys("3")
    terminal.wait_for(lambda screen: "Ladder of TCP 0" in screen)
    terminal.keys("q")
    terminal.wait_for(lambda screen: "left with 0" in screen)
