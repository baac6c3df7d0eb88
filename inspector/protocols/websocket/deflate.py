"""permessage-deflate (RFC 7692): messages inflated as they come, and again when somebody looks; what came out is not kept.

Where the sender keeps its window over messages, so must the receiver; states of the inflater are kept at intervals, so
that any piece can be had again without starting from the first.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from functools import partial
from typing import Any

from inspector.core.limits import MAX_BODY_DECODED, MAX_MESSAGE_RATIO
from inspector.core.span import Span
from inspector.protocols.websocket.mask import unmask

TAIL = b"\x00\x00\xff\xff"  # what the sender left out behind each message (RFC 7692, 7.2.1)
CHECKPOINT = 256 * 1024  # coded bytes between two kept states: the most that is inflated anew for one piece
FREE = 64 * 1024 * 1024  # inflated bytes that no ratio limits
CACHE = 4 * 1024 * 1024  # inflated bytes that are kept, the ones used last


def agreed(extensions: str) -> bool:
    """The two sides agreed on it."""
    return any(offer.split(";")[0].strip() == "permessage-deflate" for offer in extensions.split(","))


class Inflater:
    """One direction's inflater. fresh: the sender starts each message anew (no_context_takeover, RFC 7692, 7.1.1)."""

    def __init__(self, fresh: bool) -> None:
        self._fresh = fresh
        self._now: Any = zlib.decompressobj(-15)
        self._pieces: list[tuple[Span, bytes, bool]] = []  # payload, masking key, last of its message
        self._states: list[tuple[int, Any]] = [(0, None)]  # (number of the piece that follows, state; None for a new one)
        self._since = 0
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._cached = 0
        self.broken = False  # bytes are missing or damaged: nothing can be read until a message starts anew
        self.limit = ""  # which limit was reached, in words
        self._taken = self._made = 0  # bytes

    def begin(self) -> None:
        """A message begins."""
        if self._fresh:
            self._now = zlib.decompressobj(-15)
            self._states.append((len(self._pieces), None))
            self._since = 0
            self.broken, self.limit = False, ""

    def feed(self, payload: Span, key: bytes, fin: bool) -> tuple[bytes, partial[bytes]] | None:
        """The next payload of a compressed message; what it inflates to, and how to have that again. None where it cannot be
        inflated."""
        number = len(self._pieces)
        self._pieces.append((payload, key, fin))
        out = None if self.broken else self._inflate(self._now, number)
        self._taken += payload.size
        self._made += len(out or b"")
        if self._made > max(FREE, self._taken * MAX_MESSAGE_RATIO):
            out, self.limit = None, f"this side's messages inflate to more than {MAX_MESSAGE_RATIO} times as many bytes"
        if out is None:
            self.broken = True
            return None
        self._since += payload.size
        if self._since >= CHECKPOINT:
            self._states.append((number + 1, self._now.copy()))
            self._since = 0
        return out, partial(self._again, number)

    def lose(self) -> None:
        """Bytes of the stream are missing."""
        self.broken = True

    def _inflate(self, inflater: Any, number: int) -> bytes | None:
        payload, key, fin = self._pieces[number]
        data = payload.read()
        if key:
            data = unmask(data, key)
        try:
            out: bytes = inflater.decompress(data + TAIL if fin else data, MAX_BODY_DECODED)
        except zlib.error:
            return None
        if inflater.unconsumed_tail:  # a bomb, or a message too large to be looked at
            self.limit = f"a frame is inflated to {MAX_BODY_DECODED >> 20} MiB, and this one is longer"
            return None
        self._keep(number, out)
        return out

    def _keep(self, number: int, out: bytes) -> None:
        self._cached += len(out) - len(self._cache.pop(number, b""))
        self._cache[number] = out
        while self._cached > CACHE and len(self._cache) > 1:
            self._cached -= len(self._cache.popitem(last=False)[1])

    def _again(self, number: int) -> bytes:
        found = self._cache.get(number)
        if found is not None:
            self._cache.move_to_end(number)
            return found
        start, state = next(state for state in reversed(self._states) if state[0] <= number)
        inflater = state.copy() if state is not None else zlib.decompressobj(-15)
        out: bytes | None = b""
        for at in range(start, number + 1):
            out = self._inflate(inflater, at)
        return out or b""
