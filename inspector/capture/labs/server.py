"""The server of the labs: the service under hypercorn, on a listening socket that was opened by who started it.

    python -m inspector.capture.labs.server DESCRIPTOR PACE [CHAIN KEY]

It ends when its standard input does, so that it never outlives who started it. PACE: seconds between the server's own events.
"""

from __future__ import annotations

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

from inspector.capture.labs.ending import ended
from inspector.capture.labs.shop import application


class Crash(Exception):
    """The service fails in the middle of a response: the connection ends, and the server lives on."""


def crash() -> None:
    raise Crash


async def main(descriptor: int, pace: float, chain: str = "", key: str = "") -> None:
    """Serve until standard input ends."""
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.certfile, config.keyfile = chain or None, key or None
    config.graceful_timeout = 0.5
    config.accesslog = config.errorlog = None
    await serve(application(pace, crash), config, shutdown_trigger=ended)  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]))
