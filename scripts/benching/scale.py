"""Captures of one, three and ten million packets: time and memory a packet, beside tshark, and how soon one is open again."""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benching.running import run
from benching.screen import Screen, ours

MILLIONS = (1, 3, 10)
SCANS = (200_000, 1_000_000)  # packets
TOGETHER = 50  # connections open at the same time
EXCHANGES = 40  # requests on each connection
SEGMENTS, SEGMENT = 3, 1460  # in each response, and bytes of each
SPARE = 2 * 1024**3  # bytes that stay free on the disk
SYN, FIN, PSH, ACK = 2, 1, 8, 16
CLIENT, SERVER = b"\x0a\1\0\1", b"\x0a\2\0\1"
OPEN = 600.0  # seconds that opening may take at most


def connection(number: int) -> Iterator[tuple[bytes, int]]:
    """The frames of one kept-alive connection, and where each has the client's address: some 700 bytes a packet."""
    seq, ports = [1000 + number * 7919, 5000 + number * 104_729], (20_000 + number, 80)

    def frame(side: int, flags: int, payload: bytes = b"", options: bytes = b"") -> tuple[bytes, int]:
        acked = seq[1 - side] & 0xFFFFFFFF if flags & ACK else 0
        tcp = struct.pack(
            "!HHIIBBHHH", ports[side], ports[1 - side], seq[side], acked, 5 + len(options) // 4 << 4, flags, 502, 0, 0
        )
        size = 20 + len(tcp) + len(options) + len(payload)
        ends = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size, number, 0x4000, 64, 6, 0) + ends[0] + ends[1]
        seq[side] += len(payload) + bool(flags & (SYN | FIN))
        return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + ip + tcp + options + payload, 26 if side == 0 else 30

    scale = b"\x02\x04\x05\xb4\x01\x03\x03\x07"
    yield frame(0, SYN, options=scale)
    yield frame(1, SYN | ACK, options=scale)
    yield frame(0, ACK)
    for exchange in range(EXCHANGES):
        yield frame(0, PSH | ACK, b"GET /items/%d HTTP/1.1\r\nHost: shop.example\r\nAccept: text/plain\r\n\r\n" % exchange)
        yield frame(1, ACK)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        size = SEGMENTS * SEGMENT - len(head % 1000)
        whole = head % size + b"x" * size
        for part in range(SEGMENTS):
            yield frame(1, ACK, whole[part * SEGMENT : part * SEGMENT + SEGMENT])
            if part:  # every second one is acknowledged, and the last
                yield frame(0, ACK)
    yield frame(0, FIN | ACK)
    yield frame(1, FIN | ACK)
    yield frame(0, ACK)


