"""One packet into layers: runs the dissectors one after the other, and catches what they raise."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from inspector.core.cursor import Context, Cursor, Truncated
from inspector.core.field import catalog, octets
from inspector.core.layer import Issue, Layer, Payload, Severity
from inspector.core.limits import MAX_BODY_DECODED, MAX_LAYERS
from inspector.core.packet import Packet
from inspector.core.protocol import Protocol
from inspector.core.span import Buffer, Derived, Frame, Span
from inspector.core.text import counted
from inspector.dissection.fragments import NOTHING, Joined
from inspector.dissection.registry import Registry

PREFIX = 512  # bytes of a payload that signatures may look at

# Tables whose payload belongs to a conversation: the stream parsers read it, not the packet's own dissection.
STREAMED = frozenset({"tcp.stream"})


def _data(c: Cursor) -> None:
    c.octets("data.data", c.remaining)
    c.layer.summary = f"{c.pos - c.start:,} bytes that no protocol here claims"


DATA = Protocol("data", "Data", 7, catalog(octets("data.data", "Data")), _data)


class Dissection:
    """The layers of one packet or PDU, outermost first, and every buffer that their fields lie in."""

    __slots__ = ("buffers", "layers", "packet")

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.layers: list[Layer] = []
        self.buffers: dict[str, Buffer] = {}

    def find(self, protocol: str) -> Layer | None:
        """The first layer of a protocol."""
        return next((layer for layer in self.layers if layer.protocol == protocol), None)

    def last(self, protocol: str) -> Layer | None:
        """The innermost layer of a protocol that is traffic, not a quotation."""
        return next((layer for layer in reversed(self.layers) if layer.protocol == protocol and not layer.quoted), None)


class Engine:
    """Dissects packets and PDUs with the protocols of a registry.

    datagram: is offered every fragment of an IP datagram (packet number, key, span, bytes) and says what it completes.
    strict: lets bugs in dissectors through (tests); otherwise they become an `internal-error` issue.
    """

    def __init__(
        self,
        registry: Registry,
        datagram: Callable[[int, Any, Span, bytes], Joined] | None = None,
        strict: bool | None = None,
    ) -> None:
        self.registry = registry
        self.datagram = datagram or (lambda number, key, span, data: NOTHING)
        self.strict = bool(os.environ.get("OSI_INSPECT_STRICT")) if strict is None else strict

    def dissect(self, packet: Packet, load: Callable[[], bytes] | None = None) -> Dissection:
        """The packet's own layers. load: reads the packet again, for its frame buffer."""
        data = packet.data
        frame = Frame(packet.number, len(data), load or (lambda: data))
        result = Dissection(packet)
        result.buffers[frame.id] = frame
        context = Context(packet)
        context.cut = max(packet.wire_length - len(data), 0)
        start = Payload(Span(frame, 0, len(data)), "link", packet.link_type, "")
        self._run(result, start, context, {frame.id: (data, 0)})
        return result

    def unit(
        self, packet: Packet, protocol: str, span: Span, info: dict[str, Any], why: str = "", notes: bool = True
    ) -> Dissection:
        """The layers of one PDU: `span` of a stream's buffer, and what it carries; `notes`: explained."""
        result = Dissection(packet)
        result.buffers[span.buffer.id] = span.buffer
        shown = min(span.stop, span.start + MAX_BODY_DECODED)
        context = Context(packet, info)
        context.cut = span.stop - shown
        data = span.buffer.read(span.start, shown)
        found = self.registry.protocols[protocol]
        sources = {span.buffer.id: (data, span.start)}
        self._one(result, found, Span(span.buffer, span.start, shown), why, context, sources, notes=notes)
        return result

    def follow(self, result: Dissection, payload: Payload) -> None:
        """Go on from a payload that the packet's own dissection left to its conversation."""
        context = Context(result.packet)
        context.ports = payload.key
        self._run(result, payload, context, {})

    def _run(self, result: Dissection, start: Payload, context: Context, sources: dict[str, tuple[bytes, int]]) -> None:
        todo = [(start, context)]
        while todo:
            payload, context = todo.pop(0)
            if payload.table in STREAMED and not context.quoted:
                continue
            span = payload.span
            data, origin = self._source(span.buffer, sources)
            prefix = data[span.start - origin : min(span.stop, span.start + PREFIX) - origin]
            choice = self.registry.choose(payload.table, payload.key, prefix, payload.why)
            protocol, why = (choice.protocol, choice.why) if choice else (DATA, "no protocol here claims these bytes")
            if len(result.layers) >= MAX_LAYERS:
                last = result.layers[-1]
                text = f"more than {MAX_LAYERS} layers in one packet: the rest is not dissected"
                last.issues.append(Issue("too-many-layers", span, Severity.ERROR, text))
                return
            layer, inner = self._one(result, protocol, span, why, context, sources, follow=False)
            todo[:0] = [(p, inner) for p in self._joined(result, layer, inner, sources)]

    def _source(self, buffer: Buffer, sources: dict[str, tuple[bytes, int]]) -> tuple[bytes, int]:
        if buffer.id not in sources:
            sources[buffer.id] = (buffer.read(0, min(buffer.size, MAX_BODY_DECODED)), 0)
        return sources[buffer.id]

    def _joined(
        self, result: Dissection, layer: Layer, context: Context, sources: dict[str, tuple[bytes, int]]
    ) -> list[Payload]:
        """The layer's payloads; of a fragment, the whole datagram's, at the packet that completes it."""
        key = context.fragment
        if key is None or context.quoted:
            return layer.payloads
        if not layer.payloads:
            return []
        piece = layer.payloads[0].span
        source, origin = self._source(piece.buffer, sources)
        given = source[piece.start - origin : piece.stop - origin]
        joined = self.datagram(result.packet.number, key, piece, given)
        if joined.trouble is not None:
            code, severity, text = joined.trouble
            layer.issues.append(Issue(code, piece, severity, text))
        if not joined.origins:
            return []
        data, origins = joined.read(), joined.origins
        buffer = Derived(f"ip:{result.packet.number}", "reassembled datagram", data, origins)
        result.buffers[buffer.id] = buffer
        sources[buffer.id] = (data, 0)
        context.fragment = None
        context.cut = 0
        return [
            Payload(Span(buffer, 0, len(data)), p.table, p.key, f"{p.why}, reassembled from {len(origins)} fragments")
            for p in layer.payloads
        ]

    def _one(
        self,
        result: Dissection,
        protocol: Protocol,
        span: Span,
        why: str,
        context: Context,
        sources: dict[str, tuple[bytes, int]],
        follow: bool = True,
        notes: bool = True,
    ) -> tuple[Layer, Context]:
        layer = Layer(protocol.name, protocol.title, protocol.osi, span, why)
        layer.quoted = context.quoted
        inner = context.copy()
        data, origin = self._source(span.buffer, sources)
        cursor = Cursor(span.buffer, data, span.start, span.stop, layer, protocol.fields, inner, origin)
        try:
            protocol.dissect(cursor)
        except Truncated as cut:
            self._truncated(cursor, layer, inner, cut)
        except Exception as bug:
            if self.strict:
                raise
            text = f"the dissector of {protocol.title} failed ({type(bug).__name__}); this is a bug of osi-inspect"
            layer.issues.append(Issue("internal-error", span, Severity.ERROR, text))
        if not layer.summary:
            layer.summary = protocol.title
        result.layers.append(layer)
        result.buffers.update(cursor.buffers)
        if notes and not context.quoted:  # a quotation is no step of anything
            layer.explain = protocol.explain
            if self.strict:
                _ = layer.notes  # a bug in what explains shows too
        if follow:
            for payload in list(layer.payloads):
                self._run(result, payload, inner, sources)
        return layer, inner

    @staticmethod
    def _truncated(cursor: Cursor, layer: Layer, context: Context, cut: Truncated) -> None:
        at = Span(cursor.buffer, min(cursor.pos, cursor.stop), cursor.stop)
        if cut.what:
            text, code = cut.what, "limit"
        elif context.cut:
            text, code = f"cut off by the capture: {context.cut:,} bytes of this packet were not saved", "cut"
        elif context.quoted:
            text, code = "the quotation ends here", "quoted"
        else:
            more = counted(cut.missing, "more byte")
            text, code = f"ends too early: {layer.title} needs {more} here", "truncated"
        layer.issues.append(Issue(code, at, Severity.NOTE if code in ("cut", "quoted") else Severity.ERROR, text))


def make_registry(decode_as: Mapping[tuple[str, Any], str] | None = None) -> Registry:
    """The registry of all protocols."""
    from inspector.protocols import PROTOCOLS

    return Registry([*PROTOCOLS, DATA], decode_as)
