"""The façade over one capture, and the public Python API."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.field import address_text
from inspector.core.kept import Kept
from inspector.core.layer import Issue, Layer, Payload, Severity
from inspector.core.limits import MAX_HELD_SEGMENTS
from inspector.core.packet import Interface, Packet
from inspector.core.span import Frame
from inspector.core.stream import Pdu
from inspector.core.text import printable
from inspector.dissection.fragments import Fragments
from inspector.export.rows import Row, packet_row
from inspector.index.names import TCP
from inspector.secrets.keyring import Keyring
from inspector.sources import Source, open_source, open_sources
from inspector.sources.bundled import resolve
from inspector.streams.conversations import Conversations
from inspector.streams.facts import DNS_PORTS, Facts
from inspector.streams.indexing import index_of, take_in

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding
    from inspector.annotations.findings.finding import Phase
    from inspector.annotations.lessons import Stop
    from inspector.annotations.patterns import Pattern
    from inspector.annotations.state import State
    from inspector.annotations.story import Step
    from inspector.dissection.engine import Dissection, Engine
    from inspector.dissection.registry import Registry
    from inspector.protocols.encodings.schema import Schema
    from inspector.streams.conversation import Conversation
    from inspector.streams.exchanges import Exchange
    from inspector.streams.gathering import Gathering
    from inspector.streams.tcp_layer import Tcp

MAX_TOLD = 200_000  # changes of state, in conversations that were gone through to explain their packets


def open_session(
    source: str | int | Sequence[str],
    *,
    keylog: str | None = None,
    decode_as: Mapping[tuple[str, Any], str] | None = None,
    proto: Sequence[str] = (),
    load: bool = True,
    growing: bool = False,
    follow: bool = False,
    cache: bool = True,
) -> Session:
    """Open a capture: a path, the name of a bundled capture, or the descriptor of a pipe; several paths or names are one
    capture, in the order of time.

    proto: .proto files and descriptor sets, for what protobuf messages mean;
    load: build the index at once; a screen that shows progress calls `Session.load` in a thread instead.
    growing: the file is still being written; `Session.grow` takes in what is new, and `Session.load` what is last.
    follow: of a file that another program is writing, `Session.load` takes in what comes until `Source.stop`, as of a pipe.
    cache: the index of a capture that took long to read is kept in the user's cache folder, and taken from there.
    Raises InspectError where it is no capture, where `decode_as` names an unknown protocol, and for a wrong schema.
    """
    schema = _schema(proto) if proto else None
    opened: Source
    if isinstance(source, int | str):
        opened = open_source(source if isinstance(source, int) else resolve(source), follow)
    else:
        opened = open_sources([resolve(one) for one in source])
    title = os.path.basename(source) if isinstance(source, str) else opened.name
    try:
        session = Session(opened, title, keylog=keylog, decode_as=decode_as, schema=schema, growing=growing, cache=cache)
        session.path = resolve(source) if isinstance(source, str) else ""
        if load and not growing:
            session.load()
    except BaseException:
        opened.close()
        raise
    return session


def _keylog(given: str | None) -> str | None:
    """The key log's path: the one that was given, which must exist, or the one of $SSLKEYLOGFILE, which may not."""
    if given is not None and not os.path.isfile(given):
        raise InspectError(f"--keylog {given}: no such file")
    return given or os.environ.get("SSLKEYLOGFILE") or None


def _schema(paths: Sequence[str]) -> Schema:
    """What the files say of protobuf messages. Raises InspectError."""
    from inspector.sources.schema import descriptor_set

    descriptors = descriptor_set(paths)
    try:
        from inspector.protocols.encodings.schema import Schema

        return Schema(descriptors)
    except ImportError:
        raise InspectError("--proto needs the extra grpc: pip install 'osi-inspect[grpc]'") from None
    except ValueError as error:
        raise InspectError(f"--proto {', '.join(paths)}: no descriptor set ({error})") from None


