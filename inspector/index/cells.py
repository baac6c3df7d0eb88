"""Cells of L2 to L4 fields as `tshark -T fields` prints them, for whole ranges of packets at a time.

Only regular packets; the rows of the others are None, and the caller dissects them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.core.field import ipv6_text
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV4_UDP, SHAPE_OTHER
from inspector.index.index import Index

ETHERNET = 1
FAR = 64 * 1024  # bytes between packets that are rather read than passed over
Ints = npt.NDArray[np.int64]
Cells = list[str]


class _Range:
    """A range of packets: its columns, and the bytes of its file region."""

    def __init__(self, index: Index, start: int, stop: int) -> None:
        self.index = index
        self.rows = slice(start - 1, stop - 1)
        self.first = start
        offset, captured = self.column("offset"), self.column("captured")
        self.view, self.at = _bytes(index, offset, offset + captured)
        self.shape = self.column("shape")
        self.network = self.at + np.maximum(self.column("network_offset"), 0)
        self.tcp = (self.shape == 1) | (self.shape == 3)
        self.udp = (self.shape == 2) | (self.shape == 4)
        self.four = (self.shape == SHAPE_IPV4_TCP) | (self.shape == SHAPE_IPV4_UDP)
        self.six = ~self.four & (self.shape != SHAPE_OTHER)
        self.transport = self.network + np.where(self.four, (self.byte(self.network) & 15) * 4, 40)

    def column(self, name: str) -> Ints:
        return self.index.column(name)[self.rows].astype(np.int64)

    def byte(self, at: Ints) -> Ints:
        return self.view[np.minimum(at, len(self.view) - 1)].astype(np.int64)

    def uint(self, at: Ints, size: int) -> Ints:
        # A number at every byte of the region: a view, of which only the wanted ones are copied.
        every = np.ndarray((len(self.view) - size + 1,), f">u{size}", self.view, 0, (1,))
        return every[np.minimum(at, len(every) - 1)].astype(np.int64)

    def block(self, at: Ints, size: int) -> npt.NDArray[np.uint8]:
        found: npt.NDArray[np.uint8] = self.view[np.minimum(at[:, None] + np.arange(size), len(self.view) - 1)]
        return found


def _bytes(index: Index, start: Ints, stop: Ints) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of packets that lie at these places of the file, and where each begins there. Neighbours are read at once;
    of several files, each one's by themselves."""
    order = np.argsort(start, kind="stable")
    far = np.flatnonzero(start[order][1:] - np.maximum.accumulate(stop[order])[:-1] > FAR) + 1
    at, parts, size = np.empty_like(start), [], 0
    for rows in np.split(order, far):
        low, high = int(start[rows[0]]), int(stop[rows].max())
        parts.append(np.frombuffer(index.read(low, high - low).ljust(high - low, b"\0"), np.uint8))
        at[rows] = start[rows] - low + size
        size += high - low
    return np.concatenate([*parts, np.zeros(64, np.uint8)]), at


def _decimal(values: Ints, where: npt.NDArray[np.bool_] | None = None) -> Cells:
    cells = list(map(str, values.tolist()))
    return cells if where is None or where.all() else _blank(cells, where)


def _hex(values: Ints, digits: int, where: npt.NDArray[np.bool_]) -> Cells:
    unique, inverse = np.unique(values, return_inverse=True)
    words = [f"0x{value:0{digits}x}" for value in unique.tolist()]
    return _blank([words[i] for i in inverse.tolist()], where)


def _blank(cells: Cells, where: npt.NDArray[np.bool_]) -> Cells:
    for row in np.flatnonzero(~where).tolist():
        cells[row] = ""
    return cells


def _words(blocks: npt.NDArray[np.uint8], text: Callable[[bytes], str], where: npt.NDArray[np.bool_]) -> Cells:
    """One text for each distinct value."""
    size = blocks.shape[1]
    packed = np.ascontiguousarray(blocks).view(np.dtype((np.void, size))).ravel()
    unique, inverse = np.unique(packed, return_inverse=True)
    words = [text(value.tobytes()) for value in unique]
    return _blank([words[i] for i in inverse.tolist()], where)


def _seconds(values: Ints) -> Cells:
    whole, rest = np.divmod(np.abs(values), 1_000_000_000)
    signs = np.where(values < 0, "-", "").tolist()
    parts = zip(signs, whole.tolist(), rest.tolist(), strict=True)
    return [f"{sign}{seconds}.{nanoseconds:09d}" for sign, seconds, nanoseconds in parts]