def make(path: Path, packets: int) -> int:
    """Write a capture of at least so many packets; returns how many. The same fifty connections again and again, each time
    from another client and later: only addresses and times are written anew, many at once."""
    records, at, places = [], 0, []
    for turn in zip(*(connection(number) for number in range(TOGETHER)), strict=True):
        for data, address in turn:
            records.append(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)
            places.append((at, at + 16 + address))
            at += 16 + len(data)
    block = np.frombuffer(b"".join(records), np.uint8).copy()
    starts, addresses = np.array(places).T
    ticks = np.arange(len(records))
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        rounds = -(-packets // len(records))
        for number in range(rounds):
            now = ticks + number * len(records)
            stamps = np.stack([1_700_000_000 + now // 100_000, now % 100_000 * 10], 1).astype("<u4").view(np.uint8)
            block[starts[:, None] + np.arange(8)] = stamps
            block[addresses[:, None] + np.arange(1, 4)] = 16 + (number >> 16), number >> 8 & 255, number & 255
            out.write(block.data)
    return rounds * len(records)


def scan(path: Path, packets: int) -> None:
    """Write a scan: every packet is a SYN to another end, of which none answers."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for first in range(0, packets, 65_536):
            number = np.arange(first, min(first + 65_536, packets))
            tcp = struct.pack("!HHIIBBHHH", 40_000, 80, 7, 0, 5 << 4, SYN, 1024, 0, 0)
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + CLIENT + SERVER
            frame = struct.pack("<IIII", 1_700_000_000, 0, 54, 54) + b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + tcp
            block = np.tile(np.frombuffer(frame, np.uint8), (len(number), 1))
            block[:, 4:8] = (number % 1_000_000).astype("<u4").view(np.uint8).reshape(-1, 4)
            block[:, 47:50] = number.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
            out.write(block.tobytes())


def opened(capture: Path, packets: int) -> tuple[float, float, float, int]:
    """Open a capture in a terminal: seconds until the first rows, until all is there, and of the processor by then; and the
    most bytes of memory taken."""
    screen = Screen("open", str(capture))
    try:
        whole_text = re.compile(rf"{packets:,} packets · [0-9,]+ conversations(?! · loading)".encode())
        rows, whole = screen.shows_all([re.compile(rb"10\.16\.0\.0"), whole_text], OPEN)
        if rows is None or whole is None:
            raise TimeoutError(f"{capture}: nothing was drawn")
        processor = screen.processor
        screen.drain(3)  # the index is written to the cache, too
        return rows - screen.started, whole - screen.started, processor, screen.peak
    finally:
        screen.finish()


def measure(folder: Path, millions: float) -> Iterator[tuple[str, str]]:
    """What one size costs, in words for the table."""
    tshark = shutil.which("tshark")
    capture = folder / "scale.pcap"
    began = time.perf_counter()
    packets = make(capture, int(millions * 1_000_000))
    size = capture.stat().st_size
    print(f"{packets:,} packets, {size / 1e9:.2f} GB, made in {time.perf_counter() - began:.0f} s", flush=True)
    title = f"{packets / 1e6:.1f} million packets"
    try:
        nothing = run(ours("flows", "dns-udp")).peak  # the program itself
        own = run(ours("--no-cache", "flows", str(capture)))
        text = f"{own.seconds:.1f} s ({own.processor / packets * 1e6:.2f} µs of processor a packet), {own.peak / 1e6:.0f} MB"
        text += f" ({(own.peak - nothing) / packets:.0f} bytes a packet over {nothing / 1e6:.0f} MB)"
        yield f"{title}: index and flows", text
        if tshark is not None:
            theirs = run([tshark, "-n", "-q", "-r", str(capture), "-z", "conv,tcp"])
            text = f"{theirs.seconds:.1f} s ({theirs.processor / packets * 1e6:.2f} µs), {theirs.peak / 1e6:.0f} MB"
            yield f"{title}: tshark -z conv,tcp", f"{text} ({theirs.peak / packets:.0f} bytes a packet)"
        with tempfile.TemporaryDirectory(dir=folder) as kept:
            os.environ["XDG_CACHE_HOME"] = kept
            os.environ.pop("OSI_INSPECT_NO_CACHE", None)
            little = folder / "small.pcap"
            small = opened(little, make(little, 1))[3]  # the screen itself
            for words in ("opened", "opened again"):
                rows, whole, processor, peak = opened(capture, packets)
                text = f"first rows {rows:.2f} s, all {whole:.2f} s ({processor:.2f} s of processor), {peak / 1e6:.0f} MB"
                yield f"{title}: {words}", f"{text} ({(peak - small) / packets:.0f} bytes a packet over {small / 1e6:.0f} MB)"
            listed = run(ours("flows", str(capture)))
            yield f"{title}: flows again", f"{listed.seconds:.2f} s ({listed.processor:.2f} s of processor)"
            kept_bytes = sum(path.stat().st_size for path in Path(kept).rglob("*.index"))
            yield f"{title}: its index in the cache", f"{kept_bytes / 1e6:.0f} MB"
    finally:
        os.environ["OSI_INSPECT_NO_CACHE"] = "1"
        capture.unlink()


def scanned(folder: Path) -> Iterator[tuple[str, str]]:
    """The worst of captures for the table of flows."""
    capture = folder / "scan.pcap"
    peaks = []
    for packets in SCANS:
        scan(capture, packets)
        found = run(ours("--no-cache", "flows", str(capture)))
        peaks.append(found.peak)
        each = f"{found.processor / packets * 1e6:.2f} µs of processor a packet"
        yield f"scan of {packets / 1e6:.1f} million ends: flows", f"{found.seconds:.1f} s ({each}), {found.peak / 1e6:.0f} MB"
    capture.unlink()
    more = (peaks[-1] - peaks[0]) / (SCANS[-1] - SCANS[0])
    yield "scan: memory for each more packet, with its flow", f"{more:.0f} bytes"


def scale(folder: Path) -> Iterator[tuple[str, str]]:
    """All sizes that the disk has room for."""
    for title, figures in scanned(folder):
        print(f"{title}  {figures}", flush=True)
        yield title, figures
    for millions in MILLIONS:
        wanted = int(millions * 1e6 * 800) + SPARE
        if shutil.disk_usage(folder).free < wanted:
            yield f"{millions} million packets", f"not measured: less than {wanted / 1e9:.0f} GB free in {folder}"
            continue
        for title, figures in measure(folder, millions):
            print(f"  {title}  {figures}", flush=True)
            yield title, figures
