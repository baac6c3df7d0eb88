"""TLS handshake messages (RFC 8446, 4; RFC 5246, 7.4; extensions RFC 6066, 7301 and the IANA registry).

One unit a message. The JA3 and JA4 fingerprints are worked out from the ClientHello as their authors describe them.
Not here: what the extensions that are shown as bytes mean.
"""

from __future__ import annotations

import hashlib
from typing import Any

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, octets, string, u8, u16, u24, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Protocol
from inspector.core.stream import Ended, Reader, Steps, StreamParser
from inspector.protocols.encodings.der import certificate_serial
from inspector.protocols.tls.names import CIPHER_SUITES, EXTENSIONS, GROUPS, SIGNATURES
from inspector.protocols.tls.record import HELLO_RETRY, VERSIONS

MESSAGES = {
    0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 3: "HelloVerifyRequest", 4: "NewSessionTicket", 5: "EndOfEarlyData",
    8: "EncryptedExtensions", 11: "Certificate", 12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone",
    15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished", 21: "CertificateURL", 22: "CertificateStatus",
    23: "SupplementalData", 24: "KeyUpdate", 25: "CompressedCertificate", 254: "MessageHash",
}  # fmt: skip
MAX_MESSAGE = 1 << 20  # bytes of a handshake message: certificate chains stay far below
SERVER_NAME, STATUS, SUPPORTED_GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS, ALPN = 0, 5, 10, 11, 13, 16
SUPPORTED_VERSIONS, PSK_MODES, KEY_SHARE = 43, 45, 51

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
    u16("tls.handshake.extensions_length", "Extensions length"),
    heading("tls.handshake.extension", "Extension"),
    u16("tls.handshake.extension.type", "Type", values=EXTENSIONS),
    u16("tls.handshake.extension.len", "Length"),
    octets("tls.handshake.extension.data", "Data"),
    u16("tls.handshake.extensions_server_name_list_len", "List length"),
    u8("tls.handshake.extensions_server_name_type", "Name type"),
    u16("tls.handshake.extensions_server_name_len", "Name length"),
    string("tls.handshake.extensions_server_name", "Server name (SNI)"),
    u16("tls.handshake.extensions_alpn_len", "List length"),
    u8("tls.handshake.extensions_alpn_str_len", "Length"),
    string("tls.handshake.extensions_alpn_str", "Application protocol (ALPN)"),
    u8("tls.handshake.extensions.supported_versions_len", "List length"),
    u16("tls.handshake.extensions.supported_version", "Supported version", Base.HEX, VERSIONS),
    u16("tls.handshake.extensions_supported_groups_length", "List length"),
    u16("tls.handshake.extensions_supported_group", "Supported group", Base.HEX, GROUPS),
    u8("tls.handshake.extensions_ec_point_formats_length", "List length"),
    u8("tls.handshake.extensions_ec_point_format", "Point format", values={0: "uncompressed"}),
    u16("tls.handshake.sig_hash_alg_len", "List length"),
    u16("tls.handshake.sig_hash_alg", "Signature scheme", Base.HEX, SIGNATURES),
    u16("tls.handshake.extensions_key_share_client_length", "List length"),
    u16("tls.handshake.extensions_key_share_group", "Key share group", values=GROUPS),
    u16("tls.handshake.extensions_key_share_key_exchange_length", "Key length"),
    octets("tls.handshake.extensions_key_share_key_exchange", "Key"),
    u16("tls.handshake.extensions_key_share_selected_group", "Selected group", values=GROUPS),
    u8("tls.extension.psk_ke_modes_length", "List length"),
    u8("tls.extension.psk_ke_mode", "Key exchange mode", values={0: "PSK only", 1: "PSK with (EC)DHE"}),
    u32("tls.handshake.session_ticket_lifetime_hint", "Lifetime"),
    u16("tls.handshake.session_ticket_length", "Ticket length"),
    octets("tls.handshake.session_ticket", "Ticket"),
    u24("tls.handshake.certificates_length", "Certificates length"),
    u24("tls.handshake.certificate_length", "Certificate length"),
    octets("tls.handshake.certificate", "Certificate"),
    string("x509ce.subject", "Subject"),
    string("x509ce.issuer", "Issuer"),
    string("x509ce.validity", "Valid"),
    string("x509ce.dNSName", "Names"),
    octets("x509af.serialNumber", "Serial number"),
    u8("tls.handshake.server_curve_type", "Curve type", Base.HEX, {3: "named curve"}),
    u16("tls.handshake.server_named_curve", "Named curve", Base.HEX, GROUPS),
    u8("tls.handshake.server_point_len", "Public key length"),
    octets("tls.handshake.server_point", "Public key"),
    u16("tls.handshake.sig_len", "Signature length"),
    octets("tls.handshake.sig", "Signature"),
    octets("tls.handshake.body", "Contents"),
    string("tls.handshake.ja3_full", "JA3 string"),
    string("tls.handshake.ja3", "JA3 fingerprint"),
    string("tls.handshake.ja3s_full", "JA3S string"),
    string("tls.handshake.ja3s", "JA3S fingerprint"),
    string("tls.handshake.ja4", "JA4 fingerprint"),
)


