"""What a communication pattern is: its name, what speaks for it and against it, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from inspector.annotations.findings.finding import MAX_EVIDENCE, Capture, milliseconds
from inspector.core.text import counted, printable
from inspector.streams.exchanges import Exchange

REQUEST_RESPONSE, ASYNC_JOB, UNKNOWN = "request–response", "asynchronous job", "unknown"
SHORT_POLLING, LONG_POLLING = "short polling", "long polling"
EVENT_STREAM, WEBSOCKET_PUSH, PUBLISH = "server-sent events", "push over WebSocket", "publish–subscribe"
MULTIPLEXING, POOL, PIPELINING = "multiplexing", "connection pool", "pipelining"
COOKIE_SESSION, TOKEN, CONNECTION_BOUND = "cookie session", "token", "connection-bound"
PROXY_HOP = "proxy hop"
INTERACTIONS = frozenset({
    REQUEST_RESPONSE, ASYNC_JOB, SHORT_POLLING, LONG_POLLING, EVENT_STREAM, WEBSOCKET_PUSH, PUBLISH, UNKNOWN,
})  # fmt: skip
CONNECTIONS = frozenset({MULTIPLEXING, POOL, PIPELINING})
STATES = frozenset({COOKIE_SESSION, TOKEN, CONNECTION_BOUND})


class Confidence(IntEnum):
    """high: the bytes say so; medium: nothing speaks against it, and something else is conceivable; low: a guess."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Cost(NamedTuple):
    """What a pattern costs. octets: of requests and responses, heads and bodies; wasted: the share of the requests that brought
    nothing new; delay: nanoseconds from an event to its delivery, at most; None where it is not known. instead: what another
    pattern would have cost, in words."""

    requests: int
    connections: int
    octets: int
    wasted: float | None = None
    delay: int | None = None
    instead: str = ""


def cost_words(cost: Cost) -> str:
    """`12 requests, 1 connection, 3,408 bytes; 80% brought nothing new`."""
    words = f"{counted(cost.requests, 'request')}, {counted(cost.connections, 'connection')}, {cost.octets:,} bytes"
    if cost.wasted is not None:
        words += f"; {cost.wasted:.0%} brought nothing new"
    if cost.delay is not None:
        words += f"; up to {milliseconds(cost.delay)} from event to delivery"
    return words


class Pattern(NamedTuple):
    """A pattern that was recognised. about: whose; packets: of its evidence; streams: tshark's numbers of its conversations."""

    name: str
    confidence: Confidence
    about: str
    packets: tuple[int, ...]
    streams: tuple[int, ...]
    evidence: tuple[str, ...]
    counter: tuple[str, ...]
    cost: Cost


class Scene(NamedTuple):
    """The exchanges of a capture, in the order in which they began."""

    capture: Capture
    exchanges: list[Exchange]

    def server(self, exchange: Exchange) -> tuple[bytes, bytes, int]:
        """The client's address, the server's, and its port."""
        flows = self.capture.index.flows
        client, server = flows.addresses(exchange.flow)
        return client, server, int(flows.dport(exchange.flow))


def only(most: int, total: int, noun: str) -> list[str]:
    """Where not all was looked at: how much of it was."""
    return [f"only the first {most:,} of {counted(total, noun)} were looked at"] if total > most else []


def cost(
    exchanges: Sequence[Exchange], wasted: float | None = None, delay: int | None = None, instead: str = ""
) -> Cost:
    """The cost of exchanges."""
    connections = len({one.flow for one in exchanges})
    octets = sum(part.size for one in exchanges for part in (one.request, one.response) if part is not None)
    return Cost(len(exchanges), connections, octets, wasted, delay, instead)


def pattern(
    name: str,
    confidence: Confidence,
    exchanges: Sequence[Exchange],
    evidence: Iterable[str],
    counter: Iterable[str],
    paid: Cost,
    about: str = "",
) -> Pattern:
    """A pattern of some exchanges. about: the first one's method and URL where nothing else is given."""
    first = exchanges[0]
    words = about or f"{first.method or 'a response to'} {first.url.partition('?')[0] or 'a request that was not seen'}"
    packets = tuple(one.first for one in exchanges[:MAX_EVIDENCE])
    streams = tuple(sorted({one.stream for one in exchanges}))
    return Pattern(name, confidence, printable(words, 120), packets, streams, tuple(evidence), tuple(counter), paid)
