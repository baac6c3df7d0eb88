"""The Ladder: both ends of a conversation as vertical lines, an arrow a segment or a message, and the time between."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.annotations.messages import messages
from inspector.core.field import endpoint_text
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import flag_words
from inspector.index.names import TCP
from inspector.session import Session
from inspector.streams.tcp_layer import MEANINGS, Tcp
from inspector.tui.cells import fit, right, seconds
from inspector.tui.messages import GoTo
from inspector.tui.views.view import NO_FLOW, View, main_flow
from inspector.tui.widgets.line_list import LineList, Piece

KEPT = 2000  # described lines in memory
PAUSE = 200_000_000  # nanoseconds from which on a pause stands out
AWAITED = "◆"
FOLLOWED = 20_000  # packets of a conversation that is followed for what its requests waited for, before messages are wanted
STATES = 130  # columns from which on there is room for the ends' states
SHORT = {"ESTABLISHED": "ESTAB", "SYN-RECEIVED": "SYN-RCVD", "UNKNOWN": "not seen"}  # as netstat shortens them


class Ladder(LineList):
    """A line an arrow. Whole lines come from the columns; what a message says is dissected in a thread, for lines in view."""

    head = 2

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self.flow = -1
        self.by_message = False
        self._packets: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._columns: dict[str, npt.NDArray[np.int64]] = {}
        self._tcp: Tcp | None = None
        self._messages: list[Pdu] | None = None
        self._said: OrderedDict[int, str] = OrderedDict()
        self._ends = ("", "")
        self.nothing = NO_FLOW
        self._waits: dict[int, tuple[int, int]] = {}  # packet → the one with the request that waited for it, and how long

    # --- data

    @property
    def total(self) -> int:
        return len(self._messages or ()) if self.by_message else len(self._packets)

    def packet(self, position: int) -> int:
        """The packet that an arrow belongs to."""
        return self._messages[position].packet if self.by_message and self._messages else int(self._packets[position])

    def show(self, flow: int, number: int) -> None:
        """Show a conversation, with the cursor on a packet of it."""
        if flow != self.flow:
            index, flows = self._session.index, self._session.index.flows
            self.flow = flow
            self._packets = index.flow_packets(flow)
            rows = self._packets - 1
            names = ("direction", "flags", "seq", "ack", "payload_length", "time_ns")
            self._columns = {name: index.at(name, rows).astype(np.int64) for name in names}
            self._tcp, self._messages, self.by_message = None, None, False
            self._said.clear()
            self._waits = {}
            source, destination = flows.addresses(flow)
            self._ends = endpoint_text(source, flows.sport(flow)), endpoint_text(destination, flows.dport(flow))
            self._follow(flow)
        self._label()
        self.resize_lines()
        self.put(self._nearest(number))

    def _nearest(self, number: int) -> int:
        if self.by_message and self._messages is not None:
            return int(np.searchsorted(np.array([pdu.packet for pdu in self._messages], np.int64), number))
        return int(np.searchsorted(self._packets, number))

    def _label(self) -> None:
        what = "messages" if self.by_message else "segments" if self._is_tcp() else "datagrams"
        self.border_title = f"Ladder of {'TCP' if self._is_tcp() else 'UDP'} {self._session.index.flows.stream[self.flow]}"
        self.border_subtitle = f"{self.total:,} {what}"

    def _is_tcp(self) -> bool:
        return self._session.index.flows.protocol(self.flow) == TCP

    @work(thread=True, exclusive=True, group="follow")
    def _follow(self, flow: int) -> None:
        """What takes time: the names of the ends, their states."""
        worker, session = get_current_worker(), self._session
        flows, last = session.index.flows, session.count
        source, destination = (session.name(address, last) for address in flows.addresses(flow))
        ends = f"{source}:{flows.sport(flow)}", f"{destination}:{flows.dport(flow)}"
        tcp = session.tcp(flow) if flows.protocol(flow) == TCP else None
        if worker.is_cancelled:
            return
        self._ends, self._tcp = ends, tcp
        self.app.call_from_thread(self.refresh)
        if tcp is not None and len(self._packets) <= FOLLOWED:
            waits = session.waits(flow)
            if not worker.is_cancelled:
                self._waits = waits
                self.app.call_from_thread(self.refresh)

    @work(thread=True, exclusive=True, group="messages")
    def _find_messages(self, flow: int) -> None:
        worker = get_current_worker()
        found = messages(self._session.conversation(flow)) if self._is_tcp() else []
        waits = self._session.waits(flow) if self._is_tcp() else {}
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, flow, found, waits)

    def _found(self, flow: int, found: list[Pdu], waits: dict[int, tuple[int, int]]) -> None:
        if flow == self.flow:
            self._messages, self._waits = found, waits
            self.turn()

    def turn(self) -> None:
        """From segments to messages and back; the cursor stays at its time."""
        if self.flow < 0:
            return
        if self._messages is None:  # they are looked for when they are first asked for
            self.border_subtitle = "looking for messages …"
            self._find_messages(self.flow)
            return
        if not self.by_message and not self._messages:
            self._label()
            self.notify("no messages are known in this conversation")
            return
        number = self.packet(self.position) if self.total else 0
        self.by_message = not self.by_message
        self._label()
        self.resize_lines()
        self.put(self._nearest(number))

    def scrolled(self) -> None:
        if self.by_message or (self.flow >= 0 and not self._is_tcp()):
            missing = [position for position in self.in_view() if position not in self._said]
            if missing:
                self._describe(missing)

    @work(thread=True, exclusive=True, group="describe")
    def _describe(self, positions: list[int]) -> None:
        worker, pdus = get_current_worker(), self._messages if self.by_message else None
        for position in positions:
            if worker.is_cancelled:
                return
            if pdus is None:
                row = self._session.row(int(self._packets[position]))
                self._said[position] = f"{row.protocol}  {row.info}"
            else:
                self._said[position] = self._session.words(pdus[position])
            while len(self._said) > KEPT:
                self._said.popitem(last=False)
        if not worker.is_cancelled:
            self.app.call_from_thread(self.refresh)

    # --- drawing: number, time, time since, [state] │ arrow │ [state]

    def _sides(self, width: int) -> tuple[int, int]:
        """Cells in front of the left line and behind the right one."""
        states = 12 if width >= STATES and self._tcp is not None else 0
        return 27 + states, states

    def heading(self, width: int, line: int) -> str:
        """The names of the ends, and under them where their lines begin."""
        left, behind = self._sides(width)
        room = width - left - behind - 2
        if line == 0:
            half = (room + behind) // 2
            start, end = self._ends
            return " " * left + fit(start, half) + right(end, room + 2 + behind - half)
        titles = f"{'No':>7} {'Time':>9} {'after':>8} "
        return titles + right("state", left - len(titles)) + "┬" + " " * room + "┬" + (" state" if behind else "")

    def line(self, position: int, width: int) -> list[Piece]:
        number = self.packet(position)
        row = int(np.searchsorted(self._packets, number))
        before = self._time(self.packet(position - 1)) if position else self._time(number)
        time = self._time(number)
        start = self._session.time_of(1)
        left, behind = self._sides(width)
        mark = "▶" if position == self.position else " "
        gap = time - before
        after = "" if not position else seconds(gap) if gap or not self.by_message else "same"
        lead = f"{mark}{number:>6} {(time - start) / 1e9:>9.4f} {right(after, 8)} "
        states = self._states(row, number) if behind else ("", "")
        backward = bool(self._columns["direction"][row])
        room = width - left - behind - 2
        words, style = self._words(position, row, number)
        if number in self._waits and not (position and self.packet(position - 1) == number):
            request, wait = self._waits[number]
            words, style = f"{AWAITED} {request} waited {seconds(wait)} for this  {words}", style or "two"
        pause: Piece = (lead, "two" if gap >= PAUSE else "dim")
        shaft = _arrow(words, room, backward)
        return [
            pause, (right(states[0], left - len(lead)), "dim"), ("│", "dim"),
            (shaft, style or ("one" if not backward else "")), ("│", "dim"), (fit(f" {states[1]}", behind), "dim"),
        ]  # fmt: skip

    def _time(self, number: int) -> int:
        return int(self._columns["time_ns"][int(np.searchsorted(self._packets, number))])

    def _states(self, row: int, number: int) -> tuple[str, str]:
        """The ends' states, where this segment changed them or the ladder begins."""
        if self._tcp is None:
            return "", ""
        now = self._tcp.states.at(number)
        if row == 0:
            changed = {0, 1}
        else:
            changed = {change.end for change in self._tcp.states.changes(number)}
        words = [SHORT.get(state.title, state.title) if end in changed else "" for end, state in enumerate(now)]
        return words[0], words[1]

    def _words(self, position: int, row: int, number: int) -> tuple[str, str]:
        """What stands on an arrow, and its style."""
        if self.by_message or not self._is_tcp():
            return self._said.get(position, "…"), ""
        columns = self._columns
        direction, flags = int(columns["direction"][row]), int(columns["flags"][row])
        bases = self._session.index.flows.base_seq[self.flow]
        sequence = (int(columns["seq"][row]) - bases[direction]) & 0xFFFFFFFF
        words = f"{flag_words(flags)}  seq {sequence:,}"
        if flags & 0x10:
            words += f"  ack {(int(columns['ack'][row]) - bases[1 - direction]) & 0xFFFFFFFF:,}"
        if length := int(columns["payload_length"][row]):
            words += f"  len {length:,}"
        found = self._tcp.analysis.of(number) if self._tcp is not None else None
        if found is not None and found.marks:
            labels = [label for mark, (label, _, _) in MEANINGS.items() if mark & found.marks]
            return f"{words}  ! {', '.join(labels)}", "error"
        return words, "" if length or flags & 0x07 else "dim"


