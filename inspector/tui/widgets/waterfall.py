"""The waterfall: a line an exchange, its phases as bars on one axis of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.worker import get_current_worker

from inspector.core.text import counted, printable
from inspector.session import Session
from inspector.tui.cells import fit, right, seconds
from inspector.tui.widgets.line_list import LineList, Piece

if TYPE_CHECKING:
    from inspector.streams.exchanges import Exchange

PHASES = (
    ("DNS", "░", "two"), ("connect", "▒", "two"), ("TLS", "▓", "two"), ("send", "▐", "one"), ("wait", "─", "dim"),
    ("receive", "█", "one"),
)  # fmt: skip
FEW = 6  # lines up to which the legend leaves its own to an exchange
FRONT = 3  # pieces of a line in front of its bar
UNUSED = -1  # a cell in which nothing of the exchange happens
STATUS, LASTS = 4, 9  # cells of the columns
DEEPEST = 24  # times that the axis can be halved
Stretch = tuple[int, int, int]  # which phase, and from when to when in nanoseconds since 1970


class Waterfall(LineList):
    """The exchanges in the order of their first packets. The axis spans the lines in view; + and - stretch it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(1)", "Stretch, shrink", key_display="+ -"),
        Binding("minus", "zoom(-1)", "Shrink", show=False),
    ]
    head = 2

    class Moved(Message):
        """The cursor stands on another exchange."""

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._exchanges: list[Exchange] | None = None
        self._share = 0.0  # of the capture that was read
        self._wanted = 0  # the packet whose exchange is to be shown once they are known
        self._deep = 0  # how often the axis is halved
        self._axis: tuple[tuple[int, int, int, int], int, int] = ((-1, 0, 0, 0), 0, 1)  # what it is for; from, to

    def on_mount(self) -> None:
        self.border_title = "Waterfall"
        self.reload()

    # --- data

    @property
    def total(self) -> int:
        return len(self._exchanges or ())

    @property
    def exchange(self) -> Exchange | None:
        """The one under the cursor."""
        return self._exchanges[self.position] if self._exchanges else None

    def reload(self) -> None:
        """The capture is complete, or has more packets."""
        if self._session.follows:
            self._read()

    @work(thread=True, exclusive=True, group="exchanges")
    def _read(self) -> None:
        worker, said = get_current_worker(), 0.0

        def progress(share: float) -> None:
            nonlocal said
            if share - said >= 0.05 and not worker.is_cancelled:
                said = self._share = share
                self.app.call_from_thread(self.refresh)

        found = self._session.exchanges(progress)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, found)

    def _found(self, found: list[Exchange]) -> None:
        first, self._exchanges = self._exchanges is None, found
        self.border_subtitle = counted(len(found), "exchange")
        self.resize_lines()
        if first or self._session.complete:  # of a growing capture, the cursor stays where the user has put it
            self.near(self._wanted)

    def near(self, number: int) -> None:
        """The cursor on the last exchange that begins before a packet or with it; of its conversation, if any does."""
        self._wanted = number
        found = [at for at, one in enumerate(self._exchanges or ()) if one.first <= number]
        flow = self._session.index.flow_of(number) if number else -1
        own = [at for at in found if self._exchanges is not None and self._exchanges[at].flow == flow]
        if self.total:
            self.put((own or found or [0])[-1])

    def moved(self) -> None:
        self.post_message(self.Moved())

    def action_zoom(self, by: int) -> None:
        """Half of the time on the axis, from where the exchange under the cursor begins; or twice as much."""
        self._deep = max(0, min(self._deep + by, DEEPEST))
        self.refresh()

    def on_resize(self) -> None:
        self.head = 2 if self.size.height > FEW else 1

    # --- time

    def _span(self, exchange: Exchange) -> tuple[int, int]:
        """When it begins, with what it waited for before its request, and when it ends."""
        return min((start for _, start, _ in self._stretches(exchange)), default=exchange.begun), exchange.ended

    def _stretches(self, exchange: Exchange) -> list[Stretch]:
        phases = exchange.phases
        found: list[Stretch] = []
        if phases.connect >= 0:
            opened = int(self._session.index.flows.first_ns[exchange.flow])
            if phases.dns >= 0:
                found.append((0, opened - phases.dns, opened))
            found.append((1, opened, opened + phases.connect))
            if phases.tls >= 0:
                found.append((2, opened + phases.connect, opened + phases.connect + phases.tls))
        elif phases.tls >= 0:
            found.append((2, exchange.begun - phases.tls, exchange.begun))
        at = exchange.begun
        for phase, size in ((3, phases.send), (4, phases.wait), (5, phases.receive)):
            if size >= 0:
                found.append((phase, at, at + size))
                at += size
        return found

    def _times(self) -> tuple[int, int]:
        """The axis: all that is in view, or a part of it from the exchange under the cursor on."""
        view = self.in_view()
        key = (view.start, view.stop, self._deep, self.position if self._deep else -1)
        if self._axis[0] != key and self._exchanges:
            spans = [self._span(exchange) for exchange in self._exchanges[view.start : view.stop]]
            low, high = min(start for start, _ in spans), max(stop for _, stop in spans)
            if self._deep:
                size = (high - low) >> self._deep
                low = self._span(self._exchanges[self.position])[0]
                high = low + size
            self._axis = key, low, max(high, low + 1)
        return self._axis[1:]

    # --- drawing

    def _columns(self, width: int) -> tuple[int, int]:
        """Cells of the request, and of the bar."""
        left = width - 2 - STATUS - LASTS - 3
        request = max(min(left * 2 // 5, 60), 8)
        return request, max(left - request, 0)

    def heading(self, width: int, line: int) -> str:
        if self._exchanges is None:
            return f" reading the exchanges {self._share:.0%}" if line == 0 else ""
        if not self._exchanges:
            words = (" no exchange was found here: no HTTP, or it is encrypted", " a shows bytes in time")
            return words[line]
        request, room = self._columns(width)
        if line:
            legend = "  ".join(f"{glyph} {name}" for name, glyph, _ in PHASES)
            return " " * max(min(2 + request + STATUS + LASTS + 3, width - len(legend)), 0) + legend
        base = self._session.time_of(1)
        low, high = self._times()
        begin, end = f"{(low - base) / 1e9:.4f} s", f"{(high - base) / 1e9:.4f} s"
        middle = f"{((low + high) // 2 - base) / 1e9:.4f}"
        axis = begin + right(end, room - len(begin))
        if room > len(begin) + len(middle) + len(end) + 4:
            at = (room - len(middle)) // 2
            axis = axis[:at] + middle + axis[at + len(middle) :]
        return f"  {fit('Request', request)} {fit('', STATUS)}{right('Lasts', LASTS)}  {fit(axis, room)}"

    def line(self, position: int, width: int) -> list[Piece]:
        assert self._exchanges is not None
        exchange = self._exchanges[position]
        request, room = self._columns(width)
        words = f"{exchange.method or '?'} {printable(exchange.target or exchange.url, 200) or '(request not seen)'}"
        status = str(exchange.status) if exchange.status else "–"
        lead, stop = self._span(exchange)
        mark = "▶ " if position == self.position else "  "
        ends = "" if exchange.complete else "…"
        return [
            (mark + fit(words, request), ""), (f" {fit(status, STATUS)}", "error" if exchange.status >= 400 else ""),
            (right(seconds(stop - lead) + ends, LASTS) + " ", ""), (" ", ""), *self._bar(exchange, room),
        ]  # fmt: skip

    def render_line(self, y: int) -> Strip:
        """Of the line under the cursor the words stand out; its bar keeps its colours."""
        position = int(self.scroll_offset.y) + y - self.head
        if y < self.head or position != self.position or position >= self.total:
            return super().render_line(y)
        pieces = self.line(position, self.room)
        front = [Segment(text, self.style("cursor")) for text, _ in pieces[:FRONT]]
        strip = Strip(front + [Segment(text, self.style(name)) for text, name in pieces[FRONT:]])
        return strip.adjust_cell_length(self.room, self.rich_style)

    def _bar(self, exchange: Exchange, room: int) -> list[Piece]:
        """A cell shows the phase that takes most of it; each exchange in the time of the axis has one cell at least."""
        low, high = self._times()
        cells = [UNUSED] * room
        most = [0.0] * room
        scale = room / (high - low)
        stretches = self._stretches(exchange)
        for phase, start, stop in stretches:
            left, end = (start - low) * scale, (stop - low) * scale
            for cell in range(max(int(left), 0), min(int(end) + 1, room)):
                share = min(end, cell + 1) - max(left, cell)
                if share > most[cell]:
                    cells[cell], most[cell] = phase, share
        if room and stretches and all(cell == UNUSED for cell in cells):
            phase, start, _ = max(stretches, key=lambda one: one[2] - one[1])
            if low <= start <= high:
                cells[min(int((start - low) * scale), room - 1)] = phase
        pieces: list[Piece] = []
        for phase in cells:
            text, style = (" ", "") if phase == UNUSED else PHASES[phase][1:]
            if pieces and pieces[-1][1] == style:
                pieces[-1] = pieces[-1][0] + text, style
            else:
                pieces.append((text, style))
        return pieces
