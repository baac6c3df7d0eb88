"""TLS records (RFC 8446, 5; RFC 5246, 6.2), and which handshake messages they carry while these are in clear.

One unit a record. Handshake messages are a stream of their own inside the records, so that one may span several, and
several may share one. Not here: decryption; SSL 2.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, octets, u8, u16
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Card, Protocol, Sniff
from inspector.core.span import Span
from inspector.core.stream import Child, Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.tls.names import ALERTS

HEADER = 5
MAX_RECORD = (1 << 14) + 2048  # RFC 5246, 6.2.3; TLS 1.3 allows less
DRAFTS = (b"\x7f", b"\xfb")  # first octet of the version of TLS 1.3's drafts, and of those that Facebook used
CLEAR_MESSAGES = frozenset({1, 2, 4, 11, 12, 13, 14, 15, 16, 22})  # handshake messages that travel in clear up to TLS 1.2
HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446, 4.1.3


class Content(IntEnum):
    CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24


CONTENTS = {20: "Change Cipher Spec", 21: "Alert", 22: "Handshake", 23: "Application Data", 24: "Heartbeat"}
VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
LEVELS = {1: "warning", 2: "fatal"}

FIELDS = catalog(
    u8("tls.record.content_type", "Content type", values=CONTENTS),
    u8("tls.record.opaque_type", "Content type, outside", values=CONTENTS),
    u16("tls.record.version", "Version", Base.HEX, VERSIONS),
    u16("tls.record.length", "Length"),
    octets("tls.app_data", "Encrypted data"),
    octets("tls.handshake.encrypted", "Encrypted handshake message"),
    octets("tls.handshake.fragment", "Handshake bytes"),
    octets("tls.alert_message", "Encrypted alert"),
    u8("tls.alert_message.level", "Level", values=LEVELS),
    u8("tls.alert_message.desc", "Description", values=ALERTS),
    octets("tls.change_cipher_spec", "Change cipher spec"),
    octets("tls.heartbeat_message", "Heartbeat"),
    octets("tls.segment.data", "Part of a record"),
)


def plausible(head: bytes) -> bool:
    """Five bytes that can be a record's header."""
    return (
        len(head) >= HEADER
        and head[0] in CONTENTS
        and head[1] == 3
        and head[2] <= 4
        and int.from_bytes(head[3:5], "big") <= MAX_RECORD
    )


def sniff(prefix: bytes) -> Sniff:
    """A record header, with a handshake message's type behind it where the record is a handshake."""
    if len(prefix) < 6:
        possible = prefix[0] in CONTENTS and (len(prefix) < 2 or prefix[1] == 3)
        return Sniff.NEED_MORE if possible else Sniff.NO
    if not plausible(prefix) or int.from_bytes(prefix[3:5], "big") == 0:
        return Sniff.NO
    return Sniff.YES if prefix[0] != Content.HANDSHAKE or prefix[5] <= 25 or prefix[2] >= 1 else Sniff.NO


def short_hello(version: int) -> bool:
    """The ServerHello of drafts 1 to 21 of TLS 1.3 has neither a session id nor a compression method."""
    return 0x7F00 <= version <= 0x7F15


def _offers_early_data(raw: bytes) -> bool:
    """A ClientHello with the extension early_data (RFC 8446, 4.2.10): data may follow before the server has spoken."""
    at = 38 + 1 + raw[38]
    at += 2 + int.from_bytes(raw[at : at + 2], "big")
    at += 1 + int.from_bytes(raw[at : at + 1], "big") + 2
    while at + 4 <= len(raw):
        if raw[at : at + 2] == b"\0\x2a":
            return True
        at += 4 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return False


def begins(head: bytes) -> bool:
    """A record that holds a ClientHello: every length and version in it fits."""
    return (
        len(head) >= 11
        and head[0] == Content.HANDSHAKE
        and plausible(head)
        and head[5:7] == b"\1\0"
        and int.from_bytes(head[6:9], "big") + 4 >= int.from_bytes(head[3:5], "big")
        and head[9] == 3
        and head[10] <= 4
    )


def opens_clear(body: bytes, size: int) -> bool:
    """The first bytes of a handshake record of `size` bytes begin a message in clear: a known type whose length fits.

    What is encrypted looks random, or begins with a nonce that counts from zero, which is no message's type and length.
    """
    if len(body) < 4 or body[0] not in CLEAR_MESSAGES:
        return False
    length = int.from_bytes(body[1:4], "big") + 4
    if body[0] in (1, 2):  # a hello says the version next
        return body[4:5] in (b"\x03", b"\x7f") and 38 <= length <= size + MAX_RECORD
    return length <= size or (body[0] == 11 and length < 1 << 18 and body[4:7] < body[1:4])