def _arrow(words: str, width: int, backward: bool) -> str:
    """`──── words ────▶` over the whole width, the head where the segment goes."""
    words = f" {words} "
    words = fit(words, min(max(width - 6, 0), cell_len(words)))
    left = max((width - cell_len(words) - 1) // 2, 0)
    rest = max(width - cell_len(words) - 1 - left, 0)
    return "◀" + "─" * left + words + "─" * rest if backward else "─" * left + words + "─" * rest + "▶"


class LadderView(View):
    """The ladder of one conversation."""

    key = "ladder"
    title = "Ladder"
    tells = (
        "A conversation as its two ends saw it: time goes down, an arrow a segment. ! is what TCP had to mend, ◆ "
        "the answer that a request waited for. Where there is room, the state that each end is in stands beside "
        "its line."
    )
    keys = (
        ("a", "segments, or the messages that they carry"),
        ("Enter", "to the packet"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Packet"),
        Binding("a", "turn", "Segments, messages"),
        Binding("left_curly_bracket", "other(-1)", "Conversation", key_display="{ }"),
        Binding("right_curly_bracket", "other(1)", "Next conversation", key_display="}", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield Ladder(self.session, id="ladder", classes="pane")

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        ladder = self.query_one(Ladder)
        if flow < 0:
            flow = ladder.flow if ladder.flow >= 0 else main_flow(self.session)
        if flow < len(self.session.index.flows):
            ladder.show(flow, number)

    def chosen(self) -> tuple[int, int] | None:
        ladder = self.query_one(Ladder)
        return (ladder.flow, ladder.packet(ladder.position)) if ladder.total else None

    def action_open(self) -> None:
        ladder = self.query_one(Ladder)
        if ladder.total:
            self.post_message(GoTo(ladder.packet(ladder.position)))

    def action_turn(self) -> None:
        self.query_one(Ladder).turn()

    def action_other(self, by: int) -> None:
        """The conversation after this one, or before."""
        ladder = self.query_one(Ladder)
        flow = ladder.flow + by
        if 0 <= flow < len(self.session.index.flows):
            ladder.show(flow, 0)
