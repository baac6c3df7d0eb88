"""The cursor: bounds, bits, groups, and what it leaves when the bytes end."""

from __future__ import annotations

import pytest

from inspector.core.cursor import Context, Cursor, Truncated
from inspector.core.field import Base, FieldSpec, Kind, catalog, flag, heading, octets, u8, u16, uint
from inspector.core.layer import Layer
from inspector.core.span import Frame, Span

FIELDS = catalog(
    u8("t.a", "A"),
    u16("t.b", "B", Base.HEX),
    uint("t.high", "High", 4),
    FieldSpec("t.len", Kind.UINT, "Length", 4, scale=4),
    flag("t.flag", "Flag"),
    uint("t.rest", "Rest", 7),
    uint("t.flags", "Flags", 8, Base.HEX),
    heading("t.group", "Group"),
    octets("t.bytes", "Bytes"),
)


def cursor(data: bytes, origin: int = 0) -> Cursor:
    frame = Frame(1, origin + len(data), lambda: bytes(origin) + data)
    layer = Layer("t", "T", 7, Span(frame, origin, origin + len(data)))
    return Cursor(frame, data, origin, origin + len(data), layer, FIELDS, Context(), origin)


def test_bits_know_their_place_and_scale() -> None:
    c = cursor(b"\x45\x80")
    assert c.bits(1, ("t.high", 4), ("t.len", 4)) == (4, 20)
    assert c.flags("t.flags", 1, ("t.flag", 1), ("t.rest", 7)) == 0x80
    high, length, flags = c.layer.fields
    assert (high.bits, length.bits, length.value) == ((0, 4), (4, 4), 20)
    assert [(child.value, child.bits) for child in flags.children] == [(True, (0, 1)), (0, (1, 7))]


def test_a_read_past_the_end_keeps_what_was_read() -> None:
    c = cursor(b"\x01\x02")
    c.uint("t.a", 1)
    with pytest.raises(Truncated) as cut:
        c.uint("t.b", 2)
    assert cut.value.missing == 1
    assert [field.name for field in c.layer.fields] == ["t.a"]
    assert c.layer.unclaimed() == [c.span(1, 2)]


def test_a_group_that_is_cut_keeps_its_children() -> None:
    c = cursor(b"\x01")
    with pytest.raises(Truncated), c.group("t.group"):
        c.uint("t.a", 1)
        c.uint("t.a", 1)
    (group,) = c.layer.fields
    assert [child.value for child in group.children] == [1]
    assert (group.span.start, group.span.stop) == (0, 1)


def test_within_holds_a_reader_in_its_length() -> None:
    c = cursor(b"\x01\x02\x03\x04")
    with c.within(2):
        assert c.octets("t.bytes", c.remaining) == b"\x01\x02"
    assert c.pos == 2
    with pytest.raises(Truncated), c.within(5):
        assert c.octets("t.bytes", c.remaining) == b"\x03\x04"


def test_positions_are_those_of_the_buffer_when_only_a_piece_is_loaded() -> None:
    c = cursor(b"\x12\x34\x56", origin=1000)
    assert c.peek(2) == b"\x12\x34"
    assert c.uint("t.b", 2) == 0x1234
    assert c.layer.fields[0].span[1:3] == (1000, 1002)
    assert c.slice(1001, 1003) == b"\x34\x56"
