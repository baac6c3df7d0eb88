"""Findings about TCP: each with a conversation that shows it, and one that looks like it and must stay silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.core.layer import Severity
from inspector.session import open_session
from inspector.sources.bundled import bundled, resolve
from tests.annotations.net import Net
from tests.annotations.wire import ACK, FIN, RST, SYN, Wire


def writes(acknowledged_after: float, next_after: float, times: int) -> Wire:
    """Small writes, each acknowledged late, and the next one sent some time after that."""
    wire, at, seq = Wire().open(), 20.0, 1
    for _ in range(times):
        wire.say(at, 0, seq, 1, 100)
        seq += 100
        wire.say(at + acknowledged_after, 1, 1, seq)
        at += acknowledged_after + next_after
    wire.say(at, 0, seq, 1, 100)
    return wire


def test_nagle_against_the_delayed_acknowledgement(tmp_path: Path) -> None:
    assert writes(40, 0.2, 3).codes(tmp_path)["nagle-delayed-ack"] == 3


@pytest.mark.parametrize(
    "wire", [writes(40, 0.2, 2), writes(40, 60, 5), writes(5, 0.2, 5)], ids=["too few", "sent on its own", "no delay"]
)
def test_no_nagle_where_nothing_waits(wire: Wire, tmp_path: Path) -> None:
    assert "nagle-delayed-ack" not in wire.codes(tmp_path)


def test_a_closed_window_and_how_long(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 500)
    wire.say(30, 1, 1, 501, window=0)
    wire.say(900, 1, 1, 501, window=500)
    session = wire.session(tmp_path)
    found = next(finding for finding in session.findings() if finding.code == "zero-window")
    assert (found.severity, found.packets) == (Severity.ERROR, (5, 6))
    assert "870.0 ms" in found.cause and "the server does not read" in found.cause
    session.close()


def test_a_window_of_zero_in_a_reset_is_nothing(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 1, 1, 1, flags=RST | ACK, window=0)
    assert "zero-window" not in wire.codes(tmp_path)


def test_the_window_is_the_limit(tmp_path: Path) -> None:
    wire = Wire().open()
    for turn in range(3):
        wire.say(20 + 10 * turn, 0, 1 + 500 * turn, 1, 500)
        wire.say(29 + 10 * turn, 1, 1, 501 + 500 * turn)
    assert wire.codes(tmp_path)["window-limited"] == 3


def test_a_time_out_and_a_fast_resend(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 100)
    wire.say(260, 0, 1, 1, 100)
    wire.say(270, 1, 1, 101)
    for turn, seq in enumerate((201, 301, 401)):
        wire.say(280 + turn, 0, seq, 1, 100)
        wire.say(290 + turn, 1, 1, 101)
    wire.say(294, 0, 101, 1, 100)
    codes = wire.codes(tmp_path)
    assert (codes["rto-stall"], codes["fast-recovery"]) == (1, 1)


def test_a_capture_that_lost_packets_says_nothing_of_loss(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 100)
    wire.say(25, 1, 1, 901)  # acknowledges what was never seen
    wire.say(260, 0, 901, 1, 100)
    wire.say(560, 0, 901, 1, 100)
    assert "rto-stall" not in wire.codes(tmp_path)


def test_nobody_answers(tmp_path: Path) -> None:
    wire = Wire()
    for at in (0, 1000, 3000):
        wire.say(at, 0, 0, 0, flags=SYN)
    assert wire.codes(tmp_path) == {"syn-unanswered": 3}
    once = Wire()
    once.say(0, 0, 0, 0, flags=SYN)
    assert once.codes(tmp_path) == {}


def test_refused_is_not_reset(tmp_path: Path) -> None:
    wire = Wire()
    wire.say(0, 0, 0, 0, flags=SYN)
    wire.say(1, 1, 0, 1, flags=RST | ACK)
    assert wire.codes(tmp_path) == {"connection-refused": 1}
    later = Wire().open()
    later.say(20, 0, 1, 1, 50)
    later.say(30, 1, 1, 51, flags=RST | ACK)
    assert later.codes(tmp_path) == {"reset-after-data": 1}


def test_a_reset_behind_both_fins_is_nothing(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 50)
    wire.say(30, 1, 1, 51, flags=FIN | ACK)
    wire.say(31, 0, 51, 2, flags=FIN | ACK)
    wire.say(32, 0, 52, 2, flags=RST)
    assert wire.codes(tmp_path) == {}


def test_large_segments_vanish(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 300)
    wire.say(30, 1, 1, 301)
    for at in (40, 250, 650, 1450):
        wire.say(at, 0, 301, 1, 1460)
    assert wire.codes(tmp_path)["path-mtu-black-hole"] == 3
    wire.say(1500, 1, 1, 1761)
    assert "path-mtu-black-hole" not in wire.codes(tmp_path)


@pytest.mark.parametrize(("silence", "expected"), [(60_000, True), (30_100, True), (47_000, False)])
def test_idle_time_outs_are_round(silence: float, expected: bool, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 50)
    wire.say(30, 1, 1, 51, 50)
    wire.say(30 + silence, 1, 51, 51, flags=FIN | ACK)
    assert ("idle-cutoff" in wire.codes(tmp_path)) == expected


def test_where_the_capture_was_made(tmp_path: Path) -> None:
    wire = Wire().open(round_trip=10)
    wire.say(20, 0, 1, 1, 50)
    wire.say(30, 1, 1, 51, flags=FIN | ACK)
    wire.say(31, 0, 51, 2, flags=FIN | ACK)
    wire.say(41, 1, 2, 52)
    session = wire.session(tmp_path)
    assert [finding.vantage for finding in session.findings()] == ["client"]
    session.close()


WANTED = {
    "tls-bad-certificate": {"tls-alert"}, "tls13-hello-retry": {"hello-retry"}, "tcp-refused": {"connection-refused"},
    "tcp-zero-window": {"zero-window"}, "tcp-loss": {"fast-recovery"},
}  # fmt: skip


@pytest.mark.parametrize("capture", bundled(), ids=lambda capture: capture.name)
def test_bundled_captures_show_what_they_announce(capture) -> None:
    session = open_session(str(capture.path))
    try:
        found = session.findings()
        bad = {finding.code for finding in found if finding.severity >= Severity.WARNING}
        assert bad <= set(capture.entry["expect"])
        assert WANTED.get(capture.name, set()) <= {finding.code for finding in found}
    finally:
        session.close()


def test_time_wait_is_claimed_only_where_somebody_waits(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 100)
    wire.say(30, 0, 101, 1, flags=FIN | ACK)
    wire.say(40, 1, 1, 102, flags=FIN | ACK)
    wire.say(40.1, 0, 102, 2, flags=RST)
    assert "closed-first" not in wire.codes(tmp_path)


def test_a_server_that_closes_a_websocket_does_what_it_must() -> None:
    """RFC 6455, 7.1.1: the server closes the TCP connection first, and holds the port pair."""
    session = open_session("websocket-chat")
    found = {finding.code for finding in session.findings()}
    session.close()
    assert "closed-first" not in found


@pytest.mark.parametrize(("end", "connections", "times"), [(1, 1, 1), (1, 3, 3), (0, 3, 0), (0, 120, 120)])
def test_time_wait_is_one_finding_for_an_end_and_at_a_client_only_where_it_may_run_out_of_ports(
    end: int, connections: int, times: int, tmp_path: Path
) -> None:
    net = Net()
    for turn in range(connections):
        link = net.link(10 * turn)
        link.segment(10 * turn + 3, 0, b"x")
        link.close(10 * turn + 4, end)
    session = net.session(tmp_path)
    found = [finding for finding in session.findings() if finding.code == "closed-first"]
    session.close()
    assert [one.times for one in found] == [times] * bool(times)
    assert all(len(one.packets) == min(times, 20) and (one.stream >= 0) == (times == 1) for one in found)
    assert all(one.cause.startswith("the server 192.0.2.80:80" if end else "the client 192.0.2.10 closed") for one in found)


def test_a_window_update_behind_a_hole_is_told_as_one() -> None:
    """Packets of the capture tcp-loss: the window grows while SACK reports a hole; the resend is no proof of reordering."""
    session = open_session("tcp-loss")
    try:
        behind, late = ({note.title: note for note in session.dissect(number).last("tcp").notes} for number in (126, 159))
    finally:
        session.close()
    assert "a segment came behind a hole" in behind["window update"].why and "RFC 2018" in behind["window update"].reference
    assert "or the sender sent this one again" in late["out of order"].why


def test_findings_are_kept_until_there_are_more_packets(tmp_path: Path) -> None:
    whole = Path(resolve("tcp-reset")).read_bytes()
    path = tmp_path / "a.pcapng"
    path.write_bytes(whole[: len(whole) // 2])
    session = open_session(str(path), growing=True)
    session.grow()
    before = session.findings()
    assert session.findings() is before
    path.write_bytes(whole)
    assert session.grow()
    session.load()
    after = session.findings()
    fresh = open_session("tcp-reset")
    assert [one.code for one in after] == [one.code for one in fresh.findings()] != [one.code for one in before]
    session.close()
    fresh.close()
