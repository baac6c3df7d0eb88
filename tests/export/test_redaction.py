"""What tells or exports leaves secrets out, unless they are asked for; what shows the bytes shows all of them."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from pathlib import Path

import pytest

from inspector.cli import app
from inspector.export import curl, redaction
from inspector.tui.app import InspectorApp
from inspector.tui.screens.capture import CaptureScreen
from tests.made import connection, opened

SECRET = "s3cr3tvalue"
CODED = b64encode(f"\0bob\0{SECRET}".encode()).decode()
BASIC = b64encode(f"bob:{SECRET}".encode()).decode()
TOLD = [
    ["exchanges"], ["exchanges", "--json"], ["exchanges", "--har"], ["explain"], ["explain", "--all", "--json"], ["findings"],
    ["findings", "--json"], ["patterns"], ["patterns", "--json"], ["state", "-n", "8"], ["state", "-n", "8", "--json"],
    ["walk", "-n", "1-9"], ["walk", "-n", "1-9", "--json"], ["flows"], ["info"], ["assert"],
]  # fmt: skip


def frames() -> list[bytes]:
    """Secrets in every place that a name tells."""
    form = f"user=bob&password={SECRET}&x=1".encode()
    member = json.dumps({"user": "bob", "access_token": SECRET, "n": 1}).encode()
    ask = f"GET /a?token={SECRET}&q=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n"
    ask += f"Cookie: sid={SECRET}; b={SECRET}\r\nX-Api-Key: {SECRET}\r\nReferer: http://a/?password={SECRET}\r\n\r\n"
    answer = f"HTTP/1.1 302 Found\r\nSet-Cookie: session={SECRET}; Path=/\r\nContent-Type: application/json\r\n"
    answer += f"Location: http://bob:{SECRET}@a/x?code=1&access_token={SECRET}\r\nContent-Length: {len(member)}\r\n\r\n"
    post = f"POST /login HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {BASIC}\r\n"
    post += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    event = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + member + b"\n\n"
    said = {
        25: [b"EHLO b\r\n", b"250 AUTH PLAIN\r\n", f"AUTH PLAIN {CODED}\r\n".encode(), b"235 ok\r\n"],
        21: [b"USER bob\r\n", b"331 go on\r\n", f"PASS {SECRET}\r\n".encode(), b"230 ok\r\n"],
        110: [b"USER bob\r\n", b"+OK\r\n", f"PASS {SECRET}\r\n".encode(), b"+OK\r\n"],
        143: [f"a LOGIN bob {SECRET}\r\n".encode(), b"a OK\r\n"],
    }
    greetings = {25: b"220 a ESMTP\r\n", 21: b"220 a\r\n", 110: b"+OK\r\n", 143: b"* OK ready\r\n"}
    turns = (0, ask.encode()), (1, answer.encode() + member), (0, post.encode() + form), (1, event)
    found = connection(4000, *turns)
    for port, lines in said.items():
        found += connection(4000 + port, (1, greetings[port]), *((n % 2, line) for n, line in enumerate(lines)), server=port)
    return found


def leaks(text: str) -> list[str]:
    return [line for line in text.splitlines() if SECRET in line or CODED in line or BASIC in line]


@pytest.mark.parametrize("command", TOLD, ids=" ".join)
def test_what_is_told_has_no_secrets(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened(tmp_path, frames()).close()
    rest = ["exchange.ttfb < 0"] if command == ["assert"] else []
    app([command[0], str(tmp_path / "made.pcap"), *command[1:], *rest])
    out = capsys.readouterr().out
    assert out and not leaks(out)


@pytest.mark.parametrize(
    "command", [["exchanges"], ["exchanges", "--json"], ["exchanges", "--har"], ["explain", "--all"]], ids=" ".join
)
def test_secrets_are_kept_where_they_are_asked_for(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path, frames()).close()
    app([command[0], str(tmp_path / "made.pcap"), *command[1:], "--with-secrets"])
    out = capsys.readouterr().out
    assert leaks(out) and redaction.REDACTED not in out


@pytest.mark.parametrize(
    "command", [["show"], ["follow", "--stream", "0"], ["fields", "-e", "http.authorization"]], ids=" ".join
)
def test_what_shows_the_bytes_shows_all_of_them(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened(tmp_path, frames()).close()
    app([command[0], str(tmp_path / "made.pcap"), *command[1:]])
    assert leaks(capsys.readouterr().out)


def test_curl_commands_are_copied_without_secrets(tmp_path: Path) -> None:
    session = opened(tmp_path, frames())
    for number in (3, 5):
        clean, whole = curl.of_packet(session, number), curl.of_packet(session, number, secrets=True)
        assert clean.startswith("curl ") and not leaks(clean) and leaks(whole)


def test_copying_says_that_secrets_are_left_out(tmp_path: Path) -> None:
    session = opened(tmp_path, frames())

    async def steps() -> None:
        tui = InspectorApp(session)
        async with tui.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            assert isinstance(tui.screen, CaptureScreen)
            tui.screen.packets.go(3)
            for _ in range(5):
                await pilot.pause()
                await tui.workers.wait_for_complete()
            await pilot.press("C")
            await pilot.pause()
            assert "curl" in tui.clipboard and not leaks(tui.clipboard)
            assert any("redacted" in note.message for note in tui._notifications)

    asyncio.run(steps())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET http://bob:pw@a/x?token=abc&b=1 now", "GET http://(redacted)@a/x?token=(redacted)&b=1 now"),
        ('event 1  message: {"api_key": "abc', 'event 1  message: {"api_key": "(redacted)"'),
        (r'message: "{\"password\": \"abc\", \"n\": 1}"', r'message: "{\"password\": "(redacted)", \"n\": 1}"'),
        ("The client says (FTP): PASS abc def.", "The client says (FTP): PASS (redacted)."),
        ("The client says (IMAP): a1 login bob abc.", "The client says (IMAP): a1 login bob (redacted)."),
        ("The client says (POP3): AUTH PLAIN abc.", "The client says (POP3): AUTH PLAIN (redacted)."),
        ("sends Authorization: Basic abc and waits", "sends Authorization: Basic (redacted) and waits"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln there", "token (redacted) there"),
        ("it gives the client 1 cookie to keep (sid)", "it gives the client 1 cookie to keep (sid)"),
        ("the packets pass, x=1 and page=2", "the packets pass, x=1 and page=2"),
    ],
)
def test_sentences(text: str, left: str) -> None:
    assert redaction.words(text) == left


UNITS = [
    "a", "=", "a=", "&", "://", "://a:", "://:", ":", "@", '"', "\\", '"a":', '"a":"', '\\"', ": ", ": a ", "PASS ",
    ": PASS a", "eyJ", "-eyJ", "authorization: ", "cookie: ", " ", "é",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_text(unit: str) -> None:
    """A hundred thousand characters; with the square of them it would be minutes."""
    text = "token=x http://u:p@h " + unit * (100_000 // len(unit))
    start = time.process_time()
    redaction.words(text), redaction.url(text), redaction.parameters(text), redaction.body(text, "json")
    redaction.header("cookie", text), redaction.secret(text)
    assert time.process_time() - start < 3
