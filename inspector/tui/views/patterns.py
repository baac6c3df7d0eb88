"""The Patterns: how the programs talk, what speaks for it and against it, and what it costs; each leads to its packets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.worker import get_current_worker

from inspector.core.text import counted, printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.views.view import View
from inspector.tui.widgets.entry_list import Entry, EntryList, packet_links
from inspector.tui.widgets.line_list import Piece

if TYPE_CHECKING:
    from inspector.annotations.patterns import Pattern

NAME = 20  # cells of the column in front of the sentences
WIDE = 90  # columns from which on the sentences stand beside the name
TEXT = 24  # cells that are left to a sentence at least


class PatternList(EntryList):
    """A few lines a pattern: whose it is, evidence (+), counter-evidence (−), the cost, and its packets."""

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._patterns: list[Pattern] | None = None

    def on_mount(self) -> None:
        self.border_title = "Patterns"
        self.reload()

    def reload(self) -> None:
        """The capture is complete, or has more packets."""
        if self._session.follows:
            self._look()

    @work(thread=True, exclusive=True, group="patterns")
    def _look(self) -> None:
        worker = get_current_worker()
        found = self._session.patterns()
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, found)

    def _found(self, found: list[Pattern]) -> None:
        self._patterns = found
        self.border_subtitle = f"{counted(len(found), 'pattern')}, the surest first"
        self.renew()

    def entries(self, width: int) -> Iterator[Entry]:
        from inspector.annotations.patterns import cost_words

        wide = width >= WIDE
        indent = NAME + 2 if wide else 2
        for place, pattern in enumerate(self._patterns or []):
            sure = f"{pattern.confidence.name.lower()} confidence"
            texts = [(pattern.about, ""), *((f"+ {text}", "") for text in pattern.evidence)]
            texts += [(f"− {text}", "two") for text in pattern.counter]
            texts.append((f"cost: {cost_words(pattern.cost)}", "dim"))
            if pattern.cost.instead:
                texts.append((f"instead: {pattern.cost.instead}", "dim"))
            lines: list[list[Piece]] = []
            if not wide:
                lines.append([(f"{pattern.name}  ", "one"), (sure, "dim")])
            for text, style in texts:
                for piece in textwrap.wrap(printable(text), max(width - indent - 1, TEXT), subsequent_indent="  "):
                    lead = (pattern.name, sure)[len(lines)] if wide and len(lines) < 2 else ""
                    lines.append([(fit(lead, indent), "one" if not len(lines) else "dim"), (piece, style)])
            lines.append([(" " * indent, ""), (packet_links(pattern.packets, self.link(place)), "dim")])
            yield Entry(lines, pattern.packets)

    def heading(self, width: int, line: int) -> str:
        if self._patterns is None:
            return " looking through the exchanges"
        if not self._patterns:
            return " no pattern is recognised: this capture shows no exchange"
        words = "Whose; what speaks for it (+) and against it (−); its cost"
        return f"  {fit('Pattern', NAME + 2)}{words}" if width > WIDE else "  Pattern"


class PatternsView(View):
    """The patterns of the whole capture."""

    key = "patterns"
    title = "Patterns"
    tells = (
        "How the programs talk: polling, push, jobs, pools. What speaks for it (+), what against it (−), and what "
        "it costs."
    )
    keys = (
        ("← → Enter", "choose one of the packets; go there"),
    )

    def compose(self) -> ComposeResult:
        yield PatternList(self.session, id="patterns", classes="pane")

    def chosen(self) -> tuple[int, int] | None:
        number = self.query_one(PatternList).packet
        return (self.session.index.flow_of(number), number) if number else None

    def loaded(self) -> None:
        self.query_one(PatternList).reload()
