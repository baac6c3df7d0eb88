"""TLS extensions (RFC 8446, 4.2; RFC 6066; the IANA registry "TLS ExtensionType Values"): what each says, in each message.

An extension has another form in each message that may carry it (RFC 8446, 4.2, has the table). Not here: what an encrypted
ClientHello hides; extensions that are not listed, which stay bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, octets, oid, string, u8, u16, u24, u32
from inspector.core.layer import Severity
from inspector.protocols.encodings import der, ocsp, x509
from inspector.protocols.tls import sct, transport_parameters
from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
from inspector.protocols.tls.names import EXTENSIONS, GROUPS, SIGNATURES
from inspector.protocols.tls.wire import VERSIONS

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_REQUEST = 1, 2, 4, 8, 11, 13
HELLO_RETRY_REQUEST = 6  # its number in drafts of TLS 1.3; now a ServerHello with a certain random (RFC 8446, 4.1.3)
SERVER_NAME, ALPN = 0, 16
FRAGMENT_LENGTHS = {1: "512 bytes", 2: "1,024 bytes", 3: "2,048 bytes", 4: "4,096 bytes"}
CERTIFICATE_TYPES = {0: "X.509", 1: "OpenPGP", 2: "Raw Public Key", 3: "1609Dot2"}
COMPRESSIONS = {1: "zlib", 2: "brotli", 3: "zstd"}
PSK_MODES = {0: "PSK only", 1: "PSK with (EC)DHE"}
POINT_FORMATS = {0: "uncompressed", 1: "ansiX962_compressed_prime", 2: "ansiX962_compressed_char2"}
KDFS = {1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512"}
AEADS = {1: "AES-128-GCM", 2: "AES-256-GCM", 3: "ChaCha20Poly1305"}

_E = "tls.handshake.extensions"
FIELDS = catalog(
    u16("tls.handshake.extensions_length", "Extensions length"),
    heading("tls.handshake.extension", "Extension"),
    u16("tls.handshake.extension.type", "Type", values=EXTENSIONS),
    u16("tls.handshake.extension.len", "Length"),
    octets("tls.handshake.extension.data", "Data"),
    u16(f"{_E}_server_name_list_len", "List length"),
    u8(f"{_E}_server_name_type", "Name type", values={0: "host name"}),
    u16(f"{_E}_server_name_len", "Name length"),
    string(f"{_E}_server_name", "Server name (SNI)"),
    u8("tls.handshake.max_fragment_length", "Maximum fragment length", values=FRAGMENT_LENGTHS),
    u8(f"{_E}_status_request_type", "Status type", values={1: "OCSP", 2: "OCSP, several"}),
    u16(f"{_E}_status_request_list_len", "List length"),
    u16(f"{_E}_status_request_len", "Length"),
    u16(f"{_E}_status_request_responder_ids_len", "Responder ids length"),
    octets(f"{_E}_status_request_responder_ids", "Responder ids"),
    u16(f"{_E}_status_request_exts_len", "Request extensions length"),
    octets(f"{_E}_status_request_exts", "Request extensions"),
    u24("tls.handshake.ocsp_response_list_len", "OCSP responses length"),
    u24("tls.handshake.ocsp_response_len", "OCSP response length"),
    heading("tls.handshake.ocsp_response", "OCSP response"),
    u16(f"{_E}_supported_groups_length", "List length"),
    u16(f"{_E}_supported_group", "Supported group", Base.HEX, GROUPS),
    u8(f"{_E}_ec_point_formats_length", "List length"),
    u8(f"{_E}_ec_point_format", "Point format", values=POINT_FORMATS),
    u8(f"{_E}_srp_len", "Name length"),
    string(f"{_E}_srp_username", "SRP user"),
    u16("tls.handshake.sig_hash_alg_len", "List length"),
    u16("tls.handshake.sig_hash_alg", "Signature scheme", Base.HEX, SIGNATURES),
    u8("tls.handshake.extension.heartbeat.mode", "Heartbeats", values={1: "peer may send", 2: "peer must not send"}),
    u16(f"{_E}_alpn_len", "List length"),
    u8(f"{_E}_alpn_str_len", "Length"),
    string(f"{_E}_alpn_str", "Application protocol (ALPN)"),
    u8(f"{_E}_npn_str_len", "Length"),
    string(f"{_E}_npn", "Next protocol (NPN)"),
    u8("tls.handshake.cert_type.types_len", "List length"),
    u8("tls.handshake.cert_type.type", "Certificate type", Base.HEX, CERTIFICATE_TYPES),
    octets(f"{_E}_padding_data", "Padding"),
    u8("tls.compress_certificate.algorithms_length", "List length"),
    u16("tls.compress_certificate.algorithm", "Compression", values=COMPRESSIONS),
    u16("tls.record_size_limit", "Longest record"),
    u32("tls.handshake.cred.valid_time", "Valid for, seconds from the certificate's begin"),
    u24("tls.handshake.cred.pubkey_len", "Public key length"),
    octets("tls.handshake.cred.pubkey", "Public key"),
    u16("tls.handshake.cred.signature_len", "Signature length"),
    octets("tls.handshake.cred.signature", "Signature"),
    u16(f"{_E}.psk.identities.length", "Identities length"),
    heading(f"{_E}.psk.identity", "Identity"),
    u16(f"{_E}.psk.identity.identity_length", "Length"),
    octets(f"{_E}.psk.identity.identity", "Identity"),
    u32(f"{_E}.psk.identity.obfuscated_ticket_age", "Obfuscated ticket age"),
    u16(f"{_E}.psk.binders_len", "Binders length"),
    u8(f"{_E}.psk.binder_len", "Binder length"),
    octets(f"{_E}.psk.binders", "Binder"),
    u16(f"{_E}.psk.identity.selected", "Selected identity"),
    u32("tls.early_data.max_early_data_size", "Most early data"),
    u8(f"{_E}.supported_versions_len", "List length"),
    u16(f"{_E}.supported_version", "Supported version", Base.HEX, VERSIONS),
    u16(f"{_E}.cookie_len", "Cookie length"),
    octets(f"{_E}.cookie", "Cookie"),
    u8("tls.extension.psk_ke_modes_length", "List length"),
    u8("tls.extension.psk_ke_mode", "Key exchange mode", values=PSK_MODES),
    u16("tls.handshake.dnames_len", "Names length"),
    u16("tls.handshake.dname_len", "Name length"),
    heading("tls.handshake.dname", "Distinguished name"),
    u16("tls.extension.oid_filters_length", "Filters length"),
    u8("tls.extension.oid_filters.oid_length", "Length"),
    oid("tls.extension.oid_filters.oid", "Certificate extension"),
    u16("tls.extension.oid_filters.values_length", "Values length"),
    octets("tls.extension.oid_filters.values", "Values"),
    u16(f"{_E}_key_share_client_length", "List length"),
    heading(f"{_E}_key_share_entry", "Key share"),
    u16(f"{_E}_key_share_group", "Group", values=GROUPS),
    u16(f"{_E}_key_share_key_exchange_length", "Key length"),
    octets(f"{_E}_key_share_key_exchange", "Key"),
    u16(f"{_E}_key_share_selected_group", "Selected group", values=GROUPS),
    u16(f"{_E}_alps_len", "List length"),
    u8(f"{_E}_alps_alpn_str_len", "Length"),
    string(f"{_E}_alps_alpn_str", "Protocol with settings (ALPS)"),
    octets(f"{_E}_alps.settings", "Settings"),
    u8(f"{_E}_reneg_info_len", "Length"),
    octets(f"{_E}_reneg_info", "Finished messages of before"),
    u16("tls.esni.suite", "Cipher suite", Base.HEX, CIPHER_SUITES),
    u16("tls.esni.record_digest_length", "Digest length"),
    octets("tls.esni.record_digest", "Digest of the key record"),
    u16("tls.esni.encrypted_sni_length", "Length"),
    octets("tls.esni.encrypted_sni", "Encrypted server name"),
    u8("tls.ech.client_hello_type", "ClientHello", values={0: "outer", 1: "inner"}),
    u16("tls.ech.kdf", "KDF", values=KDFS),
    u16("tls.ech.aead", "AEAD", values=AEADS),
    u8("tls.ech.config_id", "Config id"),
    u16("tls.ech.enc_length", "Length"),
    octets("tls.ech.enc", "Encapsulated key"),
    u16("tls.ech.payload_length", "Length"),
    octets("tls.ech.payload", "Encrypted ClientHello"),
    octets("tls.ech.confirmation", "Confirmation"),
    octets("tls.ech.retry_configs", "Configs to try again with"),
    *sct.FIELDS.values(),
    *transport_parameters.FIELDS.values(),
    *x509.FIELDS.values(),
    *ocsp.FIELDS.values(),
)


def grease(value: int) -> str | None:
    """Values that a client offers only to keep servers from choking on unknown ones (RFC 8701)."""
    return f"GREASE (0x{value:04x})" if value & 0x0F0F == 0x0A0A and value >> 8 == value & 255 else None


def extensions(c: Cursor, message: int) -> list[int]:
    """The extensions of a handshake message (its type), with their length in front; returns their types in order."""
    found: list[int] = []
    with c.within(c.uint("tls.handshake.extensions_length", 2)):
        while c.remaining:
            found.append(_extension(c, message))
    for kind in {kind for kind in found if found.count(kind) > 1}:
        c.issue("duplicate-extension", f"the extension {EXTENSIONS.get(kind, kind)} occurs more than once (RFC 8446, 4.2)")
    return found


def _extension(c: Cursor, message: int) -> int:
    with c.group("tls.handshake.extension") as group:
        kind = c.uint("tls.handshake.extension.type", 2, text=grease(c.peek_uint(2)))
        group.text = grease(kind) or EXTENSIONS.get(kind, f"type {kind}")
        size = c.uint("tls.handshake.extension.len", 2)
        with c.within(size):
            read = _READERS.get(kind)
            if size and read is not None:
                read(c, message)
            if c.remaining:
                c.octets("tls.handshake.extension.data", c.remaining)
    return kind


def values(c: Cursor, length: str, size: int, item: str, width: int) -> None:
    """A list of numbers of `width` bytes, its length (of `size` bytes) in front."""
    with c.within(c.uint(length, size)):
        while c.remaining:
            c.uint(item, width, text=grease(c.peek_uint(width)) if width == 2 else None)


def _strings(c: Cursor, length: str, size: str, item: str) -> None:
    with c.within(c.uint(length, 2)):
        while c.remaining:
            c.string(item, c.uint(size, 1))


def _vector(c: Cursor, length: str, size: int, item: str) -> None:
    """Bytes with their length in front; none where the length is 0."""
    if octets_ := c.uint(length, size):
        c.octets(item, octets_)


def status(c: Cursor) -> str:
    """The status of a certificate (RFC 6066, 8; RFC 6961, 2.2): the OCSP responses that the server has fetched itself."""
    kind = c.uint(f"{_E}_status_request_type", 1)
    if kind == 1:
        return _response(c)
    words = []
    if kind == 2:
        with c.within(c.uint("tls.handshake.ocsp_response_list_len", 3)):
            while c.remaining:
                words.append(_response(c))
    return ", ".join(words)


def _response(c: Cursor) -> str:
    size = c.uint("tls.handshake.ocsp_response_len", 3)
    with c.group("tls.handshake.ocsp_response") as group, c.within(size):
        group.text = ocsp.response(c, sct.timestamps) if size else "none"
        c.skip(c.remaining)
    return group.text


def names(c: Cursor) -> None:
    """Distinguished names of authorities (RFC 8446, 4.2.4; RFC 5246, 7.4.4)."""
    with c.within(c.uint("tls.handshake.dnames_len", 2)):
        while c.remaining:
            with c.within(c.uint("tls.handshake.dname_len", 2)):
                start = c.pos
                try:
                    x509.name(c, "tls.handshake.dname")
                except der.NotDer:
                    c.issue("certificate", "not a name in DER (RFC 5280, 4.1.2.4)", Severity.WARNING, c.span(start, c.stop))
                c.skip(c.remaining)


# --- one reader an extension; each is given the message that carries it


def _server_name(c: Cursor, message: int) -> None:
    with c.within(c.uint(f"{_E}_server_name_list_len", 2)):
        while c.remaining:
            c.uint(f"{_E}_server_name_type", 1)
            c.string(f"{_E}_server_name", c.uint(f"{_E}_server_name_len", 2))


def _max_fragment_length(c: Cursor, message: int) -> None:
    c.uint("tls.handshake.max_fragment_length", 1)


def _status_request(c: Cursor, message: int) -> None:
    if message == CERTIFICATE:
        status(c)
        return
    c.uint(f"{_E}_status_request_type", 1)
    _vector(c, f"{_E}_status_request_responder_ids_len", 2, f"{_E}_status_request_responder_ids")
    _vector(c, f"{_E}_status_request_exts_len", 2, f"{_E}_status_request_exts")


def _status_request_v2(c: Cursor, message: int) -> None:
    with c.within(c.uint(f"{_E}_status_request_list_len", 2)):
        while c.remaining:
            c.uint(f"{_E}_status_request_type", 1)
            with c.within(c.uint(f"{_E}_status_request_len", 2)):
                _vector(c, f"{_E}_status_request_responder_ids_len", 2, f"{_E}_status_request_responder_ids")
                _vector(c, f"{_E}_status_request_exts_len", 2, f"{_E}_status_request_exts")


def _supported_groups(c: Cursor, message: int) -> None:
    values(c, f"{_E}_supported_groups_length", 2, f"{_E}_supported_group", 2)


def _point_formats(c: Cursor, message: int) -> None:
    values(c, f"{_E}_ec_point_formats_length", 1, f"{_E}_ec_point_format", 1)


def _srp(c: Cursor, message: int) -> None:
    c.string(f"{_E}_srp_username", c.uint(f"{_E}_srp_len", 1))


def signature_algorithms(c: Cursor, message: int) -> None:
    values(c, "tls.handshake.sig_hash_alg_len", 2, "tls.handshake.sig_hash_alg", 2)


def _heartbeat(c: Cursor, message: int) -> None:
    c.uint("tls.handshake.extension.heartbeat.mode", 1)


def _alpn(c: Cursor, message: int) -> None:
    _strings(c, f"{_E}_alpn_len", f"{_E}_alpn_str_len", f"{_E}_alpn_str")


def _npn(c: Cursor, message: int) -> None:
    while c.remaining:
        c.string(f"{_E}_npn", c.uint(f"{_E}_npn_str_len", 1))


def _timestamps(c: Cursor, message: int) -> None:
    sct.timestamps(c)


def _certificate_type(c: Cursor, message: int) -> None:
    if message == CLIENT_HELLO:
        values(c, "tls.handshake.cert_type.types_len", 1, "tls.handshake.cert_type.type", 1)
    else:
        c.uint("tls.handshake.cert_type.type", 1)


def _padding(c: Cursor, message: int) -> None:
    c.octets(f"{_E}_padding_data", c.remaining)


def _compress_certificate(c: Cursor, message: int) -> None:
    values(c, "tls.compress_certificate.algorithms_length", 1, "tls.compress_certificate.algorithm", 2)


def _record_size_limit(c: Cursor, message: int) -> None:
    c.uint("tls.record_size_limit", 2)


def _delegated_credentials(c: Cursor, message: int) -> None:
    """RFC 9345, 4: which schemes may sign with a delegated key; in the Certificate, the credential."""
    if message != CERTIFICATE:
        signature_algorithms(c, message)
        return
    c.uint("tls.handshake.cred.valid_time", 4)
    c.uint("tls.handshake.sig_hash_alg", 2)
    _vector(c, "tls.handshake.cred.pubkey_len", 3, "tls.handshake.cred.pubkey")
    c.uint("tls.handshake.sig_hash_alg", 2)
    _vector(c, "tls.handshake.cred.signature_len", 2, "tls.handshake.cred.signature")


def _pre_shared_key(c: Cursor, message: int) -> None:
    if message != CLIENT_HELLO:
        c.uint(f"{_E}.psk.identity.selected", 2)
        return
    with c.within(c.uint(f"{_E}.psk.identities.length", 2)):
        while c.remaining:
            with c.group(f"{_E}.psk.identity"):
                c.octets(f"{_E}.psk.identity.identity", c.uint(f"{_E}.psk.identity.identity_length", 2))
                c.uint(f"{_E}.psk.identity.obfuscated_ticket_age", 4)
    with c.within(c.uint(f"{_E}.psk.binders_len", 2)):
        while c.remaining:
            c.octets(f"{_E}.psk.binders", c.uint(f"{_E}.psk.binder_len", 1))


def _early_data(c: Cursor, message: int) -> None:
    if message == NEW_SESSION_TICKET:
        c.uint("tls.early_data.max_early_data_size", 4)


def _supported_versions(c: Cursor, message: int) -> None:
    if message == CLIENT_HELLO:
        values(c, f"{_E}.supported_versions_len", 1, f"{_E}.supported_version", 2)
    else:
        c.uint(f"{_E}.supported_version", 2)


def _cookie(c: Cursor, message: int) -> None:
    _vector(c, f"{_E}.cookie_len", 2, f"{_E}.cookie")


def _psk_modes(c: Cursor, message: int) -> None:
    values(c, "tls.extension.psk_ke_modes_length", 1, "tls.extension.psk_ke_mode", 1)


def _authorities(c: Cursor, message: int) -> None:
    names(c)


def _oid_filters(c: Cursor, message: int) -> None:
    with c.within(c.uint("tls.extension.oid_filters_length", 2)):
        while c.remaining:
            with c.within(c.uint("tls.extension.oid_filters.oid_length", 1)):
                start, tag = c.pos, der.tag(c)
                try:
                    if tag == der.OID:
                        der.oid(c, "tls.extension.oid_filters.oid", x509.OIDS)
                except der.NotDer:
                    c.issue("oid-filter", "not an object identifier in DER", Severity.WARNING, c.span(start, c.stop))
                c.skip(c.remaining)
            _vector(c, "tls.extension.oid_filters.values_length", 2, "tls.extension.oid_filters.values")


def _key_share(c: Cursor, message: int) -> None:
    if message == CLIENT_HELLO:
        with c.within(c.uint(f"{_E}_key_share_client_length", 2)):
            while c.remaining:
                _share(c)
    elif c.remaining == 2:
        c.uint(f"{_E}_key_share_selected_group", 2)
    else:
        _share(c)


def _share(c: Cursor) -> None:
    with c.group(f"{_E}_key_share_entry") as group:
        chosen = c.peek_uint(2)
        group.text = grease(chosen) or GROUPS.get(chosen, f"group {chosen}")
        c.uint(f"{_E}_key_share_group", 2, text=grease(chosen))
        _vector(c, f"{_E}_key_share_key_exchange_length", 2, f"{_E}_key_share_key_exchange")


def _settings(c: Cursor, message: int) -> None:
    if message == CLIENT_HELLO:
        _strings(c, f"{_E}_alps_len", f"{_E}_alps_alpn_str_len", f"{_E}_alps_alpn_str")
    else:
        c.octets(f"{_E}_alps.settings", c.remaining)


def _renegotiation_info(c: Cursor, message: int) -> None:
    _vector(c, f"{_E}_reneg_info_len", 1, f"{_E}_reneg_info")


def _esni(c: Cursor, message: int) -> None:
    """The encrypted server name of draft-ietf-tls-esni-01 to 05, which Encrypted ClientHello has replaced."""
    if message != CLIENT_HELLO:
        return
    c.uint("tls.esni.suite", 2)
    _share(c)
    _vector(c, "tls.esni.record_digest_length", 2, "tls.esni.record_digest")
    _vector(c, "tls.esni.encrypted_sni_length", 2, "tls.esni.encrypted_sni")


def _ech(c: Cursor, message: int) -> None:
    """Encrypted ClientHello (RFC 9849, 5): this hello is the outer one, and the true one is inside."""
    if message == CLIENT_HELLO:
        if c.uint("tls.ech.client_hello_type", 1) == 0:
            c.uint("tls.ech.kdf", 2)
            c.uint("tls.ech.aead", 2)
            c.uint("tls.ech.config_id", 1)
            _vector(c, "tls.ech.enc_length", 2, "tls.ech.enc")
            _vector(c, "tls.ech.payload_length", 2, "tls.ech.payload")
    else:
        name = "tls.ech.retry_configs" if message == ENCRYPTED_EXTENSIONS else "tls.ech.confirmation"
        c.octets(name, c.remaining)


def _transport_parameters(c: Cursor, message: int) -> None:
    transport_parameters.parameters(c)


_READERS: dict[int, Callable[[Cursor, int], None]] = {
    SERVER_NAME: _server_name, 1: _max_fragment_length, 5: _status_request, 10: _supported_groups, 11: _point_formats, 12: _srp,
    13: signature_algorithms, 15: _heartbeat, ALPN: _alpn, 17: _status_request_v2, 18: _timestamps, 19: _certificate_type,
    20: _certificate_type, 21: _padding, 27: _compress_certificate, 28: _record_size_limit, 34: _delegated_credentials,
    40: _key_share, 41: _pre_shared_key, 42: _early_data, 43: _supported_versions, 44: _cookie, 45: _psk_modes,
    47: _authorities, 48: _oid_filters, 50: signature_algorithms, 51: _key_share, 57: _transport_parameters, 13172: _npn,
    17513: _settings, 17613: _settings, 65281: _renegotiation_info, 0xFE0D: _ech, 0xFFA5: _transport_parameters, 0xFFCE: _esni,
}  # fmt: skip
