"""Event streams as services write them: each piece that a generator yields is one write, and one chunk over HTTP/1.1.

beat: seconds between two pieces, which makes them segments of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

CUT = 60  # percent: the event in whose middle the stream dies the first time


def event(name: str, number: int, data: object, end: str = "\n") -> bytes:
    text = json.dumps(data, ensure_ascii=False)
    return f"id: {number}{end}event: {name}{end}data: {text}{end}{end}".encode()


async def orders(beat: float) -> AsyncIterator[bytes]:
    """One event alone, three in one piece, one in two pieces, a comment, data of several lines, a long event; it ends well."""
    yield b": connected\nretry: 3000\n\n"
    await asyncio.sleep(beat)
    yield event("order", 1, {"order": "A-1001", "state": "received"})
    await asyncio.sleep(beat)
    yield b"".join(event("order", n, {"order": f"A-100{n}", "state": "packed"}) for n in (2, 3, 4))
    await asyncio.sleep(beat)
    yield b": heartbeat\n\n"
    await asyncio.sleep(beat)
    whole = event("order", 5, {"order": "A-1005", "state": "delivered", "city": "Zürich"})
    middle = whole.index("ü".encode()) + 1  # between the two bytes of one character
    yield whole[:middle]
    await asyncio.sleep(beat)
    yield whole[middle:]
    await asyncio.sleep(beat)
    yield b"id: 6\nevent: note\ndata: The courier rang twice.\ndata:\ndata: The parcel is with the neighbour.\n\n"
    await asyncio.sleep(beat)
    stock = [{"item": f"item-{n:02}", "left": 40 - n, "shelf": f"{n % 4}-{n // 4}"} for n in range(40)]
    yield event("stock", 7, {"taken": "2026-01-01", "items": stock})
    await asyncio.sleep(beat)
    yield b"data: no name, so the client sees an event called message\n\n"
    yield b"event: end\ndata:\n\n"


async def progress(last: int, beat: float, crash: Callable[[], None]) -> AsyncIterator[bytes]:
    """Events behind event `last`; for a client that comes the first time, `crash` in the middle of one."""
    for percent in range(last // 20 * 20 + 20, 101, 20):
        piece = event("progress", percent, {"import": 7, "percent": percent, "rows": percent * 50}, end="\r\n")
        if percent == CUT and not last:
            yield piece[: len(piece) // 2]
            await asyncio.sleep(beat)
            crash()
        yield piece
        await asyncio.sleep(beat)
