"""How connections are used: several requests at once on one, several connections side by side, the same request on two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from inspector.annotations.findings.finding import milliseconds
from inspector.annotations.heads import head, prepare
from inspector.annotations.patterns.pattern import (
    MULTIPLEXING,
    PIPELINING,
    POOL,
    PROXY_HOP,
    Confidence,
    Pattern,
    Scene,
    cost,
    only,
    pattern,
)
from inspector.core.text import counted
from inspector.streams.exchanges import Exchange

NESTED_NEAR = 16  # exchanges that begin within another, looked at for its inner hop
SURE_HOPS = 3
TRACES = ("x-request-id", "traceparent", "x-correlation-id", "x-b3-traceid")  # the same on both hops: the same request
FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")
MAX_HOPS = 500  # pairs whose heads are compared
MAX_POOL = 64  # connections of which the first request is looked into


def multiplexing(scene: Scene, by_flow: dict[int, list[Exchange]]) -> Iterator[Pattern]:
    """Several streams of HTTP/2 on one connection."""
    for own in by_flow.values():
        streams = [one for one in own if one.substream >= 0]
        if len(streams) < 2:
            continue
        most = at_once(streams)
        evidence = [f"{len(streams)} streams on one HTTP/2 connection"]
        counter = []
        if most > 1:
            evidence.append(f"up to {most} requests under way at the same time")
        else:
            counter.append("no two were under way at the same time: the connection was used again, one request after the other")
        instead = f"HTTP/1.1: {most} connections for the same" if most > 1 else "HTTP/1.1: one connection as well"
        sure = Confidence.HIGH if most > 1 else Confidence.MEDIUM
        about = f"{len(streams)} requests to {streams[0].host or 'the server'}"
        yield pattern(MULTIPLEXING, sure, streams, evidence, counter, cost(streams, instead=instead), about)


def at_once(exchanges: Sequence[Exchange]) -> int:
    """How many were under way at the same time, at most."""
    steps = sorted([(one.begun, 1) for one in exchanges] + [(max(one.ended, one.begun + 1), -1) for one in exchanges])
    return int(np.cumsum([step for _, step in steps]).max(initial=0))


def pipelining(scene: Scene, by_flow: dict[int, list[Exchange]]) -> Iterator[Pattern]:
    """HTTP/1.1 requests that do not wait for the answer before them."""
    for own in by_flow.values():
        ahead = [
            later for one, later in pairwise(own)
            if later.protocol == "HTTP/1.1" and one.protocol == "HTTP/1.1" and one.response is not None
            and later.request is not None and later.request.first < one.response.first and one.status != 101
        ]  # fmt: skip
        if not ahead:
            continue
        evidence = [f"{counted(len(ahead), 'request')} sent before the answer to the one before had begun"]
        sure = Confidence.HIGH if len(ahead) > 1 else Confidence.MEDIUM
        counter = [] if len(ahead) > 1 else ["once only"]
        instead = "HTTP/2: the same on one connection, and no answer waits for another"
        yield pattern(PIPELINING, sure, own, evidence, counter, cost(own, instead=instead))


def pools(scene: Scene, by_flow: dict[int, list[Exchange]]) -> Iterator[Pattern]:
    """Several connections of one client to one server, side by side."""
    flows = scene.capture.index.flows
    by_server: dict[tuple[bytes, bytes, int], list[int]] = {}
    for flow, own in by_flow.items():
        if all(one.protocol == "HTTP/1.1" and one.media != "text/event-stream" for one in own):
            by_server.setdefault(scene.server(own[0]), []).append(flow)
    for members in by_server.values():
        if len(members) < 2:
            continue
        own = sorted((one for flow in members for one in by_flow[flow]), key=lambda one: one.begun)
        lives = sorted((int(flows.first_ns[flow]), int(flows.last_ns[flow])) for flow in members)
        beside = sum(later[0] < one[1] for one, later in pairwise(lives)) + 1
        most = at_once(own)
        if beside < 2:
            continue
        reused = sum(len(by_flow[flow]) > 1 for flow in members)
        one_client = _same_client(scene, [by_flow[flow][0] for flow in members[:MAX_POOL]])
        busy = counted(most, "request")
        evidence = [f"{len(members)} connections to one server, open side by side; up to {busy} at the same time"]
        counter = []
        if reused:
            evidence.append(f"{reused} of them carried several requests")
        else:
            counter.append("none of them was used again in this capture")
        if one_client:
            evidence.append(f"all bring the same {one_client}: one client")
        else:
            counter.append("several programs at one address look like this, too")
        sure = Confidence.HIGH if reused > 1 and one_client and most > 1 else Confidence.MEDIUM
        if not reused and most < 2 and beside < len(members):
            sure = Confidence.LOW
        connects = sum(max(one.phases.connect, 0) + max(one.phases.tls, 0) for one in own)
        instead = f"HTTP/2: one connection; the handshakes took {milliseconds(connects)} here, added up"
        about = f"{len(own)} requests to {own[0].host or 'the server'}"
        yield pattern(POOL, sure, own, evidence, counter, cost(own, instead=instead), about)


def _same_client(scene: Scene, firsts: Sequence[Exchange]) -> str:
    """The header that says that the connections are one client's; empty where none does."""
    prepare(scene.capture, firsts)
    heads = [head(scene.capture, one, False) for one in firsts]
    shown = [(found.get("authorization") or "", found.cookie) if found is not None else ("", "") for found in heads]
    for values, words in zip(map(set, zip(*shown, strict=True)), ("credentials", "cookie"), strict=True):
        if len(values) == 1 and "" not in values:
            return words
    return ""


