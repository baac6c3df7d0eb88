"""The Packets screen: list, OSI layers, fields, bytes and Why, kept in step with one another."""

from __future__ import annotations

from time import sleep
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from inspector.annotations.osi import Level, lens
from inspector.core.errors import InspectError
from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.span import Buffer, Frame, Span, project, trace
from inspector.core.stream import Pdu
from inspector.core.text import printable
from inspector.dissection.engine import Dissection
from inspector.session import Session
from inspector.tui.messages import ByteSelected, Dissected, FieldSelected, Loaded, PacketSelected
from inspector.tui.widgets.buffer_tabs import BufferTabs
from inspector.tui.widgets.field_tree import FieldTree
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.osi_stack import OsiStack
from inspector.tui.widgets.packet_list import TIMES, PacketList

NARROW = 110  # columns below which the panes fold
SETTLE = 0.03  # seconds that the cursor rests on a packet before it is dissected: a held key passes many


class PacketsScreen(Screen[None]):
    """Step through a capture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("[", "step(1)", "Layer down", key_display="["),
        Binding("]", "step(-1)", "Layer up", key_display="]"),
        Binding("ctrl+g", "ask", "Go to"),
        Binding("t", "times", "Time"),
        Binding("b", "buffers(1)", "Buffer"),
        Binding("backslash", "zoom", "Zoom", key_display="\\"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "leave", "Back"),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, session: Session, start: int | None = None) -> None:
        super().__init__()
        self.session = session
        self._start = start
        self._result: Dissection | None = None
        self._lit: tuple[Span, Layer] | None = None
        self._part_of: list[Pdu] = []

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield PacketList(self.session, id="packets")
        yield Input(placeholder="packet number", id="goto", type="integer")
        with Horizontal(id="middle"):
            yield OsiStack(id="osi")
            with Vertical(id="right"):
                yield FieldTree(id="fields")
                with Vertical(id="bytes"):
                    yield BufferTabs(id="tabs")
                    yield HexView(id="hex")
        with VerticalScroll(id="why"):
            yield Static(id="why-text", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        for name, title in (("osi", "OSI layers"), ("fields", "Fields"), ("bytes", "Bytes"), ("why", "Why")):
            self.query_one(f"#{name}").border_title = title
        self.query_one("#goto").display = False
        self._title()
        self.query_one(PacketList).focus()
        if self.session.complete:
            self.post_message(Loaded())
        else:
            self._load()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < NARROW or event.size.height < 30, "narrow")

    # --- loading and dissecting, in threads

    @work(thread=True, group="load")
    def _load(self) -> None:
        said = -1.0

        def progress(share: float) -> None:
            nonlocal said
            if share - said >= 0.02:
                said = share
                self.post_message(Loaded())

        error = ""
        try:
            self.session.load(progress)
        except (InspectError, OSError) as failed:
            error = str(failed)
        self.post_message(Loaded(error))

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        packets = self.query_one(PacketList)
        if self.session.complete:
            packets.forget()
            if self._start is not None:
                packets.go(self._start)
                self._start = None
        else:
            packets.refresh_count()
        if event.error:
            self.notify(printable(event.error), severity="error", timeout=10)
        elif self.session.complete and self.session.damage is not None:
            self.notify(printable(self.session.damage.text), severity="warning", timeout=10)
        self._title()

    def _title(self) -> None:
        session = self.session
        state = "" if session.complete else f" · loading {session.progress:.0%}"
        flows = len(session.index.flows)
        text = f" osi-inspect · {printable(session.title)} · {session.count:,} packets · {flows:,} conversations{state}"
        self.query_one("#title", Static).update(text)

    @on(PacketSelected)
    def _selected(self, event: PacketSelected) -> None:
        self._dissect(event.number)

    @work(thread=True, exclusive=True, group="dissect")
    def _dissect(self, number: int) -> None:
        worker = get_current_worker()
        sleep(SETTLE)
        if worker.is_cancelled:
            return
        result = self.session.dissect(number)
        self.post_message(Dissected(number, result, self.session.part_of(number)))

    @on(Dissected)
    def _dissected(self, event: Dissected) -> None:
        if event.number != self.query_one(PacketList).cursor:
            return
        self._result, self._part_of = event.result, event.part_of
        packet = event.result.packet
        interfaces = self.session.interfaces
        interface = interfaces[packet.interface] if packet.interface < len(interfaces) else None
        gap = packet.time_ns - self.session.time_of(event.number - 1) if event.number > 1 else None
        self.query_one(FieldTree).show(event.result)
        self.query_one("#osi").border_title = f"OSI layers of packet {event.number}"
        self.query_one(BufferTabs).show([buffer for buffer in event.result.buffers.values() if buffer.size])
        self.query_one(OsiStack).show(lens(event.result, interface, gap))

    # --- one selection, shown everywhere

    @on(OsiStack.Stepped)
    def _stepped(self, event: OsiStack.Stepped) -> None:
        if event.level.layers:
            layer = event.level.layers[-1]
            self.query_one(FieldTree).reveal(layer)
            # Below the application, what a layer added is its header: the rest of its span is what it carries.
            own = layer.own_spans() if layer.osi <= 4 else []
            self._light(own[0] if own else layer.span, layer)
            self._explain(layer, None)
        else:
            self._explain_empty(event.level)

    @on(FieldSelected)
    def _field_selected(self, event: FieldSelected) -> None:
        layer = self._layer_of(event.field)
        if layer is not None:
            self.query_one(OsiStack).choose(layer.osi)
            self._light(event.field.span, layer)
            self._explain(layer, event.field)

    @on(ByteSelected)
    def _byte_selected(self, event: ByteSelected) -> None:
        if self._result is None:
            return
        buffer = self._result.buffers.get(event.buffer)
        if buffer is None:
            return
        found = self._deepest(buffer, event.offset)
        if found is None:
            return
        layer, field = found
        self.query_one(OsiStack).choose(layer.osi)
        self.query_one(FieldTree).reveal(field or layer)
        self._show(buffer, field.span if field else layer.span, layer)
        self._explain(layer, field)

    def _deepest(self, buffer: Buffer, offset: int) -> tuple[Layer, Field | None] | None:
        """The smallest field, in the innermost layer, that these bytes became."""
        assert self._result is not None
        best: tuple[int, int, Layer, Field | None] | None = None
        for depth, layer in enumerate(self._result.layers):
            if not any(span.start <= offset < span.stop for span in project(layer.span, buffer)):
                continue
            if best is None or depth >= -best[1]:
                best = (1 << 62, -depth, layer, None)
            for field in layer.walk():
                if field.generated:
                    continue
                if any(span.start <= offset < span.stop for span in project(field.span, buffer)):
                    size = field.span.size
                    if best is None or (-depth, size) <= (best[1], best[0]):
                        best = (size, -depth, layer, field)
        return None if best is None else (best[2], best[3])

    def _layer_of(self, field: Field) -> Layer | None:
        if self._result is None:
            return None
        return next((layer for layer in self._result.layers if any(f is field for f in layer.walk())), None)

    # --- bytes

    def _light(self, span: Span, layer: Layer) -> None:
        """Show the buffer that the range lies in, with the range lit; the frame's tab lights where it came from."""
        buffer = span.buffer
        current = self.query_one(HexView).buffer
        focused = self.query_one(HexView).has_focus
        if focused and current is not None and project(span, current):
            buffer = current
        elif buffer not in self.query_one(BufferTabs).buffers:
            frames = trace(span)
            if not frames:
                return
            buffer = frames[0].buffer
        self._show(buffer, span, layer)

    def _show(self, buffer: Buffer, span: Span, layer: Layer) -> None:
        lit = [(s.start, s.stop) for s in project(span, buffer)]
        self._lit = (span, layer)
        self.query_one(BufferTabs).activate(buffer)
        self.query_one(HexView).show(buffer, lit, self._near(layer, buffer))

    def _near(self, layer: Layer, buffer: Buffer) -> list[tuple[int, int]]:
        return [(s.start, s.stop) for s in project(layer.span, buffer)]

    @on(BufferTabs.Chosen)
    def _tab(self, event: BufferTabs.Chosen) -> None:
        if self._lit is not None:
            self._show(event.buffer, *self._lit)

    # --- why

    def _explain(self, layer: Layer, field: Field | None) -> None:
        text = Text()
        if field is not None:
            text.append(f"{field.label}  ", "bold")
            text.append(f"{field.text}\n")
            text.append(f"{field.name} · {_where(field.span)}", "dim")
            if field.bits is not None:
                text.append(f" · bits {field.bits[0]}–{field.bits[0] + field.bits[1] - 1}", "dim")
            if field.generated:
                text.append(" · worked out, does not stand in the bytes", "dim")
            text.append("\n")
        text.append(f"{layer.title}  ", "bold")
        text.append(f"{printable(layer.summary)}\n")
        if layer.why:
            text.append(f"Chosen because {printable(layer.why)}.\n")
        frames = trace(layer.span)
        if frames and not isinstance(layer.span.buffer, Frame):
            carried = ", ".join(f"{span.buffer.id.replace(':', ' ')} [{span.start}–{span.stop})" for span in frames[:8])
            text.append(f"Carried by {carried}{' …' if len(frames) > 8 else ''}.\n")
        for issue in layer.issues:
            text.append(
                f"{'✗' if issue.severity >= 3 else '!' if issue.severity == 2 else '·'} {printable(issue.text)}\n", "bold"
            )
        for note in layer.notes:
            text.append(f"{printable(note.title)}: ", "bold")
            text.append(printable(note.why))
            text.append(f" ({note.reference})\n" if note.reference else "\n", "dim")
        self._common(text)

    def _explain_empty(self, level: Level) -> None:
        text = Text()
        text.append(f"{level.osi} {level.name}  ", "bold")
        text.append(f"{printable(level.text)}\n{printable(level.why)}\n" if level.why != level.text else f"{level.text}\n")
        self._common(text)

    def _common(self, text: Text) -> None:
        if self._result is None:
            return
        for pdu in self._part_of[:3]:
            text.append(f"Carries a part of a unit ({pdu.protocol} {pdu.kind}) that completes in packet {pdu.packet}.\n")
        for comment in self.session.comments(self._result.packet.number):
            text.append("Comment: ", "bold")
            text.append(f"{printable(comment)}\n")
        self.query_one("#why-text", Static).update(text)
        self.query_one("#why").scroll_home(animate=False)

    # --- keys

    def action_step(self, by: int) -> None:
        self.query_one(OsiStack).step(by)

    def action_times(self) -> None:
        packets = self.query_one(PacketList)
        packets.times = TIMES[(TIMES.index(packets.times) + 1) % len(TIMES)]
        packets.refresh()

    def action_buffers(self, by: int) -> None:
        if self.has_class("narrow") and not self.has_class("bytes"):
            self.add_class("bytes")  # on a small screen fields and bytes share a place; Esc brings the fields back
            self.query_one(HexView).focus()
        else:
            self.query_one(BufferTabs).cycle(by)

    def action_ask(self) -> None:
        box = self.query_one("#goto", Input)
        box.display = True
        box.value = ""
        box.focus()

    @on(Input.Submitted, "#goto")
    def _go(self, event: Input.Submitted) -> None:
        self._close_goto()
        if event.value.strip().lstrip("-").isdigit():
            self.query_one(PacketList).go(int(event.value))

    def _close_goto(self) -> None:
        self.query_one("#goto").display = False
        self.query_one(PacketList).focus()

    def action_back(self) -> None:
        if self.query_one("#goto").display:
            self._close_goto()
        elif self.maximized is not None:
            self.minimize()
        else:
            self.remove_class("bytes")
            self.query_one(PacketList).focus()

    def action_zoom(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def action_leave(self) -> None:
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
            self.session.close()
        else:
            self.app.exit()


def _where(span: Span) -> str:
    return f"{span.buffer.id} {span.start}–{span.stop}"
