"""Encrypted connections whose plaintext the fuzzer chooses: what is behind a session's keys is as hostile as what is not.

The keys are fixed and known, so every piece is sealed into records that open. Byte 0 chooses the suite, byte 1 what the hellos
settled; then come pieces, each behind three bytes: how (the bits below) and its length.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from fuzzing.pieces import join, split

if TYPE_CHECKING:
    from inspector.core.secrecy import Keys

SERVER, KIND, CHANGE, PADDED, CLEAR, LOST = 1, 6, 8, 16, 64, 128  # bits of `how`
KINDS = (23, 22, 21, 20)  # application data, handshake, alert, ChangeCipherSpec
PROTOCOLS = ("", "h2", "http/1.1", "http/1.0", "postgresql")  # what ALPN may settle
CLIENT_RANDOM, SERVER_RANDOM, MASTER, SESSION = b"\xc1" * 32, b"\x5e" * 32, b"\x4d" * 48, b"\x5a" * 32

Said = tuple[int, bytes]  # by whom (SERVER, LOST), and the bytes of a segment


class Way(NamedTuple):
    """How a connection was agreed on. open: the handshake is over; otherwise its protected part is the fuzzer's too."""

    suite: int
    alpn: str
    open: bool
    early: bool  # the client offers early data
    encrypt_then_mac: bool
    extended: bool  # an extended master secret


