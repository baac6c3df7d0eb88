"""Decryption in whole captures: what one conversation teaches another, in whatever order packets are looked at."""

from __future__ import annotations

import random
import ssl
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from talk import C, Step
from tls_peers import NO_EXTENDED_MASTER_SECRET, record

from inspector.session import Session, open_session


def segments(steps: Sequence[Step], port: int) -> list[bytes]:
    """A conversation from 10.0.0.1 as IPv4 packets, one a step."""
    sequence = [1000, 9000]
    found = []

    def add(direction: int, flags: int, data: bytes = b"") -> None:
        ends = (b"\x0a\0\0\1", b"\x0a\0\0\2")
        ports = (port, 443)
        head = struct.pack(
            ">HHIIBBHHH", ports[direction], ports[1 - direction], sequence[direction], sequence[1 - direction], 0x50, flags,
            0xFFFF, 0, 0,
        )  # fmt: skip
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0) + ends[direction] + ends[1 - direction]
        found.append(ip + head + data)
        sequence[direction] += len(data) + (1 if flags & 3 else 0)

    add(C, 0x02)
    add(1 - C, 0x12)
    for direction, data in steps:
        add(direction, 0x18, data)
    add(C, 0x11)
    add(1 - C, 0x11)
    return found


def capture(path: Path, conversations: Sequence[Sequence[Step]]) -> str:
    """A pcap of raw IP packets, one conversation after the other."""
    raw = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for number, steps in enumerate(conversations):
        for data in segments(steps, 50000 + number):
            raw += struct.pack("<IIII", 1_700_000_000 + number, 0, len(data), len(data)) + data
    path.write_bytes(raw)
    return str(path)


def summaries(session: Session, numbers: Sequence[int]) -> dict[int, list[str]]:
    return {number: [layer.summary for layer in session.dissect(number).layers] for number in numbers}


@pytest.fixture
def resumed(tmp_path: Path) -> tuple[str, str]:
    """A session, two that resume it, and one of other peers; only the first one's secret is in the key log."""
    options = NO_EXTENDED_MASTER_SECRET
    try:
        first = record("ECDHE-RSA-AES128-GCM-SHA256", ssl.TLSVersion.TLSv1_2, options)
    except ssl.SSLError as error:
        pytest.skip(f"this OpenSSL does not speak the suite: {error.reason}")
    again = [record(resume=first) for _ in range(2)]
    other = record("ECDHE-RSA-AES128-GCM-SHA256", ssl.TLSVersion.TLSv1_2, options)
    log = tmp_path / "keys"
    log.write_text(first.log)
    return capture(tmp_path / "all.pcap", [first.steps, *(one.steps for one in again), other.steps]), str(log)


def test_the_order_of_looking_makes_no_difference(resumed: tuple[str, str]) -> None:
    path, log = resumed
    session = open_session(path, keylog=log)
    numbers = list(range(1, session.count + 1))
    straight = summaries(session, numbers)
    session.close()
    told = [text for number in numbers for text in straight[number]]
    assert told.count("GET /a HTTP/1.1") == told.count("HTTP/1.1 200 OK") == 3
    for seed in range(3):
        dice = random.Random(seed)
        dice.shuffle(numbers)
        session = open_session(path, keylog=log)
        assert summaries(session, numbers) == straight
        session.close()


def test_which_conversations_open_is_known_before_they_are_followed(resumed: tuple[str, str]) -> None:
    path, log = resumed
    session = open_session(path, keylog=log)
    assert [session.decrypts(flow) for flow in (3, 2, 1, 0)] == [False, True, True, True]
    assert session.decrypted
    session.close()
    session = open_session(path)
    assert not session.decrypted
    session.close()
