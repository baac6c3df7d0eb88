"""Exchanges: each request with its response, when their bytes came, and the events and messages inside.

Over HTTP/1.1 (WebSocket and event streams included), HTTP/2 and gRPC. An ordinary HTTP/1 connection is read in one pass (see
`streams.plain`); every other one through its tree of streams. Both say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from inspector.core.span import Buffer, Frame, Span, trace
from inspector.core.stream import Pdu
from inspector.protocols.http.head import Head, parse
from inspector.streams.conversation import Conversation
from inspector.streams.tcp import TcpBuffer

FAR = 4  # a packet that has nothing to do with an exchange
ITEMS = frozenset({"sse", "websocket.message", "grpc"})  # what is inside a response that goes on


class Part(NamedTuple):
    """A request or a response: bytes `start` to `stop` of a buffer, the head as far as `head`, and the packets that brought
    its first byte and its last one, and with which it was complete. whole: it was seen to its end."""

    start: int
    head: int
    stop: int
    first: int
    last: int
    complete: int
    whole: bool = True

    @property
    def size(self) -> int:
        """Bytes in all, head and body as they were coded."""
        return self.stop - self.start


class Item(NamedTuple):
    """An event or a message inside an exchange. from_client: who sent it; first, last: the packets with its first and last
    byte; complete: the one that completes it."""

    pdu: Pdu
    from_client: bool
    first: int
    last: int
    complete: int


class Phases(NamedTuple):
    """Nanoseconds of each phase; -1 where it does not belong to this exchange or was not seen. `tls` follows `connect`."""

    dns: int = -1
    connect: int = -1
    tls: int = -1
    send: int = -1
    wait: int = -1
    receive: int = -1

    @property
    def total(self) -> int:
        return sum(phase for phase in self if phase > 0)


NO_PHASES = Phases()


class Units(NamedTuple):
    """The units of the parsers that make up an exchange: those of its request, of its response, and what is inside."""

    request: list[Pdu]
    response: list[Pdu]
    items: list[Item]


class Exchange:
    """A request with its response. status 0: no response was seen; substream: of HTTP/2, -1 without.

    begun, ended: nanoseconds since 1970, from the first byte to the last; outcome: of a gRPC call, in the trailers. number is
    given by `Session.exchanges`.
    """

    __slots__ = ("begun", "ended", "flow", "host", "media", "method", "number", "outcome", "phases", "protocol", "reason",
                 "request", "response", "scheme", "status", "stream", "substream", "target", "units")  # fmt: skip

    def __init__(self, flow: int, stream: int, protocol: str, method: str, scheme: str, host: str, target: str) -> None:
        self.number = 0
        self.flow = flow
        self.stream = stream
        self.substream = -1
        self.protocol = protocol
        self.method = method
        self.scheme = scheme
        self.host = host
        self.target = target
        self.status = 0
        self.reason = ""
        self.media = ""
        self.request: Part | None = None
        self.response: Part | None = None
        self.outcome: Item | None = None
        self.units: Units | None = None  # the reading of plain connections leaves them out; see `Session.detailed`
        self.phases = NO_PHASES
        self.begun = self.ended = 0

    @property
    def items(self) -> Sequence[Item]:
        """The events and messages inside, in the order in which they were complete."""
        return self.units.items if self.units is not None else ()

    @property
    def url(self) -> str:
        """The target with its scheme and host; the absolute form and CONNECT's authority have them already."""
        if self.method == "CONNECT" or "://" in self.target.split("?")[0] or not self.host:
            return self.target
        return f"{self.scheme}://{self.host}{self.target}"

    @property
    def first(self) -> int:
        """Its first packet."""
        return self.request.first if self.request is not None else self.response.first if self.response is not None else 0

    @property
    def complete(self) -> bool:
        """Both its request and its response were seen to their ends."""
        request, response = self.request, self.response
        return request is not None and request.whole and response is not None and response.whole

    def __repr__(self) -> str:
        return f"<Exchange {self.number} {self.method} {self.url} {self.status}>"


def of_conversation(conversation: Conversation, stream: int) -> list[Exchange]:
    """The exchanges of a conversation, from the units that its parsers found. stream: tshark's number of the conversation."""
    pairing = _Pairing(conversation, stream)
    for packet in sorted(conversation.tree.pdus):
        for pdu in conversation.tree.pdus[packet]:
            pairing.add(pdu)
    return pairing.finish()


