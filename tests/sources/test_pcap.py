"""Classic pcap files, and how any capture is opened: compressed, from a pipe, or not a capture at all."""

from __future__ import annotations

import gzip
import os
import struct
import threading
from pathlib import Path

import pytest

from inspector.core.errors import InspectError
from inspector.sources import Source, open_source

FRAMES = [b"one", b"", b"three" * 100]


def pcap(order: str = "<", nano: bool = False, frames: list[bytes] = FRAMES, link: int = 1) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for n, frame in enumerate(frames):
        data += struct.pack(order + "IIII", 1_700_000_000, n, len(frame), len(frame) + n) + frame
    return data


def packets(source: Source) -> list[tuple[bytes, int, int]]:
    found = []
    for batch in source.batches():
        for at in range(len(batch.offset)):
            data = source.read(int(batch.offset[at]), int(batch.captured[at]))
            found.append((data, int(batch.wire[at]), int(batch.time_ns[at])))
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_both_byte_orders_and_resolutions(tmp_path: Path, order: str, nano: bool) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(order, nano))
    source = open_source(str(path))
    tick = 1 if nano else 1000
    expected = [(frame, len(frame) + n, 1_700_000_000 * 10**9 + n * tick) for n, frame in enumerate(FRAMES)]
    assert packets(source) == expected
    assert source.interfaces[0].link_type == 1 and source.interfaces[0].snap_length == 65535
    assert source.damage is None and source.size == path.stat().st_size


def test_every_cut_keeps_the_whole_packets_before_it(tmp_path: Path) -> None:
    frames = [b"a" * 5, b"b" * 9, b"c"]
    whole = pcap(frames=frames)
    ends = [24 + sum(16 + len(frame) for frame in frames[: n + 1]) for n in range(3)]
    path = tmp_path / "a"
    for cut in range(24, len(whole) + 1):
        path.write_bytes(whole[:cut])
        source = open_source(str(path))
        count = sum(end <= cut for end in ends)
        assert [row[0] for row in packets(source)] == frames[:count]
        if cut in (24, *ends):
            assert source.damage is None
        else:
            assert source.damage is not None and source.damage.packet == count
            assert source.damage.offset == (24, *ends)[count]
        source.close()


def test_an_impossible_length_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pcap() + struct.pack("<IIII", 0, 0, 0x7FFFFFFF, 60) + bytes(100))
    source = open_source(str(path))
    assert len(packets(source)) == 3
    assert source.damage is not None and source.damage.offset == len(pcap()) and "damaged" in source.damage.text


def test_windows_join_seamlessly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.sources import source as module

    frames = [bytes([n]) * (n * 13 % 180) for n in range(200)]
    path = tmp_path / "a"
    path.write_bytes(pcap(frames=frames))
    monkeypatch.setattr(module, "WINDOW", 300)
    source = open_source(str(path))
    assert [row[0] for row in packets(source)] == frames
    assert source.damage is None


def compressed(how: str, data: bytes) -> bytes:
    if how == "gzip":
        return gzip.compress(data)
    if how == "gzip members":
        return gzip.compress(data[:30]) + gzip.compress(data[30:])
    if how == "zstd":
        import zstandard

        return zstandard.ZstdCompressor().compress(data)
    import lz4.frame

    return lz4.frame.compress(data)  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["gzip", "gzip members", "zstd", "lz4"])
def test_compressed_captures(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.pcap.z"
    path.write_bytes(compressed(how, pcap()))
    source = open_source(str(path))
    assert [row[0] for row in packets(source)] == FRAMES
    assert source.size == len(pcap())


def test_a_cut_gzip_file_yields_what_it_holds(tmp_path: Path) -> None:
    frames = [os.urandom(400) for _ in range(50)]
    packed = gzip.compress(pcap(frames=frames))
    path = tmp_path / "a.gz"
    path.write_bytes(packed[: len(packed) // 2])
    source = open_source(str(path))
    found = [row[0] for row in packets(source)]
    assert 0 < len(found) < 50 and found == frames[: len(found)]
    assert source.damage is not None


def test_inflation_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.sources import opening as module

    monkeypatch.setattr(module, "MAX_SPOOL", 1 << 21)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(pcap(frames=[bytes(200_000)] * 20)))
    source = open_source(str(path))
    assert len(packets(source)) in (5, 10)
    assert source.damage is not None and "more than 2 MiB" in source.damage.text


def test_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as out:
            out.write(gzip.compress(pcap()))

    thread = threading.Thread(target=write)
    thread.start()
    source = open_source(reader)
    thread.join()
    assert [row[0] for row in packets(source)] == FRAMES


def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR)  # so that the reader finds a writer
    os.write(held, pcap())
    thread = threading.Timer(0.2, os.close, [held])
    thread.start()
    source = open_source(str(path))
    thread.join()
    assert [row[0] for row in packets(source)] == FRAMES


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello world, no capture", "no pcap or pcapng capture"),
        (b"PK\x03\x04 and so on", "zip"),
        (pcap()[:10], "cut short"),
        (b"\x1f\x8b\x08 broken", "damaged compressed"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    before = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    with pytest.raises(InspectError, match=says) as error:
        open_source(str(path))
    assert "\n" not in str(error.value)
    if before:
        assert len(os.listdir("/dev/fd")) == before


def test_directories_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InspectError, match="directory"):
        open_source(str(tmp_path))
    with pytest.raises(InspectError, match="no such file"):
        open_source(str(tmp_path / "missing"))
    if os.geteuid() != 0:
        path = tmp_path / "secret"
        path.write_bytes(pcap())
        path.chmod(0)
        with pytest.raises(InspectError, match="permission denied"):
            open_source(str(path))
