"""Where the state of a conversation lives: in a session that a cookie names, in a token, or in the connection itself."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.annotations.heads import head, prepare
from inspector.annotations.patterns.pattern import (
    CONNECTION_BOUND,
    COOKIE_SESSION,
    TOKEN,
    Confidence,
    Pattern,
    Scene,
    cost,
    only,
    pattern,
)
from inspector.core.text import counted
from inspector.streams.exchanges import Exchange

MAX_HEADS = 200  # exchanges whose heads are read: where the state lives shows at the beginning
BOUND = ("ntlm", "negotiate")  # schemes that sign a connection in, not a request (RFC 4559, 6)


def states(scene: Scene) -> Iterator[Pattern]:
    """What the heads of the first exchanges say."""
    asked_all = [one for one in scene.exchanges if one.request is not None]
    looked, part = asked_all[:MAX_HEADS], only(MAX_HEADS, len(asked_all), "request")
    prepare(scene.capture, looked)
    given: dict[tuple[bytes, str, str], Exchange] = {}
    cookies: dict[tuple[bytes, str], list[Exchange]] = {}
    tokens: dict[tuple[bytes, str, str], list[Exchange]] = {}
    bound: list[Exchange] = [one for one in looked if one.protocol == "WebSocket"]
    for exchange in looked:
        asked, answered = (head(scene.capture, exchange, response) for response in (False, True))
        client = scene.server(exchange)[0]
        if asked is not None:
            for name, value in _pairs(asked.cookie, ";"):
                if (client, name, value) in given:
                    first = given[client, name, value]
                    cookies.setdefault((client, name), [first]).append(exchange)
            scheme, _, value = (asked.get("authorization") or "").partition(" ")
            if scheme.lower() in BOUND:
                bound.append(exchange)
            elif value:
                tokens.setdefault((client, scheme.lower(), value), []).append(exchange)
        if answered is not None:
            for key, value in answered.headers:
                if key == "set-cookie":
                    for name, content in _pairs(value.partition(";")[0], ";"):
                        given[client, name, content] = exchange
    for (_, name), own in cookies.items():
        evidence = [f"the server gave the cookie {name}, and {counted(len(own) - 1, 'request')} brought it back unchanged"]
        counter = ["what it names may be in the server, or all of it in the cookie: the bytes do not say", *part]
        yield pattern(COOKIE_SESSION, Confidence.HIGH, own, evidence, counter, cost(own))
    for (_, scheme, _), own in tokens.items():
        if len(own) > 1:
            evidence = [f"{len(own)} requests bring the same credentials ({scheme}): each can be judged by itself"]
            yield pattern(TOKEN, Confidence.HIGH if scheme == "bearer" else Confidence.MEDIUM, own, evidence, part, cost(own))
    if bound:
        sockets = sum(one.protocol == "WebSocket" for one in bound)
        known = f"{counted(sockets, 'WebSocket')}: no frame says whose it is, the connection that it comes on does"
        what = known if sockets else "the connection is signed in, not each request"
        yield pattern(CONNECTION_BOUND, Confidence.HIGH if sockets else Confidence.MEDIUM, bound, [what], part, cost(bound))


def _pairs(text: str, mark: str) -> Iterator[tuple[str, str]]:
    for pair in text.split(mark):
        name, equals, value = pair.strip().partition("=")
        if equals and value:
            yield name, value
