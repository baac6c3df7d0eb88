"""The streams of an HTTP/2 connection: their states (RFC 9113, 5.1) and their flow-control windows (5.2, 6.9).

A capture sees both ends, so the states are told by who did what and not by "local" and "remote".
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from inspector.core.stream import Child
from inspector.protocols.http.codings import Undoing
from inspector.protocols.http2.names import DEFAULT_WINDOW


class State(Enum):
    """RFC 9113, 5.1, figure 2. A reset leaves its own mark: what the other end had already sent still arrives."""

    UNKNOWN = "not seen from its start"
    IDLE = "idle"
    RESERVED = "reserved (promised by the server)"
    OPEN = "open"
    CLIENT_DONE = "half-closed (the client has ended)"
    SERVER_DONE = "half-closed (the server has ended)"
    RESET_BY_CLIENT = "closed (reset by the client)"
    RESET_BY_SERVER = "closed (reset by the server)"
    CLOSED = "closed"


class Event(Enum):
    """What can happen to a stream; the client's and the server's."""

    CLIENT_HEADERS, CLIENT_DATA, CLIENT_END, CLIENT_RESET, CLIENT_WINDOW = range(5)
    SERVER_HEADERS, SERVER_DATA, SERVER_END, SERVER_RESET, SERVER_WINDOW = range(5, 10)
    PROMISED = 10


class Wrong(NamedTuple):
    """The state does not allow the event; it is kept. error: what an endpoint must answer with."""

    error: str
    text: str


_S, _E = State, Event
_IDLE = Wrong("PROTOCOL_ERROR", "an idle stream is opened by HEADERS and nothing else (RFC 9113, 5.1)")
_SERVER_OPENS = Wrong("PROTOCOL_ERROR", "a server opens a stream by promising it, never by HEADERS (RFC 9113, 8.4)")
_ENDED = Wrong("STREAM_CLOSED", "its sender has already ended its half of the stream (RFC 9113, 5.1)")
_CLOSED = Wrong("STREAM_CLOSED", "the stream is closed (RFC 9113, 5.1)")
_RESET = Wrong("STREAM_CLOSED", "its sender has reset the stream and must send nothing more on it (RFC 9113, 5.1 and 5.4.2)")
_RESERVED = Wrong(
    "PROTOCOL_ERROR", "on a promised stream the client sends nothing but RST_STREAM, PRIORITY, WINDOW_UPDATE (RFC 9113, 5.1)"
)
_UNSTARTED = Wrong("PROTOCOL_ERROR", "a promised stream starts with the server's HEADERS (RFC 9113, 5.1)")
_USED = Wrong("PROTOCOL_ERROR", "a promise must name an idle stream (RFC 9113, 5.1.1 and 6.6)")

# Total: every state has an answer to every event.
TRANSITIONS: dict[State, dict[Event, State | Wrong]] = {
    _S.UNKNOWN: {
        _E.CLIENT_HEADERS: _S.UNKNOWN, _E.CLIENT_DATA: _S.UNKNOWN, _E.CLIENT_END: _S.CLIENT_DONE,
        _E.CLIENT_RESET: _S.RESET_BY_CLIENT, _E.CLIENT_WINDOW: _S.UNKNOWN, _E.SERVER_HEADERS: _S.UNKNOWN,
        _E.SERVER_DATA: _S.UNKNOWN, _E.SERVER_END: _S.UNKNOWN, _E.SERVER_RESET: _S.RESET_BY_SERVER,
        _E.SERVER_WINDOW: _S.UNKNOWN, _E.PROMISED: _S.RESERVED,
    },
    _S.IDLE: {
        _E.CLIENT_HEADERS: _S.OPEN, _E.CLIENT_DATA: _IDLE, _E.CLIENT_END: _IDLE, _E.CLIENT_RESET: _IDLE,
        _E.CLIENT_WINDOW: _IDLE, _E.SERVER_HEADERS: _SERVER_OPENS, _E.SERVER_DATA: _IDLE, _E.SERVER_END: _IDLE,
        _E.SERVER_RESET: _IDLE, _E.SERVER_WINDOW: _IDLE, _E.PROMISED: _S.RESERVED,
    },
    _S.RESERVED: {
        _E.CLIENT_HEADERS: _RESERVED, _E.CLIENT_DATA: _RESERVED, _E.CLIENT_END: _RESERVED,
        _E.CLIENT_RESET: _S.RESET_BY_CLIENT, _E.CLIENT_WINDOW: _S.RESERVED, _E.SERVER_HEADERS: _S.CLIENT_DONE,
        _E.SERVER_DATA: _UNSTARTED, _E.SERVER_END: _UNSTARTED, _E.SERVER_RESET: _S.RESET_BY_SERVER,
        _E.SERVER_WINDOW: _UNSTARTED, _E.PROMISED: _USED,
    },
    _S.OPEN: {
        _E.CLIENT_HEADERS: _S.OPEN, _E.CLIENT_DATA: _S.OPEN, _E.CLIENT_END: _S.CLIENT_DONE,
        _E.CLIENT_RESET: _S.RESET_BY_CLIENT, _E.CLIENT_WINDOW: _S.OPEN, _E.SERVER_HEADERS: _S.OPEN,
        _E.SERVER_DATA: _S.OPEN, _E.SERVER_END: _S.SERVER_DONE, _E.SERVER_RESET: _S.RESET_BY_SERVER,
        _E.SERVER_WINDOW: _S.OPEN, _E.PROMISED: _USED,
    },
    _S.CLIENT_DONE: {
        _E.CLIENT_HEADERS: _ENDED, _E.CLIENT_DATA: _ENDED, _E.CLIENT_END: _ENDED, _E.CLIENT_RESET: _S.RESET_BY_CLIENT,
        _E.CLIENT_WINDOW: _S.CLIENT_DONE, _E.SERVER_HEADERS: _S.CLIENT_DONE, _E.SERVER_DATA: _S.CLIENT_DONE,
        _E.SERVER_END: _S.CLOSED, _E.SERVER_RESET: _S.RESET_BY_SERVER, _E.SERVER_WINDOW: _S.CLIENT_DONE,
        _E.PROMISED: _USED,
    },
    _S.SERVER_DONE: {
        _E.CLIENT_HEADERS: _S.SERVER_DONE, _E.CLIENT_DATA: _S.SERVER_DONE, _E.CLIENT_END: _S.CLOSED,
        _E.CLIENT_RESET: _S.RESET_BY_CLIENT, _E.CLIENT_WINDOW: _S.SERVER_DONE, _E.SERVER_HEADERS: _ENDED,
        _E.SERVER_DATA: _ENDED, _E.SERVER_END: _ENDED, _E.SERVER_RESET: _S.RESET_BY_SERVER,
        _E.SERVER_WINDOW: _S.SERVER_DONE, _E.PROMISED: _USED,
    },
    # After a reset the other end's frames may be on their way, and are to be ignored (5.1, "closed").
    _S.RESET_BY_CLIENT: {
        _E.CLIENT_HEADERS: _RESET, _E.CLIENT_DATA: _RESET, _E.CLIENT_END: _RESET, _E.CLIENT_RESET: _S.RESET_BY_CLIENT,
        _E.CLIENT_WINDOW: _S.RESET_BY_CLIENT, _E.SERVER_HEADERS: _S.RESET_BY_CLIENT, _E.SERVER_DATA: _S.RESET_BY_CLIENT,
        _E.SERVER_END: _S.RESET_BY_CLIENT, _E.SERVER_RESET: _S.RESET_BY_CLIENT, _E.SERVER_WINDOW: _S.RESET_BY_CLIENT,
        _E.PROMISED: _USED,
    },
    _S.RESET_BY_SERVER: {
        _E.CLIENT_HEADERS: _S.RESET_BY_SERVER, _E.CLIENT_DATA: _S.RESET_BY_SERVER, _E.CLIENT_END: _S.RESET_BY_SERVER,
        _E.CLIENT_RESET: _S.RESET_BY_SERVER, _E.CLIENT_WINDOW: _S.RESET_BY_SERVER, _E.SERVER_HEADERS: _RESET,
        _E.SERVER_DATA: _RESET, _E.SERVER_END: _RESET, _E.SERVER_RESET: _S.RESET_BY_SERVER,
        _E.SERVER_WINDOW: _S.RESET_BY_SERVER, _E.PROMISED: _USED,
    },
    # WINDOW_UPDATE and RST_STREAM may still come for a short time (5.1, "closed").
    _S.CLOSED: {
        _E.CLIENT_HEADERS: _CLOSED, _E.CLIENT_DATA: _CLOSED, _E.CLIENT_END: _CLOSED, _E.CLIENT_RESET: _S.CLOSED,
        _E.CLIENT_WINDOW: _S.CLOSED, _E.SERVER_HEADERS: _CLOSED, _E.SERVER_DATA: _CLOSED, _E.SERVER_END: _CLOSED,
        _E.SERVER_RESET: _S.CLOSED, _E.SERVER_WINDOW: _S.CLOSED, _E.PROMISED: _USED,
    },
}  # fmt: skip
# What a change of state means for both ends: (why, section). A frame may bring two steps at once, HEADERS with END_STREAM.
_BY_CLIENT, _BY_SERVER = (
    f"The {who} gives the stream up: it sends nothing more on it, and ignores what the other end had already sent."
    for who in ("client", "server")
)
MEANINGS: dict[tuple[State, State], tuple[str, str]] = {
    (_S.IDLE, _S.OPEN): (
        "The client opens it with HEADERS: its numbers are odd, each higher than those before. Both ends may send on it now.",
        "RFC 9113, 5.1 and 5.1.1",
    ),
    (_S.IDLE, _S.CLIENT_DONE): (
        "The client opens it and has said all with these HEADERS: a request without a body. Only the server sends on it now.",
        "RFC 9113, 5.1 and 8.1",
    ),
    (_S.IDLE, _S.RESERVED): (
        "The server promises a response on it, to a request that the client did not make; HEADERS are to follow.",
        "RFC 9113, 5.1 and 8.4",
    ),
    (_S.UNKNOWN, _S.RESERVED): (
        "The server promises a response on it; whether the stream was used before, the capture does not show.", "RFC 9113, 8.4"
    ),
    (_S.RESERVED, _S.CLIENT_DONE): (
        "The promised response begins: the client has nothing to say on this stream.", "RFC 9113, 5.1 and 8.4.2"
    ),
    (_S.RESERVED, _S.CLOSED): (
        "The promised response is these HEADERS and nothing else: the stream is used up.", "RFC 9113, 5.1 and 8.4.2"
    ),
    (_S.OPEN, _S.CLIENT_DONE): (
        "The client has said all: its request is whole. The server goes on as long as it likes.", "RFC 9113, 5.1 and 8.1"
    ),
    (_S.OPEN, _S.SERVER_DONE): (
        "The server has said all before the request was whole: the client may go on, or give up what it still had to send.",
        "RFC 9113, 5.1 and 8.1",
    ),
    (_S.UNKNOWN, _S.CLIENT_DONE): (
        "The client has said all; where the stream began is not in this capture.", "RFC 9113, 5.1 and 8.1"
    ),
    (_S.CLIENT_DONE, _S.CLOSED): (
        "The server has said all too: request and response are whole, and the number is never used again.",
        "RFC 9113, 5.1 and 5.1.1",
    ),
    (_S.SERVER_DONE, _S.CLOSED): (
        "The client has said all too: request and response are whole, and the number is never used again.",
        "RFC 9113, 5.1 and 5.1.1",
    ),
    **{
        (before, _S.RESET_BY_CLIENT): (_BY_CLIENT, "RFC 9113, 5.1 and 5.4.2")
        for before in (_S.UNKNOWN, _S.RESERVED, _S.OPEN, _S.CLIENT_DONE, _S.SERVER_DONE)
    },
    **{
        (before, _S.RESET_BY_SERVER): (_BY_SERVER, "RFC 9113, 5.1 and 5.4.2")
        for before in (_S.UNKNOWN, _S.RESERVED, _S.OPEN, _S.CLIENT_DONE, _S.SERVER_DONE)
    },
}
OVER = frozenset({State.CLOSED, State.RESET_BY_CLIENT, State.RESET_BY_SERVER})


def event(name: str, from_client: bool) -> Event:
    """The client's or the server's event of that name."""
    return Event[f"{'CLIENT' if from_client else 'SERVER'}_{name}"]


class Window:
    """How many octets of DATA one end may still send on the connection (5.2.1); None where the capture does not tell."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left: int | None = DEFAULT_WINDOW

    def change(self, by: int) -> tuple[int | None, int | None]:
        """Add credit, or take what was sent; the window before and after."""
        before = self.left
        if before is not None:
            self.left = before + by
        return before, self.left


