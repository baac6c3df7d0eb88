"""A stream of prices, one event each quarter of a second, for a proxy to pass on: at once, where `?instant` asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

BEAT = 0.25  # seconds between events
EVENTS = 16
GOODS = 24  # of which an event tells the price: about 600 bytes


async def prices() -> AsyncIterator[bytes]:
    for number in range(1, EVENTS + 1):
        content = json.dumps({f"mug-{good:02}": f"{(number * 37 + good * 11) % 900 + 100}.00 EUR" for good in range(GOODS)})
        yield f"id: {number}\nevent: prices\ndata: {content}\n\n".encode()
        await asyncio.sleep(BEAT)


async def stream(request: Request) -> Response:
    headers = {"Cache-Control": "no-store"}
    if "instant" in request.query_params:
        headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer this response
    return StreamingResponse(prices(), media_type="text/event-stream", headers=headers)


app = Starlette(routes=[Route("/prices", stream)])
