"""The Follow view: what both ends of a conversation said, one after the other, as text or in hexadecimal."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from inspector.core.limits import MAX_FOLLOWED
from inspector.core.span import Buffer, Frame, trace
from inspector.core.text import decode, printable
from inspector.index.names import TCP
from inspector.session import Session
from inspector.streams.conversation import Conversation
from inspector.streams.tcp import TcpBuffer
from inspector.tui.messages import Copied, GoTo
from inspector.tui.views.view import NO_FLOW, View, main_flow
from inspector.tui.widgets.line_list import LineList, Piece

GUTTER = 10  # cells in front of a line: the packet, and who speaks
NARROWEST = 20
PROBED = 256  # bytes of a turn that show whether it is text


class Turn(NamedTuple):
    """Bytes that one end sent, and the packet that brought them."""

    packet: int
    direction: int
    buffer: Buffer
    start: int
    stop: int


class Lines:
    """The lines of a conversation as columns."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.turn = array("q")  # which turn a line is of
        self.start = array("q")  # in the turn's buffer
        self.stop = array("q")
        self.cut = 0  # bytes that were left out

    def add(self, turn: Turn, width: int, as_hex: bool) -> None:
        """Break a turn into lines of at most `width` bytes, text also where its own lines end."""
        at = len(self.turns)
        self.turns.append(turn)
        breaks = _hex_breaks(turn) if as_hex else _text_breaks(turn, width)
        for start, stop in breaks:
            self.turn.append(at)
            self.start.append(start)
            self.stop.append(stop)


def _hex_breaks(turn: Turn) -> Iterator[tuple[int, int]]:
    for start in range(turn.start, turn.stop, 16):
        yield start, min(start + 16, turn.stop)


def _text_breaks(turn: Turn, width: int) -> Iterator[tuple[int, int]]:
    data = turn.buffer.read(turn.start, turn.stop)
    at = 0
    while at < len(data):
        end = data.find(b"\n", at, at + width)
        stop = end + 1 if end >= 0 else min(at + width, len(data))
        if end < 0 and stop < len(data):  # not in the middle of a UTF-8 character
            back = next((back for back in range(4) if data[stop - back] & 0xC0 != 0x80), 0)
            stop = stop - back if stop - back > at else stop
        yield turn.start + at, turn.start + stop
        at = stop


def turns(session: Session, flow: int) -> list[Turn]:
    """What both ends sent, in the order in which it arrived: what was decrypted where it was, else what TCP or UDP carried."""
    if session.index.flows.protocol(flow) != TCP:
        return list(_datagrams(session, flow))
    conversation = session.conversation(flow)
    found: list[Turn] = []
    for direction in (0, 1):
        clear = _decrypted(conversation, direction)
        stream = conversation.directions[direction].buffer
        for buffer in clear or [stream]:
            found.extend(_pieces(buffer, direction))
    return sorted(found, key=lambda turn: turn.packet)


def _decrypted(conversation: Conversation, direction: int) -> list[Buffer]:
    buffers = {
        pdus[0].span.buffer.id: pdus[0].span.buffer
        for pdus in conversation.tree.by_buffer.values()
        if pdus and pdus[0].direction == direction and pdus[0].span.buffer.kind == "decrypted stream"
    }
    return list(buffers.values())


def _pieces(buffer: Buffer, direction: int) -> Iterator[Turn]:
    if isinstance(buffer, TcpBuffer):
        for start, stop, packet in buffer.segments(0, buffer.size):
            yield Turn(packet, direction, buffer, start, stop)
        return
    for origin in buffer.origins(0, buffer.size):
        frames = [span.buffer.number for span in trace(origin.source) if isinstance(span.buffer, Frame)]
        if frames:
            yield Turn(max(frames), direction, buffer, origin.start, origin.stop)


def _binary(said: list[Turn]) -> bool:
    """What is said first is no text."""
    start = b"".join(turn.buffer.read(turn.start, min(turn.stop, turn.start + PROBED)) for turn in said[:4])
    return any(byte < 32 and byte not in b"\t\n\r\x1b" for byte in start)


def _datagrams(session: Session, flow: int) -> Iterator[Turn]:
    column = session.index.column
    for number in session.index.flow_packets(flow).tolist():
        offset, length = int(column("payload_offset")[number - 1]), int(column("payload_length")[number - 1])
        if offset >= 0 and length:
            frame = session.frame(number)
            yield Turn(number, int(column("direction")[number - 1]), frame, offset, min(offset + length, frame.size))


