"""One visitor of the chat room: joins, says a sentence, sends something long, is asked for a sign of life, and leaves."""

from __future__ import annotations

import asyncio
import json
import sys

from websockets.asyncio.client import connect

LONG = " ".join(f"{number} cups of coffee" for number in range(1, 160))  # more than a segment holds


async def main(url: str) -> None:
    async with connect(f"{url}?name=dora", compression=None, subprotocols=["chat.example"]) as room:
        for text in ("Good morning, Zürich!", LONG):
            await room.send(text)
            while json.loads(await room.recv()).get("text") != text:
                pass
        await room.send("/ping")
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
