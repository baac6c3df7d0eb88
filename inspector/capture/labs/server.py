"""The server of the labs: one application, one listening socket that was opened by who started it.

    python -m inspector.capture.labs.server DESCRIPTOR PACE [CHAIN KEY]

It ends when its standard input does, so that it never outlives who started it. PACE: seconds between the server's own events.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import sys
from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from inspector.capture.labs.ending import ended

STATES = ("received", "packed", "on its way", "delivered")
POLLS_A_STATE = 4  # times that short polling hears the same
HELD_BEATS = 2.5  # beats that long polling waits for news at most
EVENTS_A_CONNECTION = 8  # then the server cuts the stream, as a restart would
LIVES = 3600  # seconds that a session and a token last


class Shop:
    """Orders that move on by themselves, and who is logged in."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.orders: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1001)
        self.polls = 0
        self.sessions: set[str] = set()
        self.tokens: set[str] = set()
        self.news = 0  # of which the latest is `news`
        self._told = asyncio.Condition()

    async def live(self) -> None:
        """News at odd intervals: sometimes soon, sometimes later than a held request lasts."""
        for beats in itertools.cycle((1.0, 2.0, 4.0)):
            await asyncio.sleep(beats * self.pace)
            async with self._told:
                self.news += 1
                self._told.notify_all()

    async def after(self, number: int) -> int | None:
        """The first news after `number`; None where there was none in time."""
        try:
            async with asyncio.timeout(HELD_BEATS * self.pace), self._told:
                await self._told.wait_for(lambda: self.news > number)
        except TimeoutError:
            return None
        return number + 1


def state(number: int) -> dict[str, Any]:
    return {"order": f"A-{1001 + number // len(STATES)}", "state": STATES[number % len(STATES)]}


def entity(content: Any, request: Request) -> Response:
    """JSON with an ETag; 304 for who has it already (RFC 9110, 13.1.2)."""
    tag = f'"{crc32(json.dumps(content).encode()):08x}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return JSONResponse(content, headers=headers)


def missing(number: str) -> Response:
    return JSONResponse({"error": f"there is no order {number}"}, 404)


# --- request and response, polling


async def orders(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    if request.method == "GET":
        return JSONResponse(list(shop.orders.values()))
    number = f"A-{next(shop.numbers)}"
    shop.orders[number] = {"number": number, "state": STATES[0], **await request.json()}
    return JSONResponse(shop.orders[number], 201, {"Location": f"/orders/{number}"})


async def order(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    number = request.path_params["number"]
    found = shop.orders.get(number)
    if found is None:
        return missing(number)
    if request.method == "DELETE":
        del shop.orders[number]
        return Response(status_code=204)
    if request.method == "PUT":
        shop.orders[number] = {**found, **await request.json()}
        return JSONResponse(shop.orders[number])
    return entity(found, request)


async def order_state(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    shop.polls += 1
    return entity(state((shop.polls - 1) // POLLS_A_STATE), request)


async def next_news(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    number = await shop.after(int(request.query_params.get("after", 0)))
    return Response(status_code=204) if number is None else JSONResponse({"news": number, **state(number)})


# --- server-sent events


async def events(request: Request) -> Response:
    last = int(request.headers.get("last-event-id", 0))
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(stream(request.app.state.shop.pace, last), media_type="text/event-stream", headers=headers)


async def stream(pace: float, last: int) -> AsyncIterator[bytes]:
    yield f"retry: {int(pace * 1000)}\n\n".encode()
    for number in range(last + 1, last + 1 + EVENTS_A_CONNECTION):
        await asyncio.sleep(pace)
        if number % 3 == 0:
            yield b": still here\n\n"
        text = json.dumps(state(number), ensure_ascii=False)
        yield f"id: {number}\nevent: order\ndata: {text}\n\n".encode()


# --- WebSocket


async def room(socket: WebSocket) -> None:
    await socket.accept()
    try:
        await socket.send_json({"type": "welcome", "text": "Coffee in Zürich? ☕"})
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_json({"type": "said", "text": message["text"]})
            else:
                await socket.send_bytes(message["bytes"][::-1])
    except WebSocketDisconnect:
        return


# --- many streams


async def picture(request: Request) -> Response:
    size = int(request.path_params["size"])
    return Response(bytes(n * 7 % 251 for n in range(size)), media_type="application/octet-stream")


async def slow(request: Request) -> Response:
    await asyncio.sleep(request.app.state.shop.pace)
    return PlainTextResponse("worth waiting for\n")


# --- sessions


async def login(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    shop.sessions.add(session := secrets.token_urlsafe(16))
    response = JSONResponse({"hello": "alice"})
    secure = request.url.scheme == "https"
    response.set_cookie("session", session, max_age=LIVES, path="/", secure=secure, httponly=True, samesite="lax")
    return response


async def token(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    shop.tokens.add(value := secrets.token_urlsafe(24))
    answer = {"access_token": value, "token_type": "Bearer", "expires_in": LIVES}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def cart(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if request.cookies.get("session") in shop.sessions or (scheme.lower() == "bearer" and value in shop.tokens):
        return JSONResponse({"owner": "alice", "items": ["mug", "voucher"]})
    return JSONResponse({"error": "who are you?"}, 401, {"WWW-Authenticate": 'Bearer realm="shop"'})


async def logout(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    shop.sessions.discard(request.cookies.get("session", ""))
    shop.tokens.discard(request.headers.get("authorization", "").partition(" ")[2])
    response = Response(status_code=204)
    if "session" in request.cookies:
        response.delete_cookie("session", path="/")
    return response


ROUTES = [
    Route("/orders", orders, methods=["GET", "POST"]),
    Route("/orders/{number}", order, methods=["GET", "PUT", "DELETE"]),
    Route("/orders/{number}/state", order_state),
    Route("/news", next_news),
    Route("/events", events),
    WebSocketRoute("/room", room),
    Route("/pictures/{size:int}", picture),
    Route("/slow", slow),
    Route("/login", login, methods=["POST"]),
    Route("/token", token, methods=["POST"]),
    Route("/cart", cart),
    Route("/logout", logout, methods=["POST"]),
]


async def main(descriptor: int, pace: float, chain: str = "", key: str = "") -> None:
    """Serve until standard input ends."""
    app = Starlette(routes=ROUTES)
    app.state.shop = Shop(pace)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.certfile, config.keyfile = chain or None, key or None
    config.graceful_timeout = 0.5
    config.accesslog = config.errorlog = None
    living = asyncio.create_task(app.state.shop.live())
    await serve(app, config, shutdown_trigger=ended)  # type: ignore[arg-type]
    living.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]))
