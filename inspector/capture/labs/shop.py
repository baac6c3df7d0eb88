"""The web service of the labs, and of several recorded captures: one ASGI application (Starlette)."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from zlib import crc32

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from inspector.capture.labs import events

STATES = ("received", "packed", "on its way", "delivered")
POLLS_A_STATE = 4  # times that short polling hears the same
HELD_BEATS = 2.5  # beats that long polling waits for news at most
LIVES = 3600  # seconds that a session and a token last


class Shop:
    """Orders that move on by themselves, and who is logged in.

    pace: seconds between its own events; crash: what happens to it in the middle of an import.
    """

    def __init__(self, pace: float, crash: Callable[[], None]) -> None:
        self.pace, self.crash = pace, crash
        self.orders: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1001)
        self.polls = 0
        self.sessions: set[str] = set()
        self.tokens: set[str] = set()
        self.news = 0  # of which the latest is `news`
        self._told = asyncio.Condition()

    def order(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """A new order."""
        number = f"A-{next(self.numbers)}"
        self.orders[number] = {"id": number, "state": STATES[0], **wanted}
        return self.orders[number]

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
    made = shop.order(await request.json())
    response = JSONResponse(made, 201, {"Location": f"/orders/{made['id']}"})
    response.set_cookie("session", secrets.token_hex(5), path="/orders", httponly=True, samesite="lax")
    return response


async def batch(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    made = [shop.order(order) for order in await request.json()]
    return JSONResponse({"count": len(made), "orders": made})


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


async def order_events(request: Request) -> Response:
    return _stream(events.orders(request.app.state.shop.pace))


async def import_events(request: Request) -> Response:
    """The progress of an import. The first time the service breaks off in the middle of an event."""
    shop: Shop = request.app.state.shop
    last = int(request.headers.get("last-event-id", 0))
    return _stream(events.progress(last, shop.pace, shop.crash))


def _stream(pieces: AsyncIterator[bytes]) -> Response:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)


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
    asked = await request.json()  # who answers before the request is read to its end must close the connection
    shop.sessions.add(session := secrets.token_urlsafe(16))
    response = JSONResponse({"hello": asked["user"]})
    secure = request.url.scheme == "https"
    response.set_cookie("session", session, max_age=LIVES, path="/", secure=secure, httponly=True, samesite="lax")
    return response


async def token(request: Request) -> Response:
    shop: Shop = request.app.state.shop
    await request.body()
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
    Route("/orders/batch", batch, methods=["POST"], middleware=[Middleware(GZipMiddleware)]),
    Route("/orders/events", order_events),
    Route("/orders/{number}", order, methods=["GET", "PUT", "DELETE"]),
    Route("/orders/{number}/state", order_state),
    Route("/news", next_news),
    Route("/imports/7/events", import_events),
    WebSocketRoute("/room", room),
    Route("/pictures/{size:int}", picture),
    Route("/slow", slow),
    Route("/login", login, methods=["POST"]),
    Route("/token", token, methods=["POST"]),
    Route("/cart", cart),
    Route("/logout", logout, methods=["POST"]),
]


def application(pace: float, crash: Callable[[], None]) -> Starlette:
    """The service; see `Shop`."""
    shop = Shop(pace, crash)

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(shop.live())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = Starlette(routes=ROUTES, lifespan=living)
    app.state.shop = shop
    return app