def _ipv4(value: bytes) -> str:
    return ".".join(map(str, value))


def _mac(value: bytes) -> str:
    return value.hex(":")


def _relative(r: _Range, number: str) -> Ints:
    """Sequence (or acknowledgement) numbers from the flow's base."""
    flow, direction = r.column("flow"), r.column("direction")
    bases = np.array(r.index.flows.base_seq or [[0, 0]], np.int64)
    own = direction if number == "seq" else 1 - direction
    value = (r.column(number) - bases[np.maximum(flow, 0), own]) & 0xFFFFFFFF
    # Without the ACK flag the number means nothing, and is shown as it stands.
    return value if number == "seq" else np.where(r.column("flags") & 0x10, value, r.column("ack"))


def _scaled(r: _Range) -> Ints:
    shifts = np.array(r.index.flows.shift or [[-1, -1]], np.int64)[np.maximum(r.column("flow"), 0)]
    own = np.take_along_axis(shifts, r.column("direction")[:, None], 1).ravel()
    return r.column("window") << np.where(r.column("flags") & 2 == 0, np.maximum(own, 0), 0)  # a SYN's is never scaled


def _stream(r: _Range) -> Ints:
    streams = np.array(r.index.flows.stream if len(r.index.flows) else [0], np.int64)
    return streams[np.maximum(r.column("flow"), 0)]


def _delta(r: _Range) -> Ints:
    times = r.index.column("time_ns")
    before = times[max(r.rows.start - 1, 0) : r.rows.stop - 1]
    if r.rows.start == 0:
        before = np.concatenate([times[:1], before])
    return r.column("time_ns") - before[: r.rows.stop - r.rows.start]


def _bit(name: str, shift: int) -> tuple[str, Callable[[_Range], Cells]]:
    return name, lambda r: _decimal(r.column("flags") >> shift & 1, r.tcp)


_CELLS: dict[str, Callable[[_Range], Cells]] = {
    "frame.number": lambda r: list(map(str, range(r.first, r.first + len(r.at)))),
    "frame.time_epoch": lambda r: _seconds(r.column("time_ns")),
    "frame.time_relative": lambda r: _seconds(r.column("time_ns") - int(r.index.column("time_ns")[0])),
    "frame.time_delta": lambda r: _seconds(_delta(r)),
    "frame.len": lambda r: _decimal(r.column("wire")),
    "frame.cap_len": lambda r: _decimal(r.column("captured")),
    "ip.version": lambda r: _decimal(np.where(r.four, 4, 6), r.four | r.six),
    "ip.hdr_len": lambda r: _decimal((r.byte(r.network) & 15) * 4, r.four),
    "ip.dsfield": lambda r: _hex(r.byte(r.network + 1), 2, r.four),
    "ip.len": lambda r: _decimal(r.uint(r.network + 2, 2), r.four),
    "ip.id": lambda r: _hex(r.uint(r.network + 4, 2), 4, r.four),
    "ip.flags.df": lambda r: _decimal(r.byte(r.network + 6) >> 6 & 1, r.four),
    "ip.flags.mf": lambda r: _decimal(r.byte(r.network + 6) >> 5 & 1, r.four),
    "ip.frag_offset": lambda r: _blank(["0"] * len(r.at), r.four),
    "ip.ttl": lambda r: _decimal(r.byte(r.network + 8), r.four),
    "ip.proto": lambda r: _decimal(r.byte(r.network + 9), r.four),
    "ip.checksum": lambda r: _hex(r.uint(r.network + 10, 2), 4, r.four),
    "ip.src": lambda r: _words(r.block(r.network + 12, 4), _ipv4, r.four),
    "ip.dst": lambda r: _words(r.block(r.network + 16, 4), _ipv4, r.four),
    "ipv6.plen": lambda r: _decimal(r.uint(r.network + 4, 2), r.six),
    "ipv6.nxt": lambda r: _decimal(r.byte(r.network + 6), r.six),
    "ipv6.hlim": lambda r: _decimal(r.byte(r.network + 7), r.six),
    "ipv6.flow": lambda r: _hex(r.uint(r.network, 4) & 0xFFFFF, 6, r.six),
    "ipv6.src": lambda r: _words(r.block(r.network + 8, 16), ipv6_text, r.six),
    "ipv6.dst": lambda r: _words(r.block(r.network + 24, 16), ipv6_text, r.six),
    "tcp.srcport": lambda r: _decimal(r.uint(r.transport, 2), r.tcp),
    "tcp.dstport": lambda r: _decimal(r.uint(r.transport + 2, 2), r.tcp),
    "tcp.stream": lambda r: _decimal(_stream(r), r.tcp),
    "tcp.len": lambda r: _decimal(r.column("payload_length"), r.tcp),
    "tcp.seq": lambda r: _decimal(_relative(r, "seq"), r.tcp),
    "tcp.seq_raw": lambda r: _decimal(r.column("seq"), r.tcp),
    "tcp.ack": lambda r: _decimal(_relative(r, "ack"), r.tcp),
    "tcp.ack_raw": lambda r: _decimal(r.column("ack"), r.tcp),
    "tcp.hdr_len": lambda r: _decimal((r.byte(r.transport + 12) >> 4) * 4, r.tcp),
    "tcp.flags": lambda r: _hex(r.column("flags"), 4, r.tcp),
    "tcp.window_size_value": lambda r: _decimal(r.column("window"), r.tcp),
    "tcp.window_size": lambda r: _decimal(_scaled(r), r.tcp),
    "tcp.checksum": lambda r: _hex(r.uint(r.transport + 16, 2), 4, r.tcp),
    "tcp.urgent_pointer": lambda r: _decimal(r.uint(r.transport + 18, 2), r.tcp),
    "udp.srcport": lambda r: _decimal(r.uint(r.transport, 2), r.udp),
    "udp.dstport": lambda r: _decimal(r.uint(r.transport + 2, 2), r.udp),
    "udp.length": lambda r: _decimal(r.uint(r.transport + 4, 2), r.udp),
    "udp.checksum": lambda r: _hex(r.uint(r.transport + 6, 2), 4, r.udp),
    "udp.stream": lambda r: _decimal(_stream(r), r.udp),
    **dict(
        _bit(f"tcp.flags.{name}", shift)
        for shift, name in enumerate(("fin", "syn", "reset", "push", "ack", "urg", "ece", "cwr", "ae"))
    ),
}
TAG, PROVIDER_TAG = 0x8100, 0x88A8


