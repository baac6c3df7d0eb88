"""What every format has in common: packets come as columns, a window of the file at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from inspector.core.limits import MAX_BLOCK
from inspector.core.packet import Interface
from inspector.sources.store import Store

WINDOW = 4 * 1024 * 1024  # bytes read at a time: so many that an array of them has large pages of memory
SOON = 64 * 1024  # bytes of the first window: a screen has rows at once
MARGIN = 128  # bytes behind a packet's start that readers of headers may touch, whether or not they are its own
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
    """A decryption secrets block: its type (`TLSK` as a number for TLS key logs), its data, and where these lie."""

    type: int
    data: bytes
    offset: int


class Batch(NamedTuple):
    """Packets of one window: columns, and the window itself, in which each packet begins at `start`.

    offset: of the packet's bytes in the capture, for `Source.read`. Starts ascend, but in a window that ends with
    more than MARGIN bytes of nothing: there they may come in any order.
    """

    offset: Int64s
    captured: Int64s
    wire: Int64s
    time_ns: Int64s
    interface: Int64s
    start: Int64s
    window: npt.NDArray[np.uint8]


class Source:
    """An open capture. Packets come as batches, in the order of the file; any bytes can be read again."""

    format = ""

    def __init__(self, name: str) -> None:
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
        """Bytes in the capture (of a compressed one: inflated), so far."""
        raise NotImplementedError

    def share(self, offset: int) -> float:
        """How much of the capture lies before `offset`, 0 to 1; 0 for a pipe that is still open."""
        raise NotImplementedError

    def file(self, offset: int) -> str:
        """The name of the file that these bytes lie in, where the capture is made of several; empty for one."""
        return ""

    def files(self) -> list[int] | None:
        """The descriptors of the files that the capture lies in; None for a pipe, for compressed files and for growing ones."""
        raise NotImplementedError

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the capture; fewer where its file ends."""
        raise NotImplementedError

    def near(self, offset: int, size: int) -> bytes:
        """The same, quicker where many small pieces that lie close together are wanted."""
        raise NotImplementedError

    def batches(self) -> Iterator[Batch]:
        """The packets, a window at a time; where the file is damaged they end and `damage` says why.

        Of a pipe, of inflated data and of a followed file they come as they arrive: the iterator blocks until there are
        more, and ends with the pipe, or after `stop`. Of an ordinary file that has grown since, another call gives the
        packets behind those that were given before.
        """
        raise NotImplementedError

    def again(self) -> Source:
        """The same capture, to be read from its beginning; only where it lies in `files`."""
        raise NotImplementedError

    def shrunk(self) -> None:
        """Bytes that were there are there no longer: somebody has cut the file, or written it anew, while it was open."""
        raise NotImplementedError

    def stop(self) -> None:
        """Wait for nothing more from a pipe or a followed file: `batches` ends with what has arrived."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError


class FileSource(Source):
    """A capture in one file, or out of one pipe. window: bytes read at a time; it may be changed between two batches."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(name)
        self.window = WINDOW
        self._store = store
        self._at = 0  # where the next record begins
        self._count = 0  # packets before it

    @property
    def size(self) -> int:
        return self._store.size

    def share(self, offset: int) -> float:
        return self._store.share * min(offset / max(self._store.size, 1), 1.0)

    def files(self) -> list[int] | None:
        return [self._store.fd] if self._store.lasting else None

    def read(self, offset: int, size: int) -> bytes:
        return self._store.read(offset, size)

    def near(self, offset: int, size: int) -> bytes:
        return self._store.near(offset, size)

    def batches(self) -> Iterator[Batch]:
        if self.damage is not None and self.damage.unfinished:
            self.damage = None
        size = self.window if self._count else min(self.window, SOON)
        while self.damage is None:
            window = self._store.window(self._at, size)
            batch, used = self._walk(window)
            self._at += used
            if batch is not None:
                self._count += len(batch.offset)
                yield batch
            size = self.window
            if used or self.damage is not None:
                continue
            need = self._length(window)
            if len(window) < need <= MAX_BLOCK and self._at + need <= self.size:
                size = need  # a record longer than the window
            elif not self._store.wait(self._at + len(window)):
                self._end(window)
                return

    def _walk(self, window: memoryview) -> tuple[Batch | None, int]:
        """The packets of the whole records at the start of a window that begins at `_at`, and the bytes that these fill."""
        raise NotImplementedError

    def _length(self, window: memoryview) -> int:
        """The bytes of the record at the start of a window, by its own word; 0 where that has not arrived."""
        raise NotImplementedError

    def _end(self, rest: memoryview) -> None:
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

    def again(self) -> Self:
        return type(self)(Store(os.dup(self._store.fd)), self.name)

    def shrunk(self) -> None:
        size = self.size
        text = f"the file was cut to {size:,} bytes while it was open: what lay behind them cannot be shown any more"
        if self.damage is None or self.damage.unfinished:
            self.damage = Damage(size, self._count, text)

    def stop(self) -> None:
        self._store.stop()

    def close(self) -> None:
        self._store.close()
