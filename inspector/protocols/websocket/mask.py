"""Masking (RFC 6455, 5.3)."""

from __future__ import annotations


def unmask(data: bytes, key: bytes) -> bytes:
    """Octet i of the payload is octet i of the data XOR octet i mod 4 of the key."""
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
