"""Content codings (RFC 9110, 8.4.1): gzip, deflate, br, zstd, undone piece by piece and within limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from inspector.core.limits import MAX_BODY_DECODED
from inspector.core.span import Span
from inspector.core.stream import StreamBuffer

NAMES = ("gzip", "x-gzip", "deflate", "br", "zstd")


class Damaged(Exception):
    """The coded bytes are not what they claim to be, or inflate beyond the limit."""


class TooLarge(Damaged):
    """They inflate beyond the limit. out: what the last input made readable, up to it."""

    def __init__(self, out: bytes) -> None:
        super().__init__(f"inflates to more than {MAX_BODY_DECODED >> 20} MiB")
        self.out = out


class _Stream(Protocol):
    """What every library's decoder is made to look like. fault: what the library raises on damaged bytes."""

    fault: type[Exception]

    def feed(self, data: bytes) -> bytes: ...

    @property
    def finished(self) -> bool: ...


class Decoder:
    """Undoes one coding. `feed` returns what its input made readable; raises Damaged."""

    def __init__(self, coding: str) -> None:
        self._total = 0
        self._stream = _decoders[coding]()

    def feed(self, data: bytes) -> bytes:
        try:
            out = self._stream.feed(data)
        except self._stream.fault as error:
            raise Damaged(str(error)) from None
        self._total += len(out)
        if self._total > MAX_BODY_DECODED:
            raise TooLarge(out[: max(len(out) - (self._total - MAX_BODY_DECODED), 0)])
        return out

    @property
    def finished(self) -> bool:
        """The coded stream has come to its end."""
        return self._stream.finished


class Undoing:
    """A coded body that is decoded as it comes. Its pieces are joined, so that what comes out can name all that went in."""

    def __init__(self, coding: str, id: str) -> None:
        self._decoder = Decoder(coding)
        self._body = StreamBuffer(id, f"coded body ({coding})")
        self._used = 0  # input up to here has made all output so far

    def feed(self, piece: Span) -> tuple[Span, bytes]:
        """What the next piece makes readable, often nothing, and the coded bytes that made it. Raises Damaged."""
        self._body.append(piece)
        out = self._decoder.feed(piece.read())
        source = Span(self._body, self._used, self._body.size)
        if out:
            self._used = source.stop
        return source, out


class _Zlib:
    """zlib's formats. A gzip stream may have several members one behind the other (RFC 1952, 2.2)."""

    fault: type[Exception] = zlib.error

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflater = zlib.decompressobj(wbits)

    def feed(self, data: bytes) -> bytes:
        out = b""
        while data:
            if self._inflater.eof:
                if self._wbits != 31 or not data.startswith(b"\x1f"):
                    raise Damaged("bytes follow its end")
                self._inflater = zlib.decompressobj(self._wbits)
            out += self._inflater.decompress(data, MAX_BODY_DECODED + 1 - len(out))
            if len(out) > MAX_BODY_DECODED:
                break
            data = self._inflater.unused_data
        return out

    @property
    def finished(self) -> bool:
        return self._inflater.eof


class _Deflate:
    """The zlib format by the RFC; some servers send raw deflate, told apart by the first two bytes (RFC 1950, 2.2)."""

    fault: type[Exception] = zlib.error

    def __init__(self) -> None:
        self._chosen: _Zlib | None = None
        self._waiting = b""

    def feed(self, data: bytes) -> bytes:
        if self._chosen is None:
            data = self._waiting + data
            if len(data) < 2:
                self._waiting = data
                return b""
            wrapped = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._chosen = _Zlib(15 if wrapped else -15)
        return self._chosen.feed(data)

    @property
    def finished(self) -> bool:
        return self._chosen is not None and self._chosen.finished


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self.fault: type[Exception] = brotli.error
        self._inflater = brotli.Decompressor()

    def feed(self, data: bytes) -> bytes:
        return bytes(self._inflater.process(data, output_buffer_limit=MAX_BODY_DECODED + 1))

    @property
    def finished(self) -> bool:
        return bool(self._inflater.is_finished())


class _Zstd:
    STEP = 256  # bytes fed at a time: a block of 4 bytes may stand for 128 KiB, and no output limit can be given

    def __init__(self) -> None:
        import zstandard

        self.fault: type[Exception] = zstandard.ZstdError
        self._inflater = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()  # RFC 9659: 8 MiB at most

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        for at in range(0, len(data), self.STEP):
            out += self._inflater.decompress(data[at : at + self.STEP])
            if len(out) > MAX_BODY_DECODED:
                break
        return bytes(out)

    @property
    def finished(self) -> bool:
        return self._inflater.eof


_decoders: dict[str, Callable[[], _Stream]] = {
    "gzip": lambda: _Zlib(31),
    "x-gzip": lambda: _Zlib(31),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
