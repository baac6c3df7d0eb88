"""The home screen: the files opened last, the bundled captures, and what each teaches."""

from __future__ import annotations

import os
from pathlib import Path
from time import localtime, strftime
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from inspector.core.text import printable
from inspector.sources.bundled import bundled
from inspector.tui.cells import octets
from inspector.tui.recent import recent_files
from inspector.tui.screens.help import HelpScreen
from inspector.tui.widgets.key_line import KeyLine

TITLE = " Enter opens a capture, l its lesson; your own: osi-inspect open FILE"
TELLS = (
    "Packet captures, taken apart layer by layer and byte by byte: every byte knows where it came from. Each bundled capture "
    "shows one thing, from a page that curl fetches to losses, TLS, HTTP/2 and streams of events. Its lesson asks a question "
    "at each stop, and answers it with the packets."
)
KEYS = (
    ("Enter  l", "open the capture; open it with its lesson"),
    ("T  :", "light or dark; all commands"),
    ("q", "quit"),
)
NAME = 22  # cells of a name


class HomeScreen(Screen[None]):
    """Choose a capture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "open(True)", "Lesson"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        Binding("j", "app.simulate_key('down')", show=False),
        Binding("k", "app.simulate_key('up')", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield Static(TITLE, id="title", markup=False)
        yield OptionList(id="captures", classes="pane")
        with VerticalScroll(id="why", classes="pane"):
            yield Static(id="why-text", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self._captures = bundled()
        self._recent = recent_files()
        options = self.query_one(OptionList)
        options.border_title = "Captures"
        for path in self._recent:
            folder, name = os.path.split(path)
            label = Text.assemble((f"{printable(name):<{NAME}}", "bold"), " ", (printable(folder), "dim"))
            options.add_option(Option(label, id=f"file:{path}"))
        if self._recent:
            options.add_option(None)
        for capture in self._captures:
            label = Text.assemble((f"{capture.name:<{NAME}}", "bold"), capture.title)
            options.add_option(Option(label, id=f"bundled:{capture.name}"))
        options.highlighted = 0 if options.option_count else None
        options.focus()

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        kind, _, name = (event.option.id or "").partition(":")
        found = next((capture for capture in self._captures if kind == "bundled" and capture.name == name), None)
        self.query_one("#why").border_title = "What it teaches" if found else "Opened before"
        self.query_one("#why-text", Static).update(found.teaches if found else _about(name))
        self.refresh_bindings()

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_open(False)

    @property
    def _chosen(self) -> tuple[str, str]:
        """What is highlighted: `bundled` and a name, or `file` and a path."""
        options = self.query_one(OptionList)
        option = options.get_option_at_index(options.highlighted) if options.highlighted is not None else None
        kind, _, name = ((option.id if option is not None else "") or "").partition(":")
        return kind, name

    def action_open(self, lesson: bool) -> None:
        """Open what is highlighted. lesson: begin with the lesson on it."""
        from inspector.core.errors import InspectError
        from inspector.session import open_session
        from inspector.tui.screens.capture import CaptureScreen

        _, name = self._chosen
        if not name:
            return
        try:
            session = open_session(name, load=False)
        except InspectError as error:
            self.notify(printable(str(error)), severity="error", markup=False)
            return
        self.app.push_screen(CaptureScreen(session, lesson=lesson))

    def help(self) -> HelpScreen:
        """What is shown, and the keys."""
        return HelpScreen("osi-inspect", TELLS, KEYS, everywhere=())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only bundled captures have lessons."""
        return action != "open" or parameters != (True,) or self._chosen[0] == "bundled"


def _about(path: str) -> str:
    """What is known of a file without reading it."""
    try:
        found = Path(path).stat()
    except OSError:
        return "It is no longer there."
    return f"{octets(found.st_size)}, written {strftime('%Y-%m-%d %H:%M', localtime(found.st_mtime))}"
