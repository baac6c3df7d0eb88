"""The screen of one capture: its title, the line of views, the view that is shown, and the lines to type in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Static
from textual.worker import get_current_worker

from inspector.core.errors import InspectError
from inspector.core.text import counted, printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.finding import Found, search, wanted
from inspector.tui.messages import Asked, Copied, Decrypts, GoTo, Loaded, Matched, ShowFlow
from inspector.tui.screens.help import HelpScreen
from inspector.tui.taking import save_body
from inspector.tui.views import VIEWS
from inspector.tui.views.packets import PacketsView
from inspector.tui.views.view import View
from inspector.tui.widgets.ask_line import AskLine
from inspector.tui.widgets.key_line import KeyLine
from inspector.tui.widgets.packet_list import PacketList
from inspector.tui.widgets.tab_line import TabLine

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection
    from inspector.query.completion import Completion
    from inspector.tui.widgets.lesson_pane import LessonPane

NARROW = (110, 36)  # columns and lines below which the panes give up their frames
WIDE = 130  # columns from which on Why stands under the layers, its lines long enough to read, beside sixteen bytes a line
TELL = 0.2  # seconds between two looks at how far loading is
NAME = 12  # columns that a title keeps for the name of the capture where there is little room
TINY = 20  # lines below which only the list is left


class CaptureScreen(Screen[None]):
    """One capture, and the views of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(key, f"view('{key}')", view.title, show=False) for key, view in VIEWS.items()],
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("ctrl+f", "search", "Search", show=False),
        Binding("w", "save", "Save", show=False),
        Binding("n", "again(1)", "Next match", show=False),
        Binding("N", "again(-1)", "Match before", show=False),
        Binding("ctrl+g", "ask", "Go to", show=False),
        Binding("L", "lesson", "Lesson"),
        Binding("space", "lesson_forward", "Go on"),
        Binding("backspace", "lesson_back", "Stop before", show=False),
        Binding("backslash", "zoom", "Zoom", key_display="\\", show=False),
        Binding("colon", "app.command_palette", "Commands", key_display=":"),
        Binding("q", "leave", "Leave"),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, session: Session, start: int | None = None, lesson: bool = False) -> None:
        """start: the packet to begin with; lesson: begin with the lesson on the capture."""
        super().__init__()
        self.session = session
        self._start = start
        self._teaches = lesson
        self._lesson: LessonPane | None = None
        self._views: dict[str, View] = {}
        self._filter = ""
        self._wanted = ""  # what was looked for last
        self._busy = ""
        self._shown = 0  # packets when the list was last told that there are more
        self._decrypted = False  # a conversation opens with the secrets that are known
        self._early = False  # the view was shown before there was a packet to show it of
        self._overwrite = ""  # the file that may be written over: it was asked
        self._came_from = ""  # the view that led to the one that is shown, where Esc goes back to

    def compose(self) -> ComposeResult:
        self._fit(self.app.size)  # before the first layout: what is in view is asked for, and scrolled to, once
        yield Static(id="title", markup=False)
        yield TabLine([(key, *choice) for key, choice in VIEWS.items()], id="views")
        self._views["packets"] = packets = PacketsView(self.session)
        with ContentSwitcher(initial=packets.id, id="view"):
            yield packets
        yield AskLine(id="asking")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(TabLine).activate("packets")
        self._title()
        self.view.focus_main()
        if self.session.complete:
            self.post_message(Loaded())
            self._look_for_secrets()
        else:
            self._load()
            self.set_interval(TELL, self._growing)  # the last packets of a pipe that pauses are shown, too

    def _growing(self) -> None:
        if not self.session.complete and self.session.count != self._shown:
            self._shown = self.session.count
            self.post_message(Loaded())

    def on_unmount(self) -> None:
        self.session.source.stop()  # a pipe that is still open must not keep the program

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)
        self._title()

    def _fit(self, size: Size) -> None:
        narrow = size.width < NARROW[0] or size.height < NARROW[1]
        self.set_class(narrow, "narrow")
        self.set_class(not narrow and size.width >= WIDE, "wide")
        self.set_class(size.height < TINY, "tiny")

    # --- loading, in a thread

    @work(thread=True, group="load")
    def _load(self) -> None:
        said = -1.0

        def progress(share: float) -> None:
            nonlocal said
            if share - said >= 0.02:
                said = share
                self.post_message(Loaded())

        error = ""
        try:
            self.session.load(progress)
        except (InspectError, OSError) as failed:
            error = str(failed)
        self.post_message(Loaded(error))
        self._look_for_secrets()

    @work(thread=True, group="secrets")
    def _look_for_secrets(self) -> None:
        if self.session.decrypted:
            self.post_message(Decrypts())

    @on(Decrypts)
    def _decrypts(self) -> None:
        self._decrypted = True
        self._title()

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        packets = self.query_one(PacketList)
        if self.session.complete:
            packets.forget()
            packets.go(self._start if self._start is not None else max(packets.cursor, 1))
            self._start = None
        else:
            packets.refresh_count()
        for view in self._views.values():
            view.loaded()
        if self._early and packets.cursor:
            self._early = False
            self.view.enter(self.session.index.flow_of(packets.cursor), packets.cursor)
        if event.error:
            self.notify(printable(event.error), severity="error", timeout=10, markup=False)
        elif self.session.complete and self.session.damage is not None:
            self.notify(printable(self.session.damage.text), severity="warning", timeout=10, markup=False)
        self._title()
        if self._teaches and self.session.complete:
            self._teaches = False
            self.call_later(self.action_lesson)

    def _title(self) -> None:
        session = self.session
        flows, name = len(session.index.flows), printable(self.name_of_capture())
        text = f" · {counted(session.count, 'packet')} · {counted(flows, 'conversation')}{self.state()}"
        if self._decrypted:
            text += " · decrypted"
        if self._filter:
            text += f" · only {printable(self._filter)} (Esc: all)"
        if self._busy:
            text += f" · {self._busy} (Esc stops)"
        name = fit(name, min(cell_len(name), max(self.size.width - cell_len(f" osi-inspect · {text}"), NAME)))
        self.query_one("#title", Static).update(f" osi-inspect · {name}{text}", layout=False)

    def name_of_capture(self) -> str:
        """Its name, for the title."""
        return self.session.title

    def state(self) -> str:
        """What goes on with the capture, for the title."""
        return "" if self.session.complete else f" · loading {self.session.progress:.0%}"

    # --- views

    @property
    def view(self) -> View:
        """The view that is shown."""
        return self._views[self.query_one(TabLine).active]

    @property
    def packets(self) -> PacketList:
        return self.query_one(PacketList)

    async def show(self, name: str, flow: int | None = None) -> None:
        """Show a view; of a conversation (where it is about one), or else of that of the packet under the cursor."""
        if self.maximized is not None:
            self.minimize()
        switcher = self.query_one(ContentSwitcher)
        chosen = self.view.chosen()
        if name not in self._views:
            made = next(choice for choice in VIEWS.values() if choice.name == name).view()
            self._views[name] = view = made(self.session)
            await switcher.mount(view)
        switcher.current = self._views[name].id
        self.query_one(TabLine).activate(name)
        number = chosen[1] if chosen is not None else self.packets.cursor
        if flow is None:
            flow = chosen[0] if chosen is not None else self.session.index.flow_of(number) if number else -1
        self._early = not number
        self._views[name].enter(flow, number)

    async def action_view(self, key: str) -> None:
        self._came_from = ""
        await self.show(VIEWS[key].name)

    @on(TabLine.Chosen)
    async def _tab(self, event: TabLine.Chosen) -> None:
        self._came_from = ""
        await self.show(event.name)

    @on(GoTo)
    async def _go_to(self, event: GoTo) -> None:
        self._leads()
        await self.go_to(event.number)

    def _leads(self) -> None:
        """The view that is shown leads to another one."""
        name = self.query_one(TabLine).active
        self._came_from = name if name != "packets" else self._came_from

    @on(ShowFlow)
    async def _show_flow(self, event: ShowFlow) -> None:
        self._leads()
        if event.view == "packets":
            await self.show("packets")
            self._narrow(self.session.index.flow_packets(event.flow), self._flow_words(event.flow))
        else:
            await self.show(event.view, event.flow)

    # --- the filter

    def _flow_words(self, flow: int) -> str:
        flows = self.session.index.flows
        return f"{'tcp' if flows.protocol(flow) == 6 else 'udp'}.stream == {flows.stream[flow]}"

    def _narrow(self, numbers: npt.NDArray[np.int64] | None, words: str) -> None:
        self._filter = words
        self.packets.narrow_to(numbers)
        self._title()

    def action_filter(self) -> None:
        self.query_one(AskLine).ask("filter", "Filter", self._filter, self._judge)

    def _judge(self, text: str) -> tuple[list[Completion], str, int]:
        from inspector.query.filters import FilterError, compile

        try:
            compile(text, self.session.registry)
        except FilterError as error:
            return self._continued(text), error.reason, error.start
        return self._continued(text), "", -1

    def _continued(self, text: str) -> list[Completion]:
        """What continues the word that is being typed; a number is none."""
        from inspector.query.completion import completions

        return [hint for hint in completions(text, self.session.registry) if not text[hint.start :].isdecimal()]

    @work(thread=True, exclusive=True, group="filter")
    def _run_filter(self, text: str) -> None:
        """Packets come into the list as they pass."""
        from inspector.query.filters import compile

        worker = get_current_worker()
        found: list[int] = []
        said = 0.0
        for reached, numbers in compile(text, self.session.registry).search(self.session):
            if worker.is_cancelled:
                return
            found += numbers
            if monotonic() - said > 0.2:
                said = monotonic()
                share = reached / max(self.session.count, 1)
                self.app.call_from_thread(self._passed, text, np.array(found, np.int64), share)
        self.app.call_from_thread(self._passed, text, np.array(found, np.int64), 1.0)

    def _passed(self, text: str, numbers: npt.NDArray[np.int64] | None, share: float) -> None:
        self._busy = "" if share >= 1 else f"filtering {share:.0%}"
        self._narrow(numbers, text)

    # --- looking for something

    def action_search(self) -> None:
        words = self._wanted or ""
        self.query_one(AskLine).ask("search", "Look for (text, or bytes as 0x0d0a)", words)

    def action_again(self, by: int) -> None:
        """To the next match, or the one before."""
        if not self._wanted:
            self.action_search()
            return
        packets = self.packets
        at = packets.position
        places = range(at + 1, packets.total) if by > 0 else range(at - 1, -1, -1)
        self._search(self._wanted, [packets.shown[place] for place in places] if packets.shown is not None
                     else range(places.start + 1, places.stop + 1, places.step))  # fmt: skip

    @work(thread=True, exclusive=True, group="search")
    def _search(self, words: str, numbers: Sequence[int]) -> None:
        worker, said = get_current_worker(), monotonic()
        for done, step in enumerate(search(self.session, wanted(words), map(int, numbers))):
            if worker.is_cancelled:
                return
            if isinstance(step, Found):
                self.post_message(Matched(step))
                return
            if monotonic() - said > 0.2:
                said = monotonic()
                self.app.call_from_thread(self._say, f"looking for it {done / len(numbers):.0%}")
        self.post_message(Matched(None))

    @on(Matched)
    async def _matched(self, event: Matched) -> None:
        self._say("")
        if event.found is None:
            self.notify("no further match", timeout=3)
            return
        await self.show("packets")
        self.query_one(PacketsView).reveal(event.found)

    def _say(self, text: str) -> None:
        """What goes on, in the title."""
        self._busy = text
        self._title()

    # --- the line to type in

    def type_on(self, text: str) -> bool:
        """Put a text into the line to type in; false where nothing is asked."""
        line = self.query_one(AskLine)
        if line.open:
            line.type_on(text)
        return line.open

    def action_ask(self) -> None:
        self.query_one(AskLine).ask("go", "Go to packet")

    @on(AskLine.Answered)
    async def _answered(self, event: AskLine.Answered) -> None:
        value = event.value.strip()
        if event.kind == "filter" and value:
            _, complaint, column = self._judge(value)
            if complaint:
                self.query_one(AskLine).complain(complaint, column)
                return
        saving = event.kind in ("save", "save-keys", "body") and bool(value)
        if saving and os.path.exists(os.path.expanduser(value)) and value != self._overwrite:
            self._overwrite = value
            self.query_one(AskLine).complain("that file exists; press Enter again to write over it, Esc to leave it")
            return
        self._close_line()
        if event.kind == "go" and value.lstrip("-").isdecimal():
            await self.go_to(int(value))
        elif event.kind == "filter":
            await self.show("packets")
            self.workers.cancel_group(self, "filter")
            if value:
                self._run_filter(value)
            else:
                self._passed("", None, 1.0)
        elif event.kind == "search" and event.value:
            self._wanted = event.value
            self.action_again(1)
        elif saving:
            self._save(event.kind, value, list(self.packets.numbers()), self.query_one(PacketsView).result)

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        self._overwrite = ""
        self.query_one(AskLine).ask(event.kind, event.label, event.value)

    # --- what is taken out

    @on(Copied)
    def _copied(self, event: Copied) -> None:
        self.app.copy_to_clipboard(event.text)
        self.notify(f"{event.what} copied", timeout=2, markup=False)

    def action_save(self, keys: bool = False) -> None:
        """Save the packets in the list. keys: with those that the capture holds for decryption."""
        packets = self.packets
        name = os.path.splitext(os.path.basename(self.session.title))[0].replace(" ", "-")
        words = f"Save {packets.total:,} packets {'and the keys ' if keys else ''}as"
        self.post_message(Asked("save-keys" if keys else "save", words, f"{printable(name)}-saved.pcapng"))

    @work(thread=True, group="save")
    def _save(self, kind: str, path: str, numbers: list[int], result: Dissection | None) -> None:
        path = os.path.expanduser(path)
        try:
            if kind != "body":
                keys = kind == "save-keys"
                done = f"{self.session.save(path, numbers, keys):,} packets saved in {path}"
                if self.session.source.secrets and not keys:
                    done += ", without the keys that the capture holds (“Save packets and keys” keeps them)"
            else:
                assert result is not None
                done = f"{save_body(path, result):,} bytes saved in {path}"
        except InspectError as error:
            self.app.call_from_thread(self.notify, printable(str(error)), severity="error", timeout=10, markup=False)
        else:
            self.app.call_from_thread(self.notify, printable(done), markup=False)

    def _close_line(self) -> None:
        self.query_one(AskLine).close()
        self.view.focus_main()

    # --- the lesson

    async def action_lesson(self) -> None:
        """Begin the lesson on a bundled capture, or end it."""
        if self._lesson is not None and self._lesson.display:
            self._lesson.display = False
        else:
            if self._lesson is None:
                from inspector.tui.widgets.lesson_pane import LessonPane

                self._lesson = LessonPane(self.session.lesson, id="lesson", classes="pane")
                await self.mount(self._lesson, before="#asking")
            self._lesson.begin()
        self._taught()

    def action_lesson_forward(self) -> None:
        if self._lesson is not None:
            self._lesson.forward()
            self._taught()

    def action_lesson_back(self) -> None:
        if self._lesson is not None:
            self._lesson.back()
            self._taught()

    def _taught(self) -> None:
        """As long as a question stands, Why does not answer it."""
        lesson = self._lesson
        self.set_class(lesson is not None and lesson.display, "taught")
        self.set_class(lesson is not None and lesson.display and not lesson.answered, "asked")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of a lesson are there where there is one."""
        if action == "lesson":
            return bool(self.session.lesson)
        if action in ("lesson_forward", "lesson_back"):
            return self._lesson is not None and self._lesson.display
        return True

    # --- help

    def help(self) -> HelpScreen:
        """What the view shows, and the keys."""
        return HelpScreen(self.view.title, self.view.tells, [*self.view.keys, *self.keys()])

    def keys(self) -> list[tuple[str, str]]:
        """The keys of this screen that not every capture has."""
        return [("L space", "the lesson on this capture; the answer, the next stop")] if self.session.lesson else []

    # --- the command palette

    def commands(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """(title, meaning, what to do) for the palette."""
        run = self.run_action
        packets = self.query_one(PacketsView)
        return [
            *[(view.title, f"show the view (key {key})", partial(run, f"view('{key}')")) for key, view in VIEWS.items()],
            ("Filter", "only packets that pass a display filter (key /)", self.action_filter),
            ("Search", "a text, or bytes as 0x0d0a (key Ctrl-F)", self.action_search),
            ("Go to packet", "by its number (key Ctrl-G)", self.action_ask),
            ("Time: relative", "seconds since the first packet", partial(packets.show_times, "relative")),
            ("Time: absolute", "the time of day, UTC", partial(packets.show_times, "absolute")),
            ("Time: delta", "seconds since the packet before", partial(packets.show_times, "delta")),
            *([("Lesson", "questions at packets of this capture (key L)", self.action_lesson)] if self.session.lesson else []),
            ("Save packets", "those in the list, as pcapng (key w)", self.action_save),
            ("Save packets and keys", "the same, with the TLS keys that this capture holds", partial(self.action_save, True)),
            ("Save body", "the HTTP body that completes in this packet (key x)", packets.action_save_body),
            ("Copy as curl", "the HTTP request in this packet (key C)", packets.action_copy_curl),
            ("Copy as curl, with secrets", "the same, with credentials and cookies", partial(packets.action_copy_curl, True)),
            ("Request or response", "the other half of the exchange (key r)", packets.action_partner),
        ]

    async def go_to(self, number: int) -> None:
        """Show a packet."""
        await self.show("packets")
        self.packets.go(number)

    def filter_by(self, text: str) -> None:
        """Filter, where the text is a filter; else it can be mended."""
        line = self.query_one(AskLine)
        line.ask("filter", "Filter", text, self._judge)
        line.post_message(AskLine.Answered("filter", text))

    # --- keys

    async def action_back(self) -> None:
        """What is open closes, what runs stops; then the filter goes; then the view that led here comes back."""
        if self.query_one(AskLine).open:
            self._close_line()
        elif self.maximized is not None:
            self.minimize()
        elif self._busy:
            self.workers.cancel_group(self, "filter")
            self.workers.cancel_group(self, "search")
            self._say("")
        elif self._filter and self.view is self._views["packets"]:
            self._narrow(None, "")
        elif self._lesson is not None and self._lesson.display:
            self._lesson.display = False
            self._taught()
        elif self._came_from:
            name, self._came_from = self._came_from, ""
            await self.show(name)
        else:
            self.view.focus_main()

    def action_zoom(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def action_leave(self) -> None:
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
            self.session.close()
        else:
            self.app.exit()
