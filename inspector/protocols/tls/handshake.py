"""TLS handshake messages (RFC 8446, 4; RFC 5246, 7.4; RFC 8422; RFC 4279): one unit a message.

Not here: SSL 2's messages (ssl2); what is encrypted, which comes from the record layer once it is in clear.
"""

from __future__ import annotations

import zlib
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, octets, u8, u16, u24, u32
from inspector.core.layer import Severity
from inspector.core.limits import MAX_CERTIFICATES, MAX_HANDSHAKE
from inspector.core.protocol import Protocol
from inspector.core.span import Origin
from inspector.core.stream import Ended, Reader, Steps, StreamParser, TooLong
from inspector.protocols.encodings import x509
from inspector.protocols.tls import extensions, fingerprints, sct
from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
from inspector.protocols.tls.extensions import grease
from inspector.protocols.tls.meaning import explain
from inspector.protocols.tls.names import GROUPS, MESSAGES
from inspector.protocols.tls.wire import HELLO_RETRY, VERSIONS, short_hello

SCHEME_SINCE = 0x0303  # TLS 1.2: signatures name their scheme; before, it follows from the key
CLIENT_CERTIFICATE_TYPES = {
    1: "RSA sign", 2: "DSS sign", 3: "RSA fixed DH", 4: "DSS fixed DH", 5: "RSA ephemeral DH", 6: "DSS ephemeral DH",
    20: "FORTEZZA DMS", 64: "ECDSA sign", 65: "RSA fixed ECDH", 66: "ECDSA fixed ECDH",
}  # fmt: skip
KEY_UPDATES = {0: "update_not_requested", 1: "update_requested"}

FIELDS = catalog(
    u8("tls.handshake.type", "Message", values=MESSAGES),
    u24("tls.handshake.length", "Length"),
    u16("tls.handshake.version", "Version", Base.HEX, VERSIONS),
    octets("tls.handshake.random", "Random"),
    u8("tls.handshake.session_id_length", "Session id length"),
    octets("tls.handshake.session_id", "Session id"),
    u16("tls.handshake.cipher_suites_length", "Cipher suites length"),
    heading("tls.handshake.ciphersuites", "Cipher suites"),
    u16("tls.handshake.ciphersuite", "Cipher suite", Base.HEX, CIPHER_SUITES),
    u8("tls.handshake.comp_methods_length", "Compression methods length"),
    u8("tls.handshake.comp_method", "Compression method", values={0: "null", 1: "DEFLATE"}),
    u32("tls.handshake.session_ticket_lifetime_hint", "Lifetime, seconds"),
    u32("tls.handshake.session_ticket_age_add", "Age add"),
    u8("tls.handshake.session_ticket_nonce_length", "Nonce length"),
    octets("tls.handshake.session_ticket_nonce", "Nonce"),
    u16("tls.handshake.session_ticket_length", "Ticket length"),
    octets("tls.handshake.session_ticket", "Ticket"),
    u8("tls.handshake.certificate_request_context_length", "Context length"),
    octets("tls.handshake.certificate_request_context", "Context"),
    u24("tls.handshake.certificates_length", "Certificates length"),
    u24("tls.handshake.certificate_length", "Certificate length"),
    octets("tls.handshake.certificate", "Certificate"),
    u8("tls.handshake.cert_types_count", "Certificate types count"),
    u8("tls.handshake.cert_type", "Certificate type", values=CLIENT_CERTIFICATE_TYPES),
    u16("tls.compress_certificate.algorithm", "Compression", values=extensions.COMPRESSIONS),
    u24("tls.compress_certificate.uncompressed_length", "Length before compression"),
    u24("tls.compress_certificate.compressed_certificate_message.length", "Length"),
    octets("tls.compress_certificate.compressed_certificate_message", "Compressed certificates"),
    u16("tls.handshake.hint_len", "Hint length"),
    octets("tls.handshake.hint", "Identity hint"),
    u16("tls.handshake.identity_len", "Identity length"),
    octets("tls.handshake.identity", "Identity"),
    u8("tls.handshake.server_curve_type", "Curve type", Base.HEX, {1: "explicit prime", 2: "explicit char2", 3: "named curve"}),
    u16("tls.handshake.server_named_curve", "Named curve", Base.HEX, GROUPS),
    u8("tls.handshake.server_point_len", "Public key length"),
    octets("tls.handshake.server_point", "Public key"),
    u8("tls.handshake.client_point_len", "Public key length"),
    octets("tls.handshake.client_point", "Public key"),
    *(u16(f"tls.handshake.{name}_len", f"{label} length") for name, label in (
        ("p", "Prime"), ("g", "Generator"), ("ys", "Public key"), ("yc", "Public key"), ("modulus", "Modulus"),
        ("exponent", "Exponent"), ("sig", "Signature"), ("epms", "Encrypted secret"))),
    octets("tls.handshake.p", "Prime p"),
    octets("tls.handshake.g", "Generator g"),
    octets("tls.handshake.ys", "Server's public key"),
    octets("tls.handshake.yc", "Client's public key"),
    octets("tls.handshake.modulus", "Modulus"),
    octets("tls.handshake.exponent", "Exponent"),
    octets("tls.handshake.sig", "Signature"),
    octets("tls.handshake.epms", "Encrypted premaster secret"),
    u16("tls.handshake.client_cert_vrfy.sig_len", "Signature length"),
    octets("tls.handshake.client_cert_vrfy.sig", "Signature"),
    octets("tls.handshake.verify_data", "Verify data"),
    u8("tls.handshake.key_update.request_update", "Request", values=KEY_UPDATES),
    octets("tls.handshake.body", "Contents"),
    *extensions.FIELDS.values(),
    *fingerprints.FIELDS.values(),
)  # fmt: skip


