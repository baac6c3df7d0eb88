"""What a protocol's file declares of itself: the last thing in it, `PROTOCOL`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from inspector.core.cursor import Cursor
from inspector.core.field import Fields
from inspector.core.layer import Layer, Note

if TYPE_CHECKING:
    from inspector.core.stream import StreamParser


class Sniff(Enum):
    """What the first bytes say of a protocol that can appear unannounced."""

    YES = "yes"
    NO = "no"
    NEED_MORE = "need more"


@dataclass(frozen=True)
class Card:
    """The eight properties by which protocols are compared. reference: where they are specified."""

    data_format: str
    transfer_mode: str
    addressing: str
    directionality: str
    state: str
    routing: str
    control: str  # of flow and congestion
    errors: str
    reference: str = ""


@dataclass(frozen=True)
class Protocol:
    """A protocol, for the registry.

    name: Wireshark's short name, which prefixes the field names; title: as people write it; osi: its layer, 1 to 7;
    dissect: fills `cursor.layer` from the bytes of one unit; keys: which payload tables name it, `{"ip.proto": [6]}`;
    sniff: recognises its first bytes; begins: the same where they stand in the middle of a stream that nobody claims, and so
    strict that nothing else looks like it; guess: recognises a datagram where neither a signature nor a port does;
    parser: makes the parser of a stream that carries it; explain: notes for a dissected layer; carries: its layers
    may hand bytes on to others (false where all that they carry are streams of their own).
    """

    name: str
    title: str
    osi: int
    fields: Fields
    dissect: Callable[[Cursor], None]
    keys: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sniff: Callable[[bytes], Sniff] | None = None
    begins: Callable[[bytes], bool] | None = None
    guess: Callable[[bytes], bool] | None = None
    parser: Callable[[], StreamParser] | None = None
    explain: Callable[[Layer], Sequence[Note]] | None = None
    card: Card | None = None
    reference: str = ""
    carries: bool = True
