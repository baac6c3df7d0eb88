"""WebSocket frames and messages: the examples of RFC 6455, 5.7 and RFC 7692, 7.2.3."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talk import C, S, Step, Unit, talk
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from inspector.core.span import Frame, trace
from inspector.core.stream import StreamBuffer
from inspector.protocols.websocket import deflate

VECTORS = Path(__file__).parents[1] / "vectors/websocket"
MESSAGES = json.loads((VECTORS / "messages.json").read_text())
REFUSED = json.loads((VECTORS / "refused.json").read_text())

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
OPEN = b"GET /chat HTTP/1.1\r\nHost: a\r\n" + UPGRADE + KEY + b"\r\n"
HELLO = bytes.fromhex("810548656c6c6f")
MASKED = bytes.fromhex("818537fa213d7f9f4d5158")


def agreed(extensions: bytes = b"", accept: bytes = ACCEPT) -> bytes:
    more = b"Sec-WebSocket-Extensions: " + extensions + b"\r\n" if extensions else b""
    return b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + accept + more + b"\r\n"


def units_of(units: list[Unit], protocol: str, direction: int = S) -> list[Unit]:
    return [unit for unit in units if unit.pdu.protocol == protocol and unit.pdu.direction == direction]


def texts(units: list[Unit], direction: int = S) -> list[str]:
    return [unit.layer.value("websocket.payload.text") for unit in units_of(units, "websocket.message", direction)]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("vector", MESSAGES, ids=lambda vector: vector["name"])
def test_messages(vector: dict[str, Any], size: int) -> None:
    stream = bytes.fromhex(vector["frames"])
    units = talk([(C, OPEN), (S, agreed(vector["extensions"].encode())), (S, stream), (S, HELLO)], size)
    assert texts(units) == [*vector["messages"], "Hello"]  # what follows is read on
    assert b"".join(unit.pdu.span.read() for unit in units_of(units, "websocket")) == stream + HELLO
    assert not any(unit.issues for unit in units)
    assert all(not unit.layer.unclaimed() for unit in units)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_every_form_of_the_length(size: int) -> None:
    form = (
        bytes([size])
        if size < 126
        else b"\x7e" + size.to_bytes(2, "big")
        if size < 65_536
        else b"\x7f" + size.to_bytes(8, "big")
    )
    units = talk([(C, OPEN), (S, agreed()), (S, b"\x82" + form + b"y" * size)], 1000)
    assert units_of(units, "websocket.message")[0].pdu.span.size == size and not units[-1].issues


def test_masked_bytes_lead_to_their_frames() -> None:
    units = talk([(C, OPEN), (S, agreed()), (C, MASKED[:8]), (C, MASKED[8:])])
    frame = units_of(units, "websocket", C)[0]
    text = frame.layer.find("websocket.payload.text")
    assert text is not None and text.value == "Hello"
    spans = trace(text.span)
    assert [span.read() for span in spans] == [MASKED[6:8], MASKED[8:]]
    assert all(isinstance(span.buffer, Frame) and span.exact for span in spans)
    assert texts(units, C) == ["Hello"]


@pytest.mark.parametrize("accept", [b"", b"Sec-WebSocket-Accept: AAAA\r\n"])
def test_a_wrong_accept_is_an_issue(accept: bytes) -> None:
    assert "websocket-accept" not in talk([(C, OPEN), (S, agreed())])[1].issues
    assert "websocket-accept" in talk([(C, OPEN), (S, agreed(accept=accept))])[1].issues


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["name"])
def test_what_the_receiver_must_refuse_is_an_issue(vector: dict[str, Any]) -> None:
    units = talk([(C, OPEN), (S, agreed()), (S, bytes.fromhex(vector["frames"]))])
    assert sorted(units_of(units, "websocket")[0].issues) == vector["issues"]


def test_masking_must_fit_the_direction() -> None:
    units = talk([(C, OPEN), (S, agreed()), (C, HELLO), (S, MASKED)])
    assert "mask" in units_of(units, "websocket", C)[0].issues
    assert "mask" in units_of(units, "websocket", S)[0].issues


@pytest.mark.parametrize(
    ("code", "words"),
    [(1000, ""), (1004, "no meaning"), (1005, "must not stand in a frame"), (3000, ""), (4999, ""), (5000, "no meaning")],
)
def test_codes_that_a_close_may_hold(code: int, words: str) -> None:
    unit = units_of(talk([(C, OPEN), (S, agreed()), (S, b"\x88\x02" + code.to_bytes(2, "big"))]), "websocket")[0]
    assert [words in issue.text for issue in unit.layer.issues] == [True] * bool(words)


def test_a_refused_upgrade_stays_http() -> None:
    no = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    units = talk([(C, OPEN), (S, no), (C, OPEN), (S, no)])
    assert [unit.layer.value("http.response.code") for unit in units] == [None, 400, None, 400]


def test_a_cut_frame_is_not_complete() -> None:
    units = talk([(C, OPEN), (S, agreed()), (S, HELLO[:4])])
    assert not units_of(units, "websocket")[0].pdu.complete


def test_damaged_deflate_does_not_hurt_what_follows() -> None:
    stream = b"\xc1\x03\xff\xff\xff" + b"\x89\x01x"
    units = talk([(C, OPEN), (S, agreed(b"permessage-deflate")), (S, stream)])
    assert len(units_of(units, "websocket")) == 2


def test_text_that_is_no_utf8_is_an_issue() -> None:
    units = talk([(C, OPEN), (S, agreed()), (S, b"\x01\x01\xc3\x80\x01\x28")])
    assert "utf-8" in units_of(units, "websocket.message")[0].issues
    split = talk([(C, OPEN), (S, agreed()), (S, b"\x01\x01\xc3\x80\x01\xa4")])  # a character may be cut in two by frames
    assert texts(split) == ["ä"] and not units_of(split, "websocket.message")[0].issues


def test_a_masked_message_leads_back_byte_by_byte() -> None:
    units = talk([(C, OPEN), (S, agreed()), (C, MASKED)], 3)
    message = units_of(units, "websocket.message", C)[0]
    part = message.pdu.span._replace(start=1, stop=3)
    assert part.read() == b"el"
    assert b"".join(span.read() for span in trace(part)) == MASKED[7:9]
    assert all(span.exact for span in trace(part))


def test_behind_a_gap_frames_are_found_again() -> None:
    lost = b"\x82\x03abc"
    units = talk([(C, OPEN), (S, agreed()), (S, HELLO), (S, lost), (S, HELLO + HELLO), (S, HELLO)], lost=[3])
    assert texts(units) == ["Hello"] * 4


def test_a_gap_inside_a_frame_is_said() -> None:
    frame = b"\x81\x1e" + b"a" * 30
    units = talk([(C, OPEN), (S, agreed()), (S, frame[:12]), (S, frame[12:22]), (S, frame[22:] + HELLO)], lost=[3])
    assert "missing-bytes" in units_of(units, "websocket")[0].issues
    message = units_of(units, "websocket.message")[0]
    assert not message.pdu.complete and message.pdu.span.read() == b"a" * 10 + bytes(10) + b"a" * 10
    assert texts(units)[1] == "Hello"


def test_behind_a_gap_the_window_is_not_known() -> None:
    first, second = bytes.fromhex("c107f248cdc9c90700"), bytes.fromhex("c105f200110000")
    steps: list[Step] = [(C, OPEN), (S, agreed(b"permessage-deflate")), (S, HELLO), (S, first), (S, second), (S, HELLO)]
    units = talk(steps, lost=[3])
    assert texts(units)[0] == texts(units)[-1] == "Hello"
    assert [unit.pdu.complete for unit in units_of(units, "websocket.message")] == [True, False, True]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.text(max_size=40), min_size=1, max_size=4), st.booleans()), max_size=8),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1, 7, 100]),
)
def test_what_the_websockets_library_sends(
    messages: list[tuple[bool, list[str], bool]], compress: bool, fresh: bool, size: int
) -> None:
    """Messages in fragments, pings between them, masked from the client, with and without permessage-deflate."""
    coder = [PerMessageDeflate(fresh, fresh, 15, 15) for _ in (C, S)]
    steps: list[Step] = []
    for from_client, pieces, ping in messages:
        side = C if from_client else S
        for at, piece in enumerate(pieces):
            opcode = Opcode.CONT if at else Opcode.TEXT
            frame = WebSocketFrame(opcode, piece.encode(), fin=at == len(pieces) - 1)
            data = frame.serialize(mask=from_client, extensions=[coder[side]] if compress else [])
            if ping:
                data += WebSocketFrame(Opcode.PING, b"p").serialize(mask=from_client, extensions=[])
            steps.append((side, data))
    options = "; client_no_context_takeover; server_no_context_takeover" if fresh else ""
    start: list[Step] = [(C, OPEN), (S, agreed(f"permessage-deflate{options}".encode() if compress else b""))]
    units = talk([*start, *steps], size)
    for side in (C, S):
        assert texts(units, side) == ["".join(pieces) for client, pieces, _ in messages if client == (side == C)]
    assert not any(unit.layer.issues for unit in units)


def test_what_is_worked_out_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unmasked and inflated bytes are worked out again when somebody looks, in any order."""
    monkeypatch.setattr(deflate, "CHECKPOINT", 2000)
    monkeypatch.setattr(deflate, "CACHE", 3000)
    chance = Random(3)
    sent = [chance.randbytes(300).hex() for _ in range(60)]
    coder = PerMessageDeflate(False, False, 15, 15)
    frames = [WebSocketFrame(Opcode.TEXT, text.encode()).serialize(mask=True, extensions=[coder]) for text in sent]
    units = units_of(talk([(C, OPEN), (S, agreed(b"permessage-deflate")), *((C, f) for f in frames)]), "websocket.message", C)
    for unit in units:
        assert isinstance(unit.pdu.span.buffer, StreamBuffer) and not unit.pdu.span.buffer._kept
    order = list(range(60))
    chance.shuffle(order)
    assert all(units[at].pdu.span.read().decode() == sent[at] for at in order)


def test_the_notes_follow_the_bytes() -> None:
    units = talk([(C, OPEN), (S, agreed()), (C, MASKED), (S, b"\x01\x01a"), (S, b"\x80\x01b"), (S, b"\x88\x02\x03\xe9")])
    notes = {note.title: note.why for unit in units_of(units, "websocket") for note in unit.layer.notes}
    assert "Going away" in notes["close"] and "the last piece" in notes["fragment"]
    client = units_of(units, "websocket", C)[0]
    assert "37 fa 21 3d" in client.layer.notes[0].why


@pytest.mark.parametrize("seed", range(6))
def test_no_mutation_raises(seed: int) -> None:
    chance = Random(seed)
    for vector in MESSAGES:
        data = bytearray(bytes.fromhex(vector["frames"]))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(b"\x00\xff\x7e\x7f\x81\x01\xc1\x88")
        start: list[Step] = [(C, OPEN), (S, agreed(vector["extensions"].encode()))]
        for unit in talk([*start, (S, bytes(data)), (S, HELLO)], chance.choice([0, 2]), lost=chance.choice([[], [3]])):
            for field in unit.layer.walk():
                assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size
