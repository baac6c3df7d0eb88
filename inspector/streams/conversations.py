"""The TCP conversations of a capture: followed when they are asked for, kept while there is room, taken further as it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inspector.core.kept import Kept
from inspector.core.limits import MAX_CONVERSATIONS, MAX_SEGMENTS
from inspector.core.span import Span
from inspector.index import Index
from inspector.index.names import TCP
from inspector.secrets.keylog import TLS_KEY_LOG, KeyLog
from inspector.secrets.keyring import FlowKeys, Keyring
from inspector.sources import Source
from inspector.streams.bulk import MANY, Segments
from inspector.streams.following import Following

if TYPE_CHECKING:
    from inspector.core.secrecy import Keys
    from inspector.dissection.engine import Engine
    from inspector.dissection.registry import Registry
    from inspector.streams.analysis import Edges
    from inspector.streams.conversation import Conversation
    from inspector.streams.tcp_layer import Tcp

OPENING = 64  # packets of a flow within which its protocol shows
CLIENT_HELLO_HEAD = 43  # bytes up to the end of the client's random: record and message headers, version (RFC 8446, 4.1.2)


class Conversations:
    """Safe to use from several threads: `lock` is held while one is followed.

    engine: what dissects, made when it is first needed; keylog: the path of a key log;
    growing: there will be more packets, and conversations are followed as far as they go.
    """

    def __init__(self, source: Source, index: Index, engine: Callable[[], Engine], keylog: str | None, growing: bool) -> None:
        self._source, self._index, self._engine = source, index, engine
        self.keyring = Keyring(KeyLog(keylog, self._secrets_blocks), self._learn)
        self.growing = growing
        self.lock = threading.RLock()
        self._kept: Kept[int, Conversation] = Kept(MAX_CONVERSATIONS)
        self._tcp: Kept[int, Tcp] = Kept(MAX_SEGMENTS)
        self._tcp_of: dict[int, tuple[int, tuple[int, int]]] = {}  # what those of `_tcp` have seen of a growing capture
        self._learned = 0  # conversations before this one have been followed for what they teach of resumed sessions
        self._following = Following(index, self._keep_up)
        self.left: set[int] = set()  # of a growing capture, the flows that are followed further only when they are asked for

    def forget(self) -> None:
        """What was followed while packets were still coming is not the whole of it. Call it with the lock held."""
        self._kept.clear()
        self._tcp.clear()
        self._learned = 0
        self.left.clear()

    # --- followed

    def of(self, flow: int, until: int | None = None) -> Conversation:
        """A TCP flow, followed from its first packet to its last (of a growing capture: to the last that has come).

        until: of a growing capture, the packet as far as which it is followed at least.
        """
        with self.lock:
            found = self._kept.get(flow)
            if found is not None and self.outdated(found.tree.keys):
                self._learned = 0  # what is known now may open earlier sessions too
            elif found is not None:
                if self.growing and self._follow_on(found, until):
                    self._kept.put(flow, found, found.weight)
                return found
            found = self._follow(flow, until)
            self._kept.put(flow, found, found.weight)
            return found

    def tcp(self, flow: int, until: int | None = None) -> Tcp:
        """The segments of a TCP flow: their analysis, and the states of both ends. until: as in `of`."""
        from inspector.streams.segments import parts
        from inspector.streams.tcp_layer import follow

        index = self._index
        with self.lock:
            found = self._tcp.get(flow)
            first, second = index.flows.shift[flow]
            scales, count = (int(first), int(second)), index.count if until is None else until
            if self.growing:
                seen, known = self._tcp_of.get(flow, (0, scales))
                if found is None or known != scales:  # a SYN that came since tells how to read the windows before it
                    found, seen = follow((), scales), int(index.flows.first[flow]) - 1
                if seen < count:
                    packets = index.packets_of([flow], seen)
                    found.feed(parts(index, packets[packets <= count], self.sack))
                    self._tcp.put(flow, found, len(found.analysis.packets))
                self._tcp_of[flow] = max(count, seen), scales
            elif found is None:
                found = follow(parts(index, index.flow_packets(flow), self.sack), scales)
                self._tcp.put(flow, found, len(found.analysis.packets))
            return found

    def reassembled(self, flow: int) -> Conversation:
        """A TCP flow put together and not read: soon there, and without any unit."""
        from inspector.dissection.registry import Registry

        return self._put_together(self.new(flow, Registry(())))

    def opening(self, flow: int) -> Conversation:
        """A TCP flow, of which only the first packets are followed."""
        conversation = self.new(flow)
        conversation.follow(self.segments(flow, OPENING))
        conversation.finish()
        return conversation

    def new(self, flow: int, registry: Registry | None = None) -> Conversation:
        """A TCP flow of which nothing is followed yet."""
        from inspector.streams.conversation import Conversation

        index, engine = self._index, self._engine()
        ports = (int(index.flows.sport(flow)), int(index.flows.dport(flow)))
        keys = self.keyring.of(flow)
        return Conversation(flow, ports, self.payload, registry or engine.registry, engine.strict, keys, index.near)

    def _follow(self, flow: int, until: int | None) -> Conversation:
        conversation = self.new(flow)
        if self.growing:
            self._follow_on(conversation, until)
            return conversation
        return self._put_together(conversation)

    def _put_together(self, conversation: Conversation) -> Conversation:
        self._feed(conversation, self._index.flow_packets(conversation.id))
        conversation.finish()
        return conversation

    def _follow_on(self, conversation: Conversation, until: int | None) -> bool:
        """Feed a conversation of a growing capture the segments that have come since; whether any had."""
        index = self._index
        after, count = max(conversation.reached, int(index.flows.first[conversation.id]) - 1), until or index.count
        if after >= count:
            return False
        conversation.reached = count
        packets = index.packets_of([conversation.id], after)
        packets = packets[packets <= count]
        self._feed(conversation, packets)
        return len(packets) > 0

    def _feed(self, conversation: Conversation, packets: npt.NDArray[np.int64]) -> None:
        for start in range(0, len(packets), MANY):
            conversation.follow(self._columns(packets[start : start + MANY]))

    # --- a capture that grows

    def keep_up(self, seconds: float) -> int:
        """Follow the conversations of a growing capture further, for about so long; how many packets are still to come."""
        return self._following.work(seconds) if self.growing else 0

    def _keep_up(self, flow: int, until: int) -> None:
        with self.lock:
            # One that was let go for want of room would begin anew, and one that fills all the room would grow without end:
            # these are for who asks for them.
            weight, new = self._kept.weight(flow), self._index.flows.first[flow] > self._following.reached
            if self.growing and (new or 0 < weight < MAX_CONVERSATIONS):
                self.of(flow, until)
                self.tcp(flow, until)
            elif self.growing:
                self.left.add(flow)

    def to_follow(self, number: int) -> bool:
        """What its conversation says of a packet will be at hand once `keep_up` has come to it, and not before."""
        return self.growing and number > self._following.reached and not self.followed(number)

    def followed(self, number: int) -> bool:
        """What the packet's conversation says of it is at hand."""
        flow = self._index.flow_of(number)
        if flow < 0 or self._index.flows.protocol(flow) != TCP:
            return True
        conversation = self._kept.get(flow)
        if conversation is None or flow not in self._tcp:
            return False
        return not self.growing or (number <= conversation.reached and number <= self._tcp_of[flow][0])

    # --- segments

    def segments(self, flow: int, most: int | None = None) -> Segments:
        """The segments of a TCP flow, as the index knows them; the first `most` of them."""
        return self._columns(self._index.flow_packets(flow)[:most])

    def _columns(self, packet: npt.NDArray[np.int64]) -> Segments:
        names = ("direction", "seq", "ack", "flags", "payload_length", "captured", "payload_offset", "offset")
        columns = (self._index.at(name, packet - 1).astype(np.int64) for name in names)
        direction, sequence, acknowledgement, flags, length, captured, payload, offset = columns
        have = np.where(payload >= 0, np.clip(captured - payload, 0, length), length)
        place = np.where(payload >= 0, offset + payload, -1)
        return Segments(packet, direction, sequence, acknowledgement, flags, length, have, place)

    def payload(self, number: int) -> Span:
        """Where a packet's TCP payload lies; in a reassembled datagram for one that came in fragments."""
        offset = self._index.value("payload_offset", number)
        if offset >= 0:
            length = self._index.value("payload_length", number)
            return Span(self._index.frame(number), offset, offset + length)
        packet = self._index.packet(number)
        tcp = self._engine().dissect(packet, lambda: self._index.packet(number).data).last("tcp")
        assert tcp is not None
        return tcp.payloads[0].span

    def sack(self, number: int) -> Edges:
        """The SACK blocks of a packet that the columns cannot read."""
        from inspector.streams.transports import SACK_EDGES

        tcp = self._engine().dissect(self._index.packet(number)).last("tcp")
        edges = [field.value for field in tcp.walk() if field.name in SACK_EDGES] if tcp is not None else []
        return tuple(zip(edges[::2], edges[1::2], strict=False))

    # --- secrets

    def decrypts(self, flow: int) -> bool:
        """A conversation's records open with the secrets that are known; only its first packets are followed to see it."""
        hello = None if self.keyring.empty else self.client_random(flow)
        if hello is None or not self.keyring.may_open(hello):
            return False
        conversation = self.new(flow)
        for segment in self.segments(flow, OPENING).rows():
            conversation.feed([segment])
            if conversation.decrypted:
                return True
        return False

    def client_random(self, flow: int) -> bytes | None:
        """The random of the ClientHello that begins one of the first segments of a TCP flow; None where none does."""
        index = self._index
        if index.flows.protocol(flow) != TCP:
            return None
        packets = index.flow_packets(flow)[:OPENING]
        for packet in packets[index.at("payload_length", packets - 1) > 0].tolist():
            span = self.payload(packet)
            head = span.buffer.read(span.start, min(span.start + CLIENT_HELLO_HEAD, span.stop))
            if head[:2] == b"\x16\x03" and head[5:6] == b"\x01":
                return head[11:]
        return None

    def outdated(self, keys: Keys | None) -> bool:
        """A conversation asked for a secret that was not there, and the key log has grown."""
        return isinstance(keys, FlowKeys) and keys.missed and self.keyring.grown(keys)

    def _secrets_blocks(self) -> list[bytes]:
        """The key logs in the capture itself, as far as it has been read."""
        return [block.data for block in self._source.secrets if block.type == TLS_KEY_LOG]

    def _learn(self, flow: int) -> None:
        """Follow the TLS conversations before `flow`, in their order, for the sessions that later ones resume."""
        with self.lock:
            while self._learned < flow:
                before, self._learned = self._learned, self._learned + 1
                if self.client_random(before) is not None:
                    self.of(before)
