"""The tree of nested streams: TCP → TLS → HTTP → body → gzip → SSE. Every node is the same thing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from inspector.core.limits import MAX_LOOKS, MAX_NODES
from inspector.core.protocol import Protocol, Sniff
from inspector.core.secrecy import Keys
from inspector.core.span import Span
from inspector.core.stream import Ended, Gap, Pdu, Reader, Steps, StreamBuffer, StreamParser, TooLong
from inspector.dissection.engine import PREFIX
from inspector.dissection.registry import Choice, Registry

NEVER = 1 << 62  # a place that no stream reaches


class Tree:
    """The tree over one conversation: holds the PDUs that its nodes yield, and runs the nodes that have news."""

    def __init__(
        self, registry: Registry, conversation: int, ports: tuple[int, int], strict: bool, keys: Keys | None = None
    ) -> None:
        self.registry = registry
        self.keys = keys
        self.conversation = conversation
        self.ports = ports
        self.strict = strict
        self.client = 0
        self.over = False
        self.pdus: dict[int, list[Pdu]] = {}  # by the packet that completes them
        self.by_buffer: dict[str, list[Pdu]] = {}
        self.nodes: list[TreeNode] = []
        self.failures: list[tuple[int, str]] = []  # (packet, text): bugs in parsers, shown as internal-error
        self.cuts: dict[int, list[str]] = {}  # by packet: which limits were reached
        self._news: deque[TreeNode] = deque()

    def root(self, readers: list[Reader]) -> TreeNode:
        """The node over the conversation's own two directions; it finds out which protocol they speak."""
        node = TreeNode(self, Detector(), "detect", {}, "")
        for reader in readers:
            node.adopt(reader, False)
        return node

    def record(self, pdu: Pdu) -> None:
        self.pdus.setdefault(pdu.packet, []).append(pdu)
        self.by_buffer.setdefault(pdu.span.buffer.id, []).append(pdu)

    def cut(self, packet: int, text: str) -> None:
        """A limit was reached; it is told once in a packet."""
        said = self.cuts.setdefault(packet, [])
        if text not in said:
            said.append(text)

    def wake(self, node: TreeNode) -> None:
        """`node` has news; it runs when `run` is called."""
        if not node.waiting:
            node.waiting = True
            self._news.append(node)

    def run(self) -> None:
        """Run the nodes that have news until none has."""
        while self._news:
            node = self._news.popleft()
            node.waiting = False
            node.advance()

    @property
    def kept(self) -> int:
        """Bytes that its streams hold, since nothing works them out again."""
        buffers = (reader.buffer for node in self.nodes for reader in node.readers)
        return sum({buffer.id: buffer.kept for buffer in buffers if isinstance(buffer, StreamBuffer)}.values())

    def finish(self) -> None:
        """The capture has no more of this conversation: everything that waits is told so."""
        self.over = True
        quiet = 0
        while quiet < 3:  # each round ends one wait of a parser (`StreamParser.wait`); some have two, one behind the other
            before = self._progress()
            for node in list(self.nodes):
                self.wake(node)
            self.run()
            quiet = quiet + 1 if self._progress() == before else 0

    def _progress(self) -> tuple[tuple[int, ...], ...]:
        return tuple(node.progress() for node in self.nodes)


