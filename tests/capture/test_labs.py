"""Each lab runs for two seconds, and its capture shows what its name says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from inspector.capture.labs import LABS
from inspector.session import Session, open_session
from inspector.streams.exchanges import Exchange

ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="live capture needs Linux, and root here"
)
SECONDS, RATE = 2, 8
ENDINGS = (signal.SIGINT, signal.SIGTERM)


def lab(*words: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inspector", "lab", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def run(name: str, folder: Path, *more: str) -> Session:
    path = folder / f"{name}.pcapng"
    done = lab(name, "--no-open", "--duration", str(SECONDS), "--rate", str(RATE), "-w", str(path), *more)
    assert done.returncode == 0, done.stderr
    return open_session(str(path))


def head(session: Session, exchange: Exchange, of: str) -> str:
    """The head of the request or the response as it was sent (HTTP/1.1)."""
    part = getattr(exchange, of)
    conversation = session.conversation(exchange.flow)
    direction = conversation.directions[0 if of == "request" else 1]
    return direction.buffer.read(part.start, part.head).decode("latin-1")


@ROOT
def test_request_response(tmp_path: Path) -> None:
    found = run("request-response", tmp_path).exchanges()
    wanted = {("POST", 201), ("GET", 200), ("GET", 304), ("PUT", 200), ("DELETE", 204)}
    assert {(one.method, one.status) for one in found} >= wanted
    assert len({one.flow for one in found}) == 1


@ROOT
def test_short_polls_are_repeated_and_mostly_bring_nothing(tmp_path: Path) -> None:
    found = run("short-polling", tmp_path).exchanges()
    assert len({one.target for one in found}) == 1 and len(found) >= RATE
    assert sum(one.status == 304 for one in found) > len(found) / 2 and any(one.status == 200 for one in found)
    gaps = [(after.begun - before.begun) / 1e9 for before, after in pairwise(found)]
    assert min(gaps) > 0.9 / RATE


@ROOT
def test_long_polls_are_held(tmp_path: Path) -> None:
    found = [one for one in run("long-polling", tmp_path).exchanges() if one.complete]
    assert {one.status for one in found} == {200, 204}
    assert sorted(one.phases.wait for one in found)[len(found) // 2] > 0.9e9 / RATE  # more than a beat of the server's
    following = [after.begun - before.ended for before, after in pairwise(found)]
    assert sorted(following)[len(following) // 2] < 0.5e9 / RATE  # and the client asks at once


@ROOT
def test_sse_ends_well_breaks_off_and_comes_back_with_the_last_event(tmp_path: Path) -> None:
    session = run("sse", tmp_path)
    found = session.exchanges()
    assert {one.media for one in found} == {"text/event-stream"} and len(found) >= 3
    assert all(item.pdu.protocol == "sse" for one in found for item in one.items)
    well, broken, back = found[:3]
    assert well.complete and len(well.items) >= 9
    assert not broken.complete and "last-event-id" not in head(session, broken, "request").lower()
    assert "last-event-id: 40" in head(session, back, "request").lower()


@ROOT
def test_websocket_messages_go_both_ways(tmp_path: Path) -> None:
    session = run("websocket", tmp_path)
    first = session.exchanges()[0]
    assert first.status == 101
    assert {(item.from_client, item.pdu.protocol) for item in first.items} == {
        (True, "websocket.message"), (False, "websocket.message"),
    }  # fmt: skip
    words = [session.words(pdu) for pdus in session.conversation(first.flow).tree.pdus.values() for pdu in pdus]
    for kind in ("Ping", "Pong", "Close"):
        assert any(kind.lower() in line.lower() for line in words), kind


@ROOT
def test_http2_streams_travel_side_by_side(tmp_path: Path) -> None:
    found = run("http2", tmp_path).exchanges()
    assert len({one.flow for one in found}) == 1 and len({one.substream for one in found}) == len(found) > 5
    slow = found[0]
    assert slow.target == "/slow"
    assert sum(slow.begun < one.begun and one.ended < slow.ended for one in found) >= 3


@ROOT
def test_sessions_by_cookie_and_by_token(tmp_path: Path) -> None:
    session = run("sessions", tmp_path)
    found = [one for one in session.exchanges() if one.complete]
    requests = "".join(head(session, one, "request").lower() for one in found)
    responses = "".join(head(session, one, "response").lower() for one in found)
    assert "cookie: session=" in requests and "authorization: bearer " in requests
    assert "set-cookie: session=" in responses and "www-authenticate: bearer" in responses
    assert {one.status for one in found} == {200, 204, 401}


@ROOT
@pytest.mark.parametrize("name", ["http2", "sessions", "websocket"])
def test_with_tls_the_capture_holds_the_keys(name: str, tmp_path: Path) -> None:
    session = run(name, tmp_path, "--tls")
    assert session.source.secrets and session.decrypted
    assert {one.scheme for one in session.exchanges()} <= {"https", "wss"} and session.exchanges()
    assert (tmp_path / f"{name}.pcapng").stat().st_mode & 0o777 == 0o600


@ROOT
@pytest.mark.parametrize("number", ENDINGS, ids=[number.name for number in ENDINGS])
def test_nothing_is_left_running(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inspector", "lab", "sse", "--no-open"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        assert "Ctrl-C ends it" in process.stderr.readline()
        time.sleep(1)  # server and client have begun
        inside = [path.name for path in tmp_path.iterdir()]
        process.send_signal(number)
        try:
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == (0 if number == signal.SIGINT else 128 + number)
    assert inside and not list(tmp_path.iterdir())
    assert not [line for line in _commands() if "inspector.capture" in line and inside[0] in line]


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.append(path.read_bytes().decode(errors="replace") + path.with_name("cmdline").read_text(errors="replace"))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def test_the_list_says_what_each_teaches() -> None:
    done = lab()
    assert done.returncode == 0
    assert [line for line in done.stdout.split("\n") if line and not line.startswith(" ")] == list(LABS)


def test_an_unknown_lab_and_a_missing_extra_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    done = lab("telepathy")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "websocket" in done.stderr
    import importlib.util

    from inspector.capture.labs.running import require_extra
    from inspector.core.errors import InspectError

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "hypercorn" else object())
    with pytest.raises(InspectError, match=r"hypercorn.*osi-inspect\[lab\]"):
        require_extra()