class Feed:
    """Where a direction's DATA goes: a child stream; `undoing` undoes its content coding as the bytes come."""

    __slots__ = ("child", "ended", "undoing")

    def __init__(self, child: Child, undoing: Undoing | None = None) -> None:
        self.child = child
        self.undoing = undoing
        self.ended = False


class Stream:
    """What is remembered of one stream. The pairs are indexed by the connection's directions.

    credit: what each direction's window is above the initial one, in octets (below 0 for what was sent): so that a change of
    SETTINGS_INITIAL_WINDOW_SIZE moves every stream's window at once, also below 0, which is no error (RFC 9113, 6.9.2);
    epoch: the connection's count of gaps when the stream began: it knows its credit only while that is the same.
    """

    __slots__ = ("asked", "call", "credit", "epoch", "feeds", "headed", "id", "state")

    def __init__(self, id: int, state: State, epoch: int) -> None:
        self.id = id
        self.state = state
        self.epoch = epoch
        self.credit = [0, 0]
        self.asked: dict[str, Any] | None = None
        self.headed = [False, False]  # the head of this direction's message was seen; what follows are trailers
        self.feeds: list[Feed | None] = [None, None]
        self.call: dict[str, Any] | None = None  # of a gRPC call

    def apply(self, what: Event) -> Wrong | None:
        """Follow the table; says what is wrong with the event, if something is."""
        answer = TRANSITIONS[self.state][what]
        if isinstance(answer, Wrong):
            return answer
        self.state = answer
        return None