def hops(scene: Scene) -> Iterator[Pattern]:
    """The same request on two connections, the one within the other: a proxy or a sidecar stands between."""
    by_target: dict[tuple[str, str], list[Exchange]] = {}
    for exchange in scene.exchanges:
        if exchange.method and exchange.target and exchange.status:
            by_target.setdefault((exchange.method, exchange.target), []).append(exchange)
    found: dict[tuple[tuple[bytes, bytes, int], tuple[bytes, bytes, int]], list[tuple[Exchange, Exchange]]] = {}
    for own in by_target.values():
        for at, outer in enumerate(own):
            for inner in own[at + 1 : at + 1 + NESTED_NEAR]:
                if inner.begun > outer.ended:
                    break
                a, b = scene.server(outer), scene.server(inner)
                if inner.flow != outer.flow and a[1:] != b[1:] and a[1] == b[0] and _within(inner, outer):
                    found.setdefault((a, b), []).append((outer, inner))
                    break
    for (a, b), pairs in found.items():
        prepare(scene.capture, (one for pair in pairs[:MAX_HOPS] for one in pair))
        marked = sum(_marked(scene, *pair) for pair in pairs[:MAX_HOPS])
        apart = a[0] != b[0]  # the inner client is the outer server and not the outer client: it asks for another
        evidence = [f"{counted(len(pairs), 'request')} came again on a second connection, begun and ended within the first"]
        counter = only(MAX_HOPS, len(pairs), "request")
        if marked:
            evidence.append(f"{marked} of them bring a header that a proxy adds or passes on")
        if apart:
            evidence.append("who sends the second is who was asked first")
        else:
            counter.append("all addresses are the same: who sends the second request is not proven")
        if pairs[0][0].protocol != pairs[0][1].protocol or pairs[0][0].scheme != pairs[0][1].scheme:
            evidence.append(f"{_words(pairs[0][0])} outside, {_words(pairs[0][1])} inside")
        sure = Confidence.HIGH if marked or (apart and len(pairs) >= SURE_HOPS) else Confidence.MEDIUM
        if not marked and not apart and len(pairs) < SURE_HOPS:
            sure = Confidence.LOW
        outside = max(outer.ended - outer.begun - (inner.ended - inner.begun) for outer, inner in pairs)
        own = [one for pair in pairs for one in pair]
        instead = f"without the hop: {milliseconds(outside)} less to the end, at most, and half of the connections"
        paid = cost(own, instead=instead)
        yield pattern(PROXY_HOP, sure, own, evidence, counter, paid)


def _within(inner: Exchange, outer: Exchange) -> bool:
    return outer.begun <= inner.begun and inner.response is not None and outer.response is not None and (
        inner.response.first <= outer.response.first or inner.media == "text/event-stream"
    )  # fmt: skip


def _marked(scene: Scene, outer: Exchange, inner: Exchange) -> bool:
    first, second = head(scene.capture, outer, False), head(scene.capture, inner, False)
    if first is None or second is None:
        return False
    traced = any(first.get(name) is not None and first.get(name) == second.get(name) for name in TRACES)
    return traced or any(second.get(name) is not None and second.get(name) != first.get(name) for name in FORWARDED)


def _words(exchange: Exchange) -> str:
    return f"{exchange.protocol} over TLS" if exchange.scheme == "https" else exchange.protocol
