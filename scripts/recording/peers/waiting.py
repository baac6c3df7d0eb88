"""Three ways to wait for what the server will know later: the state of an order, news that a held request waits for, a report
that is made in the background. All three clocks start with the first question."""

from __future__ import annotations

import asyncio
import time
from zlib import crc32

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

STATES = ((0.0, "received"), (1.7, "packed"), (3.3, "delivered"))  # seconds after the first question
NEWS = (0.5, 2.4, 2.9, 3.8)
HELD = 1.2  # seconds that a question for news is held where it does not say how long
MADE = 2.5  # seconds that a report takes
LINES = "order,total\n" + "".join(f"A-{number},{number % 70}.50\n" for number in range(1001, 1021))


class Clock:
    """Seconds since somebody first asked."""

    started = 0.0

    def read(self) -> float:
        self.started = self.started or time.monotonic()
        return time.monotonic() - self.started


clock = Clock()


async def order_state(request: Request) -> Response:
    now = clock.read()
    content = {"order": "A-1001", "state": [state for since, state in STATES if since <= now][-1]}
    headers = {"ETag": f'"{crc32(repr(content).encode()):08x}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return JSONResponse(content, headers=headers)


async def next_news(request: Request) -> Response:
    """The first news after `after`, as soon as there is one; 204 where there is none in time (RFC 7240, 4.3)."""
    known, now = int(request.query_params["after"]), clock.read()
    preferred = request.headers.get("prefer", "").partition("wait=")[2]
    held = float(preferred) if preferred else HELD
    applied = {"Preference-Applied": f"wait={preferred}"} if preferred else {}
    until = NEWS[known] - now if known < len(NEWS) else held + 1
    await asyncio.sleep(max(min(until, held), 0))
    if until > held:
        return Response(status_code=204, headers=applied)
    return JSONResponse({"news": known + 1, "order": "A-1001", "text": f"news {known + 1}"}, headers=applied)


async def order_report(request: Request) -> Response:
    clock.read()
    headers = {"Location": "/jobs/41", "Retry-After": "1"}
    return JSONResponse({"job": 41, "state": "queued"}, status_code=202, headers=headers)


async def job(request: Request) -> Response:
    done = clock.read() / MADE
    if done >= 1:
        return RedirectResponse("/reports/2026-01", status_code=303)
    return JSONResponse({"job": 41, "state": "running", "percent": int(100 * done)}, headers={"Retry-After": "1"})


async def report(request: Request) -> Response:
    return PlainTextResponse(LINES, media_type="text/csv")


app = Starlette(
    routes=[
        Route("/orders/A-1001/state", order_state),
        Route("/news", next_news),
        Route("/reports", order_report, methods=["POST"]),
        Route("/jobs/41", job),
        Route("/reports/2026-01", report),
    ]
)
