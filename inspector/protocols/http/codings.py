"""Content codings (RFC 9110, 8.4.1): gzip, deflate, br, zstd, undone piece by piece and within limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from inspector.core.limits import MAX_BODY_DECODED

NAMES = ("gzip", "x-gzip", "deflate", "br", "zstd")


class Damaged(Exception):
    """The coded bytes are not what they claim to be, or inflate beyond the limit."""


class Decoder:
    """Undoes one coding. `feed` returns what its input made readable; raises Damaged."""

    def __init__(self, coding: str) -> None:
        self._total = 0
        self._feed = _decoders[coding]()

    def feed(self, data: bytes) -> bytes:
        try:
            out = self._feed(data)
        except Exception as error:  # each library has an error of its own
            raise Damaged(str(error)) from None
        self._total += len(out)
        if self._total > MAX_BODY_DECODED:
            raise Damaged(f"inflates to more than {MAX_BODY_DECODED >> 20} MiB")
        return out


def _zlib(wbits: int) -> Callable[[bytes], bytes]:
    inflater = zlib.decompressobj(wbits)
    return lambda data: inflater.decompress(data, MAX_BODY_DECODED + 1)


def _deflate() -> Callable[[bytes], bytes]:
    """The zlib format by the RFC; some servers send raw deflate, told apart by the first two bytes (RFC 1950, 2.2)."""
    chosen: list[Callable[[bytes], bytes]] = []
    waiting = b""

    def feed(data: bytes) -> bytes:
        nonlocal waiting
        if not chosen:
            waiting += data
            if len(waiting) < 2:
                return b""
            wrapped = waiting[0] & 15 == 8 and int.from_bytes(waiting[:2], "big") % 31 == 0
            chosen.append(_zlib(15 if wrapped else -15))
            data = waiting
        return chosen[0](data)

    return feed


def _brotli() -> Callable[[bytes], bytes]:
    import brotli

    inflater = brotli.Decompressor()
    return lambda data: bytes(inflater.process(data, output_buffer_limit=MAX_BODY_DECODED + 1))


def _zstd() -> Callable[[bytes], bytes]:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()  # RFC 9659: windows of 8 MiB at most
    return lambda data: inflater.decompress(data)


_decoders: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": lambda: _zlib(31),
    "x-gzip": lambda: _zlib(31),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