def _vlan(r: _Range, on: npt.NDArray[np.bool_]) -> Cells:
    """The identifiers of up to two customer tags, the outer first. A provider's tag has a field of its own in Wireshark."""
    outer, inner = r.uint(r.at + 12, 2), r.uint(r.at + 16, 2)
    tagged = on & np.isin(outer, (TAG, PROVIDER_TAG))
    first, second = on & (outer == TAG), tagged & (inner == TAG)
    cells = _decimal(r.uint(r.at + 14, 2) & 0xFFF, first)
    identifiers = (r.uint(r.at + 18, 2) & 0xFFF).tolist()
    for row in np.flatnonzero(second).tolist():
        cells[row] += f",{identifiers[row]}" if cells[row] else str(identifiers[row])
    return cells


_ETHERNET_CELLS: dict[str, Callable[[_Range, npt.NDArray[np.bool_]], Cells]] = {
    "eth.dst": lambda r, on: _words(r.block(r.at, 6), _mac, on),
    "eth.src": lambda r, on: _words(r.block(r.at + 6, 6), _mac, on),
    "vlan.id": _vlan,
    "eth.type": lambda r, on: _hex(r.uint(r.at + 12, 2), 4, on),
}
COLUMN_FIELDS = frozenset(_CELLS) | frozenset(_ETHERNET_CELLS)


def extract(index: Index, names: list[str], start: int, stop: int) -> list[tuple[str, ...] | None]:
    """Rows of packets `start` to `stop` (exclusive), a cell a name; None for a packet that is not regular.

    names: of COLUMN_FIELDS; raises KeyError for others.
    """
    if stop <= start:
        return []
    r = _Range(index, start, stop)
    columns = []
    links = np.array([interface.link_type for interface in index.interfaces], np.int64)
    on = links[r.column("interface")] == ETHERNET
    for name in names:
        if name in _CELLS:
            columns.append(_CELLS[name](r))
        else:
            columns.append(_ETHERNET_CELLS[name](r, on))
    rows: list[tuple[str, ...] | None] = list(zip(*columns, strict=True))
    for row in np.flatnonzero(r.shape == SHAPE_OTHER).tolist():
        rows[row] = None
    return rows
