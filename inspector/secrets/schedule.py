"""Key schedules: the PRF of TLS 1.0 to 1.2 (RFC 2246, 5; RFC 5246, 5) and the HKDF of TLS 1.3 (RFC 8446, 7.1)."""

from __future__ import annotations

import hmac
from hashlib import md5, new, sha1

MASTER = 48  # bytes of a master secret


def p_hash(name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """The data expansion function (RFC 5246, 5)."""
    found, block = b"", seed
    while len(found) < size:
        block = hmac.digest(secret, block, name)
        found += hmac.digest(secret, block + seed, name)
    return found[:size]


def prf(version: int, name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """The PRF; `name` is the suite's hash, which only TLS 1.2 asks for."""
    if version >= 0x0303:
        return p_hash(name, secret, label + seed, size)
    half = (len(secret) + 1) // 2  # RFC 2246, 5: the two halves share a byte where the length is odd
    left = p_hash("md5", secret[:half], label + seed, size)
    right = p_hash("sha1", secret[len(secret) - half :], label + seed, size)
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def master_secret(version: int, name: str, premaster: bytes, randoms: bytes, transcript: bytes) -> bytes:
    """The master secret. transcript: the handshake's messages where the extended one was agreed (RFC 7627, 4), else empty;
    randoms: the client's, then the server's (RFC 5246, 8.1)."""
    if not transcript:
        return prf(version, name, premaster, b"master secret", randoms, MASTER)
    if version >= 0x0303:
        seen = new(name, transcript).digest()
    else:
        seen = md5(transcript, usedforsecurity=False).digest() + sha1(transcript, usedforsecurity=False).digest()
    return prf(version, name, premaster, b"extended master secret", seen, MASTER)


def key_block(version: int, name: str, master: bytes, server_random: bytes, client_random: bytes, size: int) -> bytes:
    """The bytes that keys and IVs are cut from (RFC 5246, 6.3)."""
    return prf(version, name, master, b"key expansion", server_random + client_random, size)


def expand_label(name: str, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446, 7.1)."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes((len(full),)) + full + b"\0"
    found, block, count = b"", b"", 1
    while len(found) < size:
        block = hmac.digest(secret, block + info + bytes((count,)), name)
        found += block
        count += 1
    return found[:size]
