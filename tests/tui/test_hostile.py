"""A capture whose every text is an attack: escape sequences, markup, direction marks. None of it may reach the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import dpkt
import pytest
from driving import drive, press, screen_text, settle, type_in
from textual.pilot import Pilot

from inspector.core.packet import Interface, Packet
from inspector.export.pcapng import Extras, write
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.views import VIEWS
from inspector.tui.widgets.osi_stack import OsiStack
from tests.cli.test_safety import certificate, client_hello, clocks, extremes, interfaces, talks

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
MARKUP = "[bold red]x[/bold red][@click=app.quit]y[/]"
BIDI = "‮gpj.exe\u2066"
EVIL = f"{ESCAPE}{MARKUP}{BIDI}"
A, B, M = bytes([192, 0, 2, 10]), bytes([192, 0, 2, 80]), b"\x02\0\0\0\0\1"


def frames() -> Iterator[bytes]:
    """A DNS answer with an evil name, and an HTTP exchange and an event stream with evil everywhere."""
    label = EVIL.encode()[:63]
    name = bytes([len(label)]) + label + b"\0"
    question = name + b"\0\1\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + B
    yield ip(udp(53, 5000, b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + question + answer), bytes([192, 0, 2, 53]), A)
    evil = EVIL.encode()
    request = b"GET /" + evil + b" HTTP/1.1\r\nHost: " + evil + b"\r\nX-" + evil + b": " + evil + b"\r\n\r\n"
    events = b"id: " + evil + b"\nevent: " + evil + b"\ndata: " + evil + b"\n\n"
    head = b"HTTP/1.1 200 " + evil + b"\r\nContent-Type: text/event-stream\r\nServer: " + evil + b"\r\n\r\n"
    yield tcp(A, B, 40000, 80, 100, 0, 2, b"")
    yield tcp(B, A, 80, 40000, 900, 101, 0x12, b"")
    yield tcp(A, B, 40000, 80, 101, 901, 0x18, request)
    yield tcp(B, A, 80, 40000, 901, 101 + len(request), 0x18, head + events)
    yield tcp(A, B, 40001, 443, 100, 0, 2, b"")
    yield tcp(A, B, 40001, 443, 101, 0, 0x18, client_hello(evil))
    yield tcp(B, A, 443, 40001, 900, 0, 0x18, certificate())


def ip(payload: dpkt.Packet, source: bytes, target: bytes) -> bytes:
    number = dpkt.ip.IP_PROTO_UDP if isinstance(payload, dpkt.udp.UDP) else dpkt.ip.IP_PROTO_TCP
    packet = dpkt.ip.IP(src=source, dst=target, p=number, data=payload)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(src=M, dst=M, data=packet))


def udp(sport: int, dport: int, data: bytes) -> dpkt.udp.UDP:
    return dpkt.udp.UDP(sport=sport, dport=dport, ulen=8 + len(data), data=data)


def tcp(source: bytes, target: bytes, sport: int, dport: int, seq: int, ack: int, flags: int, data: bytes) -> bytes:
    return ip(dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, data=data), source, target)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / f"{MARKUP.replace('/', '')}\x1b[31m.pcapng"
    packets = [Packet(n, n * 1_000_000, 1, len(data), data) for n, data in enumerate(frames(), 1)]
    extras = Extras({n: [EVIL] for n in range(1, 6)}, names={"192.0.2.10": EVIL}, section=[EVIL])
    write(str(path), [Interface(1, 0, EVIL, EVIL, "", EVIL)], packets, extras)
    return str(path)


def check(screen: CaptureScreen) -> str:
    text = screen_text(screen)
    for char in text.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), repr(char)
    return text


def test_nothing_of_a_capture_reaches_the_terminal_as_it_is(capture: str) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        assert "\\x1b]0;owned\\x07" in check(screen)
        for number in range(1, 9):
            await pilot.press("1")
            screen.packets.go(number)
            await settle(pilot)
            check(screen)
            stack = screen.query_one(OsiStack)
            assert stack.highlighted is not None
            for _ in range(stack.highlighted, 6):  # from the highest layer that is there to the lowest
                await press(pilot, "left_square_bracket")
                check(screen)
            assert stack.highlighted == 6
            await press(pilot, "tab", "tab", "down", "down", "enter", "down", "b")
            check(screen)
            for key in ("2", "3", "a", "4", "down", "d", "5", "6", "7", "8", "9", "f"):
                await press(pilot, key)
                check(screen)
        assert "[bold red]x[/bold red]" in check(screen)  # markup is text
        await press(pilot, "1", "ctrl+f")
        await type_in(pilot, "exe")
        check(screen)
        await press(pilot, "w")
        assert "[bold red]" in check(screen)
        await press(pilot, "escape")
        await press(pilot, "c", "C")
        assert not set(pilot.app.clipboard) & {"\x1b", "\x07", "\n", "\r", "‮"}
        await press(pilot, "slash")
        await pilot.press(*"[bold]", "enter")
        await settle(pilot)
        check(screen)

    drive(steps, capture, size=(150, 45))


def test_what_other_protocols_carry_does_not_either(tmp_path: Path) -> None:
    """Bodies, cookies, tokens, WebSocket messages, mail, files, databases, names in the network: field by field."""
    path = tmp_path / "talks.pcapng"
    packets = [Packet(n, n * 1_000_000, 1, len(data), data) for n, data in enumerate(talks(), 1)]
    owner = f"{ESCAPE} (process 7): its socket was seen"
    write(str(path), [Interface(1, 0)], packets, Extras({3: [owner, EVIL]}))
    full = [packet.number for packet in packets if len(packet.data) > 80]

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        shown = ""
        for number in full:
            screen.packets.go(number)
            await settle(pilot)
            await press(pilot, "tab", "tab", "end", "enter", "up", "1")
            shown += check(screen)
        assert shown.count("\\x1b]0;owned") > 20
        for key in ("2", "3", "a", "4", "down", "5", "6", "enter", "7", "8", "down", "9", "f", "a"):
            await press(pilot, key)
            check(screen)
        await press(pilot, "2")
        assert "(process 7)" in check(screen)

    drive(steps, str(path), size=(150, 45))


@pytest.mark.parametrize("make", [clocks, extremes, interfaces], ids=lambda make: make.__name__)
def test_every_view_of_odd_captures(make: Callable[[Path], str], tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        for number in range(1, screen.session.count + 1):
            screen.packets.go(number)
            await settle(pilot)
            check(screen)
        for key in VIEWS:
            await press(pilot, key, "down", "end", "home")
            assert f"{key} {VIEWS[key].title}" in check(screen)

    drive(steps, make(tmp_path / "odd.pcapng"), size=(150, 45))


def test_home_shows_hostile_file_names(capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from inspector.tui.app import InspectorApp
    from inspector.tui.recent import remember

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    remember(capture)

    async def run() -> None:
        app = InspectorApp()
        async with app.run_test(size=(150, 50)) as pilot:
            await settle(pilot)
            text = "\n".join("".join(s.text for s in strip) for strip in app.screen._compositor.render_strips())
            assert "[bold red]x" in text and "\x1b" not in text
            await pilot.press("end", "enter")
            await settle(pilot)
            assert isinstance(app.screen, CaptureScreen)
            check(app.screen)
            app.screen.session.close()

    asyncio.run(run())
