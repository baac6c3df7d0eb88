"""The line to type in, at the foot of the screen: a packet number, a filter, a text to look for, a file to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.query.completion import Completion

HINTS = 6  # completions in view

# What an answer means while it is typed: completions, what is wrong with it, and the column of that (-1 for none).
Judge = Callable[[str], tuple[list["Completion"], str, int]]


class Answer(Input):
    """The input; Tab completes, ↑ and ↓ go through the completions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete"),
        Binding("enter", "submit", "Done"),
        Binding("down", "hint(1)", show=False),
        Binding("up", "hint(-1)", show=False),
    ]

    class Wanted(Message):
        """A completion is to be taken (`by` 0), or the one `by` further to be pointed at."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_complete(self) -> None:
        self.post_message(self.Wanted(0))

    def action_hint(self, by: int) -> None:
        self.post_message(self.Wanted(by))


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
        self._judge: Judge | None = None
        self._completions: list[Completion] = []
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Static(id="hints", markup=False)
        with Horizontal(id="question"):
            yield Static(id="asked", markup=False)
            yield Answer(id="answer", compact=True)
        yield Static(id="complaint", markup=False)

    @property
    def open(self) -> bool:
        return bool(self.kind)

    def ask(self, kind: str, label: str, value: str = "", judge: Judge | None = None) -> None:
        """Show the line; the answer comes as `Answered`. judge: looks at the answer as it is typed."""
        self.kind, self._judge = kind, judge
        self.query_one("#asked", Static).update(f" {label} ")
        self.complain("")
        box = self.query_one(Answer)
        box.value = value
        box.cursor_position = len(value)
        self._look(value)
        self.display = True
        self.screen.set_focus(box)  # at once: the next keys may be here already

    def type_on(self, text: str) -> None:
        """As if it was typed into the line."""
        self.query_one(Answer).insert_text_at_cursor(text)

    def complain(self, text: str, column: int = -1) -> None:
        """What is wrong with the answer, under a mark at its column (from 0) where one is known."""
        complaint = self.query_one("#complaint", Static)
        complaint.display = bool(text)
        if text and column >= 0:
            text = f"{' ' * (self.query_one('#asked', Static).size.width + column)}▲ {text}"
        complaint.update(Text(printable(text), no_wrap=True, overflow="ellipsis"))

    def close(self) -> None:
        self.kind = ""
        self.display = False

    def _look(self, value: str) -> None:
        """Judge what is typed so far; what is wrong is said when Enter is pressed, or where nothing can complete it."""
        self._completions, complaint, column = self._judge(value) if self._judge is not None and value else ([], "", -1)
        self._at = 0
        self._show_hints()
        self.complain("" if self._completions else complaint, column)
        self.query_one("#question").set_class(bool(complaint), "wrong")

    def _show_hints(self) -> None:
        hints = self.query_one("#hints", Static)
        hints.display = bool(self._completions)
        text = Text(no_wrap=True, overflow="ellipsis")
        first = max(min(self._at - HINTS // 2, len(self._completions) - HINTS), 0)
        for at, hint in enumerate(self._completions[first : first + HINTS], first):
            mark = "▶" if at == self._at else " "
            text.append(f"{mark} {hint.text:<36} {printable(hint.label)}\n", "bold" if at == self._at else "")
        text.right_crop(1)
        hints.update(text)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.open:
            self._look(event.value)

    @on(Answer.Wanted)
    def _wanted(self, event: Answer.Wanted) -> None:
        event.stop()
        if not self._completions:
            return
        if event.by:
            self._at = (self._at + event.by) % len(self._completions)
            self._show_hints()
            return
        box, hint = self.query_one(Answer), self._completions[self._at]
        box.value = box.value[: hint.start] + hint.text
        box.cursor_position = len(box.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self.kind, event.value))