class Handshake(StreamParser):
    """The messages inside the handshake records of one direction."""

    protocol = "tls.handshake"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        while (yield from reader.some()):  # behind a gap the record parser goes on only where a message begins
            start = reader.pos
            try:
                head = yield from reader.read(4)
                length = int.from_bytes(head[1:], "big")
                if head[0] not in MESSAGES or length > MAX_MESSAGE:
                    return
                yield from reader.skip(length)
            except Ended:
                self.node.emit("message", reader, start, reader.arrived, complete=False)
                reader.pos = reader.arrived
                return
            self.node.emit("message", reader, start, reader.pos, {"tls": dict(self.node.info.get("tls", {}))})


def dissect(c: Cursor) -> None:
    kind = c.uint("tls.handshake.type", 1)
    length = c.uint("tls.handshake.length", 3)
    c.layer.summary = MESSAGES.get(kind, f"message {kind}")
    with c.within(length):
        if kind in (1, 2):
            _hello(c, client=kind == 1)
        elif kind == 11:
            _certificates(c, bool(c.context.info.get("tls", {}).get("tls13")))
        elif kind == 4 and not c.context.info.get("tls", {}).get("tls13"):
            c.uint("tls.handshake.session_ticket_lifetime_hint", 4)
            c.octets("tls.handshake.session_ticket", c.uint("tls.handshake.session_ticket_length", 2))
        elif kind == 12:
            _server_key_exchange(c, c.context.info.get("tls", {}))
        if c.remaining:
            c.octets("tls.handshake.body", c.remaining)


def _server_key_exchange(c: Cursor, session: dict[str, Any]) -> None:
    """The server's elliptic-curve share and its signature (RFC 8422, 5.4); other kinds are left as bytes."""
    suite = CIPHER_SUITES.get(session.get("suite", -1), "")
    if not suite.startswith(("TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_")) or c.peek(1) != b"\x03":
        return
    c.uint("tls.handshake.server_curve_type", 1)
    c.uint("tls.handshake.server_named_curve", 2)
    c.octets("tls.handshake.server_point", c.uint("tls.handshake.server_point_len", 1))
    if session.get("version", 0) >= 0x0303:  # before TLS 1.2 the algorithm follows from the certificate
        c.uint("tls.handshake.sig_hash_alg", 2)
    c.octets("tls.handshake.sig", c.uint("tls.handshake.sig_len", 2))


def _hello(c: Cursor, client: bool) -> None:
    version = c.uint("tls.handshake.version", 2)
    random = c.octets("tls.handshake.random", 32)
    if random == HELLO_RETRY:
        c.layer.summary = "HelloRetryRequest"
    size = c.uint("tls.handshake.session_id_length", 1)
    if size:
        c.octets("tls.handshake.session_id", size)
    suites: list[int] = []
    if client:
        with c.within(c.uint("tls.handshake.cipher_suites_length", 2)), c.group("tls.handshake.ciphersuites") as group:
            while c.remaining:
                suites.append(c.uint("tls.handshake.ciphersuite", 2, text=_grease(c.peek_uint(2))))
            group.text = f"{len(suites)} offered"
        for _ in range(c.uint("tls.handshake.comp_methods_length", 1)):
            c.uint("tls.handshake.comp_method", 1)
    else:
        suites.append(c.uint("tls.handshake.ciphersuite", 2))
        c.uint("tls.handshake.comp_method", 1)
    extensions: list[int] = []
    if c.remaining:
        with c.within(c.uint("tls.handshake.extensions_length", 2)):
            while c.remaining:
                extensions.append(_extension(c, client))
    words = [str(field.value) for field in c.layer.walk() if field.name == "tls.handshake.extensions_server_name"]
    alpn = [str(field.value) for field in c.layer.walk() if field.name == "tls.handshake.extensions_alpn_str"]
    versions = [field.value for field in c.layer.walk() if field.name == "tls.handshake.extensions.supported_version"]
    if words:
        c.layer.summary += f"  SNI {words[0]}"
    if not client:
        best = versions[0] if versions else version
        c.layer.summary += f"  {VERSIONS.get(best, hex(best))}  {CIPHER_SUITES.get(suites[0], hex(suites[0]))}"
    if alpn:
        c.layer.summary += f"  ALPN {', '.join(alpn)}"
    _fingerprints(c, client, version, suites, extensions, versions, alpn)


