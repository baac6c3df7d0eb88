"""The OSI walk: a message down the sender's seven layers and up the receiver's, a step a layer, its bytes lit in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static
from textual.worker import get_current_worker

from inspector.core.span import trace
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import fit, right
from inspector.tui.messages import GoTo
from inspector.tui.views.view import View, neighbour
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.line_list import LineList, Piece

if TYPE_CHECKING:
    from inspector.annotations.walk import Stage, Walk

LAYERS = 7
STEPS = 2 * LAYERS  # seven down, seven up
NAME = 15  # cells of a layer's number and name
ADDED = 10  # and of the bytes that it adds
WIDE = 100  # columns from which on there is room for what stands at a layer, beside its name
OWN, CARRIED, MESSAGE, BITS = "█", "░", "▒", "▔▁"
SHOWN = 200  # ranges of a buffer that are lit


class WalkPicture(LineList):
    """The layers, 7 at the top, each with its bytes to scale: what it adds in front of what it carries.

    step: 0 to 6 down the sender's stack, 7 to 13 up the receiver's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Step", key_display="↓ ↑"),
        Binding("left,h", "side(0)", "Down", show=False),
        Binding("right,l", "side(1)", "Up", show=False),
    ]

    class Moved(Message):
        """Another step was taken."""

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self.walk: Walk | None = None
        self.nothing = "no packet is chosen"
        self.step = 0

    # --- steps

    @property
    def total(self) -> int:
        return len(self.walk.stages) if self.walk is not None else 0

    @property
    def goes_up(self) -> bool:
        return self.step >= LAYERS

    @property
    def stage(self) -> Stage | None:
        """The layer of this step."""
        return self.walk.stages[self.position] if self.walk is not None and self.walk.stages else None

    def show(self, walk: Walk) -> None:
        """Another message; the step stays."""
        self.walk = walk
        self.resize_lines()
        self.take(self.step)

    def take(self, step: int) -> None:
        """Take a step."""
        self.step = max(0, min(step, STEPS - 1))
        self.put(self.step if not self.goes_up else STEPS - 1 - self.step)

    def moved(self) -> None:
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        self.take(self.step + by)

    def action_page(self, by: int) -> None:
        self.take(self.step + by * LAYERS)

    def action_first(self) -> None:
        self.take(0)

    def action_last(self) -> None:
        self.take(STEPS - 1)

    def action_side(self, up: int) -> None:
        """The same layer on the other side."""
        if bool(up) != self.goes_up:
            self.take(STEPS - 1 - self.step)

    def line_clicked(self, position: int, x: int) -> None:
        """The layer on the side that was clicked."""
        self.take(STEPS - 1 - position if x >= self.room // 2 else position)

    # --- drawing: ▼ layer, what stands there, bytes added, │ bar │ ▲

    def heading(self, width: int, line: int) -> str:
        if self.walk is None:
            return ""
        what = self._what(width)
        bar = width - NAME - what - ADDED - 6
        return f"{'▼':3}{'Sender':{NAME}}{fit('What stands there', what)}{right('Adds', ADDED)} {right('Receiver ', bar)} ▲"

    @staticmethod
    def _what(width: int) -> int:
        """Cells for the protocols of a layer."""
        return max((width - NAME - ADDED - 6) // 3, 0) if width >= WIDE else 0

    def line(self, position: int, width: int) -> list[Piece]:
        assert self.walk is not None
        stage = self.walk.stages[position]
        what = self._what(width)
        room = width - NAME - what - ADDED - 6
        here = position == self.position
        style = "" if not here else "head" if self.goes_up else "cursor"
        down, up = ("▼" if here and not self.goes_up else " "), ("▲" if here and self.goes_up else " ")
        added = f"{stage.added:+,} B" if stage.added else ""
        return [
            (f"{down}  {fit(f'{stage.osi} {stage.name}', NAME)}", style),
            (fit(printable(stage.what), what), style or "dim"),
            (right(added, ADDED) + " ", style),
            *self._bar(position, room),
            (f" {up}", "cursor" if here and self.goes_up else ""),
        ]

    def _bar(self, position: int, room: int) -> list[Piece]:
        """What the layer adds, in front of what it carries, set to the right; all layers to one scale."""
        assert self.walk is not None
        cells = self._cells(room)
        stage, last = self.walk.stages[position], cells[position + 1]
        inner, own = cells[position], max(last - cells[position], 0)
        if stage.osi == 1:
            return [((BITS * room)[:room], "dim")]
        filler = MESSAGE if position == 0 else CARRIED
        if last < inner:  # compressed: less than before
            return [(" " * (room - last), ""), (OWN * last, "one")]
        return [(" " * (room - last), ""), (OWN * own, "one"), (filler * inner, "two" if position == 0 else "dim")]

    def _cells(self, room: int) -> list[int]:
        """Cells of the message, and of all bytes there are after each layer; each layer that adds something is seen."""
        assert self.walk is not None
        sizes = [self.walk.content]
        for stage in self.walk.stages:
            sizes.append(max(sizes[-1] + stage.added, 0))
        largest = max(*sizes, 1)
        cells = [max(round(size * room / largest), 1 if size else 0) for size in sizes]
        for at in range(len(sizes) - 1, 0, -1):  # from the outside in, so that the largest keeps to the room
            if sizes[at] >= sizes[at - 1]:
                cells[at - 1] = min(cells[at - 1], cells[at] - (sizes[at] > sizes[at - 1]))
        return [max(count, 0) for count in cells]

    def render_line(self, y: int) -> Strip:
        """The line of the step keeps its colours: the bars would be lost in the cursor's."""
        position = int(self.scroll_offset.y) + y - self.head
        if y < self.head or not 0 <= position < self.total:
            return super().render_line(y)
        strip = Strip([Segment(text, self.style(name)) for text, name in self.line(position, self.room)])
        return strip.adjust_cell_length(self.room, self.rich_style)


class WalkView(View):
    """The walk of the message that a packet completes; `,` and `.` go on to other packets of its conversation."""

    key = "walk"
    title = "Walk"
    tells = (
        "A message on its way down the sender's seven layers and up the receiver's: what each adds (█), what it "
        "only carries (░), who on the way looks at it, and where its bytes lie."
    )
    keys = (
        ("↓ ↑", "the next step; the one before"),
        ("← →", "the sender's side; the receiver's"),
        (", .", "the packet before; the next one"),
        ("Enter", "to the packet"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("comma", "step(-1)", "Packet before, next", key_display=", ."),
        Binding("full_stop", "step(1)", "Next packet", show=False),
        Binding("enter", "open", "Packet"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.number = 0

    def compose(self) -> ComposeResult:
        yield WalkPicture(id="walk", classes="pane")
        with VerticalScroll(id="stage", classes="pane"):
            yield Static(id="stage-text", markup=False)
        yield HexView(id="stage-bytes", classes="pane")

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        if number != self.number:
            self.query_one(WalkPicture).step = 0
        self._at(number)

    def chosen(self) -> tuple[int, int] | None:
        return (self.session.index.flow_of(self.number), self.number) if self.number else None

    def loaded(self) -> None:
        if self.number:
            self._at(self.number)

    def _at(self, number: int) -> None:
        self.number = number
        if number:
            self.query_one(WalkPicture).nothing = "reading the message …"
        if number and self.session.follows:
            self._walk(number)

    @work(thread=True, exclusive=True, group="walk")
    def _walk(self, number: int) -> None:
        from inspector.annotations.walk import walk

        worker = get_current_worker()
        found = walk(self.session, number)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._walked, found)

    def _walked(self, found: Walk) -> None:
        picture = self.query_one(WalkPicture)
        message = printable(found.message, 90) or "nothing here can be read"
        picture.border_title = Content(f"Walk of packet {found.packet}: {message}")
        picture.border_subtitle = f"{found.content:,} bytes in {found.wire:,} on the wire"
        picture.show(found)

    # --- the step

    @on(WalkPicture.Moved)
    def _moved(self) -> None:
        picture = self.query_one(WalkPicture)
        stage, walk = picture.stage, picture.walk
        if stage is None or walk is None:
            return
        side = "up the receiver's stack" if picture.goes_up else "down the sender's stack"
        pane = self.query_one("#stage")
        pane.border_title = f"Step {picture.step + 1} of {STEPS}, {side}: {stage.osi} {stage.name}"
        self.query_one("#stage-text", Static).update(self._text(walk, stage, picture.goes_up))
        pane.scroll_home(animate=False)
        self._light(walk, stage)

    def _text(self, walk: Walk, stage: Stage, up: bool) -> Text:
        text = Text()
        if up:
            text.append(f"{stage.up[:1].upper()}{stage.up[1:]}. ")
        text.append(f"{printable(stage.what)}" if stage.osi > 1 else stage.what, "bold")
        if stage.added:
            share = f", {abs(stage.added) / walk.wire:.1%} of what is on the wire" if walk.wire else ""
            verb = ("takes off" if up else "adds") if stage.added > 0 else ("gives back" if up else "saves")
            text.append(f" {verb} {abs(stage.added):,} bytes{share}")
        text.append(".\n")
        if stage.looks:
            text.append("Looked at on the way by ", "bold")
            text.append(f"{stage.looks}.\n")
        carried = ", ".join(map(str, walk.packets[:6])) + (f" … {len(walk.packets):,} in all" if len(walk.packets) > 6 else "")
        over = walk.wire - walk.content
        text.append("Overhead ", "bold")
        text.append(" · ".join(f"{one.osi} {one.name} {one.added:+,}" for one in walk.stages if one.added) or "none")
        if over >= 0 and walk.wire:
            text.append(f": {over:,} of {walk.wire:,} bytes, {over / walk.wire:.0%}")
        text.append(f". Carried by packet{'s' if len(walk.packets) > 1 else ''} {carried}.\n")
        for lie in walk.lies:
            text.append("What is written and not so: ", "bold")
            text.append(f"{printable(lie)}.\n")
        return text

    def _light(self, walk: Walk, stage: Stage) -> None:
        """The bytes that the layer added, where they lie: in a frame, or in what was taken out of the layers below."""
        pane = self.query_one(HexView)
        if not stage.spans:
            frame = self.session.frame(walk.packets[0])
            pane.border_title = f"Bytes of {frame.id.replace(':', ' ')}"
            pane.show(frame, [(0, frame.size)] if stage.osi == 1 else [], [])
            pane.border_subtitle = "all of them, as bits" if stage.osi == 1 else "none of them is this layer's own"
            return
        first = stage.spans[0]
        places = [place for span in stage.spans[:SHOWN] for place in (trace(span) if first.exact else [span])]
        if any(not place.exact for place in places) or not places:
            places = list(stage.spans[:SHOWN])  # deciphered or decompressed: they stand nowhere else
        buffer = places[0].buffer
        lit = [(place.start, place.stop) for place in places if place.buffer == buffer]
        pane.border_title = f"Bytes of {buffer.id.replace(':', ' ')}" + (f" ({buffer.kind})" if buffer.kind != "frame" else "")
        size = sum(stop - start for start, stop in lit)
        pane.border_subtitle = f"{size:,} bytes are this layer's own" if size == stage.added else f"{size:,} bytes in its form"
        pane.show(buffer, lit, [])

    # --- keys

    def action_step(self, by: int) -> None:
        number = neighbour(self.session, self.number, by)
        if number:
            self._at(number)

    def action_open(self) -> None:
        if self.number:
            self.post_message(GoTo(self.number))
