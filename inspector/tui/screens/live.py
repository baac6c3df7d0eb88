"""The screen of a capture that is being made: rows as packets come, what is lost, and the keys that pause and stop it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.capture.client import temporary_path
from inspector.core.errors import InspectError
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Loaded
from inspector.tui.screens.growing import BEHIND, TICK, GrowingScreen

if TYPE_CHECKING:
    from inspector.capture.client import Broker, Capture, Dumpcap


class LiveScreen(GrowingScreen):
    """A capture on interfaces of this machine."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("S", "stop", "Stop"),
        Binding("ctrl+n", "anew", "New capture", show=False),
    ]

    def __init__(
        self,
        captures: list[Capture],
        opened: Callable[[str], Session],
        capturer: Broker | Dumpcap | None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        """captures: the last one is shown, and further ones are added; opened: gives the session on a file that grows;
        capturer: None where no other capture can be begun; stop: what ends this one, where others depend on it."""
        super().__init__(opened(captures[-1].path))
        self.capture, self._captures, self._opened, self._capturer = captures[-1], captures, opened, capturer
        self._stop = stop or self.capture.stop
        self._told = 0  # troubles that were told
        self._files = len(self.capture.paths)

    # --- what comes

    @work(thread=True, group="load")
    def _load(self) -> None:
        """Packets into the index while they are written; then, what nobody knew before the end."""
        session, capture, worker = self.session, self.capture, get_current_worker()
        error = ""
        try:
            while not worker.is_cancelled:  # the program waits for this thread when it ends
                last = not capture.running or len(capture.paths) > self._files
                if not session.grow():
                    if last:
                        break
                    capture.wait(TICK / 2)
            if worker.is_cancelled:
                return
            session.load()
        except (InspectError, OSError) as failed:
            error = str(failed)
        self.post_message(Loaded(error))
        self._look_for_secrets()

    def _tick(self) -> None:
        for text in self.capture.troubles[self._told :]:
            self._told += 1
            self.notify(printable(text), severity="error", timeout=30, markup=False)
        if len(self.capture.paths) > self._files and self.session.complete:  # the ring has turned
            self._files = len(self.capture.paths)
            self.app.switch_screen(LiveScreen(self._captures, self._opened, self._capturer, self._stop))
            return
        super()._tick()

    def name_of_capture(self) -> str:
        """The interfaces, where the file is one that nobody named."""
        options = self.capture.options
        return ", ".join(options.interfaces) if options.temporary else super().name_of_capture()

    def source_words(self) -> list[str]:
        """Drops always."""
        capture = self.capture
        lost = f"{capture.dropped:,} dropped"
        if capture.interface_dropped:
            lost += f" (and {capture.interface_dropped:,} by the interface)"
        words = ["● live" if capture.running else "■ stopped", lost]
        behind = capture.packets - self.session.count
        if capture.running and behind > BEHIND:
            words.append(f"{behind:,} behind")
        return words

    # --- keys

    @work(thread=True, group="stop")
    def action_stop(self) -> None:
        """End the capture; what was captured stays on the screen."""
        self._stop()

    def action_anew(self) -> None:
        """End this capture and begin another one, with the same options, in a file of its own."""
        if self._capturer is None:
            return
        options = self.capture.options
        self.capture.stop()
        if not options.ring:
            options = replace(options, path=temporary_path(options.interfaces), temporary=True)
        try:
            self._captures.append(self._capturer.start(options))
            screen = LiveScreen(self._captures, self._opened, self._capturer)
        except InspectError as error:
            self.notify(printable(str(error)), severity="error", markup=False)
            return
        self.app.switch_screen(screen)

    def commands(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """Those of every capture that grows, and those of one that is made here."""
        anew = ("New capture", "end this one and begin another (key Ctrl-N)", self.action_anew)
        stop = ("Stop", "end the capture (key S)", self.action_stop)
        return [stop, *([anew] if self._capturer is not None else []), *super().commands()]


def run(capture: Capture, opened: Callable[[str], Session], capturer: Broker | Dumpcap) -> None:
    """Run the application until the user leaves it; says afterwards where the packets are."""
    captures = [capture]
    InspectorApp(screen=LiveScreen(captures, opened, capturer)).run()
    for one in captures:
        one.stop()
        if one.packets and os.path.exists(one.path):
            where = "were captured; the newest are in" if len(one.paths) > 1 else "are in"
            print(f"{one.packets:,} packets {where} {one.path}", file=sys.stderr)
        elif one.options.temporary and os.path.exists(one.path):
            os.unlink(one.path)
