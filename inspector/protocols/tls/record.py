"""TLS records (RFC 8446, 5; RFC 5246, 6.2), in clear and, where the keys are known, what is inside them.

One unit a record; `connection` reads the stream of them. What was encrypted is a buffer of its own: its fields lie there.
Not here: SSL 2.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, Field, catalog, octets, string, u8, u16, u64
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol, Sniff
from inspector.protocols.tls.connection import Tls
from inspector.protocols.tls.names import ALERTS
from inspector.protocols.tls.opened import Plaintext, Unopened
from inspector.protocols.tls.record_notes import MEANS_NOTHING, explain
from inspector.protocols.tls.wire import CONTENTS, HEADER, MAX_RECORD, VERSIONS, Content, begins, plausible

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
    octets("tls.record.iv", "Nonce or IV, explicit"),
    octets("tls.record.ciphertext", "Ciphertext"),
    octets("tls.record.tag", "Authentication tag"),
    string("tls.record.protection", "Protection"),
    string("tls.record.secret", "Keys come from"),
    u64("tls.record.sequence", "Record under these keys"),
    octets("tls.record.nonce", "Nonce or IV"),
    string("tls.record.not_decrypted", "Not decrypted"),
    octets("tls.segment.data", "Data"),
    octets("tls.record.mac", "MAC"),
    octets("tls.record.padding", "Padding"),
)
SEALED: dict[int, str] = {  # what a protected record's body is called by its outer type
    Content.CHANGE_CIPHER_SPEC: "tls.change_cipher_spec",
    Content.ALERT: "tls.alert_message",
    Content.HANDSHAKE: "tls.handshake.encrypted",
    Content.APPLICATION_DATA: "tls.app_data",
    Content.HEARTBEAT: "tls.heartbeat_message",
}


def sniff(prefix: bytes) -> Sniff:
    """A record header, with a handshake message's type behind it where the record is a handshake."""
    if len(prefix) < 6:
        possible = prefix[0] in CONTENTS and (len(prefix) < 2 or prefix[1] == 3)
        return Sniff.NEED_MORE if possible else Sniff.NO
    if not plausible(prefix) or int.from_bytes(prefix[3:5], "big") == 0:
        return Sniff.NO
    return Sniff.YES if prefix[0] != Content.HANDSHAKE or prefix[5] <= 25 or prefix[2] >= 1 else Sniff.NO


def dissect(c: Cursor) -> None:
    info = c.context.info
    kind = c.peek_uint(1)
    if not info.get("complete", True):
        _incomplete(c, kind)
        return
    records = info.get("records")
    found = records.at(c.start) if records is not None else ""
    hidden = kind == Content.APPLICATION_DATA and bool(info.get("tls13"))
    c.uint("tls.record.opaque_type" if hidden else "tls.record.content_type", 1)
    c.uint("tls.record.version", 2)
    length = c.uint("tls.record.length", 2)
    c.layer.summary = f"{CONTENTS.get(kind, f'content {kind}')}, {length:,} bytes"
    if length > MAX_RECORD:
        c.issue("record-length", "longer than a record may be (RFC 5246, 6.2.3; RFC 8446, 5.2)", Severity.ERROR)
    with c.within(length):
        if isinstance(found, Plaintext):
            _opened(c, kind, found, hidden)
        elif info.get("encrypted") or kind == Content.APPLICATION_DATA:
            _sealed(c, kind, found)
        else:
            _content(c, kind)


