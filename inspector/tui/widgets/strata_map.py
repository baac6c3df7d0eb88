"""The strata drawn: a row a level, all on one axis of bytes, with a cursor on one unit and its range marked in every row."""

from __future__ import annotations

from math import ceil, log2
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.annotations.strata import FRAMES, SEGMENTS, Strata, Stratum, Unit
from inspector.tui.cells import fit

GUTTER = 16  # cells for a row's title
LANES = 8  # lines of one row, where its units overlap
CELLS = 14  # of a unit of usual size, when a direction is first shown
SHARE = 0.6  # of the width, for a unit that is larger than usual
LOWEST, TALLEST = 9, 20  # lines of the pane, its frame included
FEWEST, MOST = 1 / 16, 1 << 24  # bytes in one cell


class Place(NamedTuple):
    """A unit in view, and its cells: `left` is where its first byte stands, `right` where the byte behind it would."""

    unit: Unit
    left: int
    right: int


class Line(NamedTuple):
    """One line of the picture: a lane of a row."""

    row: int
    lane: int
    places: list[Place]


class StrataMap(ScrollView, can_focus=True):
    """The picture. `label` gives the words of a unit once they are known."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"map--cursor", "map--range", "map--dim", "map--head", "map--words"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Unit before", show=False),
        Binding("right,l", "step(1)", "Next unit", show=False),
        Binding("up,k", "row(-1)", "Level up", show=False),
        Binding("down,j", "row(1)", "Level down", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "Zoom", key_display="+ -"),
        Binding("minus", "zoom(2)", "Smaller", show=False),
        Binding("pageup", "page(-1)", "Page left", show=False),
        Binding("pagedown", "page(1)", "Page right", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
    ]

    class Chosen(Message):
        """The cursor stands on another unit."""

        def __init__(self, unit: Unit) -> None:
            super().__init__()
            self.unit = unit

    class Moved(Message):
        """Other units are in view."""

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._strata: Strata | None = None
        self._row = 0
        self._unit: Unit | None = None
        self._place = 0  # where on the axis the cursor stands, while it goes up and down
        self._left = 0.0  # the byte in the first cell
        self._per = 1.0  # bytes in a cell
        self._lines: list[Line] | None = None
        self._fresh = False
        self._height = LOWEST
        self.words: dict[tuple[str, int], str] = {}

    # --- what is shown

    @property
    def unit(self) -> Unit | None:
        """The unit under the cursor."""
        return self._unit

    def show(self, strata: Strata, unit: Unit | None) -> None:
        """Show a direction, with the cursor on a unit; the scale is that of the highest level with several units."""
        self._strata, self._lines, self._row, self._height = strata, None, 0, LOWEST
        self.styles.height = LOWEST
        self.words.clear()
        self._fresh = not self.size.width  # not laid out yet: the scale is found once there is a width
        if self._fresh:
            self._unit = unit
            return
        busy = next((row for row in strata.rows if len(row) > 1), strata.rows[0])
        typical = max(busy.typical, 1)
        unit = unit if unit is not None else strata.rows[0].at(0)
        per = 2.0 ** round(log2(typical / CELLS))
        if unit is not None and unit.stop - unit.start > per * self._axis() * SHARE:  # a large one is shown whole
            per = 2.0 ** ceil(log2((unit.stop - unit.start) / (self._axis() * SHARE)))
        self._per = max(FEWEST, min(MOST, per))
        self._left = 0.0
        self._choose(unit)

    def clear(self) -> None:
        """Show nothing."""
        self._strata = self._unit = self._lines = None
        self._left = 0.0
        self.words.clear()
        self.refresh()

    def in_view(self) -> list[Unit]:
        """The units that are drawn."""
        return [place.unit for line in self._layout() for place in line.places]

    def _axis(self) -> int:
        return max(self.scrollable_content_region.width - GUTTER, 1)

    def _column(self, offset: int) -> int:
        return int((offset - self._left) / self._per)

    def _layout(self) -> list[Line]:
        """The lines, made when they are first asked for after a change."""
        if self._lines is None:
            self._lines = []
            if self._strata is not None:
                start, stop = int(self._left), int(self._left + self._axis() * self._per) + 1
                for at, row in enumerate(self._strata.rows):
                    lanes = self._lanes(at, row, start, stop)
                    if lanes[0].places or row.title in (SEGMENTS, FRAMES):  # of the others those that have something here
                        self._lines.extend(lanes)
            self.virtual_size = Size(self.size.width or 80, len(self._lines) + 1)
            if len(self._lines) + 4 > self._height:  # it grows where units overlap, and does not jump while one scrolls
                self._height = min(len(self._lines) + 4, TALLEST)
                self.styles.height = self._height
        return self._lines

    def _lanes(self, at: int, row: Stratum, start: int, stop: int) -> list[Line]:
        """The units of a row in view, on as many lines as overlap."""
        lanes: list[list[Place]] = [[]]
        ends = [-1]
        for unit in row.between(start, stop):
            place = Place(unit, self._column(unit.start), self._column(unit.stop))
            lane = next((i for i, end in enumerate(ends) if end <= unit.start), None)
            if lane is None:
                if len(lanes) == LANES:
                    continue
                lanes.append([])
                ends.append(-1)
                lane = len(lanes) - 1
            lanes[lane].append(place)
            ends[lane] = unit.stop
        return [Line(at, lane, places) for lane, places in enumerate(lanes)]

    def _changed(self) -> None:
        self._lines = None
        self._layout()
        self.refresh()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        if self._fresh and self._strata is not None and self.size.width:
            self.show(self._strata, self._unit)
        else:
            self._changed()

    # --- the cursor

    def _choose(self, unit: Unit | None, place: int | None = None) -> None:
        """The cursor on a unit; place: where on the axis it is meant, its beginning unless given."""
        self._unit = unit
        if unit is not None:
            self._place = unit.start if place is None else place
        if unit is None or self._strata is None:
            self._changed()
            return
        self._row = next(at for at, row in enumerate(self._strata.rows) if row.title == unit.stratum)
        room = self._axis() * self._per
        if unit.start < self._left or unit.stop > self._left + room:
            before = min(room / 8, max(room - (unit.stop - unit.start), room / 16))
            self._left = max(0, int((unit.start - before) / self._per)) * self._per
        self._changed()
        line = next((i for i, line in enumerate(self._layout()) if any(p.unit == unit for p in line.places)), 0)
        self.scroll_to_region(Region(0, line, 1, 2), animate=False, force=True)
        self.post_message(self.Chosen(unit))

    def action_step(self, by: int) -> None:
        if self._strata is not None and self._unit is not None:
            row = self._strata.rows[self._row]
            self._choose(row.unit(max(0, min(self._unit.number + by, len(row) - 1))))

    def action_row(self, by: int) -> None:
        """To the level above or below that has something at this place of the axis."""
        if self._strata is None:
            return
        at = self._row + by
        while 0 <= at < len(self._strata.rows):
            units = self._strata.rows[at].between(self._place, self._place + 1)
            if units:
                self._choose(units[0], self._place)
                return
            at += by

    def action_end(self, last: int) -> None:
        if self._strata is not None and self._unit is not None:
            row = self._strata.rows[self._row]
            self._choose(row.unit(len(row) - 1 if last else 0))

    def action_page(self, by: int) -> None:
        """A screen of the axis to the side; the cursor goes along."""
        if self._strata is None or self._unit is None:
            return
        target = self._left + by * self._axis() * self._per
        self._choose(self._strata.rows[self._row].at(max(0, min(int(target), self._strata.size - 1))))

    def action_zoom(self, factor: float) -> None:
        """Fewer bytes in a cell, or more; the unit under the cursor stays where it is."""
        at = self._unit.start if self._unit is not None else int(self._left)
        column = (at - self._left) / self._per
        self._per = max(FEWEST, min(MOST, self._per * factor))
        self._left = max(0.0, at - column * self._per)
        self._changed()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        """The wheel goes along the axis; with Ctrl it changes the scale."""
        event.stop()
        event.prevent_default()
        if event.ctrl:
            self.action_zoom(2.0 if by > 0 else 0.5)
        elif self._strata is not None:
            most = max(self._strata.size - self._axis() * self._per / 2, 0)
            self._left = max(0.0, min(self._left + by * 8 * self._per, most))
            self._changed()

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset_capture(self)
        line, column = place.y + int(self.scroll_offset.y) - 1, place.x - GUTTER
        if 0 <= line < len(self._layout()):
            places = self._layout()[line].places
            hit = [p for p in places if p.left <= column < max(p.right, p.left + 1)]
            if hit:
                self._choose(hit[-1].unit)

    # --- drawing

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            return self._ruler(width)
        at = int(self.scroll_offset.y) + y - 1
        lines = self._layout()
        if self._strata is None or at >= len(lines):
            return Strip.blank(width, self.rich_style)
        line = lines[at]
        title = self._strata.rows[line.row].title if line.lane == 0 else ""
        mark = "▶" if line.row == self._row and line.lane == 0 else " "
        gutter = Segment(fit(f"{mark}{title}", GUTTER - 1) + " ", self.get_component_rich_style("map--head"))
        return Strip([gutter, *self._cells(line, width - GUTTER)]).adjust_cell_length(width, self.rich_style)

    def _ruler(self, width: int) -> Strip:
        """Offsets of the stream, every 16 cells."""
        parts, axis = [], self._axis()
        for column in range(0, axis, 16):
            parts.append(fit(f"╵{int(self._left + column * self._per):,}", min(16, axis - column)))
        text = fit(f" {self._scale()}", GUTTER) + "".join(parts)
        return Strip([Segment(fit(text, width), self.get_component_rich_style("map--dim"))], width)

    def _scale(self) -> str:
        return f"{self._per:,.0f} B a cell" if self._per >= 1 else f"1 B: {1 / self._per:.0f} cells"

    def _cells(self, line: Line, width: int) -> list[Segment]:
        """The units of a line: a bar where each begins, words on a rule: ═ in the range of the cursor's unit, ━ that unit."""
        chars, styles = [" "] * width, [""] * width
        low, high = (self._unit.start, self._unit.stop) if self._unit is not None else (0, 0)
        for place in line.places:
            chosen = place.unit == self._unit
            left, stop = max(place.left, 0), min(max(place.right, place.left + 1), width)
            if left >= width:
                continue
            style = "cursor" if chosen else "words"
            within = place.unit.start < high and place.unit.stop > low
            rule = "━" if chosen else "═" if within else "─"
            words = self.words.get((place.unit.stratum, place.unit.number), "")
            room = stop - left - 2
            inside = f" {fit(words, min(len(words), room - 2)).rstrip()} " if words and room >= 4 else ""
            if place.left >= 0:  # two units that begin in one cell are more than the scale can show
                chars[left] = "║" if chars[left] in "│║┃" else "┃" if chosen else "│"
                styles[left] = style
            for at in range(left + (1 if place.left >= 0 else 0), stop):
                chars[at] = rule
                styles[at] = style if chosen else "range" if within and self._in_range(at) else "dim"
            for at, char in enumerate(inside, left + (1 if place.left >= 0 else 0)):
                if at < stop:
                    chars[at] = char
                    styles[at] = style if chosen else "range" if within and self._in_range(at) else "words"
        for place in line.places:
            if 0 <= place.right < width and chars[place.right] == " ":
                chars[place.right], styles[place.right] = "│", "dim"
        return self._joined(chars, styles)

    def _in_range(self, column: int) -> bool:
        assert self._unit is not None
        return self._column(self._unit.start) <= column < max(self._column(self._unit.stop), self._column(self._unit.start) + 1)

    def _joined(self, chars: list[str], styles: list[str]) -> list[Segment]:
        """Neighbours of one style in one segment."""
        found: list[Segment] = []
        start = 0
        for at in range(1, len(chars) + 1):
            if at == len(chars) or styles[at] != styles[start]:
                found.append(Segment("".join(chars[start:at]), self._style_of(styles[start])))
                start = at
        return found

    def _style_of(self, name: str) -> Style:
        return self.get_component_rich_style(f"map--{name}") if name else self.rich_style


def plain(unit: Unit) -> str:
    """The words of a segment or a frame; empty for a unit that must be dissected first."""
    if unit.stratum == FRAMES:
        return f"{unit.packet}"
    if unit.stratum == SEGMENTS:
        return f"{unit.stop - unit.start:,} B"
    return ""
