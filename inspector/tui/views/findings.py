"""The Findings: what stands out in the capture, the worst first; each leads to the packet that proves it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.worker import get_current_worker

from inspector.core.layer import Severity
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.views.view import View
from inspector.tui.widgets.entry_list import Entry, EntryList, packet_links
from inspector.tui.widgets.line_list import Piece

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding

MARKS = {Severity.ERROR: "E", Severity.WARNING: "W", Severity.NOTE: "N"}
STYLES = {Severity.ERROR: "error", Severity.WARNING: "two", Severity.NOTE: ""}
CODE, WHERE = 24, 9  # cells of the columns in front of the sentences
NARROW = 90  # columns below which the sentences stand under their finding
TEXT = 24  # cells that are left to a sentence at least


class FindingList(EntryList):
    """A few lines a finding: what and where, then the cure, and the packets that prove it."""

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._findings: list[Finding] | None = None

    def on_mount(self) -> None:
        self.border_title = "Findings"
        self.reload()

    # --- data

    @property
    def finding(self) -> Finding | None:
        """The finding under the cursor."""
        return self._findings[self.place] if self._findings and self.place >= 0 else None

    def reload(self) -> None:
        """The capture is complete, or has more packets."""
        if self._session.follows:
            self._look()

    @work(thread=True, exclusive=True, group="findings")
    def _look(self) -> None:
        worker = get_current_worker()
        found = self._session.findings()
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, found)

    def _found(self, found: list[Finding]) -> None:
        from inspector.core.text import counted

        self._findings = found
        counts = [counted(sum(one.severity == severity for one in found), severity.name.lower()) for severity in MARKS]
        self.border_subtitle = ", ".join(counts)
        self.renew()

    def entries(self, width: int) -> Iterator[Entry]:
        for place, finding in enumerate(self._findings or []):
            where = f"tcp {finding.stream}" if finding.stream >= 0 else ""
            lead = f"{MARKS[finding.severity]}  {fit(finding.code, CODE)} {fit(where, WHERE)}  "
            style = STYLES[finding.severity]
            lines: list[list[Piece]] = []
            if self.room < NARROW:
                lines.append([(lead.rstrip(), style)])
                lead = "   "
            blank, room = " " * len(lead), max(width - len(lead) - 1, TEXT)
            for text in textwrap.wrap(printable(finding.cause), room):
                lines.append([(lead if not lines else blank, style), (text, style)])
            for row, text in enumerate(textwrap.wrap(printable(finding.cure), room - 2)):
                lines.append([(blank, ""), (("→ " if row == 0 else "  ") + text, "dim")])
            proof = f"{packet_links(finding.packets, self.link(place))}  {finding.reference}"
            lines.append([(blank, ""), (fit(proof, room).rstrip(), "dim")])
            yield Entry(lines, finding.packets)

    # --- drawing

    def heading(self, width: int, line: int) -> str:
        if self._findings is None:
            return " looking through the capture"
        if not self._findings:
            return " nothing stands out in this capture"
        return f"     {'Finding':{CODE}} {'Where':{WHERE}}  {'What is wrong or worth knowing' if width >= NARROW else ''}"


class FindingsView(View):
    """The findings of the whole capture."""

    key = "findings"
    title = "Findings"
    tells = (
        "What is wrong (E), doubtful (W) or worth knowing (N), the worst first: what the packets show, a cure (→), "
        "the packets that prove it, and where it is written down."
    )
    keys = (
        ("← → Enter", "choose one of the packets; go there"),
    )

    def compose(self) -> ComposeResult:
        yield FindingList(self.session, id="findings", classes="pane")

    def chosen(self) -> tuple[int, int] | None:
        number = self.query_one(FindingList).packet
        return (self.session.index.flow_of(number), number) if number else None

    def loaded(self) -> None:
        self.query_one(FindingList).reload()
