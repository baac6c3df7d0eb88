"""The Internet checksum (RFC 1071)."""

from __future__ import annotations


def ones_complement_sum(data: bytes, start: int = 0) -> int:
    """The 16-bit one's complement sum of `data`, an odd last byte padded with zero. A valid header sums to 0xffff.

    The whole of the data as one big number is congruent to the sum of its 16-bit words modulo 0xffff, and
    Python's long division is quicker than any loop over words.
    """
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big") + start
    return total % 0xFFFF or (0xFFFF if total else 0)


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What TCP, UDP and ICMPv6 sum before their own bytes (RFC 9293, 3.1; RFC 8200, 8.1)."""
    if len(source) == 4:
        return source + destination + bytes((0, protocol)) + length.to_bytes(2, "big")
    return source + destination + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))
