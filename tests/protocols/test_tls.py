"""TLS records and handshake messages (RFC 8446, RFC 5246) from scripted conversations."""

from __future__ import annotations

import hashlib
import random

import pytest
from talk import C, S, Unit, talk

from inspector.protocols.encodings.der import dotted, element
from inspector.protocols.tls.wire import HELLO_RETRY

RANDOM = bytes(range(32))


def record(kind: int, body: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def extensions(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(2, "big") + body


CLIENT_HELLO = message(
    1,
    b"\x03\x03" + RANDOM + b"\0" + b"\0\x06" + b"\x0a\x0a\x13\x01\xc0\x2f" + b"\x01\0"
    + extensions(
        extension(0, b"\0\x0a\0\0\x07a.b.org"),
        extension(10, b"\0\x04\x00\x1d\x00\x17"),
        extension(11, b"\x01\0"),
        extension(16, b"\0\x03\x02h2"),
        extension(43, b"\x04\x03\x04\x03\x03"),
    ),
)  # fmt: skip


def server_hello(tls13: bool, value: bytes = RANDOM) -> bytes:
    tail = extensions(extension(43, b"\x03\x04")) if tls13 else b""
    return message(2, b"\x03\x03" + value + b"\0" + (b"\x13\x01" if tls13 else b"\xc0\x2f") + b"\0" + tail)


CCS = record(20, b"\1")
DATA = record(23, bytes(100))
TLS12 = [
    (C, record(22, CLIENT_HELLO)),
    (S, record(22, server_hello(False) + message(14, b""))),
    (C, record(22, message(16, b"\x01\x02")) + CCS + record(22, bytes(40))),
    (S, CCS + record(22, bytes(40))),
    (C, DATA),
]
TLS13 = [(C, record(22, CLIENT_HELLO)), (S, record(22, server_hello(True)) + CCS + DATA), (C, CCS + DATA)]


def told(units: list[Unit]) -> list[tuple[int, str]]:
    return [(unit.pdu.direction, unit.layer.summary) for unit in units]


def messages(units: list[Unit]) -> list[int]:
    return [unit.layer.value("tls.handshake.type") for unit in units if unit.pdu.protocol == "tls.handshake"]


@pytest.mark.parametrize("steps, kinds", [(TLS12, [1, 2, 14, 16]), (TLS13, [1, 2])])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_messages_do_not_depend_on_segments(steps: list[tuple[int, bytes]], kinds: list[int], size: int) -> None:
    units = talk(steps, size)
    assert messages(units) == kinds
    assert sorted(told(units)) == sorted(told(talk(steps)))
    assert not [unit for unit in units if not unit.pdu.complete]


def test_a_message_may_span_records_and_belongs_to_the_packet_that_completes_it() -> None:
    units = talk([(C, record(22, CLIENT_HELLO[:50])), (C, record(22, CLIENT_HELLO[50:]))])
    assert messages(units) == [1]
    hello = next(unit for unit in units if unit.pdu.protocol == "tls.handshake")
    records = [unit.pdu.packet for unit in units if unit.pdu.protocol == "tls"]
    assert hello.pdu.packet == records[1] > records[0]


def test_what_the_client_offers() -> None:
    hello = next(unit for unit in talk(TLS13) if unit.pdu.protocol == "tls.handshake").layer
    assert hello.value("tls.handshake.extensions_server_name") == "a.b.org"
    assert hello.value("tls.handshake.extensions_alpn_str") == "h2"
    full = "771,4865-49199,0-10-11-16-43,29-23,0"  # GREASE is left out
    assert hello.value("tls.handshake.ja3_full") == full
    assert hello.value("tls.handshake.ja3") == hashlib.md5(full.encode()).hexdigest()
    assert hello.value("tls.handshake.ja4").startswith("t13d0205h2_")


def test_a_retry_request_is_told_from_a_server_hello_and_encrypts_nothing() -> None:
    steps = [
        (C, record(22, CLIENT_HELLO)),
        (S, record(22, server_hello(True, HELLO_RETRY)) + CCS),
        (C, CCS + record(22, CLIENT_HELLO)),
        (S, record(22, server_hello(True)) + DATA),
    ]
    units = talk(steps)
    assert messages(units) == [1, 2, 1, 2]
    assert any(summary.startswith("HelloRetryRequest") for _, summary in told(units))


def test_the_disguised_type_of_tls_1_3() -> None:
    outside = [unit.layer.value("tls.record.opaque_type") for unit in talk(TLS13) if unit.layer.find("tls.app_data")]
    assert outside == [23, 23]
    assert all(unit.layer.find("tls.record.opaque_type") is None for unit in talk(TLS12))


def test_an_alert_in_clear() -> None:
    alert = talk([TLS12[0], (S, record(21, b"\x02\x28"))])[-1]
    assert (alert.layer.value("tls.alert_message.level"), alert.layer.value("tls.alert_message.desc")) == (2, 40)
    assert "alert" in alert.issues


def test_after_a_gap_the_next_record_at_a_segment_start_is_found() -> None:
    steps = [*TLS12, (S, record(23, bytes(3000))), (S, record(23, b"x" * 77))]
    units = talk(steps, size=1000, lost=[6])  # the middle of the record of 3,000 bytes
    assert told(units)[-1] == (S, "Application Data, 77 bytes, encrypted")


def test_trailing_bytes_and_cut_records_are_told() -> None:
    units = talk([*TLS12, (C, DATA[:30])])
    assert not units[-1].pdu.complete


def test_no_mutation_raises() -> None:
    dice = random.Random(8446)
    for _ in range(150):
        steps = []
        for direction, data in TLS12 if dice.random() < 0.5 else TLS13:
            body = bytearray(data)
            for _ in range(dice.randrange(4)):
                body[dice.randrange(6, len(body)) if len(body) > 6 else 0] = dice.randrange(256)
            steps.append((direction, bytes(body)))
        for unit in talk(steps, size=dice.choice([0, 13])):
            span = unit.pdu.span
            assert all(
                span.start <= field.span.start <= field.span.stop <= span.stop
                for layer in unit.dissection.layers
                for field in layer.walk()
                if field.span.buffer == span.buffer
            )


def test_der_lengths_are_bounded() -> None:
    assert element(b"\x30\x80", 0) is None and element(b"\x30\x85\1\1\1\1\1", 0) is None
    assert element(b"\x30\x02\x05", 0) is None
    found = element(b"\x30\x02\x05\x00", 0)
    assert found is not None and (found.begin, found.stop, found.constructed) == (2, 4, True)
    assert dotted(bytes.fromhex("2a864886f70d01010b")) == "1.2.840.113549.1.1.11" and dotted(b"\x88\x37\x03") == "2.999.3"


def test_tls_is_found_where_it_begins_inside_a_protocol_that_nobody_knows() -> None:
    before = [(S, b"\x01hello\x02"), (C, b"\x03secure?\x04"), (S, b"\x05yes\x06")]
    units = talk([*before, *TLS12])
    assert messages(units) == [1, 2, 14, 16]
    assert min(unit.pdu.span.start for unit in units if unit.pdu.protocol == "tls") == len(before[1][1])
    assert "begins here" in units[0].pdu.node.why


def test_behind_a_gap_what_is_in_clear_is_read_on() -> None:
    steps = [
        TLS12[0],
        (S, record(22, server_hello(False))),
        (S, record(22, message(11, bytes(600)))),
        (S, record(22, message(14, b""))),
    ]
    assert messages(talk(steps)) == [1, 2, 11, 14]
    assert messages(talk(steps, lost=[2])) == [1, 2, 14]
    # what is encrypted begins with a nonce of zeros here, which is no HelloRequest
    lost = talk([*TLS12[:3], (S, CCS), (S, DATA), (S, record(22, bytes(40)))], lost=[4])
    assert messages(lost) == [1, 2, 14, 16]


def test_a_record_whose_end_is_not_in_the_capture_is_one_field() -> None:
    last = talk([*TLS12, (S, DATA[:50])])[-1]
    assert [field.name for field in last.layer.walk()] == ["tls.segment.data"]
    assert not last.pdu.complete and last.layer.summary == "Application Data, the first 50 of 105 bytes"


def test_early_data_is_known_to_be_tls_1_3_before_the_server_speaks() -> None:
    at = 2 + 32 + 1 + 8 + 2
    hello = CLIENT_HELLO[4 : 4 + at] + extensions(extension(42, b""))
    units = talk([(C, record(22, message(1, hello)) + DATA)])
    assert [unit.layer.value("tls.record.opaque_type") for unit in units if unit.layer.find("tls.app_data")] == [23]
