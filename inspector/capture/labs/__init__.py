"""Small laboratories on the loopback interface: a real server, a real client, and a way for the two to talk."""

from __future__ import annotations

from typing import NamedTuple

EXTRA = ("starlette", "hypercorn", "httpx", "h2", "websockets")  # what the extra `lab` brings


class Lab(NamedTuple):
    """teaches: what to look at; rate: actions a second where nobody says otherwise."""

    name: str
    title: str
    teaches: str
    rate: float = 2.0


LABS = {
    lab.name: lab
    for lab in (
        Lab(
            "request-response", "Plain requests and their responses",
            "One connection, one request at a time: an order is made, read, read again (304), changed and deleted, and the "
            "status says each time what became of it.",
        ),
        Lab(
            "short-polling", "Asking again and again",
            "The client asks at a fixed beat whether the order has moved on; most answers say that nothing is new, and each of "
            "them costs a whole request.",
        ),
        Lab(
            "long-polling", "A request that the server holds",
            "The server answers only when there is news, or after a while with 204; the client asks anew at once. Look at the "
            "time between a request and its response.",
        ),
        Lab(
            "sse", "Server-sent events",
            "Events alone, three at once, one in two pieces, and a comment as a sign of life; then a stream that breaks off in "
            "the middle of an event, and a client that comes back with Last-Event-ID and misses nothing.",
        ),
        Lab(
            "websocket", "Messages both ways",
            "A request becomes a WebSocket; client and server send when they like, frames of the client are masked, a ping is "
            "answered by a pong, and both sides say goodbye.",
        ),
        Lab(
            "http2", "Many requests on one connection",
            "Requests travel side by side as streams of one connection: a slow one does not hold up the others, and headers "
            "that come again shrink to a byte.",
        ),
        Lab(
            "sessions", "A cookie and a token side by side",
            "Two clients of the same account: one is known by a cookie that the server set, one sends a bearer token with "
            "every request; then both log out, and both are refused.",
        ),
    )
}  # fmt: skip
