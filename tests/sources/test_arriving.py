"""Captures that are still coming: pipes, files that are being written, inflated data; and files that go away."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.core.errors import InspectError
from inspector.session import open_session
from inspector.sources import Source, open_source

HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
FRAMES = [random.Random(n).randbytes(300) for n in range(600)]  # more than one block of any compression


def record(frame: bytes) -> bytes:
    return struct.pack("<IIII", 1_700_000_000, 5, len(frame), len(frame)) + frame


WHOLE = HEAD + b"".join(map(record, FRAMES))


def count(source: Source) -> int:
    return sum(len(batch.offset) for batch in source.batches())


def test_packets_of_a_pipe_come_while_it_is_open() -> None:
    reader, writer = os.pipe()
    os.write(writer, HEAD)
    source = open_source(reader)
    batches = source.batches()
    for frame in FRAMES[:5]:  # each is there before the next one is written
        os.write(writer, record(frame))
        batch = next(batches)
        assert source.read(int(batch.offset[0]), int(batch.captured[0])) == frame
        assert source.share(int(batch.offset[0])) == 0
    os.write(writer, record(FRAMES[5])[:100])
    os.close(writer)
    assert list(batches) == []
    assert source.damage is not None and source.damage.packet == 5 and "cut short" in source.damage.text
    source.close()


def test_a_session_on_a_pipe_that_nobody_ends_can_be_closed() -> None:
    reader, writer = os.pipe()
    os.write(writer, HEAD + record(FRAMES[0]))
    session = open_session(reader, load=False)
    seen = threading.Event()
    thread = threading.Thread(target=session.load, args=(lambda share: seen.set(),))
    thread.start()
    assert seen.wait(10) and session.count == 1 and not session.complete
    session.source.stop()
    thread.join(10)
    assert not thread.is_alive() and session.complete
    session.close()
    os.close(writer)


def test_a_file_that_is_being_written_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(HEAD + record(FRAMES[0]) + record(FRAMES[1])[:50])
    source = open_source(str(path), follow=True)
    batches = source.batches()
    assert len(next(batches).offset) == 1
    timer = threading.Timer(0.05, lambda: path.open("ab").write(record(FRAMES[1])[50:]))
    timer.start()
    batch = next(batches)  # waits for it
    timer.join()
    assert source.read(int(batch.offset[0]), int(batch.captured[0])) == FRAMES[1]
    source.stop()
    assert list(batches) == [] and source.damage is None
    source.close()


def test_a_file_that_has_grown_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(WHOLE[:-10])
    source = open_source(str(path))
    assert count(source) == len(FRAMES) - 1
    assert source.damage is not None and source.damage.unfinished
    with path.open("ab") as out:
        out.write(WHOLE[-10:])
    assert count(source) == 1 and source.damage is None
    source.close()


def test_a_file_that_shrinks_while_it_is_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(WHOLE)
    session = open_session(str(path))
    os.truncate(path, 5000)
    result = session.dissect(len(FRAMES))
    assert result.packet.data == b"" and result.packet.wire_length == len(FRAMES[0])
    assert session.damage is not None and "while it was open" in session.damage.text and "5,000" in session.damage.text
    assert len(session.rows(1, 30)) == 29
    session.close()


def zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def lz4(data: bytes) -> bytes:
    import lz4.frame

    return lz4.frame.compress(data)  # type: ignore[no-any-return]


PACKERS = [gzip.compress, zstd, lz4, lzma.compress, bz2.compress]


@pytest.mark.parametrize("pack", PACKERS, ids=["gzip", "zstd", "lz4", "xz", "bzip2"])
def test_every_compression(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(WHOLE[:4000]) + pack(WHOLE[4000:]))
    source = open_source(str(path))
    assert count(source) == len(FRAMES) and source.damage is None
    source.close()


@pytest.mark.parametrize("pack", PACKERS, ids=["gzip", "zstd", "lz4", "xz", "bzip2"])
def test_compressed_data_that_is_cut_is_damage(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(WHOLE)
    path = tmp_path / "a"
    path.write_bytes(packed[: len(packed) - 3])
    source = open_source(str(path))
    assert 0 < count(source) <= len(FRAMES)
    assert source.damage is not None and "cut short" in source.damage.text
    assert f"at byte {len(packed) - 3:,}" in source.damage.text
    source.close()


def test_compressed_data_that_is_cut_where_a_packet_ends_is_damage(tmp_path: Path) -> None:
    import zlib

    packer = zlib.compressobj(wbits=31)
    path = tmp_path / "a.gz"
    path.write_bytes(packer.compress(WHOLE) + packer.flush(zlib.Z_SYNC_FLUSH))  # all of it, but no end
    source = open_source(str(path))
    assert count(source) == len(FRAMES)
    assert source.damage is not None and "cut short" in source.damage.text and source.damage.packet == len(FRAMES)
    source.close()


def test_damaged_compressed_data_says_where(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(WHOLE, 1))
    packed[-6] ^= 0xFF  # the check sum, behind everything
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    source = open_source(str(path))
    assert count(source) == len(FRAMES)
    assert source.damage is not None and "damaged compressed data (gzip) between bytes" in source.damage.text
    source.close()


def test_a_bomb_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.sources import compressed

    monkeypatch.setattr(compressed, "FREE", 1 << 20)
    path = tmp_path / "a.zst"
    path.write_bytes(zstd(HEAD + record(bytes(60_000)) * 2000))
    source = open_source(str(path))
    assert count(source) < 2000
    assert source.damage is not None and "times as many" in source.damage.text
    source.close()


def test_an_xz_file_that_asks_for_too_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.sources.compressed.MAX_UNPACKER", 1 << 20)
    path = tmp_path / "a.xz"
    path.write_bytes(lzma.compress(HEAD + b"".join(map(record, FRAMES)), preset=9))  # 65 MiB to unpack
    with pytest.raises(InspectError, match="xz"):
        count(open_source(str(path)))


def test_a_pipe_without_a_capture() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.close(writer)
    with pytest.raises(InspectError, match="no pcap"):
        open_source(reader)