def _grease(value: int) -> str | None:
    """Values that a client offers only to keep servers from choking on unknown ones (RFC 8701)."""
    return f"GREASE (0x{value:04x})" if value & 0x0F0F == 0x0A0A and value >> 8 == value & 255 else None


def _extension(c: Cursor, client: bool) -> int:
    with c.group("tls.handshake.extension") as group:
        kind = c.uint("tls.handshake.extension.type", 2, text=_grease(c.peek_uint(2)))
        group.text = _grease(kind) or EXTENSIONS.get(kind, f"type {kind}")
        size = c.uint("tls.handshake.extension.len", 2)
        with c.within(size):
            if size:
                _contents(c, kind, client)
            if c.remaining:
                c.octets("tls.handshake.extension.data", c.remaining)
    return kind


def _list(c: Cursor, length: str, size: int, item: str, width: int) -> None:
    with c.within(c.uint(length, size)):
        while c.remaining:
            c.uint(item, width, text=_grease(c.peek_uint(width)) if width == 2 else None)


def _contents(c: Cursor, kind: int, client: bool) -> None:
    prefix = "tls.handshake.extensions"
    if kind == SERVER_NAME:
        with c.within(c.uint(f"{prefix}_server_name_list_len", 2)):
            while c.remaining:
                c.uint(f"{prefix}_server_name_type", 1)
                c.string(f"{prefix}_server_name", c.uint(f"{prefix}_server_name_len", 2))
    elif kind == ALPN:
        with c.within(c.uint(f"{prefix}_alpn_len", 2)):
            while c.remaining:
                c.string(f"{prefix}_alpn_str", c.uint(f"{prefix}_alpn_str_len", 1))
    elif kind == SUPPORTED_VERSIONS:
        if client:
            _list(c, f"{prefix}.supported_versions_len", 1, f"{prefix}.supported_version", 2)
        else:
            c.uint(f"{prefix}.supported_version", 2)
    elif kind == SUPPORTED_GROUPS:
        _list(c, f"{prefix}_supported_groups_length", 2, f"{prefix}_supported_group", 2)
    elif kind == POINT_FORMATS:
        _list(c, f"{prefix}_ec_point_formats_length", 1, f"{prefix}_ec_point_format", 1)
    elif kind == SIGNATURE_ALGORITHMS:
        _list(c, "tls.handshake.sig_hash_alg_len", 2, "tls.handshake.sig_hash_alg", 2)
    elif kind == PSK_MODES:
        _list(c, "tls.extension.psk_ke_modes_length", 1, "tls.extension.psk_ke_mode", 1)
    elif kind == KEY_SHARE:
        _key_share(c, client)


def _key_share(c: Cursor, client: bool) -> None:
    prefix = "tls.handshake.extensions_key_share"
    if client:
        with c.within(c.uint(f"{prefix}_client_length", 2)):
            while c.remaining:
                _entry(c, prefix)
    elif c.remaining == 2:
        c.uint(f"{prefix}_selected_group", 2)
    else:
        _entry(c, prefix)


def _entry(c: Cursor, prefix: str) -> None:
    c.uint(f"{prefix}_group", 2, text=_grease(c.peek_uint(2)))
    c.octets(f"{prefix}_key_exchange", c.uint(f"{prefix}_key_exchange_length", 2))


def _certificates(c: Cursor, tls13: bool) -> None:
    if tls13:
        c.octets("tls.handshake.body", c.remaining)
        return
    first = True
    with c.within(c.uint("tls.handshake.certificates_length", 3)):
        while c.remaining:
            size = c.uint("tls.handshake.certificate_length", 3)
            data = c.octets("tls.handshake.certificate", size)
            field = c.last
            found = _certificate(c, data, field.span.start)
            field.text = found or f"{size:,} bytes"
            if first and found:
                c.layer.summary = f"Certificate  {found}"
            first = False


