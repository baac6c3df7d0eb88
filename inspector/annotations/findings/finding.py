"""What a finding is, and the capture as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from inspector.core.field import endpoint_text
from inspector.core.layer import Layer, Severity
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.dissection.engine import Dissection
from inspector.index import Index
from inspector.index.names import TCP
from inspector.streams.analysis import Mark
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange
from inspector.streams.tcp_layer import Tcp

MS = 1_000_000  # nanoseconds
FAR_NS = 500_000  # a round trip below half a millisecond does not tell which end is near
FAR_TIMES = 5  # how much longer one half of the handshake must be than the other to say where the capture was made
MAX_PATH = 60  # characters of a path that are told
MAX_EVIDENCE = 20  # packets named as evidence; more say nothing new
Ints = npt.NDArray[np.int64]
Thing = TypeVar("Thing")


class Phase(NamedTuple):
    """In which phase of its talk a connection was closed. kind: `idle`, `within a response`; words: which, and how long."""

    kind: str
    words: str


class Finding(NamedTuple):
    """Something that an expert would point out.

    code: its name; packets: those that prove it, the telling one first; stream: tshark's number of the TCP conversation, -1
    where it is about more than one; times: how often; vantage: where the capture was made, as far as can be told; phase: of the
    talk, where it is about the end of a connection.
    """

    code: str
    severity: Severity
    packets: tuple[int, ...]
    stream: int
    cause: str
    cure: str
    reference: str
    times: int = 1
    vantage: str = "unknown"
    phase: Phase | None = None


class Capture(Protocol):
    """What the rules ask of a session."""

    index: Index

    def time_of(self, number: int) -> int: ...
    def tcp(self, flow: int) -> Tcp: ...
    def conversation(self, flow: int) -> Conversation: ...
    def name(self, address: bytes, packet: int) -> str: ...
    def exchanges(self) -> list[Exchange]: ...
    def detailed(self, exchange: Exchange) -> Exchange: ...
    def dissect(self, number: int) -> Dissection: ...
    def layers(self, number: int) -> Dissection: ...
    def unit(self, pdu: Pdu) -> Dissection: ...
    def client_random(self, flow: int) -> bytes | None: ...


class Connection:
    """A TCP conversation for the rules: its segments as columns, a row a segment in packet order; and its exchanges, for who
    hands them in."""

    def __init__(self, capture: Capture, flow: int, exchanges: Sequence[Exchange] = ()) -> None:
        self.capture = capture
        self.flow = flow
        self.exchanges = exchanges
        index = capture.index
        self.stream = int(index.flows.stream[flow])
        self.packet: Ints = index.flow_packets(flow)
        rows = self.packet - 1

        def column(name: str) -> Ints:
            return index.at(name, rows).astype(np.int64)

        self.time, self.direction, self.flags = column("time_ns"), column("direction"), column("flags")
        self.sequence, self.acknowledgement = column("seq"), column("ack")
        self.length, self.window = column("payload_length"), column("window")
        self.tcp = capture.tcp(flow)
        self.marks: Ints = np.array(self.tcp.analysis.marks, np.int64)
        opening = np.flatnonzero((self.flags & (SYN | ACK)) == SYN)
        self.client = int(self.direction[opening[0]]) if len(opening) else -1  # -1: its SYN is not in the capture

    @property
    def size(self) -> int:
        """Segments."""
        return len(self.packet)

    @property
    def server(self) -> int:
        return 1 - self.client if self.client >= 0 else -1

    def who(self, direction: int) -> str:
        """`the client` or `the server`; an address where the handshake is not in the capture."""
        if self.client < 0:
            return self.end(direction)
        return "the client" if direction == self.client else "the server"

    def end(self, direction: int) -> str:
        """An end as `192.0.2.80:443`."""
        flows = self.capture.index.flows
        port = flows.dport(self.flow) if direction else flows.sport(self.flow)
        return endpoint_text(flows.addresses(self.flow)[direction], port)

    @cached_property
    def misses_packets(self) -> bool:
        """The capture itself lost packets here: what was acknowledged was never seen."""
        return bool(np.any(self.marks & int(Mark.ACK_LOST_SEGMENT)))

    @cached_property
    def round_trip(self) -> int:
        """The handshake's, in nanoseconds; 0 where it was not seen."""
        return self.tcp.analysis.initial_rtt or 0

    @cached_property
    def halves(self) -> tuple[int, int]:
        """The handshake's round trip as seen from where the capture was made, in nanoseconds: to the server and back, and to
        the client and back; -1 where SYN or SYN ACK were not seen, or not once."""
        syn = np.flatnonzero((self.flags & (SYN | ACK)) == SYN)
        answer = np.flatnonzero((self.flags & (SYN | ACK)) == SYN | ACK)
        if len(syn) != 1 or len(answer) != 1 or answer[0] + 1 >= self.size:
            return -1, -1
        there = int(self.time[answer[0]] - self.time[syn[0]])
        return there, int(self.time[answer[0] + 1] - self.time[answer[0]])

    @cached_property
    def vantage(self) -> str:
        """Where the capture looks from: the answer to a SYN takes long at the client, the answer to that at the server."""
        there, back = self.halves
        if there < 0:
            return "unknown"
        if there > FAR_NS and there > FAR_TIMES * back:
            return "client"
        if back > FAR_NS and back > FAR_TIMES * there:
            return "server"
        return "middle" if min(there, back) > FAR_NS else "unknown"

    def marked(self, marks: Mark) -> Ints:
        """The rows of segments that have one of these marks."""
        found: Ints = np.flatnonzero(self.marks & int(marks))
        return found

    def finding(
        self, code: str, severity: Severity, rows: Sequence[int] | Ints, cause: str, cure: str, reference: str, times: int = 1
    ) -> Finding:
        """A finding about this connection; rows: of the segments that prove it."""
        packets = tuple(int(self.packet[row]) for row in list(rows)[:MAX_EVIDENCE])
        return Finding(code, severity, packets, self.stream, cause, cure, reference, times, self.vantage)


