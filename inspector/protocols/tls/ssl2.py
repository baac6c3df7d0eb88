"""SSL 2 (Hickman, "The SSL Protocol", 1995), and the ClientHello in its form that newer clients once sent (RFC 5246, E.2).

One unit a record. Where the server answers with a record of SSL 3 or TLS, the rest of the conversation is TLS. Not here: what
is encrypted, which begins with the ServerHello on one side and behind the ClientMasterKey on the other.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, octets, u8, u16, u24
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Protocol, Sniff
from inspector.core.stream import Ended, Reader, Steps, StreamParser
from inspector.protocols.encodings import x509
from inspector.protocols.tls import record, sct
from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
from inspector.protocols.tls.extensions import FIELDS as EXTENSION_FIELDS
from inspector.protocols.tls.wire import VERSIONS

ERROR, CLIENT_HELLO, CLIENT_MASTER_KEY, SERVER_HELLO = 0, 1, 2, 4
MESSAGES = {
    0: "Error", 1: "ClientHello", 2: "ClientMasterKey", 3: "ClientFinished", 4: "ServerHello", 5: "ServerVerify",
    6: "ServerFinished", 7: "RequestCertificate", 8: "ClientCertificate",
}  # fmt: skip
ALL_VERSIONS = {0x0002: "SSL 2.0", **VERSIONS}
CIPHERS = {
    0x010080: "SSL2_RC4_128_WITH_MD5", 0x020080: "SSL2_RC4_128_EXPORT40_WITH_MD5", 0x030080: "SSL2_RC2_128_CBC_WITH_MD5",
    0x040080: "SSL2_RC2_128_CBC_EXPORT40_WITH_MD5", 0x050080: "SSL2_IDEA_128_CBC_WITH_MD5",
    0x060040: "SSL2_DES_64_CBC_WITH_MD5", 0x0700C0: "SSL2_DES_192_EDE3_CBC_WITH_MD5",
    **CIPHER_SUITES,
}  # fmt: skip
ERRORS = {1: "no cipher", 2: "no certificate", 4: "bad certificate", 6: "unsupported certificate type"}

FIELDS = catalog(
    u16("tls.record.version", "Version", Base.HEX, ALL_VERSIONS),
    u16("tls.record.length", "Length"),
    flag("tls.record.is_escape", "Escape"),
    u8("tls.record.padding_length", "Padding length"),
    octets("tls.app_data", "Encrypted data"),
    u8("tls.handshake.type", "Message", values=MESSAGES),
    u16("tls.handshake.version", "Version", Base.HEX, ALL_VERSIONS),
    u16("tls.handshake.cipher_spec_len", "Ciphers length"),
    u16("tls.handshake.session_id_length", "Session id length"),
    u16("tls.handshake.challenge_length", "Challenge length"),
    u24("tls.handshake.cipherspec", "Cipher", Base.HEX, CIPHERS),
    octets("tls.handshake.session_id", "Session id"),
    octets("tls.handshake.challenge", "Challenge"),
    flag("tls.handshake.session_id_hit", "Session id known"),
    u8("tls.handshake.cert_type", "Certificate type", values={1: "X.509"}),
    u16("tls.handshake.certificate_length", "Certificate length"),
    u16("tls.handshake.connection_id_length", "Connection id length"),
    octets("tls.handshake.certificate", "Certificate"),
    octets("tls.handshake.connection_id", "Connection id"),
    u16("tls.handshake.clear_key_length", "Clear key length"),
    u16("tls.handshake.encrypted_key_length", "Encrypted key length"),
    u16("tls.handshake.key_arg_length", "Key argument length"),
    octets("tls.handshake.clear_key_data", "Clear key"),
    octets("tls.handshake.encrypted_key", "Encrypted key"),
    octets("tls.handshake.key_arg", "Key argument"),
    u16("tls.handshake.error", "Error", values=ERRORS),
    octets("tls.handshake.body", "Contents"),
    *EXTENSION_FIELDS.values(),
)


def sniff(prefix: bytes) -> Sniff:
    """A ClientHello in SSL 2's form, in which every length fits."""
    if prefix and not prefix[0] & 0x80:
        return Sniff.NO
    if len(prefix) < 11:
        return Sniff.NO if len(prefix) > 2 and prefix[2] != CLIENT_HELLO else Sniff.NEED_MORE
    version = int.from_bytes(prefix[3:5], "big")
    ciphers, session, challenge = (int.from_bytes(prefix[at : at + 2], "big") for at in (5, 7, 9))
    fits = int.from_bytes(prefix[:2], "big") & 0x7FFF == 9 + ciphers + session + challenge
    sound = ciphers and ciphers % 3 == 0 and session <= 32 and 8 <= challenge <= 32
    return Sniff.YES if prefix[2] == CLIENT_HELLO and version in ALL_VERSIONS and fits and sound else Sniff.NO


