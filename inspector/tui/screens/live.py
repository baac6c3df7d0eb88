"""The screen of a capture that is being made: rows as packets come, what is lost, and the keys that pause and stop it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType

from inspector.capture.client import temporary_path
from inspector.core.errors import InspectError
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Loaded, PacketSelected
from inspector.tui.screens.capture import CaptureScreen

if TYPE_CHECKING:
    from inspector.capture.client import Broker, Capture, Dumpcap

TICK = 0.08  # seconds between two looks at what has come: with the kernel's 40 ms, rows appear within 200 ms
VIEWS_TICK = 1.0  # seconds after which the other views take in what has come
BEHIND = 1000  # packets written and not yet listed from which on it is said


class LiveScreen(CaptureScreen):
    """A capture that grows. It follows the newest packet until somebody scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("F", "follow", "Follow"),
        Binding("space", "pause", "Pause"),
        Binding("S", "stop", "Stop"),
        Binding("ctrl+n", "anew", "New capture", show=False),
    ]

    def __init__(self, captures: list[Capture], opened: Callable[[str], Session], capturer: Broker | Dumpcap) -> None:
        """captures: the last one is shown, and further ones are added; opened: gives the session on a file that grows."""
        super().__init__(opened(captures[-1].path))
        self.capture, self._captures, self._opened, self._capturer = captures[-1], captures, opened, capturer
        self.following, self.paused = True, False
        self._bottom = 0.0  # where following has scrolled to
        self._seen = 0  # packets there were when following ended
        self._touched = False
        self._told = 0  # troubles that were told
        self._viewed = 0.0
        self._files = len(self.capture.paths)

    def on_mount(self) -> None:  # Textual calls that of every class, and so loads in one thread
        self.set_interval(TICK, self._tick)

    # --- what comes

    @work(thread=True, group="load")
    def _load(self) -> None:
        """Packets into the index while they are written; then, what nobody knew before the end."""
        session, capture = self.session, self.capture
        error = ""
        try:
            while True:
                last = not capture.running or len(capture.paths) > self._files
                if not session.grow():
                    if last:
                        break
                    capture.wait(TICK / 2)
            session.load()
        except (InspectError, OSError) as failed:
            error = str(failed)
        self.post_message(Loaded(error))
        self._look_for_secrets()

    def _growing(self) -> None:
        """Loading a file is told in another way: `_tick` is quicker."""

    def _tick(self) -> None:
        for text in self.capture.troubles[self._told :]:
            self._told += 1
            self.notify(printable(text), severity="error", timeout=30, markup=False)
        self._title()
        if len(self.capture.paths) > self._files and self.session.complete:  # the ring has turned
            self._files = len(self.capture.paths)
            self.app.switch_screen(LiveScreen(self._captures, self._opened, self._capturer))
            return
        packets = self.packets
        if self.session.complete or self.paused:
            return
        if self.following and packets.scroll_offset.y < self._bottom:
            self._leave()
        if self.session.count != self._shown:
            self._shown = self.session.count
            packets.refresh_count()
            if self.following:
                packets.scroll_end(animate=False, force=True, immediate=True)
                self._bottom = packets.scroll_offset.y
        if monotonic() - self._viewed > VIEWS_TICK and self.view is not self._views["packets"]:
            self._viewed = monotonic()
            self.view.loaded()

    @on(PacketSelected)
    def _touch(self, event: PacketSelected) -> None:
        """The first packet is chosen by the list; any other by the user, who then wants to look at it."""
        if self._touched or event.number != 1:
            if event.number < self.session.count:
                self._leave()
            else:
                self.following = True
        self._touched = True

    def _leave(self) -> None:
        if self.following:
            self.following, self._seen = False, self.session.count

    def state(self) -> str:
        """What the title says of the capture; drops always."""
        capture = self.capture
        lost = f"{capture.dropped:,} dropped"
        if capture.interface_dropped:
            lost += f" (and {capture.interface_dropped:,} by the interface)"
        words = ["● live" if capture.running else "■ stopped", lost]
        behind = capture.packets - self.session.count
        if capture.running and behind > BEHIND:
            words.append(f"{behind:,} behind")
        if self.paused:
            words.append(f"paused, {self.session.count - self._shown:,} new (space)")
        elif not self.session.complete:
            new = self.session.count - self._seen
            words.append("following" if self.following else f"▼ {new:,} new packets (F)" if new else "F follows")
        return " · " + " · ".join(words)

    # --- keys

    def action_follow(self) -> None:
        """Stay with the newest packet."""
        self.paused, self.following, self._bottom = False, True, 0.0
        self.packets.refresh_count()
        self.packets.scroll_end(animate=False, force=True, immediate=True)
        self._bottom = self.packets.scroll_offset.y
        self._title()

    def action_pause(self) -> None:
        """Nothing moves on the screen; the capture goes on."""
        self.paused = not self.paused and not self.session.complete
        self._title()

    @work(thread=True, group="stop")
    def action_stop(self) -> None:
        """End the capture; what was captured stays on the screen."""
        self.capture.stop()

    def action_anew(self) -> None:
        """End this capture and begin another one, with the same options, in a file of its own."""
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
        """Those of every capture, and those of one that runs."""
        return [
            ("Follow", "stay with the newest packet (key F)", self.action_follow),
            ("Pause or resume", "hold the screen still; the capture goes on (key space)", self.action_pause),
            ("Stop", "end the capture (key S)", self.action_stop),
            ("New capture", "end this one and begin another (key Ctrl-N)", self.action_anew),
            *super().commands(),
        ]


def run(capture: Capture, opened: Callable[[str], Session], capturer: Broker | Dumpcap) -> None:
    """Run the application until the user leaves it; says afterwards where the packets are."""
    captures = [capture]
    InspectorApp(screen=LiveScreen(captures, opened, capturer)).run()
    for one in captures:
        one.stop()
        if one.packets and os.path.exists(one.path):
            print(f"{one.packets:,} packets are in {one.path}", file=sys.stderr)
        elif one.options.temporary and os.path.exists(one.path):
            os.unlink(one.path)
