"""A lesson: at each stop a packet and a question, then the answer, then the next stop."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from inspector.annotations.lessons import Stop
from inspector.core.text import printable
from inspector.tui.messages import GoTo


class LessonPane(VerticalScroll, can_focus=False):
    """The question of the stop, and its answer once it was asked for. The packet of a stop is shown by the screen."""

    def __init__(self, stops: list[Stop], id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._stops = stops
        self.at = 0
        self.answered = False

    def compose(self) -> ComposeResult:
        yield Static(id="lesson-text", markup=False)

    def begin(self) -> None:
        """To the first stop."""
        self.display = True
        self._stop(0)

    def forward(self) -> None:
        """The answer; after it the next stop; after the last one the lesson is over."""
        if not self.answered:
            self.answered = True
            self._tell()
        elif self.at + 1 < len(self._stops):
            self._stop(self.at + 1)
        else:
            self.display = False

    def back(self) -> None:
        """To the stop before this one."""
        self._stop(max(self.at - 1, 0))

    def _stop(self, at: int) -> None:
        self.at, self.answered = at, False
        self._tell()
        self.post_message(GoTo(self._stops[at].packet))

    def _tell(self) -> None:
        stop, last = self._stops[self.at], self.at + 1 == len(self._stops)
        self.border_title = f"Lesson: stop {self.at + 1} of {len(self._stops)}, packet {stop.packet}"
        self.border_subtitle = "backspace: the stop before · L or Esc: end"
        text = Text()
        text.append(f"? {printable(stop.ask)}", "bold")
        if self.answered:
            text.append(f"\n→ {printable(stop.answer)}")
        then = "the answer" if not self.answered else "the end" if last else "the next stop"
        text.append(f"  (space: {then})", "dim")
        self.query_one("#lesson-text", Static).update(text)
        self.scroll_home(animate=False)
