"""The file that a capture grows: pcapng (draft-ietf-opsawg-pcapng), whole after every write; or a ring of such files."""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from inspector.capture.interfaces import Link
from inspector.capture.options import Options
from inspector.capture.ring import Captured

SHB, IDB, ISB, EPB = 0x0A0D0D0A, 1, 5, 6
USERAPPL, COMMENT, IF_NAME, IF_TSRESOL, IF_FILTER = 4, 1, 2, 9, 11
ISB_RECEIVED, ISB_DROPPED, ISB_OS_DROPPED = 4, 5, 7
_EPB = struct.Struct("<IIIIIII")  # type, length, interface, time (high, low), captured, wire
_TAIL = struct.Struct("<I")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")
EPB_EXTRA = _EPB.size + _TAIL.size


class DiskFull(Exception):
    """A write failed; what was written before it is whole. The text is a sentence."""


class Writer:
    """Writes packets to `options.path`, or to files whose names derive from it where there is a ring of them."""

    def __init__(self, options: Options, links: Sequence[Link]) -> None:
        """Raises OSError where the file cannot be made."""
        self._options, self._links = options, links
        self._files: deque[str] = deque()
        self._number = 0
        self.packets = self.bytes = 0  # of all files; bytes of what was written
        self.path = ""
        self._fd = -1
        self._size = self._own_packets = 0  # of the file that is open
        self._since = 0.0
        self._open()

    def write(self, interface: int, found: Sequence[Captured], limit: int = 0) -> bool:
        """Append packets of an interface, of which `limit` is the most (0: no limit); true where another file was begun.
        Raises DiskFull."""
        if limit:
            found = found[:limit]
        turned = False
        while found and not self.over:
            room = self._room(found)
            if not room:
                self._turn()
                turned = True
                continue
            self._append(interface, found[:room])
            found = found[room:]
        return turned

    def _room(self, found: Sequence[Captured]) -> int:
        """How many of these belong in the file that is open; one at least in a new one."""
        options, room = self._options, len(found)
        if self._full:
            return 0
        if options.ring_packets:
            room = min(room, options.ring_packets - self._own_packets)
        if options.ring_bytes:
            size = self._size
            for at, (_, _, data) in enumerate(found[:room]):
                if size >= options.ring_bytes and at:
                    return at
                size += EPB_EXTRA + (len(data) + 3 & ~3)
        return room

    def _append(self, interface: int, found: Sequence[Captured]) -> None:
        parts: list[bytes | memoryview] = []
        add, head, tail = parts.append, _EPB.pack, _TAIL.pack
        for moment, wire, data in found:
            size = len(data)
            pad = _PAD[size & 3]
            length = EPB_EXTRA + size + len(pad)
            add(head(EPB, length, interface, moment >> 32, moment & 0xFFFFFFFF, size, wire))
            add(data)
            add(pad + tail(length))
        self._put(b"".join(parts))
        self.packets += len(found)
        self._own_packets += len(found)

    def _put(self, data: bytes) -> None:
        view, start = memoryview(data), self._size
        try:
            while view:
                done = os.write(self._fd, view)
                view, self._size = view[done:], self._size + done
        except OSError as error:
            kept = _whole(data[: self._size - start])
            os.ftruncate(self._fd, start + kept)
            self._size = start + kept
            self.bytes += kept
            self.packets += _blocks(data[:kept])
            raise DiskFull(f"{self.path} cannot be written to any more: {(error.strerror or str(error)).lower()}") from None
        self.bytes += len(data)

    def _open(self) -> None:
        options = self._options
        self._number += 1
        self.path = options.path
        if options.ring:
            stem, dot = os.path.splitext(options.path)
            moment = time.strftime("%Y%m%d%H%M%S")
            self.path = f"{stem}_{self._number:05d}_{moment}{dot}"  # as dumpcap names them
        # A name that this program chose, in a folder that everybody writes to, must not be there before.
        new = os.O_EXCL if options.temporary else os.O_TRUNC
        mode = 0o600 if options.temporary else 0o666
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW * options.temporary | new, mode)
        self._size = self._own_packets = 0
        self._since = time.monotonic()
        self._files.append(self.path)
        texts = [(COMMENT, options.comment)] if options.comment else []
        self._put(_block(SHB, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), [*texts, (USERAPPL, "osi-inspect")]))
        for link in self._links:
            filtered = [(IF_FILTER, "\0" + options.filter_text)] if options.filter_text else []
            head = struct.pack("<HHI", link.link_type, 0, options.snap)
            self._put(_block(IDB, head, [(IF_NAME, link.name), *filtered, (IF_TSRESOL, b"\x09")]))
        if options.ring_files:
            while len(self._files) > options.ring_files:
                with suppress(OSError):
                    os.unlink(self._files.popleft())

    def _turn(self) -> None:
        os.close(self._fd)
        try:
            self._open()
        except OSError as error:
            self._fd = -1
            raise DiskFull(f"{self.path} cannot be made: {(error.strerror or str(error)).lower()}") from None

    @property
    def _full(self) -> bool:
        """The file that is open takes no more packets."""
        options = self._options
        return self._own_packets > 0 and (
            0 < options.ring_packets <= self._own_packets
            or 0 < options.ring_bytes <= self._size
            or 0 < options.ring_seconds <= time.monotonic() - self._since
        )

    @property
    def over(self) -> bool:
        """As many files as were wanted are full: no packet is written any more."""
        return 0 < self._options.stop_files <= self._number and self._full

    def end(self, counts: Sequence[tuple[int, int, int]]) -> None:
        """Write what each interface received and dropped (in the kernel, and before it), and close the file."""
        if self._fd < 0:
            return
        now = time.time_ns()
        with suppress(DiskFull):  # the packets are there, and their file is whole without this
            for number, (received, dropped, before) in enumerate(counts):
                high, low = now >> 32, now & 0xFFFFFFFF
                values = ((ISB_RECEIVED, received), (ISB_DROPPED, before), (ISB_OS_DROPPED, dropped))
                options = [(code, struct.pack("<Q", value)) for code, value in values]
                self._put(_block(ISB, struct.pack("<III", number, high, low), options))
        os.close(self._fd)
        self._fd = -1

    def forget(self) -> None:
        """Close the descriptor: another process writes on."""
        os.close(self._fd)
        self._fd = -1


def _block(kind: int, body: bytes, options: Sequence[tuple[int, str | bytes]]) -> bytes:
    for code, text in options:
        value = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        body += struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
    body += bytes(4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _whole(data: bytes) -> int:
    """The bytes of the whole blocks at the start of `data`."""
    at = 0
    while at + 8 <= len(data):
        (length,) = _TAIL.unpack_from(data, at + 4)
        if at + length > len(data):
            break
        at += length
    return at


def _blocks(data: bytes) -> int:
    """How many packets lie in these whole blocks."""
    at = count = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        count += kind == EPB
        at += length
    return count