def _content(c: Cursor, kind: int) -> None:
    """What a record carries, in clear."""
    size = c.remaining
    if kind == Content.ALERT and size == 2:
        level, description = c.uint("tls.alert_message.level", 1), c.uint("tls.alert_message.desc", 1)
        c.layer.summary = f"Alert ({LEVELS.get(level, level)}): {ALERTS.get(description, description)}"
        if description:
            c.issue("alert", f"TLS alert: {ALERTS.get(description, description)}", Severity.WARNING)
    elif kind == Content.ALERT:
        c.octets("tls.alert_message", size)
        c.layer.summary = f"Alert, {size:,} bytes"
    elif kind == Content.CHANGE_CIPHER_SPEC:
        c.octets("tls.change_cipher_spec", size)
        if c.context.info.get("tls13"):
            c.last.text = f"{c.slice(c.start, c.pos)[-size:].hex(' ')} ({MEANS_NOTHING})"
        c.layer.summary = "Change Cipher Spec"
    elif kind == Content.HANDSHAKE:
        c.octets("tls.handshake.fragment", size)
        c.layer.summary = f"Handshake, {size:,} bytes"
    elif kind == Content.APPLICATION_DATA:
        if size:
            c.octets("tls.segment.data", size)
        c.layer.summary = f"Application Data, {size:,} bytes"
    elif size:
        c.octets("tls.heartbeat_message", size)


def _sealed(c: Cursor, kind: int, reason: str) -> None:
    """A protected record that is not opened."""
    size = c.remaining
    c.octets(SEALED.get(kind, "tls.app_data"), size)
    if reason:
        body = c.last.span
        c.generated("tls.record.not_decrypted", str(reason), body)
        if isinstance(reason, Unopened):
            c.issue("not-authentic", f"not decrypted: {reason}", Severity.WARNING, body)
    words: dict[int, str] = {Content.ALERT: "Alert, encrypted", Content.CHANGE_CIPHER_SPEC: "Change Cipher Spec"}
    c.layer.summary = words.get(kind, f"{CONTENTS.get(kind, f'content {kind}')}, {size:,} bytes, encrypted")


def _opened(c: Cursor, kind: int, plain: Plaintext, hidden: bool) -> None:
    """A protected record and what was inside it."""
    opened, epoch, sealed = plain.opened(), plain.epoch, plain.sealed()
    opener = epoch.opener
    assert opener is not None
    start, stop = c.pos, c.stop
    c.octets(SEALED.get(kind, "tls.app_data"), c.remaining)
    body = c.last
    first, last = start + opener.leading, stop - opener.trailing
    for name, low, high in (
        ("tls.record.iv", start, first), ("tls.record.ciphertext", first, last), ("tls.record.tag", last, stop),
    ):  # fmt: skip
        if low < high:
            body.children.append(Field(c.spec(name), c.slice(low, high), c.span(low, high)))
    c.generated("tls.record.protection", f"{opener.cipher}, {epoch.name}", body.span)
    c.generated("tls.record.secret", opener.source, body.span)
    c.generated("tls.record.sequence", sealed.sequence, body.span)
    nonce = opener.nonce(sealed)
    if nonce:
        c.generated("tls.record.nonce", nonce, body.span)
    inner = c.over(plain, opened.data)
    with inner.within(opened.size):
        _content(inner, opened.content)
    if hidden:
        inner.uint("tls.record.content_type", 1)
    if opened.mac:
        inner.octets("tls.record.mac", opened.mac)
    if inner.remaining:
        inner.octets("tls.record.padding", inner.remaining)
    c.layer.summary += ", decrypted"
    if epoch.rejected:
        c.layer.summary += ": early data that the server did not accept"


def _incomplete(c: Cursor, kind: int) -> None:
    """A record of which the capture has only the beginning: its bytes are TLS's, and say no more."""
    head = c.peek(HEADER)
    size = f" of {HEADER + int.from_bytes(head[3:], 'big'):,}" if len(head) == HEADER else ""
    text = f"{CONTENTS.get(kind, f'content {kind}')}, the first {c.remaining:,}{size} bytes"
    c.octets("tls.segment.data", c.remaining, text)
    c.layer.summary = text


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
    begins=begins, parser=Tls, explain=explain, card=CARD, reference="RFC 8446, 5", carries=False,
)  # fmt: skip
