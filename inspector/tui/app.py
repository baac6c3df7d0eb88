"""The Textual application."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from inspector.session import Session
from inspector.tui.commands import Commands
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.screens.home import HomeScreen


class InspectorApp(App[None]):
    """osi-inspect in the terminal: the home screen, or one capture."""

    TITLE = "osi-inspect"
    CSS_PATH = "inspector.tcss"
    COMMANDS: ClassVar = {Commands}  # of Textual's own none: they speak of widgets
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("Q", "quit", "Quit", show=False),
        Binding("colon", "command_palette", "Commands", show=False),
        Binding("T", "turn_theme", "Light or dark", show=False),
    ]

    def __init__(self, session: Session | None = None, start: int | None = None, screen: Screen[None] | None = None) -> None:
        """screen: the one that it begins with, where it is neither home nor a capture."""
        super().__init__()
        self._begin = screen
        self._session = session
        self._first = start

    def on_mount(self) -> None:
        self.theme = "textual-dark"
        home = HomeScreen() if self._session is None else CaptureScreen(self._session, self._first)
        self.push_screen(self._begin or home)

    def on_key(self, event: events.Key) -> None:
        """A key that no widget took: what was typed on before the line to type in had the focus belongs to that line."""
        if event.is_printable and isinstance(self.screen, CaptureScreen) and self.screen.type_on(event.character or ""):
            event.prevent_default()

    def action_turn_theme(self) -> None:
        """From the dark theme to the light one, and back."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def action_help(self) -> None:
        if isinstance(self.screen, CaptureScreen | HomeScreen):
            self.push_screen(self.screen.help())


def run(session: Session | None, start: int | None = None, lesson: bool = False) -> None:
    """Run the application until the user leaves it. lesson: begin with the lesson on the capture."""
    InspectorApp(session, start, CaptureScreen(session, start, True) if session is not None and lesson else None).run()
