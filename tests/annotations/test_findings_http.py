"""Findings about HTTP as a whole: each with a capture that shows it, and one that looks like it and must stay silent."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tests.annotations.net import ACK, FIN, RST, Net

NOW = 1_700_000_000  # when the captures of `Net` begin, in seconds


@pytest.mark.parametrize(("idle", "flags", "expected"), [(5_000, RST, True), (5_000, FIN | ACK, True), (100, RST, False)])
def test_a_request_meets_the_close_of_an_idle_connection(idle: float, flags: int, expected: bool, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /a")
    link.answer(20, "200 OK", b"x" * 50)
    link.ask(20 + idle, "GET /b")
    link.segment(21 + idle, 1, flags=flags)
    codes = net.codes(tmp_path)
    assert ("keepalive-race" in codes) == expected
    assert ("reset-after-data" in codes) == (flags == RST and not expected)  # told once


@pytest.mark.parametrize(
    ("flags", "knows", "order", "words"),
    [
        (FIN | ACK, False, 1, "crossed the server's FIN on the way"),
        (FIN | ACK, True, 1, "was answered with the server's FIN"),
        (RST, False, 1, "was answered with a reset"),
        (FIN | ACK, False, -1, "left after the server's FIN had come"),
    ],
)
def test_what_the_request_met(flags: int, knows: bool, order: int, words: str, tmp_path: Path) -> None:
    """Whether the FIN acknowledges the request tells whether the server had it."""
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /a")
    link.answer(20, "200 OK", b"x" * 50)
    before = link.sent[0]
    if order > 0:
        link.ask(5_000, "GET /b")
    after = link.sent[0]
    link.sent[0] = after if knows else before
    link.segment(5_000 + order, 1, flags=flags)
    link.sent[0] = after
    if order < 0:
        link.ask(5_000, "GET /b")
    session = net.session(tmp_path)
    found = [finding.cause for finding in session.findings() if finding.code == "keepalive-race"]
    session.close()
    assert len(found) == 1 and words in found[0]


def test_a_request_that_is_answered_raced_nothing(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    for at in (10, 5_000):
        link.ask(at, "GET /a")
        link.answer(at + 10, "200 OK", b"x" * 50)
    link.close(5_020, 1)
    assert "keepalive-race" not in net.codes(tmp_path)


def new_each(times: int, close: bool = True, pause: float = 100) -> Net:
    net = Net()
    for turn in range(times):
        link = net.link(turn * pause)
        link.ask(turn * pause + 10, f"GET /{turn}" + ("\nConnection: close" if close else ""))
        link.answer(turn * pause + 20, "200 OK", b"x" * 50)
        if close:
            link.close(turn * pause + 21)
    return net


def test_a_connection_for_each_request(tmp_path: Path) -> None:
    session = new_each(5).session(tmp_path)
    found = next(finding for finding in session.findings() if finding.code == "no-reuse")
    assert found.times == 5 and "10.0 ms" in found.cause and "Connection: close" in found.cause
    session.close()


@pytest.mark.parametrize("net", [new_each(3), new_each(5, close=False), new_each(5, pause=20_000)],
                         ids=["too few", "kept open", "far apart"])  # fmt: skip
def test_reuse_is_not_missed_where_it_could_not_be(net: Net, tmp_path: Path) -> None:
    assert "no-reuse" not in net.codes(tmp_path)


def six(connections: int, requests: int, pause: float = 2) -> Net:
    """Each connection answers after 100 ms, and is then used again; none is free when another is."""
    net = Net()
    links = [net.link(0) for _ in range(connections)]
    for turn in range(requests):
        for number, link in enumerate(links):
            at = 10 + turn * (100 + pause) + 15 * number
            link.ask(at, f"GET /{turn}/{number}")
            link.answer(at + 100, "200 OK", b"x" * 50)
    return net


def test_the_seventh_request_waits(tmp_path: Path) -> None:
    assert six(6, 2).codes(tmp_path)["six-connection-queue"] >= 3


@pytest.mark.parametrize("net", [six(5, 3), six(7, 3), six(6, 3, pause=200)], ids=["five", "seven", "not at once"])
def test_no_queue_where_connections_are_free(net: Net, tmp_path: Path) -> None:
    assert "six-connection-queue" not in net.codes(tmp_path)


def token(**claims: float) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"sub": "somebody", **claims})]
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, b"signature"))


@pytest.mark.parametrize(
    ("status", "claims", "words"),
    [
        ("401 Unauthorized", {"exp": NOW - 60}, "expired at 2023-11-14 22:12:20 UTC, 60.0 s before"),
        ("401 Unauthorized", {"nbf": NOW + 60}, "is not valid before"),
        ("401 Unauthorized", {"nbf": NOW * 1000}, "is not valid before 1700000000000 s since 1970"),
        ("401 Unauthorized", {"exp": NOW + 3600}, ""),
        ("401 Unauthorized", {"exp": float("-inf")}, ""),
        ("200 OK", {"exp": NOW - 60}, ""),
    ],
)
def test_an_expired_token(status: str, claims: dict[str, float], words: str, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, f"GET /a\nAuthorization: Bearer {token(**claims)}")
    link.answer(20, status, b"no")
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "expired-token"]
    assert len(found) == bool(words)
    for finding in found:
        assert words in finding.cause
        assert not any(part in finding.cause + finding.cure for part in token(**claims).split("."))
    session.close()


def balanced(lost: bool, servers: tuple[str, str] = ("192.0.2.81", "192.0.2.82")) -> Net:
    net = Net()
    links = [net.link(0, server=server) for server in servers]
    for turn in range(3):
        for number, link in enumerate(links):
            link.ask(10 + 20 * turn + number, f"GET /{turn}\nCookie: sid=user{number}")
            link.answer(15 + 20 * turn + number, "200 OK", b"hello")
    if lost:
        links[1].ask(100, "GET /4\nCookie: sid=user0")
        links[1].answer(105, "200 OK\nSet-Cookie: sid=new; Path=/", b"hello")
    return net


def test_a_cookie_follows_one_server(tmp_path: Path) -> None:
    assert balanced(False).codes(tmp_path)["cookie-affinity"] == 1
    session = balanced(True).session(tmp_path)
    found = next(finding for finding in session.findings() if finding.code == "cookie-affinity")
    assert "1 time it went to another" in found.cause and "user0" not in found.cause
    session.close()


def test_no_affinity_to_a_single_server_or_where_cookies_wander(tmp_path: Path) -> None:
    assert "cookie-affinity" not in balanced(False, ("192.0.2.81", "192.0.2.81")).codes(tmp_path)
    net = Net()
    links = [net.link(0, server=server) for server in ("192.0.2.81", "192.0.2.82")]
    for turn in range(6):
        links[turn % 2].ask(10 + 20 * turn, f"GET /{turn}\nCookie: sid=user{turn // 2 % 2}")
        links[turn % 2].answer(15 + 20 * turn, "200 OK", b"hello")
    assert "cookie-affinity" not in net.codes(tmp_path)


def polls(news: int) -> Net:
    """Twelve polls a second apart; each `news`th answer is another one."""
    net = Net()
    link = net.link(0)
    for turn in range(12):
        link.ask(10 + 1000 * turn, "GET /jobs")
        link.answer(15 + 1000 * turn, "200 OK", b'{"state": %d}' % (turn // news))
    return net


def test_polls_that_bring_nothing(tmp_path: Path) -> None:
    assert polls(4).codes(tmp_path)["chatty-polling"] == 12
    assert "chatty-polling" not in polls(1).codes(tmp_path)