class Talk:
    """What one TCP conversation says, for the rules: its units, and the exchanges made of them."""

    def __init__(self, capture: Capture, flow: int, exchanges: Sequence[Exchange]) -> None:
        self.capture = capture
        self.flow = flow
        self.stream = int(capture.index.flows.stream[flow])
        self.exchanges = exchanges
        self.conversation = capture.conversation(flow)

    @cached_property
    def units(self) -> list[Pdu]:
        """In the order in which they were complete."""
        pdus = self.conversation.tree.pdus
        return [pdu for packet in sorted(pdus) for pdu in pdus[packet]]

    @cached_property
    def connection(self) -> Connection:
        return Connection(self.capture, self.flow)

    @cached_property
    def ending(self) -> tuple[int, int] | None:
        """The row of the first FIN or RST in `connection`, and who sent it; None where the end is not in the capture."""
        rows = np.flatnonzero(self.connection.flags & (FIN | RST))
        return (int(rows[0]), int(self.connection.direction[rows[0]])) if len(rows) else None

    def time(self, packet: int) -> int:
        return self.capture.time_of(packet)

    def side(self, from_client: bool) -> str:
        return "the client" if from_client else "the server"

    def finding(
        self, code: str, severity: Severity, packets: Sequence[int], cause: str, cure: str, reference: str, times: int = 1
    ) -> Finding:
        """A finding about this conversation; packets: those that prove it."""
        shown = tuple(packets[:MAX_EVIDENCE])
        return Finding(code, severity, shown, self.stream, cause, cure, reference, times, self.connection.vantage)


class View:
    """A capture for the rules; what is asked for is worked out once."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self._cuts: dict[str, int] = {}  # what was not looked at: the first packet of it
        self._plain: set[int] = set()

    @cached_property
    def exchanges(self) -> list[Exchange]:
        found = self.capture.exchanges()
        with_units = {exchange.flow for exchange in found if exchange.units is not None}
        self._plain = {exchange.flow for exchange in found} - with_units
        return found

    @cached_property
    def by_flow(self) -> dict[int, list[Exchange]]:
        """The exchanges of each flow, in order."""
        found: dict[int, list[Exchange]] = {}
        for exchange in self.exchanges:
            found.setdefault(exchange.flow, []).append(exchange)
        return found

    @cached_property
    def carrying(self) -> list[int]:
        """The TCP conversations that carry data."""
        index = self.capture.index
        flows: list[int] = np.unique(index.column("flow")[index.column("payload_length") > 0]).tolist()
        return [flow for flow in flows if flow >= 0 and index.flows.protocol(flow) == TCP]

    def connections(self) -> Iterator[Connection]:
        """The TCP conversations, one at a time: they are not kept. One segment alone proves nothing to any rule."""
        flows = self.capture.index.flows
        for flow in np.flatnonzero((flows.protocols == TCP) & (flows.packets.sum(axis=1) > 1)).tolist():
            yield Connection(self.capture, flow, self.by_flow.get(flow, ()))

    def talks(self) -> Iterator[Talk]:
        """What the TCP conversations say that are more than ordinary HTTP/1, one at a time: they are not kept."""
        own = self.by_flow
        for flow in self.carrying:
            if flow not in self._plain:
                yield Talk(self.capture, flow, own.get(flow, ()))

    def first(
        self, things: Sequence[Thing], most: int, code: str, what: str, packet: Callable[[Thing], int]
    ) -> Sequence[Thing]:
        """Of many things the first ones, for a rule that would take too long over all of them; that it does not look at the
        others is a finding, too. code: of the rule; what: the things, as `DNS messages`; packet: where one of them is."""
        if len(things) > most:
            self._cuts.setdefault(f"{most:,} of {len(things):,} {what} for {code}", packet(things[most]))
        return things[:most]

    def unseen(self) -> Iterator[Finding]:
        """That rules did not look at everything."""
        if self._cuts:
            cause = f"looked at were only {'; '.join(self._cuts)}: of the others nothing is told"
            cure = "save a part of the capture, by a filter or by time, and open that"
            packets = tuple(sorted(self._cuts.values()))[:MAX_EVIDENCE]
            yield Finding("not-looked-at", Severity.NOTE, packets, -1, cause, cure, "a limit of this program", len(self._cuts))

    def addresses(self, exchange: Exchange) -> tuple[bytes, bytes]:
        """The client's and the server's."""
        return self.capture.index.flows.addresses(exchange.flow)

    def server(self, exchange: Exchange) -> tuple[bytes, bytes, int]:
        """Who asks whom: the client's address, the server's, and its port."""
        return (*self.addresses(exchange), int(self.capture.index.flows.dport(exchange.flow)))

    def layers(self, exchange: Exchange, protocol: str) -> Iterator[Layer]:
        """The layers of a protocol in an exchange's own units."""
        units = self.capture.detailed(exchange).units
        for pdu in (*units.request, *units.response) if units is not None else ():
            yield from (layer for layer in self.capture.unit(pdu).layers if layer.protocol == protocol)



def milliseconds(nanoseconds: int) -> str:
    """`41.2 ms`, `2.3 s`."""
    return f"{nanoseconds / 1e6:,.1f} ms" if nanoseconds < 1_000_000_000 else f"{nanoseconds / 1e9:,.1f} s"