class Handshake(StreamParser):
    """The messages inside the handshake records of one direction."""

    protocol = "tls.handshake"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        while (yield from reader.some()):  # behind a gap the record parser goes on only where a message begins
            start = reader.pos
            try:
                head = yield from reader.read(4)
                length = int.from_bytes(head[1:], "big")
                if head[0] not in MESSAGES:
                    return
                if length > MAX_HANDSHAKE:
                    text = f"a message is read to {MAX_HANDSHAKE >> 20} MiB, and this one has {length:,} bytes"
                    raise TooLong(text)
                yield from reader.skip(length)
            except Ended:
                self.node.emit("message", reader, start, reader.arrived, complete=False)
                reader.pos = reader.arrived
                return
            self.node.emit("message", reader, start, reader.pos, {"tls": dict(self.node.info.get("tls", {}))})


def dissect(c: Cursor) -> None:
    session: dict[str, Any] = c.context.info.get("tls", {})
    kind = c.uint("tls.handshake.type", 1)
    length = c.uint("tls.handshake.length", 3)
    c.layer.summary = MESSAGES.get(kind, f"message {kind}")
    with c.within(length):
        read = _READERS.get(kind)
        if read is not None:
            read(c, session)
        if c.remaining:
            c.octets("tls.handshake.body", c.remaining)


def _vector(c: Cursor, name: str, size: int) -> bytes:
    """Bytes with their length in front, in Wireshark's pair of names."""
    found = c.uint(f"tls.handshake.{name}_len", size)
    return c.octets(f"tls.handshake.{name}", found) if found else b""


# --- hellos


