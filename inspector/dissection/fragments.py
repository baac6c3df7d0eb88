"""Fragmented IP datagrams (RFC 791, 3.2; RFC 8200, 4.5): which packet completes which, and from which frames.

Filled in packet order by one pass over the fragments of a capture; what it answers does not depend on what is viewed.
"""

from __future__ import annotations

from typing import Any

from inspector.core.limits import MAX_DATAGRAM, MAX_FRAGMENTS, MAX_OPEN_DATAGRAMS
from inspector.core.span import Origin, Span
from inspector.dissection.engine import Datagram

Piece = tuple[int, Span, bytes, bool]  # offset, where it lies, its bytes, whether more follow


class Fragments:
    """Collects fragments and gives the whole datagram to the packet that completes it. The first copy of a byte wins."""

    def __init__(self) -> None:
        self._open: dict[Any, dict[tuple[int, int], Piece]] = {}  # by name of the datagram, then by offset and length
        self._whole: dict[int, Datagram] = {}
        self._last = 0

    def offer(self, packet: int, key: Any, span: Span, data: bytes) -> Datagram | None:
        """A fragment's payload; gives the datagram that it completes. The first pass, in packet order, decides; a packet
        that is looked at again gets the same answer. key: (source, destination, protocol, identification, offset, more).
        """
        if packet > self._last:
            self._last = packet
            self._add(packet, key, span, data)
        return self._whole.get(packet)

    def _add(self, packet: int, key: Any, span: Span, data: bytes) -> None:
        *name, offset, more = key
        at = tuple(name)
        if at not in self._open and len(self._open) >= MAX_OPEN_DATAGRAMS:
            self._open.pop(next(iter(self._open)))
        if offset + len(data) > MAX_DATAGRAM:
            return
        pieces = self._open.setdefault(at, {})
        if (offset, len(data)) in pieces:  # a copy; the first one stays
            return
        pieces[offset, len(data)] = (offset, span, data, more)
        if len(pieces) > MAX_FRAGMENTS:
            del self._open[at]
            return
        whole = _join(list(pieces.values()))
        if whole is not None:
            self._whole[packet] = whole
            del self._open[at]


def _join(pieces: list[Piece]) -> Datagram | None:
    ends = [offset + len(data) for offset, _, data, more in pieces if not more]
    if not ends:
        return None
    end, at = ends[0], 0
    if sum(len(data) for _, _, data, _ in pieces) < end:
        return None
    parts: list[bytes] = []
    origins: list[Origin] = []
    for offset, span, data, _ in sorted(pieces, key=lambda piece: piece[0]):
        if offset > at:
            return None
        new = data[at - offset : end - offset]
        if new:
            source = Span(span.buffer, span.start + at - offset, span.start + at - offset + len(new))
            origins.append(Origin(at, at + len(new), source))
            parts.append(new)
            at += len(new)
    return (b"".join(parts), origins) if at >= end else None
