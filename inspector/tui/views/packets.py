"""The Packets view: list, OSI layers, fields, bytes and Why, kept in step with one another."""

from __future__ import annotations

from itertools import islice
from time import monotonic, sleep
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical, VerticalScroll
from textual.widgets import Static
from textual.worker import get_current_worker

from inspector.annotations.osi import Level, lens
from inspector.core.field import Field
from inspector.core.layer import Layer, Severity, ranked
from inspector.core.span import Buffer, Frame, Span, project, trace
from inspector.core.stream import Pdu
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui import taking
from inspector.tui.finding import Found
from inspector.tui.messages import Asked, ByteSelected, Copied, Dissected, FieldSelected, GoTo, PacketSelected
from inspector.tui.views.view import View
from inspector.tui.widgets.buffer_tabs import BufferTabs
from inspector.tui.widgets.field_tree import FieldTree
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.osi_stack import OsiStack
from inspector.tui.widgets.packet_list import TIMES, PacketList

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection

SETTLE = 0.03  # seconds that the cursor rests on a packet before it is dissected
HELD = 0.1  # seconds within which another move means that a key is held: then it has to rest as long


class PacketsView(View):
    """Step through a capture."""

    key = "packets"
    title = "Packets"
    tells = (
        "Every packet, layer by layer. Choose a layer, a field or a byte: the bytes that made it light up, and Why says what "
        "it means. The tabs above the bytes are the frame and what was made of it: stream, plaintext, body."
    )
    keys = (
        ("[ ]  b", "one layer down, up; the next tab of the bytes"),
        ("m '  t", "mark; to the next mark; time: relative, of day, delta"),
        ("r", "from a request to its response, and back"),
        ("c C x", "copy; copy the request as a curl command; save the body"),
        ("Enter", "in the fields: open; on the number of a packet: go there"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("[", "step(1)", "Layers", key_display="[ ]"),
        Binding("]", "step(-1)", "Layer up", show=False),
        Binding("b", "buffers(1)", "Bytes"),
        Binding("t", "times", "Time", show=False),
        Binding("r", "partner", "Request or response", show=False),
        Binding("C", "copy_curl", "Copy as curl", show=False),
        Binding("x", "save_body", "Save body", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._result: Dissection | None = None
        self._lit: tuple[Span, Layer] | None = None
        self._part_of: list[Pdu] = []
        self._sought: Found | None = None
        self._moved = 0.0  # when the cursor last moved

    def compose(self) -> ComposeResult:
        yield PacketList(self.session, id="packets", classes="pane")
        with Grid(id="panes"):
            yield OsiStack(id="osi", classes="pane")
            with Vertical(id="right"):
                yield FieldTree(id="fields", classes="pane")
                with Vertical(id="bytes", classes="pane"):
                    yield BufferTabs(id="tabs")
                    yield HexView(id="hex")
            with VerticalScroll(id="why", classes="pane"):
                yield Static(id="why-text", markup=False)

    def on_mount(self) -> None:
        for name, title in (("osi", "OSI layers"), ("fields", "Fields"), ("bytes", "Bytes"), ("why", "Why")):
            self.query_one(f"#{name}").border_title = title

    @property
    def result(self) -> Dissection | None:
        """What is shown of the packet under the cursor; None while it is being dissected."""
        return self._result

    # --- dissecting, in a thread

    @on(PacketSelected)
    def _selected(self, event: PacketSelected) -> None:
        before, self._moved = self._moved, monotonic()
        self._dissect(event.number, HELD if self._moved - before < HELD else SETTLE)

    @work(thread=True, exclusive=True, group="dissect")
    def _dissect(self, number: int, rest: float) -> None:
        worker = get_current_worker()
        sleep(rest)
        if worker.is_cancelled:
            return
        if not self.session.followed(number):  # its own layers at once; what its conversation says takes time
            self.post_message(Dissected(number, self.session.layers(number), []))
        while self.session.to_follow(number):
            sleep(SETTLE)
            if worker.is_cancelled:
                return
        result = self.session.explained(number)
        if worker.is_cancelled:
            return
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
        with self.app.batch_update():  # all panes at once: one layout
            self.query_one(FieldTree).show(event.result)
            self.query_one("#osi").border_title = f"OSI layers of packet {event.number}"
            self.query_one(BufferTabs).show([buffer for buffer in event.result.buffers.values() if buffer.size])
            chosen = self.query_one(OsiStack).show(lens(event.result, interface, gap, self.session.file(packet.number)))
            if self._sought is not None and self._sought.number == event.number:
                self._point(self._sought)
            else:
                self._show_level(chosen)

    def reveal(self, found: Found) -> None:
        """Go to a packet and light what was found there."""
        self._sought = found
        self.query_one(PacketList).go(found.number)

    def _point(self, found: Found) -> None:
        """Light a match in the packet that is shown."""
        assert self._result is not None
        if found.layer >= len(self._result.layers):
            return  # its conversation is still being followed: the layer comes
        buffer = self._result.buffers.get(found.buffer)
        layer = self._result.layers[found.layer] if found.layer >= 0 else None
        field = next(islice(layer.walk(), found.field, None), None) if layer is not None and found.field >= 0 else None
        if layer is None and buffer is not None:
            layer, field = self._deepest(buffer, found.start) or (self._result.layers[0], None)
        if layer is not None:
            self.query_one(OsiStack).choose(layer.osi)
            self.query_one(FieldTree).reveal(field or layer)
            if buffer is not None:
                self._show(buffer, Span(buffer, found.start, found.stop), layer)
            self._explain(layer, field)

    # --- one selection, shown everywhere

    @on(OsiStack.Stepped)
    def _stepped(self, event: OsiStack.Stepped) -> None:
        self._show_level(event.level)

    def _show_level(self, level: Level) -> None:
        if level.layers:
            layer = level.layers[-1]
            self.query_one(FieldTree).reveal(layer)
            # Below the application, what a layer added is its header: the rest of its span is what it carries.
            own = layer.own_spans() if layer.osi <= 4 else []
            self._light(own[0] if own else layer.span, layer)
            self._explain(layer, None)
        else:
            self._explain_empty(level)

    @on(FieldSelected)
    def _field_selected(self, event: FieldSelected) -> None:
        field = event.entry if isinstance(event.entry, Field) else None
        layer = event.entry if isinstance(event.entry, Layer) else self._layer_of(event.entry)
        if layer is not None:
            self.query_one(OsiStack).choose(layer.osi)
            self._light(field.span if field is not None else layer.span, layer)
            self._explain(layer, field)

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
        else:
            text.append(f"{layer.title}  ", "bold")
            text.append(f"{printable(layer.summary)}\n")
        for issue in layer.issues:
            if issue.severity > Severity.NOTE:
                text.append(f"{'✗' if issue.severity == Severity.ERROR else '!'} {printable(issue.text)}\n", "bold")
        for note in ranked(layer.notes, field.span if field is not None else None):
            text.append(f"{printable(note.title)}: ", "bold")
            text.append(printable(note.why))
            text.append(f" ({note.reference})\n" if note.reference else "\n", "dim")
        for issue in layer.issues:
            if issue.severity == Severity.NOTE:
                text.append(f"· {printable(issue.text)}\n")
        if field is not None:
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
        self.show_times(TIMES[(TIMES.index(packets.times) + 1) % len(TIMES)])

    def show_times(self, times: str) -> None:
        """Times in the list: one of TIMES."""
        packets = self.query_one(PacketList)
        packets.times = times
        packets.refresh()

    def action_buffers(self, by: int) -> None:
        self.query_one(BufferTabs).cycle(by)

    def action_partner(self) -> None:
        """From a request to its response, and back."""
        from inspector.annotations.http import partner

        if self._result is None:
            return
        number = partner(self._result)
        if number is None:
            self._find_partner(self._result.packet.number)
        else:
            self.post_message(GoTo(number))

    @work(thread=True, exclusive=True, group="partner")
    def _find_partner(self, number: int) -> None:
        from inspector.annotations.http import other_half

        found = other_half(self.session, number)
        if found is None:
            self.app.call_from_thread(self.notify, "this packet has to do with no request or response", timeout=3)
        elif not get_current_worker().is_cancelled:
            self.post_message(GoTo(found))

    def action_copy_curl(self, secrets: bool = False) -> None:
        if self._result is not None:
            self._copy_curl(self._result.packet.number, secrets)

    @work(thread=True, exclusive=True, group="curl")
    def _copy_curl(self, number: int, secrets: bool) -> None:
        from inspector.export import curl

        clean, whole = (curl.of_packet(self.session, number, kept) for kept in (False, True))
        if whole:
            said = "" if secrets or clean == whole else ", its secrets redacted,"
            self.post_message(Copied(whole if secrets else clean, f"the request as a curl command{said}"))
        else:
            self.app.call_from_thread(self.notify, "this packet has to do with no HTTP request that is whole", timeout=3)

    def action_save_body(self) -> None:
        from inspector.annotations.http import body

        if self._result is not None and body(self._result) is not None:
            self.post_message(Asked("body", "Save the body as", taking.body_name(self._result)))
        else:
            self.notify("no HTTP body completes in this packet", timeout=3)


def _where(span: Span) -> str:
    return f"{span.buffer.id} {span.start}–{span.stop}"
