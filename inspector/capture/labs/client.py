"""The client of the labs: does what its lab teaches, again and again, until its standard input ends.

    python -m inspector.capture.labs.client LAB URL BEAT [ROOT]

BEAT: seconds between two actions; ROOT: the certificate that is trusted. TLS keys are written where $SSLKEYLOGFILE says.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from websockets.asyncio.client import connect

from inspector.capture.labs.ending import ended

MESSAGES = 6  # of one WebSocket
STREAMS = 5  # requests side by side
REQUESTS_A_SESSION = 3
PATIENCE = 60.0  # seconds for an answer


class Peer:
    """The server as the client sees it."""

    def __init__(self, url: str, beat: float, root: str = "") -> None:
        self.url = url
        self.beat = beat
        self.tls = ssl.create_default_context(cafile=root) if root else None

    def http(self, http2: bool = False) -> httpx.AsyncClient:
        """A client with one connection to the server. It goes there directly: a proxy in the environment is not asked."""
        return httpx.AsyncClient(
            base_url=self.url,
            verify=self.tls or True,
            http1=not http2,
            http2=http2,
            timeout=PATIENCE,
            trust_env=False,
        )

    async def pause(self) -> None:
        await asyncio.sleep(self.beat)


async def request_response(peer: Peer) -> None:
    async with peer.http() as http:
        while True:
            made = await http.post("/orders", json={"customer": "Alice", "item": "mug", "city": "Zürich"})
            place = made.headers["Location"]
            await peer.pause()
            read = await http.get(place)
            await peer.pause()
            await http.get(place, headers={"If-None-Match": read.headers["ETag"]})
            await peer.pause()
            await http.put(place, json={"state": "packed"})
            await peer.pause()
            await http.delete(place)
            await peer.pause()
            await http.get(place)
            await peer.pause()


async def short_polling(peer: Peer) -> None:
    known = ""
    async with peer.http() as http:
        while True:
            headers = {"If-None-Match": known} if known else {}
            known = (await http.get("/orders/A-1001/state", headers=headers)).headers["ETag"]
            await peer.pause()


async def long_polling(peer: Peer) -> None:
    known = 0
    async with peer.http() as http:
        while True:
            answer = await http.get("/news", params={"after": known})
            if answer.status_code == 200:
                known = answer.json()["news"]


async def sse(peer: Peer) -> None:
    while True:
        await listen(peer, "/orders/events", "")
        await peer.pause()
        last = ""
        while last != "100":  # the first time the stream breaks off
            last = await listen(peer, "/imports/7/events", last)
            await peer.pause()


async def listen(peer: Peer, path: str, last: str) -> str:
    """Read an event stream to its end, be it a good one or not; `last`, and what is returned: the last event that was whole."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"} | ({"Last-Event-ID": last} if last else {})
    id = last
    with contextlib.suppress(httpx.RemoteProtocolError):
        async with peer.http() as http, http.stream("GET", path, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("id:"):
                    id = line[3:].strip()
                elif not line:  # an event is whole with its empty line
                    last = id
    return last


async def websocket(peer: Peer) -> None:
    while True:
        async with connect(peer.url.replace("http", "ws", 1) + "/room", ssl=peer.tls, proxy=None) as room:
            await room.recv()
            for number in range(1, MESSAGES + 1):
                await room.send(f"cup {number} of coffee" if number % 3 else bytes(range(200)))
                await room.recv()
                if number == MESSAGES // 2:
                    await (await room.ping(b"are you there?"))
                await peer.pause()
        await peer.pause()


async def http2(peer: Peer) -> None:
    async with peer.http(http2=True) as http:
        while True:
            paths = ["/slow", *(f"/pictures/{size}" for size in (100, 2_000, 20_000)), "/orders"]
            await asyncio.gather(*(http.get(path) for path in paths[:STREAMS]))
            await peer.pause()


async def sessions(peer: Peer) -> None:
    await asyncio.gather(by_cookie(peer), by_token(peer))


async def by_cookie(peer: Peer) -> None:
    async with peer.http() as http:
        while True:
            await http.get("/cart")  # 401
            await http.post("/login", json={"user": "alice", "password": "correct horse battery staple"})
            async for _ in times(peer):
                await http.get("/cart")
            await http.post("/logout")
            await peer.pause()


async def by_token(peer: Peer) -> None:
    async with peer.http() as http:
        while True:
            asked = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "correct horse battery staple"}
            answer = await http.post("/token", data=asked)  # RFC 6749, 4.4
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            async for _ in times(peer):
                await http.get("/cart", headers=headers)
            await http.post("/logout", headers=headers)
            await http.get("/cart", headers=headers)  # 401
            await peer.pause()


async def times(peer: Peer) -> AsyncIterator[int]:
    for number in range(REQUESTS_A_SESSION):
        yield number
        await peer.pause()


DOES: dict[str, Callable[[Peer], Awaitable[None]]] = {
    "request-response": request_response,
    "short-polling": short_polling,
    "long-polling": long_polling,
    "sse": sse,
    "websocket": websocket,
    "http2": http2,
    "sessions": sessions,
}


async def main(lab: str, url: str, beat: float, root: str = "") -> None:
    """Do it until standard input ends; connections are then closed as they should be."""
    doing = asyncio.ensure_future(DOES[lab](Peer(url, beat, root)))
    ending = asyncio.ensure_future(ended())
    await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
    doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:]))
