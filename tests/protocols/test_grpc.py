"""gRPC calls over HTTP/2: messages and their cuts, compression, outcomes, the four kinds."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Sequence

import hpack
import pytest
from talk import C, S, Step, Unit, talk

from inspector.core.span import Frame, trace
from inspector.protocols.http2.names import PREFACE
from inspector.session import open_session

SETTINGS = bytes.fromhex("000000040000000000")
CALL = [(":method", "POST"), (":scheme", "http"), (":path", "/t.Talk/Say"), (":authority", "a"), ("te", "trailers")]
TYPE = ("content-type", "application/grpc")


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def message(data: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(data).to_bytes(4, "big") + data


def call(
    up: Sequence[bytes],
    down: Sequence[bytes],
    trailers: Sequence[tuple[str, str]] = (("grpc-status", "0"),),
    media: tuple[str, str] = TYPE,
    coding: str = "",
) -> list[Step]:
    """The steps of a call; `up` and `down` are the payloads of its DATA frames."""
    encoder = hpack.Encoder()
    extra = [("grpc-encoding", coding)] if coding else []
    head = frame(1, 4, hpack.Encoder().encode([*CALL, media, *extra]))
    steps = [(C, PREFACE + SETTINGS + head), (S, SETTINGS)]
    steps += [(C, frame(0, at == len(up) - 1, data)) for at, data in enumerate(up)]
    steps.append((S, frame(1, 4, encoder.encode([(":status", "200"), media, *extra]))))
    steps += [(S, frame(0, 0, data)) for data in down]
    steps.append((S, frame(1, 5, encoder.encode(list(trailers)))))
    return steps


def messages(units: list[Unit], direction: int = S) -> list[Unit]:
    return [u for u in units if u.pdu.protocol == "grpc" and u.pdu.kind == "message" and u.pdu.direction == direction]


def outcome(units: list[Unit]) -> Unit:
    found = [unit for unit in units if unit.pdu.protocol == "grpc" and unit.pdu.kind == "status"]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("size", [0, 1, 11])
def test_messages_however_they_are_cut(size: int) -> None:
    whole = message(b"\x08\x01") + message(b"") + message(b"\x08\x03")
    units = talk(call([whole[:3], whole[3:]], [whole, whole[:9], whole[9:]]), size)
    assert [unit.layer.value("grpc.message_length") for unit in messages(units, C)] == [2, 0, 2]
    assert [unit.layer.value("grpc.message_length") for unit in messages(units)] == [2, 0, 2] * 2
    for unit in units:
        assert not unit.issues and unit.pdu.complete and not list(unit.layer.unclaimed())
        spans = trace(unit.pdu.span)
        assert all(isinstance(span.buffer, Frame) for span in spans)
        assert b"".join(span.read() for span in spans) == unit.pdu.span.read()
    numbers = [unit.dissection.layers[1].value("protobuf.field.value.uint32") for unit in messages(units)[::3]]
    assert numbers == [1, 1]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_messages(coding: str, pack: object) -> None:
    assert callable(pack)
    packed = pack(b"\x0a\x05hello")
    units = talk(call([message(packed, 1)], [message(b"\x08\x01"), message(packed, 1)], coding=coding))
    for unit in (messages(units, C)[0], messages(units)[1]):
        inner = unit.dissection.find("protobuf")
        assert inner is not None and inner.value("protobuf.guess") == 'a string: "hello"'
        assert b"".join(span.read() for span in trace(inner.span)) == packed
    assert not any(unit.issues for unit in units)


def test_compression_that_does_not_hold() -> None:
    assert "grpc-encoding" in messages(talk(call([message(b"", 0)], [message(b"xx", 1)])))[0].issues
    assert "grpc-encoding" in messages(talk(call([message(b"", 0)], [message(b"xx", 1)], coding="gzip")))[0].issues
    assert "grpc-encoding" in messages(talk(call([message(b"", 0)], [message(b"xx", 1)], coding="snappy")))[0].issues


def test_a_failed_call() -> None:
    units = talk(call([message(b"")], [], [("grpc-status", "5"), ("grpc-message", "no %C3%A9 here"), ("x-id", "7")]))
    found = outcome(units)
    assert found.layer.value("grpc.status") == 5 and found.layer.value("grpc.status_message") == "no é here"
    assert found.layer.summary == "/t.Talk/Say status NOT_FOUND (5): no é here"
    assert "grpc-status" in found.issues and not list(found.layer.unclaimed())
    spans = trace(found.pdu.span)
    assert b"grpc-status" in b"".join(span.read() for span in spans) or all(span.exact for span in spans)


def test_only_trailers() -> None:
    """A response that is nothing but its outcome: one header block."""
    steps = call([message(b"")], [])[:3]
    block = hpack.Encoder().encode([(":status", "200"), TYPE, ("grpc-status", "12")])
    units = talk([*steps, (S, frame(1, 5, block))])
    assert outcome(units).layer.value("grpc.status") == 12 and not messages(units)


@pytest.mark.parametrize(
    ("up", "down", "kind"),
    [
        (1, 1, "unary"),
        (1, 3, "server streaming"),
        (3, 1, "client streaming"),
        (2, 2, "bidirectional streaming"),
        (1, 0, "no response message"),
    ],
)
def test_the_kinds(up: int, down: int, kind: str) -> None:
    units = talk(call([message(b"\x08\x01")] * up, [message(b"\x08\x01")] * down))
    assert str(outcome(units).layer.value("grpc.kind")).startswith(kind)
    assert units[-1].pdu.kind == "status"


def test_json_is_not_read_as_protobuf() -> None:
    units = talk(call([message(b'{"a": 1}')], [message(b"{}")], media=("content-type", "application/grpc+json")))
    assert [layer.protocol for layer in messages(units)[0].dissection.layers] == ["grpc", "json"]


def test_grpc_web_ends_with_a_message_of_trailers() -> None:
    last = message(b"grpc-status: 3\r\ngrpc-message: no\r\n", 0x80)
    media = ("content-type", "application/grpc-web+proto")
    units = talk(call([message(b"\x08\x01")], [message(b"\x08\x01") + last], [("x-end", "1")], media))
    assert messages(units)[1].layer.value("grpc.status") == 3
    assert messages(units)[1].layer.summary.endswith("INVALID_ARGUMENT (3): no")


def test_a_message_that_never_ends_is_not_complete() -> None:
    units = talk(call([message(b"x" * 10)], [message(b"y" * 10)[:7]]))
    assert [unit.pdu.complete for unit in messages(units)] == [False]
    assert outcome(units).layer.value("grpc.status") == 0


def test_a_gap_ends_the_messages_and_not_the_outcome() -> None:
    steps = call([message(b"x")], [message(b"y" * 2000), message(b"z" * 2000), message(b"z")])
    units = talk(steps, 1000, lost=[6])
    assert outcome(units).layer.value("grpc.status") == 0
    assert all(unit.layer.summary for unit in units)


def test_no_bytes_raise() -> None:
    steps = call([message(gzip.compress(b"\x08\x01", mtime=0), 1)], [message(b"\x08\x01" * 20)] * 2, coding="gzip")
    chance = random.Random(4)
    for _ in range(100):
        changed = []
        for side, data in steps:
            raw = bytearray(data)
            if chance.random() < 0.4:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            changed.append((side, bytes(raw)))
        for unit in talk(changed, chance.choice([0, 3])):
            assert unit.layer.summary


def test_the_bundled_calls_with_their_schema() -> None:
    from inspector.sources.bundled import captures_folder

    with_schema = open_session("grpc-streams", proto=[str(captures_folder() / "grpc-streams.proto")])
    kinds, fails = {}, []
    for number in range(1, with_schema.count + 1):
        for found in with_schema.dissect(number).layers:
            if found.protocol == "grpc" and found.value("grpc.kind"):
                kinds.setdefault(found.value("grpc.method").rpartition("/")[2], found.value("grpc.kind"))
                fails += [found.value("grpc.status")] if found.value("grpc.status") else []
            if found.protocol == "protobuf":
                assert found.value("protobuf.message.name", "").startswith("example.orders.") and not found.issues
    with_schema.close()
    assert kinds == {
        "Get": "unary", "Watch": "server streaming", "Import": "client streaming", "Talk": "bidirectional streaming",
    }  # fmt: skip
    assert fails == [5]
