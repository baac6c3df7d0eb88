"""HPACK: the examples of RFC 7541, Appendix C, and what cannot be read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import hpack
import pytest

from inspector.core.limits import MAX_HEADER_TABLE
from inspector.protocols.http2.header_block import UNKNOWN, Kind, Malformed, Representation, Table, integer, static, walk

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/hpack/rfc7541_appendix_c.json").read_text())


def decode(table: Table, data: bytes) -> list[Representation]:
    found = []
    for item in walk(data, table.find):
        if item.kind is Kind.INCREMENTAL:
            table.add(item.name, item.value)
        elif item.kind is Kind.SIZE_UPDATE:
            table.resize(item.number)
        found.append(item)
    return found


def pairs(items: list[Representation]) -> list[tuple[bytes, bytes]]:
    return [(item.name, item.value) for item in items if item.kind is not Kind.SIZE_UPDATE]


@pytest.mark.parametrize("vector", VECTORS["integers"], ids=lambda vector: vector["section"])
def test_integers(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert integer(data, 0, vector["bits"]) == (vector["value"], len(data))


@pytest.mark.parametrize("section", VECTORS["sections"])
def test_appendix_c(section: str) -> None:
    table = Table()
    table.resize(VECTORS["sections"][section]["limit"])
    for block in VECTORS["sections"][section]["blocks"]:
        data = bytes.fromhex(block["hex"])
        items = decode(table, data)
        assert [[name.decode(), value.decode()] for name, value in pairs(items)] == block["headers"]
        assert [item.start for item in items] == [0, *(item.stop for item in items[:-1])] and items[-1].stop == len(data)
        state = table.state()
        assert (state.size, state.entries, state.complete) == (block["size"], block["entries"], True)


def test_a_block_read_again_gives_the_same() -> None:
    table = Table()
    for block in VECTORS["sections"]["C.4"]["blocks"]:
        data = bytes.fromhex(block["hex"])
        table.answers = []
        first = decode(table, data)
        answers = iter(table.answers)
        again = list(walk(data, lambda index: static(index) if index <= 61 else next(answers)))  # noqa: B023
        assert again == first


def test_a_late_start_loses_single_headers() -> None:
    encoder, table = hpack.Encoder(), Table()
    encoder.encode([(b"x-before", b"1"), (b"x-also", b"2")])
    table.forget()
    headers = [(b":method", b"GET"), (b"x-new", b"3"), (b"x-before", b"1"), (b"x-also", b"other"), (b"x-new", b"3")]
    items = decode(table, encoder.encode(headers))
    assert pairs(items) == [
        (b":method", b"GET"),
        (b"x-new", b"3"),
        (UNKNOWN, UNKNOWN),
        (UNKNOWN, b"other"),
        (b"x-new", b"3"),
    ]
    assert not table.state().complete


def test_what_is_known_after_a_late_start_is_right() -> None:
    """Against a decoder that saw everything: never a wrong header, only unknown ones."""
    chance = random.Random(7541)
    encoder, whole, late = hpack.Encoder(), hpack.Decoder(), Table()
    names = [f"x-{number}".encode() for number in range(40)]
    unknown = total = 0
    for turn in range(300):
        headers = [(chance.choice(names), str(chance.randrange(8)).encode() * chance.randrange(1, 60)) for _ in range(6)]
        if turn == 150:
            encoder.header_table_size = 1000
        data = encoder.encode(headers, huffman=bool(turn % 2))
        assert [tuple(header) for header in whole.decode(data, raw=True)] == headers
        if turn == 20:
            late.forget()
        if turn >= 20:
            for (name, value), want in zip(pairs(decode(late, data)), headers, strict=True):
                assert (name is UNKNOWN or name == want[0]) and (value is UNKNOWN or value == want[1])
                unknown += name is UNKNOWN or value is UNKNOWN
                total += 1
    assert 0 < unknown < total / 10  # a name that was never spelled out again stays unknown


def test_an_emptied_table_is_known_again() -> None:
    table = Table()
    table.forget()
    decode(table, bytes.fromhex("20 3fe11f"))  # size 0, then 4,096
    assert table.complete and table.limit == 4096


@pytest.mark.parametrize("data", ["80", "ff ff ff ff ff ff ff", "7f ff ff ff ff ff ff 01"])
def test_what_no_representation_is(data: str) -> None:
    with pytest.raises(Malformed):
        decode(Table(), bytes.fromhex(data))


def test_a_wrong_huffman_code_loses_one_string() -> None:
    items = decode(Table(), bytes.fromhex("0482ffff 84"))  # the code for EOS must not be used (5.2)
    assert pairs(items) == [(b":path", UNKNOWN), (b":path", b"/")]


def test_a_table_is_never_larger_than_the_limit() -> None:
    table = Table()
    table.resize(1 << 32)
    assert table.limit == MAX_HEADER_TABLE and not table.state().complete
    for number in range(3000):
        table.add(b"x", b"%d" % number * 300)
    assert table.state().size <= MAX_HEADER_TABLE and table.state().evicted > 0


def test_no_bytes_raise_anything_else() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        data = chance.randbytes(chance.randrange(1, 40))
        try:
            items = decode(Table(), data)
        except Malformed:
            continue
        assert all(0 <= item.start < item.stop <= len(data) for item in items)