class TreeNode:
    """One node: a parser, and a reader and a running generator for each direction that it owns."""

    def __init__(self, tree: Tree, parser: StreamParser, id: str, info: dict[str, Any], why: str) -> None:
        self.tree = tree
        self.parser = parser
        self.id = id
        self.info = info
        self.why = why
        self.waiting = False
        self.successor: TreeNode | None = None
        self.parent: TreeNode | None = None  # the node that opened it, or handed over to it
        self.since: dict[int, int] = {}  # direction → where in the stream it became this node's
        self._readers: dict[int, Reader] = {}
        self._steps: dict[int, Steps[None]] = {}
        self._pair: tuple[Reader, Reader] | None = None  # twice the same where one direction is known
        self._emitted = 0
        parser.node = self
        tree.nodes.append(self)

    # --- what the parser sees (core.stream.Node)

    @property
    def client(self) -> int:
        return self.tree.client

    @property
    def over(self) -> bool:
        return self.tree.over

    @property
    def keys(self) -> Keys | None:
        return self.tree.keys

    def reader(self, direction: int) -> Reader:
        reader = self._readers.get(direction)
        if reader is None:  # a direction that this capture, or this stream, does not have
            reader = Reader(StreamBuffer(f"{self.id}.{direction}.none", "nothing"), direction)
            reader.ended = self.tree.over
        return reader

    def emit(
        self,
        kind: str,
        reader: Reader,
        start: int,
        stop: int,
        info: dict[str, Any] | None = None,
        *,
        complete: bool = True,
        packet: int | None = None,
        protocol: str | None = None,
    ) -> Pdu:
        if packet is None:
            packet = reader.packet_at(max(stop - 1, start))
        name = protocol or self.parser.protocol
        pdu = Pdu(name, kind, Span(reader.buffer, start, stop), packet, reader.direction, self, info or {}, complete)
        pdu.info.setdefault("kind", kind)
        pdu.info.setdefault("complete", complete)
        self._emitted += 1
        self.tree.record(pdu)
        return pdu

    def cut(self, packet: int, text: str) -> None:
        self.tree.cut(packet, text)

    def open(
        self, name: str, kind: str, table: str, key: Any, info: dict[str, Any] | None = None, why: str = ""
    ) -> ChildStream | None:
        parser = self._parser(table, key)
        if parser is None:
            return None
        number = len(self.tree.nodes)
        id = f"{name}:{self.tree.conversation}.{number}"
        node = TreeNode(self.tree, parser, id, info or {}, why or f"{table} is {key}")
        node.parent = self
        return ChildStream(node, kind)

    def hand_over(
        self, reader: Reader, table: str, key: Any, info: dict[str, Any] | None = None, why: str = "", resync: bool = False
    ) -> bool:
        if self.successor is None:
            parser = self._parser(table, key)
            if parser is None:
                return False
            self.successor = TreeNode(self.tree, parser, self.id, info or {}, why or f"{table} is {key}")
            self.successor.parent = self
        self.successor.adopt(reader, resync)
        return True

    def _parser(self, table: str, key: Any) -> StreamParser | None:
        """A new parser: of the protocol called `key`, of the one that a table has for it, or the detector of contents."""
        if len(self.tree.nodes) >= MAX_NODES:
            text = f"more than {MAX_NODES:,} streams inside one conversation: what further ones carry is not read"
            self.tree.cut(max((reader.packet() for reader in self.readers), default=0), text)
            return None
        if (table, key) == ("stream", "detect"):
            return Detector(nested=True)
        registry = self.tree.registry
        protocol = registry.protocols.get(key) if table == "protocol" else registry.tables.get(table, {}).get(key)
        return protocol.parser() if protocol is not None and protocol.parser is not None else None

    # --- what the tree does

    @property
    def readers(self) -> Collection[Reader]:
        """The readers that this node owns, or has owned."""
        return self._readers.values()

    def adopt(self, reader: Reader, resync: bool) -> None:
        """This node owns the reader's direction from its position on."""
        self._readers[reader.direction] = reader
        self._pair = (reader, self._readers.get(1 - reader.direction, reader))
        reader.wanted = 0
        self.since.setdefault(reader.direction, reader.pos)
        reader.owner = self
        self._steps[reader.direction] = self.parser.parse(reader, resync)
        self.tree.wake(self)

    def advance(self) -> None:
        """Run both directions until neither gets further."""
        while self._steps:
            before = self.progress()
            for direction in list(self._steps):
                self._step(direction)
            if self.progress() == before:
                return

    def arrive(self, direction: int) -> None:
        """Run both directions until neither gets further, where only one of them has news."""
        while direction in self._steps:
            before = self.progress()
            self._step(direction)
            if self.progress() == before:
                return
            direction = 1 - direction  # what one has read or said may be what the other waits for

    @property
    def plaintext(self) -> bool:
        """It reads what the records of its parent were opened to."""
        return self.id.startswith("plaintext:")

    def progress(self) -> tuple[int, ...]:
        """Changes whenever the node gets further."""
        if self._pair is None:  # a child that nothing was pushed to yet
            return ()
        first, second = self._pair
        return self._emitted, len(self._steps), first.pos, second.pos

    def _step(self, direction: int) -> None:
        """Run one direction until it waits or is done."""
        while True:
            try:
                next(self._steps[direction])
            except Gap:
                self._steps[direction] = self.parser.parse(self._readers[direction], True)
                continue
            except (StopIteration, Ended, TooLong) as stopped:
                self._done(direction)
                if isinstance(stopped, TooLong):
                    name = self.tree.registry.protocols[self.parser.protocol].title
                    text = f"{name}: {stopped.limit}; what follows in this direction is not read"
                    self.tree.cut(self._readers[direction].packet_at(self._readers[direction].pos), text)
            except Exception as bug:
                self._done(direction)
                if self.tree.strict:
                    raise
                text = f"the parser of {self.parser.protocol} failed ({type(bug).__name__}); this is a bug of osi-inspect"
                self.tree.failures.append((self._readers[direction].packet(), text))
            return

    def _done(self, direction: int) -> None:
        """Nothing here reads this direction any more."""
        del self._steps[direction]
        reader = self._readers[direction]
        if reader.owner is self:
            reader.wanted = NEVER


