"""Compressed captures (gzip, zstd, lz4): inflated into a temporary file that only this process can reach."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

from inspector.core.errors import InspectError
from inspector.sources.source import MAX_SPOOL, spool_file

_CHUNK = 1 << 20


def decompress(fd: int, magic: bytes, name: str) -> int:
    """The descriptor of the inflated file. What comes before damage is kept: the capture reader then tells of the cut."""
    out, total = spool_file(), 0
    stream = _gzip(fd) if magic[:2] == b"\x1f\x8b" else _zstd(fd) if magic[0] == 0x28 else _lz4(fd)
    try:
        for piece in stream:
            total += len(piece)
            if total > MAX_SPOOL:
                raise InspectError(f"{name}: inflates to more than {MAX_SPOOL >> 30} GiB; decompress it by hand")
            view = memoryview(piece)
            while view:
                view = view[os.write(out, view) :]
    except InspectError:
        os.close(out)
        raise
    except OSError as error:
        os.close(out)
        raise InspectError(f"{name}: cannot be decompressed: {(error.strerror or str(error)).lower()}") from None
    except Exception as error:  # each library has an error of its own for damaged data
        if not total:
            os.close(out)
            raise InspectError(f"{name}: damaged compressed data ({error})") from None
    return out


def _chunks(fd: int) -> Iterator[bytes]:
    at = 0
    while chunk := os.pread(fd, _CHUNK, at):
        at += len(chunk)
        yield chunk


def _gzip(fd: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(31)
    for chunk in _chunks(fd):
        while chunk:
            yield inflater.decompress(chunk, _CHUNK * 4)
            chunk = inflater.unconsumed_tail
            if inflater.eof:  # members follow one another (RFC 1952, 2.2)
                chunk = inflater.unused_data.lstrip(b"\0")
                inflater = zlib.decompressobj(31)


def _zstd(fd: int) -> Iterator[bytes]:
    import zstandard

    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        yield from zstandard.ZstdDecompressor().read_to_iter(file, write_size=_CHUNK)


def _lz4(fd: int) -> Iterator[bytes]:
    import lz4.frame

    inflater = lz4.frame.LZ4FrameDecompressor()
    for chunk in _chunks(fd):
        while chunk:
            yield inflater.decompress(chunk)
            chunk = inflater.unused_data or b"" if inflater.eof else b""
            if chunk:
                inflater = lz4.frame.LZ4FrameDecompressor()
