"""pcapng: every block kind, both byte orders, damage. The files are written here, block by block."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from inspector.core.errors import InspectError
from inspector.sources import Source, open_source

ORDERS = ["<", ">"]
MICRO = 1_600_000_000_123_456


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, options: bytes = b"") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def interface(order: str, link: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def enhanced(
    order: str, data: bytes, stamp: int = MICRO, number: int = 0, options: bytes = b"", captured: int | None = None
) -> bytes:
    size = len(data) if captured is None else captured
    head = struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, size, len(data) + 10)
    return block(order, 6, head + data + bytes(-len(data) % 4) + options)


def opened(path: Path, data: bytes) -> Source:
    path.write_bytes(data)
    return open_source(str(path))


def packets(source: Source) -> list[tuple[bytes, int, int, int]]:
    """Every packet's bytes, wire length, time and interface; from the file and from the window alike."""
    found = []
    for batch in source.batches():
        columns = (batch.offset, batch.captured, batch.wire, batch.time_ns, batch.interface, batch.start)
        for offset, captured, wire, time, number, start in zip(*(c.tolist() for c in columns), strict=True):
            data = source.read(offset, captured)
            assert batch.window[start : start + captured].tobytes() == data
            found.append((data, wire, time, number))
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_enhanced_packets_with_comments(tmp_path: Path, order: str) -> None:
    comment = option(order, 1, b"first") + option(order, 1, "zweit\u00e9".encode()) + option(order, 0, b"")
    data = section(order, option(order, 1, b"a section")) + interface(order)
    source = opened(tmp_path / "a", data + enhanced(order, b"abcde") + enhanced(order, b"fgh", options=comment))
    assert packets(source) == [(b"abcde", 15, MICRO * 1000, 0), (b"fgh", 13, MICRO * 1000, 0)]
    assert source.comments == {2: ["first", "zweit\u00e9"]}
    assert source.section_comments == ["a section"]
    assert source.damage is None and source.format == "pcapng"


@pytest.mark.parametrize("order", ORDERS)
def test_simple_and_obsolete_packets(tmp_path: Path, order: str) -> None:
    simple = block(order, 3, struct.pack(order + "I", 9) + b"123456")
    old = block(order, 2, struct.pack(order + "HHIIII", 0, 7, MICRO >> 32, MICRO & 0xFFFFFFFF, 3, 4) + b"xyz\0")
    source = opened(tmp_path / "a", section(order) + interface(order, snap=6) + simple + old)
    assert packets(source) == [(b"123456", 9, 0, 0), (b"xyz", 4, MICRO * 1000, 0)]


@pytest.mark.parametrize(
    ("resolution", "offset", "stamp", "expected"),
    [
        (3, 0, 1500, 1_500_000_000),
        (9, 0, 1_600_000_000_000_000_001, 1_600_000_000_000_000_001),
        (12, 0, 1_600_000_000_123, 1_600_000_000),
        (0x80 | 10, 0, 1536, 1_500_000_000),
        (6, 1_000_000_000, 5, 1_000_000_000_000_005_000),
        (6, -2, 1_000_000, -1_000_000_000),
        (6, 0, (1 << 64) - 2, (1 << 63) - 1),  # beyond what the column holds
    ],
)
def test_time_resolution_and_offset(tmp_path: Path, resolution: int, offset: int, stamp: int, expected: int) -> None:
    options = option("<", 9, bytes([resolution])) + option("<", 14, struct.pack("<q", offset))
    source = opened(tmp_path / "a", section("<") + interface("<", options=options) + enhanced("<", b"x", stamp))
    assert [row[2] for row in packets(source)] == [expected]


def test_sections_and_interfaces_number_through(tmp_path: Path) -> None:
    names = option("<", 2, b"eth0") + option("<", 3, b"uplink") + option("<", 11, b"\0tcp") + option("<", 12, b"Linux")
    first = section("<") + interface("<", 1, 96, names) + interface("<", 113) + enhanced("<", b"a", number=1)
    second = section(">") + interface(">", 101) + enhanced(">", b"b", number=0)
    source = opened(tmp_path / "a", first + second)
    assert [(row[0], row[3]) for row in packets(source)] == [(b"a", 1), (b"b", 2)]
    assert [i.link_type for i in source.interfaces] == [1, 113, 101]
    one = source.interfaces[0]
    assert (one.name, one.description, one.filter, one.os, one.snap_length) == ("eth0", "uplink", "tcp", "Linux", 96)


@pytest.mark.parametrize("order", ORDERS)
def test_names_statistics_secrets_and_unknown_blocks(tmp_path: Path, order: str) -> None:
    names = option(order, 1, bytes([10, 0, 0, 1]) + b"router\0gw\0") + option(order, 2, bytes(15) + b"\x01self\0")
    statistics = struct.pack(order + "III", 0, 0, 0) + option(order, 4, struct.pack(order + "Q", 7))
    blocks = [
        block(order, 4, names + option(order, 0, b"")),
        block(order, 5, statistics + option(order, 5, struct.pack(order + "Q", 2))),
        block(order, 10, struct.pack(order + "II", 0x544C534B, 5) + b"KEYS\n"),
        block(order, 0x0BAD, b"something"),
        enhanced(order, b"end"),
    ]
    source = opened(tmp_path / "a", section(order) + interface(order) + b"".join(blocks))
    assert len(packets(source)) == 1
    assert source.names == {"10.0.0.1": "router", "::1": "self"}
    assert source.interface_statistics == [{"interface": 0, "received": 7, "dropped": 2}]
    assert [(one.type, one.data) for one in source.secrets] == [(0x544C534B, b"KEYS\n")]
    (one,) = source.secrets
    assert source.read(one.offset, len(one.data)) == one.data