class ChildStream:
    """The feeding end of a child stream (core.stream.Child)."""

    def __init__(self, node: TreeNode, kind: str) -> None:
        self.node = node
        self._kind = kind

    def _reader(self, direction: int) -> Reader:
        found = self.node._readers.get(direction)
        if found is None:
            name, _, rest = self.node.id.partition(":")
            conversation, _, number = rest.partition(".")
            found = Reader(StreamBuffer(f"{name}:{conversation}.{direction}.{number}", self._kind), direction)
            self.node.adopt(found, False)
        return found

    def push(
        self,
        direction: int,
        source: Span,
        packet: int,
        data: bytes | None = None,
        again: Callable[[], bytes] | None = None,
        copied: bool = False,
    ) -> None:
        reader = self._reader(direction)
        buffer = reader.buffer
        assert isinstance(buffer, StreamBuffer)
        buffer.append(source, data, again, copied)
        reader.push(buffer.size, packet)
        self._wake(reader)

    def gap(self, direction: int, size: int, packet: int) -> None:
        reader = self._reader(direction)
        buffer = reader.buffer
        assert isinstance(buffer, StreamBuffer)
        if size <= 0:
            return
        buffer.append_gap(size)
        reader.push_gap(size, packet)
        self._wake(reader)

    def end(self, direction: int, packet: int, reset: bool = False) -> None:
        reader = self._reader(direction)
        reader.finish(packet, reset)
        self._wake(reader)

    def _wake(self, reader: Reader) -> None:
        owner = reader.owner
        assert isinstance(owner, TreeNode)
        owner.tree.wake(owner)