def _client_hello(c: Cursor, session: dict[str, Any]) -> None:
    version = c.uint("tls.handshake.version", 2)
    c.octets("tls.handshake.random", 32)
    if size := c.uint("tls.handshake.session_id_length", 1):
        c.octets("tls.handshake.session_id", size)
    suites: list[int] = []
    with c.within(c.uint("tls.handshake.cipher_suites_length", 2)), c.group("tls.handshake.ciphersuites") as group:
        while c.remaining:
            suites.append(c.uint("tls.handshake.ciphersuite", 2, text=grease(c.peek_uint(2))))
        group.text = f"{len(suites)} offered"
    for _ in range(c.uint("tls.handshake.comp_methods_length", 1)):
        c.uint("tls.handshake.comp_method", 1)
    kinds: list[int] = extensions.extensions(c, extensions.CLIENT_HELLO) if c.remaining else []
    found = _hello(c, version, suites, kinds)
    name = c.layer.find("tls.handshake.extensions_server_name")
    if name is not None:
        c.layer.summary += f"  SNI {name.value}"
    if 0xFE0D in kinds and c.layer.value("tls.ech.client_hello_type") == 0:
        c.layer.summary += " (outer)"
    _alpn(c)
    text = fingerprints.ja3(found)
    c.generated("tls.handshake.ja3_full", text)
    c.generated("tls.handshake.ja3", fingerprints.md5(text))
    ja4, raw = fingerprints.ja4(found)
    c.generated("tls.handshake.ja4", ja4)
    c.generated("tls.handshake.ja4_r", raw)


def _server_hello(c: Cursor, session: dict[str, Any]) -> None:
    version = c.uint("tls.handshake.version", 2)
    retry = c.octets("tls.handshake.random", 32) == HELLO_RETRY
    if retry:
        c.layer.summary = "HelloRetryRequest"
    if short_hello(version):
        suite = c.uint("tls.handshake.ciphersuite", 2)
    else:
        if size := c.uint("tls.handshake.session_id_length", 1):
            c.octets("tls.handshake.session_id", size)
        suite = c.uint("tls.handshake.ciphersuite", 2)
        c.uint("tls.handshake.comp_method", 1)
    message = extensions.HELLO_RETRY_REQUEST if retry else extensions.SERVER_HELLO
    kinds: list[int] = extensions.extensions(c, message) if c.remaining else []
    found = _hello(c, version, [suite], kinds)
    best = found.versions[0] if found.versions else version
    c.layer.summary += f"  {VERSIONS.get(best, hex(best))}  {CIPHER_SUITES.get(suite, hex(suite))}"
    _alpn(c)
    text = fingerprints.ja3s(found)
    c.generated("tls.handshake.ja3s_full", text)
    c.generated("tls.handshake.ja3s", fingerprints.md5(text))


def _retry_request(c: Cursor, session: dict[str, Any]) -> None:
    """The HelloRetryRequest of drafts up to 21 is a message of its own; from draft 19 on it names the suite."""
    version = c.uint("tls.handshake.version", 2)
    if 0x7F13 <= version <= 0x7F15:
        c.uint("tls.handshake.ciphersuite", 2)
    extensions.extensions(c, extensions.HELLO_RETRY_REQUEST)


def _hello(c: Cursor, version: int, suites: list[int], kinds: list[int]) -> fingerprints.Hello:
    """What was just read, for the fingerprints. Signature schemes: those of the extension that says so, no others."""
    lists: dict[str, list[Any]] = {}
    schemes: list[int] = []
    for field in c.layer.fields:
        if field.name != "tls.handshake.extension":
            continue
        for inner in field.walk():
            lists.setdefault(inner.name, []).append(inner.value)
        if field.children and field.children[0].value == 13:
            schemes = [inner.value for inner in field.children if inner.name == "tls.handshake.sig_hash_alg"]
    alpn = lists.get("tls.handshake.extensions_alpn_str", [""])[0]
    return fingerprints.Hello(
        version,
        suites,
        kinds,
        lists.get("tls.handshake.extensions_supported_group", []),
        lists.get("tls.handshake.extensions_ec_point_format", []),
        schemes,
        lists.get("tls.handshake.extensions.supported_version", []),
        alpn.encode("utf-8", "surrogateescape"),
    )


def _alpn(c: Cursor) -> None:
    found = [str(field.value) for field in c.layer.walk() if field.name == "tls.handshake.extensions_alpn_str"]
    if found:
        c.layer.summary += f"  ALPN {', '.join(found)}"


