"""Opening a capture, and what every format has in common: reading in windows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from inspector.core.errors import InspectError
from inspector.core.packet import Interface
from inspector.sources.store import Followed, Spool, Store, first_bytes

WINDOW = 16 * 1024 * 1024  # bytes read at a time
MAX_CAPTURED = 256 * 1024  # what Wireshark accepts as one packet; more means a damaged length
MAX_BLOCK = 64 * 1024 * 1024  # longest record that is read: a longer one is damage
MAX_SPOOL = 64 * 1024**3  # bytes of a pipe, or inflated ones, on disk
Int64s = npt.NDArray[np.int64]


class Damage(NamedTuple):
    """Where the file stops making sense: `offset` in bytes, after packet `packet`; `text` is a sentence for the user.

    unfinished: the file only ends too early; one that is still written may grow on.
    """

    offset: int
    packet: int
    text: str
    unfinished: bool = False


class Secrets(NamedTuple):
    """A decryption secrets block: its type (`TLSK` as a number for TLS key logs) and its data."""

    type: int
    data: bytes


class Batch(NamedTuple):
    """Packets of one window: columns, and the window itself (`base` is its place in the file)."""

    offset: Int64s
    captured: Int64s
    wire: Int64s
    time_ns: Int64s
    interface: Int64s
    base: int
    window: npt.NDArray[np.uint8]


class Source:
    """An open capture. Packets come as batches, in the order of the file; any bytes can be read again."""

    format = ""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.name = name
        self.interfaces: list[Interface] = []
        self.names: dict[str, str] = {}
        self.secrets: list[Secrets] = []
        self.comments: dict[int, list[str]] = {}
        self.section_comments: list[str] = []
        self.interface_statistics: list[dict[str, int]] = []
        self.damage: Damage | None = None
        self._at = 0  # where the next record begins
        self._count = 0  # packets before it

    @property
    def size(self) -> int:
        """Bytes in the file (of a compressed one: inflated), so far."""
        return self._store.size

    def share(self, offset: int) -> float:
        """How much of the capture lies before `offset`, 0 to 1; 0 for a pipe that is still open."""
        return self._store.share * min(offset / max(self._store.size, 1), 1.0)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer where it ends."""
        return self._store.read(offset, size)

    def near(self, offset: int, size: int) -> bytes:
        """The same, quicker where many small pieces that lie close together are wanted."""
        return self._store.near(offset, size)

    def batches(self) -> Iterator[Batch]:
        """The packets, a window at a time; where the file is damaged they end and `damage` says why.

        Of a pipe, of inflated data and of a followed file they come as they arrive: the iterator blocks until there are
        more, and ends with the pipe, or after `stop`. Of an ordinary file that has grown since, another call gives the
        packets behind those that were given before.
        """
        if self.damage is not None and self.damage.unfinished:
            self.damage = None
        size = WINDOW
        while self.damage is None:
            window = self.read(self._at, size)
            batch, used = self._walk(window)
            self._at += used
            size = WINDOW
            if batch is not None:
                self._count += len(batch.offset)
                yield batch
            if used or self.damage is not None:
                continue
            need = self._length(window)
            if len(window) < need <= MAX_BLOCK and self._at + need <= self.size:
                size = need  # a record longer than the window
            elif not self._store.wait(self._at + len(window)):
                self._end(window)
                return

    def _walk(self, window: bytes) -> tuple[Batch | None, int]:
        """The packets of the whole records at the start of a window that begins at `_at`, and the bytes that these fill."""
        raise NotImplementedError

    def _length(self, window: bytes) -> int:
        """The bytes of the record at the start of a window, by its own word; 0 where that has not arrived."""
        raise NotImplementedError

    def _end(self, rest: bytes) -> None:
        """The file ends here, `rest` bytes into a record that is not whole."""
        end = self._at + len(rest)
        if self._store.failure:
            self._damaged(end, self._store.failure)
        elif rest:
            self._damaged(self._at, f"cut short in the middle of packet {self._count + 1}, at byte {end:,}", unfinished=True)

    def _damaged(self, at: int, text: str, packets: int = 0, unfinished: bool = False) -> None:
        """packets: those of the window that come before the damage."""
        count = self._count + packets
        self.damage = Damage(at, count, f"{text}; the {count:,} packets before it are whole", unfinished)

    def shrunk(self) -> None:
        """Bytes that were there are there no longer: somebody has cut the file, or written it anew, while it was open."""
        size = self.size
        text = f"the file was cut to {size:,} bytes while it was open: what lay behind them cannot be shown any more"
        if self.damage is None or self.damage.unfinished:
            self.damage = Damage(size, self._count, text)

    def stop(self) -> None:
        """Wait for nothing more from a pipe or a followed file: `batches` ends with what has arrived."""
        self._store.stop()

    def close(self) -> None:
        """Close the file."""
        self._store.close()


class Format(Protocol):
    """A reader's constructor."""

    def __call__(self, store: Store, name: str) -> Source: ...


def open_source(source: str | int, follow: bool = False) -> Source:
    """Open a file by its path, or a pipe by its descriptor (which is then this source's to close).

    follow: the file is still being written; its packets come as they are written, until `Source.stop`.
    Raises InspectError with one sentence.
    """
    name = "standard input" if isinstance(source, int) else os.path.basename(source)
    fd = source if isinstance(source, int) else _open(source)
    store = _store(fd, name, follow)
    try:
        store.wait(3)
        magic = store.read(0, 4)
        if not magic and store.failure:
            raise InspectError(f"{name}: {store.failure}")
        return _format(magic, name)(store, name)
    except BaseException:
        store.close()
        raise


def _store(fd: int, name: str, follow: bool) -> Store:
    from inspector.sources.compressed import inflater

    try:
        piped = not stat.S_ISREG(os.fstat(fd).st_mode)
        begun = first_bytes(fd, 6) if piped else b""
        try:
            inflate = inflater(begun if piped else os.pread(fd, 6, 0))
        except InspectError as error:
            raise InspectError(f"{name}: {error}") from None
        if piped or inflate is not None:
            return Spool(fd, begun, inflate, MAX_SPOOL)
    except OSError as error:
        os.close(fd)
        raise InspectError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except BaseException:
        os.close(fd)
        raise
    return Followed(fd) if follow else Store(fd)


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InspectError(f"{path}: cannot be opened: {(error.strerror or 'unknown error').lower()}") from None
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise InspectError(f"{path}: a directory; name a capture file in it")
    os.set_blocking(fd, True)
    return fd


_KNOWN = {
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"snoo": "a snoop capture, which is not read here; convert it with `editcap -F pcapng`",
}


def _format(magic: bytes, name: str) -> Format:
    from inspector.sources import pcap, pcapng

    if magic in pcap.MAGICS:
        return pcap.Pcap
    if magic == pcapng.MAGIC:
        return pcapng.Pcapng
    if not magic:
        raise InspectError(f"{name}: the file is empty")
    what = _KNOWN.get(magic, f"no pcap or pcapng capture: it begins with the bytes {magic.hex(' ')}")
    raise InspectError(f"{name}: {what if what.startswith('no ') else 'this is ' + what}")
