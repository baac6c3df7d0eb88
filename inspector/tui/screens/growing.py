"""The screen of a capture that grows: rows as packets come, the newest followed until somebody scrolls up."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.core.limits import MAX_CONVERSATIONS
from inspector.core.text import counted
from inspector.session import Session
from inspector.tui.messages import PacketSelected
from inspector.tui.screens.capture import CaptureScreen

TICK = 0.08  # seconds between two looks at what has come: with the kernel's 40 ms, rows appear within 200 ms
WORK, REST = 0.02, 0.06  # seconds of every tick in which conversations are followed, and in which they are not
VIEWS_TICK = 1.0  # seconds after which the other views take in what has come
SHARE = 5  # times as long as a view took for that, it is left alone
NEWEST_TICK = 0.5  # seconds between two packets whose layers are shown while the newest is followed
BEHIND = 1000  # packets that are not yet listed, or not yet followed, from which on it is said


class GrowingScreen(CaptureScreen):
    """A capture that grows. What it comes from is the business of the classes below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("F", "follow", "Newest"),
        Binding("space", "pause", "Pause"),
    ]

    def __init__(self, session: Session, start: int | None = None) -> None:
        super().__init__(session, start)
        self.following, self.paused = True, False
        self._bottom = 0.0  # where following has scrolled to
        self._seen = 0  # packets there were when following ended
        self._own = {1}  # packets that nobody chose: the list begins with the first one, and following takes the newest
        self._newest = 0.0  # when that was
        self._behind = self._told_behind = 0  # packets whose conversations were not followed yet
        self._viewed = self._view_done = 0.0  # when a view was told of more packets, and when it had taken them in

    def on_mount(self) -> None:  # Textual calls that of every class, and so loads in one thread
        self.set_interval(TICK, self._tick)
        self._keep_up()

    @work(thread=True, group="following")
    def _keep_up(self) -> None:
        """Conversations, decrypted and read, for a part of the time: keys and the list go first."""
        worker = get_current_worker()
        _ = self.session.engine  # the protocols are imported while nothing has come
        while not (worker.is_cancelled or self.session.complete):
            self._behind = self.session.keep_up(WORK)
            sleep(REST)
        self._behind = 0

    def _growing(self) -> None:
        """Loading a file is told in another way: `_tick` is quicker."""

    def _tick(self) -> None:
        self._title()
        packets = self.packets
        if self.session.complete or self.paused:
            return
        if self.following and packets.scroll_offset.y < self._bottom:
            self._leave()
        if self.session.count != self._shown:
            self._shown = self.session.count
            packets.refresh_count()
            if self.following:
                self._to_newest()
        elif self._behind != self._told_behind:
            self._told_behind = self._behind
            packets.scrolled()
        self._renew_view()

    def _renew_view(self) -> None:
        """The view that is shown takes in what has come; not before it is done with what came before, nor all of the time."""
        now, view = monotonic(), self.view
        if any(worker.is_running and view in worker.node.ancestors_with_self for worker in self.app.workers):
            self._view_done = now
        elif now - self._view_done > max(VIEWS_TICK, SHARE * (self._view_done - self._viewed)):
            self._viewed = self._view_done = now
            self.packets.renew() if view is self._views["packets"] else view.loaded()

    def _to_newest(self) -> None:
        """The newest packet is in view and under the cursor; now and then its layers are shown, too."""
        packets = self.packets
        packets.position = max(packets.total - 1, 0)
        packets.scroll_end(animate=False, force=True, immediate=True)
        self._bottom = packets.scroll_offset.y
        if monotonic() - self._newest > NEWEST_TICK and packets.total:
            self._newest = monotonic()
            self._own.add(packets.cursor)
            packets.moved()

    @on(PacketSelected)
    def _touch(self, event: PacketSelected) -> None:
        """A packet that the user chooses is looked at: nothing moves any more, unless it is the newest one."""
        if event.number in self._own:
            self._own.remove(event.number)
        elif event.number < self.session.count:
            self._leave()
        else:
            self.following = True

    def _leave(self) -> None:
        if self.following:
            self.following, self._seen = False, self.session.count

    def state(self) -> str:
        """What the title says: of what it comes from, how far behind the screen is, and whether it follows."""
        words = self.source_words()
        if self._behind > BEHIND:
            words.append(f"messages {self._behind:,} packets behind")
        words.extend(left_words(self.session))
        if self.paused:
            words.append(f"paused, {self.session.count - self._shown:,} new (space)")
        elif not self.session.complete:
            new = self.session.count - self._seen
            words.append("following" if self.following else f"▼ {new:,} new packets (F)" if new else "F follows")
        return "".join(f" · {word}" for word in words)

    def source_words(self) -> list[str]:
        """What the title says of what the packets come from."""
        raise NotImplementedError

    @work(thread=True, exclusive=True, group="read on")
    def _read_on(self) -> None:
        """Follow what is too large to be followed as it comes, once, as far as it goes."""
        worker, left = get_current_worker(), sorted(self.session.conversations.left)
        for flow in left:
            if not worker.is_cancelled:
                self.session.conversation(flow)
        said = f"{counted(len(left), 'conversation')} read up to now" if left else "every conversation is read as it comes"
        if not worker.is_cancelled:
            self.app.call_from_thread(self.notify, said, timeout=4)
            self.app.call_from_thread(self.packets.renew)

    # --- keys

    def action_follow(self) -> None:
        """Stay with the newest packet."""
        self.paused, self.following = False, True
        self.packets.refresh_count()
        self._to_newest()
        self._title()

    def action_pause(self) -> None:
        """Nothing moves on the screen; the capture goes on."""
        self.paused = not self.paused and not self.session.complete
        self._title()

    def keys(self) -> list[tuple[str, str]]:
        return [("F space S", "stay with the newest packet; hold the screen still; stop")]

    def commands(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """Those of every capture, and those of one that grows."""
        return [
            ("Newest packet", "stay with it as packets come (key F)", self.action_follow),
            ("Read on", "the conversations that are read only when they are looked at, up to the newest packet", self._read_on),
            ("Pause or resume", "hold the screen still; the capture goes on (key space)", self.action_pause),
            *super().commands(),
        ]


def left_words(session: Session) -> list[str]:
    """What the title says of conversations that are too large to be followed as they come."""
    left = sorted(int(session.index.flows.stream[flow]) for flow in list(session.conversations.left))
    if not left:
        return []
    which = f"tcp {left[0]}" if len(left) == 1 else f"{len(left):,} conversations"
    return [f"messages of {which} when looked at (over {MAX_CONVERSATIONS >> 20} MiB; : Read on)"]


class PipeScreen(GrowingScreen):
    """Packets from a pipe, as they come."""

    def source_words(self) -> list[str]:
        return ["■ ended" if self.session.complete else "● pipe"]


class FileScreen(GrowingScreen):
    """Packets from a file that another program is writing, as they come."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("S", "stop", "Stop")]

    def source_words(self) -> list[str]:
        return ["■ stopped" if self.session.complete else "● file that grows"]

    def action_stop(self) -> None:
        """Wait for nothing more; who writes the file goes on."""
        self.session.source.stop()

    def commands(self) -> list[tuple[str, str, Callable[[], Any]]]:
        return [("Stop", "wait for nothing more (key S)", self.action_stop), *super().commands()]
