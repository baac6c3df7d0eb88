"""The stream parser of an HTTP/2 connection (RFC 9113): frames of both directions, header blocks, streams, windows.

One unit a frame. The DATA of a stream is a stream of its own, fed as its bytes arrive: an event stream, gRPC messages, a
WebSocket, a tunnel, or a body that is shown when it is whole. After a gap, and where a capture begins late, frames are found
again by their headers, and what the missing bytes would have told is said to be unknown.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from itertools import islice
from typing import Any, NamedTuple

from inspector.core.limits import MAX_HEAD, MAX_HEADER_FIELDS, MAX_HEADER_FRAMES, MAX_SETTINGS, MAX_STREAMS
from inspector.core.span import Span
from inspector.core.stream import Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.http2.header_block import Fragment, Kind, Malformed, Table, walk
from inspector.protocols.http2.messages import Header, Messages
from inspector.protocols.http2.names import (
    BLOCKS,
    DEFAULT_MAX_FRAME,
    DEFAULT_TABLE,
    DEFAULT_WINDOW,
    HEADER,
    MAX_WINDOW,
    PREFACE,
    Flag,
    Setting,
    Type,
    contents,
    plausible,
    setting_pairs,
)
from inspector.protocols.http2.streams import OVER, Event, State, Stream, Window, event

MAX_LOOKED_AT = 256  # streams that are looked at for one that can be forgotten
SEARCH = 64 * 1024  # octets looked at at a time for the next frame
_CANDIDATE = re.compile(rb"(?s)\x00..[\x00-\x0a\x0c\x10][\x00-\x2d][\x00-\x7f]...")


class Frame(NamedTuple):
    """A frame's header and place; missing: how many of its bytes the capture lacks."""

    start: int
    begin: int
    stop: int
    kind: int
    flags: int
    stream: int
    packet: int
    missing: int


class Block:
    """A header block (4.3): HEADERS or PUSH_PROMISE and the CONTINUATIONs behind it."""

    def __init__(self, frame: Frame, first: int) -> None:
        self.frame = frame
        self.first = first  # the packet with its first byte
        self.promised = 0
        self.headers: list[Header] = []
        self.size = 0
        self.carry: list[Span] = []
        self.broken = False


class Side:
    """One direction: what its sender has announced, how it codes its headers, what it may still send."""

    def __init__(self) -> None:
        self.settings: dict[int, int] = {}  # in force: the other side has acknowledged them (6.5.3)
        self.pending: deque[dict[int, int]] = deque()
        self.seen_from_start = True
        self.table = Table()
        self.window = Window()
        self.highest = 0  # the highest stream that it has opened
        self.block: Block | None = None
        self.begun = False
        self.frames = False  # one has come
        self.must_shrink = False  # the other side allows a smaller table: the next block must begin by saying so

    def setting(self, which: Setting, default: int) -> int | None:
        """The value in force; None where the SETTINGS were before the capture, or in a gap."""
        return self.settings.get(which, default if self.seen_from_start else None)

    def most(self, which: Setting, default: int) -> int:
        """The highest value that the other side may count with: in force, or announced and not acknowledged."""
        return max([self.settings.get(which, default), *(more[which] for more in self.pending if which in more)])