def _encrypted_extensions(c: Cursor, session: dict[str, Any]) -> None:
    extensions.extensions(c, extensions.ENCRYPTED_EXTENSIONS)
    _alpn(c)


# --- certificates


def _certificates(c: Cursor, session: dict[str, Any]) -> None:
    tls13 = bool(session.get("tls13"))
    if tls13:
        _context(c)
    words: list[str] = []
    with c.within(c.uint("tls.handshake.certificates_length", 3)):
        while c.remaining:
            if len(words) >= MAX_CERTIFICATES:
                c.issue("limit", f"a chain is shown to {MAX_CERTIFICATES} certificates", Severity.NOTE, c.span(c.pos, c.stop))
                c.octets("tls.handshake.body", c.remaining)
                break
            size = c.uint("tls.handshake.certificate_length", 3)
            c.need(size)
            with c.group("tls.handshake.certificate", c.peek(size)) as group:
                found = x509.certificate(c, size, sct.timestamps)
                group.text = found.subject if found is not None else f"{size:,} bytes"
            words.append(group.text)
            if tls13 and c.remaining:
                extensions.extensions(c, extensions.CERTIFICATE)
    c.layer.summary += f"  {words[0]}" if words else "  none"
    if len(words) > 1:
        c.layer.summary += f"  and {len(words) - 1} above it"


def _context(c: Cursor) -> None:
    if size := c.uint("tls.handshake.certificate_request_context_length", 1):
        c.octets("tls.handshake.certificate_request_context", size)


def _certificate_request(c: Cursor, session: dict[str, Any]) -> None:
    if session.get("tls13"):
        _context(c)
        extensions.extensions(c, extensions.CERTIFICATE_REQUEST)
        return
    for _ in range(c.uint("tls.handshake.cert_types_count", 1)):
        c.uint("tls.handshake.cert_type", 1)
    if session.get("version", 0) >= SCHEME_SINCE:
        extensions.signature_algorithms(c, extensions.CERTIFICATE_REQUEST)
    extensions.names(c)


def _certificate_status(c: Cursor, session: dict[str, Any]) -> None:
    c.layer.summary += f"  {extensions.status(c)}"


def _compressed_certificate(c: Cursor, session: dict[str, Any]) -> None:
    """RFC 8879, 4: the Certificate message, compressed; zlib's is opened here."""
    kind = c.uint("tls.compress_certificate.algorithm", 2)
    whole = c.uint("tls.compress_certificate.uncompressed_length", 3)
    size = c.uint("tls.compress_certificate.compressed_certificate_message.length", 3)
    data = c.octets("tls.compress_certificate.compressed_certificate_message", size)
    source = c.last.span
    c.layer.summary += f"  {extensions.COMPRESSIONS.get(kind, kind)}, {whole:,} bytes"
    if whole > MAX_HANDSHAKE:
        c.issue("limit", f"certificates are decompressed to {MAX_HANDSHAKE >> 20} MiB", Severity.NOTE, source)
    if kind != 1 or whole > MAX_HANDSHAKE:
        return
    try:
        plain = zlib.decompressobj().decompress(data, whole)
    except zlib.error:
        c.issue("compressed-certificate", "does not decompress (RFC 8879, 4)", Severity.ERROR)
        return
    name = f"{c.buffer.id}.certificate.{source.start}"
    _certificates(c.derive(name, "decompressed", plain, [Origin(0, len(plain), source, False)]), session)


def _certificate_verify(c: Cursor, session: dict[str, Any]) -> None:
    version = session.get("version", 0)
    fits = not version and c.remaining >= 4 and c.peek_uint(2, 2) + 4 == c.remaining  # no ServerHello was seen
    if session.get("tls13") or version >= SCHEME_SINCE or fits:
        c.uint("tls.handshake.sig_hash_alg", 2)
    c.octets("tls.handshake.client_cert_vrfy.sig", c.uint("tls.handshake.client_cert_vrfy.sig_len", 2))


# --- key exchange up to TLS 1.2; its form follows from the cipher suite