def message(kind: int, body: bytes = b"") -> bytes:
    """A handshake message (RFC 8446, 4)."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def extension(kind: int, body: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + sized(body)


def sized(*parts: bytes) -> bytes:
    """Behind their length in two bytes."""
    body = b"".join(parts)
    return len(body).to_bytes(2, "big") + body


def record(kind: int, body: bytes) -> bytes:
    """A record in clear (RFC 8446, 5.1)."""
    return bytes((kind, 3, 3)) + sized(body)


def alpn(name: str) -> bytes:
    return extension(16, sized(bytes((len(name),)) + name.encode())) if name else b""


def client_hello(suites: list[int], *extensions: bytes) -> bytes:
    listed = sized(*(suite.to_bytes(2, "big") for suite in suites))
    return message(1, b"\3\3" + CLIENT_RANDOM + b"\x20" + SESSION + listed + b"\1\0" + sized(*extensions))


def server_hello(suite: int, *extensions: bytes) -> bytes:
    return message(2, b"\3\3" + SERVER_RANDOM + b"\x20" + SESSION + suite.to_bytes(2, "big") + b"\0" + sized(*extensions))


def way(suites: tuple[int, ...], data: bytes) -> Way:
    """What the first two bytes choose."""
    how = data[1]
    name = PROTOCOLS[(how & 7) % len(PROTOCOLS)]
    return Way(suites[data[0] % len(suites)], name, not how & 8, bool(how & 16), bool(how & 32), bool(how & 64))


def chosen(*pieces: tuple[int, bytes], suite: int = 0, how: int = 0) -> bytes:
    """An input: what the fuzzer starts from."""
    return bytes((suite, how)) + join(pieces)


def aead(cipher: str, tag: int, key: bytes) -> Any:
    if cipher.startswith("CHACHA20"):
        return ChaCha20Poly1305(key)
    return AESGCM(key) if cipher.endswith("GCM") else AESCCM(key, tag_length=tag)


def records(data: bytes, sealers: Sequence[Sealer13] | Sequence[Sealer12], padding: int) -> Iterator[Said]:
    """The pieces of an input behind its first two bytes, in records. sealers: of the client and of the server; padding: of the
    records that are padded."""
    for how, piece in split(data[2:]):
        sealer, kind = sealers[how & SERVER], KINDS[(how & KIND) >> 1]
        yield how & (SERVER | LOST), piece if how & CLEAR else sealer.seal(kind, piece, padding if how & PADDED else 0)
        if how & CHANGE:
            sealer.change()


# --- TLS 1.3

SUITES_13 = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)
LABELS = (
    "CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0",
)  # fmt: skip
FINISHED, KEY_UPDATE, HELLO_REQUEST = message(20, bytes(32)), message(24, b"\0"), message(0)
TICKET = message(4, bytes(8) + b"\1\0" + sized(b"ticket") + sized(extension(42, bytes(4))))


class Sealer13:
    """Protects the records of one direction (RFC 8446, 5.2). secrets: those that it changes to, one after the other."""

    def __init__(self, suite: int, *secrets: bytes) -> None:
        from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
        from inspector.secrets.schedule import expand_label
        from inspector.secrets.suites import suite as named

        found = named(CIPHER_SUITES[suite])
        assert found is not None
        self._expand, self._suite, self._secrets = expand_label, found, list(secrets)
        self._secret = b""
        self.change()

    def change(self) -> None:
        """The next keys: of the next secret, or of the updated one (RFC 8446, 7.2)."""
        mac, old = self._suite.mac, self._secret
        self._secret = self._secrets.pop(0) if self._secrets else self._expand(mac, old, b"traffic upd", len(old))
        self._key = aead(self._suite.cipher, self._suite.tag, self._expand(mac, self._secret, b"key", self._suite.key))
        self._iv = int.from_bytes(self._expand(mac, self._secret, b"iv", 12), "big")
        self._sequence = 0

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        inner = content + bytes((kind,)) + bytes(padding)
        header = b"\x17\3\3" + (len(inner) + self._suite.tag).to_bytes(2, "big")
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        return header + bytes(self._key.encrypt(nonce, inner, header))


def tls13(data: bytes) -> tuple[list[Said], str]:
    """What goes over the wire, and the key log that opens it."""
    found = way(SUITES_13, data)
    size = 48 if found.suite == 0x1302 else 32
    secrets = [bytes((at + 1,)) * size for at in range(len(LABELS))]
    log = "".join(f"{label} {CLIENT_RANDOM.hex()} {secret.hex()}\n" for label, secret in zip(LABELS, secrets, strict=True))
    offers = [extension(43, b"\2\3\4"), alpn(found.alpn), extension(42) if found.early else b""]
    first = secrets[:1] if found.early and not found.open else []
    sealers = Sealer13(found.suite, *first, secrets[1], secrets[3]), Sealer13(found.suite, secrets[2], secrets[4])
    said: list[Said] = [(0, record(22, client_hello([found.suite], *offers)))]
    said.append((SERVER, record(22, server_hello(found.suite, extension(43, b"\3\4"))) + record(20, b"\1")))
    if found.open:
        said.append((SERVER, sealers[1].seal(22, message(8, sized(alpn(found.alpn))) + FINISHED)))
        said.append((0, sealers[0].seal(22, FINISHED)))
        for sealer in sealers:
            sealer.change()
    return [*said, *records(data, sealers, 9)], log


# --- TLS 1.0 to 1.2

SUITES_12 = (0xC02F, 0xCCA8, 0xC030, 0xC013, 0xC028, 0x009C, 0xC09C, 0x0005, 0x0002, 0x000A, 0x0041)
DONE = message(14)


class Sealer12:
    """Protects the records of one direction (RFC 5246, 6.2.3; RFC 7366; RFC 7905)."""

    def __init__(self, found: Way, master: bytes, client: bool) -> None:
        from inspector.protocols.tls.cipher_suites import CIPHER_SUITES
        from inspector.secrets.suites import suite as named

        suite = named(CIPHER_SUITES[found.suite])
        assert suite is not None
        self._suite, self._way, self._master, self._client = suite, found, master, client
        self.change()

    def change(self) -> None:
        """The keys after a ChangeCipherSpec: the same once more."""
        from inspector.secrets.schedule import key_block
        from inspector.secrets.suites import Mode

        suite = self._suite
        mac = hmac.digest(b"", b"", suite.mac) if suite.mode is not Mode.AEAD else b""
        cut = [len(mac), len(mac), suite.key, suite.key, suite.iv, suite.iv]
        block = key_block(0x0303, suite.prf, self._master, SERVER_RANDOM, CLIENT_RANDOM, sum(cut))
        parts = [block[sum(cut[:at]) : sum(cut[: at + 1])] for at in range(6)][0 if self._client else 1 :: 2]
        self._mac_key, key, self._iv = parts
        self._sequence = 0
        self._cipher: Any = None
        if suite.mode is Mode.AEAD:
            self._cipher = aead(suite.cipher, suite.tag, key)
        elif suite.mode is Mode.CBC:
            ciphers: dict[str, Any] = {"AES": algorithms.AES, "3DES": decrepit.TripleDES, "CAMELLIA": decrepit.Camellia}
            self._cipher = ciphers[suite.cipher.partition("_")[0]](key)
        elif suite.mode is Mode.STREAM:
            self._cipher = Cipher(decrepit.ARC4(key), None).encryptor()

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        from inspector.secrets.suites import Mode

        suite, mode = self._suite, self._suite.mode
        number, head = self._sequence.to_bytes(8, "big"), bytes((kind, 3, 3))
        self._sequence += 1
        if mode is Mode.AEAD:
            explicit = number if len(self._iv) < 12 else b""
            nonce = self._iv + explicit if explicit else (int.from_bytes(self._iv, "big") ^ int.from_bytes(number, "big"))
            nonce = nonce if isinstance(nonce, bytes) else nonce.to_bytes(12, "big")
            return head + sized(explicit, bytes(self._cipher.encrypt(nonce, content, number + head + sized(content)[:2])))
        if mode is Mode.CBC and self._way.encrypt_then_mac:
            body = self._blocks(content, padding)
            return head + sized(body, hmac.digest(self._mac_key, number + head + sized(body), suite.mac))
        data = content + hmac.digest(self._mac_key, number + head + sized(content), suite.mac)
        if mode is Mode.CBC:
            return head + sized(self._blocks(data, padding))
        return head + sized(self._cipher.update(data) if mode is Mode.STREAM else data)

    def _blocks(self, data: bytes, padding: int) -> bytes:
        size = self._suite.block
        short = size - len(data) % size + padding // size * size
        iv = bytes(size)
        encryptor = Cipher(self._cipher, modes.CBC(iv)).encryptor()
        return iv + bytes(encryptor.update(data + bytes((short - 1,)) * short) + encryptor.finalize())


def tls12(data: bytes) -> tuple[list[Said], str]:
    """What goes over the wire, and the key log that opens it."""
    found = way(SUITES_12, data)
    log = f"CLIENT_RANDOM {CLIENT_RANDOM.hex()} {MASTER.hex()}\n"
    agreed = [alpn(found.alpn), extension(22) if found.encrypt_then_mac else b"", extension(23) if found.extended else b""]
    sealers = Sealer12(found, MASTER, True), Sealer12(found, MASTER, False)
    said: list[Said] = [(0, record(22, client_hello([found.suite], *agreed, extension(35))))]
    said.append((SERVER, record(22, server_hello(found.suite, *agreed, extension(35)) + DONE)))
    said.append((0, record(22, message(16, sized(b"exchange"))) + record(20, b"\1")))
    said.append((SERVER, record(22, message(4, bytes(4) + sized(b"ticket"))) + record(20, b"\1")))
    if found.open:
        said += [(end, sealer.seal(22, message(20, bytes(12)))) for end, sealer in enumerate(sealers)]
    return [*said, *records(data, sealers, 32)], log


def keys(log: bytes) -> Keys:
    """What a key log gives a conversation."""
    from inspector.secrets.keylog import KeyLog
    from inspector.secrets.keyring import Keyring

    return Keyring(KeyLog(None, lambda: [log])).of(0)


def seeds(spoken: list[bytes]) -> Iterator[bytes]:
    """Inputs to begin with. spoken: what connections in clear say, as the targets of streams read it."""
    opening = [(0, message(8, sized(alpn("h2"))) + FINISHED), (1, FINISHED)]
    later = [(KIND & 2 | SERVER, TICKET), (KIND & 2 | SERVER | CHANGE, KEY_UPDATE), (KIND & 2 | CHANGE, KEY_UPDATE)]
    for suite in range(len(SUITES_12)):
        yield chosen(*later, (0, b"GET / HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 204 No\r\n\r\n"), (5, b"\1\0"), suite=suite, how=2)
        yield chosen(*((bits | 2 | CHANGE, data) for bits, data in opening), suite=suite, how=8 | 32)
    yield chosen((0, b"GET /early HTTP/1.1\r\n\r\n"), (2 | CHANGE, message(5)), (3 | CHANGE, FINISHED), how=8 | 16)
    again = client_hello([0xC02F]), server_hello(0xC02F) + DONE
    yield chosen((3, HELLO_REQUEST), (2, again[0]), (3, again[1]), (6 | CHANGE, b"\1"), (7 | CHANGE, b"\1"), (0, b"GET / "))
    for at, one in enumerate(spoken):
        yield bytes((at % 5, 1 if b"PRI * HTTP/2" in one else 0)) + one
