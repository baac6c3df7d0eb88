"""Communication patterns: recorded captures, and crafted ones with what only looks like them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from inspector.annotations.patterns import Confidence, patterns, series, state
from inspector.session import open_session
from tests.annotations.net import CLIENT, PROXY, SERVER, Net

HIGH, MEDIUM = Confidence.HIGH, Confidence.MEDIUM
TEXT = 1


@pytest.mark.parametrize(("capture", "expected"), [
    ("sse", {"server-sent events": HIGH}), ("sse-tls", {"server-sent events": HIGH}), ("sse-cut", {"server-sent events": HIGH}),
    ("websocket-chat", {"push over WebSocket": HIGH, "publish–subscribe": HIGH, "connection-bound": HIGH}),
    ("https-http2-multiplex", {"multiplexing": HIGH, "request–response": HIGH}),
    ("http1-six-connections", {"connection pool": MEDIUM, "request–response": HIGH}),
    ("http1-pipelining", {"pipelining": HIGH, "request–response": HIGH}),
    ("http-post-json", {"cookie session": HIGH, "request–response": HIGH}),
    ("http-get", {"request–response": HIGH}), ("tcp-zero-window", {"request–response": HIGH}),
    ("tcp-refused", {}), ("tcp-reset", {"request–response": MEDIUM}), ("slow-server", {"request–response": HIGH}),
    ("short-polling", {"short polling": HIGH}), ("long-polling", {"long polling": HIGH}),
    ("async-job", {"asynchronous job": HIGH, "request–response": HIGH}),
    ("cookie-session", {"cookie session": HIGH, "request–response": HIGH}),
    ("jwt", {"token": HIGH, "request–response": MEDIUM}),
    ("nagle-delayed-ack", {"request–response": HIGH}), ("keepalive-race", {"request–response": MEDIUM}),
    ("sse-buffered-by-proxy", {"server-sent events": HIGH, "proxy hop": HIGH}),
])  # fmt: skip
def test_recorded_captures(capture: str, expected: dict[str, Confidence]) -> None:
    session = open_session(capture)
    found: dict[str, Confidence] = {}
    for pattern in session.patterns():
        found.setdefault(pattern.name, pattern.confidence)
        assert pattern.packets and pattern.evidence and pattern.cost.requests
    assert found == expected
    session.close()


def again(times: int, period: float, wait: float, status: str = "200 OK", body: bytes = b"[]", method: str = "GET") -> Net:
    net = Net()
    link = net.link(0)
    for turn in range(times):
        at = 10 + turn * period
        link.ask(at, f"{method} /jobs", b"%d" % turn if method == "POST" else b"")
        link.answer(at + wait, status, body if status[:3] == "200" else b"")
    return net


def test_short_polling(tmp_path: Path) -> None:
    session = again(10, 1000, 5).session(tmp_path)
    pattern = session.patterns()[0]
    assert (pattern.name, pattern.confidence, pattern.cost.wasted) == ("short polling", HIGH, 1.0)
    assert (pattern.cost.requests, pattern.cost.connections, pattern.cost.delay) == (10, 1, 1_000_000_000)
    session.close()


@pytest.mark.parametrize(("net", "expected"), [
    (again(3, 1000, 5), "request–response"),
    (again(10, 1000, 5, "503 Service Unavailable"), "unknown"),  # retries
    (again(10, 1000, 5, method="POST"), "unknown"),  # reports
    (again(10, 20, 5), "request–response"),  # a loop
], ids=["few", "retries", "reports", "loop"])  # fmt: skip
def test_what_is_no_poll(net: Net, expected: str, tmp_path: Path) -> None:
    assert list(net.patterns(tmp_path)) == [expected]


@pytest.mark.parametrize(("body", "expected"), [(b"[%d]", "request–response"), (b"[]", "unknown")], ids=["news", "nothing"])
def test_without_a_rhythm_only_empty_answers_may_be_polls(body: bytes, expected: str, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    for turn, at in enumerate((10, 110, 3_000, 3_200, 9_000, 9_150)):
        link.ask(at, "GET /orders")
        link.answer(at + 5, "200 OK", body % turn if b"%" in body else body)
    assert list(net.patterns(tmp_path)) == [expected]


def test_a_post_again_is_another_deed(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    for turn in range(8):
        link.ask(10 + 20 * turn, "POST /readings", b"%d" % turn)
        link.answer(15 + 20 * turn, "201 Created", b"ok")
    assert net.patterns(tmp_path) == {"request–response": HIGH}


def long_polls(waits: list[float], empty: float, target: str = "/updates") -> Net:
    """Each is sent again at once; those that waited for `empty` bring nothing."""
    net, at = Net(), 10.0
    link = net.link(0)
    for number, wait in enumerate(waits):
        link.ask(at, f"GET {target}")
        at += wait
        if wait == empty:
            link.answer(at, "204 No Content")
        else:
            link.answer(at, "200 OK", b'{"news": %d}' % number)
        at += 3
    return net


def test_long_polling(tmp_path: Path) -> None:
    assert long_polls([700, 2_000, 1_300, 2_000, 400], 2_000).patterns(tmp_path) == {"long polling": HIGH}
    assert long_polls([2_000] * 4, 2_000).patterns(tmp_path) == {"long polling": MEDIUM}
    assert long_polls([500, 1_700, 900, 1_200], 0, "/updates?timeout=30").patterns(tmp_path) == {"long polling": HIGH}


def test_a_slow_server_is_no_long_poll(tmp_path: Path) -> None:
    for waits in ([800.0] * 6, [500.0, 1_900.0, 700.0, 1_200.0, 650.0]):
        assert long_polls(waits, 0).patterns(tmp_path) == {"unknown": Confidence.LOW}


def test_a_slow_download_is_no_long_poll(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    for turn in range(4):
        at = 10 + 2000 * turn
        link.ask(at, "GET /large")
        link.segment(at + 5, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n")
        for part in range(20):
            link.segment(at + 10 + 95 * part, 1, b"x" * 1000)
    assert "long polling" not in net.patterns(tmp_path) and "server-sent events" not in net.patterns(tmp_path)


def test_an_idle_connection_is_no_stream(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /a")
    link.answer(15, "200 OK", b"hello")
    link.ask(60_000, "GET /b")
    link.answer(60_005, "200 OK", b"hello")
    assert net.patterns(tmp_path) == {"request–response": HIGH}


def job(accepted: str, location: str, body: bytes = b'{"id": "a7f3"}') -> Net:
    net = Net()
    link = net.link(0)
    link.ask(10, "POST /reports", b"{}")
    link.answer(20, f"{accepted}\nLocation: {location}" if location else accepted, body)
    for turn in range(4):
        link.ask(500 + 500 * turn, "GET /reports/a7f3")
        link.answer(505 + 500 * turn, "200 OK", b'{"state": "%s"}' % (b"done" if turn == 3 else b"running"))
    return net


@pytest.mark.parametrize(("net", "expected"), [
    (job("202 Accepted", "/reports/a7f3"), {"asynchronous job": HIGH}),
    (job("202 Accepted", ""), {"asynchronous job": HIGH}),
    (job("201 Created", "/reports/a7f3"), {"asynchronous job": MEDIUM}),
    (job("202 Accepted", "/elsewhere", b"{}"), {"request–response": HIGH, "short polling": MEDIUM}),
], ids=["location", "id", "created", "nothing leads there"])  # fmt: skip
def test_jobs(net: Net, expected: dict[str, Confidence], tmp_path: Path) -> None:
    assert net.patterns(tmp_path) == expected


def test_a_socket_that_only_answers_pushes_nothing(tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.upgrade(10)
    for turn in range(4):
        link.frame(100 + 100 * turn, 0, TEXT, b"question %d" % turn)
        link.frame(120 + 100 * turn, 1, TEXT, b"answer %d" % turn)
    assert net.patterns(tmp_path)["request–response"] == MEDIUM
    for turn in range(3):
        link.frame(3_000 + 1_500 * turn, 1, TEXT, b"news %d" % turn)
    assert net.patterns(tmp_path)["push over WebSocket"] == HIGH


def hop(server: str, marked: bool, times: int, outer: str = PROXY) -> Net:
    net = Net()
    one, two = net.link(0, CLIENT, outer), net.link(0, outer, server, 8080)
    for turn in range(times):
        at = 10 + 100 * turn
        one.ask(at, f"GET /{turn}")
        two.ask(at + 2, f"GET /{turn}" + (f"\nX-Forwarded-For: {CLIENT}" if marked else ""))
        two.answer(at + 10, "200 OK", b"hello")
        one.answer(at + 12, "200 OK", b"hello")
    return net


def test_a_proxy_between(tmp_path: Path) -> None:
    assert hop(SERVER, True, 1).patterns(tmp_path)["proxy hop"] == HIGH
    assert hop(SERVER, False, 1).patterns(tmp_path)["proxy hop"] == MEDIUM
    assert hop(SERVER, False, 4).patterns(tmp_path)["proxy hop"] == HIGH
    hedged = Net()
    for server in (SERVER, PROXY):
        link = hedged.link(0, CLIENT, server)
        link.ask(10 if server == SERVER else 15, "GET /a")
        link.answer(30, "200 OK", b"hello")
    assert "proxy hop" not in hedged.patterns(tmp_path)


def pool(credentials: bool, side_by_side: bool = True) -> Net:
    net = Net()
    links = [net.link(0 if side_by_side else 10_000 * number) for number in range(3)]
    for turn in range(3):
        for number, link in enumerate(links):
            at = 10 + 100 * turn + 10 * number + (0 if side_by_side else 10_000 * number)
            link.ask(at, f"GET /{turn}/{number}" + ("\nAuthorization: Bearer abc" if credentials else ""))
            link.answer(at + 50, "200 OK", b"hello")
    return net


def test_a_pool_is_sure_where_one_client_is_proven(tmp_path: Path) -> None:
    assert pool(True).patterns(tmp_path)["connection pool"] == HIGH
    assert pool(True).patterns(tmp_path)["token"] == HIGH
    assert pool(False).patterns(tmp_path)["connection pool"] == MEDIUM
    assert "connection pool" not in pool(False, side_by_side=False).patterns(tmp_path)


def test_no_credentials_are_told(tmp_path: Path) -> None:
    session = pool(True).session(tmp_path)
    assert not any("abc" in text for pattern in session.patterns() for text in (*pattern.evidence, *pattern.counter))
    session.close()


@pytest.mark.parametrize(
    ("capture", "module", "limit"), [("cookie-session", state, "MAX_HEADS"), ("short-polling", series, "MAX_BODIES")]
)
def test_what_was_not_looked_at_is_told(
    capture: str, module: ModuleType, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, told = open_session(capture), "only the first 3 of"
    assert not any(told in words for one in patterns(session) for words in one.counter)
    monkeypatch.setattr(module, limit, 3)
    assert any(told in words for one in patterns(session) for words in one.counter)
    session.close()
