"""The Findings: what stands out in the capture, the worst first; each leads to the packet that proves it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.core.layer import Severity
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.messages import GoTo
from inspector.tui.views.view import View
from inspector.tui.widgets.line_list import LineList, Piece

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding

MARKS = {Severity.ERROR: "E", Severity.WARNING: "W", Severity.NOTE: "N"}
CODE, WHERE = 24, 9  # cells of the columns in front of the sentences
TEXT = 24  # cells that are left to a sentence at least
Shown = tuple[int, str, str, str]  # the finding's place, what stands in front, the text, its style


class FindingList(LineList):
    """A few lines a finding: what and where, then the cure, and the packets that prove it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "packet", "Its packet"),
        Binding("right,l", "evidence(1)", "Next packet of its evidence", show=False),
        Binding("left,h", "evidence(-1)", "Packet before", show=False),
    ]

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._findings: list[Finding] | None = None
        self._lines: list[Shown] = []
        self._width = 0
        self._evidence: dict[int, int] = {}  # of each finding, which of its packets Enter leads to

    def on_mount(self) -> None:
        self.border_title = "Findings"
        self.reload()

    # --- data

    @property
    def total(self) -> int:
        return len(self._lines)

    @property
    def place(self) -> int:
        """The finding under the cursor, -1 for none."""
        return self._lines[self.position][0] if self._lines else -1

    @property
    def finding(self) -> Finding | None:
        return self._findings[self.place] if self._findings and self.place >= 0 else None

    @property
    def packet(self) -> int:
        """The packet that Enter leads to."""
        finding = self.finding
        return 0 if finding is None else finding.packets[self._evidence.get(self.place, 0)]

    def reload(self) -> None:
        """The capture is complete, or has more packets."""
        if self._session.complete:
            self._look()

    @work(thread=True, exclusive=True, group="findings")
    def _look(self) -> None:
        worker = get_current_worker()
        found = self._session.findings()
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, found)

    def _found(self, found: list[Finding]) -> None:
        self._findings = found
        self._evidence.clear()
        from inspector.annotations.findings.finding import counted

        counts = [counted(sum(one.severity == severity for one in found), severity.name.lower()) for severity in MARKS]
        self.border_subtitle = ", ".join(counts)
        self._fold()

    def _fold(self) -> None:
        """The lines, for the width that there is."""
        place, self._width = self.place, self.room
        width = max(self._width - CODE - WHERE - 6, TEXT)
        self._lines = []
        for at, finding in enumerate(self._findings or []):
            where = f"tcp {finding.stream}" if finding.stream >= 0 else ""
            lead = f"{MARKS[finding.severity]}  {fit(finding.code, CODE)} {fit(where, WHERE)}  "
            style = "error" if finding.severity == Severity.ERROR else "two" if finding.severity == Severity.WARNING else ""
            blank = " " * len(lead)
            for row, text in enumerate(textwrap.wrap(printable(finding.cause), width)):
                self._lines.append((at, lead if row == 0 else blank, text, style))
            for row, text in enumerate(textwrap.wrap(printable(finding.cure), width - 2)):
                self._lines.append((at, blank, ("→ " if row == 0 else "  ") + text, "dim"))
            self._lines.append((at, blank, self._packets(at, finding, width), "dim"))
        self.resize_lines()
        if place >= 0:
            self._choose(place)

    def _packets(self, place: int, finding: Finding, width: int) -> str:
        chosen = self._evidence.get(place, 0)
        numbers = [f"[{number}]" if at == chosen else str(number) for at, number in enumerate(finding.packets)]
        word = "packet" if len(numbers) == 1 else "packets"
        return fit(f"{word} {' '.join(numbers)}  {finding.reference}", width).rstrip()

    def _choose(self, place: int) -> None:
        self.put(next((at for at, line in enumerate(self._lines) if line[0] == place), self.position))

    # --- keys

    def action_move(self, by: int) -> None:
        """To the finding after this one, or before."""
        if self._findings:
            self._choose(max(0, min(self.place + by, len(self._findings) - 1)))

    def action_packet(self) -> None:
        if self.packet:
            self.post_message(GoTo(self.packet))

    def action_evidence(self, by: int) -> None:
        finding = self.finding
        if finding is not None:
            at = self._evidence.get(self.place, 0) + by
            self._evidence[self.place] = max(0, min(at, len(finding.packets) - 1))
            self._fold()

    # --- drawing

    def on_resize(self) -> None:
        if self.room != self._width:
            self._fold()
        super().on_resize()

    def heading(self, width: int, line: int) -> str:
        if self._findings is None:
            return " looking through the capture"
        if not self._findings:
            return " nothing stands out in this capture"
        return f"     {'Finding':{CODE}} {'Where':{WHERE}}  What is wrong or worth knowing"

    def line(self, position: int, width: int) -> list[Piece]:
        place, lead, text, style = self._lines[position]
        mark = "▶ " if place == self.place else "  "
        return [(mark + lead, style), (text, style)]


class FindingsView(View):
    """The findings of the whole capture."""

    key = "findings"
    title = "Findings"

    def compose(self) -> ComposeResult:
        yield FindingList(self.session, id="findings", classes="pane")

    def chosen(self) -> tuple[int, int] | None:
        number = self.query_one(FindingList).packet
        return (self.session.index.flow_of(number), number) if number else None

    def loaded(self) -> None:
        self.query_one(FindingList).reload()