class Detector(StreamParser):
    """Finds out what a stream speaks: the user's word, then the content of either direction, then the port.

    Where a capture begins in the middle, or bytes are missing, the first bytes may say nothing that is known: the starts
    of later segments are looked at too. So is TLS found where it begins inside another protocol (STARTTLS and its kin).
    Of a stream inside another one (`nested`) the ports say nothing: they belong to what is around it.
    """

    protocol = "detect"

    def __init__(self, nested: bool = False) -> None:
        self.nested = nested
        self._choice: Choice | None = None
        self._decided = False
        self._late: tuple[int, int] | None = None  # (direction, offset) of the segment that was recognised
        self._looks: dict[int, tuple[int, int]] = {}  # direction → (segments looked at, where the next one is looked for)

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        while True:
            try:
                if not (yield from reader.some()):
                    return
                break
            except Gap:
                resync = True
        yield from self.wait(self._decide)
        if not self._decided:
            self._settle()
        choice = self._choice
        if choice is None:
            return
        node = self._tree_node
        if self._late is not None:
            if not (yield from self._start(reader, choice.protocol)):
                return
            resync = False
        elif choice.protocol.sniff is not None and not self._forced:
            resync = resync or choice.protocol.sniff(reader.peek_now(PREFIX)) is Sniff.NO
        node.hand_over(reader, "protocol", choice.protocol.name, dict(node.info), choice.why, resync)

    def _start(self, reader: Reader, protocol: Protocol) -> Steps[bool]:
        """Where a protocol that was found in a later segment begins in this direction; nobody claims what stands before."""
        if self._late is not None and self._late[0] == reader.direction:
            reader.pos = self._late[1]
            return True
        while True:
            try:
                if not (yield from reader.some()):
                    return False
                if protocol.sniff is None or protocol.sniff(reader.peek_now(PREFIX)) is Sniff.YES:
                    return True
            except Gap:
                continue
            reader.pos = min(max(reader.segment_start(reader.pos + 1), reader.pos + 1), reader.arrived)

    @property
    def _tree_node(self) -> TreeNode:
        assert isinstance(self.node, TreeNode)
        return self.node

    @property
    def _forced(self) -> bool:
        """The user has said what a port speaks."""
        tree = self._tree_node.tree
        return not self.nested and any(("tcp.port", port) in tree.registry.decode_as for port in tree.ports)

    def _readers(self) -> list[Reader]:
        """The readers of the directions that have said something, the client's first."""
        found = [self.node.reader(direction) for direction in (self.node.client, 1 - self.node.client)]
        return [reader for reader in found if reader.peek_now(1)]

    def _decide(self) -> bool:
        if self._decided:
            return True
        if self._forced or not self._tree_node.tree.registry.sniffers["tcp.port"]:
            self._settle()
            self._decided = True
            return True
        undecided = False
        readers = self._readers()
        for reader in readers:
            prefix = reader.peek_now(PREFIX)
            for protocol in self._tree_node.tree.registry.sniffers["tcp.port"]:
                assert protocol.sniff is not None
                verdict = protocol.sniff(prefix)
                if verdict is Sniff.YES:
                    return self._recognise(protocol, f"the content has the signature of {protocol.title}")
                undecided = undecided or (verdict is Sniff.NEED_MORE and len(prefix) < PREFIX)
        if undecided:
            return False
        self._settle()
        if self._choice is not None:
            return True
        looking = [self._look_on(reader) for reader in readers]
        self._decided = self._decided or (len(looking) == 2 and not any(looking))
        return self._decided

    def _recognise(self, protocol: Protocol, why: str) -> bool:
        self._choice = Choice(protocol, why)
        self._decided = True
        return True

    def _look_on(self, reader: Reader) -> bool:
        """Look at the starts of the segments that have come since; false where enough of them said nothing."""
        looks, at = self._looks.get(reader.direction, (0, reader.pos + 1))
        while looks < MAX_LOOKS and not self._decided:
            start = reader.segment_start(at)
            if start >= reader.arrived:
                break
            looks, at = looks + 1, start + 1
            prefix = reader.peek_at(start, PREFIX)
            if not prefix:
                continue
            for protocol in self._tree_node.tree.registry.sniffers["tcp.port"]:
                assert protocol.sniff is not None
                begins = protocol.begins(prefix) if protocol.begins is not None else protocol.sniff(prefix) is Sniff.YES
                if begins:
                    self._late = (reader.direction, start)
                    self._recognise(protocol, f"{protocol.title} begins here, in a stream that is not recognised before")
                    break
        self._looks[reader.direction] = (looks, at)
        if looks >= MAX_LOOKS:
            text = f"no known protocol begins in {MAX_LOOKS} segments of this direction: none is looked for further on"
            self.node.cut(reader.packet_at(at - 1), text)
        return looks < MAX_LOOKS

    def _settle(self) -> None:
        """The content says nothing: the user's word or the port decides, unless the content speaks against it."""
        if self.nested:
            return
        tree = self._tree_node.tree
        prefix = b"".join(reader.peek_now(PREFIX) for reader in self._readers()[:1])
        choice = tree.registry.choose("tcp.port", tree.ports, prefix)
        if choice is None or choice.protocol.parser is None:
            return
        if self._forced or choice.protocol.sniff is None or choice.protocol.sniff(prefix) is not Sniff.NO:
            self._choice = choice
            self._decided = True
