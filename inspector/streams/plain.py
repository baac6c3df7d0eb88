"""Ordinary HTTP/1 connections as exchanges, straight from the columns: no segment and no message becomes an object of its own.

Ordinary is a connection that was seen from its SYN, whose segments came in order and whole, and whose messages are plain (see
`protocols.http.plain`). Of all others None is said, and the tree of streams reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.index import Index
from inspector.protocols.http.plain import Reader, Request, Response
from inspector.streams.exchanges import Exchange, Part

WINDOW = 1 << 22  # bytes of the file read at a time
WINDOWS = 4  # of them kept
NEEDED = ("direction", "seq", "ack", "flags", "payload_length", "captured", "payload_offset", "offset", "shape")
MAX_BYTES = 32 << 20  # of payload held at once: the tree of streams, which holds little, reads larger connections
_HALF = 1 << 31
Ints = npt.NDArray[np.int64]


class Windows:
    """The file in large pieces: packets of interleaved connections lie close to each other."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._kept: dict[int, bytes] = {}

    def read(self, at: int, size: int) -> bytes:
        base, start = divmod(at, WINDOW)
        if start + size <= WINDOW:
            return self._window(base)[start : start + size]
        return self._index.read(at, size)

    def join(self, starts: Ints, sizes: Ints) -> bytes:
        """Pieces of the file, in order, as one."""
        if not len(starts):
            return b""
        base, last = int(starts[0]) // WINDOW, (int(starts[-1]) + int(sizes[-1]) - 1) // WINDOW
        if base != last:
            return b"".join(map(self.read, starts.tolist(), sizes.tolist()))
        window, begin = self._window(base), starts - base * WINDOW
        return b"".join([window[low:high] for low, high in zip(begin.tolist(), (begin + sizes).tolist(), strict=True)])

    def _window(self, base: int) -> bytes:
        piece = self._kept.get(base)
        if piece is None:
            if len(self._kept) >= WINDOWS:
                self._kept.pop(next(iter(self._kept)))
            piece = self._kept[base] = self._index.read(base * WINDOW, WINDOW)
        return piece


