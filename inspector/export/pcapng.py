"""A pcapng writer (draft-ietf-opsawg-pcapng): one section, nanoseconds, comments, names, secrets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, NamedTuple

from inspector.core.packet import Interface, Packet
from inspector.export.files import written

SHB, IDB, NRB, EPB, DSB = 0x0A0D0D0A, 1, 4, 6, 10
COMMENT, USERAPPL = 1, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_FILTER, IF_OS = 2, 3, 9, 11, 12
NAME_IPV4, NAME_IPV6 = 1, 2
MAX_OPTION = 65_535  # octets: an option's length is 16 bits

Options = Sequence[tuple[int, bytes]]


class Extras(NamedTuple):
    """What a capture says beside its packets. comments: by packet number; secrets: (type, data) of decryption secrets
    blocks; names: of addresses, by their text; section: comments on the whole."""

    comments: Mapping[int, Sequence[str]] = {}
    secrets: Sequence[tuple[int, bytes]] = ()
    names: Mapping[str, str] = {}
    section: Sequence[str] = ()


def write(path: str, interfaces: Sequence[Interface], packets: Iterable[Packet], extras: Extras) -> int:
    """Write packets to a new file; returns how many. A file that holds secrets is readable by its owner alone.

    Raises InspectError where it cannot be written; `path` is then as it was before.
    """
    with written(path, private=bool(extras.secrets)) as file:
        return write_to(file, interfaces, packets, extras)


def write_to(file: IO[bytes], interfaces: Sequence[Interface], packets: Iterable[Packet], extras: Extras) -> int:
    """Write packets to an open file; returns how many."""
    section: Options = [(COMMENT, _text(comment)) for comment in extras.section]
    file.write(_block(SHB, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options([*section, (USERAPPL, b"osi-inspect")])))
    for interface in interfaces:
        file.write(_interface(interface))
    for kind, data in extras.secrets:
        file.write(_block(DSB, struct.pack("<II", kind, len(data)) + _padded(data)))
    if extras.names:
        file.write(_block(NRB, b"".join(map(_name, extras.names.items())) + bytes(4)))
    count = 0
    for packet in packets:
        time = packet.time_ns & 0xFFFFFFFFFFFFFFFF
        head = struct.pack("<IIIII", packet.interface, time >> 32, time & 0xFFFFFFFF, len(packet.data), packet.wire_length)
        options = [(COMMENT, _text(comment)) for comment in extras.comments.get(packet.number, ())]
        file.write(_block(EPB, head + _padded(packet.data) + _options(options)))
        count += 1
    return count


def _interface(interface: Interface) -> bytes:
    texts = (
        (IF_NAME, interface.name), (IF_DESCRIPTION, interface.description), (IF_OS, interface.os),
    )  # fmt: skip
    options = [(code, _text(text)) for code, text in texts if text]
    if interface.filter:
        options.append((IF_FILTER, b"\0" + _text(interface.filter)[: MAX_OPTION - 1]))  # 0: the filter is a text
    options.append((IF_TSRESOL, b"\x09"))
    return _block(IDB, struct.pack("<HHI", interface.link_type, 0, interface.snap_length) + _options(options))


def _name(entry: tuple[str, str]) -> bytes:
    """One record of a name block; nothing for an address that is none."""
    address, name = entry
    kind, family = (NAME_IPV6, socket.AF_INET6) if ":" in address else (NAME_IPV4, socket.AF_INET)
    try:
        value = socket.inet_pton(family, address) + _text(name) + b"\0"
    except OSError:
        return b""
    return struct.pack("<HH", kind, len(value)) + _padded(value)


def _text(text: str) -> bytes:
    """UTF-8, cut to what an option can hold (between characters)."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) <= MAX_OPTION - 32:
        return data
    return data[: MAX_OPTION - 32].decode("utf-8", "ignore").encode("utf-8")


def _options(options: Options) -> bytes:
    if not options:
        return b""
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length
