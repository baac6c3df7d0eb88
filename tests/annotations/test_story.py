"""The story: the reviewed text of every bundled capture; sentences that follow their evidence, and silence without it.

The texts were read sentence by sentence against tshark. To see what a change of the program says:
`osi-inspect explain NAME > tests/annotations/explain/NAME.txt`, and read the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.annotations.story import Step, ranges
from inspector.cli import explain
from inspector.cli.explain import WIDTH, as_text
from inspector.session import open_session
from inspector.sources.bundled import bundled
from tests.annotations.net import Net
from tests.annotations.wire import ACK, FIN, RST, SYN, Wire

TEXTS = Path(__file__).parent / "explain"
NAMES = [capture.name for capture in bundled()]


def every(steps: list[Step] | tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from every(step.steps)


@pytest.mark.parametrize("name", NAMES)
def test_the_reviewed_text(name: str) -> None:
    session = open_session(name)
    try:
        steps = session.story()
        told = "\n".join(as_text(session, steps, False, WIDTH)) + "\n"
        found = list(every(steps))
    finally:
        session.close()
    assert told == (TEXTS / f"{name}.txt").read_text(encoding="utf-8")
    for step in found:
        assert step.packets == tuple(sorted(set(step.packets)))
        assert 1 <= step.packets[0] <= step.packets[-1] <= session.count
        assert step.begun == session.time_of(step.first)


def told(wire: Wire, folder: Path) -> dict[str, list[str]]:
    """What is said of a conversation: the kind of step → the sentences."""
    session = wire.session(folder)
    try:
        found: dict[str, list[str]] = {}
        for step in every(session.story()):
            found.setdefault(step.kind, []).append(step.text)
        return found
    finally:
        session.close()


@pytest.mark.parametrize("mss", [1460, 900])
def test_the_opening_says_what_was_offered(mss: int, tmp_path: Path) -> None:
    text = told(Wire(mss).open(12), tmp_path)["connect"][0]
    assert f"each accepts segments of up to {mss:,} bytes".lower() in text.lower()
    assert "SYN ACK after 12.0 ms, and ACK 100 µs later" in text
    assert "no further option is agreed on" in text


def test_a_capture_that_begins_late_knows_no_handshake(tmp_path: Path) -> None:
    wire = Wire()
    wire.say(0, 0, 1, 1, 10)
    wire.say(1, 1, 1, 11, 10)
    said = told(wire, tmp_path)
    assert "the handshake is not here" in said["connect"][0]
    assert said["close"] == ["The capture ends while this connection is still open."]


def test_refused_and_unanswered(tmp_path: Path) -> None:
    refused = Wire()
    refused.say(0, 0, 0, 0, flags=SYN)
    refused.say(3, 1, 0, 1, flags=RST | ACK)
    said = told(refused, tmp_path)
    assert "the answer, 3.0 ms later, is a reset" in said["connect"][0] and "close" not in said
    silent = Wire()
    for at in (0, 1000, 3000):
        silent.say(at, 0, 0, 0, flags=SYN)
    text = told(silent, tmp_path)["connect"][0]
    assert "3 times" in text and "no answer is in this capture" in text


@pytest.mark.parametrize(("first", "keeper"), [(0, "the client"), (1, "the server")])
def test_who_closes_first_keeps_time_wait(first: int, keeper: str, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, first, 1, 1, flags=FIN | ACK)
    wire.say(27, 1 - first, 1, 2, flags=FIN | ACK)
    wire.say(28, first, 2, 2)
    text = told(wire, tmp_path)["close"][0]
    assert text.lower().startswith(f"{keeper} closes first") and "7.0 ms later" in text
    assert f"{keeper} keeps the port pair in TIME-WAIT" in text


def test_a_half_closed_connection_says_where_it_stands(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, flags=FIN | ACK)
    wire.say(21, 1, 1, 2)
    text = told(wire, tmp_path)["close"][0]
    assert "the client is in FIN-WAIT-2 and the server is in CLOSE-WAIT" in text


def test_a_reset(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 1, 1, 1, flags=RST | ACK)
    assert told(wire, tmp_path)["close"][0].startswith("The server ends the connection with a reset")


@pytest.mark.parametrize("wait", [300, 900])
def test_a_closed_window_tells_how_long(wait: int, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 500)
    wire.say(30, 1, 1, 501, window=0)
    wire.say(30 + wait, 1, 1, 501, window=400)
    text = told(wire, tmp_path)["trouble"][0]
    assert f"may not send for {wait}.0 ms, until there is room for 400 bytes again" in text


def test_a_resend_counts_its_bytes_and_its_wait(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 321)
    wire.say(320, 0, 1, 1, 321)
    wire.say(330, 1, 1, 322)
    text = told(wire, tmp_path)["trouble"][0]
    assert "The client sends 1 segment (321 bytes) again, after waiting 300.0 ms" in text


def test_nothing_is_said_of_what_went_well(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    wire.say(30, 1, 1, 36, data=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    said = told(wire, tmp_path)
    assert "trouble" not in said
    assert "Content-Length announces" in said["response"][0] and "3 bytes" in said["response"][0]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"Content-Length: 3\r\n\r\nabc", "the body ends after the 3 bytes that Content-Length announces"),
        (b"Content-Length: 9\r\n\r\nabc", "Content-Length announces 9 bytes; it is not whole"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "the chunk of size 0 ends it"),
        (b"\r\nabc", "it ends when the server closes the connection"),
    ],
)
def test_why_a_body_ends(head: bytes, words: str, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    wire.say(30, 1, 1, 36, data=b"HTTP/1.1 200 OK\r\n" + head)
    assert words in told(wire, tmp_path)["response"][0]


@pytest.mark.parametrize(
    ("knows", "flags", "words"),
    [
        (0, FIN | ACK, "gets no answer: when the server closed this connection, the request had not reached it"),
        (34, FIN | ACK, "gets no answer: the server ends the connection instead"),
        (34, RST | ACK, "gets no answer: the server ends the connection instead"),
        (34, ACK, "gets no answer in this capture"),
    ],
)
def test_why_there_is_no_answer(knows: int, flags: int, words: str, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    wire.say(30, 1, 1, 1 + knows, flags=flags)
    assert words in told(wire, tmp_path)["response"][0]


def test_a_request_that_takes_its_time_says_so(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    wire.say(63, 0, 47, 1, data=b"ok")
    assert "its last byte leaves 43.0 ms after its first" in told(wire, tmp_path)["request"][0]


def test_hostile_text_reaches_no_terminal(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=b"GET /\x1b[2J HTTP/1.1\r\nHost: a\x07.example\r\n\r\n")
    session = wire.session(tmp_path)
    try:
        text = "\n".join(as_text(session, session.story(), True, 80))
    finally:
        session.close()
    assert "\x1b" not in text and "\x07" not in text


def test_packet_ranges() -> None:
    assert ranges((1, 2, 3, 5, 9, 10)) == "1–3, 5, 9–10"
    assert ranges(()) == ""


@pytest.mark.parametrize(("client", "server", "words"), [
    ("192.0.2.10", "192.0.2.80", "192.0.2.10:5000 sends 1 datagram (UDP) to 192.0.2.80:6000,"),
    ("2001:db8::10", "2001:db8::80", "[2001:db8::10]:5000 sends 1 datagram (UDP) to [2001:db8::80]:6000,"),
])  # fmt: skip
def test_the_ends_of_datagrams(client: str, server: str, words: str, tmp_path: Path) -> None:
    net = Net()
    net.udp(0, client, server, (5_000, 6_000), b"what is this")
    session = net.session(tmp_path)
    assert words in " ".join(step.text for step in session.story())
    session.close()


def test_a_very_long_story_is_told_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MOST", 3)
    session = open_session("http-get")
    steps = session.story()
    assert list(as_text(session, steps, False, WIDTH))[-1].endswith(f"{len(steps) - 3} more steps: --all tells them")
    assert not any("more steps" in line for line in as_text(session, steps, True, WIDTH))
    session.close()