class Tls(StreamParser):
    """Both directions of a TLS connection."""

    protocol = "tls"

    def __init__(self) -> None:
        self.session: dict[str, Any] = {"version": 0, "tls13": False}
        self._encrypted = [False, False]
        self._lost = [False, False]  # part of this direction is missing: whether it is encrypted shows in its bytes
        self._messages: list[Child | None] = [None, None]

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync:
            self._encrypted[reader.direction] = self._lost[reader.direction] = True
            if not (yield from self._find(reader)):
                return
        while (yield from reader.some()):
            start = reader.pos
            try:
                head = yield from reader.read(HEADER)
                if not plausible(head):
                    reader.pos = start + 1
                    if not (yield from self._find(reader)):
                        return
                    continue
                length = int.from_bytes(head[3:], "big")
                begin = reader.pos
                yield from reader.skip(length)
            except Ended:
                self.node.emit("record", reader, start, reader.arrived, self._info(reader, None), complete=False)
                reader.pos = reader.arrived
                return
            yield from self._record(reader, start, begin, head[0])

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

    def _info(self, reader: Reader, kind: int | None) -> dict[str, Any]:
        direction = reader.direction
        return {
            "encrypted": self._encrypted[direction],
            "tls13": self.session["tls13"] or (direction == self.node.client and self.session.get("early", False)),
            "client": direction == self.node.client,
        }

    def _record(self, reader: Reader, start: int, begin: int, kind: int) -> Steps[None]:
        direction = reader.direction
        if direction != self.node.client and kind == Content.APPLICATION_DATA:
            self._encrypted[direction] = True
        found = kind == Content.HANDSHAKE and self._lost[direction]
        if found and opens_clear(reader.buffer.read(begin, min(begin + 8, reader.pos)), reader.pos - begin):
            self._encrypted[direction] = self._lost[direction] = False
            if (child := self._messages[direction]) is not None:
                child.gap(direction, 1, reader.packet_at(start))
        pdu = self.node.emit("record", reader, start, reader.pos, self._info(reader, kind))
        if kind in (Content.CHANGE_CIPHER_SPEC, Content.APPLICATION_DATA):
            self._lost[direction] = False
        if kind == Content.CHANGE_CIPHER_SPEC:
            # In TLS 1.3 it means nothing (RFC 8446, D.4), yet what follows it is encrypted too, but for a second ClientHello.
            self._encrypted[direction] = not self.session.get("retry")
            return
        if kind == Content.HANDSHAKE and not self._encrypted[direction]:
            raw = reader.buffer.read(begin, reader.pos)
            self._learn(direction, raw)
            if self._messages[direction] is None:
                self._messages[direction] = self.node.open(
                    "handshake", "handshake messages", "tls.content", 22, {"tls": self.session}
                )
            child = self._messages[direction]
            if child is not None:
                child.push(direction, Span(reader.buffer, begin, reader.pos), pdu.packet)
        return
        yield

    def _learn(self, direction: int, raw: bytes) -> None:
        """What a hello settles: the version, and whether a second ClientHello comes."""
        if len(raw) < 40:
            return
        if raw[0] == 1:
            self.session["retry"] = False
            self.session["early"] = _offers_early_data(raw)
        elif raw[0] == 2:
            self.session["retry"] = raw[6:38] == HELLO_RETRY
            self.session["version"] = int.from_bytes(raw[4:6], "big")
            at = 38
            if short_hello(self.session["version"]):
                self.session["suite"] = int.from_bytes(raw[at : at + 2], "big")
                self.session["tls13"] = self._encrypted[direction] = True
                return
            at += 1 + raw[38]
            self.session["suite"] = int.from_bytes(raw[at : at + 2], "big")
            at += 3
            stop = at + 2 + int.from_bytes(raw[at : at + 2], "big")
            at += 2
            while at + 4 <= min(stop, len(raw)):
                name, size = int.from_bytes(raw[at : at + 2], "big"), int.from_bytes(raw[at + 2 : at + 4], "big")
                if name == 43 and (raw[at + 4 : at + 6] == b"\x03\x04" or raw[at + 4 : at + 5] in DRAFTS):
                    self.session["tls13"] = True
                    if not self.session["retry"]:
                        self._encrypted[direction] = True
                at += 4 + size
            # The rest of this very record (TLS 1.2: Certificate …) is still in clear; later records decide for themselves.


