"""The help screen: what the view shows, its keys and those that work everywhere, on one screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

Keys = Iterable[tuple[str, str]]

KEY = 13  # cells of a key, the blanks around it included
EVERYWHERE = (
    ("1–9 0 i f", "the views in the second line"),
    ("{ }", "the conversation before; the next one"),
    ("↑ ↓ g G", "move (also j k); to the first, the last"),
    ("Tab \\", "to the next pane; give it the whole screen, and back"),
    ("/ Ctrl-F", "filter; look for text or 0x0d0a (n N: next, before)"),
    ("Ctrl-G : w", "go to a packet; all commands; save the packets in the list"),
    ("Esc", "back: from a filter, the whole screen, where you were led"),
    ("T q Q", "light or dark; leave; quit"),
)
SIGNS = "✗ ! · error, warning, remark   ◆ mark   ≈ worked out, not in the bytes"


class HelpScreen(ModalScreen[None]):
    """What a screen is for, and the keys; any of ? q Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def __init__(self, title: str, tells: str, keys: Keys, everywhere: Keys = EVERYWHERE) -> None:
        """tells: what the screen that is asked about shows; keys: its own; everywhere: those that it shares."""
        super().__init__()
        self._about, self._tells, self._keys, self._everywhere = title, tells, keys, everywhere

    def compose(self) -> ComposeResult:
        text = Text(f"{self._tells}\n\n")
        _list(text, self._keys)
        if self._everywhere:
            text.append("\nEverywhere\n", "bold")
            _list(text, self._everywhere)
            text.append(SIGNS, "dim")
        with VerticalScroll(id="help"):
            text.rstrip()
            yield Static(text, markup=False)

    def on_mount(self) -> None:
        box = self.query_one("#help")
        box.border_title, box.border_subtitle = f"Help: {self._about}", "Esc closes it"
        box.focus()


def _list(text: Text, keys: Keys) -> None:
    for key, meaning in keys:
        text.append(f"  {key:<{KEY - 2}}", "bold")
        text.append(f"{meaning}\n")
