"""Looking for a text or for bytes, packet by packet: in the frame, in the fields, and in what was decrypted or decompressed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from inspector.core.span import Frame
from inspector.session import Session

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection

LARGEST = 1 << 20  # bytes of one unit that are looked through
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{2}(?:[ :]?[0-9a-fA-F]{2})+)\Z")


class Found(NamedTuple):
    """A match. layer, field: positions in the dissection of the packet, -1 for none; buffer, start, stop: the bytes."""

    number: int
    layer: int
    field: int
    buffer: str
    start: int
    stop: int


class Wanted(NamedTuple):
    """What is looked for: a text (upper and lower case are the same unless it has a capital), and its bytes."""

    text: str
    data: bytes
    fold: bool


def wanted(words: str) -> Wanted:
    """`0x0d0a` and `0d:0a` are bytes; everything else is a text."""
    as_hex = _HEX.match(words) if words.startswith("0x") or ":" in words else None
    if as_hex is not None:
        return Wanted("", bytes.fromhex(re.sub("[ :]", "", as_hex.group(1))), False)
    fold = words == words.lower()
    return Wanted(words, words.encode("utf-8", "surrogateescape"), fold)


def search(session: Session, what: Wanted, numbers: Iterable[int]) -> Iterator[Found | int]:
    """Packets in the order given: the number of each one that has nothing, so that the caller can stop, or its first match."""
    for number in numbers:
        found = in_packet(session.dissect(number), what)
        yield number if found is None else found


def in_packet(result: Dissection, what: Wanted) -> Found | None:
    """The first match in a packet: the values of its fields from the top layer down, then its bytes."""
    number = result.packet.number
    if what.text:
        needle = what.text.lower() if what.fold else what.text
        for at in range(len(result.layers) - 1, -1, -1):
            layer = result.layers[at]
            for position, field in enumerate(layer.walk()):
                if needle in (field.text.lower() if what.fold else field.text):
                    return Found(number, at, position, field.span.buffer.id, field.span.start, field.span.stop)
    for at in range(len(result.layers) - 1, -1, -1):
        span = result.layers[at].span
        if isinstance(span.buffer, Frame):
            continue
        start = _find(span.buffer.read(span.start, min(span.stop, span.start + LARGEST)), what)
        if start >= 0:
            start += span.start
            return Found(number, at, -1, span.buffer.id, start, start + len(what.data))
    start = _find(result.packet.data, what)
    return Found(number, -1, -1, f"frame:{number}", start, start + len(what.data)) if start >= 0 else None


def _find(data: bytes, what: Wanted) -> int:
    return data.lower().find(what.data.lower()) if what.fold else data.find(what.data)