class _Pairing:
    """Brings the units of a conversation together by the request that each of them refers to."""

    def __init__(self, conversation: Conversation, stream: int) -> None:
        self.conversation = conversation
        self.stream = stream
        self.found: list[Exchange] = []
        self._by_request: dict[int, Exchange] = {}  # id of the dictionary `asked`, which the units keep alive
        self._asked: dict[int, dict[str, Any]] = {}
        self._by_call: dict[int, Exchange] = {}
        self._going_on: dict[tuple[int, int], Exchange] = {}  # (node, direction) → whose response its chunks are

    def add(self, pdu: Pdu) -> None:
        if pdu.protocol == "http":
            self._http(pdu)
        elif pdu.protocol in ("http2", "http2.body"):
            self._http2(pdu)
        elif pdu.protocol in ITEMS:
            self._item(pdu)

    def finish(self) -> list[Exchange]:
        for key, asked in self._asked.items():
            if "stream" in asked:
                self._http2_parts(self._by_request[key], asked)
        return [exchange for exchange in self.found if exchange.request is not None or exchange.response is not None]

    def _exchange(self, asked: dict[str, Any], pdu: Pdu) -> Exchange:
        exchange = self._by_request.get(id(asked))
        if exchange is None:
            two = "stream" in asked
            scheme = asked.get("scheme") or ("http" if isinstance(pdu.span.buffer, TcpBuffer) else "https")
            protocol = "HTTP/2" if two else "HTTP/1.1"
            exchange = Exchange(
                self.conversation.id, self.stream, protocol, asked["method"], scheme, asked["host"], asked["target"]
            )
            if two:
                exchange.substream = asked["stream"]
            self._by_request[id(asked)] = exchange
            self._asked[id(asked)] = asked
            self.found.append(exchange)
        if "grpc" in asked and id(asked["grpc"]) not in self._by_call:
            self._by_call[id(asked["grpc"])] = exchange
            exchange.protocol = "gRPC"
        return exchange

    # --- HTTP/1

    def _http(self, pdu: Pdu) -> None:
        info = pdu.info
        if pdu.kind in ("chunk", "rest"):
            exchange = self._going_on.get((id(pdu.node), pdu.direction))
            if exchange is not None and exchange.response is not None and pdu.kind == "chunk":
                _units(exchange).response.append(pdu)
                whole = bool(info.get("last"))
                part = self._part(pdu)
                exchange.response = exchange.response._replace(
                    stop=part.stop, last=part.last, complete=part.complete, whole=whole
                )
            return
        asked = info.get("asked")
        if "code" not in info:
            if asked is not None:
                exchange = self._exchange(asked, pdu)
                exchange.request = self._part(pdu)
                _units(exchange).request.append(pdu)
            return
        code = info["code"]
        if 100 <= code < 200 and code != 101:
            return
        if asked is None:  # the request is not in this capture
            exchange = Exchange(self.conversation.id, self.stream, "HTTP/1.1", "", "", "", "")
            self.found.append(exchange)
        else:
            exchange = self._exchange(asked, pdu)
        exchange.response = self._part(pdu)
        _units(exchange).response.append(pdu)
        exchange.status = code
        head = parse(pdu.span.buffer.read(pdu.span.start, info["head_stop"]))
        if head is not None:
            self._answered(exchange, head)
        if info.get("head_only"):
            stop, end = info.get("body_stop", pdu.span.stop), info.get("body_end")  # of a body without chunks
            last = _carrier(pdu.span.buffer, stop - 1, pdu.packet)
            exchange.response = exchange.response._replace(stop=stop, last=last, complete=end or last, whole=end is not None)
            self._going_on[id(pdu.node), pdu.direction] = exchange

    @staticmethod
    def _answered(exchange: Exchange, head: Head) -> None:
        exchange.reason = head.start[2] if head.start[0].startswith("HTTP/1") else ""
        exchange.media = (head.get("content-type") or "").split(";")[0].strip().lower()

    def _part(self, pdu: Pdu) -> Part:
        span = pdu.span
        first, last = _carrier(span.buffer, span.start, pdu.packet), _carrier(span.buffer, span.stop - 1, pdu.packet)
        return Part(span.start, pdu.info.get("head_stop", span.start), span.stop, first, last, pdu.packet, pdu.complete)

    # --- HTTP/2

    def _http2(self, pdu: Pdu) -> None:
        asked = pdu.info.get("asked")
        if asked is not None:
            exchange = self._exchange(asked, pdu)
            request = pdu.direction == pdu.node.client and not asked.get("pushed")
            (_units(exchange).request if request else _units(exchange).response).append(pdu)

    def _http2_parts(self, exchange: Exchange, asked: dict[str, Any]) -> None:
        """The packets of an HTTP/2 exchange are what its parser noted; sizes count its frames."""
        for side, (begin, stop) in enumerate((("start", "request_end"), ("response_start", "response_end"))):
            units = _units(exchange)
            pdus = [pdu for pdu in (units.response if side else units.request) if pdu.protocol == "http2"]
            begun = asked.get(begin)
            if not pdus or begun is None:
                continue
            last, complete = pdus[-1], asked.get(stop)
            part = Part(
                0, pdus[0].span.size, sum(pdu.span.size for pdu in pdus), begun,
                _carrier(last.span.buffer, last.span.stop - 1, last.packet), complete or last.packet, complete is not None,
            )  # fmt: skip
            if side:
                exchange.response = part
            else:
                exchange.request = part
        exchange.status = asked.get("status", 0)
        head = asked.get("response")
        if head is not None:
            self._answered(exchange, head)

    # --- what is inside

    def _item(self, pdu: Pdu) -> None:
        exchange = self._owner(pdu)
        if exchange is None:
            return
        span = pdu.span
        first, last = _carrier(span.buffer, span.start, pdu.packet), _carrier(span.buffer, span.stop - 1, pdu.packet)
        client = self._client(pdu)
        item = Item(pdu, pdu.direction == client, first, last, pdu.packet)
        if pdu.protocol == "grpc" and pdu.kind == "status":
            exchange.outcome = item
            return
        _units(exchange).items.append(item)
        if pdu.protocol == "websocket.message":
            exchange.protocol = "WebSocket"

    def _owner(self, pdu: Pdu) -> Exchange | None:
        node: Any = pdu.node
        while node is not None:
            asked, call = node.info.get("asked"), node.info.get("call")
            if asked is not None:
                return self._exchange(asked, pdu)
            if call is not None:
                return self._by_call.get(id(call))
            node = node.parent
        return None

    @staticmethod
    def _client(pdu: Pdu) -> int:
        node: Any = pdu.node
        while node is not None:
            if "client" in node.info:
                return int(node.info["client"])
            node = node.parent
        return pdu.node.client


