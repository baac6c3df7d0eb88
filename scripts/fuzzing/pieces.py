"""What two ends say, as bytes that a fuzzer can change: each piece behind one byte of how it is said and two of its length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def join(said: Iterable[tuple[int, bytes]]) -> bytes:
    """What is said, as bytes. how: whose it is (bit 0), and what a target makes of the other bits."""
    return b"".join(bytes([how]) + len(data).to_bytes(2, "big") + data for how, data in said)


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The pieces in any bytes: how each is said, and what; the last one may be shorter than it claims."""
    at = 0
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        yield data[at], data[at + 3 : at + 3 + size]
        at += 3 + size
