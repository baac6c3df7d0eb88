"""Draws the README's pictures: the TUI on bundled captures, at a fixed size, into docs/."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from textual.worker import WorkerCancelled

from inspector.session import open_session
from inspector.tui.app import InspectorApp

DOCS = Path(__file__).resolve().parent.parent / "docs"
# picture: (bundled capture, packet, keys pressed, size)
PICTURES: dict[str, tuple[str, int, list[str], tuple[int, int]]] = {
    "event": ("sse", 18, [], (140, 42)),
    "stream": ("sse-tls", 24, ["4"], (140, 36)),
    "ladder": ("tcp-loss", 52, ["3"], (140, 36)),
    "state": ("https-tls13", 25, ["7"], (140, 38)),
    "walk": ("sse-tls", 24, ["8", "down", "down", "down"], (140, 36)),
    "waterfall": ("http1-six-connections", 20, ["9"], (140, 22)),
    "sequence": ("tcp-loss", 63, ["9", "a", *["plus"] * 6], (140, 36)),
}


async def draw(name: str, folder: Path) -> None:
    """One picture: `name`.svg in the folder."""
    capture, packet, keys, size = PICTURES[name]
    session = open_session(capture, load=False)
    app = InspectorApp(session, packet)
    async with app.run_test(size=size) as pilot:
        for key in ["", *keys]:
            if key:
                await pilot.press(key)
            for _ in range(4):
                with suppress(WorkerCancelled):  # another worker took its place
                    await app.workers.wait_for_complete()
                await pilot.pause()
        (folder / f"{name}.svg").write_text(app.export_screenshot(title="osi-inspect"), encoding="utf-8")
    session.close()


def main() -> None:
    """Draw the pictures that are named, or all."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state  # no recent files of the one who draws
        for name in sys.argv[1:] or PICTURES:
            asyncio.run(draw(name, DOCS))


if __name__ == "__main__":
    main()
