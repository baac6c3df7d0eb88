"""Every story, in the order of the catalogue."""

from __future__ import annotations

from recording.stories import dns, events, grpc, http, http2, sessions, tcp, tls, waiting, websocket
from recording.story import Story

STORIES: tuple[Story, ...] = (
    *http.STORIES,
    *tls.STORIES,
    *http2.STORIES,
    *waiting.STORIES,
    *sessions.STORIES,
    *events.STORIES,
    *websocket.STORIES,
    *grpc.STORIES,
    *dns.STORIES,
    *tcp.STORIES,
)
