"""Connections that fail."""

from __future__ import annotations

import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Story


def refused(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "http://api.example.test:8080/health", status=7)  # curl: cannot connect
    return b""


def reset(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.serve(sys.executable, str(PEERS / "aborting.py"), WEB4, "80", port=80)
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "http://api.example.test/orders.csv", status=56)  # curl: receive failed
    return b""


STORIES = (
    Story("tcp-refused", "t", "t", refused, ("curl", "unbound"), ()),
    Story("tcp-reset", "t", "t", reset, ("curl", "Python", "unbound"), ()),
)