class FollowText(LineList):
    """The lines; `→` is what the first sender said, `←` what it was answered."""

    head = 1

    def __init__(self, session: Session, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self._session = session
        self.nothing = NO_FLOW
        self.flow = -1
        self.as_hex: bool | None = None  # None: as the bytes are
        self._lines = Lines()
        self._wanted = 0
        self._ends = ("", "")
        self._width = 0

    @property
    def total(self) -> int:
        return len(self._lines.turn)

    @property
    def packet(self) -> int:
        """The packet that brought the line under the cursor, 0 for none."""
        return self._lines.turns[self._lines.turn[self.position]].packet if self.total else 0

    def show(self, flow: int, number: int) -> None:
        """Show a conversation, with the cursor on what a packet brought."""
        self._wanted = number
        if flow != self.flow:
            self.flow, self._lines, self.as_hex = flow, Lines(), None
            self.position = 0
            self.border_title, self.border_subtitle = "Following …", ""
        self._break(flow)

    def turn_hex(self) -> None:
        if self.flow < 0:
            return
        self.as_hex = not self.as_hex
        self._wanted = self.packet
        self._break(self.flow)

    def on_resize(self) -> None:
        if self.flow >= 0 and self.room != self._width:
            self._wanted = self.packet or self._wanted
            self._break(self.flow)

    def _break(self, flow: int) -> None:
        self._width = self.room
        self._follow(flow, max(self.room - GUTTER, NARROWEST), self.as_hex)

    @work(thread=True, exclusive=True, group="follow")
    def _follow(self, flow: int, width: int, as_hex: bool | None) -> None:
        worker, session = get_current_worker(), self._session
        lines = Lines()
        left = MAX_FOLLOWED
        said = turns(session, flow)
        if as_hex is None:
            as_hex = _binary(said)
        for turn in said:
            if worker.is_cancelled:
                return
            size = turn.stop - turn.start
            if size > left:
                lines.cut += size
                continue
            left -= size
            lines.add(turn, width, as_hex)
        flows, last = session.index.flows, session.count
        source, target = (session.name(address, last) for address in flows.addresses(flow))
        ends = f"{source}:{flows.sport(flow)}", f"{target}:{flows.dport(flow)}"
        if not worker.is_cancelled:
            self.app.call_from_thread(self._broken, flow, lines, ends, as_hex)

    def _broken(self, flow: int, lines: Lines, ends: tuple[str, str], as_hex: bool) -> None:
        self._lines, self._ends, self.as_hex = lines, ends, as_hex
        self.nothing = "no data in this conversation"
        flows = self._session.index.flows
        self.border_title = f"Follow {'TCP' if flows.protocol(flow) == TCP else 'UDP'} {flows.stream[flow]}"
        cut = f", {lines.cut:,} bytes more not shown" if lines.cut else ""
        self.border_subtitle = f"{sum(turn.stop - turn.start for turn in lines.turns):,} bytes{cut}"
        self.resize_lines()
        at = next((i for i, turn in enumerate(lines.turns) if turn.packet >= self._wanted), 0)
        self.put(max(_first(lines.turn, at), 0))

    def heading(self, width: int, line: int) -> str:
        return f"{'No':>7}    → {self._ends[0]}   ← {self._ends[1]}"

    def line(self, position: int, width: int) -> list[Piece]:
        lines = self._lines
        turn = lines.turns[lines.turn[position]]
        first = position == 0 or lines.turn[position - 1] != lines.turn[position]
        arrow = "←" if turn.direction else "→"
        mark = "▶" if position == self.position else " "
        data = turn.buffer.read(lines.start[position], lines.stop[position])
        if self.as_hex:
            text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)
            words = f"{lines.start[position]:08x}  {data[:8].hex(' '):<23}  {data[8:].hex(' '):<23}  {text}"
        else:
            words = printable(decode(data.rstrip(b"\r\n")))
        gutter = f"{mark}{turn.packet if first else '':>6} {arrow} "
        return [(gutter, "dim"), (words, "two" if turn.direction else "one")]

    def spoken(self) -> str:
        """What was said in the turn under the cursor."""
        turn = self._lines.turns[self._lines.turn[self.position]]
        return "\n".join(printable(line) for line in decode(turn.buffer.read(turn.start, turn.stop)).splitlines())


def _first(column: array[int], value: int) -> int:
    """Where a value begins in a sorted column."""
    from bisect import bisect_left

    return bisect_left(column, value)


class FollowView(View):
    """What was said in one conversation."""

    key = "follow"
    title = "Follow"
    tells = (
        "What a conversation said, in order, after the number of the packet that brought it: → from the end that "
        "began it, ← from the other."
    )
    keys = (
        ("a", "text or hexadecimal"),
        ("c", "copy"),
        ("Enter", "to the packet"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Packet"),
        Binding("a", "turn", "Text or hex"),
        Binding("c", "copy", "Copy"),
        Binding("left_curly_bracket", "other(-1)", "Conversation", key_display="{ }"),
        Binding("right_curly_bracket", "other(1)", "Next conversation", key_display="}", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield FollowText(self.session, id="follow", classes="pane")

    @property
    def _text(self) -> FollowText:
        return self.query_one(FollowText)

    def chosen(self) -> tuple[int, int] | None:
        return (self._text.flow, self._text.packet) if self._text.total else None

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        if flow < 0:
            flow = self._text.flow if self._text.flow >= 0 else main_flow(self.session)
        if flow < len(self.session.index.flows):
            self._text.show(flow, number)

    def action_open(self) -> None:
        if self._text.total:
            self.post_message(GoTo(self._text.packet))

    def action_turn(self) -> None:
        self._text.turn_hex()

    def action_copy(self) -> None:
        if self._text.total:
            self.post_message(Copied(self._text.spoken(), "what was said here"))

    def action_other(self, by: int) -> None:
        """The conversation after this one, or before."""
        flow = self._text.flow + by
        if 0 <= flow < len(self.session.index.flows):
            self._text.show(flow, 0)
