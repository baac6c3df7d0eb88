"""What the command palette knows beside the keys: `packet 12`, `filter tcp.port == 80`."""

from __future__ import annotations

import re
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from inspector.core.text import printable
from inspector.tui.screens.capture import CaptureScreen

_PACKET = re.compile(r"(?:go(?: to)?|packet|frame)?\s*#?(\d+)\Z", re.IGNORECASE)
_FILTER = re.compile(r"filter\s+(.+)\Z", re.IGNORECASE)


class CaptureCommands(Provider):
    """Commands of the capture that is shown."""

    async def discover(self) -> Hits:
        screen = self.screen
        if isinstance(screen, CaptureScreen):
            for title, meaning, action in screen.commands():
                yield DiscoveryHit(title, action, help=meaning)

    async def search(self, query: str) -> Hits:
        screen = self.screen
        if not isinstance(screen, CaptureScreen):
            return
        packet, words = _PACKET.match(query.strip()), _FILTER.match(query.strip())
        if packet is not None:
            number = int(packet.group(1))
            yield Hit(1.0, f"Go to packet {number}", partial(screen.go_to, number))
        if words is not None:
            shown = printable(words.group(1)).replace("[", "\\[")
            yield Hit(1.0, f"Filter {shown}", partial(screen.filter_by, words.group(1)))
        matcher = self.matcher(query)
        for title, meaning, action in screen.commands():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), action, help=meaning)
