"""A conversation that is only quoted, in an ICMP error: it is listed, and nothing is known of it."""

from __future__ import annotations

import struct
from pathlib import Path

from driving import drive, press, screen_text
from textual.pilot import Pilot

from inspector.tui.screens.capture import CaptureScreen

A, B, M = bytes([192, 0, 2, 10]), bytes([192, 0, 2, 80]), b"\x02\0\0\0\0\1"


def ip(protocol: int, data: bytes) -> bytes:
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0, A, B) + data


def test_it_is_listed(tmp_path: Path) -> None:
    quoted = ip(17, struct.pack(">HHHH", 9, 10, 8, 0))
    frame = M + M + b"\x08\x00" + ip(1, bytes.fromhex("0303000000000000") + quoted)
    path = tmp_path / "a.pcap"
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    path.write_bytes(head + struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "2")
        text = screen_text(screen)
        assert "192.0.2.10:9" in text and "18446744073" not in text
        await press(pilot, "3", "4", "f")

    drive(steps, str(path))


def test_a_screen_of_twenty_by_five(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await pilot.resize_terminal(20, 5)
        for key in ("down", "tab", "2", "3", "4", "f", "1"):
            await press(pilot, key)
        await pilot.resize_terminal(140, 45)
        await press(pilot, "up")
        assert "Ethernet" in screen_text(screen)

    drive(steps, "sse", 18)
