"""The Conversations view: every TCP and UDP flow, from the columns; sortable. What is known of the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from inspector.core.field import address_text
from inspector.core.text import counted, printable
from inspector.index.names import TCP
from inspector.session import Session
from inspector.streams.endings import Endings
from inspector.streams.tcp_layer import complete, parts
from inspector.tui.cells import between, fit, octets, right, seconds
from inspector.tui.messages import ShowFlow
from inspector.tui.views.view import NO_FLOW, View
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
LEFT = (Column("id", "Id", 9), Column("application", "Application", 17), Column("ends", "From → To", 0))
RIGHT = (Column("start", "Begins", 10, True), Column("duration", "Lasts", 9, True))
ENDED, PROCESS = Column("ended", "Ended", 10), Column("process", "Process", 22)
NARROW = 95  # columns from which on there are cells for how it ended and how long it lasted
WIDE, WIDER = 130, 140  # columns from which on both ways have their own cells, and the beginning has one
UNSORTED = ("application", "process")  # they are found out for what is in view only
MAX_FOLLOWED = 20_000  # segments of a conversation that is followed to say in which phase it was closed


class Known(NamedTuple):
    """What was found out of a conversation in view: what it speaks, the names of its ends, and the process that had it."""

    application: str
    ends: tuple[str, str]
    process: str


class ConversationTable(LineList):
    """A line a conversation, in the order of `sort`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open('packets')", "Packets"),
        Binding("l", "open('ladder')", "Ladder"),
        Binding("s", "open('stream')", "Stream"),
        Binding("f", "open('follow')", "Follow"),
        Binding("o", "sort", "Sort"),
        Binding("r", "reverse", "Reverse", show=False),
    ]

    class Chosen(Message):
        """The cursor stands on another conversation."""

        def __init__(self, flow: int) -> None:
            super().__init__()
            self.flow = flow

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self._order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._packets = self._octets = np.zeros((0, 2), np.int64)
        self._first_ns = self._last_ns = np.zeros(0, np.int64)
        self._known: dict[int, Known] = {}
        self._endings = Endings()
        self._processes = False  # a conversation's process is known
        self.sort, self.reverse = "id", False
        self.nothing = NO_FLOW

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
        self._packets, self._octets = flows.packets.astype(np.int64), flows.octets
        count = len(self._packets)
        self._first_ns = np.array(flows.first_ns[:count], np.int64)
        self._last_ns = np.array(flows.last_ns[:count], np.int64)
        for flow in np.flatnonzero(self._last_ns < self._first_ns).tolist():  # only quoted, in an ICMP error
            self._first_ns[flow] = self._last_ns[flow] = self._session.time_of(flows.first[flow])
        self._endings.update(self._session.index)
        if self._session.complete:
            self._known.clear()
        else:  # who has said nothing yet may say something
            self._known = {flow: known for flow, known in self._known.items() if known.application}
        self._arrange()

    def choose(self, flow: int) -> None:
        """The cursor on a conversation."""
        found = np.flatnonzero(self._order == flow)
        self.put(int(found[0]) if len(found) else self.position)

    def _arrange(self) -> None:
        chosen = self.flow
        self._order = self._sorted()
        self.border_subtitle = f"{counted(self.total, 'conversation')}, by {self._titles()[self.sort].strip('→← ').lower()}"
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
            "start": self._first_ns, "duration": self._last_ns - self._first_ns, "ended": self._endings.order()[:count],
        }  # fmt: skip
        if self.sort == "ends":
            order = flows.by_ends()
            order = order[order < count]
        elif self.sort in keys:
            order = np.argsort(keys[self.sort], kind="stable")
        else:
            order = np.arange(count, dtype=np.int64)
        return order[::-1] if self.reverse else order

    @work(thread=True, exclusive=True, group="applications")
    def _find_out(self, flows: list[int]) -> None:
        from inspector.capture.family import Process  # the only word that this view needs of what records

        worker, last = get_current_worker(), self._session.count

        def named(address: bytes) -> str:
            return self._session.name(address, last)

        for flow in flows:
            if worker.is_cancelled:
                return
            comments = self._session.comments(self._session.index.flows.first[flow])
            process = next(filter(None, map(Process.named, comments)), "")
            self._known[flow] = Known(self._session.application(flow), self._names(flow, named), printable(process))
            self._processes = self._processes or bool(process)
        self.app.call_from_thread(self.refresh)

    def scrolled(self) -> None:
        if not self._session.follows:
            return
        view = self.in_view()
        missing = [flow for flow in self._order[view.start : view.stop].tolist() if flow not in self._known]
        if missing:
            self._find_out(missing)

    def _names(self, flow: int, name: Callable[[bytes], str]) -> tuple[str, str]:
        source, destination = (name(address) for address in self._session.index.flows.addresses(flow))
        return _host(source), _host(destination)

    # --- drawing

    def _columns(self, width: int) -> list[Column]:
        numbers: tuple[Column, ...] = NUMBERS
        if width < WIDE:
            numbers = (Column("packets", "Packets", 8, True), Column("bytes", "Bytes", 8, True))
        process = [PROCESS] if self._processes and width >= WIDE else []
        first = [column if width >= WIDE else column._replace(width=min(column.width, 12)) for column in LEFT]
        ended = [ENDED] if width >= NARROW else []  # the pane below says it, too
        columns = [*first, *process, *ended, *numbers, *(RIGHT if width >= WIDER else RIGHT[1:] if ended else ())]
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
        protocol = "TCP" if flows.protocol(flow) == TCP else "UDP"
        known = self._known.get(flow) or Known("…", self._names(flow, address_text), "")
        sent, received = self._packets[flow].tolist()
        bytes_sent, bytes_received = self._octets[flow].tolist()
        begin = int(self._first_ns[flow]) - session.time_of(1)
        columns = self._columns(width)
        room = next(column.width for column in columns if column.name == "ends")
        ends = between(known.ends, room, (f":{flows.sport(flow)}", f":{flows.dport(flow)}"))
        cells = {
            "id": f"{protocol} {flows.stream[flow]}", "application": known.application, "ends": ends,
            "process": known.process, "ended": self._endings.of(flow).words if protocol == "TCP" else "",
            "sent": f"{sent:,}", "received": f"{received:,}", "packets": f"{sent + received:,}",
            "bytes_sent": octets(bytes_sent), "bytes_received": octets(bytes_received),
            "bytes": octets(bytes_sent + bytes_received),
            "start": f"{begin / 1e9:.4f}", "duration": seconds(int(self._last_ns[flow] - self._first_ns[flow])),
        }  # fmt: skip
        mark = "▶ " if position == self.position else "  "
        texts = [(right if c.right else fit)(cells[c.name], c.width) for c in columns]
        return [(mark + " ".join(texts), "")]

    def moved(self) -> None:
        self.post_message(self.Chosen(self.flow))

    # --- keys

    def heading_clicked(self, x: int) -> None:
        at = 2
        for column in self._columns(self.room):
            at += column.width + 1
            if x < at:
                self._sort_by(column.name)
                return

    def _sort_by(self, name: str) -> None:
        if name in UNSORTED:
            return
        self.reverse = not self.reverse if name == self.sort else name not in ("id", "ends", "start")
        self.sort = name
        self._arrange()

    def action_sort(self) -> None:
        names = [name for name in self._titles() if name not in UNSORTED]
        self._sort_by(names[(names.index(self.sort) + 1) % len(names)] if self.sort in names else names[0])

    def action_reverse(self) -> None:
        self._sort_by(self.sort)

    def action_open(self, view: str) -> None:
        if self.flow >= 0:
            self.post_message(ShowFlow(self.flow, view))


