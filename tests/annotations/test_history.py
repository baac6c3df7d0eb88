"""What the packets around one say of it: questions and their answers, repetitions, errors and what they are about."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.annotations.http import other_half
from inspector.core.checksum import ones_complement_sum
from inspector.session import open_session
from tests.annotations.net import CLIENT, ICMP, SERVER, UDP, Net


def told(net: Net, folder: Path) -> list[dict[str, str]]:
    """Packet by packet: the titles of its notes, with their sentences."""
    session = net.session(folder)
    try:
        return [
            {note.title: note.why for layer in session.explained(number).layers for note in layer.notes}
            for number in range(1, session.count + 1)
        ]
    finally:
        session.close()


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    message = struct.pack("!BBHI", kind, code, 0, 0) + rest if kind == 3 else struct.pack("!BBH", kind, code, 0) + rest
    check = ~ones_complement_sum(message) & 0xFFFF
    return message[:2] + check.to_bytes(2, "big") + message[4:]


def test_a_question_that_is_asked_again_and_its_answer(tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "a.example")
    net.lookup(5000, "a.example", "192.0.2.80", after=20)
    first, again, answer = told(net, tmp_path)
    assert "asked again" not in first and "answered in packet 3" in first
    assert again["asked again"] == "Packet 1 asked the same 5,000.000 ms before, and no answer had come since."
    assert again["answered in packet 3"] == "The answer comes 20.000 ms later."
    assert answer["answers packet 1"].startswith("The question came 5,020.000 ms before, and was asked 2 times")


def test_another_id_or_name_is_another_question(tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "a.example", id=7)
    net.lookup(10, "b.example", "192.0.2.80", id=7)
    net.lookup(30, "a.example", "192.0.2.80", id=8)
    notes = told(net, tmp_path)
    assert "no answer" in notes[0] and not any(title.startswith("answered") for title in notes[0])
    assert "answers packet 2" in notes[2] and "answers packet 4" in notes[4]
    assert not any("asked again" in one for one in notes)


def test_pings_by_identifier_and_number(tmp_path: Path) -> None:
    net = Net()
    for number in (1, 2):
        net.put(number * 100, CLIENT, SERVER, ICMP, icmp(8, 0, struct.pack("!HH", 77, number) + bytes(8)))
        if number == 2:
            net.put(207, SERVER, CLIENT, ICMP, icmp(0, 0, struct.pack("!HH", 77, number) + bytes(8)))
    lost, sent, back = told(net, tmp_path)
    assert "number 1" in lost["ping"] and not any(title.startswith("answer") for title in lost)
    assert sent["answered in packet 3"] == "The answer comes 7.000 ms later."
    assert back["answers packet 2"] == "The question came 7.000 ms before."


def test_the_other_half_of_what_has_no_connection(tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "a.example", id=7)
    net.lookup(10, "b.example", "192.0.2.80", id=7)
    for number in (1, 2):
        net.put(100 + number, CLIENT, SERVER, ICMP, icmp(8, 0, struct.pack("!HH", 77, number)))
    net.put(110, SERVER, CLIENT, ICMP, icmp(0, 0, struct.pack("!HH", 77, 1)))
    session = net.session(tmp_path)
    try:
        assert [other_half(session, number) for number in range(1, 7)] == [None, 3, 2, 6, None, 4]
    finally:
        session.close()


def test_an_error_names_the_packet_that_it_is_about(tmp_path: Path) -> None:
    net = Net()
    net.udp(0, CLIENT, SERVER, (50_000, 7), b"one")
    quoted = net.udp(10, CLIENT, SERVER, (50_000, 7), b"three")
    net.put(12, SERVER, CLIENT, ICMP, icmp(3, 3, quoted))
    net.put(20, SERVER, CLIENT, ICMP, icmp(3, 3, quoted[:4] + b"\x12\x34" + quoted[6:]))
    notes = told(net, tmp_path)
    assert notes[2]["about packet 2"] == "UDP 50,000 → 7, sent 2.000 ms before this error."
    assert not any(title.startswith("about") for title in notes[3])  # it quotes a packet with another identification
    assert UDP == 17


@pytest.mark.parametrize("growing", [False, True])
def test_what_lies_ahead_is_told_of_a_whole_capture_alone(growing: bool, tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "a.example")
    session = net.session(tmp_path)
    try:
        session.complete = not growing
        titles = {note.title for layer in session.explained(1).layers for note in layer.notes}
    finally:
        session.close()
    assert ("no answer" in titles) is not growing


@pytest.mark.parametrize(
    ("client", "server", "words"),
    [
        (b"\x02\x04\x05\xb4\x03\x03\x07\x00", b"\x02\x04\x05\x78\x03\x03\x02\x00", "units of 128 bytes (the client's) and 4"),
        (b"\x02\x04\x05\xb4\x04\x02\x00\x00", b"\x02\x04\x05\x78\x04\x02\x00\x00", "not scaled: at most 65,535 bytes"),
        (b"\x02\x04\x05\xb4\x04\x02\x00\x00", b"\x02\x04\x05\x78\x04\x02\x00\x00", "; SACK; no time stamps"),
        (b"\x02\x04\x05\xb4\x04\x02\x00\x00", b"\x02\x04\x05\x78", "; no SACK; "),
        (b"\x02\x04\x05\xb4", b"\x02\x04\x05\x78", "up to 1,400 bytes to the server, 1,460 to the client"),
    ],
)  # fmt: skip
def test_what_two_syns_agree_on(client: bytes, server: bytes, words: str, tmp_path: Path) -> None:
    net = Net()
    for at, ends, ports, flags, options in ((0, (CLIENT, SERVER), (40_000, 80), 2, client),
                                            (1, (SERVER, CLIENT), (80, 40_000), 18, server)):  # fmt: skip
        size = 5 + len(options) // 4
        header = struct.pack("!HHIIBBHHH", *ports, 100, 101 if flags & 16 else 0, size << 4, flags, 500, 0, 0)
        net.put(at, *ends, 6, header + options)
    first, second = told(net, tmp_path)
    assert "agreed" not in first and words in second["agreed"]


@pytest.mark.parametrize(("length", "before"), [("Content-Length: 2", "idle"), ("Server: x", "closing")])
def test_a_body_that_ends_by_closing_closes_the_connection(length: str, before: str, tmp_path: Path) -> None:
    net = Net()
    link = net.link(0)
    link.ask(10, "GET /")
    link.segment(20, 1, f"HTTP/1.1 200 OK\r\n{length}\r\n\r\nab".encode())
    link.close(30, 1)
    titles = [title for packet in told(net, tmp_path) for title in packet if title.startswith("HTTP/1 connection")]
    assert [title for title in titles if title.endswith("→ closed")] == [f"HTTP/1 connection: {before} → closed"]


def test_how_many_messages_of_a_handshake_follow() -> None:
    session = open_session("tls13-resumption")
    try:
        titles = [
            note.title
            for number in range(1, session.count + 1)
            for layer in session.explained(number).layers
            for note in layer.notes
            if note.title.startswith("step ")
        ]
    finally:
        session.close()
    assert titles == [*(f"step {at} of 7" for at in range(1, 8)), *(f"step {at} of 5" for at in range(1, 6))]
