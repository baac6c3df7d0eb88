"""A WebSocket client that pings every second, and waits until the connection ends."""

from __future__ import annotations

import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol


def main(url: str) -> None:
    times = {"ping_interval": 1.0, "ping_timeout": 1.5, "close_timeout": 0.5}
    with connect(url, subprotocols=[Subprotocol("chat.example")], proxy=None, **times) as room:
        print("connected", flush=True)
        try:
            while True:
                room.recv()
        except ConnectionClosed as error:
            print(error)


if __name__ == "__main__":
    main(sys.argv[1])
