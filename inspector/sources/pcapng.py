"""pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, packets, names, statistics, secrets, comments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

import numpy as np

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_BLOCK, MAX_CAPTURED, MAX_INTERFACES, MAX_REMARKS
from inspector.core.packet import Interface
from inspector.core.text import decode
from inspector.sources.chain import Chains, Int64s
from inspector.sources.source import Batch, FileSource, Secrets
from inspector.sources.store import Store

MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
ORDER_MAGIC = 0x1A2B3C4D
OPT_END, OPT_COMMENT = 0, 1
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_FILTER, IF_OS, IF_TSOFFSET = 2, 3, 9, 11, 12, 14
ISB_RECEIVED, ISB_DROPPED, ISB_OS_DROPPED = 4, 5, 7
NRB_IPV4, NRB_IPV6 = 1, 2
# Bytes that each kind of block has at least, its two lengths with it.
SHORTEST = {SECTION: 28, INTERFACE: 20, PACKET: 32, SIMPLE: 16, NAMES: 12, STATISTICS: 24, ENHANCED: 32, SECRETS: 20}
MAX_OPTIONS = 1000  # of a block: real ones have a handful
MAX_SECTIONS = 8  # of a window, in which packets are read many at a time; those of a file of sections one by one
EACH = 200  # bytes of memory that a comment, a name and the like takes beside its text
FEW = 8  # packets one behind the other, below which nothing is gained by reading them at once
UNTIMED = (1 << 64) - 1  # the stamp of a packet in a simple block, which has none


class Pcapng(FileSource):
    """A pcapng file."""

    format = "pcapng"
    _TOO_MUCH = f"more than {MAX_REMARKS >> 20} MiB of comments, names and keys"

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, name)
        self._order = "<"
        self._scales: list[tuple[int, int, int]] = []
        self._told = 0  # bytes of memory that comments, names and the like take
        self._first = 0  # the section's first interface in `interfaces`
        store.wait(SHORTEST[SECTION] - 1)
        head = self.read(0, SHORTEST[SECTION])
        if len(head) < SHORTEST[SECTION]:
            raise InspectError(f"{name}: cut short in the section header, at byte {self.size}")
        self._order = self._order_of(head, 0)

    def _length(self, window: memoryview) -> int:
        if len(window) < 12:
            return 0
        order = self._order_of(window, 0) if window[:4] == MAGIC else self._order
        return int(struct.unpack_from(order + "I", window, 4)[0]) + 3 & ~3

    def _order_of(self, window: bytes | memoryview, pos: int) -> str:
        return "<" if window[pos + 8 : pos + 12] == ORDER_MAGIC.to_bytes(4, "little") else ">"

    def _walk(self, window: memoryview) -> tuple[Batch | None, int]:
        rows = _Rows()
        order, speculations, pos, end = self._order, 0, 0, len(window)
        chains: Chains | None = None
        while pos + 12 <= end:
            if chains is None and window[pos : pos + 4] == struct.pack(self._order + "I", ENHANCED):
                # After a section header everything is read anew; a file of nothing but sections, block by block.
                speculations += 1
                chains = self._chains(window, pos, speculations <= MAX_SECTIONS)
            if chains is not None:
                run, after = chains.run(pos)
                if len(run) >= FEW:
                    self._enhanced(window, run, rows)
                    if self._told > MAX_REMARKS:
                        self._bad(after, rows, self._TOO_MUCH)
                        break
                    pos = after
                    continue
            used = self._block(window, pos, rows)
            if used == 0:
                break
            if self._order != order or window[pos : pos + 4] == MAGIC:
                order, chains = self._order, None
            pos += used
        return (self._batch(rows, window) if rows.count else None), pos

    def _chains(self, window: memoryview, start: int, far: bool) -> Chains:
        """The enhanced packet blocks that seem to begin at `start` and behind it; where not `far`, none."""
        size = len(window)
        numbers = np.frombuffer(window, self._order + "u4", (size - start) // 4, start)  # blocks begin at every fourth byte
        last = max(len(numbers) - SHORTEST[ENHANCED] // 4 + 1, 0) if far else 0
        at = np.flatnonzero(numbers[:last] == ENHANCED)
        length, interface, captured = (numbers[at + word].astype(np.int64) for word in (1, 2, 5))
        following = start + at * 4 + (length + 3 & ~3)
        sound = (length - 32 >= captured) & (captured <= MAX_CAPTURED) & (length <= MAX_BLOCK) & (following <= size)
        sound &= interface < len(self.interfaces) - self._first
        return Chains(start + at[sound] * 4, following[sound])

    def _enhanced(self, window: memoryview, at: Int64s, rows: _Rows) -> None:
        """The enhanced packet blocks at these places, which are whole and sound."""
        numbers = np.ndarray((len(window) - 3,), self._order + "u4", window, 0, (1,))
        pairs = np.ndarray((len(window) - 1,), self._order + "u2", window, 0, (1,))
        columns = (numbers[at + place].astype(np.int64) for place in (4, 8, 12, 16, 20, 24))
        length, interface, high, low, captured, wire = columns
        stamps = high.view(np.uint64) << np.uint64(32) | low.view(np.uint64)
        rows.add(at + 28, captured, wire, stamps, interface + self._first)
        # Few packets have options, and of these most have only flags: comments are looked for without a loop over all.
        option, stop = at + 28 + (captured + 3 & ~3), at + length - 4
        number = self._count + rows.count - len(at) + 1 + np.arange(len(at))
        for _ in range(MAX_OPTIONS):
            on = option + 4 <= stop
            if not on.any():
                break
            option, stop, number = option[on], stop[on], number[on]
            code, size = pairs[option], pairs[option + 2]
            for row in np.flatnonzero(code == OPT_COMMENT).tolist():
                value = bytes(window[int(option[row]) + 4 : int(option[row]) + 4 + int(size[row])])
                if int(option[row]) + 4 + len(value) <= int(stop[row]):
                    self.comments.setdefault(int(number[row]), []).append(self._text(value))
            option = np.where(code == OPT_END, stop, option + 4 + (size + np.int64(3) & ~3))

    def _text(self, value: bytes) -> str:
        """A text of the file that is kept, and counted."""
        self._told += len(value) + EACH
        return decode(value)

    def _options(self, window: memoryview, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        for _ in range(MAX_OPTIONS):
            if start + 4 > stop:
                return
            code, length = struct.unpack_from(self._order + "HH", window, start)
            if code == OPT_END or start + 4 + length > stop:
                return
            yield code, bytes(window[start + 4 : start + 4 + length])
            start += 4 + (length + 3 & ~3)

    def _block(self, window: memoryview, pos: int, rows: _Rows) -> int:
        """Read one block; the bytes that it fills, 0 where it is damaged or has not arrived."""
        if window[pos : pos + 4] == MAGIC:
            self._order = self._order_of(window, pos)
        kind, length = struct.unpack_from(self._order + "II", window, pos)
        where = f"at byte {self._at + pos:,}"
        padded = length + 3 & ~3
        if length < 12 or length > MAX_BLOCK:
            self._bad(pos, rows, f"a block of {length:,} bytes {where} cannot be")
        elif pos + padded > len(window):
            return 0
        elif length < SHORTEST.get(kind, 12):
            self._bad(pos, rows, f"a block of type {kind} {where} is shorter than its contents")
        elif kind in (ENHANCED, PACKET, SIMPLE):
            self._packet(kind, window, pos, length, rows)
        elif kind == INTERFACE and len(self.interfaces) == MAX_INTERFACES:
            self._bad(pos, rows, f"more than {MAX_INTERFACES:,} interfaces, {where}")
        else:
            self._other(kind, window, pos, pos + length - 4)
        if self._told > MAX_REMARKS:
            self._bad(pos, rows, f"{self._TOO_MUCH}, {where}")
        return padded if self.damage is None else 0

    def _bad(self, pos: int, rows: _Rows, text: str) -> None:
        self._damaged(self._at + pos, text, rows.count)

    def _packet(self, kind: int, window: memoryview, pos: int, length: int, rows: _Rows) -> None:
        order = self._order
        name = f"packet {self._count + rows.count + 1}, at byte {self._at + pos:,},"
        if kind == SIMPLE:
            (wire,) = struct.unpack_from(order + "I", window, pos + 8)
            if self._first >= len(self.interfaces):
                self._bad(pos, rows, f"{name} comes before any interface")
                return
            snap = self.interfaces[self._first].snap_length
            captured = min(wire, snap or wire, length - 16)
            if captured > MAX_CAPTURED:
                self._bad(pos, rows, f"{name} claims {captured:,} bytes")
                return
            rows.one(pos + 12, captured, wire, UNTIMED, self._first)
            return
        if kind == PACKET:
            interface, _, high, low, captured, wire = struct.unpack_from(order + "HHIIII", window, pos + 8)
        else:
            interface, high, low, captured, wire = struct.unpack_from(order + "IIIII", window, pos + 8)
        if captured > length - 32:
            self._bad(pos, rows, f"{name} is longer than its block")
        elif captured > MAX_CAPTURED:
            self._bad(pos, rows, f"{name} claims {captured:,} bytes")
        elif self._first + interface >= len(self.interfaces):
            self._bad(pos, rows, f"{name} names an interface that does not exist")
        else:
            rows.one(pos + 28, captured, wire, high << 32 | low, self._first + interface)
            for code, value in self._options(window, pos + 28 + (captured + 3 & ~3), pos + length - 4):
                if code == OPT_COMMENT:
                    self.comments.setdefault(self._count + rows.count, []).append(self._text(value))

    def _other(self, kind: int, window: memoryview, pos: int, stop: int) -> None:
        order = self._order
        if kind == SECTION:
            self._first = len(self.interfaces)
            self.section_comments += [self._text(v) for code, v in self._options(window, pos + 24, stop) if code == OPT_COMMENT]
        elif kind == INTERFACE:
            self._interface(window, pos, stop)
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
            self._told += EACH
        elif kind == SECRETS:
            type_, size = struct.unpack_from(order + "II", window, pos + 8)
            data = bytes(window[pos + 16 : min(pos + 16 + size, stop)])
            self.secrets.append(Secrets(type_, data, self._at + pos + 16))
            self._told += len(data) + EACH

    @property
    def _clocks(self) -> Int64s:
        """By interface: nanoseconds a tick, those at stamp 0, and the stamps below which this sum can be done."""
        for one in self.interfaces[len(self._scales) :]:
            factor, rest = divmod(1_000_000_000, one.ticks_per_second)
            shift = one.offset_seconds * 1_000_000_000
            fits = rest == 0 and abs(shift) < 1 << 62
            self._scales.append((factor, shift, (1 << 62) // factor) if fits else (0, 0, 0))
        return np.array(self._scales, np.int64).T

    def _interface(self, window: memoryview, pos: int, stop: int) -> None:
        link, _, snap = struct.unpack_from(self._order + "HHI", window, pos + 8)
        texts: dict[int, str] = {}
        ticks, offset = 1_000_000, 0
        for code, value in self._options(window, pos + 16, stop):
            if code in (IF_NAME, IF_DESCRIPTION, IF_OS):
                texts[code] = self._text(value)
            elif code == IF_FILTER:
                texts[code] = self._text(value[1:])
            elif code == IF_TSRESOL and value:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** min(value[0], 18)
            elif code == IF_TSOFFSET and len(value) == 8:
                (offset,) = struct.unpack(self._order + "q", value)
        get = texts.get
        self.interfaces.append(
            Interface(link, snap, get(IF_NAME, ""), get(IF_DESCRIPTION, ""), get(IF_FILTER, ""), get(IF_OS, ""), ticks, offset)
        )

    def _names(self, window: memoryview, start: int, stop: int) -> None:
        while start + 4 <= stop:
            kind, length = struct.unpack_from(self._order + "HH", window, start)
            if kind == 0 or start + 4 + length > stop:
                return
            size = {NRB_IPV4: 4, NRB_IPV6: 16}.get(kind, 0)
            value = bytes(window[start + 4 : start + 4 + length])
            if size and length > size:
                self.names[str(ip_address(value[:size]))] = self._text(value[size:].split(b"\0")[0])
            start += 4 + (length + 3 & ~3)

    def _batch(self, rows: _Rows, window: memoryview) -> Batch:
        offset, captured, wire, stamps, interface = rows.columns()
        factor, shift, limit = self._clocks[:, interface]
        simple = stamps < limit.astype(np.uint64)
        time = stamps.astype(np.int64) * factor + shift
        for row in np.flatnonzero(~simple).tolist():  # binary fractions, picoseconds, nonsense: exact, one by one
            one = self.interfaces[int(interface[row])]
            time[row] = _clip(int(stamps[row]) * 1_000_000_000 // one.ticks_per_second + one.offset_seconds * 1_000_000_000)
        time[stamps == UNTIMED] = 0
        view = np.frombuffer(window, np.uint8)
        return Batch(self._at + offset, captured, wire, time, interface, offset, view)


class _Rows:
    """The packets of a window as columns, some read one by one, most many at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._single: list[tuple[int, ...]] = []

    def one(self, *row: int) -> None:
        """offset in the window, bytes captured, bytes on the wire, time stamp, interface"""
        self._single.append(row)
        self.count += 1

    def add(self, *columns: np.ndarray) -> None:
        """The same, as arrays."""
        self._close()
        self._parts.append(columns)
        self.count += len(columns[0])

    def _close(self) -> None:
        if self._single:
            self._parts.append(tuple(np.array(self._single, np.uint64).T))
            self._single = []

    def columns(self) -> tuple[Int64s, Int64s, Int64s, np.ndarray, Int64s]:
        self._close()
        offset, captured, wire, stamps, interface = map(np.concatenate, zip(*self._parts, strict=True))
        offset, captured, wire, interface = (one.astype(np.int64) for one in (offset, captured, wire, interface))
        return offset, captured, wire, stamps.astype(np.uint64), interface


def _clip(time_ns: int) -> int:
    """A time that fits the column: one beyond the year 2262 is damage, and shown as the last that fits."""
    return max(min(time_ns, (1 << 63) - 1), -(1 << 63))
