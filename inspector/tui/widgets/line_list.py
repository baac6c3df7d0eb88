"""A virtual list: a cursor over any number of lines, of which only the visible ones are ever made."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from inspector.tui.cells import fit

Piece = tuple[str, str]  # text, and the name of its style: "", "dim", "head", "error", "lit", "one", "two"


class LineList(ScrollView, can_focus=True):
    """Lines, with a heading that stays in place. `position` is the cursor's line, from 0; `nothing` says why there are none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lines--head", "lines--cursor", "lines--dim", "lines--error", "lines--lit", "lines--one", "lines--two", "lines--found",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next", show=False),
        Binding("up,k", "move(-1)", "Previous", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "first", "First", show=False),
        Binding("G,end", "last", "Last", show=False),
    ]
    head = 1  # lines of the heading

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self.position = 0
        self.nothing = ""
        self._unseen = False  # the cursor was put before there was a size to bring it into view

    # --- what a list says of itself

    @property
    def total(self) -> int:
        """Lines there are."""
        raise NotImplementedError

    def heading(self, width: int, line: int) -> str:
        """A line of the heading, from 0."""
        return ""

    def line(self, position: int, width: int) -> list[Piece]:
        """One line; called for visible ones only, and must not wait for anything."""
        raise NotImplementedError

    def moved(self) -> None:
        """The cursor stands on another line."""

    def scrolled(self) -> None:
        """Other lines are in view."""

    # --- moving

    def in_view(self) -> range:
        """Positions of the lines in view."""
        first = int(self.scroll_offset.y)
        return range(first, min(first + max(self.size.height - self.head, 1), self.total))

    def resize_lines(self) -> None:
        """There are more lines, or fewer."""
        size, before = Size(self.size.width or 80, self.total + self.head), self.virtual_size
        if self.show_vertical_scrollbar and size.width == before.width and size.height >= before.height:
            # Only the scroll bar has news: laying out the screen again, many times a second, would hold up the keys.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size
        self.position = max(0, min(self.position, self.total - 1))
        self.refresh()

    def put(self, position: int) -> None:
        """The cursor on a line, brought into view."""
        if not self.total:
            return
        self.position = max(0, min(position, self.total - 1))
        self._reveal()
        self.refresh()
        self.scrolled()
        self.moved()

    def _reveal(self) -> None:
        """Bring the cursor into view; of a list that is not laid out yet, once it is: what comes first must not matter."""
        self._unseen = not self.size.height
        if not self._unseen:
            first, lines = self.around()
            top, room = int(self.scroll_offset.y), max(self.size.height - self.head, 1)
            if top - lines <= first <= top + room:  # in view, or the next one: no more than is needed
                self.scroll_to_region(Region(0, first, 1, lines + self.head), animate=False, force=True)
            else:  # a jump: with what stands around it
                self.scroll_to(y=max(first - (room - lines) // 2, 0), animate=False, force=True)

    def around(self) -> tuple[int, int]:
        """The first one of the lines that are brought into view with the cursor, and how many they are."""
        return self.position, 1

    def action_move(self, by: int) -> None:
        self.put(self.position + by)

    def action_page(self, by: int) -> None:
        self.put(self.position + by * max(self.size.height - self.head - 1, 1))

    def action_first(self) -> None:
        self.put(0)

    def action_last(self) -> None:
        self.put(self.total - 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.scrolled()

    def on_resize(self) -> None:  # Textual calls that of every class, a subclass's own first
        self.resize_lines()
        if self._unseen:
            self._reveal()
        self.scrolled()

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset_capture(self)
        position = int(self.scroll_offset.y) + place.y - self.head
        if place.y < self.head:
            self.heading_clicked(place.x)
        elif position < self.total:
            self.line_clicked(position, place.x)

    def line_clicked(self, position: int, x: int) -> None:
        """A line was clicked in column `x`. (An `on_click` of a subclass would be called besides this class's own.)"""
        self.put(position)

    def heading_clicked(self, x: int) -> None:
        """The heading was clicked in column `x`."""

    # --- drawing

    def style(self, name: str) -> Style:
        return self.get_component_rich_style(f"lines--{name}") if name else self.rich_style

    @property
    def room(self) -> int:
        """Cells in a line, without the scroll bar."""
        return self.scrollable_content_region.width

    def render_line(self, y: int) -> Strip:
        width = self.room
        if y < self.head:
            return Strip([Segment(fit(self.heading(width, y), width), self.style("head"))], width)
        position = int(self.scroll_offset.y) + y - self.head
        if position == self.total == 0 and self.nothing:
            return Strip([Segment(fit(f" {self.nothing}", width), self.style("dim"))], width)
        if position >= self.total:
            return Strip.blank(width, self.rich_style)
        pieces = self.line(position, width)
        if position == self.position:
            cursor = self.style("cursor")
            return Strip([Segment(fit("".join(text for text, _ in pieces), width), cursor)], width)
        strip = Strip([Segment(text, self.style(name)) for text, name in pieces])
        if strip.cell_length > width > 0:
            return Strip([*strip.crop(0, width - 1), Segment("…", self.style(pieces[-1][1]))])
        return strip.adjust_cell_length(width, self.rich_style)
