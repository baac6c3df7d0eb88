"""The same request again and again: polls, long polls, retries, or something that only looks like them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from statistics import median
from urllib.parse import parse_qsl

from inspector.annotations.findings.finding import MS, milliseconds
from inspector.annotations.heads import body, head, prepare
from inspector.annotations.patterns.pattern import (
    LONG_POLLING,
    SHORT_POLLING,
    UNKNOWN,
    Confidence,
    Pattern,
    Scene,
    cost,
    only,
    pattern,
)
from inspector.streams.exchanges import Exchange

POLLS = 4  # the same request so often, and it is a habit
SURE_POLLS = 6
LONG_POLLS = 3
PAUSE_NS = 50 * MS  # between an answer and the next poll: less is a loop, not a rhythm
REGULAR = 0.35  # half of the periods lie within this share of their median, jitter included
LOOSE = 0.6
SHORT_SHARE = 0.3  # of the period is spent waiting for the answer, at most: a short poll is answered at once
LONG_NS = 300 * MS  # held back by the server: longer than round trip and work of an ordinary answer
AT_ONCE_SHARE = 0.25  # of the wait passes before a long poll is sent again, at most
SAME_WAIT = 0.1  # waits that differ less than this agree: a time-out
FAILED_SHARE = 0.5  # of the answers are failures: then the next request is a retry
POLLED_SHARE = 0.5  # of the answers bring nothing new: then even questions without a rhythm may be polls
MAX_BODIES = 200  # answers of one series that are compared
NOTHING = frozenset({b"", b"[]", b"{}", b"null", b"0", b"2\r\n[]\r\n0", b"2\r\n{}\r\n0"})  # chunks are left as they came
NO_CONTENT, NOT_MODIFIED, TOO_MANY = 204, 304, 429
PATIENT = frozenset({"timeout", "wait", "poll", "longpoll", "long_poll", "block"})  # parameters that ask the server to wait
Key = tuple[bytes, bytes, int, str, str, str]  # client, server, port, method, host, path


def series(scene: Scene, exchanges: Sequence[Exchange]) -> dict[Key, list[Exchange]]:
    """Requests by who sends them where, without their parameters."""
    found: dict[Key, list[Exchange]] = {}
    for exchange in exchanges:
        found.setdefault(key_of(scene, exchange), []).append(exchange)
    return found


def key_of(scene: Scene, exchange: Exchange) -> Key:
    """Which series a request belongs to."""
    return (*scene.server(exchange), exchange.method, exchange.host, exchange.target.partition("?")[0])


def recognise(scene: Scene, own: list[Exchange], only_short: bool = False) -> Pattern | None:
    """What a series is; None where it is a number of ordinary requests."""
    if len(own) < LONG_POLLS or not _sequential(own) or own[0].method not in ("GET", "HEAD", "POST"):
        return None
    if sum(map(failed, own)) >= FAILED_SHARE * len(own):
        return None if only_short else _retries(own)
    waits = [max(one.phases.wait, 0) for one in own if one.status]
    gaps = [later.begun - one.ended for one, later in _pairs(own)]
    periods = [later.begun - one.begun for one, later in _pairs(own)]
    if not waits or not gaps:
        return None
    wait, gap, period = median(waits), median(gaps), median(periods)
    if wait >= LONG_NS and gap <= AT_ONCE_SHARE * wait:
        return None if only_short else _long(scene, own, waits, max(gaps))
    if len(own) >= POLLS and gap >= PAUSE_NS and wait <= SHORT_SHARE * period:
        return _short(scene, own, periods, int(period))
    return None


def failed(exchange: Exchange) -> bool:
    """It was not answered, or with a failure for which one tries again."""
    return exchange.status == 0 or exchange.status >= 500 or exchange.status == TOO_MANY


def _sequential(own: list[Exchange]) -> bool:
    overlaps = sum(later.begun < one.ended for one, later in _pairs(own))
    return overlaps <= len(own) // 20


def _pairs(own: Sequence[Exchange]) -> Iterator[tuple[Exchange, Exchange]]:
    return pairwise(own)


def _retries(own: list[Exchange]) -> Pattern:
    bad = sum(map(failed, own))
    evidence = [f"the same request {len(own)} times"]
    counter = [f"{bad} of them failed or were not answered: these are retries, not polls"]
    return pattern(UNKNOWN, Confidence.LOW, own, evidence, counter, cost(own))


# --- what the answers brought


def nothing_new(scene: Scene, own: list[Exchange]) -> list[bool]:
    """For each of the first MAX_BODIES answers: it had no content, or the same as the one before."""
    looked = own[:MAX_BODIES]
    prepare(scene.capture, looked)
    found, before = [], None
    for exchange in looked:
        if exchange.status in (NO_CONTENT, NOT_MODIFIED):
            found.append(True)
            continue
        content = body(scene.capture, exchange, True).strip(b" \t\r\n") if exchange.status else b""
        found.append(content in NOTHING or (content == before and exchange.status == 200))
        before = content
    return found


def _short(scene: Scene, own: list[Exchange], periods: list[int], period: int) -> Pattern | None:
    spread = _spread(periods)
    empty = nothing_new(scene, own)
    if own[0].method == "POST" and len({body(scene.capture, one, False) for one in own[:MAX_BODIES]}) > 1:
        evidence = [f"{len(own)} requests in a rhythm of {milliseconds(period)}"]
        counter = ["each sends something else: the client reports, it does not ask"]
        return pattern(UNKNOWN, Confidence.LOW, own, evidence, counter, cost(own))
    wasted = sum(empty) / len(empty)
    pages = len({one.target for one in own}) == len(own) and not any(empty)
    evidence = [f"the same request {len(own)} times, answered at once, every {milliseconds(period)} (the median)"]
    counter = only(MAX_BODIES, len(own), "answer")
    if wasted:
        evidence.append(f"{sum(empty)} of {len(empty)} answers brought nothing new")
    if spread <= REGULAR:
        evidence.append(f"half of the periods differ by no more than {ceil(100 * spread)}%")
    elif spread <= LOOSE:
        counter.append(f"the rhythm is loose: half of the periods differ by {spread:.0%}")
    else:
        counter.append(f"there is no rhythm: half of the periods differ by {spread:.0%}")
    if not any(empty):
        counter.append("every answer was new")
    if pages:
        counter.append("the parameters change with each request: pages of a list look like this, too")
    if spread > LOOSE and wasted < POLLED_SHARE:
        return None  # neither a rhythm nor the answers speak of polls
    if pages or spread > LOOSE:
        return pattern(UNKNOWN, Confidence.LOW, own, evidence, counter, cost(own, wasted))
    sure = len(own) >= SURE_POLLS and spread <= REGULAR and sum(empty) > 0
    news = [one for one, no in zip(own, empty, strict=False) if not no]
    would = sum(one.response.size for one in news if one.response is not None)
    instead = f"server-sent events: 1 request instead of {len(own)}, and about {would:,} bytes"
    paid = cost(own, wasted, max(periods), instead)
    return pattern(SHORT_POLLING, Confidence.HIGH if sure else Confidence.MEDIUM, own, evidence, counter, paid)


def _long(scene: Scene, own: list[Exchange], waits: list[int], gap: int) -> Pattern:
    empty = nothing_new(scene, own)
    looked = [one for one in own[:MAX_BODIES] if one.status]
    longest = max(waits)
    blank = [one.phases.wait for one, no in zip(looked, empty, strict=False) if no and _blank(scene, one)]
    full = [one.phases.wait for one in looked if not _blank(scene, one)]
    capped = [wait for wait in blank if abs(wait - max(blank)) <= SAME_WAIT * max(blank)]
    sooner = [wait for wait in full if blank and wait < (1 - SAME_WAIT) * max(blank)]
    asked = _asks_to_wait(scene, own[0])
    varied = longest >= 2 * min(waits)
    evidence = [
        f"{len(own)} requests, answered after {milliseconds(int(median(waits)))} (the median), the next one sent at once"
    ]
    counter = only(MAX_BODIES, len(own), "answer")
    if capped and max(blank) >= LONG_NS:
        evidence.append(f"{len(capped)} answers without content after {milliseconds(max(blank))}: a time-out of the server")
    if sooner:
        evidence.append(f"{len(sooner)} answers with content came sooner, the soonest after {milliseconds(min(sooner))}")
    if asked:
        evidence.append("the request asks the server to wait")
    if not capped:
        counter.append("no answer came empty: a server that is slow looks like this, too")
    if not varied:
        counter.append("all waits are alike")
    wasted = sum(empty) / len(empty)
    instead = f"short polling each second: about {max((own[-1].ended - own[0].begun) // (1000 * MS), 1)} requests"
    paid = cost(own, wasted, gap, instead)
    if (capped and sooner) or (asked and varied and len(own) > LONG_POLLS):
        return pattern(LONG_POLLING, Confidence.HIGH, own, evidence, counter, paid)
    if (capped and len(capped) >= 2) or asked:
        return pattern(LONG_POLLING, Confidence.MEDIUM, own, evidence, counter, paid)
    return pattern(UNKNOWN, Confidence.LOW, own, evidence, counter, paid)


def held(scene: Scene, own: Sequence[Exchange], exchange: Exchange) -> bool:
    """A late answer may be news that the server waited for: the request asks it to wait, the answer brought nothing, or the
    client asked the same again at once, before or after. What was asked but once, without a word of this, is no poll.

    own: the series of the exchange, in the order in which they began.
    """
    if exchange.method not in ("GET", "POST"):
        return False
    nothing = exchange.status in (200, NO_CONTENT, NOT_MODIFIED) and exchange.protocol != "gRPC" and _blank(scene, exchange)
    if nothing or _asks_to_wait(scene, exchange):
        return True
    at = bisect_left(own, exchange.begun, key=lambda one: one.begun)
    soon = AT_ONCE_SHARE * exchange.phases.wait
    return any(later.begun - earlier.ended <= soon and min(earlier.phases.wait, later.phases.wait) >= LONG_NS
               for earlier, later in _pairs(own[max(at - 1, 0) : at + 2]))  # fmt: skip


def _asks_to_wait(scene: Scene, exchange: Exchange) -> bool:
    """By a parameter, by its path, or by Prefer: wait (RFC 7240, 4.3)."""
    path, _, query = exchange.target.partition("?")
    words = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)} | set(path.lower().split("/"))
    asked = head(scene.capture, exchange, False)
    return bool(words & PATIENT) or (asked is not None and "wait=" in (asked.get("prefer") or ""))


def _blank(scene: Scene, exchange: Exchange) -> bool:
    if exchange.status in (NO_CONTENT, NOT_MODIFIED):
        return True
    return body(scene.capture, exchange, True).strip(b" \t\r\n") in NOTHING


def _spread(values: Sequence[int]) -> float:
    """Between the quartiles, as a share of the median."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4 - (len(ordered) % 4 == 0)]
    middle = median(ordered)
    return (high - low) / middle if middle else 0.0
