"""Record protection: what opens a record, one class a kind of cipher (RFC 5246, 6.2.3; RFC 7366; RFC 8446, 5.2).

Nothing is kept between records but the stream cipher's place: any record can be opened again at any time.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import new
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from inspector.core.secrecy import Opened, Opener, Sealed
from inspector.secrets.schedule import expand_label
from inspector.secrets.suites import Mode, Suite

HIDDEN = 23  # the outer type of every protected record of TLS 1.3
_SKIP = 1 << 20  # bytes of key stream thrown away at a time

_BLOCK_CIPHERS: dict[str, Callable[[bytes], Any]] = {
    "AES": algorithms.AES,
    "CAMELLIA": decrepit.Camellia,
    "3DES": decrepit.TripleDES,
    "SEED": decrepit.SEED,
    "IDEA": decrepit.IDEA,
}


def _aead(suite: Suite, key: bytes) -> Any:
    if suite.cipher.startswith("CHACHA20"):
        return ChaCha20Poly1305(key)
    return AESGCM(key) if suite.cipher.endswith("GCM") else AESCCM(key, tag_length=suite.tag)


def _counted(iv: bytes, sequence: int) -> bytes:
    """The IV with the sequence number laid over its end (RFC 8446, 5.3; RFC 7905, 2)."""
    return (int.from_bytes(iv, "big") ^ sequence).to_bytes(len(iv), "big")


class Traffic:
    """TLS 1.3: everything follows from one traffic secret (RFC 8446, 7.3). The content's type stands behind it, then zeros."""

    leading = 0
    chained = False

    def __init__(self, suite: Suite, secret: bytes, source: str) -> None:
        self.cipher = suite.cipher
        self.source = source
        self.trailing = suite.tag
        self.overhead = suite.tag + 1
        self._suite = suite
        self._secret = secret
        self._iv = expand_label(suite.mac, secret, b"iv", 12)
        self._key = _aead(suite, expand_label(suite.mac, secret, b"key", suite.key))

    def nonce(self, record: Sealed) -> bytes:
        return _counted(self._iv, record.sequence)

    def open(self, record: Sealed) -> Opened | None:
        if record.header[0] != HIDDEN or len(record.body) < self.overhead:
            return None
        try:
            data = self._key.decrypt(self.nonce(record), record.body, record.header)
        except InvalidTag:
            return None
        inner = data.rstrip(b"\0") if data[-1] == 0 else data
        return Opened(inner[-1], data, len(inner) - 1) if inner else None  # all zeros: no type, which is no record

    def following(self) -> Opener:
        secret = expand_label(self._suite.mac, self._secret, b"traffic upd", len(self._secret))
        return Traffic(self._suite, secret, f"{self.source}, updated")


class Connection:
    """TLS 1.0 to 1.2: the keys of one direction, cut from the key block. master: where they come from, for resumption."""

    def __init__(self, suite: Suite, version: int, source: str, master: bytes, mac_key: bytes, key: bytes, iv: bytes) -> None:
        self.cipher = suite.cipher
        self.source = source
        self.master = master
        self.leading = self.trailing = self.overhead = 0
        self.chained = False
        self.mac_size = new(suite.mac, usedforsecurity=False).digest_size if suite.mode is not Mode.AEAD else 0
        self._suite = suite
        self._version = version
        self._mac_key = mac_key
        self._key = key
        self._iv = iv

    def following(self) -> None:
        return None

    def nonce(self, record: Sealed) -> bytes:
        return b""

    def open(self, record: Sealed) -> Opened | None:
        raise NotImplementedError

    def _counted_header(self, record: Sealed, size: int) -> bytes:
        """Sequence number, type, version and length: what is authenticated in front of the content (RFC 5246, 6.2.3.1)."""
        return record.sequence.to_bytes(8, "big") + record.header[:3] + size.to_bytes(2, "big")

    def _mac(self, record: Sealed, content: bytes) -> bytes:
        return hmac.digest(self._mac_key, self._counted_header(record, len(content)) + content, self._suite.mac)

    def _checked(self, record: Sealed, data: bytes, size: int) -> Opened | None:
        """`data` is content, MAC and padding; the MAC decides."""
        if size < 0 or not hmac.compare_digest(self._mac(record, data[:size]), data[size : size + self.mac_size]):
            return None
        return Opened(record.header[0], data, size, self.mac_size)


