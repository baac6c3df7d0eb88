"""Compressed captures (gzip, zstd, lz4, xz, bzip2), inflated piece by piece. What comes before damage is kept."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_INFLATE_RATIO, MAX_UNPACKER
from inspector.sources.store import Inflate, Unreadable

PIECE = 1 << 20  # inflated bytes at a time
FREE = 256 << 20  # inflated bytes before the ratio is looked at: a small file of zeros is no bomb
ZSTD_STEP = 2048  # compressed bytes at a time: four of them can become 128 KiB, and the library cannot be told to stop


def inflater(magic: bytes) -> Inflate | None:
    """What undoes the compression of a file that begins with `magic`; None where it is not compressed.

    Raises InspectError where this Python was built without the library."""
    for first, (name, make) in _FORMATS.items():
        if magic.startswith(first):
            return lambda chunks: _inflate(name, make, chunks)
    return None


class _Zlib:
    """zlib with the interface that the other libraries share. What it makes of the bytes before damage is not lost."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(31)
        self._tail = b""
        self._full = False
        self._error: zlib.error | None = None

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._error is not None:
            raise self._error
        before, data = self._inflater.copy(), self._tail + data
        try:
            out = self._inflater.decompress(data, max_length)
        except zlib.error as error:
            self._error = error
            return _before_damage(before, data)
        self._tail = self._inflater.unconsumed_tail
        self._full = len(out) == max_length  # then zlib may hold more that it has already worked out
        return out

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._tail and not self._full and self._error is None

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data


def _before_damage(inflater: zlib._Decompress, data: bytes) -> bytes:
    """What comes out byte by byte, up to the one that zlib refuses."""
    out = b""
    for at in range(len(data)):
        try:
            out += inflater.decompress(data[at : at + 1], PIECE)
        except zlib.error:
            break
    return out


class _Zstd:
    """zstandard with the interface that the other libraries share."""

    def __init__(self) -> None:
        import zstandard

        self._inflater = zstandard.ZstdDecompressor().decompressobj()
        self._tail = memoryview(b"")

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._tail = self._tail or memoryview(data)
        step, self._tail = self._tail[:ZSTD_STEP], self._tail[ZSTD_STEP:]
        return self._inflater.decompress(step)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data + bytes(self._tail)


def _lz4() -> Any:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


def _xz() -> Any:
    try:
        import lzma
    except ImportError:
        raise InspectError("compressed with xz, which this Python was built without; decompress it with `xz -d`") from None
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_UNPACKER)


def _bzip2() -> Any:
    try:
        import bz2
    except ImportError:
        raise InspectError("compressed with bzip2, which this Python was built without; use `bunzip2`") from None
    return bz2.BZ2Decompressor()


_FORMATS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", _Zlib),
    b"\x28\xb5\x2f\xfd": ("zstd", _Zstd),
    b"\x04\x22\x4d\x18": ("lz4", _lz4),
    b"\xfd7zXZ\0": ("xz", _xz),
    b"BZh": ("bzip2", _bzip2),
}


def _inflate(name: str, make: Callable[[], Any], chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Frames (members, streams) follow one another; zeros may lie between and behind them."""
    taken = out = 0
    unpacker: Any = None
    for chunk in chunks:
        start, taken = taken, taken + len(chunk)
        while True:
            if unpacker is None:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                unpacker = make()
            try:
                piece = unpacker.decompress(chunk, PIECE)
            except Exception as error:  # each library has an error of its own for damaged data
                raise Unreadable(f"damaged compressed data ({name}) between bytes {start:,} and {taken:,}: {error}") from None
            if piece:
                yield piece
            out += len(piece)
            if out > FREE and out > taken * MAX_INFLATE_RATIO:
                text = f"its {taken:,} compressed bytes inflate to more than {MAX_INFLATE_RATIO:,} times as many"
                raise Unreadable(f"{text}, as no capture does; the rest is not read")
            if unpacker.eof:
                chunk, unpacker = unpacker.unused_data or b"", None
            elif unpacker.needs_input:
                break
            else:
                chunk = b""
    if unpacker is not None:
        raise Unreadable(f"the compressed data ({name}) is cut short, at byte {taken:,}")
