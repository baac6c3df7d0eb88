"""A TLS connection (RFC 8446; RFC 5246): its records in both directions, opened where their keys are known.

The keys are asked for by what the hellos said (core.secrecy). Each direction changes keys at a record of its own: at a
ChangeCipherSpec in TLS 1.2, at Finished, EndOfEarlyData and KeyUpdate in TLS 1.3. Nothing is guessed: every record is
authenticated, and so proves that it was opened with the right keys and the right number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from inspector.core.limits import MAX_HANDSHAKE, MAX_TRANSCRIPT
from inspector.core.secrecy import Agreed, Missing, Opened, Opener
from inspector.core.span import Buffer, Span
from inspector.core.stream import Child, Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.tls import wire
from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
from inspector.protocols.tls.opened import Epoch, Records, Unopened
from inspector.protocols.tls.wire import HEADER, Content, Hello, Message, plausible

MAX_TRIES = 4096  # sequence numbers tried after lost bytes: a lost one is found among the next, or not at all
TLS13_SUITES = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)
ALPN = {"h2": "http2", "http/1.1": "http", "http/1.0": "http"}  # the protocols here that an ALPN name means
NO_KEYS = "no secrets were given"
HANDSHAKE = "the records' content type is handshake (22)"


class Handshake:
    """What one handshake of the connection settled; a renegotiation makes another."""

    def __init__(self) -> None:
        self.client: Hello | None = None
        self.server: Hello | None = None
        self.retry = False  # a HelloRetryRequest waits for its answer
        self.settled = False  # the application protocol and the fate of early data are known
        self.alpn = ""
        self.early_accepted = False
        self.exchanged = False  # a ClientKeyExchange was seen: the session is a new one
        self.premaster = b""
        self.ticket = b""  # that the server issued (TLS 1.2)
        self.transcript = b""
        self.cut = False  # it is longer than that


class Side:
    """One direction: which handshake it is in, the keys that it uses, and the message that its records are in."""

    def __init__(self, direction: int) -> None:
        self.direction = direction
        self.handshake = -1
        self.encrypted = False
        self.epoch: Epoch | None = None
        self.early: list[Epoch] = []  # keys that early data may be under
        self.early_over = False
        self.after: Epoch | None = None  # the keys that follow the present ones, where they had to be looked for
        self.records: Records | None = None
        self.messages: Child | None = None
        self.pending = b""  # of a handshake message
        self.lost = False  # bytes are missing, or a record did not open, since `end`
        self.unsure = False  # whether its records are protected must show in their bytes: part of it is missing
        self.end = 0
        self.tries = MAX_TRIES
        self.done = False


class Tls(StreamParser):
    """Both directions of a TLS connection."""

    protocol = "tls"

    def __init__(self) -> None:
        self.session: dict[str, Any] = {"version": 0, "tls13": False}
        self._sides = (Side(0), Side(1))
        self._handshakes: list[Handshake] = []
        self._client: int | None = None  # the direction that sent a ClientHello
        self._content: Child | None = None
        self._infos: dict[tuple[bool, bool, bool, bool], dict[str, Any]] = {}

    # --- records

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        side = self._sides[reader.direction]
        if side.records is None:
            side.records = Records("tls:" + reader.buffer.id.partition(":")[2], reader.buffer)
            side.end = reader.pos
            if self.node.keys is not None:
                side.records.cache = self.node.keys.cache
        if resync:
            side.encrypted = side.lost = side.unsure = True  # what was agreed in the missing part is not known
            side.pending = b""
        yield from self._records(reader, side, resync)
        side.done = True
        if self._content is not None:
            self._content.end(side.direction, reader.end_packet, reader.reset)

    def _records(self, reader: Reader, side: Side, resync: bool) -> Steps[None]:
        if resync and not (yield from self._find(reader)):
            return
        while (yield from reader.some()):
            start = reader.pos
            try:
                head = yield from reader.read(HEADER)
                if not plausible(head):
                    reader.pos = start + 1
                    side.lost = True
                    if not (yield from self._find(reader)):
                        return
                    continue
                yield from reader.skip(int.from_bytes(head[3:], "big"))
            except Ended:
                self.node.emit("record", reader, start, reader.arrived, self._info(side, side.encrypted, False), complete=False)
                reader.pos = reader.arrived
                return
            yield from self._record(reader, side, start, head)

    def _find(self, reader: Reader) -> Steps[bool]:
        """The next place where a segment begins with a record's header."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
                if plausible((yield from reader.peek(HEADER))):
                    return True
            except Gap:
                continue
            reader.pos = max(reader.segment_start(reader.pos + 1), reader.pos + 1)
            reader.pos = min(reader.pos, reader.arrived)

    def _record(self, reader: Reader, side: Side, start: int, head: bytes) -> Steps[None]:
        stop, kind = reader.pos, head[0]
        records = side.records
        assert records is not None
        if kind == Content.APPLICATION_DATA or side.encrypted:
            yield from self.wait(lambda: self._ready(side, kind))
        # In TLS 1.3 all that is protected says it is application data, and a ChangeCipherSpec means nothing (RFC 8446, D.4).
        if kind == Content.HANDSHAKE and side.unsure:
            self._look(reader, side, start, stop)
        if kind in (Content.CHANGE_CIPHER_SPEC, Content.APPLICATION_DATA):
            side.unsure = False
        protected = kind == Content.APPLICATION_DATA or (side.encrypted and not self.session["tls13"])
        if not protected:
            records.closed(start, stop)
            packet = self.node.emit("record", reader, start, stop, self._info(side, False)).packet
            side.end = stop
            span = Span(reader.buffer, start + HEADER, stop)
            if kind == Content.CHANGE_CIPHER_SPEC:
                self._change(side)
            elif kind == Content.HANDSHAKE:
                self._messages(side, span, span.read(), packet)
            return
        side.encrypted = True
        if self._offers_early_data(side):
            yield from self.wait(lambda: self._settled(side))
        found = self._open(side, reader.buffer, start, stop)
        info = self._info(side, True)
        if isinstance(found, str):
            records.closed(start, stop, found)
            self.node.emit("record", reader, start, stop, info)
            side.lost = True
            if not self._is_client(side):
                self._settle(side)  # what it would have said will not be known
            return
        epoch, sequence, opened = found
        plain = records.opened(start, stop, epoch, sequence, opened)
        self.node.info["decrypted"] = True
        packet = self.node.emit("record", reader, start, stop, info).packet
        if side.lost:
            self._recovered(side, epoch, sequence, start, packet)
        side.end, side.lost, side.tries = stop, False, MAX_TRIES
        epoch.sequence = sequence + 1
        content = Span(plain, 0, opened.size)
        if opened.content == Content.HANDSHAKE:
            self._messages(side, content, opened.data[: opened.size], packet)
        elif opened.content == Content.CHANGE_CIPHER_SPEC:
            self._change(side)
        elif opened.content == Content.APPLICATION_DATA and not epoch.rejected:
            yield from self.wait(lambda: self._settled(side))
            self._carried(side).push(side.direction, content, packet)
        elif opened.content == Content.ALERT and opened.data[1:2] == b"\0" and self._content is not None:  # close_notify
            self._content.end(side.direction, packet)

    def _look(self, reader: Reader, side: Side, start: int, stop: int) -> None:
        """Behind a gap: does a handshake record still hold messages in clear?"""
        begin = start + HEADER
        if wire.opens_clear(reader.buffer.read(begin, min(begin + 8, stop)), stop - begin):
            side.encrypted = side.lost = side.unsure = False
            if side.messages is not None:
                side.messages.gap(side.direction, 1, reader.packet_at(start))

    def _info(self, side: Side, protected: bool, complete: bool = True) -> dict[str, Any]:
        """What a record's layer needs beside its bytes: one object for all records that are alike."""
        client = self._is_client(side)
        tls13 = self.session["tls13"] or (client and self.session.get("early", False))
        key = (protected, tls13, client, complete)
        found = self._infos.get(key)
        if found is None:
            found = {"encrypted": protected, "tls13": tls13, "client": client, "records": side.records}
            self._infos[key] = found
        return found

    # --- what both directions know

    def _is_client(self, side: Side) -> bool:
        return side.direction == (self.node.client if self._client is None else self._client)

    def _of(self, side: Side) -> Handshake | None:
        return self._handshakes[side.handshake] if side.handshake >= 0 else None

    def _ready(self, side: Side, kind: int) -> bool:
        """The other side's hello is known, as far as it will be: without it nothing can be said of a protected record."""
        handshake, other = self._of(side), self._sides[1 - side.direction]
        if handshake is None or other.done or other.lost:
            return True
        if self._is_client(side):
            early = kind == Content.APPLICATION_DATA and self._offers_early_data(side)
            return handshake.server is not None or handshake.retry or early
        return handshake.client is not None

    def _offers_early_data(self, side: Side) -> bool:
        """The client may send early data now: it offered it, and nothing is under later keys yet."""
        handshake = self._of(side)
        return bool(
            self._is_client(side)
            and not side.early_over
            and handshake is not None
            and handshake.client is not None
            and handshake.client.early_data
        )

    def _settled(self, side: Side) -> bool:
        handshake, other = self._of(side), self._sides[1 - side.direction]
        return handshake is None or handshake.settled or handshake.retry or other.done or other.lost

    def _settle(self, side: Side) -> None:
        handshake = self._of(side)
        if handshake is not None:
            handshake.settled = True

    def _carried(self, side: Side) -> Child:
        """The stream of what the records carry: by ALPN, else its content decides."""
        if self._content is None:
            handshake = self._of(side)
            alpn = handshake.alpn if handshake is not None else ""
            info = {"tls": self.session, "alpn": alpn}
            named = [("tls.alpn", alpn), ("protocol", ALPN.get(alpn, ""))] if alpn else []
            for table, key in (*named, ("stream", "detect")):
                why = f"ALPN said {alpn}" if table != "stream" else ""
                self._content = self.node.open("plaintext", "decrypted stream", table, key, info, why)
                if self._content is not None:
                    break
            else:
                self._content = _Nowhere()
        return self._content

    # --- handshake messages

    def _messages(self, side: Side, span: Span, data: bytes, packet: int) -> None:
        """Hand the bytes of handshake messages on, and learn from those that are whole."""
        if side.messages is None:
            side.messages = self.node.open(
                "handshake", "handshake messages", "tls.content", 22, {"tls": self.session}, HANDSHAKE
            )
        side.pending += data
        while len(side.pending) >= 4:
            size = 4 + int.from_bytes(side.pending[1:4], "big")
            if size > MAX_HANDSHAKE or len(side.pending) < size:
                if size > MAX_HANDSHAKE:
                    side.pending = b""
                break
            message, side.pending = side.pending[:size], side.pending[size:]
            self._message(side, message)
        if side.messages is not None:
            side.messages.push(side.direction, span, packet)

    def _message(self, side: Side, raw: bytes) -> None:
        kind = raw[0]
        if kind == Message.CLIENT_HELLO:
            self._client_hello(side, wire.hello(raw, True))
        elif kind == Message.SERVER_HELLO:
            self._server_hello(side, wire.hello(raw, False), int.from_bytes(raw[4:6], "big"))
        handshake = self._of(side)
        if handshake is None:
            return
        tls13 = self.session["tls13"]
        if not tls13 and not handshake.exchanged and kind:
            handshake.cut = handshake.cut or len(handshake.transcript) + len(raw) > MAX_TRANSCRIPT
            handshake.transcript += b"" if handshake.cut else raw
        if kind == Message.CLIENT_KEY_EXCHANGE:
            handshake.exchanged = True
            handshake.premaster = raw[6:]  # in RSA key exchange its length stands in front (RFC 5246, 7.4.7.1)
        elif kind == Message.NEW_SESSION_TICKET and not tls13:
            handshake.ticket = raw[10 : 10 + int.from_bytes(raw[8:10], "big")]
        elif kind == Message.ENCRYPTED_EXTENSIONS and tls13:
            found = wire.extensions(raw[4:])
            handshake.alpn = wire.chosen_alpn(found)
            handshake.early_accepted = wire.accepts_early_data(found)
            handshake.settled = True
        elif kind == Message.END_OF_EARLY_DATA and tls13:
            side.early, side.early_over = [], True
        elif kind == Message.FINISHED:
            self._finished(side, handshake, tls13)
        elif kind == Message.KEY_UPDATE and tls13 and side.epoch is not None:
            side.epoch = self._following(side, side.end)

    def _client_hello(self, side: Side, hello: Hello | None) -> None:
        if hello is None:
            return
        self._client = side.direction
        self.session.update(retry=False, early=hello.early_data)
        current = self._of(side)
        if current is None or current.server is not None:
            side.handshake += 1
            current = self._handshake(side.handshake)
        if current.retry:  # the second hello: early data is over (RFC 8446, 4.2.10)
            current.retry = False
            side.early, side.early_over = [], True
        current.client = hello

    def _server_hello(self, side: Side, hello: Hello | None, version: int) -> None:
        if hello is None:
            return
        if self._client is None:
            self._client = 1 - side.direction
        self.session.update(version=version, suite=hello.suites[0], retry=hello.retry, tls13=hello.tls13)
        if hello.retry:
            self._handshake(side.handshake + 1).retry = True
            return
        side.handshake += 1
        handshake = self._handshake(side.handshake)
        handshake.server = hello
        handshake.retry = False
        if hello.tls13:
            side.epoch = None
        else:
            handshake.alpn = hello.alpn
            handshake.settled = True

    def _handshake(self, number: int) -> Handshake:
        while len(self._handshakes) <= number:
            self._handshakes.append(Handshake())
        return self._handshakes[number]

    def _change(self, side: Side) -> None:
        """ChangeCipherSpec: what follows is under the keys of the handshake that this side is in."""
        if not self.session["tls13"]:
            side.encrypted = True
            side.epoch = None

    def _finished(self, side: Side, handshake: Handshake, tls13: bool) -> None:
        keys, epoch = self.node.keys, side.epoch
        if keys is None or epoch is None:
            return
        if tls13:
            if epoch.handshake:
                side.epoch = self._following(side, side.end)
        elif epoch.opener is not None and handshake.server is not None:
            if all(other.epoch is not None for other in self._sides):
                handshake.transcript = b""  # both sides have their keys
            for name in (handshake.server.session_id, handshake.ticket):
                if name:
                    keys.teach(name, epoch.opener)

    # --- keys

    def _open(self, side: Side, stream: Buffer, start: int, stop: int) -> tuple[Epoch, int, Opened] | str:
        """The record, with the keys and the number that opened it; else why it is not opened."""
        missing = start - side.end
        reason = ""
        for epoch, current in self._possible(side, start):
            opener = epoch.opener
            if opener is None:
                reason = reason or epoch.reason
                continue
            count = min(missing // (HEADER + opener.overhead) + 1, side.tries) if side.lost else 1
            sealed = epoch.sealed(stream, start, stop, epoch.sequence)
            for ahead in range(count):
                sequence = epoch.sequence + ahead
                opened = opener.open(sealed._replace(sequence=sequence, position=sealed.position - HEADER * ahead))
                if opened is not None:
                    self._proven(side, epoch)
                    return epoch, sequence, opened
            if side.lost:
                side.tries -= count
            if current:
                reason = self._unopened(side, epoch, count)
        return reason or "the handshake is not in this capture"

    def _proven(self, side: Side, epoch: Epoch) -> None:
        """These are the keys that the side uses now."""
        if epoch in side.early:
            handshake = self._of(side)
            epoch.rejected = handshake is not None and not handshake.early_accepted
            side.early = [epoch]
        else:
            side.early, side.epoch, side.early_over = [], epoch, True

    def _unopened(self, side: Side, epoch: Epoch, count: int) -> Unopened:
        assert epoch.opener is not None
        if side.lost and count == 0:
            return Unopened(f"its sequence number was lost, and not found among the {MAX_TRIES:,} that were tried")
        if count > 1:
            number = epoch.sequence
            return Unopened(f"records before it are missing or damaged, and no sequence number from {number} on opens it")
        return Unopened(
            f"it does not authenticate as record {epoch.sequence} under the {epoch.name} ({epoch.opener.source}): the secret is"
            " not that of this session, or the bytes are not those that were sent"
        )

    def _possible(self, side: Side, start: int) -> Iterator[tuple[Epoch, bool]]:
        """The keys that the record at `start` may be under, the likeliest first; and whether it should be these."""
        if self._offers_early_data(side):
            side.early = side.early or self._early(side, start)
            yield from ((epoch, True) for epoch in side.early)
            if not self._server_known(side):
                return
        if side.epoch is None:
            side.epoch, side.after = self._first(side, start), None
        yield side.epoch, not side.early
        if side.lost or side.epoch.opener is None:  # the change of keys may be in what is missing or cannot be read
            if side.after is None or side.lost:
                side.after = self._following(side, start)
            if side.after is not side.epoch:
                yield side.after, False

    def _server_known(self, side: Side) -> bool:
        handshake = self._of(side)
        return handshake is not None and handshake.server is not None

    def _named(self, side: Side, what: str) -> str:
        return f"{what} keys of the {'client' if self._is_client(side) else 'server'}"

    def _epoch(self, name: str, start: int, found: Opener | Missing) -> Epoch:
        return Epoch(name, start, None, found.text) if isinstance(found, Missing) else Epoch(name, start, found)

    def _early(self, side: Side, start: int) -> list[Epoch]:
        handshake, keys = self._of(side), self.node.keys
        name = self._named(side, "early data")
        if keys is None or handshake is None or handshake.client is None:
            return [Epoch(name, start, None, NO_KEYS)]
        suites = [CIPHER_SUITES[suite] for suite in handshake.client.suites if suite in TLS13_SUITES]
        found = keys.early(handshake.client.random, suites)
        return [self._epoch(name, start, one) for one in ([found] if isinstance(found, Missing) else found)]

    def _first(self, side: Side, start: int) -> Epoch:
        """The keys that a handshake gives this side first."""
        keys, handshake, client = self.node.keys, self._of(side), self._is_client(side)
        name = self._named(side, "handshake" if self.session["tls13"] else "connection")
        if keys is None:
            return Epoch(name, start, None, NO_KEYS)
        if handshake is None:
            return Epoch(name, start, None, "the handshake is not in this capture")
        if handshake.client is None:
            text = "the ClientHello, whose random names the session in a key log, is not in this capture"
            return Epoch(name, start, None, text)
        if handshake.server is None:
            return Epoch(name, start, None, "the ServerHello, which names the cipher suite, is not in this capture")
        offer, choice = handshake.client, handshake.server
        suite = CIPHER_SUITES.get(choice.suites[0], f"suite 0x{choice.suites[0]:04x}")
        if choice.tls13:
            label = f"{'CLIENT' if client else 'SERVER'}_HANDSHAKE_TRAFFIC_SECRET"
            epoch = self._epoch(name, start, keys.traffic(label, offer.random, suite, choice.version))
            epoch.handshake = True
            return epoch
        if choice.compression:
            return Epoch(name, start, None, "its records are compressed (RFC 3749), which is not undone here")
        agreed = Agreed(
            choice.version, suite, offer.random, choice.random, choice.session_id, offer.ticket, not handshake.exchanged,
            choice.extended_master_secret, choice.encrypt_then_mac, handshake.premaster, handshake.transcript,
            handshake.cut,
        )  # fmt: skip
        return self._epoch(name, start, keys.connection(agreed, client))

    def _following(self, side: Side, start: int) -> Epoch:
        """The keys after the present ones in TLS 1.3: application traffic after the handshake, then by KeyUpdate."""
        epoch = side.epoch
        assert epoch is not None
        keys, handshake, client = self.node.keys, self._of(side), self._is_client(side)
        if keys is None or handshake is None or handshake.client is None or handshake.server is None:
            return epoch
        if not handshake.server.tls13:
            return epoch
        if not epoch.handshake:
            after = epoch.opener.following() if epoch.opener is not None else None
            return Epoch(epoch.name, start, after) if after is not None else epoch
        label = f"{'CLIENT' if client else 'SERVER'}_TRAFFIC_SECRET_0"
        suite = CIPHER_SUITES.get(handshake.server.suites[0], "")
        found = keys.traffic(label, handshake.client.random, suite, handshake.server.version)
        return self._epoch(self._named(side, "application"), start, found)

    def _recovered(self, side: Side, epoch: Epoch, sequence: int, start: int, packet: int) -> None:
        """Records were lost before this one: how much content, is known but for padding."""
        assert epoch.opener is not None
        side.pending = b""
        lost = start - side.end
        count = max(sequence - epoch.sequence, 1)
        if lost > 0 and (self._content is not None or epoch.sequence or not epoch.handshake):
            self._carried(side).gap(side.direction, max(lost - count * (HEADER + epoch.opener.overhead), 1), packet)


class _Nowhere:
    """Takes what no child stream can be opened for."""

    def push(
        self,
        direction: int,
        source: Span,
        packet: int,
        data: bytes | None = None,
        again: Callable[[], bytes] | None = None,
        copied: bool = False,
    ) -> None:
        pass

    def gap(self, direction: int, size: int, packet: int) -> None:
        pass

    def end(self, direction: int, packet: int, reset: bool = False) -> None:
        pass
