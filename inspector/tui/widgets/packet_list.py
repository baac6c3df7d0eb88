"""The packet list: asks the session for the visible rows only, in a thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from textual import work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.core.field import time_text
from inspector.core.text import counted
from inspector.export.rows import Row
from inspector.session import Session
from inspector.tui.cells import between, fit
from inspector.tui.messages import Copied, PacketSelected
from inspector.tui.widgets.line_list import LineList, Piece

KEPT = 4000  # rows in memory
TIMES = ("relative", "absolute", "delta")
HEADS = {"relative": "Time", "absolute": "Time of day", "delta": "After"}
MARKS = {0: " ", 1: "·", 2: "!", 3: "✗"}
# From this width on: columns for time, ends, protocol and length (0: left out).
COLUMNS = ((150, (15, 44, 16, 7)), (100, (11, 32, 14, 6)), (0, (10, 25, 9, 0)))

OF_DAY = 15  # columns of a time of day: `11:30:50.134585`


class PacketList(LineList):
    """Rows of packets. The cursor is a packet number, 0 while there are none.

    shown: the numbers of the packets that a filter leaves, in order; None without a filter.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mark", "Mark", show=False),
        Binding("apostrophe", "next_mark", "Next mark", key_display="'", show=False),
        Binding("c", "copy", "Copy", show=False),
    ]

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._rows: OrderedDict[int, Row] = OrderedDict()
        self._shallow: dict[int, Row] = {}  # without what their conversations say
        self.shown: npt.NDArray[np.int64] | None = None
        self.marked: set[int] = set()
        self.times = "relative"
        self._begun = False

    def on_mount(self) -> None:
        self.border_title = "Packets"
        self.refresh_count()

    # --- positions and numbers

    @property
    def total(self) -> int:
        return self._session.count if self.shown is None else len(self.shown)

    @property
    def cursor(self) -> int:
        """The number of the packet under the cursor."""
        return self.number(self.position) if self.total else 0

    def number(self, position: int) -> int:
        return position + 1 if self.shown is None else int(self.shown[position])

    def numbers(self) -> Iterable[int]:
        """The packets in the list."""
        return range(1, self._session.count + 1) if self.shown is None else self.shown.tolist()

    def position_of(self, number: int) -> int:
        """Where a packet stands, or the next one that is shown."""
        if self.shown is None:
            return number - 1
        return int(np.searchsorted(self.shown, number))

    # --- changes

    def refresh_count(self) -> None:
        """The session has more packets."""
        count = self._session.count
        none = "no packets in this capture" if self._session.complete else "waiting for packets …"
        self.nothing = none if self.shown is None else "no packet passes the filter"
        self.resize_lines()
        left = "" if self.shown is None else f"{len(self.shown):,} of "
        self.border_subtitle = left + counted(count, "packet")
        if self.total and not self._begun:
            self._begun = True
            self.put(0)
        self.scrolled()

    def forget(self) -> None:
        """Rows may say more now (the capture is complete)."""
        self._rows.clear()
        self._shallow.clear()
        self.refresh_count()

    def narrow_to(self, shown: npt.NDArray[np.int64] | None) -> None:
        """Show only these packets; the cursor stays on its packet, or goes to the next one."""
        number = self.cursor
        self.shown = shown
        self.refresh_count()
        self.put(self.position_of(max(number, 1)))

    def go(self, number: int) -> None:
        """Put the cursor on a packet and bring it into view."""
        self.put(self.position_of(number))

    def moved(self) -> None:
        self.post_message(PacketSelected(self.cursor))

    def scrolled(self) -> None:
        numbers = [self.number(position) for position in self.in_view()]
        if any(number not in self._rows for number in numbers):
            self._load(numbers)

    def renew(self) -> None:
        """What came since may say more of the packets in view: a key, the answer that a request waited for."""
        self._load([self.number(position) for position in self.in_view()], anew=True)

    @work(thread=True, exclusive=True, group="rows")
    def _load(self, numbers: list[int], anew: bool = False) -> None:
        """First what the packets say of themselves, where following their conversations takes time; then all."""
        worker, session = get_current_worker(), self._session
        missing = [number for number in numbers if anew or number not in self._rows]
        known = self._shallow.keys() | self._rows.keys()
        shallow = [number for number in missing if number not in known and not session.followed(number)]
        for number in shallow:
            if worker.is_cancelled:
                return
            self._shallow[number] = session.row(number, deep=False)
        if shallow:
            self.app.call_from_thread(self.refresh)
        for number in missing:
            if worker.is_cancelled:
                return
            if session.to_follow(number):
                continue  # the screen looks for it again when it has been followed
            self._rows[number] = session.row(number)
            self._shallow.pop(number, None)
            while len(self._rows) > KEPT:
                self._rows.popitem(last=False)
        self.app.call_from_thread(self.refresh)

    # --- keys

    def action_mark(self) -> None:
        """Mark the packet, or take its mark away."""
        self.marked ^= {self.cursor}
        self.refresh()

    def action_next_mark(self) -> None:
        """To the next marked packet; behind the last one begins again with the first."""
        shown = sorted(number for number in self.marked if self._is_shown(number))
        if shown:
            self.go(next((number for number in shown if number > self.cursor), shown[0]))
        else:
            self.notify("no packet in the list is marked; m marks one", timeout=3)

    def _is_shown(self, number: int) -> bool:
        position = self.position_of(number)
        return position < self.total and self.number(position) == number

    def action_copy(self) -> None:
        row = self._rows.get(self.cursor)
        if row is not None:
            ends = f"{row.source} → {row.destination}"
            line = f"{row.number}  {self._time(row)}  {ends}  {row.protocol}  {row.length}  {row.info}"
            self.post_message(Copied(line, "the line"))

    # --- drawing

    def heading(self, width: int, line: int) -> str:
        return self._cells(width, f"{'No':>6}", HEADS[self.times], "From → To", "Protocol", "Len", "What happens", "   ")

    def line(self, position: int, width: int) -> list[Piece]:
        number = self.number(position)
        row = self._rows.get(number) or self._shallow.get(number)
        mark = ("▶" if position == self.position else " ") + ("◆" if number in self.marked else " ")
        if row is None:
            return [(f"{mark} {number:>6}  …", "dim")]
        style = "error" if row.severity >= 3 else "dim" if row.protocol in ("TCP", "ARP") else ""
        ends, mark = between((row.source, row.destination), self._sizes(width)[1]), mark + MARKS[row.severity]
        cells = f"{number:>6}", self._time(row), ends, row.protocol, f"{row.length:,}", row.info, mark
        return [(self._cells(width, *cells), style)]

    def _sizes(self, width: int) -> tuple[int, int, int, int]:
        """Cells for time, ends, protocol and length; a narrow list gives what happens more room."""
        times, names, protocols, lengths = next(sizes for least, sizes in COLUMNS if width >= least)
        return max(times, OF_DAY) if self.times == "absolute" else times, names, protocols, lengths

    def _cells(self, width: int, number: str, time: str, ends: str, protocol: str, length: str, info: str, mark: str) -> str:
        """The cells of a line side by side."""
        times, names, protocols, lengths = self._sizes(width)
        size = f"{length:>{lengths}}  " if lengths else ""
        return f"{mark}{number} {fit(time, times)} {fit(ends, names)} {fit(protocol, protocols)} {size}{info}"

    def _time(self, row: Row) -> str:
        if self.times == "absolute":
            return time_text(row.time_ns)[11:26]
        base = self._session.time_of(1 if self.times == "relative" else max(row.number - 1, 1))
        return f"{(row.time_ns - base) / 1e9:.6f}"
