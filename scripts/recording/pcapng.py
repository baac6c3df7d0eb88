"""Rewrites what dumpcap recorded: the packets as they are, nothing of the machine that recorded them, our comments.

draft-ietf-opsawg-pcapng. Only what dumpcap writes is read: one little-endian section with enhanced packet blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

SHB, IDB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 5, 6, 10
OPT_COMMENT, SHB_USERAPPL, IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 1, 4, 2, 3, 9
TLS_KEY_LOG = 0x544C534B
APPLICATION = b"dumpcap, rewritten by scripts/record_captures.py"

Options = list[tuple[int, bytes]]


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The blocks of a file as (type, body); `ValueError` where it is not what dumpcap writes on a little-endian machine."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length % 4 or not 12 <= length <= len(data) - at:
            raise ValueError(f"no little-endian pcapng block at offset {at}")
        yield kind, data[at + 8 : at + length - 4]
        at += length


def block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def read_options(data: bytes) -> Options:
    found, at = [], 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if not code:
            break
        found.append((code, data[at + 4 : at + 4 + length]))
        at += 4 + length + -length % 4
    return found


def write_options(options: Options) -> bytes:
    if not options:
        return b""
    return b"".join(struct.pack("<HH", code, len(value)) + padded(value) for code, value in options) + bytes(4)


def rewrite(data: bytes, comment: str, interface: str, secrets: bytes, comments: Mapping[int, str]) -> bytes:
    """The recording `data` again, with a section comment, a description of the interface, TLS key log `secrets` (may be empty)
    before the first packet, and comments on packets by number from 1.

    Dropped are the hardware, operating system and application of the section and of the interface, and the capture filter.
    """
    out, number = [], 0
    for kind, body in blocks(data):
        if kind == SHB:
            if body[:4] != b"\x4d\x3c\x2b\x1a":
                raise ValueError("not a little-endian pcapng section")
            options = [(OPT_COMMENT, comment.encode()), (SHB_USERAPPL, APPLICATION)]
            body = body[:8] + b"\xff" * 8 + write_options(options)
        elif kind == IDB:
            kept = [(code, value) for code, value in read_options(body[8:]) if code in (IF_NAME, IF_TSRESOL)]
            body = body[:8] + write_options([(IF_DESCRIPTION, interface.encode()), *kept])
        elif kind == EPB:
            number += 1
            if text := comments.get(number):
                end = 20 + len(padded(body[20 : 20 + struct.unpack_from("<I", body, 12)[0]]))
                body = body[:end] + write_options([*read_options(body[end:]), (OPT_COMMENT, text.encode())])
        elif kind != ISB:
            continue  # name resolution, custom blocks: not ours to publish
        out.append(block(kind, body))
        if kind == IDB and secrets:
            out.append(block(DSB, struct.pack("<II", TLS_KEY_LOG, len(secrets)) + padded(secrets)))
    return b"".join(out)
