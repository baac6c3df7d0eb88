"""A conversation in time, drawn with textual-plot: bytes sent and acknowledged, or bits a second."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.theme import Theme
from textual.widgets import Static
from textual.worker import get_current_worker
from textual_hires_canvas import HiResMode
from textual_plot import PlotWidget
from textual_plot.axis_formatter import NumericAxisFormatter

from inspector.annotations.curves import Course, Curve
from inspector.core.field import endpoint_text
from inspector.session import Session

SMALLEST = 1000  # nanoseconds that the axis spans at least
LEFT = 9  # cells for the numbers on the left
HERE = "▲"  # the chosen packet, on the axis
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Look(NamedTuple):
    """How a curve is drawn: the words of its legend, its colour in the theme, its sign where it is single points, and whether a
    line is of fine dots or of blocks, so that two lines differ without colours."""

    words: str
    colour: str
    sign: str = ""
    dots: bool = True


LOOKS = {
    "window": Look("the window's end", "text-accent"), "acknowledged": Look("acknowledged", "text-success", dots=False),
    "sent": Look("sent", "text-primary"), "again": Look("sent again, or late", "text-error", "×"),
    "backward": Look("←", "text-warning", dots=False), "forward": Look("→", "text-primary"),
}  # in the order in which they are drawn: the last one is on top


class Counted(NumericAxisFormatter):
    """Numbers with k, M and G."""

    def __init__(self, unit: str) -> None:
        self._unit = unit

    def get_labels_for_ticks(self, ticks):  # type: ignore[no-untyped-def]
        top = max(map(abs, ticks), default=0)
        size, letter = next(((size, letter) for size, letter in UNITS if top >= size), (1, ""))
        labels = super().get_labels_for_ticks([tick / size for tick in ticks])
        return [f"{label}{letter}{self._unit}" for label in labels]


class Elapsed(NumericAxisFormatter):
    """Seconds, milliseconds or microseconds; the plot counts seconds."""

    def get_labels_for_ticks(self, ticks):  # type: ignore[no-untyped-def]
        top = max(map(abs, ticks), default=0)
        size, unit = (1.0, " s") if top >= 1 else (1e-3, " ms") if top >= 1e-3 else (1e-6, " µs")
        return [label + unit for label in super().get_labels_for_ticks([tick / size for tick in ticks])]


class Plot(PlotWidget, can_focus=False):
    """The library's widget with narrow margins; keys and mouse are those of the pane around it."""

    margin_top = reactive(0)
    margin_bottom = reactive(1)
    margin_left = reactive(LEFT)


