"""Classic pcap files (draft-ietf-opsawg-pcap): micro- and nanoseconds, both byte orders."""

from __future__ import annotations

import struct

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_CAPTURED
from inspector.core.packet import Interface
from inspector.sources.chain import Chains, Int64s
from inspector.sources.source import Batch, FileSource
from inspector.sources.store import Store

HEADER, HEAD = 24, 16  # bytes of the file header, and of what all record headers have in common
LONG = 512  # bytes a record, on average, from which on one by one is quicker than a look at every byte
BLOCK = 64 * 1024  # bytes looked at together: they stay in the processor's cache
# magic → (byte order, nanoseconds a tick, bytes of a record header)
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),  # Kuznetzov's: the interface, the protocol and the packet type follow
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}


class Pcap(FileSource):
    """A pcap file."""

    format = "pcap"

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, name)
        store.wait(HEADER - 1)
        head = self.read(0, HEADER)
        if len(head) < HEADER:
            raise InspectError(f"{name}: cut short in the file header, at byte {len(head)} of {HEADER}")
        self._order, self._tick, self._record = MAGICS[head[:4]]
        snap, link = struct.unpack(self._order + "II", head[16:24])
        # The upper bits hold the length of a frame check sequence.
        self.interfaces.append(Interface(link & 0x03FF_FFFF, snap, ticks_per_second=1_000_000_000 // self._tick))
        self._at = HEADER

    def _length(self, window: memoryview) -> int:
        if len(window) < self._record:
            return 0
        return self._record + int(struct.unpack_from(self._order + "8xI", window)[0])

    def _walk(self, window: memoryview) -> tuple[Batch | None, int]:
        chains = self._chains(window)
        one = struct.Struct(self._order + "8xI").unpack_from
        step, end = self._record, len(window)
        runs: list[Int64s] = []
        single: list[int] = []
        pos = count = 0
        while True:
            if chains is not None:
                run, after = chains.run(pos)
                if after > pos:
                    runs += [np.array(single, np.int64), run]
                    single = []
                    pos = after
            if pos + step > end:
                break
            (captured,) = one(window, pos)
            after = pos + step + captured
            if captured > MAX_CAPTURED:
                count = len(single) + sum(map(len, runs))
                text = f"packet {self._count + count + 1}, at byte {self._at + pos:,}, claims {captured:,} bytes"
                self._damaged(self._at + pos, f"{text}: the file is damaged there", count)
            if after > end or captured > MAX_CAPTURED:
                break
            single.append(pos)
            pos = after
        offsets = np.concatenate([*runs, np.array(single, np.int64)])
        return (self._batch(window, offsets) if len(offsets) else None), pos

    def _chains(self, window: memoryview) -> Chains | None:
        """The records that can be followed many at a time; None where packets are so long that one by one is quicker."""
        size = len(window)
        if size < HEAD or self._at > LONG * max(self._count, 1):
            return None
        view = np.frombuffer(window, np.uint8)
        # The two highest bytes of the seconds stay the same for 18 hours.
        first, second = (3, 2) if self._order == "<" else (0, 1)
        places: list[Int64s] = []
        for start in range(0, size - HEAD + 1, BLOCK):
            stop = min(start + BLOCK, size - HEAD + 1)
            alike = view[start + first : stop + first] == view[first]
            alike &= view[start + second : stop + second] == view[second]
            places.append(np.flatnonzero(alike) + start)
        at = np.concatenate(places)
        _, ticks, captured, wire = _heads(window, at, self._order)
        following = at + captured + self._record
        sound = (ticks < 1_000_000_000 // self._tick) & (captured <= np.minimum(wire, MAX_CAPTURED)) & (following <= size)
        return Chains(at[sound], following[sound])

    def _batch(self, window: memoryview, offsets: Int64s) -> Batch:
        seconds, ticks, captured, wire = _heads(window, offsets, self._order)
        time = seconds * 1_000_000_000 + ticks * self._tick
        zeros = np.zeros(len(offsets), np.int64)
        view = np.frombuffer(window, np.uint8)
        start = offsets + self._record
        return Batch(self._at + start, captured, wire, time, zeros, start, view)


def _heads(window: memoryview, at: Int64s, order: str) -> Int64s:
    """The four numbers that begin the records at these places: seconds, ticks, bytes captured and on the wire."""
    # A head at every byte of the window: a view, of which only the wanted ones are copied.
    heads = np.ndarray((len(window) - HEAD + 1,), np.dtype((np.void, HEAD)), window, 0, (1,))[at]
    return heads.view(order + "u4").reshape(-1, 4).T.astype(np.int64)
