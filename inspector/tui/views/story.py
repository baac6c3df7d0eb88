"""The Story: what happens in the capture, in plain sentences; groups open, and each step leads to its packet."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.worker import get_current_worker

from inspector.core.text import counted, printable
from inspector.session import Session
from inspector.tui.cells import fit, right
from inspector.tui.messages import GoTo
from inspector.tui.views.view import View
from inspector.tui.widgets.line_list import LineList, Piece

if TYPE_CHECKING:
    from inspector.annotations.story import Step

TIME, PACKETS = 11, 16  # cells of the columns in front of the sentences
NARROW, FEWER = 100, 8  # columns below which the packets have so many cells
FEW = 80  # steps that are shown with their groups open


class Shown(NamedTuple):
    """A line: a piece of a step's sentence. place: of the step among those in view; first: the step begins here."""

    step: Step
    place: int
    depth: int
    text: str
    first: bool


class StoryList(LineList):
    """The sentences, folded to the width; the cursor goes from step to step."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Packet, or open"),
        Binding("p", "packet", "Packet", show=False),
        Binding("right,l", "turn(True)", "Open", show=False),
        Binding("left,h", "turn(False)", "Close", show=False),
        Binding("o", "all", "Open all"),
    ]

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._steps: list[Step] | None = None
        self._opened: set[int] = set()  # ids of the steps whose inner ones are shown
        self._lines: list[Shown] = []
        self._width = 0
        self._said = "reading the capture"
        self._wanted = 0  # the packet whose step is to be shown once the story is told

    def on_mount(self) -> None:
        self.border_title = "Story"
        self.reload()

    # --- data

    @property
    def total(self) -> int:
        return len(self._lines)

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        return self._lines[self.position].step if self._lines else None

    def reload(self) -> None:
        """Tell it anew: the capture is complete, or has more packets."""
        if self._session.follows:
            self._tell()

    @work(thread=True, exclusive=True, group="story")
    def _tell(self) -> None:
        worker, said = get_current_worker(), 0.0

        def progress(share: float) -> None:
            nonlocal said
            if share - said >= 0.05 and not worker.is_cancelled:
                said = share
                self.app.call_from_thread(self._progress, share)

        steps = self._session.story(progress)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._told, steps)

    def _progress(self, share: float) -> None:
        self._said = f"reading the capture {share:.0%}"
        self.refresh()

    def _told(self, steps: list[Step]) -> None:
        first, self._steps = self._steps is None, steps
        self._said, self.nothing = "", "nothing to tell of this capture"
        if sum(1 + len(step.steps) for step in steps) <= FEW:
            self._opened = {id(step) for step in steps if step.kind == "group"}
        self.border_subtitle = counted(len(steps), "step")
        self._fold()
        if first or self._session.complete:  # of a growing capture, the cursor stays where the user has put it
            self.near(self._wanted)

    def _fold(self) -> None:
        """The lines of the steps in view, for the width that there is."""
        step = self.step
        self._width = self.room
        self._lines = []
        place = 0

        def add(steps: list[Step] | tuple[Step, ...], depth: int) -> None:
            nonlocal place
            for one in steps:
                width = max(self._width - TIME - self._packets - 4 - 2 * depth, 24)
                mark = "" if not one.steps else "▾ " if id(one) in self._opened else "▸ "
                pieces = textwrap.wrap(mark + printable(one.text), width) or [""]
                self._lines += [Shown(one, place, depth, piece, at == 0) for at, piece in enumerate(pieces)]
                place += 1
                if id(one) in self._opened:
                    add(one.steps, depth + 1)

        add(self._steps or [], 0)
        self.resize_lines()
        if step is not None:
            self._choose(step)

    def _choose(self, step: Step) -> None:
        self.put(next((at for at, line in enumerate(self._lines) if line.step is step), self.position))

    def near(self, number: int) -> None:
        """The cursor on the last step that begins before or with a packet."""
        self._wanted = number
        found = [at for at, line in enumerate(self._lines) if line.first and line.step.first <= number]
        if found:
            self.put(found[-1])

    # --- keys

    def action_move(self, by: int) -> None:
        """To the step after this one, or before."""
        if not self._lines:
            return
        place = self._lines[self.position].place + by
        at = next((at for at, line in enumerate(self._lines) if line.place == place), None)
        if at is not None:
            self.put(at)

    def action_open(self) -> None:
        """A group opens or closes; any other step leads to its packet."""
        if self.step is not None and self.step.steps:
            self.action_turn(id(self.step) not in self._opened)
        else:
            self.action_packet()

    def action_packet(self) -> None:
        if self.step is not None and self.step.first:
            self.post_message(GoTo(self.step.first))

    def action_turn(self, opens: bool) -> None:
        step = self.step
        if step is None or not step.steps or opens == (id(step) in self._opened):
            return
        if opens:
            self._opened.add(id(step))
        else:
            self._opened.discard(id(step))
        self._fold()

    def action_all(self) -> None:
        """Open every group, or close all."""

        def groups(steps: list[Step] | tuple[Step, ...]) -> set[int]:
            own = {id(step) for step in steps if step.steps}
            return own.union(*(groups(step.steps) for step in steps))

        found = groups(self._steps or [])
        self._opened = set() if found <= self._opened else found
        self._fold()

    # --- drawing

    def on_resize(self) -> None:
        if self.room != self._width:
            self._fold()

    def heading(self, width: int, line: int) -> str:
        if self._said:
            return f" {self._said}"
        return f"{'Time':>{TIME}}  {'Packets':{self._packets}}  What happens"

    @property
    def _packets(self) -> int:
        """Cells of the column of packets."""
        return PACKETS if self.room >= NARROW else FEWER

    def line(self, position: int, width: int) -> list[Piece]:
        shown = self._lines[position]
        step = shown.step
        if shown.first:
            base = self._session.time_of(1)
            from inspector.annotations.story import ranges

            packets = ranges(step.packets) if len(step.packets) < 50 else f"{step.packets[0]} … {step.packets[-1]}"
            if len(packets) > self._packets:
                packets = f"{step.packets[0]} … {step.packets[-1]}"
            lead = f"{right(f'{(step.begun - base) / 1e9:.6f}', TIME)}  {fit(packets, self._packets)}  "
        else:
            lead = " " * (TIME + self._packets + 4)
        style = {"trouble": "error", "group": "two"}.get(step.kind, "")
        return [(lead, "dim"), ("  " * shown.depth + shown.text, style)]

    def render_line(self, y: int) -> Strip:
        """All lines of the step under the cursor stand out, not only the one that the cursor is on."""
        position = int(self.scroll_offset.y) + y - self.head
        if y >= self.head and position < self.total and self._lines[position].place == self._lines[self.position].place:
            text = "".join(text for text, _ in self.line(position, self.room))
            return Strip([Segment(fit(text, self.room), self.style("cursor"))], self.room)
        return super().render_line(y)


class StoryView(View):
    """The story of the whole capture."""

    key = "story"
    title = "Story"
    tells = (
        "The capture in plain sentences, in order. What repeats itself is told once, as a group."
    )
    keys = (
        ("Enter", "to the packet of the sentence; open or close a group"),
        ("p", "to the packet, of a group too"),
        ("o", "open all groups, or close them"),
    )

    def compose(self) -> ComposeResult:
        yield StoryList(self.session, id="story", classes="pane")

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        if number:
            self.query_one(StoryList).near(number)

    def chosen(self) -> tuple[int, int] | None:
        step = self.query_one(StoryList).step
        if step is None:
            return None
        flow = step.flow if step.flow >= 0 else self.session.index.flow_of(step.first)
        return flow, step.first

    def loaded(self) -> None:
        self.query_one(StoryList).reload()
