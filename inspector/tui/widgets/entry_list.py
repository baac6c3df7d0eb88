"""A list whose entries take several lines each, and lead to packets: the cursor goes from entry to entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.strip import Strip

from inspector.tui.cells import fit
from inspector.tui.messages import GoTo
from inspector.tui.widgets.line_list import LineList, Piece

MARK = "▶ "
_NUMBER = re.compile(r"\d+")


class Entry(NamedTuple):
    """lines: of pieces, folded to the width; packets: that it leads to; stops: the cursor stops here (a title it passes)."""

    lines: Sequence[Sequence[Piece]]
    packets: tuple[int, ...] = ()
    stops: bool = True


class EntryList(LineList):
    """← and → choose one of the packets of the entry under the cursor, and Enter goes there; so does a click on its number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "packet", "Packet"),
        Binding("right,l", "link(1)", "Next of its packets", show=False),
        Binding("left,h", "link(-1)", "Packet before", show=False),
    ]

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._entries: list[Entry] = []
        self._lines: list[tuple[int, Sequence[Piece]]] = []  # the place of each line's entry
        self._starts: list[int] = []  # the first line of each entry
        self._links: dict[int, int] = {}  # of each entry, which of its packets is chosen
        self._width = -1

    # --- what a list says of itself

    def entries(self, width: int) -> Iterable[Entry]:
        """The entries, for a width without the mark of the cursor."""
        raise NotImplementedError

    def link(self, place: int) -> int:
        """Which packet of an entry is chosen, from 0."""
        return self._links.get(place, 0)

    # --- entries

    @property
    def total(self) -> int:
        return len(self._lines)

    @property
    def place(self) -> int:
        """The entry under the cursor, -1 for none."""
        return self._lines[self.position][0] if self._lines else -1

    @property
    def packet(self) -> int:
        """The packet that Enter leads to, 0 for none."""
        packets = self._entries[self.place].packets if self._lines else ()
        return packets[min(self.link(self.place), len(packets) - 1)] if packets else 0

    def renew(self) -> None:
        """There are other entries."""
        self._links.clear()
        self.fold()

    def fold(self) -> None:
        """The lines, for the width that there is; the cursor stays on its entry."""
        place, self._width = self.place, self.room
        self._entries = list(self.entries(max(self._width - len(MARK), 20)))
        self._starts, self._lines = [], []
        for at, entry in enumerate(self._entries):
            self._starts.append(len(self._lines))
            self._lines += [(at, line) for line in entry.lines]
        self.resize_lines()
        if self._entries:
            self.choose(place)

    def choose(self, place: int) -> None:
        """The cursor on an entry, or on the next one that it can stop at."""
        places = [at for at, entry in enumerate(self._entries) if entry.stops]
        self.put(self._starts[next((at for at in places if at >= place), places[-1])] if places else 0)

    def around(self) -> tuple[int, int]:
        """All of the entry, the first one with the title above it."""
        place = self.place
        first = self._starts[place] if any(entry.stops for entry in self._entries[:place]) else 0
        lines = self._starts[place] - first + len(self._entries[place].lines)
        return first, min(lines, max(self.size.height - self.head, 1))

    # --- keys

    def action_move(self, by: int) -> None:
        places = [at for at, entry in enumerate(self._entries) if entry.stops]
        if self.place in places:
            self.choose(places[max(0, min(places.index(self.place) + by, len(places) - 1))])

    def action_page(self, by: int) -> None:
        """As many entries as are in view."""
        view = self.in_view()
        shown = {self._lines[at][0] for at in view if self._entries[self._lines[at][0]].stops}
        self.action_move(by * max(len(shown) - 1, 1))

    def action_first(self) -> None:
        self.choose(0)

    def action_last(self) -> None:
        self.choose(len(self._entries) - 1)

    def action_packet(self) -> None:
        if self.packet:
            self.post_message(GoTo(self.packet))

    def action_link(self, by: int) -> None:
        if self.place >= 0 and (packets := self._entries[self.place].packets):
            self._links[self.place] = max(0, min(self.link(self.place) + by, len(packets) - 1))
            self.fold()

    def line_clicked(self, position: int, x: int) -> None:
        at, pieces = self._lines[position]
        if self._entries[at].stops:
            self.choose(at)
        text = "".join(text for text, _ in pieces)
        for found in _NUMBER.finditer(text):
            number = int(found.group())
            if found.start() <= x - len(MARK) < found.end() and number in self._entries[at].packets and "packet" in text:
                self.post_message(GoTo(number))

    # --- drawing

    def on_resize(self) -> None:
        if self.room != self._width:
            self.fold()

    def line(self, position: int, width: int) -> list[Piece]:
        return [(" " * len(MARK), ""), *self._lines[position][1]]

    def render_line(self, y: int) -> Strip:
        """All lines of the entry under the cursor stand out, and its first one is marked."""
        position = int(self.scroll_offset.y) + y - self.head
        if y < self.head or not 0 <= position < self.total or self._lines[position][0] != self.place:
            return super().render_line(y)
        place, pieces = self._lines[position]
        if not self._entries[place].stops:
            return super().render_line(y)
        mark = MARK if position == self._starts[place] else " " * len(MARK)
        text = mark + "".join(text for text, _ in pieces)
        return Strip([Segment(fit(text.rstrip(), self.room), self.style("cursor"))], self.room)


def packet_links(packets: Sequence[int], chosen: int) -> str:
    """`packets 17 [23] 25`: the chosen one in brackets, where there are several."""
    numbers = [f"[{number}]" if at == chosen and len(packets) > 1 else str(number) for at, number in enumerate(packets)]
    return f"packet{'s' if len(packets) > 1 else ''} {' '.join(numbers)}" if numbers else ""
