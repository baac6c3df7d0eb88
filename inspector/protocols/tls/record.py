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


class Tls(StreamParser):
    """Both directions of a TLS connection."""

    protocol = "tls"

    def __init__(self) -> None:
        self.session: dict[str, Any] = {"version": 0, "tls13": False}
        self._encrypted = [False, False]
        self._messages: list[Child | None] = [None, None]

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync:
            self._encrypted[reader.direction] = True  # what was agreed in the missing part is not known
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
            "tls13": self.session["tls13"],
            "client": direction == self.node.client,
        }

    def _record(self, reader: Reader, start: int, begin: int, kind: int) -> Steps[None]:
        direction = reader.direction
        if direction != self.node.client and kind == Content.APPLICATION_DATA:
            self._encrypted[direction] = True
        pdu = self.node.emit("record", reader, start, reader.pos, self._info(reader, kind))
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
        elif raw[0] == 2:
            self.session["retry"] = raw[6:38] == HELLO_RETRY
            self.session["version"] = int.from_bytes(raw[4:6], "big")
            self.session["suite"] = int.from_bytes(raw[39 + raw[38] : 41 + raw[38]], "big")
            at = 38 + 1 + raw[38] + 3
            stop = at + 2 + int.from_bytes(raw[at : at + 2], "big")
            at += 2
            while at + 4 <= min(stop, len(raw)):
                name, size = int.from_bytes(raw[at : at + 2], "big"), int.from_bytes(raw[at + 2 : at + 4], "big")
                if name == 43 and (raw[at + 4 : at + 6] == b"\x03\x04" or raw[at + 4 : at + 5] == b"\x7f"):  # or a draft
                    self.session["tls13"] = True
                    if not self.session["retry"]:
                        self._encrypted[direction] = True
                at += 4 + size
            # The rest of this very record (TLS 1.2: Certificate …) is still in clear; later records decide for themselves.


def dissect(c: Cursor) -> None:
    info = c.context.info
    kind = c.peek_uint(1)
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
    "tls", "TLS record", 6, FIELDS, dissect, keys={"tcp.port": [443, 8443, 465, 636, 993, 995]}, sniff=sniff, parser=Tls,
    explain=explain, card=CARD, reference="RFC 8446, 5",
)  # fmt: skip