class TimePlot(Vertical, can_focus=True):
    """One conversation as a plot, with the time of a chosen packet.

    by_sequence: bytes sent and acknowledged by one side; otherwise bits a second, both ways.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(0.5)", "Zoom", key_display="+ -"),
        Binding("minus", "zoom(2)", "Further", show=False),
        Binding("left,h", "pan(-0.25)", "Earlier", show=False),
        Binding("right,l", "pan(0.25)", "Later", show=False),
        Binding("home,g", "whole", "All", show=False),
        Binding("d", "direction", "Other direction"),
    ]

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._session = session
        self._course: Course | None = None
        self._count = -1  # packets of the capture when the columns were taken
        self._low, self._high = 0.0, 1.0  # nanoseconds since the conversation began
        self._ends = ("", "")
        self.flow = -1
        self.direction = 0
        self.packet = 0
        self.by_sequence = True

    def compose(self) -> ComposeResult:
        yield Plot(allow_pan_and_zoom=False)
        yield Static(id="legend-line", markup=False)

    # --- what is shown

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._recoloured)

    def _recoloured(self, theme: Theme) -> None:
        if self.flow >= 0:
            self._take()

    def show(self, flow: int, packet: int, by_sequence: bool) -> None:
        """A conversation, with a packet of it marked."""
        changed = flow != self.flow or self._count != self._session.count
        self.flow, self.packet, self.by_sequence = flow, packet, by_sequence
        if flow < 0:
            self.border_title = "this packet belongs to no conversation"
            return
        if changed:
            self._course = None
        self._take()

    @work(thread=True, exclusive=True, group="plot")
    def _take(self) -> None:
        """The columns, and from them as many points as there is room for."""
        worker, session = get_current_worker(), self._session
        course = self._course
        flows, flow = session.index.flows, self.flow
        if course is None:
            count = session.count
            course = Course(session.index, flow)
            source, target = flows.addresses(flow)
            ends = endpoint_text(source, flows.sport(flow)), endpoint_text(target, flows.dport(flow))
            if worker.is_cancelled:
                return
            self._course, self._count, self._ends = course, count, ends
            self.direction = course.fuller
            self._low, self._high = 0.0, float(max(course.lasts, SMALLEST))
        columns = max(self.size.width - LEFT - 4, 10) * 2  # two dots a cell
        if self.by_sequence:
            curves = course.sequence(self.direction, self._low, self._high, columns)
        else:
            curves = course.throughput(self._low, self._high, columns // 2)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._draw, curves)

    def _draw(self, curves: list[Curve]) -> None:
        plot = self.query_one(Plot)
        colours = self.app.theme_variables
        plot.clear()
        plot.set_x_formatter(Elapsed())
        plot.set_y_formatter(Counted("B" if self.by_sequence else "b/s"))
        plot.set_xlimits(self._low / 1e9, self._high / 1e9)
        drawn = [curve for curve in curves if len(curve.x)]
        top = max((float(curve.y.max()) for curve in drawn if curve.name != "window"), default=1.0)
        bottom = min((float(curve.y.min()) for curve in drawn), default=0.0) if self.by_sequence else 0.0
        plot.set_ylimits(bottom, max(top, bottom + 1) + (top - bottom) / 20)
        legend = Text()
        for curve in sorted(drawn, key=lambda curve: list(LOOKS).index(curve.name)):
            look, inside = LOOKS[curve.name], curve.y <= top
            x, y = curve.x[inside] / 1e9, curve.y[inside]
            if not len(x):
                continue
            colour = colours.get(look.colour, "white")
            mode = HiResMode.BRAILLE if look.dots else HiResMode.QUADRANT
            if look.sign:
                plot.scatter(x, y, marker=look.sign, marker_style=colour)
            else:
                plot.plot(x, y, line_style=colour, hires_mode=mode)
            legend.append(f"{look.sign or ('⠒⠒' if look.dots else '▄▀')} ", colour)
            legend.append(f"{self._words(curve, look)}   ")
        if self._course is not None and self.packet:
            at = (self._session.time_of(self.packet) - self._course.begun) / 1e9
            if self._low / 1e9 <= at <= self._high / 1e9:
                plot.scatter([at], [bottom], marker=HERE, marker_style=colours.get("foreground", "white"))
                legend.append(f"{HERE}\N{NO-BREAK SPACE}packet\N{NO-BREAK SPACE}{self.packet}")
        if not drawn:
            legend = Text("datagrams have no sequence numbers; a shows how many bytes a second")
        self.query_one("#legend-line", Static).update(legend)
        self._title()

    def _words(self, curve: Curve, look: Look) -> str:
        if curve.name in ("forward", "backward"):
            return f"{look.words} {self._ends[curve.name == 'forward']}"
        return f"{look.words}: {len(curve.x):,}" if look.sign else look.words

    def _title(self) -> None:
        flows = self._session.index.flows
        kind = f"{'TCP' if flows.protocol(self.flow) == 6 else 'UDP'} {flows.stream[self.flow]}"
        first, second = self._ends if not self.direction or not self.by_sequence else self._ends[::-1]
        what = f"Sequence of {kind}, {first} → {second}" if self.by_sequence else f"Throughput of {kind}, {first} ↔ {second}"
        self.border_title = Content(what)
        course = self._course
        if course is not None:
            self.border_subtitle = f"{len(course.packet):,} packets in {course.lasts / 1e9:.3f} s"

    # --- keys

    def _range(self, low: float, high: float) -> None:
        if self._course is None:
            return
        longest = float(max(self._course.lasts, SMALLEST))
        size = min(max(high - low, SMALLEST), longest)
        self._low = min(max(low, 0.0), longest - size)
        self._high = self._low + size
        self._take()

    def action_zoom(self, by: float) -> None:
        """Half of the time, around the chosen packet where it is in view; or twice as much."""
        if self._course is not None:
            at = float(self._session.time_of(self.packet) - self._course.begun) if self.packet else -1.0
            at = at if self._low <= at <= self._high else (self._low + self._high) / 2
            self._range(at - (at - self._low) * by, at + (self._high - at) * by)

    def action_pan(self, by: float) -> None:
        size = self._high - self._low
        self._range(self._low + by * size, self._high + by * size)

    def action_whole(self) -> None:
        if self._course is not None:
            self._range(0.0, float(self._course.lasts))

    def action_direction(self) -> None:
        """What the other side sent."""
        if self.by_sequence and self._course is not None:
            self.direction = 1 - self.direction
            self._take()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(2)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(0.5)

    def on_click(self, event: events.Click) -> None:
        """Choose the packet nearest in time."""
        plot = self.query_one(Plot)
        left = plot.region.x + LEFT + 1
        room = plot.region.width - LEFT - 2
        if self._course is not None and room > 0 and left <= event.screen_x < left + room:
            share = (event.screen_x - left + 0.5) / room
            self.packet = self._course.packet_at(self._low + share * (self._high - self._low))
            self._take()

    def on_resize(self) -> None:
        if self._course is not None:
            self._take()
