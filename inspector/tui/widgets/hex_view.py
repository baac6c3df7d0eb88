"""The bytes of a buffer in hexadecimal and text; the chosen range is lit, and a byte can be chosen."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.core.span import Buffer
from inspector.tui.messages import ByteSelected, Copied
from inspector.tui.taking import LARGEST, of_bytes

Ranges = list[tuple[int, int]]


class HexView(ScrollView, can_focus=True):
    """Sixteen bytes a line, fewer where there is no room. `lit`: ranges shown bright; `near`: weaker (the layer around)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"hex--lit", "hex--near", "hex--offset"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Left", show=False),
        Binding("right,l", "move(1)", "Right", show=False),
        Binding("up,k", "lines(-1)", "Up", show=False),
        Binding("down,j", "lines(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("c", "copy", "Copy", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
    ]

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._buffer: Buffer | None = None
        self._cursor = -1
        self._lit: Ranges = []
        self._near: Ranges = []
        self._row = 16  # bytes a line
        self._digits = 4  # of an offset

    @property
    def buffer(self) -> Buffer | None:
        return self._buffer

    @property
    def lit(self) -> Ranges:
        return self._lit

    def show(self, buffer: Buffer, lit: Ranges, near: Ranges) -> None:
        """Show a buffer with these ranges lit, scrolled so that the first one is in view."""
        self._buffer, self._lit, self._near = buffer, lit, near
        self._cursor = lit[0][0] if lit else -1
        self._fold()
        self._reveal()

    def clear(self) -> None:
        """Show no bytes."""
        self._buffer, self._lit, self._near = None, [], []
        self.refresh()

    def _fold(self) -> None:
        """As many bytes a line as there is room for."""
        if self._buffer is None:
            return
        self._digits = 4 if self._buffer.size <= 0x10000 else 8
        room = self.scrollable_content_region.width or 80
        self._row = next((row for row in (16, 8) if self._text_column(row) + row <= room), 4)
        self.virtual_size = Size(self._text_column(self._row) + self._row, (self._buffer.size + self._row - 1) // self._row)
        self.refresh()

    def _reveal(self) -> None:
        if self._lit and self.size.height:  # else once there is a size
            first, last = self._lit[0][0] // self._row, (self._lit[0][1] - 1) // self._row
            lines, room = max(min(last - first + 1, self.size.height), 1), self.size.height
            top = int(self.scroll_offset.y)
            if top - 1 <= first <= top + room - lines + 1:  # in view, or a line further: no more than is needed
                self.scroll_to_region(Region(0, first, 1, lines), animate=False, force=True)
            else:
                self.scroll_to(y=max(first - (room - lines) // 2, 0), animate=False, force=True)

    def on_resize(self) -> None:
        self._fold()
        self._reveal()

    def _hex_column(self) -> int:
        return self._digits + 2

    def _text_column(self, row: int) -> int:
        return self._hex_column() + 3 * row + (1 if row > 8 else 0) + 1

    # --- choosing a byte

    def action_move(self, by: int) -> None:
        if self._buffer is not None and self._buffer.size:
            self._choose(max(0, min(max(self._cursor, 0) + by, self._buffer.size - 1)))

    def action_lines(self, by: int) -> None:
        self.action_move(by * self._row)

    def action_page(self, by: int) -> None:
        self.action_move(by * self._row * max(self.size.height - 1, 1))

    def action_end(self, last: int) -> None:
        if self._buffer is not None and self._buffer.size:
            self._choose(self._buffer.size - 1 if last else 0)

    def action_copy(self) -> None:
        """The lit bytes, or all where none are."""
        if self._buffer is not None:
            ranges = self._lit or [(0, self._buffer.size)]
            count = min(sum(stop - start for start, stop in ranges), LARGEST)
            self.post_message(Copied(of_bytes(self._buffer, ranges), f"{count:,} bytes"))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset_capture(self)
        column = place.x + int(self.scroll_offset.x)
        inside = column - self._hex_column()
        text = column - self._text_column(self._row)
        if self._buffer is None or inside < 0:
            return
        at = text if text >= 0 else (inside - (1 if self._row > 8 and inside > 24 else 0)) // 3
        offset = (int(self.scroll_offset.y) + place.y) * self._row + at
        if 0 <= at < self._row and 0 <= offset < self._buffer.size:
            self._choose(offset)

    def _choose(self, offset: int) -> None:
        self._cursor = offset
        if self._buffer is not None:
            self.post_message(ByteSelected(self._buffer.id, offset))

    # --- drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        start = (int(self.scroll_offset.y) + y) * self._row
        if self._buffer is None or start >= self._buffer.size:
            return Strip.blank(width, self.rich_style)
        data = self._buffer.read(start, start + self._row)
        plain = self.rich_style
        styles = self._styles(start, len(data))
        segments = [Segment(f"{start:0{self._digits}x}  ", self.get_component_rich_style("hex--offset"))]
        for i, byte in enumerate(data):
            segments.append(Segment(f"{byte:02x}", styles[i]))
            gap = "  " if i == 7 and self._row > 8 else " "
            segments.append(Segment(gap, styles[i] if i + 1 < len(data) and styles[i + 1] is styles[i] else plain))
        used = self._hex_column() + 3 * len(data) + (1 if self._row > 8 and len(data) > 7 else 0)
        segments.append(Segment(" " * (self._text_column(self._row) - used), plain))
        segments.extend(Segment(chr(b) if 32 <= b < 127 else "·", style) for b, style in zip(data, styles, strict=True))
        left = int(self.scroll_offset.x)
        return Strip(segments).crop_extend(left, left + width, plain)

    def _styles(self, start: int, size: int) -> list[Style]:
        """The style of each byte of a line: only the ranges that touch the line are looked at."""
        styles = [self.rich_style] * size
        for name, ranges in (("hex--near", self._near), ("hex--lit", self._lit)):
            style = self.get_component_rich_style(name)
            for low, high in ranges:
                for i in range(max(low - start, 0), min(high - start, size)):
                    styles[i] = style
        return styles
