"""What the body of a message carries: its pieces joined, its codings undone, handed to whoever knows its media type.

Every buffer on the way names where its bytes came from; what is inflated, piece by piece.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.layer import Severity
from inspector.core.limits import MAX_BODY_DECODED
from inspector.core.span import Derived, Origin, Span
from inspector.protocols.http import codings
from inspector.protocols.http.head import Head

MIN_PIECE = 128  # bytes of a coded body that are fed at a time, so that each piece of output has its own input
MAX_PIECES = 4096  # of a body; longer ones are fed in larger pieces


def carry(c: Cursor, head: Head, pieces: list[Span], chunked: bool) -> None:
    """Hand the body on, decoded. pieces: the ranges of the cursor's buffer that it consists of, in order."""
    body = pieces[0]
    if c.context.cut and c.stop - c.start >= MAX_BODY_DECODED:
        whole = c.context.cut + c.stop - c.start
        c.issue("limit", f"the message is read to {MAX_BODY_DECODED >> 20} MiB of {whole >> 20:,} MiB", Severity.NOTE, body)
    if chunked:
        body = Span(_joined(c, pieces), 0, sum(piece.size for piece in pieces))
        pieces = [Span(body.buffer, origin.start, origin.stop) for origin in body.buffer.origins(0, body.stop)]
    applied = [name for name in head.tokens("content-encoding") if name != "identity"]
    applied += [name for name in head.tokens("transfer-encoding") if name in codings.NAMES]  # on top of the others
    for coding in reversed(applied):
        if coding not in codings.NAMES:
            c.issue(
                "content-coding", f"the coding {coding[:40]} is not known: what it carries stays unread", Severity.NOTE, body
            )
            return
        decoded = undo(c, coding, body, pieces)
        if decoded is None:
            return
        body = decoded
        pieces = [Span(body.buffer, origin.start, origin.stop) for origin in body.buffer.origins(0, body.stop)]
    hand_on(c, head.get("content-type") or "", body, "Content-Type")


def hand_on(c: Cursor, content_type: str, body: Span, name: str) -> None:
    """Hand a body to the protocol of its media type (RFC 9110, 8.3)."""
    media = content_type.split(";")[0].strip(" \t").lower()
    if media.startswith("multipart/"):
        c.context.info = {**c.context.info, "content_type": content_type}
        c.hand_on(body, "media_type", "multipart", f"{name}: {media}")
    elif media:
        key = "json" if media == "application/json" or media.endswith("+json") else media
        c.hand_on(body, "media_type", key, f"{name}: {media}")


def _joined(c: Cursor, pieces: list[Span]) -> Derived:
    """The data of the chunks, without what stands between them."""
    origins, at = [], 0
    for piece in pieces:
        origins.append(Origin(at, at + piece.size, piece))
        at += piece.size
    data = b"".join(c.slice(piece.start, piece.stop) for piece in pieces)
    buffer = Derived(f"body:{c.buffer.id}:{c.start}", "dechunked", data, origins)
    c.buffers[buffer.id] = buffer
    return buffer


def undo(c: Cursor, coding: str, body: Span, pieces: list[Span]) -> Span | None:
    """The body with one coding undone, in a buffer of its own; None where it is damaged. What came out before the damage is
    kept in the bytes pane."""
    decoder = codings.Decoder(coding)
    step = max(MIN_PIECE, body.size // MAX_PIECES)
    data = bytearray()
    origins: list[Origin] = []
    whole = body.read()
    fed = body.start  # input up to here has made all output so far
    trouble, over = "", False
    for piece in pieces:
        for at in range(piece.start, piece.stop, step):
            stop = min(at + step, piece.stop)
            try:
                out = decoder.feed(whole[at - body.start : stop - body.start])
            except codings.TooLarge as large:
                out, over = large.out, True
            except codings.Damaged as damaged:
                trouble = str(damaged)
                break
            if out:
                origins.append(Origin(len(data), len(data) + len(out), Span(body.buffer, fed, stop), copied=False))
                data += out
                fed = stop
            if over:
                break
        if trouble or over:
            break
    if over:
        c.issue("limit", f"the body is shown to {MAX_BODY_DECODED >> 20} MiB{_of(coding, whole)}", Severity.NOTE, body)
    elif not trouble and not decoder.finished and not c.context.cut and c.context.info.get("complete", True):
        trouble = "it ends too early"
    buffer = Derived(f"{body.buffer.id}:{coding}", f"decompressed ({coding})", bytes(data), origins)
    c.buffers[buffer.id] = buffer
    if trouble:
        c.issue("content-coding", f"the body is no whole {coding} stream: {trouble}", Severity.ERROR, body)
        return None
    return Span(buffer, 0, len(data))


def _of(coding: str, coded: bytes) -> str:
    """How long the body really is, where its coding says: gzip's last four octets do (RFC 1952, 2.3.1)."""
    claimed = int.from_bytes(coded[-4:], "little") if coding in ("gzip", "x-gzip") else 0
    return f" of {claimed >> 20:,} MiB" if claimed > MAX_BODY_DECODED else ", and inflates to more"
