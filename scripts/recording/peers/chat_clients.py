"""Three members of the chat room; each waits until all have seen the last message, so that the order is always the same."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PAUSE = 0.1  # seconds between the scenes
PICTURE = bytes((n * 7 + n // 9) % 251 for n in range(300))  # stands for a picture: binary, and longer than 125 bytes


async def join(url: str, name: str, compression: str | None) -> ClientConnection:
    return await connect(f"{url}?name={name}", compression=compression, subprotocols=["chat.example"])


async def until(member: ClientConnection, wanted: str | bytes) -> None:
    """Read until a binary message is `wanted`, or the text or the type of a JSON message."""
    while True:
        message = await member.recv()
        if isinstance(message, bytes):
            if message == wanted:
                return
        elif wanted in json.loads(message).values():
            return


async def in_three_parts(member: ClientConnection) -> AsyncIterator[str]:
    yield "A message may come in parts, "
    await asyncio.sleep(PAUSE)
    yield "and a ping may pass between them, "
    await (await member.ping(b"between"))  # a control frame in the middle of a fragmented message
    yield "but no other message."


async def main(url: str) -> None:
    alice = await join(url, "alice", "deflate")
    await until(alice, "joined")
    bob = await join(url, "bob", "deflate")
    await asyncio.gather(until(alice, "joined"), until(bob, "joined"))
    carol = await join(url, "carol", None)
    members = (alice, bob, carol)
    await asyncio.gather(*(until(member, "joined") for member in members))

    await asyncio.sleep(PAUSE)
    await alice.send("Coffee in Zürich? ☕")
    await asyncio.gather(*(until(member, "Coffee in Zürich? ☕") for member in members))
    await asyncio.sleep(PAUSE)
    await bob.send(in_three_parts(bob))
    whole = "A message may come in parts, and a ping may pass between them, but no other message."
    await asyncio.gather(*(until(member, whole) for member in members))
    await asyncio.sleep(PAUSE)
    await carol.send(PICTURE)
    await asyncio.gather(*(until(member, PICTURE) for member in members))
    await asyncio.sleep(PAUSE)
    await carol.send("/ping")
    await asyncio.sleep(PAUSE)

    await alice.close(1000, "bye")
    await asyncio.gather(until(bob, "left"), until(carol, "left"))
    await asyncio.sleep(PAUSE)
    await bob.close(1001, "tab closed")
    await until(carol, "left")
    await asyncio.sleep(PAUSE)
    await carol.send("/leave")
    try:
        await carol.recv()
    except ConnectionClosed as closed:
        print(closed)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
