"""Communication patterns: how the programs in a capture talk, with what speaks for it and against it, and what it costs.

Each exchange belongs to one interaction at most; how connections are used, where state lives and which hops a request takes
are said besides. Where the bytes allow several answers the pattern is `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.annotations.findings.finding import Capture
from inspector.annotations.heads import head
from inspector.annotations.patterns import connections, jobs, pushes, series, state
from inspector.annotations.patterns.pattern import (
    CONNECTIONS,
    INTERACTIONS,
    PROXY_HOP,
    REQUEST_RESPONSE,
    SHORT_POLLING,
    STATES,
    UNKNOWN,
    Confidence,
    Cost,
    Pattern,
    Scene,
    cost,
    cost_words,
    pattern,
)
from inspector.core.text import counted
from inspector.streams.exchanges import Exchange

__all__ = [
    "CONNECTIONS", "INTERACTIONS", "PROXY_HOP", "SHORT_POLLING", "STATES", "Confidence", "Cost", "Pattern",
    "cost_words", "patterns",
]  # fmt: skip
MAX_SERIES = 500  # series whose answers are compared, the longest first
STREAMED = 1_000_000_000  # nanoseconds that a small body takes to arrive: perhaps a stream in a form of its own
SMALL_BODY = 16 * 1024
MAX_SLOW = 200  # slow responses whose heads are read
MESSAGES = 2  # of a gRPC call: one each way


def patterns(capture: Capture, only: frozenset[str] = frozenset()) -> list[Pattern]:
    """The patterns of a capture, those that are surest first. only: of these names alone, which may be quicker."""
    scene = Scene(capture, sorted(capture.exchanges(), key=lambda one: one.begun))
    found, used = _pushed(scene)
    if only == {SHORT_POLLING}:
        return [one for one in _series(scene, used, True)[0] if one.name == SHORT_POLLING]
    polled, taken = _series(scene, used, False)
    found += polled
    found += _rest(scene, used | taken)
    by_flow: dict[int, list[Exchange]] = {}
    for exchange in scene.exchanges:
        by_flow.setdefault(exchange.flow, []).append(exchange)
    for recognise in (connections.multiplexing, connections.pipelining, connections.pools):
        found += recognise(scene, by_flow)
    found += connections.hops(scene)
    found += state.states(scene)
    return sorted((one for one in found if not only or one.name in only), key=lambda one: -one.confidence)


def _pushed(scene: Scene) -> tuple[list[Pattern], set[int]]:
    """Jobs and pushes, and the numbers of the exchanges that they are made of."""
    found, used = [], set()
    for recognise in (pushes.event_streams, pushes.websockets, pushes.broadcasts, jobs.jobs):
        for one, own in recognise(scene):
            found.append(one)
            used |= {exchange.number for exchange in own}
    return found, used


def _series(scene: Scene, used: set[int], only_short: bool) -> tuple[list[Pattern], set[int]]:
    rest = [one for one in scene.exchanges if one.number not in used and one.method]
    found, taken = [], set()
    for own in sorted(series.series(scene, rest).values(), key=len, reverse=True)[:MAX_SERIES]:
        one = series.recognise(scene, own, only_short)
        if one is not None:
            found.append(one)
            taken |= {exchange.number for exchange in own}
    return found, taken


def _rest(scene: Scene, used: set[int]) -> list[Pattern]:
    """What is left are requests and their responses, by client and server."""
    groups: dict[tuple[bytes, bytes, int], list[Exchange]] = {}
    for exchange in scene.exchanges:
        if exchange.number not in used and exchange.method and len(exchange.items) <= MESSAGES and exchange.status != 101:
            groups.setdefault(scene.server(exchange), []).append(exchange)
    return [_request_response(scene, own) for own in groups.values()]


def _endless(scene: Scene, exchange: Exchange) -> bool:
    """The server did not say beforehand how long the response is."""
    found = head(scene.capture, exchange, True)
    return found is not None and found.get("content-length") is None


def _request_response(scene: Scene, own: Sequence[Exchange]) -> Pattern:
    answered = [one for one in own if one.complete]
    paths = len({one.target for one in own})
    slow = [one for one in answered if one.phases.receive >= STREAMED and one.response is not None
            and one.response.size <= SMALL_BODY]  # fmt: skip
    slow = [one for one in slow[:MAX_SLOW] if _endless(scene, one)]
    evidence = [f"whole responses to {len(answered)} of {counted(len(own), 'request')}"]
    counter = []
    if len(answered) < len(own):
        counter.append(f"{counted(len(own) - len(answered), 'request')} not answered, or not to the end")
    if slow:
        some = counted(len(slow), "small response")
        counter.append(f"{some} took more than a second to come: perhaps a stream of its own form")
    about = f"{counted(len(own), 'request')} to {own[0].host or 'the server'}" if paths > 1 else ""
    begun = answered or [one for one in own[:MAX_SLOW] if one.status and not _endless(scene, one)]
    if not begun or len(slow) * 2 > len(begun):
        return pattern(UNKNOWN, Confidence.LOW, own, evidence, counter, cost(own), about)
    safe = [one for one in own if one.method in ("GET", "HEAD")]  # a POST again is another deed
    repeated = len(safe) - len({one.target for one in safe}) >= series.LONG_POLLS
    if repeated:
        counter.append("some are the same request again, without a rhythm")
    sure = Confidence.MEDIUM if counter else Confidence.HIGH
    return pattern(REQUEST_RESPONSE, sure, own, evidence, counter, cost(own), about)
