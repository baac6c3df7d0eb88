"""WebSocket frames and messages: the examples of RFC 6455, 5.7 and RFC 7692, 7.2.3."""

from __future__ import annotations

import pytest
from talk import C, S, Unit, talk

from inspector.core.span import Frame, trace

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
@pytest.mark.parametrize(
    ("stream", "extensions", "messages", "frames"),
    [
        (HELLO, b"", ["Hello"], 1),
        (HELLO * 3, b"", ["Hello"] * 3, 3),
        (bytes.fromhex("010348656c80026c6f"), b"", ["Hello"], 2),
        (bytes.fromhex("010348656c") + bytes.fromhex("890548656c6c6f") + bytes.fromhex("80026c6f"), b"", ["Hello"], 3),
        (b"\x81\x7e\x01\x00" + b"x" * 256, b"", ["x" * 256], 1),
        (b"\x81\x7f" + (65536).to_bytes(8, "big") + b"y" * 65536, b"", ["y" * 65536], 1),
        (bytes.fromhex("c107f248cdc9c90700"), b"permessage-deflate", ["Hello"], 1),
        (bytes.fromhex("4103f248cd8004c9c90700"), b"permessage-deflate", ["Hello"], 2),
        (bytes.fromhex("c107f248cdc9c90700c105f200110000"), b"permessage-deflate", ["Hello"] * 2, 2),
        (
            bytes.fromhex("c107f248cdc9c90700") * 2,
            b"permessage-deflate; server_no_context_takeover",
            ["Hello"] * 2,
            2,
        ),
    ],
)
def test_messages(stream: bytes, extensions: bytes, messages: list[str], frames: int, size: int) -> None:
    if len(stream) > 1000 and size:
        size = 1000
    units = talk([(C, OPEN), (S, agreed(extensions)), (S, stream)], size)
    assert texts(units) == messages
    assert len(units_of(units, "websocket")) == frames
    for unit in units_of(units, "websocket"):
        assert not unit.issues and unit.pdu.complete and not list(unit.layer.unclaimed())


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


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x09\x00", "control-frame"),
        (b"\x88\x7e\x00\x7e" + b"\x03\xe8" + b"x" * 124, "control-frame"),
        (b"\x83\x00", "opcode"),
        (b"\x88\x02\x03\xed", "close-code"),
        (b"\x88\x01\x03", "close-frame"),
    ],
)
def test_what_the_receiver_must_refuse_is_an_issue(frame: bytes, code: str) -> None:
    units = talk([(C, OPEN), (S, agreed()), (S, frame)])
    assert code in units_of(units, "websocket")[0].issues


def test_masking_must_fit_the_direction() -> None:
    units = talk([(C, OPEN), (S, agreed()), (C, HELLO), (S, MASKED)])
    assert "mask" in units_of(units, "websocket", C)[0].issues
    assert "mask" in units_of(units, "websocket", S)[0].issues


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
