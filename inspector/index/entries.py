"""The TCP and UDP headers of some packets on their way into flows: as columns, whether the packets are regular or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import SYN
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV6_TCP, Column
from inspector.index.decode import Decoded
from inspector.index.names import TCP, UDP, Names, name, names
from inspector.sources import Batch

NO_SCALE, NO_SYN = -1, -2
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Transport(NamedTuple):
    """One transport header of a packet.

    payload_offset: in the packet, -1 where it lies elsewhere; quoted: inside an ICMP error; scale: of a SYN's window scale
    option, None where it has none.
    """

    protocol: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    payload_offset: int = -1
    payload_length: int = 0
    quoted: bool = False
    scale: int | None = None

    @property
    def name(self) -> tuple[bytes, int]:
        """The endpoints in order, and whether (1) the source is the second of them."""
        return name(self.protocol, self.src, self.sport, self.dst, self.dport)


class Entries(NamedTuple):
    """Headers in packet order, one a row.

    row: the packet's, in its batch; names: of the endpoints that occur here, their numbers in `Names`; pair: which of these an
    entry has; turned: whether (1) the source is the second of the two; scale: a SYN's window scale, `NO_SCALE` where it has
    none, `NO_SYN` for all others and for what an ICMP error quotes; own: the one that its packet counts for, the innermost
    that is not quoted.
    """

    row: Int64s
    names: Int64s
    pair: Int64s
    turned: npt.NDArray[np.uint8]
    tcp: Mask
    seq: npt.NDArray[np.uint32]
    ack: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint16]
    scale: npt.NDArray[np.int8]
    own: Mask


def entries(batch: Batch, regular: Sequence[Decoded], odd: Sequence[tuple[int, Transport]], known: Names) -> Entries | None:
    """The headers of regular packets, and those of odd ones, each with its packet's row; None where there is none. Names that
    are new are entered in `known`."""
    parts = [_regular(batch, found, known) for found in regular if len(found.rows)]
    for size in sorted({len(transport.src) for _, transport in odd}):
        parts.append(_odd([one for one in odd if len(one[1].src) == size], known))
    if not parts:
        return None
    names, place = np.unique(np.concatenate([part.names for part in parts]), return_inverse=True)
    before = np.cumsum([0, *(len(part.names) for part in parts[:-1])])
    pairs = [place[start + part.pair] for start, part in zip(before.tolist(), parts, strict=True)]
    if len(parts) == 1 and not odd:
        return parts[0]._replace(names=names, pair=pairs[0])
    columns = {name: np.concatenate(columns) for name, columns in zip(Entries._fields, zip(*parts, strict=True), strict=True)}
    columns["pair"] = np.concatenate(pairs)
    order = np.argsort(columns["row"], kind="stable")
    found = Entries(**{name: column[order] for name, column in columns.items() if name != "names"}, names=names)
    last = np.flatnonzero(found.own)
    last = last[np.diff(found.row[last], append=-1) != 0]
    return found._replace(own=np.isin(np.arange(len(order)), last))


def _regular(batch: Batch, found: Decoded, known: Names) -> Entries:
    """Neighbours in the order of a 16-bit hash are alike or not; what is alike is looked up once: packets that are made to
    collide cost time, and nothing else."""
    tcp = (found.shape == SHAPE_IPV4_TCP) | (found.shape == SHAPE_IPV6_TCP)
    words = np.ascontiguousarray(found.addresses).view(np.uint64).T
    ports = found.sport.astype(np.uint64) << np.uint64(17) | found.dport.astype(np.uint64) << np.uint64(1) | tcp
    mixed = ports * _MIX
    for column in words:
        mixed = (mixed ^ column) * _MIX
    order = np.argsort((mixed >> np.uint64(48)).astype(np.uint16), kind="stable")
    differs = np.zeros(len(order), bool)
    for column in (ports, *words):
        sorted_ = column[order]
        differs[1:] |= sorted_[1:] != sorted_[:-1]
    differs[0] = True
    heads = order[differs]
    protocol = np.where(tcp[heads], TCP, UDP).astype(np.uint8)
    own, turned = names(protocol, found.addresses[heads], found.sport[heads], found.dport[heads])
    pair = np.empty(len(order), np.int64)
    pair[order] = np.cumsum(differs) - 1
    scale = np.full(len(order), NO_SYN, np.int8)
    syn = np.flatnonzero(found.flags & SYN)
    start = batch.start[found.rows[syn]]
    scale[syn] = window_scales(batch.window, start + found.head[syn] + 20, start + found.payload[syn])
    every = np.ones(len(order), bool)
    return Entries(found.rows, known.enter(own), pair, turned[pair], tcp, found.seq, found.ack, found.flags, scale, every)


def _odd(own: Sequence[tuple[int, Transport]], known: Names) -> Entries:
    """Of addresses of one size."""
    rows, transports = zip(*own, strict=True)
    keys, turned = zip(*(one.name for one in transports), strict=True)
    words = np.frombuffer(b"".join(keys), np.uint32).reshape(len(own), -1)
    values = zip(
        *((one.protocol == TCP, one.seq, one.ack, one.flags, _scale(one), not one.quoted) for one in transports), strict=True
    )
    kinds = (np.bool_, np.uint32, np.uint32, np.uint16, np.int8, np.bool_)
    columns: Iterator[Column] = (np.array(column, kind) for column, kind in zip(values, kinds, strict=True))
    return Entries(np.array(rows, np.int64), known.enter(words), np.arange(len(own)), np.array(turned, np.uint8), *columns)


def _scale(transport: Transport) -> int:
    if transport.quoted or transport.protocol != TCP or not transport.flags & SYN:
        return NO_SYN
    return NO_SCALE if transport.scale is None else transport.scale


_MIX = np.uint64(0x9E3779B97F4A7C15)


def window_scales(window: npt.NDArray[np.uint8], at: Int64s, stop: Int64s) -> npt.NDArray[np.int8]:
    """The window scale among the TCP options that lie in `window` from `at` to `stop`, at most 14 (RFC 7323, 2.3); `NO_SCALE`
    where it is not there."""
    found = np.full(len(at), NO_SCALE, np.int8)
    at, left = at.copy(), np.arange(len(at))
    while True:
        left = left[at[left] + 2 < stop[left]]
        kind = window[at[left]]
        left, kind = left[kind != 0], kind[kind != 0]
        if not len(left):
            return found
        here = at[left]
        length = np.where(kind == 1, 1, window[here + 1])
        own = (kind == 3) & (length == 3)
        found[left[own]] = np.minimum(window[here[own] + 2], 14)
        at[left] += length
        left = left[(kind == 1) | (length >= 2)]
