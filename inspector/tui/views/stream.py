"""The Stream view: one direction of a conversation at every level at once, aligned on the axis of its bytes."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static
from textual.worker import get_current_worker

from inspector.annotations.strata import FRAMES, Strata, Unit, strata
from inspector.core.span import Frame, Span, trace
from inspector.index.names import TCP
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.messages import GoTo
from inspector.tui.views.view import NO_FLOW, View, main_flow
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.strata_map import StrataMap, plain

LONG = 5_000  # packets of a conversation from which on reading it takes a while
LISTED = 6  # units of one level that are named below the picture


class StreamView(View):
    """The strata of one conversation."""

    key = "stream"
    title = "Stream"
    tells = (
        "One direction of a conversation, a row a level, aligned on the bytes: where events, chunks, records, "
        "segments and frames begin and end. Under the unit of the cursor, what carries it is marked in every row."
    )
    keys = (
        ("← →  ↑ ↓", "the unit before, the next one; the level above, below"),
        ("+ -", "stretch and shrink (or Ctrl and the wheel)"),
        ("d", "the other direction"),
        ("Enter", "to the packet that completes the unit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Packet"),
        Binding("d", "direction", "Other direction"),
        Binding("left_curly_bracket", "other(-1)", "Conversation", key_display="{ }"),
        Binding("right_curly_bracket", "other(1)", "Next conversation", key_display="}", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.flow = -1
        self._direction = 0
        self._strata: list[Strata] = []
        self._ends = ("", "")
        self._number = 0

    def compose(self) -> ComposeResult:
        yield StrataMap(id="strata", classes="pane")
        with VerticalScroll(id="unit", classes="pane"):
            yield Static(id="unit-text", markup=False)
        yield HexView(id="unit-bytes", classes="pane")

    def on_mount(self) -> None:
        self.query_one("#unit").border_title = "Unit"

    def focus_main(self) -> None:
        self.query_one(StrataMap).focus()

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        if flow < 0:
            flow = self.flow if self.flow >= 0 else main_flow(self.session)
        if flow == self.flow and self._strata:
            self._show(number)
        elif flow < len(self.session.index.flows):
            self._open(flow, number)
        else:
            self.query_one("#unit-text", Static).update(NO_FLOW)

    def chosen(self) -> tuple[int, int] | None:
        unit = self.query_one(StrataMap).unit
        return (self.flow, unit.packet) if unit is not None else None

    def _open(self, flow: int, number: int) -> None:
        self.flow, self._strata, self._number = flow, [], number
        flows = self.session.index.flows
        self.query_one(StrataMap).border_title = f"Stream {flows.stream[flow]}: following its segments …"
        if flows.protocol(flow) != TCP:
            self._nothing(flows.stream[flow])
            return
        self._follow(flow)

    def _nothing(self, stream: int) -> None:
        """Nothing is left of the conversation before: this one has no stream."""
        for group in ("follow", "describe", "tell"):
            self.workers.cancel_group(self, group)
        pane, bytes_ = self.query_one(StrataMap), self.query_one(HexView)
        pane.clear()
        bytes_.clear()
        pane.border_title, pane.border_subtitle, bytes_.border_title = f"UDP {stream}: datagrams are no stream", "", ""
        words = "The Ladder (3) and Follow (f) show datagrams; { and } lead to the TCP conversations before and after this one."
        self.query_one("#unit-text", Static).update(words)

    @work(thread=True, exclusive=True, group="follow")
    def _follow(self, flow: int) -> None:
        worker, session = get_current_worker(), self.session
        flows, last = session.index.flows, session.count
        source, target = (session.name(address, last) for address in flows.addresses(flow))
        ends = f"{source}:{flows.sport(flow)}", f"{target}:{flows.dport(flow)}"
        protocols = session.registry.protocols
        ways = [session.conversation]
        if len(session.index.flow_packets(flow)) > LONG:
            ways.insert(0, session.reassembled)  # segments and frames are there at once, what they carry a while later
        for way in ways:
            conversation = way(flow)
            found = [strata(conversation, direction, lambda name: protocols[name].title) for direction in (0, 1)]
            if worker.is_cancelled:
                return
            self.app.call_from_thread(self._followed, flow, found, ends)

    def _followed(self, flow: int, found: list[Strata], ends: tuple[str, str]) -> None:
        chosen = self.chosen() if self._strata else None
        self.flow, self._strata, self._ends = flow, found, ends
        self._show(chosen[1] if chosen is not None else self._number)

    def _show(self, number: int) -> None:
        """The direction that packet `number` has a part in, the cursor on the highest unit that it completes or carries."""
        for direction, found in enumerate(self._strata):
            unit = next((unit for row in found.rows if (unit := row.of(number)) is not None), None)
            if unit is not None:
                self._turn(direction, unit)
                return
        fuller = 0 if not self._strata[1].size else 1 if not self._strata[0].size else self._direction
        self._turn(fuller, None)

    def _turn(self, direction: int, unit: Unit | None) -> None:
        self._direction = direction
        found = self._strata[direction]
        source, target = self._ends[::-1] if direction else self._ends
        pane = self.query_one(StrataMap)
        pane.border_title = Content(f"TCP {self.session.index.flows.stream[self.flow]}   {source} → {target}")
        pane.border_subtitle = f"{found.size:,} bytes"
        if unit is None and not found.size:
            self.query_one("#unit-text", Static).update("Nothing was sent this way.")
        pane.show(found, unit)

    # --- words, in a thread

    @on(StrataMap.Moved)
    def _moved(self) -> None:
        pane = self.query_one(StrataMap)
        missing = [unit for unit in pane.in_view() if (unit.stratum, unit.number) not in pane.words]
        for unit in missing:
            if unit.pdu is None:
                pane.words[unit.stratum, unit.number] = plain(unit)
        wanted = [unit for unit in missing if unit.pdu is not None]
        if wanted:
            self._describe(wanted)

    @work(thread=True, exclusive=True, group="describe")
    def _describe(self, units: list[Unit]) -> None:
        worker, words = get_current_worker(), self.query_one(StrataMap).words
        for unit in units:
            if worker.is_cancelled:
                return
            if unit.pdu is not None:
                words[unit.stratum, unit.number] = self.session.summary(unit.pdu)
        self.app.call_from_thread(self.query_one(StrataMap).refresh)

    # --- the unit under the cursor

    @on(StrataMap.Chosen)
    def _chosen(self, event: StrataMap.Chosen) -> None:
        unit = event.unit
        span = unit.pdu.span if unit.pdu is not None else Span(self._strata[self._direction].buffer, unit.start, unit.stop)
        pane = self.query_one(HexView)
        pane.border_title = f"Bytes: {span.buffer.kind}"
        pane.show(span.buffer, [(span.start, span.stop)], [])
        self._tell(unit)

    @work(thread=True, exclusive=True, group="tell")
    def _tell(self, unit: Unit) -> None:
        text = self._text(unit)
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self.query_one("#unit-text", Static).update, text)

    def _text(self, unit: Unit) -> Text:
        """Its words, when it came, and what carries it at every level."""
        found = self._strata[self._direction]
        text = Text()
        if unit.pdu is not None:
            title = self.session.words(unit.pdu)
        else:
            title = f"frame {unit.packet}" if unit.stratum == FRAMES else f"segment {unit.number + 1}"
        text.append(fit(title, min(cell_len(title), 100)), "bold")
        about = "" if unit.exact else "≈ "
        text.append(f"   {about}{unit.start:,}–{unit.stop:,}: {unit.stop - unit.start:,} bytes of the stream\n")
        span = unit.pdu.span if unit.pdu is not None else Span(found.buffer, unit.start, unit.stop)
        frames = trace(span)
        if frames:
            first, last = (self._moment(place) for place in (frames[0], frames[-1]))
            text.append(f"First byte {first} · last byte {last} · complete {self._time(unit.packet)}\n")
            if not all(place.exact for place in frames):
                text.append("Enciphered or compressed as a whole: it is drawn at its share of what carries it.\n")
        for row in found.rows:
            if row.title == unit.stratum:
                continue
            units = row.between(unit.start, unit.stop)
            if not units:
                continue
            text.append(f"{row.title:<16} ", "bold")
            text.append(", ".join(self._share(unit, other) for other in units[:LISTED]))
            text.append(f" … {len(units):,} in all\n" if len(units) > LISTED else "\n")
        return text

    def _share(self, unit: Unit, other: Unit) -> str:
        """Which part of another unit lies in this one's range, or goes beyond it."""
        if other.pdu is not None:
            summary = self.session.summary(other.pdu)
            name = f"“{fit(summary, min(cell_len(summary), 28))}”"
        else:
            name = f"{other.packet}" if other.stratum == FRAMES else f"{other.number + 1}"
        low, high, size = max(unit.start, other.start), min(unit.stop, other.stop), other.stop - other.start
        about = "" if unit.exact and other.exact else "≈ "
        return f"{name} (all {size:,} B)" if high - low == size else f"{name} ({about}{high - low:,} of its {size:,} B)"

    def _moment(self, place: Span) -> str:
        assert isinstance(place.buffer, Frame)
        return self._time(place.buffer.number)

    def _time(self, packet: int) -> str:
        return f"{(self.session.time_of(packet) - self.session.time_of(1)) / 1e9:.6f} s (packet {packet})"

    # --- keys

    def action_open(self) -> None:
        unit = self.query_one(StrataMap).unit
        if unit is not None:
            self.post_message(GoTo(unit.packet))

    def action_direction(self) -> None:
        if self._strata:
            self._turn(1 - self._direction, None)

    def action_other(self, by: int) -> None:
        """The TCP conversation after this one, or before."""
        flows, flow = self.session.index.flows, self.flow + by
        while 0 <= flow < len(flows) and flows.protocol(flow) != TCP:
            flow += by
        if 0 <= flow < len(flows):
            self._open(flow, 0)
