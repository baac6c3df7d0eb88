"""Records followed many at a time are the records that are met one by one, whatever the file makes of it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from inspector.sources import chain, open_source


def record(data: bytes, seconds: int = 1_700_000_000) -> bytes:
    return struct.pack("<IIII", seconds, 7, len(data), len(data)) + data


def pcap(records: list[bytes]) -> bytes:
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def enhanced(data: bytes, options: bytes = b"", interface: int = 0) -> bytes:
    return block(6, struct.pack("<IIIII", interface, 0, 5, len(data), len(data)) + data + bytes(-len(data) % 4) + options)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0))


def packets(path: Path, data: bytes) -> tuple[list[bytes], int | None]:
    path.write_bytes(data)
    source = open_source(str(path))
    found = []
    for batch in source.batches():
        found += [source.read(int(at), int(size)) for at, size in zip(batch.offset, batch.captured, strict=True)]
    source.close()
    return found, None if source.damage is None else source.damage.offset


@pytest.mark.parametrize("seed", range(8))
def test_packets_that_are_captures_themselves(tmp_path: Path, seed: int) -> None:
    """Every guess inside such a packet looks like a record, and is none."""
    rng = random.Random(seed)
    inner = pcap([record(rng.randbytes(rng.randrange(60))) for _ in range(400)])
    blocks = SECTION + INTERFACE + b"".join(enhanced(rng.randbytes(rng.randrange(60))) for _ in range(300))
    frames = []
    for _ in range(60):
        text = rng.choice((inner, blocks))
        start = rng.randrange(len(text))
        frames.append(text[start : start + rng.randrange(6000)])
    assert packets(tmp_path / "a", pcap([record(frame) for frame in frames])) == (frames, None)
    assert packets(tmp_path / "b", SECTION + INTERFACE + b"".join(map(enhanced, frames))) == (frames, None)


def test_clocks_that_jump_and_empty_packets(tmp_path: Path) -> None:
    rng = random.Random(3)
    frames = [rng.randbytes(rng.choice((0, 0, 1, 300))) for _ in range(2000)]
    data = pcap([record(frame, rng.randrange(1 << 32)) for frame in frames])
    assert packets(tmp_path / "a", data) == (frames, None)


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_found_where_it_is(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    frames = [rng.randbytes(rng.randrange(200)) for _ in range(500)]
    bad = rng.randrange(500)
    whole = [record(frame) for frame in frames]
    whole[bad] = struct.pack("<IIII", 1_700_000_000, 7, 0x7FFFFFFF, 5) + frames[bad]
    assert packets(tmp_path / "a", pcap(whole)) == (frames[:bad], 24 + sum(map(len, whole[:bad])))
    blocks = [enhanced(frame) for frame in frames]
    blocks[bad] = enhanced(frames[bad], interface=9)
    start = SECTION + INTERFACE
    found = packets(tmp_path / "b", start + b"".join(blocks))
    assert found == (frames[:bad], len(start) + sum(map(len, blocks[:bad])))


def test_blocks_of_other_kinds_between_the_packets(tmp_path: Path) -> None:
    rng = random.Random(5)
    comment = struct.pack("<HH", 1, 5) + b"hello\0\0\0" + bytes(4)
    flags = struct.pack("<HHI", 2, 4, 1) + bytes(4)
    data, frames, comments = SECTION + INTERFACE, [], {}
    interfaces = 1
    for _ in range(1500):
        kind = rng.randrange(60)
        if kind == 0:
            data += block(0x0BAD, rng.randbytes(40))
        elif kind == 1:
            data, interfaces = data + INTERFACE, interfaces + 1
        elif kind == 2:
            data, interfaces = data + SECTION + INTERFACE, 1
        frames.append(rng.randbytes(rng.randrange(300)))
        options = rng.choice((b"", b"", flags, comment))
        if options == comment:
            comments[len(frames)] = ["hello"]
        data += enhanced(frames[-1], options, rng.randrange(interfaces))
    path = tmp_path / "a"
    assert packets(path, data) == (frames, None)
    source = open_source(str(path))
    assert sum(len(batch.offset) for batch in source.batches()) == len(frames)
    assert source.comments == comments
    source.close()


def test_most_records_are_followed_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the chains agree with the truth is no accident of their never being used."""
    taken = []
    run = chain.Chains.run

    def counted(self: chain.Chains, at: int) -> tuple[chain.Int64s, int]:
        found = run(self, at)
        taken.append(len(found[0]))
        return found

    monkeypatch.setattr(chain.Chains, "run", counted)
    frames = [bytes(n % 200) for n in range(3000)]
    assert packets(tmp_path / "a", pcap([record(frame) for frame in frames]))[0] == frames
    assert sum(taken) > 2900 and len(taken) < 100


def test_long_packets_are_followed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second window on; what is found is the same."""
    from inspector.sources import pcap as module
    from inspector.sources import source

    monkeypatch.setattr(source, "WINDOW", 1 << 14)
    rng = random.Random(2)
    frames = [rng.randbytes(rng.randrange(module.LONG, 3000)) for _ in range(200)]
    scanned = []
    real = chain.Chains.__init__

    def counted(self: chain.Chains, at: chain.Int64s, following: chain.Int64s) -> None:
        scanned.append(len(at))
        real(self, at, following)

    monkeypatch.setattr(chain.Chains, "__init__", counted)
    assert packets(tmp_path / "a", pcap([record(frame) for frame in frames])) == (frames, None)
    assert len(scanned) == 1
