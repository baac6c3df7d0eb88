"""TLS conversations for tests: recorded from OpenSSL in memory, and scripted ones for what OpenSSL does not do here.

The scripted side protects records with code of its own, so that it cannot share a mistake with what it tests.
"""

from __future__ import annotations

import hmac
import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.x509.oid import NameOID
from talk import C, S, Step

from inspector.secrets.keylog import KeyLog
from inspector.secrets.keyring import FlowKeys, Keyring

NO_EXTENDED_MASTER_SECRET, NO_ENCRYPT_THEN_MAC = 1 << 0, 1 << 19  # OpenSSL's SSL_OP_…, which `ssl` has no names for
REQUEST = b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def keys(log: str, flow: int = 0) -> FlowKeys:
    """The keys of a key log's text."""
    return Keyring(KeyLog(None, lambda: [log.encode()])).of(flow)


@cache
def certificate() -> Path:
    """A self-signed certificate and its key in one file."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(77)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9)).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = Path(mkdtemp()) / "both.pem"
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(plain + made.public_bytes(pem))
    return path


@dataclass
class Recorded:
    """steps: what went over the wire; log: the key log; session: for resuming."""

    steps: list[Step]
    log: str
    session: Any
    cipher: str
    version: str
    server: Any = field(repr=False, default=None)


def record(
    ciphers: str = "",
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    options: int = 0,
    alpn: Sequence[str] = ("http/1.1",),
    talk: Sequence[Step] = ((C, REQUEST), (S, RESPONSE)),
    resume: Recorded | None = None,
    curve: str = "",
) -> Recorded:
    """A conversation of OpenSSL's client with its server. resume: one whose session the client comes back with."""
    path = Path(mkdtemp()) / "keys"
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if resume is not None:
        client, server = resume.server
    else:
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        server.load_cert_chain(certificate())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for context in (client, server):
                context.minimum_version = context.maximum_version = version
                if ciphers:
                    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
                context.options |= options
                if alpn:
                    context.set_alpn_protocols(list(alpn))
        if curve:
            server.set_ecdh_curve(curve)
    client.keylog_filename = str(path)
    wire = [[ssl.MemoryBIO(), ssl.MemoryBIO()] for _ in (C, S)]  # incoming and outgoing of each
    ends = [
        client.wrap_bio(*wire[C], server_hostname="a.test", session=resume.session if resume else None),
        server.wrap_bio(*wire[S], server_side=True),
    ]
    steps: list[Step] = []

    def carry(direction: int) -> bool:
        data = wire[direction][1].read()
        if data:
            steps.append((direction, data))
            wire[1 - direction][0].write(data)
        return bool(data)

    open_ends = {C, S}
    while open_ends:
        for direction in (C, S):
            try:
                if direction in open_ends:
                    ends[direction].do_handshake()
                    open_ends.discard(direction)
            except ssl.SSLWantReadError:
                pass
            carry(direction)
    for direction, data in talk:
        ends[direction].write(data)
        carry(direction)
        while len(data) > 0:
            try:
                data = data[len(ends[1 - direction].read(1 << 16)) :]
            except ssl.SSLWantReadError:
                break
    for direction in (C, S):
        with suppress(ssl.SSLWantReadError, ssl.SSLError):
            ends[direction].unwrap()
        carry(direction)
    cipher, spoken, _ = ends[C].cipher() or ("", "", 0)
    log = path.read_text()
    return Recorded(steps, log, ends[C].session, cipher, ends[C].version() or spoken, (client, server))


# --- scripted TLS 1.3


def expand(name: str, secret: bytes, label: bytes, size: int) -> bytes:
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[name]
    info = size.to_bytes(2, "big") + bytes((6 + len(label),)) + b"tls13 " + label + b"\0"
    return HKDFExpand(algorithm, size, info).derive(secret)


AEADS: dict[int, tuple[str, int, Any]] = {
    0x1301: ("sha256", 16, AESGCM),
    0x1302: ("sha384", 32, AESGCM),
    0x1303: ("sha256", 32, ChaCha20Poly1305),
    0x1304: ("sha256", 16, AESCCM),
    0x1305: ("sha256", 16, lambda key: AESCCM(key, tag_length=8)),
}


