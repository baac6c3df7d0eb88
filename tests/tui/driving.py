"""Drives the TUI as a user does: keys and clicks, and waiting until what they began has come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from inspector.session import open_session
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen

Steps = Callable[[Pilot[None], CaptureScreen], Awaitable[None]]


def drive(steps: Steps, capture: str = "http-get", start: int | None = None, size: tuple[int, int] = (140, 45)) -> None:
    """Open a bundled capture (or a file), wait until it is loaded, and run the steps."""

    async def run() -> None:
        session = open_session(capture, load=False)
        app = InspectorApp(session, start)
        try:
            async with app.run_test(size=size) as pilot:
                await settle(pilot)
                assert isinstance(app.screen, CaptureScreen)
                await steps(pilot, app.screen)
        finally:
            session.close()

    asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Let workers and the messages that they post come to rest."""
    for _ in range(4):
        with suppress(WorkerCancelled):  # a newer one took its place
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other, and wait."""
    await pilot.press(*keys)
    await settle(pilot)


async def type_in(pilot: Pilot[None], text: str) -> None:
    """Type a text and press Enter."""
    names = {" ": "space", "=": "equals_sign", ".": "full_stop", "/": "slash", ":": "colon", "-": "minus", "_": "underscore"}
    await pilot.press(*[names.get(char, char) for char in text], "enter")
    await settle(pilot)


def screen_text(screen: CaptureScreen) -> str:
    """What stands on the screen, line by line."""
    width, height = screen.size
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in screen._compositor.render_strips() if width and height
    )