def _certificate(c: Cursor, data: bytes, start: int) -> str:
    """What a certificate says, by the `cryptography` library; an empty text for one that it cannot read."""
    from cryptography import x509

    span = c.span(start, start + len(data))
    serial = certificate_serial(data)
    if serial is not None:
        c.add("x509af.serialNumber", data[serial.begin : serial.stop], start + serial.begin, start + serial.stop)
    try:
        found = x509.load_der_x509_certificate(data)
        subject, issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
        c.generated("x509ce.subject", subject, span)
        c.generated("x509ce.issuer", issuer, span)
        begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
        c.generated("x509ce.validity", f"{begins:%Y-%m-%d} to {ends:%Y-%m-%d}", span)
        packet = c.context.packet
        if packet is not None and not begins.timestamp() <= packet.time_ns / 1e9 <= ends.timestamp():
            text = f"not valid when this was captured: valid {begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
            c.issue("certificate-validity", text, Severity.WARNING, span)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        c.generated("x509ce.dNSName", ", ".join(names), span)
    except (
        ValueError,
        OverflowError,
        TypeError,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ):
        found_subject = c.layer.find("x509ce.subject")
        return str(found_subject.value) if found_subject is not None else ""
    return subject


def _fingerprints(
    c: Cursor, client: bool, version: int, suites: list[int], extensions: list[int], versions: list[int], alpn: list[str]
) -> None:
    def plain(values: list[int]) -> list[int]:
        return [value for value in values if _grease(value) is None]

    def values(name: str) -> list[int]:
        return plain([field.value for field in c.layer.walk() if field.name == name])

    own = plain(extensions)
    if client:
        groups = values("tls.handshake.extensions_supported_group")
        formats = [field.value for field in c.layer.walk() if field.name == "tls.handshake.extensions_ec_point_format"]
        parts: list[list[Any]] = [[version], plain(suites), own, groups, formats]
        name = "ja3"
    else:
        parts = [[version], suites, extensions]
        name = "ja3s"
    text = ",".join("-".join(map(str, part)) for part in parts)
    c.generated(f"tls.handshake.{name}_full", text)
    c.generated(f"tls.handshake.{name}", hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    if not client:
        return
    best = max(plain(versions), default=version)
    word = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}.get(best, "00")
    ciphers = sorted(f"{value:04x}" for value in plain(suites))
    sorted_extensions = ",".join(sorted(f"{value:04x}" for value in own if value not in (SERVER_NAME, ALPN)))
    schemes = ",".join(f"{value:04x}" for value in values("tls.handshake.sig_hash_alg"))
    first = alpn[0] if alpn else ""
    ends = first[0] + first[-1] if first and first[0].isalnum() and first[-1].isalnum() else "00"
    head = f"t{word}{'d' if SERVER_NAME in own else 'i'}{min(len(ciphers), 99):02}{min(len(own), 99):02}{ends}"
    tail = f"{sorted_extensions}_{schemes}" if schemes else sorted_extensions
    c.generated("tls.handshake.ja4", f"{head}_{_short(','.join(ciphers))}_{_short(tail)}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def explain(layer: Layer) -> list[Note]:
    kind = layer.value("tls.handshake.type")
    whys = {
        1: ("the offer", "The client names what it can do, and already sends its key share in TLS 1.3.", "RFC 8446, 4.1.2"),
        2: (
            "the choice",
            "The server chooses one cipher suite; its key share lets both sides derive the keys.",
            "RFC 8446, 4.1.3",
        ),
        11: ("who I am", "The certificate binds the server's name to its key; the client checks the chain.", "RFC 8446, 4.4.2"),
        12: ("key exchange", "The server's share of the key exchange, signed with the certificate's key.", "RFC 5246, 7.4.3"),
        14: ("your turn", "The server has sent its flight and waits for the client's.", "RFC 5246, 7.4.5"),
        16: ("key exchange", "The client's share: from here on both sides can derive the keys.", "RFC 5246, 7.4.7"),
        4: ("a ticket", "With it the client can resume this session later.", "RFC 5077, 3.3; RFC 8446, 4.6.1"),
    }
    found = []
    if kind in whys:
        title, why, reference = whys[kind]
        found.append(Note(layer.span, title, why, reference))
    name = layer.find("tls.handshake.extensions_server_name")
    if name is not None:
        why = "The name goes in clear, because the server must know which certificate to show before there are keys."
        found.append(Note(name.span, "server name", why, "RFC 6066, 3"))
    return found


PROTOCOL = Protocol(
    "tls.handshake", "TLS handshake", 5, FIELDS, dissect, keys={"tls.content": [22]}, parser=Handshake, explain=explain,
    reference="RFC 8446, 4",
)  # fmt: skip