def _units(exchange: Exchange) -> Units:
    if exchange.units is None:
        exchange.units = Units([], [], [])
    return exchange.units


def _carrier(buffer: Buffer, at: int, fallback: int) -> int:
    """The packet that carried a byte."""
    if isinstance(buffer, TcpBuffer):
        found = buffer.segments(at, at + 1)
        return found[0][2] if found else fallback
    frames = [span.buffer.number for span in trace(Span(buffer, at, at + 1)) if isinstance(span.buffer, Frame)]
    return frames[-1] if frames else fallback


def nearest(exchanges: Iterable[Exchange], number: int) -> Exchange | None:
    """The exchange that a packet has to do with: whose request it completes, or carries; whose response it completes, or
    carries. None where it is of none."""
    ranked = [(_nearness(exchange, number), exchange) for exchange in exchanges]
    nearness, found = min(ranked, key=lambda pair: pair[0], default=(FAR, None))
    return found if nearness < FAR else None


def _nearness(exchange: Exchange, number: int) -> int:
    for rank, part in enumerate((exchange.request, exchange.response)):
        if part is not None and part.first <= number <= part.complete:
            return 2 * rank if part.complete == number else 2 * rank + 1
    return FAR


def packets_of(exchange: Exchange) -> Iterator[int]:
    """The packets that carried bytes of an exchange; its units must be there (`Session.detailed`)."""
    units = _units(exchange)
    for pdu in (*units.request, *units.response, *(item.pdu for item in units.items)):
        for span in trace(pdu.span):
            if isinstance(span.buffer, Frame):
                yield span.buffer.number
