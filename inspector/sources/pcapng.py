"""pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, packets, names, statistics, secrets, comments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.packet import Interface
from inspector.core.text import decode
from inspector.sources.source import MAX_CAPTURED, WINDOW, Batch, Damage, Secrets, Source

MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
ORDER_MAGIC = 0x1A2B3C4D
MAX_BLOCK = 64 * 1024 * 1024  # longest block that is read: a longer one is damage
OPT_END, OPT_COMMENT = 0, 1
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_FILTER, IF_OS, IF_TSOFFSET = 2, 3, 9, 11, 12, 14
ISB_RECEIVED, ISB_DROPPED, ISB_OS_DROPPED = 4, 5, 7
NRB_IPV4, NRB_IPV6 = 1, 2
# Bytes that each kind of block has at least, its two lengths with it.
SHORTEST = {SECTION: 28, INTERFACE: 20, PACKET: 32, SIMPLE: 16, NAMES: 12, STATISTICS: 24, ENHANCED: 32, SECRETS: 20}
UNTIMED = (1 << 64) - 1  # the stamp of a packet in a simple block, which has none


class Pcapng(Source):
    """A pcapng file."""

    format = "pcapng"

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd, name)
        self._order = "<"
        self._first = 0  # the section's first interface in `interfaces`
        self._count = 0
        if len(self.read(0, 28)) < 28:
            raise InspectError(f"{name}: cut short in the section header, at byte {self.size}")

    def batches(self) -> Iterator[Batch]:
        at, size = 0, self.size
        rows: list[tuple[int, int, int, int, int]] = []
        while at < size and self.damage is None:
            window = self.read(at, WINDOW)
            pos = self._walk(window, at, rows)
            if pos == 0 and self.damage is None:  # a block longer than the window, or the file ends in it
                need = self._block_length(window, at)
                if need is not None and len(window) < need <= MAX_BLOCK and at + need <= size:
                    window = self.read(at, need)
                    pos = self._walk(window, at, rows)
                if pos == 0 and self.damage is None:
                    self._damaged(at, f"cut short in the middle of a block, at byte {size:,}")
            if rows:
                yield self._batch(rows, at, window)
                rows = []
            at += pos

    def _block_length(self, window: bytes, at: int) -> int | None:
        if len(window) < 12:
            return None
        order = self._order_of(window, 0) if window[:4] == MAGIC else self._order
        return int(struct.unpack_from(order + "I", window, 4)[0])

    def _order_of(self, window: bytes, pos: int) -> str:
        return "<" if window[pos + 8 : pos + 12] == ORDER_MAGIC.to_bytes(4, "little") else ">"

    def _damaged(self, at: int, text: str) -> None:
        self.damage = Damage(at, self._count, f"{text}; the {self._count:,} packets before it are whole")

    def _walk(self, window: bytes, base: int, rows: list[tuple[int, int, int, int, int]]) -> int:
        """Read the whole blocks of a window; returns how far they go."""
        pos, end = 0, len(window)
        head = struct.Struct(self._order + "II").unpack_from
        enhanced = struct.Struct(self._order + "IIIII").unpack_from
        while pos + 12 <= end:
            if window[pos : pos + 4] == MAGIC:
                order = self._order_of(window, pos)
                if order != self._order:
                    self._order = order
                    head, enhanced = struct.Struct(order + "II").unpack_from, struct.Struct(order + "IIIII").unpack_from
            kind, length = head(window, pos)
            if length < 12 or length > MAX_BLOCK:
                self._damaged(base + pos, f"a block of {length:,} bytes at byte {base + pos:,} cannot be")
                return pos
            padded = (length + 3) & ~3
            if pos + padded > end:
                return pos
            if length < SHORTEST.get(kind, 12):
                self._damaged(base + pos, f"a block of type {kind} at byte {base + pos:,} is shorter than its contents")
                return pos
            if kind == ENHANCED:
                interface, high, low, captured, wire = enhanced(window, pos + 8)
                if captured > min(length - 32, MAX_CAPTURED) or self._first + interface >= len(self.interfaces):
                    why = "is longer than its block" if captured > length - 32 else "names an interface that does not exist"
                    if MAX_CAPTURED < captured <= length - 32:
                        why = f"claims {captured:,} bytes"
                    self._damaged(base + pos, f"packet {self._count + 1}, at byte {base + pos:,}, {why}")
                    return pos
                rows.append((pos + 28, captured, wire, high << 32 | low, self._first + interface))
                self._count += 1
                options = pos + 28 + (captured + 3 & ~3)
                if options + 4 < pos + length - 4:
                    self._comments(window, options, pos + length - 4)
            else:
                self._block(kind, window, pos, length, rows, base)
                if self.damage is not None:
                    return pos
            pos += padded
        return pos

    def _comments(self, window: bytes, start: int, stop: int) -> None:
        for code, value in self._options(window, start, stop):
            if code == OPT_COMMENT:
                self.comments.setdefault(self._count, []).append(decode(value))

    def _options(self, window: bytes, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        while start + 4 <= stop:
            code, length = struct.unpack_from(self._order + "HH", window, start)
            if code == OPT_END or start + 4 + length > stop:
                return
            yield code, window[start + 4 : start + 4 + length]
            start += 4 + (length + 3 & ~3)

    def _block(
        self, kind: int, window: bytes, pos: int, length: int, rows: list[tuple[int, int, int, int, int]], base: int
    ) -> None:
        order, stop = self._order, pos + length - 4
        if kind == SECTION:
            self._first = len(self.interfaces)
            self.section_comments += [decode(v) for code, v in self._options(window, pos + 24, stop) if code == OPT_COMMENT]
        elif kind == INTERFACE:
            self._interface(window, pos, stop)
        elif kind == SIMPLE:
            (wire,) = struct.unpack_from(order + "I", window, pos + 8)
            if self._first >= len(self.interfaces):
                self._damaged(base + pos, f"packet {self._count + 1} comes before any interface")
                return
            snap = self.interfaces[self._first].snap_length
            captured = min(wire, snap or wire, length - 16)
            rows.append((pos + 12, captured, wire, UNTIMED, self._first))
            self._count += 1
        elif kind == PACKET:
            interface, _, high, low, captured, wire = struct.unpack_from(order + "HHIIII", window, pos + 8)
            if captured > min(length - 32, MAX_CAPTURED) or self._first + interface >= len(self.interfaces):
                self._damaged(
                    base + pos, f"packet {self._count + 1} is longer than its block, or names an interface that does not exist"
                )
                return
            rows.append((pos + 28, captured, wire, high << 32 | low, self._first + interface))
            self._count += 1
        elif kind == NAMES:
            self._names(window, pos + 8, stop)
        elif kind == STATISTICS:
            (interface,) = struct.unpack_from(order + "I", window, pos + 8)
            found = {"interface": self._first + interface}
            words = {ISB_RECEIVED: "received", ISB_DROPPED: "dropped", ISB_OS_DROPPED: "dropped_by_os"}
            for code, value in self._options(window, pos + 20, stop):
                if code in words and len(value) == 8:
                    found[words[code]] = struct.unpack(order + "Q", value)[0]
            self.interface_statistics.append(found)
        elif kind == SECRETS:
            type_, size = struct.unpack_from(order + "II", window, pos + 8)
            self.secrets.append(Secrets(type_, window[pos + 16 : min(pos + 16 + size, stop)]))

    def _interface(self, window: bytes, pos: int, stop: int) -> None:
        link, _, snap = struct.unpack_from(self._order + "HHI", window, pos + 8)
        texts: dict[int, str] = {}
        ticks, offset = 1_000_000, 0
        for code, value in self._options(window, pos + 16, stop):
            if code in (IF_NAME, IF_DESCRIPTION, IF_OS):
                texts[code] = decode(value)
            elif code == IF_FILTER:
                texts[code] = decode(value[1:])
            elif code == IF_TSRESOL and value:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** min(value[0], 18)
            elif code == IF_TSOFFSET and len(value) == 8:
                (offset,) = struct.unpack(self._order + "q", value)
        get = texts.get
        self.interfaces.append(
            Interface(link, snap, get(IF_NAME, ""), get(IF_DESCRIPTION, ""), get(IF_FILTER, ""), get(IF_OS, ""), ticks, offset)
        )

    def _names(self, window: bytes, start: int, stop: int) -> None:
        while start + 4 <= stop:
            kind, length = struct.unpack_from(self._order + "HH", window, start)
            if kind == 0 or start + 4 + length > stop:
                return
            size = {NRB_IPV4: 4, NRB_IPV6: 16}.get(kind, 0)
            value = window[start + 4 : start + 4 + length]
            if size and length > size:
                self.names[str(ip_address(value[:size]))] = decode(value[size:].split(b"\0")[0])
            start += 4 + (length + 3 & ~3)

    def _batch(self, rows: list[tuple[int, int, int, int, int]], base: int, window: bytes) -> Batch:
        columns = np.array(rows, np.uint64)
        offset, captured, wire, interface = columns[:, [0, 1, 2, 4]].astype(np.int64).T
        stamps = columns[:, 3]
        time = np.zeros(len(rows), np.int64)
        for number in np.unique(interface):
            chosen = interface == number
            one = self.interfaces[number]
            ticks, shift = one.ticks_per_second, one.offset_seconds * 1_000_000_000
            mine = stamps[chosen]
            factor = 1_000_000_000 // ticks
            if factor * ticks == 1_000_000_000 and (int(mine.max()) * factor + abs(shift)) < 1 << 63:
                time[chosen] = mine.astype(np.int64) * factor + shift
            else:  # binary fractions, picoseconds, nonsense: exact, one by one
                time[chosen] = [_clip(stamp * 1_000_000_000 // ticks + shift) for stamp in mine.tolist()]
        time[stamps == UNTIMED] = 0
        return Batch(base + offset, captured, wire, time, interface, base, np.frombuffer(window, np.uint8))


def _clip(time_ns: int) -> int:
    """A time that fits the column: one beyond the year 2262 is damage, and shown as the last that fits."""
    return max(min(time_ns, (1 << 63) - 1), -(1 << 63))