def dissect(c: Cursor) -> None:
    info = c.context.info
    kind = c.peek_uint(1)
    if not info.get("complete", True):
        _incomplete(c, kind)
        return
    encrypted = info.get("encrypted", False)
    c.uint("tls.record.opaque_type" if kind == Content.APPLICATION_DATA and info.get("tls13") else "tls.record.content_type", 1)
    c.uint("tls.record.version", 2)
    length = c.uint("tls.record.length", 2)
    word = CONTENTS.get(kind, f"content {kind}")
    c.layer.summary = f"{word}, {length:,} bytes"
    if length > MAX_RECORD:
        c.issue("record-length", "longer than a record may be (RFC 8446, 5.2)", Severity.ERROR)
    with c.within(length):
        if kind == Content.APPLICATION_DATA:
            c.octets("tls.app_data", c.remaining)
            c.layer.summary = f"Application Data, {length:,} bytes, encrypted"
        elif kind == Content.ALERT and length == 2:
            level, description = c.uint("tls.alert_message.level", 1), c.uint("tls.alert_message.desc", 1)
            c.layer.summary = f"Alert ({LEVELS.get(level, level)}): {ALERTS.get(description, description)}"
            if description:
                c.issue("alert", f"TLS alert: {ALERTS.get(description, description)}", Severity.WARNING)
        elif kind == Content.ALERT:
            c.octets("tls.alert_message", c.remaining)
            c.layer.summary = "Alert, encrypted"
        elif kind == Content.CHANGE_CIPHER_SPEC:
            c.octets("tls.change_cipher_spec", c.remaining)
            c.layer.summary = "Change Cipher Spec"
        elif kind == Content.HANDSHAKE:
            c.octets("tls.handshake.encrypted" if encrypted else "tls.handshake.fragment", c.remaining)
            c.layer.summary = f"Handshake, {length:,} bytes" + (", encrypted" if encrypted else "")
        elif c.remaining:
            c.octets("tls.heartbeat_message", c.remaining)


def _incomplete(c: Cursor, kind: int) -> None:
    """A record of which the capture has only the beginning: its bytes are TLS's, and say no more."""
    head = c.peek(HEADER)
    size = f" of {HEADER + int.from_bytes(head[3:], 'big'):,}" if len(head) == HEADER else ""
    text = f"{CONTENTS.get(kind, f'content {kind}')}, the first {c.remaining:,}{size} bytes"
    c.octets("tls.segment.data", c.remaining, text)
    c.layer.summary = text


def explain(layer: Layer) -> list[Note]:
    notes = []
    kind = layer.value("tls.record.content_type")
    version = layer.find("tls.record.version")
    outside = layer.find("tls.record.opaque_type")
    if outside is not None:
        why = "TLS 1.3 hides what a record holds: outside every one is application data, the real type is encrypted at its end."
        notes.append(Note(outside.span, "the type is a disguise", why, "RFC 8446, 5.2"))
    if version is not None and layer.find("tls.app_data") is not None:
        why = "The keys are not in what this tool has read: the length and the time are all that can be known."
        notes.append(Note(layer.span, "encrypted", why, "RFC 8446, 5.2"))
    if kind == Content.CHANGE_CIPHER_SPEC:
        why = "In TLS 1.2 everything behind it from this side is encrypted. In TLS 1.3 it only pleases middleboxes."
        notes.append(Note(layer.span, "from here on", why, "RFC 5246, 7.1; RFC 8446, D.4"))
    return notes


CARD = Card(
    "binary records: type, version, length; handshake messages inside",
    "a stream of records of up to 16 KiB",
    "the server by its name (SNI) in the ClientHello",
    "full duplex after the handshake",
    "keys and sequence numbers on both sides; tickets let a client come back",
    "passed through; a TLS-terminating proxy ends it and begins another",
    "TCP's",
    "alerts; every record is authenticated, and a changed byte ends the connection",
)
PROTOCOL = Protocol(
    "tls", "TLS record", 6, FIELDS, dissect, keys={"tcp.port": [443, 8443, 465, 636, 993, 995]}, sniff=sniff,
    begins=begins, parser=Tls, explain=explain, card=CARD, reference="RFC 8446, 5",
)  # fmt: skip
