"""The exchanges of a whole capture; of one that grows, only those conversations are read again that had packets since."""

from __future__ import annotations

from collections.abc import Callable

from inspector.core.secrecy import Keys
from inspector.dissection.engine import Dissection
from inspector.index import Index
from inspector.index.names import TCP
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange, of_conversation
from inspector.streams.phases import Lookups, fill
from inspector.streams.plain import Plain


class Gathering:
    """conversation: a TCP flow, followed; layers: a packet's own layers; plain: ordinary HTTP/1 connections may be read in
    one pass, without their trees of streams; outdated: secrets that these keys missed have come since."""

    def __init__(
        self,
        index: Index,
        conversation: Callable[[int], Conversation],
        layers: Callable[[int], Dissection],
        plain: bool,
        outdated: Callable[[Keys | None], bool],
    ) -> None:
        self._index, self._conversation, self._layers, self._may_be_plain = index, conversation, layers, plain
        self._outdated = outdated
        self._lookups: Lookups | None = None
        self._known: dict[int, tuple[int, Keys | None, list[Exchange]]] = {}  # flow → with so many packets, these exchanges
        self._plain: Plain | None = None

    def exchanges(self, growing: bool, progress: Callable[[float], None] | None = None) -> list[Exchange]:
        """Every exchange, in the order of their first packets, numbered from 1. progress: told the share that is done."""
        flows, found = self._index.flows, list[Exchange]()
        self._plain = Plain(self._index) if self._may_be_plain else None
        if not growing:
            self._lookups = None
        _, starts = self._index.by_flow()
        total = len(starts) - 1
        for flow in range(total):
            if flows.protocol(flow) == TCP:
                packets = int(starts[flow + 1] - starts[flow])
                known = self._known.get(flow)
                if known is None or known[0] != packets or self._outdated(known[1]):
                    known = packets, *self._of(flow)
                if growing:
                    self._known[flow] = known
                found += known[2]
            if progress is not None:
                progress((flow + 1) / total)
        found.sort(key=lambda exchange: exchange.first)
        for number, exchange in enumerate(found, 1):
            exchange.number = number
        return found

    def forget(self) -> None:
        """What is known may not be the whole of it."""
        self._known.clear()
        self._lookups = None

    def _of(self, flow: int) -> tuple[Keys | None, list[Exchange]]:
        """The keys that a conversation was read with, and its exchanges."""
        index = self._index
        if not index.at("payload_length", index.flow_packets(flow) - 1).any():
            return None, []
        own = self._plain.exchanges(flow) if self._plain is not None else None
        conversation = None
        if own is None:
            conversation = self._conversation(flow)
            own = of_conversation(conversation, int(index.flows.stream[flow]))
        if own:
            lookups = self._lookups or Lookups(index, self._layers)
            lookups.update()
            self._lookups = lookups
            fill(own, index, lookups, conversation)
        return conversation.tree.keys if conversation is not None else None, own
