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

    def _length(self, window: bytes) -> int:
        if len(window) < self._record:
            return 0
        return self._record + int(struct.unpack_from(self._order + "8xI", window)[0])

    def _walk(self, window: bytes) -> tuple[Batch | None, int]:
        chains = self._chains(window)
        one = struct.Struct(self._order + "8xI").unpack_from
        step, end = self._record, len(window)
        runs: list[Int64s] = []
        single: list[int] = []
        pos = count = 0
        while True:
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

    def _chains(self, window: bytes) -> Chains:
        record, size = self._record, len(window)
        room = max(size - record + 1, 0)
        # A number at every byte of the window: a view, of which only the wanted ones are copied.
        numbers = np.ndarray((max(size - 3, 0),), self._order + "u4", window, 0, (1,))
        view = np.frombuffer(window, np.uint8)
        high = 3 if self._order == "<" else 0  # the seconds' highest byte: the same for 194 days
        ticks = 1_000_000_000 // self._tick

        def step(at: Int64s) -> Int64s:
            captured = numbers[at + 8].astype(np.int64)
            after = at + captured + record
            following: Int64s = np.where((captured <= MAX_CAPTURED) & (after <= size), after, -1)
            return following

        def likely(at: Int64s) -> Int64s:
            at = at[view.take(at + high) == view[high]]
            captured = numbers[at + 8]
            at = at[(numbers[at + 4] < ticks) & (captured <= MAX_CAPTURED) & (captured <= numbers[at + 12])]
            following = step(at)
            alike: Int64s = at[(following >= 0) & (view[np.minimum(following + high, size - 1)] == view[high])]
            return alike

        return Chains(room, 0, step, likely)

    def _batch(self, window: bytes, offsets: Int64s) -> Batch:
        heads = np.ndarray((len(window) - HEAD + 1,), np.dtype((np.void, HEAD)), window, 0, (1,))[offsets]
        seconds, ticks, captured, wire = heads.view(self._order + "u4").reshape(-1, 4).T.astype(np.int64)
        time = seconds * 1_000_000_000 + ticks * self._tick
        zeros = np.zeros(len(offsets), np.int64)
        view = np.frombuffer(window, np.uint8)
        start = offsets + self._record
        return Batch(self._at + start, captured, wire, time, zeros, start, view)