class ConversationsView(View):
    """The table, and under it the conversation that the cursor stands on."""

    key = "conversations"
    title = "Conversations"
    tells = (
        "Who talked with whom over TCP and UDP, and how it ended."
    )
    keys = (
        ("Enter", "only its packets (Esc shows all again)"),
        ("l s f", "its ladder, stream, or what it said"),
        ("o r", "order by another column, or click its title; the other way round"),
    )

    def compose(self) -> ComposeResult:
        yield ConversationTable(self.session, id="conversations", classes="pane")
        yield Static(id="conversation", classes="pane", markup=False)

    @on(ConversationTable.Chosen)
    def _chosen(self, event: ConversationTable.Chosen) -> None:
        if self.session.follows:
            self._tell(event.flow)

    @work(thread=True, exclusive=True, group="tell")
    def _tell(self, flow: int) -> None:
        text = "\n".join(self._sentences(flow))
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._told, flow, text)

    def _told(self, flow: int, text: str) -> None:
        pane, flows = self.query_one("#conversation", Static), self.session.index.flows
        pane.border_title = f"{'TCP' if flows.protocol(flow) == TCP else 'UDP'} {flows.stream[flow]}"
        pane.update(text)

    def _sentences(self, flow: int) -> Iterator[str]:
        """The states of its ends, who closed first and how, what the capture has of it, and what its author says."""
        session, flows = self.session, self.session.index.flows
        if flows.protocol(flow) == TCP:
            states = session.tcp(flow).states
            names = [_host(session.name(address, session.count)) for address in flows.addresses(flow)]
            ends = [f"{name}:{port}" for name, port in zip(names, (flows.sport(flow), flows.dport(flow)), strict=True)]
            first, second = (state.title if state else "of unknown state" for state in states.at(session.count))
            now = f"Both ends are {first}" if first == second else f"{ends[0]} is {first}, {ends[1]} is {second}"
            if states.closed_first is not None:
                who, how = ends[states.closed_first], "a FIN" if states.closed_by == "FIN" else "a reset"
                phase = session.closed(flow) if int(sum(flows.packets[flow])) <= MAX_FOLLOWED else None
                when = f": {printable(phase.words)}" if phase is not None else ""
                yield f"{who} closed first, with {how} in packet {states.closed_at}{when}."
            else:
                yield "Nobody has closed it."
            seen, whole = parts(states.completeness), "complete" if complete(states.completeness) else "incomplete"
            yield f"{now} at the end. Captured: {seen}; {whole} (tcp.completeness == {states.completeness})."
        else:
            yield "Datagrams: nothing is opened or closed, and neither end has a state."
        for comment in session.comments(flows.first[flow])[:1]:
            yield printable(comment)

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        self.query_one(ConversationTable).choose(flow)

    def chosen(self) -> tuple[int, int] | None:
        flow = self.query_one(ConversationTable).flow
        return (flow, int(self.session.index.flows.first[flow])) if flow >= 0 else None

    def loaded(self) -> None:
        self.query_one(ConversationTable).reload()


def _host(name: str) -> str:
    """A name as it stands in front of a port: an address of IPv6 in brackets."""
    return f"[{name}]" if ":" in name else name