def _exchange(session: dict[str, Any]) -> str:
    """`ECDHE_RSA` of TLS_ECDHE_RSA_WITH_…; an empty text where the suite was not seen."""
    return CIPHER_SUITES.get(session.get("suite", -1), "").removeprefix("TLS_").partition("_WITH_")[0]


def _server_key_exchange(c: Cursor, session: dict[str, Any]) -> None:
    exchange = _exchange(session)
    if "PSK" in exchange:
        _vector(c, "hint", 2)
    if exchange.startswith("ECDHE") or exchange == "ECDH_anon":
        if c.uint("tls.handshake.server_curve_type", 1) != 3:
            return  # explicit curves, which RFC 8422 has forbidden
        curve = c.uint("tls.handshake.server_named_curve", 2)
        _vector(c, "server_point", 1)
        c.layer.summary += f"  {GROUPS.get(curve, hex(curve))}"
    elif exchange.startswith(("DHE", "DH_anon")):
        bits = len(_vector(c, "p", 2).lstrip(b"\0")) * 8
        _vector(c, "g", 2)
        _vector(c, "ys", 2)
        c.layer.summary += f"  Diffie-Hellman, {bits} bits"
    elif exchange.startswith("RSA_EXPORT"):
        _vector(c, "modulus", 2)
        _vector(c, "exponent", 2)
    else:
        return
    if "anon" not in exchange and "PSK" not in exchange and c.remaining:
        if session.get("version", 0) >= SCHEME_SINCE:
            c.uint("tls.handshake.sig_hash_alg", 2)
        _vector(c, "sig", 2)


def _client_key_exchange(c: Cursor, session: dict[str, Any]) -> None:
    exchange = _exchange(session)
    if "PSK" in exchange:
        _vector(c, "identity", 2)
    if exchange.startswith("ECDH"):
        if c.remaining:
            _vector(c, "client_point", 1)
    elif exchange.startswith("DH"):
        if c.remaining:
            _vector(c, "yc", 2)
    elif exchange.startswith("RSA"):
        if session.get("version") == 0x0300:  # SSL 3.0 leaves the length out
            c.octets("tls.handshake.epms", c.remaining)
        else:
            _vector(c, "epms", 2)


# --- what ends the handshake, and what comes after it


def _finished(c: Cursor, session: dict[str, Any]) -> None:
    c.octets("tls.handshake.verify_data", c.remaining)


def _new_session_ticket(c: Cursor, session: dict[str, Any]) -> None:
    seconds = c.uint("tls.handshake.session_ticket_lifetime_hint", 4)
    tls13 = bool(session.get("tls13"))
    if tls13:
        c.uint("tls.handshake.session_ticket_age_add", 4)
        if size := c.uint("tls.handshake.session_ticket_nonce_length", 1):
            c.octets("tls.handshake.session_ticket_nonce", size)
    if size := c.uint("tls.handshake.session_ticket_length", 2):
        c.octets("tls.handshake.session_ticket", size)
    if tls13:
        extensions.extensions(c, extensions.NEW_SESSION_TICKET)
    c.layer.summary += f"  for {seconds:,} seconds" if seconds else ""


def _key_update(c: Cursor, session: dict[str, Any]) -> None:
    c.uint("tls.handshake.key_update.request_update", 1)


_READERS = {
    1: _client_hello, 2: _server_hello, 4: _new_session_ticket, 6: _retry_request, 8: _encrypted_extensions,
    11: _certificates, 12: _server_key_exchange, 13: _certificate_request, 15: _certificate_verify, 16: _client_key_exchange,
    20: _finished, 22: _certificate_status, 24: _key_update, 25: _compressed_certificate,
}  # fmt: skip

PROTOCOL = Protocol(
    "tls.handshake", "TLS handshake", 5, FIELDS, dissect, keys={"tls.content": [22]}, parser=Handshake, explain=explain,
    reference="RFC 8446, 4", carries=False,
)  # fmt: skip
