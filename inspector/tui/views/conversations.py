"""The Conversations view: every TCP and UDP flow, from the columns; sortable."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.core.field import address_text
from inspector.session import Session
from inspector.tui.cells import fit, octets, right, seconds
from inspector.tui.messages import ShowFlow
from inspector.tui.views.view import View
from inspector.tui.widgets.line_list import LineList, Piece


class Column(NamedTuple):
    """A column of the table. width: 0 for what is left; right: numbers."""

    name: str
    title: str
    width: int
    right: bool = False


NUMBERS = (
    Column("sent", "Packets →", 9, True),
    Column("received", "← Packets", 9, True),
    Column("bytes_sent", "Bytes →", 8, True),
    Column("bytes_received", "← Bytes", 8, True),
)
LEFT = (Column("id", "Id", 9), Column("application", "Application", 13), Column("ends", "From → To", 0))
RIGHT = (Column("start", "Begins", 10, True), Column("duration", "Lasts", 9, True))
WIDE, WIDER = 110, 140  # columns from which on both ways have their own cells, and the beginning has one


class ConversationTable(LineList):
    """A line a conversation, in the order of `sort`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open('packets')", "Its packets"),
        Binding("l", "open('ladder')", "Ladder"),
        Binding("s", "open('stream')", "Stream"),
        Binding("f", "open('follow')", "Follow"),
        Binding("o", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
    ]

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._packets = self._octets = np.zeros((0, 2), np.int64)
        self._first_ns = self._last_ns = np.zeros(0, np.int64)
        self._known: dict[int, tuple[str, str]] = {}  # application and named ends, once they were found out
        self.sort, self.reverse = "id", False

    def on_mount(self) -> None:
        self.border_title = "Conversations"
        self.reload()

    # --- data

    @property
    def total(self) -> int:
        return len(self._order)

    @property
    def flow(self) -> int:
        """The conversation under the cursor, -1 for none."""
        return int(self._order[self.position]) if self.total else -1

    def reload(self) -> None:
        """The capture has more packets."""
        flows = self._session.index.flows
        self._packets, self._octets = flows.packets, flows.octets
        count = len(self._packets)
        self._first_ns = np.array(flows.first_ns[:count], np.int64)
        self._last_ns = np.array(flows.last_ns[:count], np.int64)
        for flow in np.flatnonzero(self._last_ns < self._first_ns).tolist():  # only quoted, in an ICMP error
            self._first_ns[flow] = self._last_ns[flow] = self._session.time_of(flows.first[flow])
        self._known.clear()
        self._arrange()

    def choose(self, flow: int) -> None:
        """The cursor on a conversation."""
        found = np.flatnonzero(self._order == flow)
        if len(found):
            self.put(int(found[0]))

    def _arrange(self) -> None:
        chosen = self.flow
        self._order = self._sorted()
        self.border_subtitle = f"{self.total:,} conversations, by {self._titles()[self.sort].strip('→← ').lower()}"
        self.resize_lines()
        self.choose(chosen)
        self.scrolled()

    def _sorted(self) -> npt.NDArray[np.int64]:
        flows = self._session.index.flows
        count = len(self._packets)
        keys: dict[str, npt.NDArray[np.int64]] = {
            "sent": self._packets[:, 0], "received": self._packets[:, 1],
            "bytes_sent": self._octets[:, 0], "bytes_received": self._octets[:, 1],
            "packets": self._packets.sum(1), "bytes": self._octets.sum(1),
            "start": self._first_ns, "duration": self._last_ns - self._first_ns,
        }  # fmt: skip
        if self.sort == "ends":
            ends = [(*flows.addresses(flow), flows.sport(flow), flows.dport(flow)) for flow in range(count)]
            order = np.array(sorted(range(count), key=ends.__getitem__), np.int64)
        elif self.sort in keys:
            order = np.argsort(keys[self.sort], kind="stable")
        else:
            order = np.arange(count, dtype=np.int64)
        return order[::-1] if self.reverse else order

    @work(thread=True, exclusive=True, group="applications")
    def _find_out(self, flows: list[int]) -> None:
        worker, last = get_current_worker(), self._session.count

        def named(address: bytes) -> str:
            return self._session.name(address, last)

        for flow in flows:
            if worker.is_cancelled:
                return
            self._known[flow] = self._session.application(flow), self._ends(flow, named)
        self.app.call_from_thread(self.refresh)

    def scrolled(self) -> None:
        if not self._session.complete:
            return
        view = self.in_view()
        missing = [flow for flow in self._order[view.start : view.stop].tolist() if flow not in self._known]
        if missing:
            self._find_out(missing)

    def _ends(self, flow: int, name: Callable[[bytes], str]) -> str:
        flows = self._session.index.flows
        source, destination = (name(address) for address in flows.addresses(flow))
        return f"{source}:{flows.sport(flow)} → {destination}:{flows.dport(flow)}"

    # --- drawing

    def _columns(self, width: int) -> list[Column]:
        numbers: tuple[Column, ...] = NUMBERS
        if width < WIDE:
            numbers = (Column("packets", "Packets", 8, True), Column("bytes", "Bytes", 8, True))
        columns = [*LEFT, *numbers, *(RIGHT if width >= WIDER else RIGHT[1:])]
        left = max(width - sum(column.width + 1 for column in columns) - 2, 12)
        return [column if column.width else column._replace(width=left) for column in columns]

    def _titles(self) -> dict[str, str]:
        return {column.name: column.title for column in self._columns(self.room)}

    def heading(self, width: int, line: int) -> str:
        cells = []
        for column in self._columns(width):
            mark = ("▼" if self.reverse else "▲") if column.name == self.sort else ""
            title = column.title + mark
            cells.append(right(title, column.width) if column.right else fit(title, column.width))
        return "  " + " ".join(cells)

    def line(self, position: int, width: int) -> list[Piece]:
        flow = int(self._order[position])
        flows, session = self._session.index.flows, self._session
        protocol = "TCP" if flows.protocol(flow) == 6 else "UDP"
        application, ends = self._known.get(flow) or ("…", self._ends(flow, address_text))
        sent, received = self._packets[flow].tolist()
        bytes_sent, bytes_received = self._octets[flow].tolist()
        begin = int(self._first_ns[flow]) - session.time_of(1)
        cells = {
            "id": f"{protocol} {flows.stream[flow]}", "application": application, "ends": ends,
            "sent": f"{sent:,}", "received": f"{received:,}", "packets": f"{sent + received:,}",
            "bytes_sent": octets(bytes_sent), "bytes_received": octets(bytes_received),
            "bytes": octets(bytes_sent + bytes_received),
            "start": f"{begin / 1e9:.4f}", "duration": seconds(int(self._last_ns[flow] - self._first_ns[flow])),
        }  # fmt: skip
        mark = "▶ " if position == self.position else "  "
        texts = [(right if c.right else fit)(cells[c.name], c.width) for c in self._columns(width)]
        return [(mark + " ".join(texts), "")]

    # --- keys

    def heading_clicked(self, x: int) -> None:
        at = 2
        for column in self._columns(self.room):
            at += column.width + 1
            if x < at:
                self._sort_by(column.name)
                return

    def _sort_by(self, name: str) -> None:
        if name == "application":
            return  # it is found out for what is in view only
        self.reverse = not self.reverse if name == self.sort else name not in ("id", "ends", "start")
        self.sort = name
        self._arrange()

    def action_sort(self) -> None:
        names = [name for name in self._titles() if name != "application"]
        self._sort_by(names[(names.index(self.sort) + 1) % len(names)] if self.sort in names else names[0])

    def action_reverse(self) -> None:
        self._sort_by(self.sort)

    def action_open(self, view: str) -> None:
        if self.flow >= 0:
            self.post_message(ShowFlow(self.flow, view))


class ConversationsView(View):
    """The table."""

    key = "conversations"
    title = "Conversations"

    def compose(self) -> ComposeResult:
        yield ConversationTable(self.session, id="conversations", classes="pane")

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        self.query_one(ConversationTable).choose(flow)

    def chosen(self) -> tuple[int, int] | None:
        flow = self.query_one(ConversationTable).flow
        return (flow, int(self.session.index.flows.first[flow])) if flow >= 0 else None

    def loaded(self) -> None:
        self.query_one(ConversationTable).reload()
