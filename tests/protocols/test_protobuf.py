"""Protobuf: the examples of its encoding, with a schema and without, against the `protobuf` library."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.core.errors import InspectError
from inspector.core.layer import Layer
from inspector.core.packet import Packet
from inspector.core.span import Derived, Span
from inspector.dissection.engine import Engine, make_registry
from inspector.protocols.encodings.protobuf import FieldType, MessageType, packed, records, zigzag
from inspector.protocols.encodings.schema import Schema
from inspector.sources.schema import descriptor_set

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/protobuf/encoding.json").read_text())
ENGINE = Engine(make_registry(), strict=True)
PROTO = """
syntax = "proto3";
package t;
enum Color { RED = 0; BLUE = 2; }
message Inner { string name = 1; repeated sint32 numbers = 2; }
message Outer {
  Inner inner = 1;
  map<string, int32> counts = 2;
  Color color = 3;
  repeated Color colors = 4;
  double weight = 5;
  fixed32 id = 6;
  bytes raw = 7;
  int64 below = 8;
  bool yes = 9;
  float ratio = 10;
  repeated Outer more = 2000;
}
service Talk { rpc Say(Outer) returns (stream Inner); }
"""


def layer(data: bytes, kind: MessageType | None = None) -> Layer:
    buffer = Derived("message:0", "message", data, [])
    return ENGINE.unit(Packet(1, 0, 1, 0, b""), "protobuf", Span(buffer, 0, len(data)), {"protobuf": kind}).layers[0]


def told(found: Layer, name: str) -> list[Any]:
    return [field.value for field in found.walk() if field.name == name]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    path = tmp_path_factory.mktemp("proto") / "t.proto"
    path.write_text(PROTO)
    return Schema(descriptor_set([str(path)]))


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["section"])
def test_the_examples(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    found = list(records(data, 0, len(data)))
    assert [[record.number, record.wire, record.value] for record in found] == vector["records"]
    assert found[-1].stop == len(data)
    if "packed" in vector:
        assert [value for value, _, _ in packed(data, found[0].begin, found[0].stop, "int32")] == vector["packed"]
    shown = layer(data)
    assert told(shown, "protobuf.field.number") == [number for number, _, _ in vector["records"]]
    assert not shown.issues and not list(shown.unclaimed())


def test_zigzag() -> None:
    assert [zigzag(raw) for raw, _ in VECTORS["zigzag"]] == [value for _, value in VECTORS["zigzag"]]


def test_without_a_schema_possibilities_are_told() -> None:
    guesses = told(layer(bytes.fromhex("12 07 74657374696e67 1a 03 089601 22 02 fffe")), "protobuf.guess")
    assert guesses == ['a string: "testing"', "a message of 1 field"]
    both = told(layer(b"\x0a\x02\x0a\x00"), "protobuf.guess")
    assert both == ["a message of 1 field"]
    either = layer(b"\x0a\x02\x50\x41")  # "PA" is text, and field 10 with the value 65
    assert told(either, "protobuf.guess") == ['a string: "PA"', "a message of 1 field"]
    assert "could be a string or a message" in either.summary
    assert told(layer(b"\x0a\x03\x03\x8e\x02"), "protobuf.guess") == ["packed numbers: 3, 270"]
    assert told(layer(bytes.fromhex("09 000000000000f83f")), "protobuf.guess") == ["a double: 1.5"]


def test_with_a_schema_values_have_names_and_types(schema: Schema) -> None:
    data = bytes.fromhex("0a 0a 0a 03 6d7567 12 03 00 01 02 12 05 0a 01 78 10 07 18 02 22 02 00 02")
    data = bytes.fromhex("0a0a 0a036d7567 1203000102 1205 0a0178 1007 1802 22020002 29 000000000000f83f 35 01000000")
    data += bytes.fromhex("3a 01 ff 40 ffffffffffffffffff01 48 01 55 0000003f 827d 02 4801")
    shown = layer(data, schema.message("t.Outer"))
    assert not shown.issues and not list(shown.unclaimed())
    names = ["inner", "name", "numbers", "counts", "key", "value", "color", "colors", "weight", "id", "raw", "below", "yes"]
    assert told(shown, "protobuf.field.name") == [*names, "ratio", "more", "yes"]
    assert told(shown, "protobuf.field.value.int32") == [0, -1, 1, 7]
    assert told(shown, "protobuf.field.value.enum") == ["BLUE (2)", "RED (0)", "BLUE (2)"]
    assert told(shown, "protobuf.field.value.int64") == [-1] and told(shown, "protobuf.field.value.float") == [0.5]
    assert told(shown, "protobuf.message.name") == ["t.Outer"] and not told(shown, "protobuf.guess")
    method = schema.method("/t.Talk/Say")
    assert method is not None and method.kind == "server streaming" and method.response is schema.message("t.Inner")


def test_a_schema_that_does_not_fit_is_told(schema: Schema) -> None:
    assert {issue.code for issue in layer(bytes.fromhex("2a 01 41"), schema.message("t.Outer")).issues} == {"protobuf"}
    assert {issue.code for issue in layer(bytes.fromhex("08 01"), schema.message("t.Outer")).issues} == {"schema"}


@pytest.mark.parametrize(
    "data", ["08", "00 01", "0e", "12 05 61", "08 ffffffffffffffffffff01", "0b 08 01 0c 0f", "09 0000", "0b 14", "0c"]
)
def test_what_is_no_protobuf_is_shown_as_such(data: str) -> None:
    raw = bytes.fromhex(data)
    shown = layer(raw)
    assert {issue.code for issue in shown.issues} == {"protobuf"} and not list(shown.unclaimed())


def test_groups_end_with_their_mark() -> None:
    shown = layer(bytes.fromhex("0b 10 05 0c 18 01"))
    assert told(shown, "protobuf.field.number") == [1, 2, 1, 3] and not shown.issues


def test_files_that_are_no_schema(tmp_path: Path) -> None:
    bad = tmp_path / "bad.proto"
    bad.write_text("message {")
    for path in (str(bad), str(tmp_path / "none.proto")):
        with pytest.raises(InspectError, match="--proto"):
            descriptor_set([path])
    for data in (b"\xff\xff", b""):
        with pytest.raises(ValueError):
            Schema(data)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.integers(-(2**31), 2**31 - 1)), max_size=8))
def test_against_the_library(values: list[tuple[str, int]]) -> None:
    """A message that the library wrote, read with its own descriptors."""
    made = descriptor_pb2.EnumDescriptorProto(name="e")
    for name, number in values:
        made.value.add(name=name, number=number)
    value = MessageType("Value", {1: FieldType("name", "string"), 2: FieldType("number", "int32")})
    kind = MessageType("Enum", {1: FieldType("name", "string"), 2: FieldType("value", "message", True, value)})
    shown = layer(made.SerializeToString(), kind)
    assert not shown.issues
    assert told(shown, "protobuf.field.value.string") == ["e", *(name for name, _ in values)]
    assert told(shown, "protobuf.field.value.int32") == [number for _, number in values]


def test_no_bytes_raise(schema: Schema) -> None:
    chance = random.Random(3)
    good = bytes.fromhex("0a0a 0a036d7567 1203000102 1205 0a0178 1007 1802 22020002 29 000000000000f83f 35 01000000")
    for _ in range(400):
        raw = bytearray(good[: chance.randrange(len(good))] if chance.random() < 0.3 else good)
        for _ in range(chance.choice([0, 1, 3])):
            if raw:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
        for kind in (None, schema.message("t.Outer")):
            shown = layer(bytes(raw), kind)
            assert not list(shown.unclaimed())
            assert all(0 <= field.span.start <= field.span.stop <= len(raw) for field in shown.walk())


def test_depth_and_width_are_limited() -> None:
    assert "limit" in {issue.code for issue in layer(b"\x0b" * 10_000).issues}
    wide = layer(b"\x08\x01" * 20_000)
    assert "limit" in {issue.code for issue in wide.issues} and len(wide.fields) < 6000