class Sealer:
    """Protects the records of one direction of TLS 1.3 (RFC 8446, 5.2)."""

    def __init__(self, suite: int, secret: bytes) -> None:
        self.name, size, make = AEADS[suite]
        self.suite = suite
        self.secret = secret
        self.aead = make(expand(self.name, secret, b"key", size))
        self.iv = expand(self.name, secret, b"iv", 12)
        self.sequence = 0

    def __call__(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        inner = content + bytes((kind,)) + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + (8 if self.suite == 0x1305 else 16)).to_bytes(2, "big")
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.sequence.to_bytes(12, "big"), strict=True))
        self.sequence += 1
        return header + bytes(self.aead.encrypt(nonce, inner, header))

    def updated(self) -> Sealer:
        return Sealer(self.suite, expand(self.name, self.secret, b"traffic upd", len(self.secret)))


def plain(kind: int, body: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes = b"") -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def extension(kind: int, body: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def block(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(2, "big") + body


CLIENT_RANDOM, SERVER_RANDOM = b"\xc1" * 32, b"\x5e" * 32
CCS = plain(20, b"\1")
KEY_UPDATE = message(24, b"\0")
END_OF_EARLY_DATA, FINISHED = message(5), message(20, bytes(32))


def client_hello(suites: Sequence[int], *extensions: bytes, random: bytes = CLIENT_RANDOM, session: bytes = b"") -> bytes:
    listed = block(*(suite.to_bytes(2, "big") for suite in suites))
    return message(1, b"\3\3" + random + bytes((len(session),)) + session + listed + b"\1\0" + block(*extensions))


def server_hello(suite: int, *extensions: bytes, random: bytes = SERVER_RANDOM, session: bytes = b"") -> bytes:
    chosen = suite.to_bytes(2, "big") + b"\0"
    return message(2, b"\3\3" + random + bytes((len(session),)) + session + chosen + block(*extensions))


VERSIONS, CHOSEN = extension(43, b"\x02\x03\x04"), extension(43, b"\3\4")
LABELS = {
    "early": "CLIENT_EARLY_TRAFFIC_SECRET",
    "client handshake": "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "server handshake": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "client": "CLIENT_TRAFFIC_SECRET_0",
    "server": "SERVER_TRAFFIC_SECRET_0",
}


class Script:
    """A scripted conversation in TLS 1.3: `script["client"](23, data)` seals a record under those keys."""

    def __init__(self, suite: int = 0x1301) -> None:
        self.suite = suite
        size = 48 if suite == 0x1302 else 32
        self.secrets = {name: bytes((at + 1,)) * size for at, name in enumerate(LABELS)}
        self._sealers = {name: Sealer(suite, secret) for name, secret in self.secrets.items()}

    def __getitem__(self, name: str) -> Sealer:
        return self._sealers[name]

    def log(self, *without: str) -> str:
        """The key log, all secrets or all but those named."""
        given = {name: secret for name, secret in self.secrets.items() if name not in without}
        return "".join(f"{LABELS[name]} {CLIENT_RANDOM.hex()} {secret.hex()}\n" for name, secret in given.items())

    def keys(self, *without: str) -> FlowKeys:
        return keys(self.log(*without))

    def opening(self, *offers: bytes, alpn: bytes = b"") -> list[Step]:
        """Hellos and both Finished."""
        encrypted = message(8, block(*([extension(16, block(bytes((len(alpn),)) + alpn))] if alpn else [])))
        return [
            (C, plain(22, client_hello([self.suite], VERSIONS, *offers))),
            (S, plain(22, server_hello(self.suite, CHOSEN)) + CCS + self["server handshake"](22, encrypted + FINISHED)),
            (C, CCS + self["client handshake"](22, FINISHED)),
        ]


# --- scripted TLS 1.2 and before


def old_prf(version: int, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """The PRF with SHA-256, or with MD5 and SHA-1 before TLS 1.2 (RFC 5246, 5; RFC 2246, 5)."""

    def stretch(name: str, key: bytes) -> bytes:
        out, a = b"", label + seed
        while len(out) < size:
            a = hmac.new(key, a, name).digest()
            out += hmac.new(key, a + label + seed, name).digest()
        return out[:size]

    if version >= 0x0303:
        return stretch("sha256", secret)
    half = (len(secret) + 1) // 2
    pair = stretch("md5", secret[:half]), stretch("sha1", secret[-half:])
    return bytes(a ^ b for a, b in zip(*pair, strict=True))
