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
import numpy.typing as npt

from inspector.core.errors import InspectError
from inspector.core.field import Field, address_text
from inspector.core.kept import Kept
from inspector.core.layer import Issue, Layer, Payload, Severity
from inspector.core.limits import MAX_CONVERSATIONS, MAX_HELD_SEGMENTS, MAX_SEGMENTS
from inspector.core.packet import Interface, Packet
from inspector.core.span import Frame, Span
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import segment_words
from inspector.core.text import printable
from inspector.dissection.fragments import Fragments
from inspector.export.rows import Row, packet_row
from inspector.secrets.keylog import KeyLog
from inspector.secrets.keyring import FlowKeys, Keyring
from inspector.sources import Source, open_source, open_sources
from inspector.sources.bundled import resolve
from inspector.streams.bulk import MANY, Segments
from inspector.streams.facts import DNS_PORTS, Facts
from inspector.streams.following import Following
from inspector.streams.indexing import index_of, take_in

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding
    from inspector.annotations.lessons import Stop
    from inspector.annotations.patterns import Pattern
    from inspector.annotations.state import State
    from inspector.annotations.story import Step
    from inspector.core.secrecy import Keys
    from inspector.dissection.engine import Dissection, Engine
    from inspector.dissection.registry import Registry
    from inspector.protocols.encodings.schema import Schema
    from inspector.streams.analysis import Edges
    from inspector.streams.conversation import Conversation
    from inspector.streams.exchanges import Exchange
    from inspector.streams.gathering import Gathering
    from inspector.streams.tcp_layer import Tcp