class Plain:
    """Reads ordinary connections of one capture."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._windows = Windows(index)
        self._reader = Reader()
        self._order, starts = index.by_flow()
        self._starts: list[int] = starts.tolist()
        self._columns = {name: index.column(name)[self._order] for name in NEEDED}

    def exchanges(self, flow: int) -> list[Exchange] | None:
        """The exchanges of a TCP flow, in order; None where it is out of the ordinary."""
        if flow + 1 >= len(self._starts):  # it has come since
            return None
        own = slice(self._starts[flow], self._starts[flow + 1])
        rows, column = self._order[own], {name: values[own] for name, values in self._columns.items()}
        flags, direction = column["flags"], column["direction"]
        if len(rows) < 2 or not column["shape"].all() or flags[0] & (SYN | ACK) != SYN or direction[0] != 0:
            return None
        if int(column["payload_length"].sum()) > MAX_BYTES:
            return None
        bases = [self._base(column, side) for side in (0, 1)]
        ends: list[int] = []
        sides: list[tuple[bytes, Ints, Ints]] = []
        for side in (0, 1):
            data_rows = np.flatnonzero((direction == side) & (column["payload_length"] > 0))
            base = bases[side]
            if base is None or not self._in_order(column, data_rows, base) or not self._framed(column, data_rows, side):
                return None
            starts = column["offset"][data_rows] + column["payload_offset"][data_rows]
            if side == 0 and len(data_rows) and self._windows.read(int(starts[0]), 1) not in (b"G", b"H", b"P", b"D", b"O"):
                return None
            lengths = column["payload_length"][data_rows].astype(np.int64)
            data = self._windows.join(starts, lengths)
            ends.append(len(data))
            sides.append((data, np.cumsum(lengths), rows[data_rows] + 1))
        if not self._all_seen(column, bases, ends):
            return None
        requests = self._reader.requests(sides[0][0])
        responses = self._reader.responses(sides[1][0], requests) if requests is not None else None
        if requests is None or responses is None:
            return None
        return self._pair(flow, requests, responses, sides)

    @staticmethod
    def _base(column: dict[str, Ints], side: int) -> int | None:
        """The sequence number of a direction's first byte; None without exactly one SYN."""
        syns = np.flatnonzero((column["direction"] == side) & (column["flags"] & SYN != 0))
        return (int(column["seq"][syns[0]]) + 1) & 0xFFFFFFFF if len(syns) == 1 else None

    @staticmethod
    def _in_order(column: dict[str, Ints], own: Ints, base: int) -> bool:
        """Each segment begins where the one before ended, is captured whole, and none carries a SYN or follows a reset."""
        lengths = column["payload_length"][own].astype(np.int64)
        offset = column["payload_offset"][own].astype(np.int64)
        expected = np.cumsum(lengths) - lengths
        relative = (column["seq"][own].astype(np.int64) - base) & 0xFFFFFFFF
        whole = (offset >= 0) & (offset + lengths <= column["captured"][own])
        return bool((relative == expected).all() and whole.all() and not (column["flags"][own] & (SYN | RST)).any())

    @staticmethod
    def _framed(column: dict[str, Ints], own: Ints, side: int) -> bool:
        """The direction's SYN came before its bytes, and its FIN not before the last of them."""
        if not len(own):
            return True
        flags, mine = column["flags"], column["direction"] == side
        first, last = int(own[0]), int(own[-1])
        return bool((mine & (flags & SYN != 0))[:first].any()) and not (mine & (flags & FIN != 0))[:last].any()

    @staticmethod
    def _all_seen(column: dict[str, Ints], bases: Sequence[int | None], ends: list[int]) -> bool:
        """Nothing was acknowledged, closed or reset beyond or before what was seen."""
        if (column["flags"] & RST).any():
            return False
        for side in (0, 1):
            base = bases[side]
            assert base is not None
            acks = column["ack"][(column["direction"] != side) & (column["flags"] & ACK != 0)].astype(np.int64)
            beyond = (acks - base) & 0xFFFFFFFF
            if len(beyond) and int(beyond[beyond < _HALF].max(initial=0)) > ends[side] + 1:
                return False
            closing = (column["direction"] == side) & (column["flags"] & FIN != 0)
            at = column["seq"][closing].astype(np.int64) + column["payload_length"][closing]
            if (((at - base) & 0xFFFFFFFF) != ends[side]).any():
                return False
        return True

    def _pair(
        self,
        flow: int,
        requests: list[Request],
        responses: list[Response],
        sides: list[tuple[bytes, Ints, Ints]],
    ) -> list[Exchange] | None:
        stream = int(self._index.flows.stream[flow])
        asked, answered = _parts(requests, *sides[0][1:]), _parts(responses, *sides[1][1:])
        if any(answer.first < request.complete for request, answer in zip(asked, answered, strict=False)):
            return None  # packets were captured in another order than they were sent in
        found = []
        for request, part in zip(requests, asked, strict=True):
            exchange = Exchange(flow, stream, request.version, request.method, "http", request.host, request.target)
            exchange.request = part
            found.append(exchange)
        for exchange, response, part in zip(found, responses, answered, strict=False):
            exchange.response = part
            exchange.status, exchange.reason, exchange.media = response.status, response.reason, response.media
        return found


def _parts(messages: Sequence[Request | Response], ends: Ints, packets: Ints) -> list[Part]:
    """Messages with the packets that carried them. ends: where each packet's bytes end in the direction."""
    if not messages:
        return []
    starts, stops = [message.start for message in messages], [message.stop for message in messages]
    first = packets[np.searchsorted(ends, np.array(starts), "right")].tolist()
    last = packets[np.searchsorted(ends, np.array(stops) - 1, "right")].tolist()
    heads = [message.head for message in messages]
    return list(map(Part, starts, heads, stops, first, last, last))