def test_every_cut_keeps_the_whole_packets_before_it(tmp_path: Path) -> None:
    start = section("<") + interface("<")
    pieces = [enhanced("<", bytes([n]) * (n + 1)) for n in range(4)]
    whole = start + b"".join(pieces)
    ends = [len(start) + sum(map(len, pieces[: n + 1])) for n in range(4)]
    for cut in range(len(start) + 1, len(whole)):
        source = opened(tmp_path / "a", whole[:cut])
        count = sum(end <= cut for end in ends)
        assert len(packets(source)) == count
        if cut in ends:
            assert source.damage is None
        else:
            assert source.damage is not None and source.damage.packet == count
            assert source.damage.offset == (ends[count - 1] if count else len(start))
        source.close()


@pytest.mark.parametrize(
    "bad",
    [
        block("<", 6, b"\0\0\0\0"),
        enhanced("<", b"abcd", captured=400),
        enhanced("<", b"abcd", number=3),
        struct.pack("<II", 6, 4) + bytes(24),
        struct.pack("<II", 6, 0xFFFFFFF0) + bytes(24),
        block("<", 3, b""),
        block("<", 2, bytes(8)),
        block("<", 2, struct.pack("<HHIIII", 9, 0, 0, 0, 0, 0)),
    ],
)
def test_damaged_blocks_end_the_packets_with_a_message(tmp_path: Path, bad: bytes) -> None:
    start = section("<") + interface("<") + enhanced("<", b"good")
    source = opened(tmp_path / "a", start + bad + enhanced("<", b"never"))
    found = packets(source)
    assert [row[0] for row in found] == [b"good"]
    assert source.damage is not None and source.damage.offset == len(start)
    assert source.damage.packet == 1 and source.damage.text


def test_a_simple_packet_before_any_interface(tmp_path: Path) -> None:
    source = opened(tmp_path / "a", section("<") + block("<", 3, struct.pack("<I", 2) + b"ab"))
    assert packets(source) == []
    assert source.damage is not None and source.damage.offset == len(section("<"))


def test_a_file_of_several_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.sources import source as module

    monkeypatch.setattr(module, "WINDOW", 256)
    pieces = [enhanced("<", bytes([n]) * (n * 7 % 400)) for n in range(100)]
    source = opened(tmp_path / "a", section("<") + interface("<") + b"".join(pieces))
    assert [row[0] for row in packets(source)] == [bytes([n]) * (n * 7 % 400) for n in range(100)]
    assert source.damage is None


def test_a_cut_section_header(tmp_path: Path) -> None:
    with pytest.raises(InspectError, match="cut short"):
        opened(tmp_path / "a", section("<")[:20])


def test_random_damage_never_raises(tmp_path: Path) -> None:
    whole = bytearray(section("<") + interface("<") + b"".join(enhanced("<", bytes(20)) for _ in range(6)))
    random = np.random.default_rng(1)
    for _ in range(300):
        broken = bytearray(whole)
        for at in random.integers(12, len(whole), 3):
            broken[at] = random.integers(0, 256)
        try:
            source = opened(tmp_path / "a", bytes(broken))
        except InspectError:
            continue
        assert len(packets(source)) <= 6
        source.close()


@pytest.mark.parametrize("count", [65_536, 65_537])
def test_more_interfaces_than_can_be_numbered_end_the_packets_with_a_message(tmp_path: Path, count: int) -> None:
    """A packet is never laid on another interface, whose link type may be another."""
    data = section("<") + interface("<", 113) * (count - 1) + interface("<", 1) + enhanced("<", b"x", number=count - 1)
    source = opened(tmp_path / "a.pcapng", data)
    assert [number for *_, number in packets(source)] == ([count - 1] if count <= 65_536 else [])
    told = "" if source.damage is None else source.damage.text
    assert ("more than 65,536 interfaces" in told) == (count > 65_536)


REMARKS = {
    "comments of many packets": lambda: interface("<") + enhanced("<", b"x", options=option("<", 1, b"c" * 90)) * 40,
    "comments of one packet": lambda: interface("<") + enhanced("<", b"x", options=option("<", 1, b"c" * 90) * 40),
    "comments of the section": lambda: section("<", option("<", 1, b"c" * 90)) * 40,
    "names": lambda: block("<", 4, b"".join(struct.pack("<HH4s4s", 1, 8, bytes([10, 0, 0, n]), b"abc\0") for n in range(40))),
    "keys": lambda: block("<", 10, struct.pack("<II", 0x544C534B, 400) + b"#" * 400) * 20,
    "counts": lambda: interface("<") + block("<", 5, struct.pack("<III", 0, 0, 0)) * 40,
    "interfaces": lambda: interface("<", options=option("<", 2, b"n" * 90)) * 40,
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_a_file_says_besides_its_packets_takes_bounded_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("inspector.sources.pcapng.MAX_REMARKS", 5000)
    source = opened(tmp_path / "a.pcapng", section("<") + REMARKS[name]() + interface("<") + enhanced("<", b"last"))
    assert b"last" not in [data for data, *_ in packets(source)]
    assert source.damage is not None and "of comments, names and keys" in source.damage.text
    monkeypatch.undo()
    source = opened(tmp_path / "b.pcapng", section("<") + REMARKS[name]() + interface("<") + enhanced("<", b"last"))
    assert b"last" in [data for data, *_ in packets(source)] and source.damage is None
