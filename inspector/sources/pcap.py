"""Classic pcap files (draft-ietf-opsawg-pcap): micro- and nanoseconds, both byte orders."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.packet import Interface
from inspector.sources.source import MAX_CAPTURED, WINDOW, Batch, Damage, Source

HEADER, RECORD = 24, 16
# magic → (byte order, nanoseconds a tick, bytes of a record header)
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),  # Kuznetzov's: the interface, the protocol and the packet type follow
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}


class Pcap(Source):
    """A pcap file."""

    format = "pcap"

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd, name)
        head = self.read(0, HEADER)
        if len(head) < HEADER:
            raise InspectError(f"{name}: cut short in the file header, at byte {len(head)} of {HEADER}")
        self._order, self._tick, self._record = MAGICS[head[:4]]
        snap, link = struct.unpack(self._order + "II", head[16:24])
        # The upper bits hold the length of a frame check sequence.
        self.interfaces.append(Interface(link & 0x03FF_FFFF, snap, ticks_per_second=1_000_000_000 // self._tick))

    def batches(self) -> Iterator[Batch]:
        at, count, size = HEADER, 0, self.size
        lengths = struct.Struct(self._order + "8xI").unpack_from
        step = self._record
        while at < size:
            window = self.read(at, WINDOW)
            offsets: list[int] = []
            pos, end = 0, len(window)
            while pos + step <= end:
                (captured,) = lengths(window, pos)
                after = pos + step + captured
                if after > end or captured > MAX_CAPTURED:
                    break
                offsets.append(pos)
                pos = after
            if offsets:
                yield self._batch(window, np.array(offsets, np.int64), at)
                count += len(offsets)
                at += pos
                if at < size:
                    continue
                return
            self._damaged(window, at, count)
            return

    def _damaged(self, window: bytes, at: int, count: int) -> None:
        head = window[: self._record]
        captured = struct.unpack(self._order + "I", head[8:12])[0] if len(head) >= 12 else 0
        if captured > MAX_CAPTURED:
            text = f"packet {count + 1}, at byte {at:,}, claims {captured:,} bytes: the file is damaged there"
        else:
            text = f"cut short in the middle of packet {count + 1}, at byte {at + len(window):,}"
        self.damage = Damage(at, count, f"{text}; the {count:,} packets before it are whole")

    def _batch(self, window: bytes, offsets: np.ndarray[tuple[int], np.dtype[np.int64]], base: int) -> Batch:
        view = np.frombuffer(window, np.uint8)
        head = np.dtype([(name, self._order + "u4") for name in ("seconds", "ticks", "captured", "wire")])
        # A header at every byte of the window: a view, of which only the real ones are copied.
        heads = np.ndarray((len(window) - head.itemsize + 1,), head, window, 0, (1,))[offsets]
        columns = {name: heads[name].astype(np.int64) for name in head.names or ()}
        time = columns["seconds"] * 1_000_000_000 + columns["ticks"] * self._tick
        zeros = np.zeros(len(offsets), np.int64)
        return Batch(base + offsets + self._record, columns["captured"], columns["wire"], time, zeros, base, view)
