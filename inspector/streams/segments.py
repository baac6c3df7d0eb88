"""The segments of a TCP flow for its analysis: from the columns, with the SACK blocks read from the packets that have any."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from inspector.index import Index
from inspector.streams.analysis import Edges, Segment

SACK, NOP, END = 5, 1, 0
_STAMPS = b"\x01\x01\x08\x0a"  # what nearly every segment of a connection with timestamps carries: NOP, NOP, timestamps
_SMALLEST = 10  # kind, length and one block (RFC 2018, 3)


def segments(index: Index, flow: int, odd: Callable[[int], Edges]) -> Iterator[Segment]:
    """The flow's segments in packet order. odd: gives the SACK blocks of a packet that the columns cannot read."""
    rows = index.flow_packets(flow) - 1
    names = ("time_ns", "direction", "seq", "ack", "flags", "payload_length", "window")
    columns: list[list[int]] = [index.column(name)[rows].tolist() for name in names]
    shape, offset, captured, network, payload = (
        index.column(name)[rows].astype(np.int64)
        for name in ("shape", "offset", "captured", "network_offset", "payload_offset")
    )
    start = network + np.where(shape <= 2, 40, 60)  # behind IPv4 or IPv6 and the fixed part of TCP
    size = np.where(shape > 0, np.minimum(payload, captured) - start, 0)
    stamped = _stamped(index, offset + start, size)
    wanted = (size >= _SMALLEST) & ((size > 12) if stamped else True)
    places = zip((offset + start).tolist(), size.tolist(), wanted.tolist(), (shape == 0).tolist(), strict=True)
    for packet, (at, length, maybe, slow), *values in zip((rows + 1).tolist(), places, *columns, strict=True):
        sack = odd(packet) if slow else sack_blocks(index.read(at, length)) if maybe else ()
        yield Segment._make((packet, *values, sack))


def _stamped(index: Index, at: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> bool:
    """Segments whose options fill twelve bytes carry timestamps, and so no SACK: as the first one of them does."""
    found = np.flatnonzero(size == 12)
    return bool(len(found)) and index.read(int(at[found[0]]), 4) == _STAMPS


def sack_blocks(options: bytes) -> Edges:
    """The blocks of the SACK option among a segment's options (RFC 2018, 3)."""
    at = 0
    while at + 2 <= len(options) and options[at] != END:
        if options[at] == NOP:
            at += 1
            continue
        size = options[at + 1]
        if size < 2:
            break
        if options[at] == SACK:
            edges = [int.from_bytes(options[i : i + 4], "big") for i in range(at + 2, min(at + size, len(options)) - 3, 4)]
            return tuple(zip(edges[::2], edges[1::2], strict=False))
        at += size
    return ()
