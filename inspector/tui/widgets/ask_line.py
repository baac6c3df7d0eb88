"""The line to type in, at the foot of the screen: a packet number, a filter, a text to look for, a file to write."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static


class AskLine(Vertical):
    """One question at a time. Hidden while nothing is asked."""

    class Answered(Message):
        """Enter was pressed."""

        def __init__(self, kind: str, value: str) -> None:
            super().__init__()
            self.kind = kind
            self.value = value

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.kind = ""

    def compose(self) -> ComposeResult:
        yield Static(id="complaint", markup=False)
        with Horizontal(id="question"):
            yield Static(id="asked", markup=False)
            yield Input(id="answer", compact=True)

    @property
    def open(self) -> bool:
        return bool(self.kind)

    def ask(self, kind: str, label: str, value: str = "", suggester: Suggester | None = None) -> None:
        """Show the line; the answer comes as `Answered`."""
        self.kind = kind
        self.query_one("#asked", Static).update(f"{label} ")
        self.complain("")
        box = self.query_one(Input)
        box.suggester = suggester
        box.value = value
        box.cursor_position = len(value)
        self.display = True
        box.focus()

    def complain(self, text: str, column: int = -1) -> None:
        """What is wrong with the answer, under a mark at its column (from 0) where one is known."""
        complaint = self.query_one("#complaint", Static)
        complaint.display = bool(text)
        if column >= 0:
            label = self.query_one("#asked", Static).size.width
            text = f"{text}\n{' ' * (label + column)}▼"
        complaint.update(Text(text, no_wrap=True, overflow="ellipsis"))

    def close(self) -> None:
        self.kind = ""
        self.display = False

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self.kind, event.value))
