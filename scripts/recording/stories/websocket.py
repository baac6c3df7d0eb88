"""WebSocket."""

from __future__ import annotations

import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Story


def chat(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.serve(sys.executable, str(PEERS / "chat_server.py"), WEB4, "80", port=80)
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "chat_clients.py"), "ws://chat.example.test/room")
    return b""


STORIES = (Story("websocket-chat", "t", "t", chat, ("websockets", "Python", "unbound"), ()),)
