"""The reader that every dissector works with. It owns every bounds check and records every field it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from inspector.core.field import Field, Fields, FieldSpec, Kind
from inspector.core.layer import Issue, Layer, Payload, Severity
from inspector.core.limits import MAX_FIELDS_IN_LAYER
from inspector.core.packet import Packet
from inspector.core.span import Buffer, Derived, Origin, Span


class Truncated(Exception):
    """The bytes end before the value does: the only exception that a dissector raises.

    missing: how many bytes more are needed, as far as is known.
    """

    def __init__(self, missing: int, what: str = "") -> None:
        super().__init__(what)
        self.missing = missing
        self.what = what


class Context:
    """What a dissector may know beyond its bytes.

    packet: the packet that is dissected (for a PDU, the one that completes it); source, destination: the
    addresses of the network layer around it, for pseudo-headers; cut: bytes of the packet that were on
    the wire and not captured; quoted: inside an ICMP error; fragment: set by the network layer where the payload is
    but a piece of a datagram: the datagram's key;
    info: what the stream parser remembered for this PDU; ports: those of the transport around it.
    """

    __slots__ = ("cut", "destination", "fragment", "info", "packet", "ports", "quoted", "source")

    def __init__(self, packet: Packet | None = None, info: dict[str, Any] | None = None) -> None:
        self.packet = packet
        self.info: dict[str, Any] = info or {}
        self.source = b""
        self.destination = b""
        self.ports = (0, 0)
        self.cut = 0
        self.quoted = False
        self.fragment: Any = None

    def copy(self) -> Context:
        """For the next layer, which changes its own copy."""
        other = Context(self.packet, self.info)
        other.source, other.destination, other.ports = self.source, self.destination, self.ports
        other.cut, other.quoted, other.fragment = self.cut, self.quoted, self.fragment
        return other


Part = tuple[str | None, int] | tuple[str | None, int, Sequence[tuple[str | None, int]]]


class Cursor:
    """Reads `buffer` from `start` to `stop` and builds the layer's field tree.

    Every reading method takes the field's full name, which `catalog` must declare, moves on by what it read, and
    returns the value. A read past the end raises `Truncated`; what was read until then stays.
    """

    __slots__ = (
        "_data",
        "_origin",
        "_out",
        "_stack",
        "buffer",
        "buffers",
        "catalog",
        "context",
        "layer",
        "pos",
        "start",
        "stop",
    )

    def __init__(
        self,
        buffer: Buffer,
        data: bytes,
        start: int,
        stop: int,
        layer: Layer,
        catalog: Fields,
        context: Context,
        origin: int = 0,
    ) -> None:
        """data: the buffer's bytes from `origin` to `stop` or further; positions are those of the buffer."""
        self.buffer = buffer
        self._data = data
        self._origin = origin
        self.start = start
        self.pos = start
        self.stop = min(stop, origin + len(data))
        self.layer = layer
        self.catalog = catalog
        self.context = context
        self.buffers: dict[str, Buffer] = {buffer.id: buffer}
        self._out = layer.fields
        self._stack: list[list[Field]] = []

    # --- bytes without fields

    @property
    def remaining(self) -> int:
        """Bytes that are left."""
        return self.stop - self.pos

    def need(self, size: int) -> None:
        """Raise `Truncated` unless `size` bytes are left."""
        if self.pos + size > self.stop:
            raise Truncated(self.pos + size - self.stop)

    def peek(self, size: int, ahead: int = 0) -> bytes:
        """The next `size` bytes, or as many as are left, without moving."""
        at = self.pos + ahead
        return self._data[at - self._origin : min(at + size, self.stop) - self._origin]

    def peek_uint(self, size: int, ahead: int = 0) -> int:
        self.need(ahead + size)
        return int.from_bytes(self.peek(size, ahead), "big")

    def slice(self, start: int, stop: int) -> bytes:
        """The bytes of the buffer from `start` to `stop`, inside this cursor's range."""
        low, high = max(start, self.start), min(stop, self.stop)
        return self._data[low - self._origin : high - self._origin] if low < high else b""

    def span(self, start: int, stop: int | None = None) -> Span:
        """A range of this buffer; up to the present position where `stop` is not given."""
        return Span(self.buffer, start, self.pos if stop is None else stop)

    # --- fields

    def uint(self, name: str, size: int, *, little: bool = False, text: str | None = None) -> int:
        """An unsigned integer of `size` bytes, times the field's scale."""
        at = self._take(size)
        value = int.from_bytes(self._data[at - self._origin : self.pos - self._origin], "little" if little else "big")
        spec = self.catalog[name]
        if spec.scale != 1:
            value *= spec.scale
        self._put(Field(spec, bool(value) if spec.kind is Kind.BOOL else value, Span(self.buffer, at, self.pos), text))
        return value

    def sint(self, name: str, size: int, *, little: bool = False, text: str | None = None) -> int:
        """A signed integer of `size` bytes."""
        at = self._take(size)
        raw = self._data[at - self._origin : self.pos - self._origin]
        value = int.from_bytes(raw, "little" if little else "big", signed=True)
        self._put(Field(self.catalog[name], value, Span(self.buffer, at, self.pos), text))
        return value

    def bits(self, size: int, *parts: Part, little: bool = False) -> tuple[int, ...]:
        """`size` bytes cut into bit fields from the left; returns the value of every part.

        A part is (name, width) or (name, width, subparts); a name of None skips the bits. Subparts become children
        and are not in the returned tuple (their values are bits of their parent's).
        """
        at = self._take(size)
        span = Span(self.buffer, at, self.pos)
        whole = int.from_bytes(self._data[at - self._origin : self.pos - self._origin], "little" if little else "big")
        values = []
        left = size * 8
        for part in parts:
            name, width = part[0], part[1]
            left -= width
            value = whole >> left & ((1 << width) - 1)
            if name is not None:
                field = self._bit_field(name, value, span, size * 8 - left - width, width)
                value = value * field.spec.scale
                if len(part) == 3:
                    self._children(field, part[2], whole, span, size * 8, left + width)
                self._put(field)
            values.append(value)
        return tuple(values)

    def _bit_field(self, name: str, value: int, span: Span, first: int, width: int) -> Field:
        spec = self.catalog[name]
        scaled = bool(value) if spec.kind is Kind.BOOL else value * spec.scale
        return Field(spec, scaled, span, None, None if width == (span.stop - span.start) * 8 else (first, width))

    def _children(
        self, parent: Field, parts: Sequence[tuple[str | None, int]], whole: int, span: Span, total: int, left: int
    ) -> None:
        for name, width in parts:
            left -= width
            if name is not None:
                value = whole >> left & ((1 << width) - 1)
                parent.children.append(self._bit_field(name, value, span, total - left - width, width))

    def flags(self, name: str, size: int, *parts: tuple[str | None, int], little: bool = False) -> int:
        """`size` bytes as one field whose bits are its children, from the left; returns the whole value."""
        at = self._take(size)
        span = Span(self.buffer, at, self.pos)
        whole = int.from_bytes(self._data[at - self._origin : self.pos - self._origin], "little" if little else "big")
        field = Field(self.catalog[name], whole, span)
        self._children(field, parts, whole, span, size * 8, size * 8)
        self._put(field)
        return whole

    def octets(self, name: str, size: int, text: str | None = None) -> bytes:
        """`size` bytes as they are; also for addresses, whose value is their bytes."""
        at = self._take(size)
        value = self._data[at - self._origin : self.pos - self._origin]
        self._put(Field(self.catalog[name], value, Span(self.buffer, at, self.pos), text))
        return value

    def string(self, name: str, size: int, encoding: str = "utf-8") -> str:
        """`size` bytes as text; bytes that do not decode are kept as surrogates (`surrogateescape`)."""
        at = self._take(size)
        value = self._data[at - self._origin : self.pos - self._origin].decode(encoding, "surrogateescape")
        self._put(Field(self.catalog[name], value, Span(self.buffer, at, self.pos)))
        return value

    def add(
        self, name: str, value: Any, start: int, stop: int, text: str | None = None, bits: tuple[int, int] | None = None
    ) -> Field:
        """A field for bytes `start` to `stop` of this buffer that were read in another way; does not move."""
        if not self.start <= start <= stop <= self.stop:
            raise Truncated(max(stop - self.stop, 1))
        field = Field(self.catalog[name], value, Span(self.buffer, start, stop), text, bits)
        self._put(field)
        return field

    def generated(self, name: str, value: Any, span: Span | None = None, text: str | None = None) -> Field:
        """A value that was worked out; `span` says from which bytes (the layer's, where it is not given)."""
        field = Field(self.catalog[name], value, span or Span(self.buffer, self.start, self.pos), text, None, True)
        self._put(field)
        return field

    def skip(self, size: int) -> Span:
        """Move on by `size` bytes without a field."""
        at = self._take(size)
        return Span(self.buffer, at, self.pos)

    @contextmanager
    def group(self, name: str, value: Any = None, text: str | None = None) -> Iterator[Field]:
        """A field over all that is read inside the block; what is read becomes its children."""
        field = Field(self.catalog[name], value, Span(self.buffer, self.pos, self.pos), text)
        self._put(field)
        self._stack.append(self._out)
        self._out = field.children
        try:
            yield field
        finally:
            self._out = self._stack.pop()
            if field.span.start <= self.pos:
                field.span = Span(self.buffer, field.span.start, self.pos)

    @contextmanager
    def within(self, size: int) -> Iterator[None]:
        """Nothing inside the block reads past the next `size` bytes; afterwards the cursor stands behind them.

        Bytes beyond the end of the buffer are cut off first, so that what is there is read before `Truncated` is raised.
        """
        outer, end = self.stop, self.pos + size
        self.stop = min(end, outer)
        try:
            yield
        finally:
            self.stop = outer
        if end > outer:
            self.pos = outer
            raise Truncated(end - outer)
        self.pos = end

    # --- issues, payloads, other buffers

    def issue(
        self,
        code: str,
        text: str,
        severity: Severity = Severity.WARNING,
        span: Span | None = None,
    ) -> None:
        """Something is wrong with these bytes (the last field's, where no span is given)."""
        if span is None:
            span = self._out[-1].span if self._out else Span(self.buffer, self.start, self.pos)
        self.layer.issues.append(Issue(code, span, severity, text))

    def payload(self, table: str, key: Any, size: int | None = None, why: str = "") -> Span:
        """Hand the next `size` bytes (all that are left, where not given) to the protocol that `table` has for `key`."""
        size = self.remaining if size is None else size
        size = max(min(size, self.remaining), 0)
        span = Span(self.buffer, self.pos, self.pos + size)
        self.pos += size
        if size:
            self.layer.payloads.append(Payload(span, table, key, why))
        return span

    def hand_on(self, span: Span, table: str, key: Any, why: str = "") -> None:
        """Hand a range of any buffer, such as a derived one, to the protocol that `table` has for `key`."""
        if span.stop > span.start:
            self.buffers.setdefault(span.buffer.id, span.buffer)
            self.layer.payloads.append(Payload(span, table, key, why))

    def derive(self, id: str, kind: str, data: bytes, origins: Iterable[Origin]) -> Cursor:
        """A cursor over bytes that were worked out of these; its fields go where this cursor's go."""
        return self.over(Derived(id, kind, data, origins), data)

    def over(self, buffer: Buffer, data: bytes) -> Cursor:
        """A cursor over another buffer whose fields go where this cursor's go."""
        other = Cursor(buffer, data, 0, len(data), self.layer, self.catalog, self.context)
        self.buffers[buffer.id] = buffer
        other.buffers = self.buffers
        other._out = self._out
        return other

    # --- inside

    def _take(self, size: int) -> int:
        at = self.pos
        if size < 0 or at + size > self.stop:
            raise Truncated(max(at + size - self.stop, 1))
        self.pos = at + size
        return at

    def _put(self, field: Field) -> None:
        self.layer.count += 1
        if self.layer.count > MAX_FIELDS_IN_LAYER:
            raise Truncated(0, f"more than {MAX_FIELDS_IN_LAYER:,} fields")
        self._out.append(field)

    @property
    def last(self) -> Field:
        """The field that was read last, at this depth."""
        return self._out[-1]

    def field_at(self, start: int) -> Field:
        """The field at this depth that begins at `start`. Raises KeyError where there is none."""
        for field in reversed(self._out):
            if field.span.start == start:
                return field
        raise KeyError(start)

    def spec(self, name: str) -> FieldSpec:
        """The declaration of a field of this protocol."""
        return self.catalog[name]