class Session:
    """An open capture. Packets are numbered from 1. Safe to use from several threads."""

    def __init__(
        self,
        source: Source,
        title: str = "",
        *,
        keylog: str | None = None,
        decode_as: Mapping[tuple[str, Any], str] | None = None,
        schema: Schema | None = None,
        growing: bool = False,
        cache: bool = False,
    ) -> None:
        self.source = source
        self.title = title
        self.path = ""  # of the file, where it is one
        self.schema = schema
        self._decode_as = decode_as
        if decode_as:
            _ = self.registry  # a rule that is wrong is told at once
        self._fragments = Fragments()
        self.index = index_of(source, lambda: self.engine)
        self.complete = False
        self._cache = cache and not growing and not decode_as  # rules change which packets are conversations' own
        self._keeping: threading.Thread | None = None  # writes the index to the cache
        self.progress = 0.0
        self.conversations = Conversations(source, self.index, lambda: self.engine, _keylog(keylog), growing)
        self._facts = Facts()
        self._facts_lock = threading.Lock()
        self._pending: deque[int] = deque()  # packets that can teach and have not been asked
        self._teaching: list[int] = []  # the flows of such packets, of the first `_asked` flows
        self._asked = self._scanned = 0  # flows, and packets, that were looked at for such
        self._exchanges: tuple[tuple[int, bool, int], list[Exchange]] | None = None  # of what was `_reached`
        self._findings: tuple[tuple[int, bool, int], list[Finding]] | None = None
        self._details: tuple[int, dict[tuple[int, int], Exchange]] = (-1, {})
        self._lock = self.conversations.lock
        self.told: Kept[int, Any] = Kept(MAX_TOLD)
        self.said: dict[int, tuple[Hashable, bool] | None] = {}  # see `annotations.around`

    @property
    def growing(self) -> bool:
        """There will be more packets: conversations are followed as far as they go, and further when there are."""
        return self.conversations.growing

    @property
    def keyring(self) -> Keyring:
        """The secrets that are known."""
        return self.conversations.keyring

    @cached_property
    def registry(self) -> Registry:
        """The protocols; they are imported when the first packet is dissected, which a list of flows may never need."""
        from inspector.dissection.engine import make_registry

        try:
            return make_registry(self._decode_as)
        except KeyError as unknown:
            raise InspectError(f"-d: no protocol is called {unknown}; `osi-inspect fields --help` names them") from None

    @cached_property
    def engine(self) -> Engine:
        """What dissects the packets."""
        from inspector.dissection.engine import Engine

        return Engine(self.registry, self._fragments.offer)

    # --- the capture

    @property
    def count(self) -> int:
        """Packets so far."""
        return self.index.count

    @property
    def damage(self) -> Any:
        """Where and why the file ends early; None for a sound one."""
        return self.source.damage

    @property
    def interfaces(self) -> list[Interface]:
        return self.source.interfaces

    @property
    def names(self) -> dict[str, str]:
        """Names of addresses, from the capture's name blocks."""
        return self.source.names

    def load(self, progress: Callable[[float], None] | None = None) -> None:
        """Read the whole capture into the index."""

        def tell(share: float) -> None:
            self.progress = share
            if progress is not None:
                progress(share)

        if self.complete:
            return
        if self._cache:
            self._keeping = take_in(self.source, self.index, lambda: self.engine, self._fragments, tell)
        else:
            self.index.build(tell)
        with self._lock:
            self.conversations.forget()
            if "_gathering" in self.__dict__:  # else nobody has asked for exchanges: to make it imports every protocol
                self._gathering.forget()
            self._exchanges = None
            self.complete, self.conversations.growing = True, False
        self.progress = 1.0

    def grow(self) -> bool:
        """Take in what has been written to a growing capture since; whether there was more."""
        before = self.count
        self.index.build()
        return self.count > before

    def keep_up(self, seconds: float) -> int:
        """Follow the conversations of a growing capture further, for about so long; how many packets are still to come."""
        return self.conversations.keep_up(seconds)

    def to_follow(self, number: int) -> bool:
        """What its conversation says of a packet will be at hand once `keep_up` has come to it, and not before."""
        return self.conversations.to_follow(number)

    @property
    def follows(self) -> bool:
        """Conversations are followed. Of an ordinary capture that is still read they are not: it is soon complete."""
        return self.complete or self.growing

    def facts(self, packet: int) -> Facts:
        """What conversations have taught one another by `packet`; nothing until the capture is loaded."""
        with self._facts_lock:
            if self.follows:
                self._pending.extend(self._teachers())
                while self._pending and self._pending[0] <= packet:
                    number = self._pending.popleft()
                    self._facts.learn(number, self.dissect(number).layers)
            return self._facts

    def _teachers(self) -> list[int]:
        """The packets of conversations that can teach, in order: those that were not there when it was asked last."""
        after, count, flows = self._scanned, self.count, self.index.flows
        if after == count:
            return []
        new = range(self._asked, len(flows))
        ports = flows.ports(new.start)[: len(new)]
        self._teaching += (np.flatnonzero(np.isin(ports, DNS_PORTS).any(1)) + new.start).tolist()
        self._asked, self._scanned = new.stop, count
        found = self.index.packets_of(self._teaching, after) if self._teaching else np.zeros(0, np.int64)
        return [int(number) for number in found if number <= count]

    def name(self, address: bytes, packet: int) -> str:
        """An address as a name where the capture knows one by `packet` (its name blocks, then DNS answers), else as text."""
        text = address_text(address)
        known = self.source.names.get(text) or self.facts(packet).name(address, packet)
        return printable(known) if known else text

    def close(self) -> None:
        """Close the file."""
        if self._keeping is not None:
            self._keeping.join()
        self.source.close()

    def packet(self, number: int) -> Packet:
        """A packet. Raises IndexError for a number that the capture does not have."""
        return self.index.packet(number)

    def time_of(self, number: int) -> int:
        """When a packet was captured, in nanoseconds since 1970."""
        return self.index.value("time_ns", number)

    def file(self, number: int) -> str:
        """The name of the file that a packet lies in, where the capture is made of several; empty for one."""
        return self.source.file(self.index.value("offset", number))

    def comments(self, number: int) -> list[str]:
        """The comments that the capture's author gave a packet."""
        return self.source.comments.get(number, [])

    def frame(self, number: int) -> Frame:
        """A packet's bytes as a buffer."""
        return self.index.frame(number)

    def save(self, path: str, numbers: Iterable[int], secrets: bool = False) -> int:
        """Write packets to a new pcapng file, with what the capture says of them (comments, names); returns how many.

        secrets: with the keys in its secrets blocks too; the file is then its owner's alone.
        Raises InspectError where the file cannot be written.
        """
        from inspector.export import pcapng

        source = self.source
        keys = [(block.type, block.data) for block in source.secrets] if secrets else []
        extras = pcapng.Extras(source.comments, keys, self.names, source.section_comments)
        return pcapng.write(path, self.interfaces, map(self.packet, numbers), extras)

    # --- dissection

    def layers(self, number: int) -> Dissection:
        """The packet's own layers, without what its conversation says."""
        packet = self.packet(number)
        result = self.engine.dissect(packet, lambda: self.packet(number).data)
        from inspector.streams.transports import place

        place(result, self.index.flows, self.registry)
        return result

    def dissect(self, number: int) -> Dissection:
        """The packet's own layers, then those of every PDU that its conversation completes here."""
        result = self.layers(number)
        tcp = result.last("tcp")
        flow = self.index.flow_of(number)
        if tcp is None or flow < 0 or not self.follows:  # before the end of the capture nobody knows what completes where
            return result
        self._analysis(tcp, flow, number)
        conversation = self.conversation(flow)
        for pdu in conversation.pdus(number):
            unit = self.unit(pdu, result.packet)
            if not pdu.complete:
                limit = pdu.info.get("limit")
                text = limit or "the stream ends, or bytes are missing from the capture, before this unit is whole"
                unit.layers[0].issues.append(Issue("limit" if limit else "incomplete", pdu.span, Severity.WARNING, text))
            result.layers.extend(unit.layers)
            result.buffers.update(unit.buffers)
        self._stream_notes(result, tcp, conversation, number)
        return result

    def explained(self, number: int) -> Dissection:
        """`dissect`, with what the packets around it say of it: for who looks at one packet."""
        from inspector.annotations.history import add

        result = self.dissect(number)
        add(self, result)
        return result

    def completed(self, number: int, only: frozenset[str]) -> Dissection | None:
        """Of a packet only the units that its TCP conversation completes there, without notes and issues, and of them
        those that may show a protocol of `only`; None where its payload is not the conversation's to read."""
        flow = self.index.flow_of(number)
        if flow < 0 or self.index.flows.protocol(flow) != TCP or not self.follows:
            return None
        conversation = self.conversation(flow)
        if self.index.value("payload_length", number) and not conversation.recognised(number):
            return None
        from inspector.dissection.engine import Dissection

        result = Dissection(self.packet(number))
        for pdu in conversation.pdus(number):
            if pdu.protocol in only or self.registry.protocols[pdu.protocol].carries:
                result.layers.extend(self.unit(pdu, result.packet, notes=False).layers)
        return result

    def unit(self, pdu: Pdu, packet: Packet | None = None, notes: bool = True) -> Dissection:
        """The layers of one unit of a conversation. packet: the one that completes it, where it is at hand."""
        info = {**pdu.info, "time_of": self.time_of, "schema": self.schema}
        return self.engine.unit(packet or self.packet(pdu.packet), pdu.protocol, pdu.span, info, pdu.node.why, notes)

    def summary(self, pdu: Pdu) -> str:
        """What a unit says, in one line."""
        return printable(self.unit(pdu).layers[0].summary)

    def words(self, pdu: Pdu) -> str:
        """A unit in one line: `SSE event  event 3  order: …`."""
        layer = self.unit(pdu).layers[0]
        summary = printable(layer.summary)
        title = "" if summary.startswith(layer.title) else f"{layer.title}  "
        return f"{title}{summary}" + ("" if pdu.complete else "  (not whole)")

    def _analysis(self, tcp: Layer, flow: int, number: int) -> None:
        """What the conversation's other segments say of this one."""
        from inspector.streams.tcp_layer import enrich

        known = self.tcp(flow)
        direction = self.index.value("direction", number)
        enrich(tcp, self.registry.protocols["tcp"].fields, known, number, direction)

    def _stream_notes(self, result: Dissection, tcp: Layer, conversation: Conversation, number: int) -> None:
        direction = conversation.ranges.get(number)
        if direction is not None:
            buffer = conversation.directions[direction[0]].buffer
            result.buffers.setdefault(buffer.id, buffer)
            if not conversation.recognised(number):
                self._unrecognised(result, tcp)
        for failed, text in conversation.tree.failures:
            if failed == number:
                tcp.issues.append(Issue("internal-error", tcp.span, Severity.ERROR, text))
        for text in conversation.tree.cuts.get(number, ()):
            tcp.issues.append(Issue("limit", tcp.span, Severity.NOTE, text))
        if any(number in side.given_up for side in conversation.directions):
            text = f"more than {MAX_HELD_SEGMENTS:,} segments wait for a missing one: it is taken for lost"
            tcp.issues.append(Issue("limit", tcp.span, Severity.NOTE, text))
        if any(number in side.conflicts for side in conversation.directions):
            text = "these bytes differ from an earlier copy of the same sequence numbers; the first copy is kept"
            tcp.issues.append(Issue("overlap-conflict", tcp.span, Severity.WARNING, text))

    def _unrecognised(self, result: Dissection, tcp: Layer) -> None:
        """A payload that no stream parser reads: whoever claims the port, segment by segment."""
        for payload in tcp.payloads:
            if payload.span.size:
                start = Payload(payload.span, "tcp.port", payload.key, "")
                self.engine.follow(result, start)

    def part_of(self, number: int) -> list[Pdu]:
        """The PDUs that this packet carries a piece of and that complete later."""
        flow = self.index.flow_of(number)
        if flow < 0 or self.index.flows.protocol(flow) != TCP or not self.complete:
            return []
        return self.conversation(flow).part_of(number)

    # --- conversations

    def conversation(self, flow: int) -> Conversation:
        """A TCP flow, followed from its first packet to its last (of a growing capture: to the last that has come)."""
        return self.conversations.of(flow)

    def tcp(self, flow: int) -> Tcp:
        """The segments of a TCP flow: their analysis, and the states of both ends."""
        return self.conversations.tcp(flow)

    def reassembled(self, flow: int) -> Conversation:
        """A TCP flow put together and not read: soon there, and without any unit."""
        return self.conversations.reassembled(flow)

    def application(self, flow: int) -> str:
        """What a flow speaks, or has changed to, within its first packets; empty where nothing is recognised."""
        if self.index.flows.protocol(flow) == TCP:
            found = self.conversations.opening(flow).protocols
            if not found or found[-1] == "tls":
                return "TLS" if found else ""
            return self.registry.protocols[found[-1]].title + (" in TLS" if "tls" in found else "")
        layers = self.layers(int(self.index.flows.first[flow])).layers
        at = next((at for at, layer in enumerate(layers) if layer.protocol == "udp"), len(layers))
        above = [layer for layer in layers[at + 1 :] if layer.protocol != "data"]
        return above[0].title if above else ""

    # --- secrets

    @property
    def decrypted(self) -> bool:
        """A conversation of this capture opens with the secrets that are known."""
        return any(self.decrypts(flow) for flow in range(len(self.index.flows)))

    def decrypts(self, flow: int) -> bool:
        """A conversation's records open with the secrets that are known; only its first packets are followed to see it."""
        return self.conversations.decrypts(flow)

    def client_random(self, flow: int) -> bytes | None:
        """The random of the ClientHello that begins one of the first segments of a TCP flow; None where none does."""
        return self.conversations.client_random(flow)

    def _reached(self) -> tuple[int, bool, int]:
        """What is worked out over the whole capture stays true while this does: packets, all of them, and secrets."""
        self.keyring.log.refresh()
        return self.count, self.complete, self.keyring.log.secrets

    # --- exchanges

    @cached_property
    def _gathering(self) -> Gathering:
        from inspector.streams.gathering import Gathering

        return Gathering(self.index, self.conversation, self.layers, not self._decode_as, self.conversations.outdated)

    def exchanges(self, progress: Callable[[float], None] | None = None) -> list[Exchange]:
        """Every request with its response, in the order of their first packets, numbered from 1.

        progress: told the share that is done, 0 to 1.
        """
        state = self._reached()
        with self._lock:
            if self._exchanges is not None and self._exchanges[0] == state:
                return self._exchanges[1]
        with self._standing:
            found = self._gathering.exchanges(self.growing, None if self.growing else progress)
        with self._lock:
            self._exchanges = state, found
        return found

    @property
    def _standing(self) -> AbstractContextManager[object]:
        """Held by who reads all of a growing capture: meanwhile nothing is followed further."""
        return self._lock if self.growing else nullcontext()

    def waits(self, flow: int) -> dict[int, tuple[int, int]]:
        """The packets of a TCP conversation that a request waited for: packet → that of the request, and nanoseconds."""
        from inspector.streams.exchanges import of_conversation
        from inspector.streams.phases import waits

        return waits(of_conversation(self.conversation(flow), flow), self.index)

    def closed(self, flow: int) -> Phase | None:
        """In which phase of its talk a TCP conversation was closed; None where it was not, or the capture cannot tell."""
        from inspector.annotations.findings import Connection
        from inspector.annotations.findings.closing import phase
        from inspector.streams.exchanges import of_conversation

        return phase(Connection(self, flow, of_conversation(self.conversation(flow), flow)))

    def findings(self) -> list[Finding]:
        """What an expert would point out, the worst first; kept until there are more packets or more keys."""
        from inspector.annotations.findings import findings

        state = self._reached()
        known = self._findings
        if known is None or known[0] != state:
            with self._standing:
                known = self._findings = (state, findings(self))
        return known[1]

    def story(self, progress: Callable[[float], None] | None = None) -> list[Step]:
        """What happens in the capture, in plain sentences. progress: told the share that is done, 0 to 1."""
        from inspector.annotations.story import story

        with self._standing:
            return story(self, None if self.growing else progress)

    @cached_property
    def lesson(self) -> list[Stop]:
        """The stops of the lesson on a bundled capture; none for any other."""
        from inspector.annotations.lessons import lesson_of

        return lesson_of(self.path) if self.path else []

    def patterns(self) -> list[Pattern]:
        """How the programs talk: communication patterns, the surest first."""
        from inspector.annotations.patterns import patterns

        with self._standing:
            return patterns(self)

    def state(self, number: int, whole: bool = True) -> State:
        """What each layer remembers once a packet has arrived. whole: what other conversations say of it, too."""
        from inspector.annotations.state import state

        return state(self, number, whole)

    def detailed(self, exchange: Exchange) -> Exchange:
        """The same exchange with its units (`units`), which the fast reading of plain connections leaves out."""
        from inspector.streams.exchanges import of_conversation

        if exchange.units is not None:
            return exchange
        at = _place(exchange)
        flow, known = self._details
        if flow != exchange.flow:
            known = {_place(one): one for one in of_conversation(self.conversation(exchange.flow), exchange.stream)}
            self._details = (exchange.flow, known)
        found = known[at]
        exchange.units = found.units
        return exchange

    # --- lists

    def rows(self, start: int, stop: int) -> list[Row]:
        """Lines of the packet list for packets `start` to `stop` (exclusive)."""
        return [self.row(number) for number in range(max(start, 1), min(stop, self.count + 1))]

    def followed(self, number: int) -> bool:
        """What the packet's conversation says of it is at hand: `dissect` and `row` need not follow it first."""
        return self.conversations.followed(number)

    def row(self, number: int, deep: bool = True) -> Row:
        """One line of the packet list. deep: with what its conversation says."""
        return packet_row(self, number, deep)


def _place(exchange: Exchange) -> tuple[int, int]:
    """Where an exchange begins in its connection's two directions."""
    return exchange.request.start if exchange.request else -1, exchange.response.start if exchange.response else -1
