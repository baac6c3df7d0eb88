"""What dissection says of bytes: layers, what is wrong with them, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from inspector.core.field import Field
from inspector.core.span import Span


class Severity(IntEnum):
    """How much an issue matters."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


class Issue(NamedTuple):
    """Something is wrong with the bytes."""

    code: str
    span: Span
    severity: Severity
    text: str


class Rank(IntEnum):
    """What comes first where there is little room: what happens here, how it is done, what holds for every such packet."""

    STEP = 1
    DETAIL = 2
    BACKGROUND = 3


class Note(NamedTuple):
    """What bytes mean: label → bytes → why. `reference` is the section of the specification ("RFC 9293, 3.5")."""

    at: Span
    title: str
    why: str
    reference: str = ""
    rank: Rank = Rank.STEP


def ranked(notes: Iterable[Note], at: Span | None = None) -> list[Note]:
    """Notes in the order of their ranks; those at the bytes that somebody looks at (`at`) before all others."""

    def elsewhere(note: Note) -> bool:
        return at is None or note.at.buffer != at.buffer or note.at.start >= at.stop or note.at.stop <= at.start

    return sorted(notes, key=lambda note: (at is not None and elsewhere(note), note.rank))


class Payload(NamedTuple):
    """Bytes that a layer carries for another protocol.

    table and key say how the layer names what follows (`ip.proto`, 6); why, in words, for the layer that follows.
    """

    span: Span
    table: str
    key: Any
    why: str = ""


class Layer:
    """One protocol's view of its bytes.

    osi: 1 to 7; span: the layer's whole unit, header and payload, in its own buffer; fields: the tree;
    payloads: what is handed on; summary: one line of words; why: why this protocol was chosen; explain: makes the notes,
    when somebody reads them.
    """

    __slots__ = (
        "_notes", "count", "explain", "fields", "issues", "osi", "payloads", "protocol", "quoted", "span", "summary", "title",
        "why",
    )  # fmt: skip

    def __init__(self, protocol: str, title: str, osi: int, span: Span, why: str = "") -> None:
        self.protocol = protocol
        self.title = title
        self.osi = osi
        self.span = span
        self.why = why
        self.summary = ""
        self.fields: list[Field] = []
        self.issues: list[Issue] = []
        self.explain: Callable[[Layer], Sequence[Note]] | None = None
        self._notes: list[Note] | None = None
        self.payloads: list[Payload] = []
        self.count = 0  # fields that a cursor has read, those inside others too
        self.quoted = False  # inside an ICMP error: a copy of an earlier packet, not traffic

    @property
    def notes(self) -> list[Note]:
        """What these bytes mean."""
        if self._notes is None:
            self._notes = list(self.explain(self)) if self.explain is not None else []
        return self._notes

    def walk(self) -> Iterator[Field]:
        """Every field of the layer, parents before children."""
        for field in self.fields:
            yield from field.walk()

    def find(self, name: str) -> Field | None:
        """The first field of that name."""
        return next((field for field in self.walk() if field.spec.name == name), None)

    def value(self, name: str, default: Any = None) -> Any:
        """The value of the first field of that name."""
        field = self.find(name)
        return default if field is None else field.value

    def own_spans(self) -> list[Span]:
        """The layer's own bytes: its span less what it hands on."""
        holes = sorted((p.span.start, p.span.stop) for p in self.payloads if p.span.buffer == self.span.buffer)
        found, at = [], self.span.start
        for start, stop in holes:
            if start > at:
                found.append(Span(self.span.buffer, at, min(start, self.span.stop)))
            at = max(at, stop)
        if at < self.span.stop:
            found.append(Span(self.span.buffer, at, self.span.stop))
        return found

    def unclaimed(self) -> list[Span]:
        """The layer's own bytes that no field of it claims."""
        claimed = sorted(
            (field.span.start, field.span.stop)
            for field in self.walk()
            if field.span.buffer == self.span.buffer and not field.generated
        )
        found: list[Span] = []
        for own in self.own_spans():
            at = own.start
            for start, stop in claimed:
                if stop <= at or start >= own.stop:
                    continue
                if start > at:
                    found.append(Span(own.buffer, at, start))
                at = max(at, stop)
            if at < own.stop:
                found.append(Span(own.buffer, at, own.stop))
        return found

    def __repr__(self) -> str:
        return f"<Layer {self.protocol} {self.span.buffer.id} {self.span.start}:{self.span.stop} {self.summary!r}>"
