"""Opening a capture, and what every format has in common: reading in windows, never by a memory map.

A mapped file's pages count as ours, and a file that shrinks under a map kills the process.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from inspector.core.errors import InspectError
from inspector.core.packet import Interface

WINDOW = 16 * 1024 * 1024  # bytes read at a time
MAX_CAPTURED = 256 * 1024  # what Wireshark accepts as one packet; more means a damaged length
MAX_SPOOL = 64 * 1024**3  # decompressed bytes on disk
Int64s = npt.NDArray[np.int64]


class Damage(NamedTuple):
    """Where the file stops making sense: `offset` in bytes, after packet `packet`; `text` is a sentence for the user."""

    offset: int
    packet: int
    text: str


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

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        self.interfaces: list[Interface] = []
        self.names: dict[str, str] = {}
        self.secrets: list[Secrets] = []
        self.comments: dict[int, list[str]] = {}
        self.section_comments: list[str] = []
        self.interface_statistics: list[dict[str, int]] = []
        self.damage: Damage | None = None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer where it ends."""
        parts: list[bytes] = []
        while size > 0:
            part = os.pread(self._fd, size, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def batches(self) -> Iterator[Batch]:
        """The packets, a window at a time; where the file is damaged they end and `damage` says why."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Format(Protocol):
    """A reader's constructor."""

    def __call__(self, fd: int, name: str) -> Source: ...


def open_source(source: str | int) -> Source:
    """Open a file by its path, or a pipe by its descriptor. Raises InspectError with one sentence."""
    name = "standard input" if isinstance(source, int) else os.path.basename(source)
    fd = _spool(source) if isinstance(source, int) else _open(source)
    try:
        magic = os.pread(fd, 4, 0)
        if magic[:2] == b"\x1f\x8b" or magic in (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"):
            from inspector.sources.compressed import decompress

            plain = decompress(fd, magic, name)
            os.close(fd)
            fd = plain
            magic = os.pread(fd, 4, 0)
        return _format(magic, name)(fd, name)
    except BaseException:
        os.close(fd)
        raise


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InspectError(f"{path}: cannot be opened: {(error.strerror or 'unknown error').lower()}") from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        os.close(fd)
        raise InspectError(f"{path}: a directory; name a capture file in it")
    if not stat.S_ISREG(mode):
        os.set_blocking(fd, True)
        return _spool(fd)
    return fd


def spool_file() -> int:
    """A temporary file that only this process can reach: mode 0600, and unlinked at once."""
    fd, path = tempfile.mkstemp(prefix="osi-inspect-")
    os.unlink(path)
    return fd


def _spool(pipe: int) -> int:
    """A pipe cannot be read twice: its bytes go to a temporary file."""
    fd = spool_file()
    try:
        while chunk := os.read(pipe, 1 << 20):
            view = memoryview(chunk)
            while view:
                view = view[os.write(fd, view) :]
    except OSError as error:
        os.close(fd)
        raise InspectError(f"the pipe cannot be kept on disk: {(error.strerror or 'unknown error').lower()}") from None
    finally:
        os.close(pipe)
    return fd


_KNOWN = {
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"snoo": "a snoop capture, which is not read here; convert it with `editcap -F pcapng`",
    b"BZh9": "compressed with bzip2; decompress it first",
    b"\xfd7zX": "compressed with xz; decompress it first",
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
