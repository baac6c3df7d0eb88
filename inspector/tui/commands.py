"""What the command palette knows beside the keys: `packet 12`, `filter tcp.port == 80`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from inspector.core.text import printable
from inspector.tui.screens.capture import CaptureScreen

SETTLE = 0.1  # seconds until the palette is gone
_PACKET = re.compile(r"(?:go(?: to)?|packet|frame)?\s*#?(\d+)\Z", re.IGNORECASE)
_FILTER = re.compile(r"filter\s+(.+)\Z", re.IGNORECASE)


class Commands(Provider):
    """Commands of the capture that is shown, and those of the program."""

    def _all(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """(title, meaning, what to do)."""
        run, photograph = self.app.run_action, self.app.deliver_screenshot
        return [
            *(self.screen.commands() if isinstance(self.screen, CaptureScreen) else []),
            ("Help", "what is shown, and the keys (key ?)", partial(run, "help")),
            ("Light or dark", "turn the colours (key T)", partial(run, "turn_theme")),
            ("Screenshot", "save the screen as an SVG picture", partial(self.app.set_timer, SETTLE, photograph)),
            ("Quit", "end the program (key Q)", partial(run, "quit")),
        ]

    async def discover(self) -> Hits:
        for title, meaning, action in self._all():
            yield DiscoveryHit(title, action, help=meaning)

    async def search(self, query: str) -> Hits:
        screen = self.screen
        packet, words = _PACKET.match(query.strip()), _FILTER.match(query.strip())
        if packet is not None and isinstance(screen, CaptureScreen):
            number = int(packet.group(1))
            yield Hit(1.0, f"Go to packet {number}", partial(screen.go_to, number))
        if words is not None and isinstance(screen, CaptureScreen):
            shown = printable(words.group(1)).replace("[", "\\[")
            yield Hit(1.0, f"Filter {shown}", partial(screen.filter_by, words.group(1)))
        matcher = self.matcher(query)
        for title, meaning, action in self._all():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), action, help=meaning)
