"""Pictures of the screens at fixed sizes; `pytest --snapshot-update` draws them anew after an intended change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import settle
from textual.app import App
from textual.pilot import Pilot

from inspector.session import open_session
from inspector.tui.app import InspectorApp

SETTLE = 0.5  # seconds: on a busy machine a worker may post its news late
# name: (capture, packet, keys, size)
PICTURES: dict[str, tuple[str, int, list[str], tuple[int, int]]] = {
    "packets-200x60": ("https-tls13", 22, [], (200, 60)),
    "conversations": ("websocket-chat", 20, ["2"], (120, 24)),
    "ladder": ("tcp-loss", 63, ["3"], (140, 40)),
    "stream": ("sse-tls", 24, ["4"], (120, 34)),
    "story": ("sse-tls", 24, ["6"], (120, 34)),
    "walk": ("sse-tls", 24, ["8", "down", "down"], (110, 36)),
    "follow-light": ("http-post-json", 12, ["f", "T"], (100, 30)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, snap_compare: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    capture, packet, keys, size = PICTURES[name]
    session = open_session(capture)

    async def rest(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        for widget in pilot.app.screen.query("*"):  # the thumb of a scroll bar rounds one way or the other
            widget.styles.scrollbar_size_vertical = 0
        await pilot.pause(SETTLE)
        await settle(pilot)

    app: App[None] = InspectorApp(session, packet)
    assert snap_compare(app, terminal_size=size, run_before=rest)
    session.close()