SACK_EDGES = ("tcp.options.sack_le", "tcp.options.sack_re")
MAX_TOLD = 200_000  # changes of state, in conversations that were gone through to explain their packets
OPENING = 64  # packets of a flow within which its protocol shows
CLIENT_HELLO_HEAD = 43  # bytes up to the end of the client's random: record and message headers, version (RFC 8446, 4.1.2)
TLS_KEY_LOG = 0x544C534B  # the type of a secrets block that holds a TLS key log (draft-ietf-opsawg-pcapng)
TCP, UDP = 6, 17


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
        self.keyring = Keyring(KeyLog(_keylog(keylog), self._secrets_blocks), self._learn)
        self._decode_as = decode_as
        if decode_as:
            _ = self.registry  # a rule that is wrong is told at once
        self._fragments = Fragments()
        self.index = index_of(source, lambda: self.engine)
        self.complete = False
        self._cache = cache and not growing and not decode_as  # rules change which packets are conversations' own
        self._keeping: threading.Thread | None = None  # writes the index to the cache
        self.growing = growing  # conversations are followed as far as they go, and further when there are more packets
        self.progress = 0.0
        self._conversations: Kept[int, Conversation] = Kept(MAX_CONVERSATIONS)
        self._tcp: Kept[int, Tcp] = Kept(MAX_SEGMENTS)
        self._tcp_of: dict[int, tuple[int, tuple[int, int]]] = {}  # what those of `_tcp` have seen of a growing capture
        self._facts = Facts()
        self._facts_lock = threading.Lock()
        self._pending: deque[int] = deque()  # packets that can teach and have not been asked
        self._teaching: list[int] = []  # the flows of such packets, of the first `_asked` flows
        self._asked = self._scanned = 0  # flows, and packets, that were looked at for such
        self._learned = 0  # conversations before this one have been followed for what they teach of resumed sessions
        self._following = Following(self.index, self._keep_up)
        self._exchanges: tuple[tuple[int, bool, int], list[Exchange]] | None = None  # of what was `_reached`
        self._findings: tuple[tuple[int, bool, int], list[Finding]] | None = None
        self._details: tuple[int, dict[tuple[int, int], Exchange]] = (-1, {})
        self._lock = threading.RLock()
        self.told: Kept[int, Any] = Kept(MAX_TOLD)
        self.said: dict[int, tuple[Hashable, bool] | None] = {}  # see `annotations.around`

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
        with self._lock:  # what was followed while packets were still coming is not the whole of it
            self._conversations.clear()
            self._tcp.clear()
            self._gathering.forget()
            self._exchanges = None
            self._learned = 0
            self.complete, self.growing = True, False
        self.progress = 1.0

    def grow(self) -> bool:
        """Take in what has been written to a growing capture since; whether there was more."""
        before = self.count
        self.index.build()
        return self.count > before

    def keep_up(self, seconds: float) -> int:
        """Follow the conversations of a growing capture further, for about so long; how many packets are still to come."""
        return self._following.work(seconds) if self.growing else 0

    def _keep_up(self, flow: int, until: int) -> None:
        with self._lock:
            # One that was let go for want of room would begin anew, and one that fills all the room would grow without end:
            # these are for who asks for them.
            weight, new = self._conversations.weight(flow), self.index.flows.first[flow] > self._following.reached
            if self.growing and (new or 0 < weight < MAX_CONVERSATIONS):
                self._followed(flow, until)
                self.tcp(flow, until)

    def to_follow(self, number: int) -> bool:
        """What its conversation says of a packet will be at hand once `keep_up` has come to it, and not before."""
        return self.growing and number > self._following.reached and not self.followed(number)

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
        self._teaching += [flow for flow in new if flows.sport(flow) in DNS_PORTS or flows.dport(flow) in DNS_PORTS]
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
        size = self.index.value("captured", number)
        return Frame(number, size, lambda: self.packet(number).data)

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
        self._enrich(result)
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
        return self._followed(flow, None)

    def _followed(self, flow: int, until: int | None) -> Conversation:
        """until: of a growing capture, the packet as far as which it is followed at least."""
        with self._lock:
            found = self._conversations.get(flow)
            if found is not None and self._outdated(found.tree.keys):
                self._learned = 0  # what is known now may open earlier sessions too
            elif found is not None:
                if self.growing and self._follow_on(found, until):
                    self._conversations.put(flow, found, found.weight)
                return found
            found = self._follow(flow, until)
            self._conversations.put(flow, found, found.weight)
            return found

    def tcp(self, flow: int, until: int | None = None) -> Tcp:
        """The segments of a TCP flow: their analysis, and the states of both ends. until: as in `_followed`."""
        from inspector.streams.segments import parts
        from inspector.streams.tcp_layer import follow

        with self._lock:
            found = self._tcp.get(flow)
            first, second = self.index.flows.shift[flow]
            scales, count = (int(first), int(second)), self.count if until is None else until
            if self.growing:
                seen, known = self._tcp_of.get(flow, (0, scales))
                if found is None or known != scales:  # a SYN that came since tells how to read the windows before it
                    found, seen = follow((), scales), int(self.index.flows.first[flow]) - 1
                if seen < count:
                    packets = self.index.packets_of([flow], seen)
                    found.feed(parts(self.index, packets[packets <= count], self._sack))
                    self._tcp.put(flow, found, len(found.analysis.packets))
                self._tcp_of[flow] = max(count, seen), scales
            elif found is None:
                found = follow(parts(self.index, self.index.flow_packets(flow), self._sack), scales)
                self._tcp.put(flow, found, len(found.analysis.packets))
            return found

    def _sack(self, number: int) -> Edges:
        """The SACK blocks of a packet that the columns cannot read."""
        tcp = self.engine.dissect(self.packet(number)).last("tcp")
        edges = [field.value for field in tcp.walk() if field.name in SACK_EDGES] if tcp is not None else []
        return tuple(zip(edges[::2], edges[1::2], strict=False))

    def _follow(self, flow: int, until: int | None = None) -> Conversation:
        conversation = self._conversation(flow)
        if self.growing:
            self._follow_on(conversation, until)
            return conversation
        return self._put_together(conversation)

    def _put_together(self, conversation: Conversation) -> Conversation:
        packets = self.index.flow_packets(conversation.id)
        for start in range(0, len(packets), MANY):
            conversation.follow(self._columns(packets[start : start + MANY]))
        conversation.finish()
        return conversation

    def _follow_on(self, conversation: Conversation, until: int | None) -> bool:
        """Feed a conversation of a growing capture the segments that have come since; whether any had."""
        after, count = max(conversation.reached, int(self.index.flows.first[conversation.id]) - 1), until or self.count
        if after >= count:
            return False
        conversation.reached = count
        packets = self.index.packets_of([conversation.id], after)
        packets = packets[packets <= count]
        for start in range(0, len(packets), MANY):
            conversation.follow(self._columns(packets[start : start + MANY]))
        return len(packets) > 0

    def reassembled(self, flow: int) -> Conversation:
        """A TCP flow put together and not read: soon there, and without any unit."""
        from inspector.dissection.registry import Registry

        return self._put_together(self._conversation(flow, Registry(())))

    def _conversation(self, flow: int, registry: Registry | None = None) -> Conversation:
        from inspector.streams.conversation import Conversation

        ports = (int(self.index.flows.sport(flow)), int(self.index.flows.dport(flow)))
        keys = self.keyring.of(flow)
        return Conversation(
            flow, ports, self._payload, registry or self.registry, self.engine.strict, keys, self.index.near
        )

    def _segments(self, flow: int, most: int | None = None) -> Segments:
        """The segments of a TCP flow, as the index knows them; the first `most` of them."""
        return self._columns(self.index.flow_packets(flow)[:most])

    def _columns(self, packet: npt.NDArray[np.int64]) -> Segments:
        names = ("direction", "seq", "ack", "flags", "payload_length", "captured", "payload_offset", "offset")
        columns = (self.index.at(name, packet - 1).astype(np.int64) for name in names)
        direction, sequence, acknowledgement, flags, length, captured, payload, offset = columns
        have = np.where(payload >= 0, np.clip(captured - payload, 0, length), length)
        place = np.where(payload >= 0, offset + payload, -1)
        return Segments(packet, direction, sequence, acknowledgement, flags, length, have, place)

    def application(self, flow: int) -> str:
        """What a flow speaks, or has changed to, within its first packets; empty where nothing is recognised."""
        if self.index.flows.protocol(flow) == TCP:
            conversation = self._conversation(flow)
            conversation.follow(self._segments(flow, OPENING))
            conversation.finish()
            found = conversation.protocols
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
        hello = None if self.keyring.empty else self.client_random(flow)
        if hello is None or not self.keyring.may_open(hello):
            return False
        conversation = self._conversation(flow)
        for segment in self._segments(flow, OPENING).rows():
            conversation.feed([segment])
            if conversation.decrypted:
                return True
        return False

    def client_random(self, flow: int) -> bytes | None:
        """The random of the ClientHello that begins one of the first segments of a TCP flow; None where none does."""
        if self.index.flows.protocol(flow) != TCP:
            return None
        packets = self.index.flow_packets(flow)[:OPENING]
        for packet in packets[self.index.at("payload_length", packets - 1) > 0].tolist():
            span = self._payload(packet)
            head = span.buffer.read(span.start, min(span.start + CLIENT_HELLO_HEAD, span.stop))
            if head[:2] == b"\x16\x03" and head[5:6] == b"\x01":
                return head[11:]
        return None

    def _secrets_blocks(self) -> list[bytes]:
        """The key logs in the capture itself, as far as it has been read."""
        return [block.data for block in self.source.secrets if block.type == TLS_KEY_LOG]

    def _learn(self, flow: int) -> None:
        """Follow the TLS conversations before `flow`, in their order, for the sessions that later ones resume."""
        with self._lock:
            while self._learned < flow:
                before, self._learned = self._learned, self._learned + 1
                if self.client_random(before) is not None:
                    self.conversation(before)

    def _outdated(self, keys: Keys | None) -> bool:
        """A conversation asked for a secret that was not there, and the key log has grown."""
        return isinstance(keys, FlowKeys) and keys.missed and self.keyring.grown(keys)

    def _reached(self) -> tuple[int, bool, int]:
        """What is worked out over the whole capture stays true while this does: packets, all of them, and secrets."""
        self.keyring.log.refresh()
        return self.count, self.complete, self.keyring.log.secrets

    def _payload(self, number: int) -> Span:
        """Where a packet's TCP payload lies; in a reassembled datagram for one that came in fragments."""
        offset = self.index.value("payload_offset", number)
        if offset >= 0:
            length = self.index.value("payload_length", number)
            return Span(self.frame(number), offset, offset + length)
        tcp = self.engine.dissect(self.packet(number), lambda: self.packet(number).data).last("tcp")
        assert tcp is not None
        return tcp.payloads[0].span

    def _enrich(self, result: Dissection) -> None:
        """What the flow knows: stream numbers, relative sequence numbers and scaled windows."""
        from inspector.streams.transports import transports

        flows = self.index.flows
        for layer, transport in transports(result):
            found = flows.find(transport, result.packet.number)
            if found is None:
                continue
            flow, direction = found
            own = Span(layer.span.buffer, layer.span.start, layer.span.start)
            if transport.protocol == UDP:
                self._generate(layer, "udp.stream", int(flows.stream[flow]), own)
                continue
            self._generate(layer, "tcp.stream", int(flows.stream[flow]), own)
            base, peer = int(flows.base_seq[flow][direction]), int(flows.base_seq[flow][1 - direction])
            at = layer.span
            relative = transport.seq - base & 0xFFFFFFFF
            self._generate(layer, "tcp.seq", relative, Span(at.buffer, at.start + 4, at.start + 8))
            acked = transport.ack - peer & 0xFFFFFFFF if transport.flags & 0x10 else transport.ack
            self._generate(layer, "tcp.ack", acked, Span(at.buffer, at.start + 8, at.start + 12))
            shift = 0 if transport.flags & 0x02 else max(int(flows.shift[flow][direction]), 0)
            for field in layer.walk():
                if field.name in SACK_EDGES:  # they count what the peer sent
                    field.value = field.value - peer & 0xFFFFFFFF
            self._generate(layer, "tcp.window_size", transport.window << shift, Span(at.buffer, at.start + 14, at.start + 16))
            size = layer.value("tcp.len", 0)
            ports = (transport.sport, transport.dport)
            layer.summary = segment_words(ports, transport.flags, relative, acked, size)

    def _generate(self, layer: Layer, name: str, value: int, span: Span) -> None:
        spec = self.registry.protocols[layer.protocol].fields[name]
        layer.fields.append(Field(spec, value, span, None, None, True))

    # --- exchanges

    @cached_property
    def _gathering(self) -> Gathering:
        from inspector.streams.gathering import Gathering

        return Gathering(self.index, self.conversation, self.layers, not self._decode_as, self._outdated)

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

    def state(self, number: int) -> State:
        """What each layer remembers once a packet has arrived."""
        from inspector.annotations.state import state

        return state(self, number)

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
        flow = self.index.flow_of(number)
        if flow < 0 or self.index.flows.protocol(flow) != TCP:
            return True
        conversation = self._conversations.get(flow)
        if conversation is None or flow not in self._tcp:
            return False
        return not self.growing or (number <= conversation.reached and number <= self._tcp_of[flow][0])

    def row(self, number: int, deep: bool = True) -> Row:
        """One line of the packet list. deep: with what its conversation says."""
        return packet_row(self, number, deep)


def _place(exchange: Exchange) -> tuple[int, int]:
    """Where an exchange begins in its connection's two directions."""
    return exchange.request.start if exchange.request else -1, exchange.response.start if exchange.response else -1
