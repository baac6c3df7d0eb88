"""The State: what each layer remembers at a packet, at either end; what changed there; and whether the server could restart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from inspector.annotations.osi import NAMES
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.views.view import View, neighbour
from inspector.tui.widgets.entry_list import Entry, EntryList, packet_links
from inspector.tui.widgets.line_list import Piece

if TYPE_CHECKING:
    from inspector.annotations.state import Answer, Fact, State

WIDE = 100  # columns from which on each end has a column of its own
PROTOCOL, NAME, GAP = 12, 28, 2  # cells of the columns in front of the values, and between those
CHANGED = "◆ "
BOTH = "both  "
LARGE = 20_000  # packets from which on what its own conversation says is shown before all others are read
AGEING = ("remembered answer",)  # its lifetime counts down with every packet: that is no change
ENDS = ("client", "server")
Key = tuple[int, str, str, str]  # layer, protocol, holder, name


class Line(NamedTuple):
    """A line of the table: one thing that is remembered, by the client, by the server, or by both."""

    osi: int
    protocol: str
    name: str
    facts: dict[str, Fact]  # by who remembers it: `client` and `server`, or `both`

    @property
    def packets(self) -> tuple[int, ...]:
        """That show it."""
        return tuple(dict.fromkeys(fact.packet for fact in self.facts.values() if fact.packet))


def arranged(facts: Sequence[Fact]) -> list[Line]:
    """What both ends remember of the same thing stands in one line."""
    found: list[Line] = []
    for fact in facts:
        peer = next((line for line in found if line[:3] == (fact.osi, fact.protocol, fact.name)), None)
        if peer is not None and fact.holder in ENDS and not {"both", fact.holder} & set(peer.facts):
            peer.facts[fact.holder] = fact
        else:
            found.append(Line(fact.osi, fact.protocol, fact.name, {fact.holder: fact}))
    return found


class StateTable(EntryList):
    """The lines by layer, 7 at the top; then the question of the restart."""

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self.state: State | None = None
        self._before: dict[Key, list[str]] | None = None  # values at the packet before; None where there is none
        self._rows: list[Line | Answer | None] = []  # what each entry is about
        self.nothing = "no packet is chosen"

    def show(self, state: State, before: State | None) -> None:
        """Another packet. before: the state at the packet before it in its conversation."""
        self.state = state
        self._before = None
        if before is not None:
            self._before = {}
            for fact in before.facts:
                self._before.setdefault((fact.osi, fact.protocol, fact.holder, fact.name), []).append(fact.value)
        changes = sum(self.was(fact) is not None for fact in state.facts)
        self.border_subtitle = f"{len(state.facts)} things remembered, {changes} {CHANGED}changed here" if state.facts else ""
        self._links.clear()
        self.fold()

    @property
    def _number(self) -> int:
        return self.state.packet if self.state is not None else 0

    @property
    def row(self) -> Line | Answer | None:
        """What the cursor is on."""
        return self._rows[self.place] if 0 <= self.place < len(self._rows) else None

    def was(self, fact: Fact) -> str | None:
        """What stood there before this packet: None where nothing changed, empty where it is new."""
        if self._before is None:  # its conversation begins here
            return "" if fact.packet == self._number else None
        if fact.name in AGEING and fact.packet != self._number:
            return None
        values = self._before.get((fact.osi, fact.protocol, fact.holder, fact.name), [])
        return None if fact.value in values else values[0] if len(values) == 1 else ""

    # --- lines

    def entries(self, width: int) -> Iterator[Entry]:
        self._rows = []
        state = self.state
        if state is None:
            return
        osi, protocol = 0, ""
        for line in arranged(state.facts):
            if line.osi != osi:
                osi, protocol = line.osi, ""
                self._rows.append(None)
                yield Entry([[(f"{osi} {NAMES[osi]}", "head")]], stops=False)
            self._rows.append(line)
            lead = f"  {fit(line.protocol if line.protocol != protocol else '', PROTOCOL)}"
            protocol = line.protocol
            yield Entry((self._wide if width >= WIDE else self._narrow)(line, lead, width), line.packets)
        if not state.whole:
            when = "reading all conversations …" if self._session.complete else "once the capture has ended"
            self._rows.append(None)
            yield Entry([[("", "")], [(f"Cookies, and whether the server could restart: {when}", "dim")]], stops=False)
        if state.restart is not None:
            self._rows.append(None)
            first, second = state.restart.between
            where = f"between packets {first} and {second}" if second else "here"
            yield Entry([[("", "")], [(f"Could the server restart {where}?", "head")]], stops=False)
            self._rows.append(state.restart)
            yield Entry(list(self._answer(state.restart, width)), state.restart.packets)

    def _words(self, fact: Fact) -> tuple[str, str]:
        """The value, marked where it changed, and its style."""
        was = self.was(fact)
        return (printable(fact.value), "") if was is None else (CHANGED + printable(fact.value), "two")

    def _wide(self, line: Line, begin: str, width: int) -> list[list[Piece]]:
        lead = len(begin) + NAME + GAP
        both = "both" in line.facts
        column = width - lead - len(BOTH) - GAP if both else (width - lead) // 2 - GAP
        cells = [line.facts.get(end) for end in (("both",) if both else ENDS)]
        words = [("", "") if fact is None else self._words(fact) for fact in cells]
        folded = [textwrap.wrap(text, column) or [""] for text, _ in words]
        names = textwrap.wrap(line.name, NAME)
        lines: list[list[Piece]] = []
        for at in range(max(len(names), *map(len, folded))):
            name = names[at] if at < len(names) else ""
            pieces: list[Piece] = [(begin if at == 0 else " " * len(begin), "dim"), (fit(name, NAME + GAP), "")]
            if both:
                pieces.append((BOTH if at == 0 else " " * len(BOTH), "dim"))
            for texts, (_, style) in zip(folded, words, strict=True):
                pieces += [(fit(texts[at] if at < len(texts) else "", column), style), (" " * GAP, "")]
            lines.append(pieces)
        return lines

    def _narrow(self, line: Line, begin: str, width: int) -> list[list[Piece]]:
        """Values in the line of their name where there is room, else each in lines of its own."""
        words = [(holder, *self._words(fact)) for holder, fact in line.facts.items()]
        pieces: list[Piece] = [(begin, "dim"), (f"{line.name}: ", "")]
        for holder, text, style in words:
            pieces += [(f"{holder} ", "dim"), (text + "  ", style)]
        if sum(cell_len(text) for text, _ in pieces) <= width:
            return [pieces]
        lines: list[list[Piece]] = [pieces[:2]]
        for holder, text, style in words:
            for at, piece in enumerate(textwrap.wrap(text, max(width - 14, 20))):
                lines.append([(f"    {holder if at == 0 else '':8}", "dim"), (piece, style)])
        return lines

    def _answer(self, answer: Answer, width: int) -> Iterator[list[Piece]]:
        verdict = answer.verdict[:1].upper() + answer.verdict[1:]
        for text in textwrap.wrap(f"{verdict}: {printable(answer.why)}.", max(width - 4, 20)):
            yield [("  " + text, "")]
        if answer.packets:
            yield [(f"  {packet_links(answer.packets, self.link(len(self._rows) - 1))}", "dim")]

    def heading(self, width: int, line: int) -> str:
        state = self.state
        if state is None:
            return ""
        if not state.facts:
            return " nothing is remembered of this packet: it belongs to no conversation"
        if width - 2 < WIDE:
            return f"  What is remembered, by whom   {CHANGED}changed at this packet"
        lead = 2 + PROTOCOL + NAME + GAP
        column = (width - 2 - lead) // 2 - GAP
        return "  " + fit(f"  {'Layer':{PROTOCOL}}What is remembered", lead) + fit("Client", column + GAP) + "Server"

    def moved(self) -> None:
        self.post_message(self.Moved())

    class Moved(Message):
        """The cursor stands on another line."""


class StateView(View):
    """The state at a packet; `,` and `.` step through its conversation."""

    key = "state"
    title = "State"
    tells = (
        "What each layer remembers at either end once the packet has arrived; ◆ is what this packet changed. The "
        "last lines say whether the server could restart here without anybody noticing."
    )
    keys = (
        (", .", "at the packet before; at the next one"),
        ("← → Enter", "choose one of the packets that show it; go there"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("comma", "step(-1)", "Packet before, next", key_display=", ."),
        Binding("full_stop", "step(1)", "Next packet", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.number = 0
        self._whole = False  # all conversations have been read once

    def compose(self) -> ComposeResult:
        yield StateTable(self.session, id="state", classes="pane")
        with VerticalScroll(id="about", classes="pane"):
            yield Static(id="about-text", markup=False)

    def on_mount(self) -> None:
        self.query_one("#about").border_title = "About it"

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        self._at(number)

    def chosen(self) -> tuple[int, int] | None:
        return (self.session.index.flow_of(self.number), self.number) if self.number else None

    def loaded(self) -> None:
        if self.number:
            self._at(self.number)

    def _at(self, number: int) -> None:
        self.number = number
        table = self.query_one(StateTable)
        if number:
            table.nothing = "reading the conversation …"
        if not number or not self.session.follows:
            table.border_title = "State"
            return
        if table.state is None or table.state.packet != number:
            table.border_title = f"State once packet {number} has arrived: reading …"
        self._read(number)

    @work(thread=True, exclusive=True, group="state")
    def _read(self, number: int) -> None:
        """First of its own conversation, where reading all of them takes time; of a growing capture, that alone."""
        worker, session = get_current_worker(), self.session
        quick = self._whole or session.count < LARGE
        for whole in [False] if not session.complete else [True] if quick else [False, True]:
            found = session.state(number, whole)
            last = neighbour(session, number, -1) if found.flow >= 0 else 0
            before = session.state(last, whole) if last and not worker.is_cancelled else None
            row = session.row(number)
            if worker.is_cancelled:
                return
            self._whole = self._whole or whole
            self.app.call_from_thread(self._shown, found, before, f"{row.protocol}  {row.info}")

    def _shown(self, found: State, before: State | None, words: str) -> None:
        table = self.query_one(StateTable)
        table.border_title = Content(f"State once packet {found.packet} has arrived: {fit(words, min(len(words), 60))}")
        table.show(found, before)

    # --- about the line under the cursor

    @on(StateTable.Moved)
    def _tell(self) -> None:
        table = self.query_one(StateTable)
        text = Text()
        row = table.row
        if isinstance(row, Line):
            for holder, fact in row.facts.items():
                who = "both ends" if holder == "both" else f"the {holder}"
                text.append(f"{fact.protocol}, {who}: ", "bold")
                text.append(f"{fact.name}: {printable(fact.value)}")
                was = table.was(fact)
                if was:
                    text.append(f"  (before this packet: {printable(was)})")
                elif was == "":
                    text.append("  (new)")
                shown = f"packet {fact.packet} shows it" if fact.packet else "no packet shows it"
                text.append(f"  {shown} · {fact.reference}\n", "dim")
        elif row is not None:
            text.append("The question behind statelessness: ", "bold")
            text.append("does the next request say all that it needs, or does the server have to remember the one before?")
        self.query_one("#about-text", Static).update(text)

    # --- keys

    def action_step(self, by: int) -> None:
        """To the next packet of this conversation, or the one before; without a conversation, of the capture."""
        number = neighbour(self.session, self.number, by)
        if number:
            self._at(number)
