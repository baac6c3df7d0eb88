"""The bytes of a buffer in hexadecimal and text; the chosen range is lit, and a byte can be chosen."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.core.span import Buffer
from inspector.tui.messages import ByteSelected

ROW = 16


class HexView(ScrollView, can_focus=True):
    """Sixteen bytes a line. `lit`: ranges shown bright; `near`: ranges shown weaker (the layer around)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"hex--lit", "hex--near", "hex--offset", "hex--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Left", show=False),
        Binding("right,l", "move(1)", "Right", show=False),
        Binding("up,k", "move(-16)", "Up", show=False),
        Binding("down,j", "move(16)", "Down", show=False),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._buffer: Buffer | None = None
        self._cursor = -1
        self._lit: list[tuple[int, int]] = []
        self._near: list[tuple[int, int]] = []

    @property
    def buffer(self) -> Buffer | None:
        return self._buffer

    def show(self, buffer: Buffer, lit: list[tuple[int, int]], near: list[tuple[int, int]]) -> None:
        """Show a buffer with these ranges lit, scrolled so that the first one is in view."""
        self._buffer, self._lit, self._near = buffer, lit, near
        self._cursor = lit[0][0] if lit else -1
        self.virtual_size = Size(76, (buffer.size + ROW - 1) // ROW)
        if lit:
            lines = max(min((lit[0][1] - 1) // ROW - lit[0][0] // ROW + 1, self.size.height), 1)
            self.scroll_to_region(Region(0, lit[0][0] // ROW, 1, lines), animate=False, force=True)
        self.refresh()

    def action_move(self, by: int) -> None:
        if self._buffer is not None and self._buffer.size:
            self._choose(max(0, min(max(self._cursor, 0) + by, self._buffer.size - 1)))

    def on_click(self, event: events.Click) -> None:
        line = int(self.scroll_offset.y) + event.y - self.gutter.top
        column = event.x - self.gutter.left + int(self.scroll_offset.x) - 10
        if self._buffer is None or column < 0:
            return
        at = (column - (1 if column > 23 else 0)) // 3 if column < 49 else column - 51
        if 0 <= at < ROW and line * ROW + at < self._buffer.size:
            self._choose(line * ROW + at)

    def _choose(self, offset: int) -> None:
        self._cursor = offset
        if self._buffer is not None:
            self.post_message(ByteSelected(self._buffer.id, offset))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        start = (int(self.scroll_offset.y) + y) * ROW
        if self._buffer is None or start >= self._buffer.size:
            return Strip.blank(width, self.rich_style)
        data = self._buffer.read(start, start + ROW)
        plain = self.rich_style
        segments = [Segment(f"{start:08x}  ", self.get_component_rich_style("hex--offset"))]
        text: list[Segment] = []
        for i, byte in enumerate(data):
            style = self._style(start + i)
            following = self._style(start + i + 1) if i + 1 < len(data) else plain
            gap = " " + (" " if i == 7 else "")
            segments.append(Segment(f"{byte:02x}", style))
            segments.append(Segment(gap, style if following == style else plain))
            text.append(Segment(chr(byte) if 32 <= byte < 127 else "·", style))
        missing = ROW - len(data)
        segments.append(Segment("   " * missing + (" " if len(data) < 8 else "") + " ", plain))
        return (
            Strip([*segments, *text])
            .crop(int(self.scroll_offset.x), int(self.scroll_offset.x) + width)
            .extend_cell_length(width, plain)
        )

    def _style(self, offset: int):  # type: ignore[no-untyped-def]
        if any(start <= offset < stop for start, stop in self._lit):
            return self.get_component_rich_style("hex--lit")
        if any(start <= offset < stop for start, stop in self._near):
            return self.get_component_rich_style("hex--near")
        return self.rich_style
