"""What a cipher suite's name says of record protection: the names are regular, TLS_<exchange>_WITH_<cipher>_<hash>."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import NamedTuple


class Mode(Enum):
    """How a suite protects a record (RFC 5246, 6.2.3)."""

    NULL = "NULL"
    STREAM = "stream"
    CBC = "CBC"
    AEAD = "AEAD"


class Suite(NamedTuple):
    """cipher: as the name writes it; mode; key, iv: sizes of the keys and of what the key block gives of the IV (in AEAD the
    fixed part of the nonce); block: of a CBC cipher; tag: of an AEAD; mac, prf: hashes by `hashlib`'s names."""

    cipher: str
    mode: Mode
    key: int
    iv: int
    block: int
    tag: int
    mac: str
    prf: str
    rsa: bool  # the premaster secret crosses the wire under the server's RSA key


_CBC = {
    "AES_128_CBC": (16, 16), "AES_256_CBC": (32, 16), "CAMELLIA_128_CBC": (16, 16), "CAMELLIA_256_CBC": (32, 16),
    "3DES_EDE_CBC": (24, 8), "SEED_CBC": (16, 16), "IDEA_CBC": (16, 8),
}  # fmt: skip
_AEAD = {
    "AES_128_GCM": (16, 4, 16), "AES_256_GCM": (32, 4, 16), "AES_128_CCM": (16, 4, 16), "AES_256_CCM": (32, 4, 16),
    "AES_128_CCM_8": (16, 4, 8), "AES_256_CCM_8": (32, 4, 8), "CHACHA20_POLY1305": (32, 12, 16),
}  # fmt: skip
_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


@cache
def suite(name: str) -> Suite | None:
    """A suite by its registered name; None for one whose cipher is not known here."""
    exchange, with_, rest = name.removeprefix("TLS_").rpartition("_WITH_")
    cipher, _, word = rest.rpartition("_")
    if word not in _HASHES:  # the CCM suites of TLS 1.2 name no hash (RFC 6655, 3)
        cipher, word = rest, "SHA256"
    mac = _HASHES[word]
    prf = "sha384" if mac == "sha384" else "sha256"
    rsa = exchange == "RSA"
    if cipher in _AEAD:
        key, iv, tag = _AEAD[cipher]
        return Suite(cipher, Mode.AEAD, key, iv if with_ else 12, 0, tag, mac, prf, rsa)
    if not with_:
        return None
    if cipher in _CBC:
        key, block = _CBC[cipher]
        return Suite(cipher, Mode.CBC, key, block, block, 0, mac, prf, rsa)
    if cipher == "RC4_128":
        return Suite(cipher, Mode.STREAM, 16, 0, 0, 0, mac, prf, rsa)
    if cipher == "NULL":
        return Suite(cipher, Mode.NULL, 0, 0, 0, 0, mac, prf, rsa)
    return None