class Aead(Connection):
    """GCM and CCM with an explicit part of the nonce (RFC 5288, 3; RFC 6655, 3); ChaCha20-Poly1305 without (RFC 7905, 2)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._cipher = _aead(self._suite, self._key)
        self.leading = 12 - len(self._iv)
        self.trailing = self._suite.tag
        self.overhead = self.leading + self.trailing

    def nonce(self, record: Sealed) -> bytes:
        if not self.leading:
            return _counted(self._iv, record.sequence)
        return self._iv + record.body[: self.leading]

    def open(self, record: Sealed) -> Opened | None:
        size = len(record.body) - self.overhead
        if size < 0:
            return None
        try:
            header = self._counted_header(record, size)
            data = self._cipher.decrypt(self.nonce(record), record.body[self.leading :], header)
        except InvalidTag:
            return None
        return Opened(record.header[0], data, size)


class Cbc(Connection):
    """Block ciphers: MAC, then padding, then encryption (RFC 5246, 6.2.3.2). In TLS 1.0 the last block of the record before
    is the IV; later every record brings its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        family = self._suite.cipher.partition("_")[0]
        self._algorithm = _BLOCK_CIPHERS[family](self._key)
        self.leading = self._suite.block if self._version >= 0x0302 else 0
        self.chained = not self.leading
        self.overhead = self.leading + self.mac_size + 1
        self._before = 0  # bytes between the last block and the record's end

    def nonce(self, record: Sealed) -> bytes:
        if self.leading:
            return record.body[: self.leading]
        if record.sequence == 0:
            return self._iv
        stop = len(record.prior) - self._before
        return record.prior[max(stop - self._suite.block, 0) : stop]

    def _decrypt(self, record: Sealed, stop: int) -> bytes | None:
        iv, ciphertext = self.nonce(record), record.body[self.leading : stop]
        block = self._suite.block
        if len(iv) != block or not ciphertext or len(ciphertext) % block:
            return None
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        return bytes(decryptor.update(ciphertext) + decryptor.finalize())

    def open(self, record: Sealed) -> Opened | None:
        data = self._decrypt(record, len(record.body))
        if data is None:
            return None
        padding = data[-1] + 1
        if data[-padding:] != bytes((data[-1],)) * padding:
            return None
        return self._checked(record, data, len(data) - padding - self.mac_size)


class CbcThenMac(Cbc):
    """Encrypt-then-MAC (RFC 7366): the MAC is over what was encrypted, and stands behind it in clear."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.trailing = self._before = self.mac_size

    def open(self, record: Sealed) -> Opened | None:
        stop = len(record.body) - self.mac_size
        if stop <= 0 or not hmac.compare_digest(self._mac(record, record.body[:stop]), record.body[stop:]):
            return None
        data = self._decrypt(record, stop)
        if data is None or data[-1] >= len(data):
            return None
        return Opened(record.header[0], data, len(data) - data[-1] - 1)


class Plain(Connection):
    """The NULL cipher: the content and its MAC, both in clear."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.overhead = self.mac_size

    def open(self, record: Sealed) -> Opened | None:
        return self._checked(record, record.body, len(record.body) - self.mac_size)


class Stream(Plain):
    """RC4: one key stream over all records. Going back means starting it anew."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lock = Lock()
        self._at = 0
        self._stream: Any = None

    def open(self, record: Sealed) -> Opened | None:
        if record.position < 0:
            return None
        with self._lock:
            if self._stream is None or self._at > record.position:
                self._stream, self._at = Cipher(decrepit.ARC4(self._key), None).decryptor(), 0
            while self._at < record.position:
                step = min(record.position - self._at, _SKIP)
                self._stream.update(bytes(step))
                self._at += step
            data = self._stream.update(record.body)
            self._at += len(record.body)
        return self._checked(record, data, len(data) - self.mac_size)


def connection(
    suite: Suite, version: int, encrypt_then_mac: bool, source: str, master: bytes, mac_key: bytes, key: bytes, iv: bytes
) -> Connection:
    """The protection of one direction of TLS 1.0 to 1.2."""
    kinds: dict[Mode, type[Connection]] = {Mode.AEAD: Aead, Mode.CBC: Cbc, Mode.STREAM: Stream, Mode.NULL: Plain}
    kind = CbcThenMac if encrypt_then_mac and suite.mode is Mode.CBC else kinds[suite.mode]
    return kind(suite, version, source, master, mac_key, key, iv)
