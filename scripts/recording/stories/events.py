"""Server-sent events."""

from __future__ import annotations

from pathlib import Path

from recording.lab import Lab
from recording.story import Story

CURL = ("curl", "--silent", "--show-error", "--no-buffer", "--header", "Accept: text/event-stream")


def whole(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("events")
    with lab.capture(path):
        lab.run(*CURL, "http://api.example.test/orders/events")
    return b""


def cut(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    server = lab.app("events")
    url = "http://api.example.test/imports/7/events"
    with lab.capture(path):
        lab.run(*CURL, url, status=18)  # curl: transfer closed with outstanding read data remaining
        server.popen.wait()
        lab.app("events")
        lab.run(*CURL, "--header", "Last-Event-ID: 40", url)
    return b""


STORIES = (
    Story("sse", "t", "t", whole, ("curl", "uvicorn", "starlette", "unbound"), ()),
    Story("sse-cut", "t", "t", cut, ("curl", "uvicorn", "starlette", "unbound"), ()),
)