class Ssl2(StreamParser):
    """Both directions, until the server's first bytes show that it speaks something newer."""

    protocol = "tls.ssl2"

    def __init__(self) -> None:
        self._newer: bool | None = None
        self._encrypted = [False, False]
        self._begun: set[int] = set()

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and reader.direction in self._begun:
            return  # records have no mark by which they could be found again
        self._begun.add(reader.direction)
        if reader.direction == self.node.client:
            if not (yield from self._record(reader)):
                return
            yield from self.wait(lambda: self._newer is not None)
        else:
            head = yield from reader.peek(6)
            self._newer = bool(head) and record.sniff(head) is Sniff.YES
            if not self._newer and not (head[:1] >= b"\x80" and head[2:3] in (b"\0", b"\4")):
                return  # neither a ServerHello nor an error
        why = "the server answers with a record of SSL 3 or TLS"
        if self._newer and self.node.hand_over(reader, "protocol", "tls", why=why):
            return
        while (yield from self._record(reader)):
            pass

    def _record(self, reader: Reader) -> Steps[bool]:
        if not (yield from reader.some()):
            return False
        start, direction = reader.pos, reader.direction
        try:
            head = yield from reader.read(2)
            short = bool(head[0] & 0x80)  # with three bytes of header the length has 14 bits, and padding follows
            size = int.from_bytes(head, "big") & (0x7FFF if short else 0x3FFF)
            yield from reader.skip(size if short else size + 1)
        except Ended:
            self.node.emit("record", reader, start, reader.arrived, {"encrypted": True}, complete=False)
            reader.pos = reader.arrived
            return False
        kind = reader.buffer.read(start + 2, start + 3)
        clear = not self._encrypted[direction] and short and kind in (b"\0", b"\1", b"\2", b"\4")
        self.node.emit("record", reader, start, reader.pos, {"encrypted": not clear})
        self._encrypted[direction] = not clear or kind in (b"\2", b"\4")
        return True


def dissect(c: Cursor) -> None:
    short = bool(c.peek_uint(1) & 0x80)
    if short:
        size = c.bits(2, (None, 1), ("tls.record.length", 15))[1]
    else:
        size = c.bits(2, (None, 1), ("tls.record.is_escape", 1), ("tls.record.length", 14))[2]
        c.uint("tls.record.padding_length", 1)
    c.generated("tls.record.version", 0x0002)
    with c.within(size):
        if c.context.info.get("encrypted", False):
            c.octets("tls.app_data", c.remaining)
            c.layer.summary = f"Encrypted, {size:,} bytes"
            return
        kind = c.uint("tls.handshake.type", 1)
        c.layer.summary = MESSAGES.get(kind, f"message {kind}")
        read = {CLIENT_HELLO: _client_hello, SERVER_HELLO: _server_hello, CLIENT_MASTER_KEY: _master_key}.get(kind)
        if read is not None:
            read(c)
        elif kind == ERROR:
            code = c.uint("tls.handshake.error", 2)
            c.issue("alert", f"SSL 2 error: {ERRORS.get(code, code)}")
        if c.remaining:
            c.octets("tls.handshake.body", c.remaining)


def _ciphers(c: Cursor, size: int) -> None:
    with c.within(size):
        while c.remaining:
            c.uint("tls.handshake.cipherspec", 3)


def _optional(c: Cursor, name: str, size: int) -> None:
    if size:
        c.octets(name, size)


def _client_hello(c: Cursor) -> None:
    version = c.uint("tls.handshake.version", 2)
    c.layer.summary += f"  {ALL_VERSIONS.get(version, hex(version))} in the form of SSL 2"
    ciphers = c.uint("tls.handshake.cipher_spec_len", 2)
    session = c.uint("tls.handshake.session_id_length", 2)
    challenge = c.uint("tls.handshake.challenge_length", 2)
    _ciphers(c, ciphers)
    _optional(c, "tls.handshake.session_id", session)
    _optional(c, "tls.handshake.challenge", challenge)


def _server_hello(c: Cursor) -> None:
    c.uint("tls.handshake.session_id_hit", 1)
    c.uint("tls.handshake.cert_type", 1)
    version = c.uint("tls.handshake.version", 2)
    size = c.uint("tls.handshake.certificate_length", 2)
    ciphers = c.uint("tls.handshake.cipher_spec_len", 2)
    connection = c.uint("tls.handshake.connection_id_length", 2)
    if size:
        c.need(size)
        with c.group("tls.handshake.certificate", c.peek(size)) as group:
            found = x509.certificate(c, size, sct.timestamps)
            group.text = found.subject if found is not None else f"{size:,} bytes"
    _ciphers(c, ciphers)
    _optional(c, "tls.handshake.connection_id", connection)
    if version == 0x0002:
        c.issue("ssl2", "SSL 2 must not be used: it is broken (RFC 6176)", Severity.ERROR)


def _master_key(c: Cursor) -> None:
    c.uint("tls.handshake.cipherspec", 3)
    names = ("clear_key", "encrypted_key", "key_arg")
    sizes = [c.uint(f"tls.handshake.{name}_length", 2) for name in names]
    for name, size in zip(("clear_key_data", "encrypted_key", "key_arg"), sizes, strict=True):
        _optional(c, f"tls.handshake.{name}", size)


def explain(layer: Layer) -> list[Note]:
    version = layer.find("tls.handshake.version")
    if layer.value("tls.handshake.type") != CLIENT_HELLO or version is None or version.value == 0x0002:
        return []
    word = ALL_VERSIONS.get(version.value, hex(version.value))
    why = f"The client asks for {word} in a form that servers of SSL 2 could read too. It has no room for extensions."
    return [Note(version.span, "an old form", why, "RFC 5246, E.2")]


PROTOCOL = Protocol(
    "tls.ssl2", "SSL 2", 5, FIELDS, dissect, sniff=sniff, parser=Ssl2, explain=explain,
    reference="RFC 6101, E; RFC 5246, E.2",
)  # fmt: skip