class Http2(StreamParser):
    """Both directions of a connection."""

    protocol = "http2"

    def __init__(self) -> None:
        self.sides = (Side(), Side())
        self.streams: OrderedDict[int, Stream] = OrderedDict()
        self.epoch = 0
        self.client = -1
        self._preface = False  # the client's magic octets were seen
        self._packet = 0  # the one that brought the last frame
        self.messages = Messages(self)

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        side = self.sides[reader.direction]
        if self.client < 0:
            self.client = int(self.node.info.get("client", self.node.client))
            self.messages.upgraded(self.node.info)
        lost = resync and (side.begun or reader.pos > 0)  # at the very start the first frame decides
        while True:
            try:
                if lost:
                    self._interrupt(reader, side)
                if lost or not (side.begun or (yield from self._beginning(reader, side))):
                    lost, side.begun = False, True
                    yield from self._find(reader)
                side.begun = True
                while (yield from reader.some()):
                    yield from self._frame(reader, side)
                break
            except Gap:
                lost = True  # at once, so that the other direction is not judged by what is missing here
            except Ended:
                break
        for stream in self.streams.values():
            self.messages.end(stream, reader.direction, reader.end_packet, reset=True)

    # --- where frames begin

    def _beginning(self, reader: Reader, side: Side) -> Steps[bool]:
        """The preface (3.4): the client's magic octets, and from each side a SETTINGS frame first. False where it began
        before the capture. Behind the magic octets that is certain, whatever the first frame is."""
        if (yield from reader.peek(3)) == PREFACE[:3] and (yield from reader.peek(len(PREFACE))) == PREFACE:
            start = reader.pos
            yield from reader.skip(len(PREFACE))
            self.client = reader.direction
            self.node.emit("magic", reader, start, reader.pos)
            self._preface = True
        head = yield from reader.peek(HEADER)
        begins = head[3:5] == bytes((Type.SETTINGS, 0))
        if not head or (plausible(head) and (begins or self._preface)):
            return True
        self._lose(side)
        return plausible(head)

    def _lose(self, side: Side) -> None:
        """Bytes of this side are missing: what they said of tables, settings and windows is not known."""
        side.seen_from_start = False
        side.settings.clear()
        side.table.forget()
        side.block = None
        self.epoch += 1
        for each in self.sides:
            each.window.left = None

    def _interrupt(self, reader: Reader, side: Side) -> None:
        """This direction is here again behind a gap: any of its streams may lack bytes, nobody knows how many."""
        self._lose(side)
        for stream in self.streams.values():
            feed = stream.feeds[reader.direction]
            if feed is not None and not feed.ended:
                self.messages.gap(feed, reader, 1)

    def _find(self, reader: Reader) -> Steps[None]:
        """Move to the next place that can be a frame's header: another one follows the frame, or a segment begins here."""
        while True:
            try:
                if not (yield from reader.some()):
                    raise Ended
            except Gap:
                continue
            start, ahead = reader.pos, reader.peek_now(SEARCH)
            found = self._candidate(reader, ahead)
            keep = min(len(ahead), HEADER - 1)
            reader.pos += len(ahead) - keep if found is None else found
            if reader.pos > start:
                self.node.emit("rest", reader, start, reader.pos)
            if found is not None:
                return
            start = reader.pos
            if len((yield from reader.peek(keep + 1))) <= keep:
                reader.pos += keep
                self.node.emit("rest", reader, start, reader.pos)

    def _candidate(self, reader: Reader, ahead: bytes) -> int | None:
        at = -1
        while (match := _CANDIDATE.search(ahead, at + 1)) is not None:
            at = match.start()
            if plausible(ahead[at : at + HEADER]):
                following = at + HEADER + int.from_bytes(ahead[at : at + 3], "big")
                if plausible(ahead[following : following + HEADER]):
                    return at
                if following >= len(ahead) and reader.segment_start(reader.pos + at) == reader.pos + at:
                    return at
        return None

    # --- one frame

    def _frame(self, reader: Reader, side: Side) -> Steps[None]:
        start = reader.pos
        try:
            head = yield from reader.read(HEADER)
        except Ended:
            self._cut(reader, start)
            raise
        except Gap as gap:
            if reader.pos - gap.size > start:
                self.node.emit("rest", reader, start, reader.pos - gap.size)
            raise
        other = self.node.reader(1 - reader.direction)
        if other.available and not other.peek_now(1):  # it stands before a gap that it has not passed yet
            self._lose(self.sides[1 - reader.direction])
        if not side.seen_from_start and not plausible(head, (1 << 24) - 1):  # what was taken for a frame was none
            reader.pos = start + 1
            self._interrupt(reader, side)
            yield from self._find(reader)
            return
        try:
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream, begin = int.from_bytes(head[5:], "big") & MAX_WINDOW, reader.pos
            if kind == Type.DATA:
                missing = yield from self._data(reader, length, flags, stream)
            else:
                missing = yield from reader.skip(length, over_gaps=True)
        except Ended:
            self._cut(reader, start)
            raise
        stop = begin + length
        frame = Frame(start, begin, stop, kind, flags, stream, reader.packet_at(stop - 1), missing)
        self._packet = frame.packet
        payload = b"" if missing else reader.buffer.read(begin, min(stop, begin + MAX_HEAD))
        info: dict[str, Any] = {}
        if missing:
            info["missing"] = missing
        longest = self.sides[1 - reader.direction].most(Setting.MAX_FRAME_SIZE, DEFAULT_MAX_FRAME)
        if length > longest and self.sides[1 - reader.direction].seen_from_start:
            text = f"longer than the {longest:,} octets that the receiver accepts (RFC 9113, 4.2)"
            self._wrong(info, "frame-size", text, 1 - reader.direction)
        if not side.frames and side.seen_from_start and (kind != Type.SETTINGS or flags & Flag.ACK):
            self._wrong(info, "preface", "the first frame of each side must be its SETTINGS (RFC 9113, 3.4)", reader.direction)
        side.frames = True
        block = side.block
        if block is not None and (kind != Type.CONTINUATION or stream != block.frame.stream):
            self._wrong(info, "continuation", "a header block is not finished: only its CONTINUATION may come (RFC 9113, 6.10)")
            self._spoil(side)
        self._dispatch(reader, side, frame, payload, info)
        self.node.emit("frame", reader, start, stop, info)
        self.messages.emitted(reader, info)
        if reader.pos > stop:  # a gap goes on behind the frame
            self._interrupt(reader, side)
            yield from self._find(reader)

    def _cut(self, reader: Reader, start: int) -> None:
        self.node.emit("frame", reader, start, reader.arrived, complete=False)
        reader.pos = reader.arrived

    def _dispatch(self, reader: Reader, side: Side, frame: Frame, payload: bytes, info: dict[str, Any]) -> None:
        kind = frame.kind
        if kind in BLOCKS:
            self._block(reader, side, frame, payload, info)
        elif kind == Type.DATA:
            self._sent(reader, side, frame, info)
        elif kind == Type.SETTINGS:
            self._settings(reader.direction, frame, payload, info)
        elif kind == Type.WINDOW_UPDATE and len(payload) == 4:
            self._credit(reader.direction, frame, int.from_bytes(payload, "big") & MAX_WINDOW, info)
        elif kind == Type.RST_STREAM and frame.stream:
            stream = self._stream(frame.stream, info)
            self._apply(stream, "RESET", reader.direction, info)
            for direction in (0, 1):
                self.messages.end(stream, direction, frame.packet, reset=True)

    def _wrong(self, info: dict[str, Any], code: str, text: str, heard: int | None = None) -> None:
        """Something is wrong with a frame. heard: the direction that this rests upon; where it turns out later that bytes of
        it are missing (a gap shows only by what follows), nothing is said."""
        info.setdefault("issues", []).append((code, text, None if heard is None else self.sides[heard]))

    def _spoil(self, side: Side) -> None:
        """A header block cannot be read to its end: what it would have put into the table is not known."""
        side.block = None
        side.table.forget()

    # --- streams

    def _stream(self, number: int, info: dict[str, Any], opener: int | None = None) -> Stream:
        """The stream of that number. opener: the direction whose HEADERS or PUSH_PROMISE would open it."""
        stream = self.streams.get(number)
        if stream is not None:
            return stream
        by_client = bool(number & 1)
        owner = self.sides[self.client if by_client else 1 - self.client]
        complete = self.sides[0].seen_from_start and self.sides[1].seen_from_start
        state = State.IDLE if complete else State.UNKNOWN
        if complete and number <= owner.highest:
            state = State.CLOSED  # opening a stream closes the idle ones below it (5.1.1)
            if opener is not None:
                self._wrong(info, "stream-id", f"stream identifiers only grow: {owner.highest} was used (RFC 9113, 5.1.1)")
        if opener is not None and self.sides[opener] is owner:
            owner.highest = max(owner.highest, number)
            if not complete:
                state = State.UNKNOWN if number < owner.highest else State.IDLE
        elif opener == self.client and state is State.IDLE:
            self._wrong(info, "stream-id", "a client opens streams with odd numbers (RFC 9113, 5.1.1)")
        stream = Stream(number, state, self.epoch)
        if len(self.streams) >= MAX_STREAMS:
            self._drop()
        self.streams[number] = stream
        return stream

    def _drop(self) -> None:
        """Forget a stream: the oldest that is over, or the oldest of all where many are open."""
        oldest = islice(self.streams.items(), MAX_LOOKED_AT)
        number = next((number for number, stream in oldest if stream.state in OVER), next(iter(self.streams)))
        stream = self.streams.pop(number)
        if stream.state not in OVER:
            self.node.cut(self._packet, f"more than {MAX_STREAMS:,} streams at a time: stream {number} is read no further")
        for direction in (0, 1):
            self.messages.end(stream, direction, self._packet, reset=True)

    def _apply(self, stream: Stream, what: str, direction: int, info: dict[str, Any]) -> None:
        before = stream.state
        wrong = stream.apply(event(what, direction == self.client))
        info["states"] = (info["states"][0] if "states" in info else before, stream.state)
        if wrong is not None:
            self._wrong(info, "stream-state", f"{wrong.error}: {wrong.text}", 1 - direction)

    # --- DATA and windows

    def _data(self, reader: Reader, length: int, flags: int, number: int) -> Steps[int]:
        """Hand the content of a DATA frame on as it arrives; returns how many of the frame's bytes are missing."""
        stop, missing = reader.pos + length, 0
        last = stop
        stream = self.streams.get(number)
        if flags & Flag.PADDED and length:
            ahead = yield from reader.peek(1)
            last = max(stop - ahead[0], reader.pos + 1) if ahead else stop
            missing += yield from reader.skip(1, over_gaps=True)
        feed = self.messages.feed(stream, reader.direction) if stream is not None else None
        while reader.pos < stop:
            at = reader.pos
            try:
                if not (yield from reader.some()):
                    raise Ended
                reader.pos = at + len(reader.peek_now(stop - at))
                if feed is not None and not feed.ended and at < last:
                    self.messages.push(feed, reader, at, min(reader.pos, last))
            except Gap:
                missing += min(reader.pos, stop) - at
                if feed is not None and at < last:
                    self.messages.gap(feed, reader, min(reader.pos, last) - at)
        return missing

    def _left(self, stream: Stream, direction: int) -> int | None:
        """How much this direction may still send on the stream."""
        initial = self.sides[1 - direction].setting(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        return None if initial is None or stream.epoch != self.epoch else initial + stream.credit[direction]

    def _sent(self, reader: Reader, side: Side, frame: Frame, info: dict[str, Any]) -> None:
        """A DATA frame: all of its payload counts, padding too (6.1)."""
        if not frame.stream:
            return
        direction, length = reader.direction, frame.stop - frame.begin
        stream = self._stream(frame.stream, info)
        if stream.asked is not None:
            info["asked"] = stream.asked
        self._apply(stream, "DATA", direction, info)
        before = self._left(stream, direction)
        stream.credit[direction] -= length
        info["windows"] = (side.window.change(-length), (before, self._left(stream, direction)))
        over = [name for name, (_, after) in zip(("connection", "stream"), info["windows"], strict=True) if _negative(after)]
        most = self.sides[1 - direction].most(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        if length and ("connection" in over or ("stream" in over and most + stream.credit[direction] < 0)):
            self._wrong(info, "flow-control", f"more than the {over[0]}'s window allows (RFC 9113, 6.9.1)", 1 - direction)
        if frame.flags & Flag.END_STREAM:
            self._apply(stream, "END", direction, info)
            self.messages.end(stream, direction, frame.packet)

    def _credit(self, direction: int, frame: Frame, increment: int, info: dict[str, Any]) -> None:
        """WINDOW_UPDATE: what the other side may send grows."""
        sender = self.sides[1 - direction]
        if not frame.stream:
            change = sender.window.change(increment)
        else:
            stream = self._stream(frame.stream, info)
            self._apply(stream, "WINDOW", direction, info)
            before = self._left(stream, 1 - direction)
            stream.credit[1 - direction] += increment
            change = (before, self._left(stream, 1 - direction))
        info["windows"] = (change, (None, None)) if not frame.stream else ((None, None), change)
        if change[1] is not None and change[1] > MAX_WINDOW:
            self._wrong(info, "flow-control", "a window of more than 2^31-1 octets (RFC 9113, 6.9.1)", 1 - direction)

    # --- SETTINGS

    def _settings(self, direction: int, frame: Frame, payload: bytes, info: dict[str, Any]) -> None:
        if frame.missing or frame.stream:
            return
        if not frame.flags & Flag.ACK:
            told = setting_pairs(payload)
            if direction != self.client and (Setting.ENABLE_PUSH, 1) in told:
                self._wrong(info, "setting", "a server must not allow push: PROTOCOL_ERROR (RFC 9113, 6.5.2)", self.client)
            self.announce(direction, dict(told))
        elif self.sides[1 - direction].pending:
            self.accept(1 - direction)

    def announce(self, direction: int, settings: dict[int, int]) -> None:
        """Settings that count once the other side has acknowledged them (6.5.3)."""
        side = self.sides[direction]
        side.pending.append(settings)
        if len(side.pending) > MAX_SETTINGS:
            text = f"more than {MAX_SETTINGS} SETTINGS wait for their acknowledgement: the oldest are taken as acknowledged"
            self.node.cut(self._packet, text)
            self.accept(direction)

    def accept(self, direction: int) -> None:
        """The oldest announced settings of a direction are in force."""
        side, other = self.sides[direction], self.sides[1 - direction]
        accepted = side.pending.popleft()
        side.settings.update(accepted)
        if accepted.get(Setting.HEADER_TABLE_SIZE, other.table.limit) < other.table.limit:
            other.must_shrink = True

    # --- header blocks

    def _block(self, reader: Reader, side: Side, frame: Frame, payload: bytes, info: dict[str, Any]) -> None:
        direction = reader.direction
        if not frame.stream:
            return self._spoil(side)
        opening = frame.kind != Type.CONTINUATION
        if opening:
            side.block = Block(frame, reader.packet_at(frame.start))
        block = side.block
        where = contents(frame.kind, frame.flags, payload, frame.stop - frame.begin)
        if block is None:
            self._wrong(info, "continuation", "the HEADERS or PUSH_PROMISE that this CONTINUATION goes on from is not here")
            return self._spoil(side)
        if frame.missing or where is None:
            return self._spoil(side)
        if frame.kind == Type.PUSH_PROMISE:
            at = where[0] - 4
            block.promised = int.from_bytes(payload[at : at + 4], "big") & MAX_WINDOW
        self._decode(reader, side, block, payload[where[0] : where[1]], frame.begin + where[0], info)
        if opening and not block.promised:
            self._recognise_client(direction, block)
            stream = self._stream(frame.stream, info, direction)
            self._apply(stream, "HEADERS", direction, info)
            if frame.flags & Flag.END_STREAM:
                self._apply(stream, "END", direction, info)
        if not frame.flags & Flag.END_HEADERS:
            return None
        side.block = None
        if block.carry and not block.broken:
            self._wrong(info, "hpack", "the block ends inside a representation: COMPRESSION_ERROR (RFC 9113, 4.3)")
        stream = self._stream(block.promised or block.frame.stream, info, direction)
        if block.promised:
            self._promise(stream, direction, info)
        self.messages.complete(stream, direction, block.frame, frame, block.first, block.headers, info)
        return None

    def _promise(self, stream: Stream, direction: int, info: dict[str, Any]) -> None:
        if direction == self.client:
            self._wrong(info, "push", "a client cannot push (RFC 9113, 8.4)")
            return
        before = stream.state
        wrong = stream.apply(Event.PROMISED)
        info["promised_states"] = (before, stream.state)
        if wrong is not None:
            self._wrong(info, "stream-state", f"{wrong.error}: {wrong.text}", self.client)
        if self.sides[self.client].setting(Setting.ENABLE_PUSH, 1) == 0:
            self._wrong(info, "push", "the client has switched push off (RFC 9113, 6.5.2 and 8.4)", self.client)

    def _recognise_client(self, direction: int, block: Block) -> None:
        """Where the preface was not seen: a request comes from the client, a response from the server."""
        if self.sides[0].seen_from_start and self.sides[1].seen_from_start:
            return
        names = {header.name for header in block.headers}
        if b":method" in names:
            self.client = direction
        elif b":status" in names:
            self.client = 1 - direction

    def _decode(self, reader: Reader, side: Side, block: Block, data: bytes, begin: int, info: dict[str, Any]) -> None:
        """Walk one frame's piece of the block; `info` gets what its dissection needs to walk it again."""
        if block.broken:
            return
        table = side.table
        carry, own = tuple(block.carry), Span(reader.buffer, begin, begin + len(data))
        whole = b"".join(span.read() for span in carry) + data
        ahead = len(whole) - len(data)
        table.answers = []
        error: tuple[int, str] | None = None
        at = 0
        try:
            for item in walk(whole, table.find):
                if side.must_shrink:
                    side.must_shrink = False
                    if item.kind is not Kind.SIZE_UPDATE:
                        text = "the table has to shrink, and this block must begin by saying so (RFC 7541, 4.2)"
                        self._wrong(info, "hpack-size", text, 1 - reader.direction)
                if item.kind is Kind.SIZE_UPDATE:
                    self._resize(reader.direction, block, item.number, info)
                    table.resize(item.number)
                elif item.kind is Kind.INCREMENTAL:
                    table.add(item.name, item.value)
                at = item.stop
                if item.kind is not Kind.SIZE_UPDATE:
                    block.size += len(item.name) + len(item.value) + 32  # as SETTINGS_MAX_HEADER_LIST_SIZE counts (6.5.2)
                    span = Span(reader.buffer, begin + item.start - ahead, begin + at - ahead) if item.start >= ahead else None
                    block.headers.append(Header(item.name, item.value, span))
                if block.size > MAX_HEAD or len(block.headers) > MAX_HEADER_FIELDS:
                    error = (at, f"a header list is read to {MAX_HEADER_FIELDS:,} fields and {MAX_HEAD >> 10} KiB")
                    break
        except Malformed as wrong:
            error = (wrong.at, str(wrong))
            self._wrong(info, "hpack", f"{wrong}: COMPRESSION_ERROR (RFC 9113, 4.3)")
        block.carry = []
        if error is None and at < len(whole):
            if at >= ahead:
                block.carry = [Span(reader.buffer, begin + at - ahead, own.stop)]
            else:  # the walk starts at the first carried byte, and nothing was read
                block.carry = [*carry, own]
            if len(block.carry) > MAX_HEADER_FRAMES or len(whole) > MAX_HEAD:
                error = (at, f"a header is read over {MAX_HEADER_FRAMES} frames and {MAX_HEAD >> 10} KiB")
        if error is not None:
            block.broken = True
            table.forget()
        info["block"] = Fragment(carry, tuple(table.answers), table.state(), error)

    def _resize(self, direction: int, block: Block, size: int, info: dict[str, Any]) -> None:
        other = self.sides[1 - direction]
        most = other.most(Setting.HEADER_TABLE_SIZE, DEFAULT_TABLE)
        if size > most and other.seen_from_start:
            text = f"a table of {size:,} octets where SETTINGS_HEADER_TABLE_SIZE allows {most:,} (RFC 7541, 6.3)"
            self._wrong(info, "hpack-size", text, 1 - direction)
        if block.headers:
            self._wrong(info, "hpack-size", "a size update must stand at the beginning of a block (RFC 7541, 4.2)")


def _negative(value: int | None) -> bool:
    return value is not None and value < 0
