"""How a lab's server and client know that who started them is gone: their standard input ends."""

from __future__ import annotations

import asyncio
import sys


async def ended() -> None:
    """Wait for the end of standard input, a pipe that nothing is ever written to."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
