"""The home screen: the bundled captures, and what each teaches."""

from __future__ import annotations

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
from inspector.tui.recent import recent_files
from inspector.tui.widgets.key_line import KeyLine


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
        yield Static(" osi-inspect · choose a capture: Enter opens it, l begins the lesson on it", id="title", markup=False)
        yield OptionList(id="captures", classes="pane")
        with VerticalScroll(id="why", classes="pane"):
            yield Static(id="why-text", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self._captures = bundled()
        self._recent = recent_files()
        options = self.query_one(OptionList)
        options.border_title = "Captures"
        for capture in self._captures:
            options.add_option(
                Option(Text.assemble((f"{capture.name:<22}", "bold"), capture.title), id=f"bundled:{capture.name}")
            )
        for path in self._recent:
            options.add_option(Option(Text.assemble(("recent  ", "dim"), printable(path)), id=f"file:{path}"))
        options.highlighted = 0 if options.option_count else None
        options.focus()
        self.query_one("#why").border_title = "What it teaches"

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        name = (event.option.id or "").removeprefix("bundled:")
        found = next((capture for capture in self._captures if capture.name == name), None)
        self.query_one("#why-text", Static).update(found.teaches if found else "A capture that you opened before.")
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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only bundled captures have lessons."""
        return action != "open" or parameters != (True,) or self._chosen[0] == "bundled"
