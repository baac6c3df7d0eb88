"""The program in a terminal of its own: keys and pictures through a pseudo-terminal, and how long it takes to answer."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
ROWS, COLUMNS = 40, 120
DOWN = b"\x1b[B"
FINISH = 60.0  # seconds that ending may take
LONGEST = 2.0  # seconds that an answer may take
AUTOGROUP = Path("/proc/self/autogroup")  # sched(7): a session is one group to the scheduler, and has its own nice value
# The packet list's line under the cursor: the cursor, a mark, how bad it is, the packet's number.
CURSOR = re.compile("▶(?: |◆)(?: |·|!|✗) *([0-9]+) ".encode())


def ours(*arguments: str) -> list[str]:
    """The command line of this checkout, with the interpreter that runs this script."""
    return [sys.executable, "-m", "inspector", *arguments]


def hurry(nice: str) -> None:
    """Give this session, and all that it starts, the priority of a nice value: for figures on a machine that others use, too.
    Nothing where it may not, or where the kernel has no such groups."""
    with suppress(OSError):
        AUTOGROUP.write_text(nice)


def _urgency() -> str:
    try:
        return AUTOGROUP.read_text().rpartition("nice ")[2].strip()
    except OSError:
        return "0"


class Screen:
    """The program, from its start to `close`."""

    def __init__(self, *arguments: str) -> None:
        self.started = time.perf_counter()
        urgency = _urgency()
        child, self.terminal = pty.fork()
        if child == 0:
            hurry(urgency)
            os.chdir(HERE)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", XDG_STATE_HOME=tempfile.gettempdir())
            os.execv(sys.executable, ours(*arguments))
        self.child = child
        self._cursor = b""  # the number of the packet under the cursor
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def read(self, seconds: float) -> bytes:
        """What is drawn next; empty where nothing is for so long."""
        if not select.select([self.terminal], [], [], max(seconds, 0))[0]:
            return b""
        return os.read(self.terminal, 1 << 16)

    def shows(self, text: re.Pattern[bytes], seconds: float) -> float | None:
        """Wait until `text` is drawn; when that was (`time.perf_counter`), None where it was not in time."""
        return self.shows_all([text], seconds)[0]

    def shows_all(self, texts: Sequence[re.Pattern[bytes]], seconds: float) -> list[float | None]:
        """The same for several, which may be drawn in any order, or at once."""
        found: list[float | None] = [None] * len(texts)
        seen, end = b"", time.perf_counter() + seconds
        while None in found and time.perf_counter() < end:
            seen = seen[-4096:] + self.read(0.05)
            for at, text in enumerate(texts):
                if found[at] is None and text.search(seen):
                    found[at] = time.perf_counter()
                    self._notice(seen)
        return found

    def answer(self) -> float | None:
        """Press the down key: the seconds until the cursor is drawn on another packet; None where it never is."""
        while drawn := self.read(0):
            self._notice(drawn)
        before, seen = self._cursor, b""
        pressed = time.perf_counter()
        os.write(self.terminal, DOWN)
        while (left := pressed + LONGEST - time.perf_counter()) > 0:
            seen = seen[-4096:] + self.read(left)
            self._notice(seen)
            if self._cursor != before:
                return time.perf_counter() - pressed
        return None

    def _notice(self, drawn: bytes) -> None:
        if found := CURSOR.findall(drawn):
            self._cursor = found[-1]

    def press(self, key: bytes) -> None:
        """Type something."""
        os.write(self.terminal, key)

    def drain(self, seconds: float) -> None:
        """Let it draw."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.read(0.1)

    @property
    def resident(self) -> int:
        """Bytes that it has in memory."""
        return int(Path(f"/proc/{self.child}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def processor(self) -> float:
        """Seconds of processor that it has taken."""
        fields = Path(f"/proc/{self.child}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak(self) -> int:
        """The most bytes that it has had in memory."""
        status = Path(f"/proc/{self.child}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def finish(self) -> None:
        """End it as a user does, so that it writes what it has to write; by force where it does not end."""
        self.press(b"Q")
        end = time.perf_counter() + FINISH
        try:
            while time.perf_counter() < end:
                self.read(0.1)
            os.kill(self.child, signal.SIGKILL)
        except OSError:  # it has gone, and its terminal with it
            pass
        os.waitpid(self.child, 0)
        os.close(self.terminal)

    def close(self) -> None:
        """End it, by force."""
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.terminal)
