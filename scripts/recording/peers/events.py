"""Server-sent events as real services write them: `/orders/events` ends well, `/imports/7/events` dies the first time.

Each piece that a generator yields becomes one chunk and one write on the socket; Nagle's algorithm is off, so that pieces apart
in time are segments of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

BEAT = 0.25  # seconds between pieces


def event(name: str, number: int, data: object, end: str = "\n") -> bytes:
    text = json.dumps(data, ensure_ascii=False)
    return f"id: {number}{end}event: {name}{end}data: {text}{end}{end}".encode()


async def orders() -> AsyncIterator[bytes]:
    yield b": connected\nretry: 3000\n\n"
    await asyncio.sleep(BEAT)
    yield event("order", 1, {"order": "A-1001", "state": "received"})
    await asyncio.sleep(BEAT)
    yield b"".join(event("order", n, {"order": f"A-100{n}", "state": "packed"}) for n in (2, 3, 4))
    await asyncio.sleep(BEAT)
    yield b": heartbeat\n\n"
    await asyncio.sleep(BEAT)
    whole = event("order", 5, {"order": "A-1005", "state": "delivered", "city": "Zürich"})
    middle = whole.index("ü".encode()) + 1  # between the two bytes of one character
    yield whole[:middle]
    await asyncio.sleep(BEAT)
    yield whole[middle:]
    await asyncio.sleep(BEAT)
    yield b"id: 6\nevent: note\ndata: The courier rang twice.\ndata:\ndata: The parcel is with the neighbour.\n\n"
    await asyncio.sleep(BEAT)
    stock = [{"item": f"item-{n:02}", "left": 40 - n, "shelf": f"{n % 4}-{n // 4}"} for n in range(40)]
    yield event("stock", 7, {"taken": "2026-01-01", "items": stock})
    await asyncio.sleep(BEAT)
    yield b"data: no name, so the client sees an event called message\n\n"
    yield b"event: end\ndata:\n\n"


async def progress(last: int) -> AsyncIterator[bytes]:
    for percent in range(last // 20 * 20 + 20, 101, 20):
        piece = event("progress", percent, {"import": 7, "percent": percent, "rows": percent * 50}, end="\r\n")
        if percent == 60 and not last:
            yield piece[: len(piece) // 2]
            await asyncio.sleep(BEAT)
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        yield piece
        await asyncio.sleep(BEAT)


def stream(pieces: AsyncIterator[bytes]) -> Response:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)


async def order_events(request: Request) -> Response:
    return stream(orders())


async def import_events(request: Request) -> Response:
    return stream(progress(int(request.headers.get("last-event-id", 0))))


app = Starlette(routes=[Route("/orders/events", order_events), Route("/imports/7/events", import_events)])
