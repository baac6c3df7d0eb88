"""The phases of exchanges: name lookup, connecting, TLS, then sending, waiting and receiving.

The first three belong to the exchange that waited for them: the first one of its connection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, SYN
from inspector.dissection.engine import Dissection
from inspector.index import Index
from inspector.index.names import UDP
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange, Phases

DNS_PORT = 53
MAX_LOOKUPS = 20_000  # DNS packets that are dissected to find whose address a connection went to
LOOKUP_AGE = 60_000_000_000  # nanoseconds between an answer and the connection that it was for, at most


class Lookups:
    """The names that were asked for in this capture: (client, address) → when they were asked for and answered."""

    def __init__(self, index: Index, layers: Callable[[int], Dissection]) -> None:
        self._index, self._layers = index, layers
        self._found: dict[tuple[bytes, bytes], list[tuple[int, int]]] = {}  # ordered by the answer
        self._asked: dict[tuple[bytes, bytes, int, int], int] = {}
        self._told: dict[int, int] = {}  # by flow
        self._flows: list[int] = []  # those of lookups, of the first `_looked` flows
        self._looked = self._seen = self._dissected = 0  # flows and packets that were looked at; lookups among these

    def update(self) -> None:
        """Take in the packets that have come since."""
        index, flows, after, count = self._index, self._index.flows, self._seen, self._index.count
        new = range(self._looked, len(flows))
        self._flows += [flow for flow in new if flows.protocol(flow) == UDP and flows.dport(flow) == DNS_PORT]
        self._looked, self._seen = new.stop, count
        if after == count or not self._flows:
            return
        numbers = index.packets_of(self._flows, after)
        for number in numbers[numbers <= count][: MAX_LOOKUPS - self._dissected].tolist():
            self._dissected += 1
            self._learn(number)

    def _learn(self, number: int) -> None:
        flows, flow = self._index.flows, self._index.flow_of(number)
        client, server = flows.addresses(flow)
        dns = self._layers(number).last("dns")
        if dns is None or dns.value("dns.id") is None:
            return
        at, key = self._index.value("time_ns", number), (client, server, flows.sport(flow), int(dns.value("dns.id")))
        if not dns.value("dns.flags.response", 0):
            self._asked.setdefault(key, at)
            return
        begun = self._asked.get(key)
        if begun is None:
            return
        for field in dns.walk():
            if field.name in ("dns.a", "dns.aaaa"):
                self._found.setdefault((client, bytes(field.value)), []).append((at, begun))

    def of(self, flow: int, client: bytes, server: bytes, before: int) -> int:
        """How long the latest lookup took whose answer led to a flow, a connection begun at `before`; -1 where there is none.
        A lookup is told of one flow alone."""
        if flow not in self._told:
            self._told[flow] = self._take(client, server, before)
        return self._told[flow]

    def _take(self, client: bytes, server: bytes, before: int) -> int:
        known = self._found.get((client, server), [])
        at = bisect_right(known, (before, 1 << 63)) - 1
        if at < 0 or before - known[at][0] > LOOKUP_AGE:
            return -1
        answered, begun = known[at]
        del known[: at + 1]
        return answered - begun


def fill(exchanges: list[Exchange], index: Index, lookups: Lookups, conversation: Conversation | None) -> None:
    """Give the exchanges of one connection their times and phases. conversation: None for one without TLS."""
    times = index.column("time_ns")
    # It gives plain integers, one by one much faster than the array does.
    numbers: memoryview[int] = memoryview(times)  # type: ignore[arg-type]
    for exchange in exchanges:
        _own(exchange, numbers)
    if not exchanges:
        return
    first = exchanges[0]
    rows = index.flow_packets(first.flow) - 1
    opened, connect = _connect(index, rows, times)
    dns = -1
    if opened >= 0:
        client, server = index.flows.addresses(first.flow)
        dns = lookups.of(first.flow, client, server, opened)
    tls = _tls(first, conversation, times) if conversation is not None and first.scheme == "https" else -1
    first.phases = first.phases._replace(dns=dns, connect=connect, tls=tls)


def waits(exchanges: list[Exchange], index: Index) -> dict[int, tuple[int, int]]:
    """The first packet of each response → the packet that completed its request, and the nanoseconds between the two."""
    times = index.column("time_ns")
    return {
        one.response.first: (one.request.complete, max(int(times[one.response.first - 1] - times[one.request.complete - 1]), 0))
        for one in exchanges
        if one.request is not None and one.response is not None
    }


def _own(exchange: Exchange, times: memoryview[int]) -> None:
    request, response = exchange.request, exchange.response
    send = wait = receive = -1
    if request is not None:
        exchange.begun = times[request.first - 1]
        sent = times[request.complete - 1]
        exchange.ended = sent
        send = sent - exchange.begun
    if response is not None:
        arrived, ended = times[response.first - 1], times[response.complete - 1]
        if request is not None:
            wait = max(arrived - sent, 0)  # a server may answer before it has heard everything
        else:
            exchange.begun = arrived
        receive = ended - arrived
        exchange.ended = ended
    if exchange.items:
        exchange.ended = max(exchange.ended, times[exchange.items[-1].complete - 1])
    exchange.phases = Phases._make((-1, -1, -1, send, wait, receive))


def _connect(index: Index, rows: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> tuple[int, int]:
    """When the SYN was sent, and how long until the client acknowledged the answer; -1 for what is not there."""
    rows = rows[:16]
    flags = index.column("flags")[rows]
    syns = np.flatnonzero(flags & (SYN | ACK) == SYN)
    if not len(syns):
        return -1, -1
    opened = int(times[rows[syns[0]]])
    client = index.column("direction")[rows[syns[0]]]
    answers = np.flatnonzero(flags & (SYN | ACK) == SYN | ACK)
    if not len(answers):
        return opened, -1
    own = (index.column("direction")[rows] == client) & (flags & (SYN | ACK) == ACK)
    done = np.flatnonzero(own & (np.arange(len(rows)) > answers[0]))
    return opened, int(times[rows[done[0]]]) - opened if len(done) else -1


def _tls(first: Exchange, conversation: Conversation, times: npt.NDArray[np.int64]) -> int:
    """From the first record to the client's last one before the request: there the handshake is over for the client."""
    root = conversation.directions[0].buffer.id, conversation.directions[1].buffer.id
    records = [
        pdu
        for packet in sorted(conversation.tree.pdus)
        for pdu in conversation.tree.pdus[packet]
        if pdu.protocol == "tls" and pdu.span.buffer.id in root
    ]
    if not records or first.request is None:
        return -1
    client = records[0].direction
    before = [pdu.packet for pdu in records if pdu.direction == client and pdu.packet <= first.request.first]
    ends = [packet for packet in before if packet < first.request.first] or before
    if not ends:
        return -1
    begin = records[0]
    buffer = conversation.directions[begin.direction].buffer
    carried = buffer.segments(begin.span.start, begin.span.start + 1)
    started = carried[0][2] if carried else begin.packet
    return int(times[ends[-1] - 1]) - int(times[started - 1])
