"""The screen of one capture: its title, the line of views, the view that is shown, and the lines to type in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer, Static

from inspector.core.errors import InspectError
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.messages import GoTo, Loaded, ShowFlow
from inspector.tui.views.conversations import ConversationsView
from inspector.tui.views.ladder import LadderView
from inspector.tui.views.packets import PacketsView
from inspector.tui.views.stream import StreamView
from inspector.tui.views.view import View
from inspector.tui.widgets.ask_line import AskLine
from inspector.tui.widgets.packet_list import PacketList
from inspector.tui.widgets.tab_line import TabLine

NARROW = (110, 36)  # columns and lines below which the panes give up their frames
TINY = 20  # lines below which only the list is left
VIEWS: dict[str, type[View]] = {view.key: view for view in (PacketsView, ConversationsView, LadderView, StreamView)}


class CaptureScreen(Screen[None]):
    """One capture, and the views of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"view('{name}')", view.title, show=False) for at, (name, view) in enumerate(VIEWS.items(), 1)],
        Binding("ctrl+g", "ask", "Go to"),
        Binding("backslash", "zoom", "Zoom", key_display="\\"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "leave", "Back"),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, session: Session, start: int | None = None) -> None:
        super().__init__()
        self.session = session
        self._start = start
        self._views: dict[str, View] = {}
        self._filter = ""

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield TabLine([(name, view.title) for name, view in VIEWS.items()], id="views")
        self._views["packets"] = packets = PacketsView(self.session)
        with ContentSwitcher(initial=packets.id, id="view"):
            yield packets
        yield AskLine(id="asking")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(TabLine).activate("packets")
        self._title()
        self.view.focus_main()
        if self.session.complete:
            self.post_message(Loaded())
        else:
            self._load()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < NARROW[0] or event.size.height < NARROW[1], "narrow")
        self.set_class(event.size.height < TINY, "tiny")

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
        if event.error:
            self.notify(printable(event.error), severity="error", timeout=10, markup=False)
        elif self.session.complete and self.session.damage is not None:
            self.notify(printable(self.session.damage.text), severity="warning", timeout=10, markup=False)
        self._title()

    def _title(self) -> None:
        session = self.session
        state = "" if session.complete else f" · loading {session.progress:.0%}"
        flows = len(session.index.flows)
        text = f" osi-inspect · {printable(session.title)} · {session.count:,} packets · {flows:,} conversations{state}"
        if self._filter:
            text += f" · only {printable(self._filter)} (Esc: all)"
        self.query_one("#title", Static).update(text)

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
        if name not in self._views:
            self._views[name] = view = VIEWS[name](self.session)
            await switcher.mount(view)
        switcher.current = self._views[name].id
        self.query_one(TabLine).activate(name)
        number = self.packets.cursor
        if flow is None:
            flow = self.session.index.flow_of(number) if number else -1
        self._views[name].enter(flow, number)

    async def action_view(self, name: str) -> None:
        await self.show(name)

    @on(TabLine.Chosen)
    async def _tab(self, event: TabLine.Chosen) -> None:
        await self.show(event.name)

    @on(GoTo)
    async def _go_to(self, event: GoTo) -> None:
        await self.show("packets")
        self.packets.go(event.number)

    @on(ShowFlow)
    async def _show_flow(self, event: ShowFlow) -> None:
        if event.view == "packets":
            await self.show("packets")
            self._narrow(self.session.index.flow_packets(event.flow), self._flow_words(event.flow))
        else:
            await self.show(event.view, event.flow)

    # --- what the list is narrowed to

    def _flow_words(self, flow: int) -> str:
        flows = self.session.index.flows
        return f"{'tcp' if flows.protocol(flow) == 6 else 'udp'}.stream == {flows.stream[flow]}"

    def _narrow(self, numbers: npt.NDArray[np.int64] | None, words: str) -> None:
        self._filter = words
        self.packets.narrow_to(numbers)
        self._title()

    # --- the line to type in

    def action_ask(self) -> None:
        self.query_one(AskLine).ask("go", "Go to packet")

    @on(AskLine.Answered)
    async def _answered(self, event: AskLine.Answered) -> None:
        value = event.value.strip()
        if event.kind == "go":
            self._close_line()
            if value.lstrip("-").isdecimal():
                await self.show("packets")
                self.packets.go(int(value))

    def _close_line(self) -> None:
        self.query_one(AskLine).close()
        self.view.focus_main()

    # --- keys

    def action_back(self) -> None:
        """What is open closes; then the filter goes; then the packets are shown."""
        if self.query_one(AskLine).open:
            self._close_line()
        elif self.maximized is not None:
            self.minimize()
        elif self._filter and self.view is self._views["packets"]:
            self._narrow(None, "")
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
