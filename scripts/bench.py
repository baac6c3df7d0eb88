#!/usr/bin/env python3
"""Measure osi-inspect beside tshark on one big capture, and print ratios.

Makes a capture of a million packets (6,000 HTTP/1.1 connections, fifty at a time) in the temporary folder, then runs both
programs in turn, so that a busy machine slows both alike. Shows the median wall time, the peak memory, and the ratios.

    scripts/bench.py [--rounds 3] [--connections 6000] [--capture FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent
EXCHANGES = 40  # requests on each connection: 4 packets each, with 7 for opening and closing make 167
TOGETHER = 50  # connections open at the same time
COLUMNS = ("frame.number", "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "tcp.stream",
           "tcp.seq", "tcp.len")  # fmt: skip
FIN, SYN, PSH, ACK = 1, 2, 8, 16


class Run(NamedTuple):
    """One run of a program: wall seconds, peak resident bytes."""

    seconds: float
    peak: int


def connection(number: int) -> Iterator[bytes]:
    """The frames of one kept-alive HTTP/1.1 connection. Checksums are zero, as an offloading network card leaves them."""
    ends = (struct.pack("!BBH", 10, 1, number % 250 + 1), struct.pack("!BBH", 10, 2, 80))
    ports = (20_000 + number % 40_000, 80)
    macs = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
    seq = [1000 + number * 7919, 5000 + number * 104_729]

    def frame(side: int, flags: int, payload: bytes = b"", options: bytes = b"") -> bytes:
        other = 1 - side
        acked = seq[other] & 0xFFFFFFFF if flags & ACK else 0
        offset = (5 + len(options) // 4) << 4
        tcp = struct.pack("!HHIIBBHHH", ports[side], ports[other], seq[side] & 0xFFFFFFFF, acked, offset, flags, 502, 0, 0)
        size = 20 + len(tcp) + len(options) + len(payload)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size, number & 0xFFFF, 0x4000, 64, 6, 0) + ends[side] + ends[other]
        seq[side] += len(payload) + bool(flags & (SYN | FIN))
        return macs[other] + macs[side] + b"\x08\0" + ip + tcp + options + payload

    scale = b"\x02\x04\x05\xb4\x01\x03\x03\x07"
    yield frame(0, SYN, options=scale)
    yield frame(1, SYN | ACK, options=scale)
    yield frame(0, ACK)
    for exchange in range(EXCHANGES):
        head = b"GET /items/%d HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n" % exchange
        yield frame(0, PSH | ACK, head)
        yield frame(1, ACK)
        body = b'{"item":%d,"stock":%d}' % (exchange, number)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        yield frame(1, PSH | ACK, head + body)
        yield frame(0, ACK)
    yield frame(0, FIN | ACK)
    yield frame(1, ACK)
    yield frame(1, FIN | ACK)
    yield frame(0, ACK)


def make_capture(path: Path, connections: int) -> None:
    """Write the capture, a packet every 10 microseconds."""
    tick = 1_700_000_000 * 100_000
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for first in range(0, connections, TOGETHER):
            group = [connection(number) for number in range(first, min(first + TOGETHER, connections))]
            for turn in zip_longest(*group):
                for frame in turn:
                    if frame is not None:
                        out.write(struct.pack("<IIII", tick // 100_000, tick % 100_000 * 10, len(frame), len(frame)) + frame)
                        tick += 1


def run(command: list[str]) -> Run:
    """Run a program to its end, its output thrown away. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=HERE)
    assert child.stderr is not None
    with child.stderr:
        errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command, stderr=errors)
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - started, usage.ru_maxrss * unit)


def ours(*arguments: str) -> list[str]:
    """The command line of this checkout, with the interpreter that runs this script."""
    return [sys.executable, "-m", "inspector", *arguments]


def compare(title: str, mine: list[str], theirs: list[str] | None, rounds: int) -> None:
    """Run both in turn and print medians and ratios."""
    runs: list[tuple[Run, Run | None]] = [(run(mine), run(theirs) if theirs else None) for _ in range(rounds)]
    seconds = statistics.median(one.seconds for one, _ in runs)
    peak = statistics.median(one.peak for one, _ in runs)
    print(f"{title}\n  osi-inspect  {seconds:8.2f} s  {peak / 1e6:8.0f} MB")
    others = [other for _, other in runs if other is not None]
    if others:
        their_seconds = statistics.median(other.seconds for other in others)
        their_peak = statistics.median(other.peak for other in others)
        print(f"  tshark       {their_seconds:8.2f} s  {their_peak / 1e6:8.0f} MB")
        print(f"  ratio        {seconds / their_seconds:8.3f}    {peak / their_peak:8.3f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=6000)
    parser.add_argument("--capture", type=Path, help="measure on this capture instead")
    options = parser.parse_args()
    tshark = shutil.which("tshark")
    if tshark is None:
        print("tshark is not installed: only osi-inspect is measured, and there are no ratios")
    with tempfile.TemporaryDirectory(prefix="osi-inspect-bench-") as folder:
        capture = options.capture
        if capture is None:
            capture = Path(folder) / "million.pcap"
            make_capture(capture, options.connections)
        capture = capture.resolve()
        print(f"{capture.name}: {capture.stat().st_size / 1e6:,.0f} MB, median of {options.rounds}", flush=True)
        read = [tshark, "-n", "-r", str(capture)] if tshark else None
        compare("index and flows, beside tshark -r", ours("flows", str(capture)), read, options.rounds)
        cells = [word for name in COLUMNS for word in ("-e", name)]
        fields = [tshark, "-n", "-r", str(capture), "-T", "fields", *cells] if tshark else None
        title = f"{len(COLUMNS)} columns, beside tshark -T fields"
        compare(title, ours("fields", str(capture), *cells), fields, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
