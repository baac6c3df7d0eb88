"""A chat room over WebSocket: what one member says is sent to all."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

HISTORY = ("Welcome to the room.", "Be kind.", "The coffee machine works again.")


class Room:
    def __init__(self) -> None:
        self.members: dict[ServerConnection, str] = {}

    async def member(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        name = connection.request.path.rpartition("=")[2]
        await self.greet(connection)
        self.members[connection] = name
        self.tell(type="joined", name=name)
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    broadcast(self.members, message)
                elif message == "/ping":
                    await (await connection.ping(b"are you there?"))
                elif message == "/leave":
                    await connection.close(4000, "asked to leave")
                else:
                    self.tell(type="said", name=name, text=message)
        finally:
            del self.members[connection]
            self.tell(type="left", name=name)

    def tell(self, **what: str) -> None:
        broadcast(self.members, json.dumps(what, ensure_ascii=False))

    async def greet(self, connection: ServerConnection) -> None:
        """Send the history in as few segments as possible: the kernel holds what is written until the cork is pulled."""
        sock = connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for text in HISTORY:
            await connection.send(json.dumps({"type": "history", "text": text}))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


async def main(host: str, port: int, chain: str = "", key: str = "") -> None:
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    tls = None
    if chain:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(chain, key)
    async with serve(Room().member, host, port, subprotocols=["chat.example"], ssl=tls):
        await stop


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
