"""The messages of a conversation: its units (PDUs) in the order in which they complete, without those that only carry
another one that completes with the same packet (an HTTP chunk around an event, a record around a response)."""

from __future__ import annotations

from inspector.core.span import Buffer, Span, parents
from inspector.core.stream import Pdu
from inspector.streams.conversation import Conversation


def messages(conversation: Conversation) -> list[Pdu]:
    """Messages, the first that completes first."""
    found: list[Pdu] = []
    for packet in sorted(conversation.tree.pdus):
        found.extend(uncarried(conversation.tree.pdus[packet]))
    return found


def uncarried(pdus: list[Pdu]) -> list[Pdu]:
    """The units of one packet that do not merely carry another one of them."""
    if len(pdus) == 1:
        return pdus
    below: dict[Buffer, list[tuple[int, int]]] = {}
    for pdu in pdus:
        todo = list(parents(pdu.span)) if not _flat(pdu) else []
        while todo:
            span = todo.pop()
            below.setdefault(span.buffer, []).append((span.start, span.stop))
            if not span.buffer.id.startswith(("tcp:", "frame:")):
                todo.extend(parents(span))
    return [pdu for pdu in pdus if not _inside(pdu.span, below.get(pdu.span.buffer, []))]


def _flat(pdu: Pdu) -> bool:
    """It lies in the TCP stream itself: nothing of the conversation carries it."""
    return pdu.span.buffer.id.startswith("tcp:")


def _inside(span: Span, ranges: list[tuple[int, int]]) -> bool:
    """One of the ranges lies in the span."""
    return any(span.start <= start and stop <= span.stop for start, stop in ranges)
