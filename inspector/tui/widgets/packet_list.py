"""The packet list: a virtual list that asks the session for the visible rows only."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.core.field import time_text
from inspector.session import Row, Session
from inspector.tui.messages import PacketSelected

KEPT = 4000  # rows in memory
WIDE = 118  # columns from which on every cell is shown
TIMES = ("relative", "absolute", "delta")
MARKS = {0: " ", 1: "·", 2: "!", 3: "✗"}


class PacketList(ScrollView, can_focus=True):
    """Rows of packets. The cursor is a packet number, 0 while there are none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "packet-list--cursor",
        "packet-list--error",
        "packet-list--dim",
        "packet-list--head",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next", show=False),
        Binding("up,k", "move(-1)", "Previous", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "first", "First", show=False),
        Binding("G,end", "last", "Last", show=False),
    ]

    def __init__(self, session: Session, id: str) -> None:
        super().__init__(id=id)
        self._session = session
        self._rows: OrderedDict[int, Row] = OrderedDict()
        self.cursor = 0
        self.times = "relative"

    def on_mount(self) -> None:
        self.border_title = "Packets"
        self.refresh_count()

    def refresh_count(self) -> None:
        """The session has more packets."""
        count = self._session.count
        self.virtual_size = Size(self.size.width or 80, count + 1)
        self.border_subtitle = f"{count:,} packets"
        if count and not self.cursor:
            self.go(1)
        self._fetch()
        self.refresh()

    def forget(self) -> None:
        """Rows may say more now (the capture is complete)."""
        self._rows.clear()
        self.refresh_count()

    def go(self, number: int) -> None:
        """Put the cursor on a packet and bring it into view."""
        count = self._session.count
        if not count:
            return
        self.cursor = max(1, min(number, count))
        self.scroll_to_region(Region(0, self.cursor - 1, 1, 2), animate=False, force=True)
        self._fetch()
        self.refresh()
        self.post_message(PacketSelected(self.cursor))

    def action_move(self, by: int) -> None:
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.go(self.cursor + by * max(self.size.height - 2, 1))

    def action_first(self) -> None:
        self.go(1)

    def action_last(self) -> None:
        self.go(self._session.count)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._fetch()

    def on_click(self, event: events.Click) -> None:
        line = event.y - self.gutter.top
        if line > 0:
            self.go(int(self.scroll_offset.y) + line)

    def _visible(self) -> range:
        first = int(self.scroll_offset.y) + 1
        return range(first, min(first + max(self.size.height, 1), self._session.count + 1))

    def _fetch(self) -> None:
        if any(number not in self._rows for number in self._visible()):
            self._load(self._visible())

    @work(thread=True, exclusive=True, group="rows")
    def _load(self, numbers: range) -> None:
        for number in numbers:
            if number not in self._rows:
                row = self._session.row(number)
                self._rows[number] = row
                while len(self._rows) > KEPT:
                    self._rows.popitem(last=False)
        self.app.call_from_thread(self.refresh)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            head = (f"{'No':>6}", self._time_head(), "From → To", "Protocol", f"{'Len':>6}", "What happens")
            text = "   " + self._columns(head)
            return Strip([Segment(_fit(text, width), self.get_component_rich_style("packet-list--head"))], width)
        number = int(self.scroll_offset.y) + y
        if number > self._session.count:
            return Strip.blank(width, self.rich_style)
        row = self._rows.get(number)
        if row is None:
            return Strip([Segment(_fit(f"   {number:>6}  …", width), self.get_component_rich_style("packet-list--dim"))], width)
        style = self.rich_style
        if row.number == self.cursor:
            style = self.get_component_rich_style("packet-list--cursor")
        elif row.severity >= 3:
            style = self.get_component_rich_style("packet-list--error")
        elif row.protocol in ("TCP", "ARP"):
            style = self.get_component_rich_style("packet-list--dim")
        mark = "▶" if row.number == self.cursor else " "
        ends = f"{row.source} → {row.destination}"
        cells = (f"{row.number:>6}", self._time(row), ends, row.protocol, f"{row.length:>6}", row.info)
        text = f"{mark}{MARKS[row.severity]} " + self._columns(cells)
        return Strip([Segment(_fit(text, width), style if isinstance(style, Style) else None)], width)

    def _columns(self, cells: tuple[str, str, str, str, str, str]) -> str:
        """The cells of a line side by side; a narrow list gives the last one, which says what happens, more room."""
        number, time, ends, protocol, length, info = cells
        if self.size.width >= WIDE:
            return f"{number}  {time[:15]:<15} {ends[:33]:<33} {protocol[:16]:<16} {length}  {info}"
        return f"{number} {time[:10]:<10} {ends[:25]:<25} {protocol[:9]:<9} {info}"

    def _time_head(self) -> str:
        return {"relative": "Time", "absolute": "Time of day", "delta": "After"}[self.times]

    def _time(self, row: Row) -> str:
        if self.times == "absolute":
            return time_text(row.time_ns)[11:26]
        base = self._session.time_of(1 if self.times == "relative" else max(row.number - 1, 1))
        return f"{(row.time_ns - base) / 1e9:.6f}"


def _fit(text: str, width: int) -> str:
    """Cut or filled to the width, in cells."""
    from rich.cells import set_cell_size

    return set_cell_size(text, width)
