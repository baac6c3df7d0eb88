"""Every story, in the order of the catalogue."""

from __future__ import annotations

from recording.stories import dns, events, http, tcp, tls, websocket
from recording.story import Story

STORIES: tuple[Story, ...] = (
    *http.STORIES,
    *tls.STORIES,
    *events.STORIES,
    *websocket.STORIES,
    *dns.STORIES,
    *tcp.STORIES,
)
