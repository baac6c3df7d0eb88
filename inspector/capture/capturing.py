"""The capturing process: from the rings to the file, and word of it to the screen. It has no privilege, dissects nothing."""

from __future__ import annotations

import json
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from inspector.capture import interfaces
from inspector.capture.options import Options
from inspector.capture.ring import RETIRE_MS, Ring
from inspector.capture.writer import DiskFull, Writer

TICK_MS = 100  # between looks at the clock and at whether anybody wants more
TELL = 0.25  # seconds between two words to the screen


class Capturing:
    """A capture that runs.

    screen: the socket that events go to; lifeline: a pipe that ends when the broker does.
    """

    def __init__(self, options: Options, rings: Sequence[Ring], writer: Writer, screen: socket.socket, lifeline: int) -> None:
        self._options, self._writer, self._screen, self._lifeline = options, writer, screen, lifeline
        self._every = list(rings)
        self._rings = {ring.fileno(): (number, ring) for number, ring in enumerate(rings)}
        self._before = [interfaces.dropped(ring.link.name) for ring in rings]
        self._last = list(self._before)
        self._why = ""
        self._said = 0.0

    def run(self) -> None:
        """Capture until a condition is met, somebody wants no more, or nothing more can come; then end the file."""
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, self._signalled)
        until = time.monotonic() + self._options.stop_seconds if self._options.stop_seconds else None
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        for fd in self._rings:
            poll.register(fd, select.POLLIN | select.POLLERR)
        self._tell("started", path=self._writer.path)
        try:
            while not self._why:
                for fd, event in poll.poll(TICK_MS):
                    if fd == self._lifeline:
                        self._why = "the screen has gone"
                    elif event & select.POLLERR:
                        poll.unregister(fd)
                        self._take(*self._rings[fd])
                        self._lost(self._rings.pop(fd)[1])
                    else:
                        self._take(*self._rings[fd])
                if until is not None and time.monotonic() >= until:
                    self._why = self._why or "the time is over"
                if self._writer.over:
                    self._why = self._why or "as many files as were wanted"
                if time.monotonic() - self._said >= TELL:
                    self._progress()
            if self._left() != 0:
                time.sleep(2 * RETIRE_MS / 1000)  # the kernel hands over a block that is not full after this time
                for number, ring in self._rings.values():  # what the kernel still holds
                    self._take(number, ring)
        except DiskFull as error:
            self._why = str(error)
            self._tell("trouble", text=self._why)
        self._end()

    def _signalled(self, number: int, frame: object) -> None:
        self._why = self._why or "stopped"

    def _left(self) -> int | None:
        """Packets that may still come by -c; None where there is no limit."""
        most = self._options.stop_packets
        return max(most - self._writer.packets, 0) if most else None

    def _take(self, number: int, ring: Ring) -> None:
        for found in ring.blocks():
            left = self._left()
            if left == 0:
                break
            if self._writer.write(number, found, left or 0):
                self._tell("file", path=self._writer.path)
            found.clear()
        if self._left() == 0:
            self._why = self._why or "as many packets as were wanted"
        if self._options.stop_bytes and self._writer.bytes >= self._options.stop_bytes:
            self._why = self._why or "the file is as large as was wanted"

    def _lost(self, ring: Ring) -> None:
        text = ring.failure()
        self._tell("trouble", text=text)
        if not self._rings:
            self._why = text

    def _counts(self) -> list[tuple[int, int, int]]:
        found = []
        for number, ring in enumerate(self._every):
            with suppress(OSError):
                ring.count()
            now = interfaces.dropped(ring.link.name)  # 0 for one that has gone
            self._last[number] = max(self._last[number], now)
            found.append((ring.received, ring.dropped, self._last[number] - self._before[number]))
        return found

    def _progress(self) -> None:
        self._said = time.monotonic()
        counts = self._counts()
        received, dropped, before = (sum(column) for column in zip(*counts, strict=True))
        self._tell(
            "counts", packets=self._writer.packets, bytes=self._writer.bytes, received=received, dropped=dropped,
            interface_dropped=before,
        )  # fmt: skip

    def _end(self) -> None:
        self._writer.end(self._counts())
        self._progress()
        self._tell("ended", why=self._why)

    def _tell(self, event: str, **values: Any) -> None:
        """Tell the screen; of one that has gone, or does not listen, capturing is independent."""
        with suppress(OSError):
            self._screen.send(json.dumps({"event": event, **values}).encode(), socket.MSG_DONTWAIT * (event == "counts"))
