"""The test of statelessness: could the server restart between these two requests? Answered from packets, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.annotations import tokens
from inspector.annotations.state.fact import CANNOT_TELL
from inspector.annotations.story.content import head_of
from inspector.annotations.story.secure import agreed, messages
from inspector.annotations.story.step import Narrated, listed
from inspector.core.text import printable
from inspector.protocols.http.head import Head
from inspector.streams.exchanges import Exchange

YES, NO, UNKNOWN = "yes", "no", CANNOT_TELL
REFUSED, SERVER_ERROR = 400, 500
LOOKED_AT = 64  # exchanges before, for a path that one of them gave


class Answer(NamedTuple):
    """verdict: `yes`, `no` or `this capture cannot tell`; packets: that prove it; between: the two requests' packets."""

    verdict: str
    why: str
    packets: tuple[int, ...]
    between: tuple[int, int]


def restart(capture: Narrated, exchanges: Sequence[Exchange], number: int) -> Answer:
    """The request at or before a packet, and the one after it. exchanges: those of one client with one server, in order."""
    asked = [one for one in exchanges if one.request is not None]
    before = [one for one in asked if one.request is not None and one.request.first <= number]
    after = [one for one in asked if one.request is not None and one.request.first > number]
    if not before or not after:
        missing = "no request of this client to this server comes before" if not before else "no further request follows"
        return Answer(UNKNOWN, f"{missing}, so nothing shows what the server would have needed", (), (0, 0))
    first, second = before[-1], after[0]
    assert first.request is not None and second.request is not None
    between = first.request.first, second.request.first
    capture.detailed(second)
    head = head_of(second, response=False)
    references, kept = _references(head) if head is not None else ([], True)
    given = _given(capture, before, second)
    if given:
        references, kept = [*references, f"the path {printable(second.target, 60)}, which packet {given} gave"], True
    if first.flow == second.flow:
        why = (
            f"both requests travel on TCP conversation {second.stream}, with no handshake between them: what the server"
            " remembers of the connection lies in its memory, and a restart ends it. The client would have to connect again"
        )
        unfinished = first.response is None or first.response.complete > second.request.first
        if unfinished:
            why += f"; and the answer to the first request (packet {between[0]}) was still under way"
        return Answer(NO, f"{why}. {_beside(references, kept)}", between, between)
    going_on = first.response is not None and first.response.complete > second.request.first
    if going_on and first.response is not None:
        why = (
            f"the answer to the first request (packet {between[0]}) went on until packet {first.response.complete}, while the"
            f" second one was already under way (packet {between[1]}): a restart between them would have cut it off"
        )
        return Answer(NO, why, (between[0], between[1], first.response.complete), between)
    opened = int(capture.index.flows.first[second.flow])
    if opened < between[0]:
        why = (
            f"the second request (packet {between[1]}) travels on a connection that was open before the first one (since packet"
            f" {opened}): a restart would have ended it. {_beside(references, kept)}"
        )
        return Answer(NO, why, (opened, *between), between)
    if head is None:
        return Answer(UNKNOWN, "the head of the second request cannot be read", between, between)
    resumed = agreed(messages(capture, capture.conversation(second.flow)), second.request.first).resumed
    own = f"the second request (packet {between[1]}) opens a connection of its own"
    if kept:
        why = (
            f"{own}, but it carries {listed(references)}: whether what stands behind that lives in the process or in a store"
            " outside it is nowhere in the bytes"
        )
        refused = first.status < REFUSED <= second.status < SERVER_ERROR and first.target == second.target
        if refused and second.response is not None:
            why += (
                f". The same request was answered with {first.status} before, and now with {second.status} (packet"
                f" {second.response.first}): what stood behind it is gone, or no longer good"
            )
            return Answer(UNKNOWN, why, (*between, second.response.first), between)
        return Answer(UNKNOWN, why, between, between)
    if resumed:
        own += " (its TLS session is resumed: a server that had lost its ticket key would have asked for a full handshake)"
    if references:
        why = f"{own} and carries {listed(references)}: the request itself says what the server needs"
        return Answer(YES, why, between, between)
    why = f"{own} and carries no cookie, no credentials and no other word from before: it can be understood alone"
    return Answer(YES, why, between, between)


def _beside(references: Sequence[str], kept: bool) -> str:
    """What the second request would need beside its connection."""
    if kept and references:
        return f"Beside the connection it carries {listed(references)}: where that is kept is nowhere in the bytes"
    if references:
        return f"Beside the connection it carries {listed(references)}: the request itself says what the server needs"
    if kept:
        return "What else it carries cannot be read"
    return "Beside the connection it carries nothing from before: on a new one it could be understood alone"


def _given(capture: Narrated, before: Sequence[Exchange], second: Exchange) -> int:
    """The packet of an earlier answer whose Location names what the second request asks for; 0 where there is none."""
    for one in reversed(before[-LOOKED_AT:]):
        head = head_of(capture.detailed(one), response=True)
        location = (head.get("location") or "") if head is not None else ""
        if one.response is not None and len(second.target) > 1 and location.endswith(second.target):
            return one.response.first
    return 0


def _references(head: Head) -> tuple[list[str], bool]:
    """What a request carries from before; and whether something of it needs a memory on the server's side."""
    found, kept = [], False
    for name, value in head.headers:
        if name == "cookie":
            for pair in value.split(";"):
                key, _, content = pair.strip().partition("=")
                if not key:
                    continue
                if tokens.token(content) is not None:
                    found.append(f"a signed token in the cookie {printable(key, 40)}, which holds its claims itself")
                else:
                    found.append(f"the cookie {printable(key, 40)}")
                    kept = True
        elif name == "authorization":
            scheme, _, content = value.partition(" ")
            if tokens.token(content) is not None:
                found.append("a signed token, which holds its claims itself")
            elif scheme.lower() == "basic":
                found.append("user and password, which are checked anew each time")
            else:
                found.append(f"credentials ({printable(scheme, 20)})")
                kept = True
        elif name == "last-event-id":
            found.append(f"Last-Event-ID {printable(value, 40)}")
            kept = True
    return found, kept
