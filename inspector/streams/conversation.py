"""One TCP conversation of a capture: its segments in packet order, through reassembly, into the tree of streams."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

import numpy as np

from inspector.core.secrecy import Keys
from inspector.core.span import Span
from inspector.core.stream import Pdu, Reader
from inspector.core.tcp_flags import ACK, RST, SYN
from inspector.dissection.registry import Registry
from inspector.streams.bulk import FEW, MANY, Ranges, SegmentRow, Segments, plain, take
from inspector.streams.tcp import Direction, TcpBuffer
from inspector.streams.tree import Tree, TreeNode


class Conversation:
    """A TCP conversation: what each direction said, and the units (PDUs) found in it.

    id: the flow's number in the index; ports: those of direction 0's sender and receiver; payload, load: as in TcpBuffer;
    keys: what opens its records.
    """

    def __init__(
        self,
        id: int,
        ports: tuple[int, int],
        payload: Callable[[int], Span],
        registry: Registry,
        strict: bool = False,
        keys: Keys | None = None,
        load: Callable[[int, int], bytes] | None = None,
    ) -> None:
        self.id = id
        self.tree = Tree(registry, id, ports, strict, keys)
        self.directions: list[Direction] = []
        for direction in (0, 1):
            buffer = TcpBuffer(f"tcp:{id}.{direction}", payload, load)
            self.directions.append(Direction(buffer, Reader(buffer, direction)))
        self.reached = 0  # packets of a growing capture that were looked at
        self.ranges = Ranges()
        self._root: TreeNode | None = None
        self._last = 0
        self._starts: dict[str, list[int]] = {}

    def feed(self, rows: Iterable[SegmentRow]) -> None:
        """More segments, in packet order."""
        for row in rows:
            self._feed(row)
            if self._root is not None:
                self.tree.run()

    def follow(self, segments: Segments) -> None:
        """The same as `feed`, for columns of segments: those that follow one another are taken many at a time."""
        at, count = 0, len(segments.packet)
        while at < count:
            size = 0
            if self._root is not None and all(direction.plain for direction in self.directions):
                part = segments.slice(at, min(at + MANY, count))
                size = plain(part, self.directions)
                if size >= FEW:
                    self._arrive(part.slice(0, size))
                    at += size
            if size < FEW:  # what begins, ends, is missing or comes twice; and what follows it, until all is plain again
                after = min(at + max(size, 1), count)
                self.feed(segments.slice(at, after).rows())
                at = after

    def _arrive(self, part: Segments) -> None:
        """Segments that follow one another in both directions. The parsers see them arrive one by one."""
        until = take(part, self.directions, self.ranges)
        self._last = int(part.packet[-1])
        filled = np.flatnonzero(part.length)
        readers = [direction.reader for direction in self.directions]
        run = self.tree.run
        for direction, arrived in zip(part.direction[filled].tolist(), until[filled].tolist(), strict=True):
            reader = readers[direction]
            reader.arrived = arrived
            if arrived >= reader.wanted:
                owner = reader.owner
                assert isinstance(owner, TreeNode)
                owner.arrive(direction)
                run()

    def _feed(self, row: SegmentRow) -> None:
        own, peer = self.directions[row.direction], self.directions[1 - row.direction]
        self._last = row.packet
        if row.flags & SYN and own.isn is None:
            self.tree.client = 1 - row.direction if row.flags & ACK else row.direction
        elif own.isn is None and peer.isn is None:  # it began before the capture: servers listen on the lower port
            self.tree.client = 1 if self.tree.ports[0] < self.tree.ports[1] else 0
        if row.flags & RST:
            if own.isn is not None and row.length == 0:
                own.reset(row.packet)
            peer.reset(row.packet)
            self._wake(own)
            self._wake(peer)
            return
        start, stop = own.segment(row.sequence, row.flags, row.length, row.have, row.packet, row.place)
        if row.length:
            self.ranges.append(row.packet, row.direction, start, stop)
        if row.flags & ACK:
            peer.acknowledge(row.acknowledgement, row.packet)
        if self._root is None:
            self._root = self.tree.root([d.reader for d in self.directions])
        self._wake(own)
        self._wake(peer)

    def _wake(self, direction: Direction) -> None:
        owner = direction.reader.owner
        if isinstance(owner, TreeNode):
            self.tree.wake(owner)

    def finish(self) -> None:
        """The capture has no more of this conversation."""
        if self._root is None:
            return
        for direction in self.directions:
            direction.flush(self._last)
            direction.reader.finish(self._last, seen=False)
        self.tree.finish()
        for pdus in self.tree.by_buffer.values():
            pdus.sort(key=lambda pdu: pdu.span.start)

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes: what was measured of segments, units and nodes, and what buffers hold."""
        pdus = sum(map(len, self.tree.pdus.values()))
        return 8_192 + 100 * len(self.ranges) + 2_048 * pdus + 4_096 * len(self.tree.nodes) + self.tree.kept

    @property
    def decrypted(self) -> bool:
        """Records of it were opened with the secrets that were given."""
        return any(node.info.get("decrypted") for node in self.tree.nodes)

    def recognised(self, packet: int) -> bool:
        """A stream parser was found for what this packet carries."""
        found = self.ranges.get(packet)
        if found is None or self._root is None or self._root.successor is None:
            return False
        direction, _, stop = found
        since = self._root.successor.since.get(direction)
        return since is not None and stop > since

    @property
    def protocols(self) -> list[str]:
        """The protocols that it was found to speak, one after the other (HTTP, then WebSocket), or inside TLS with its keys."""
        found = []
        node = self._root
        while node is not None:
            if node.parser.protocol != "detect":
                found.append(node.parser.protocol)
            inside = (child for child in self.tree.nodes if child.parent is node and child.plaintext)
            node = node.successor or next(inside, None)
        return found

    def pdus(self, packet: int) -> list[Pdu]:
        """The PDUs that complete with this packet, outermost first."""
        return self.tree.pdus.get(packet, [])

    def part_of(self, packet: int) -> list[Pdu]:
        """The PDUs of the TCP stream that this packet carries a piece of and that complete with a later one."""
        found = self.ranges.get(packet)
        if found is None:
            return []
        direction, start, stop = found
        buffer = self.directions[direction].buffer
        pdus = self.tree.by_buffer.get(buffer.id, [])
        starts = self._starts.setdefault(buffer.id, [pdu.span.start for pdu in pdus])
        low, high = bisect_right(starts, start) - 1, bisect_left(starts, stop)
        return [pdu for pdu in pdus[max(low, 0) : high] if pdu.span.stop > start and pdu.packet > packet]
