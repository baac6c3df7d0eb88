"""Where a capture's bytes are: a file, which may still be written, or the copy that is made of a pipe or of inflated data.

Nothing is ever mapped into memory: mapped pages count as ours, and a file that shrinks under a map kills the process.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from stat import S_ISREG

import numpy as np

POLL = 0.1  # seconds between looks at a file that is still written, or at whether a pipe's copy is still wanted
BLOCK, BLOCKS = 256 * 1024, 32  # bytes of a block that is kept, and how many of them
CHUNK = 64 * 1024  # bytes of a pipe or a compressed file taken at a time

Inflate = Callable[[Iterator[bytes]], Iterator[bytes]]


class Store:
    """Bytes that can be read at any place. failure: why there are no more of them, where that is no ordinary end; lasting:
    they lie in a file that is there tomorrow, and is not known to be still written."""

    lasting = True

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.failure = ""
        self._blocks: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self.fd).st_size

    @property
    def share(self) -> float:
        """How much of everything has arrived, 0 to 1; 0 where nobody knows."""
        return 1.0

    def read(self, offset: int, size: int) -> bytes:
        """Bytes; fewer where they end."""
        parts: list[bytes] = []
        while size > 0:
            part = os.pread(self.fd, size, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def window(self, offset: int, size: int) -> memoryview:
        """The same as `read`, for many bytes: an array has large pages of memory, which come much quicker than small ones."""
        room = np.empty(size, np.uint8).data
        got = 0
        while got < size and (part := os.preadv(self.fd, [room[got:]], offset + got)):
            got += part
        return room[:got]

    def near(self, offset: int, size: int) -> bytes:
        """The same as `read`, by way of a few blocks that are kept: for many small pieces that lie close together."""
        number, at = divmod(offset, BLOCK)
        if at + size > BLOCK:
            return self.read(offset, size)
        block = self._blocks.get(number)
        if block is None or len(block) < at + size:
            block = self.read(number * BLOCK, BLOCK)
            if len(self._blocks) >= BLOCKS:
                self._blocks.pop(next(iter(self._blocks)), None)
            self._blocks[number] = block
        return block[at : at + size]

    def wait(self, beyond: int) -> bool:
        """Wait until there are more than `beyond` bytes; false where there never will be."""
        return self.size > beyond

    def stop(self) -> None:
        """Wait for nothing more."""

    def close(self) -> None:
        """Stop, and close the file."""
        self.stop()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Followed(Store):
    """A file that another program is still writing: `wait` waits until it has grown, or until `stop`."""

    lasting = False

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._stopped = threading.Event()

    @property
    def share(self) -> float:
        return float(self._stopped.is_set())

    def wait(self, beyond: int) -> bool:
        while self.size <= beyond:
            if self._stopped.wait(POLL):
                return self.size > beyond
        return True

    def stop(self) -> None:
        self._stopped.set()


class Spool(Store):
    """A copy of what comes from `source`, inflated where it is compressed, in a temporary file that only this process can
    reach. A thread makes the copy; what it has copied can be read already."""

    lasting = False

    def __init__(self, source: int, begun: bytes = b"", inflate: Inflate | None = None, limit: int = 0) -> None:
        """source: a descriptor, closed at the end; begun: what was already read from it; limit: bytes to keep at most."""
        super().__init__(spool_file())
        self._source = source
        self._begun = begun
        self._inflate = inflate
        self._limit = limit
        self._taken = 0
        kind = os.fstat(source)
        self._total = kind.st_size if S_ISREG(kind.st_mode) else 0  # 0: nobody knows
        self._size = 0
        self._ended = False
        self._wanted = True
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._copy, args=(os.dup(self.fd),), name="spool", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        return self._size

    @property
    def share(self) -> float:
        return 1.0 if self._ended else min(self._taken / self._total, 1.0) if self._total else 0.0

    def wait(self, beyond: int) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._ended or self._size > beyond)
        return self._size > beyond

    def stop(self) -> None:
        self._wanted = False
        self._thread.join()

    def _copy(self, out: int) -> None:
        failure = ""
        try:
            pieces = self._chunks()
            for piece in pieces if self._inflate is None else self._inflate(pieces):
                if self._limit and self._size + len(piece) > self._limit:
                    failure = f"there are more than {_bytes(self._limit)} of it, which is all that is kept"
                    break
                view = memoryview(piece)
                while view:
                    view = view[os.write(out, view) :]
                with self._news:
                    self._size += len(piece)
                    self._news.notify_all()
        except Unreadable as error:
            failure = str(error)
        except OSError as error:
            failure = f"it cannot be copied to disk: {(error.strerror or str(error)).lower()}"
        finally:
            os.close(out)
            os.close(self._source)
            with self._news:
                self.failure = failure
                self._ended = True
                self._news.notify_all()

    def _chunks(self) -> Iterator[bytes]:
        if self._begun:
            self._taken = len(self._begun)
            yield self._begun
        waiting = select.poll()
        waiting.register(self._source, select.POLLIN)
        while self._wanted:
            if not waiting.poll(POLL * 1000):
                continue
            chunk = os.read(self._source, CHUNK)
            if not chunk:
                return
            self._taken += len(chunk)
            yield chunk


class Unreadable(Exception):
    """Compressed data that makes no sense, in words that follow the file's name."""


def spool_file() -> int:
    """A temporary file that only this process can reach: mode 0600, and unlinked at once."""
    import tempfile

    fd, path = tempfile.mkstemp(prefix="osi-inspect-")
    os.unlink(path)
    return fd


def first_bytes(fd: int, size: int) -> bytes:
    """The first bytes that come from a pipe; fewer where it ends."""
    found = b""
    while len(found) < size and (part := os.read(fd, CHUNK)):
        found += part
    return found


def _bytes(size: int) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            return f"{size >> shift:,} {unit}"
    return f"{size:,} bytes"
