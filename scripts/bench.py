#!/usr/bin/env python3
"""Measure osi-inspect beside tshark on big captures, and print ratios.

Makes a capture of a million packets (6,000 HTTP/1.1 connections, fifty at a time) and one of a single connection of a gigabyte
in the temporary folder, then runs both programs in turn, so that a busy machine slows both alike. Shows the median wall time,
the processor time and the peak memory, and the ratios; at the end a table of them all.

    scripts/bench.py [--rounds 3] [--connections 6000] [--gigabytes 1] [--capture FILE]
    scripts/bench.py --live 30 [--rate 50000]    live capture over loopback, as root; 0 packets a second: only where drops begin
    scripts/bench.py --scale                     one, three and ten million packets; needs 10 GB of disk for a while

On a machine that others use too, `--urgent` (as root) lets what is measured go first.
"""

from __future__ import annotations

import argparse
import atexit
import os
import re
import shutil
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from benching import live, scale
from benching.running import Run, run
from benching.screen import Screen, hurry, ours

EXCHANGES = 40  # requests on each connection: 4 packets each, with 7 for opening and closing make 167
TOGETHER = 50  # connections open at the same time
COLUMNS = ("frame.number", "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "tcp.stream",
           "tcp.seq", "tcp.len")  # fmt: skip
MESSAGES = ("http.request.method", "http.request.full_uri", "http.response.code", "http.time", "http.request_in")
FIN, SYN, PSH, ACK = 1, 2, 8, 16
SEGMENT = 1448  # bytes of payload of a segment with timestamps
KEYS = 40  # pressed to measure how soon one is answered
PAUSE = 0.12  # seconds between two of them
URGENT = "-19"  # nice value
TABLE: list[tuple[str, str]] = []  # what was measured, for the end


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


class Wire:
    """A capture of one connection that is being written."""

    def __init__(self, path: Path, port: int) -> None:
        self._out = path.open("wb")
        self._out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101))
        self._ends = ((40_000, port), b"\x0a\1\0\1\x0a\2\0\1"), ((port, 40_000), b"\x0a\2\0\1\x0a\1\0\1")
        self._seq, self._tick, self._sent = [1000, 5000], 0, 0
        self.send(0, SYN)
        self.send(1, SYN | ACK)
        self.send(0, ACK)

    def send(self, side: int, flags: int, payload: bytes = b"") -> None:
        """One segment; a packet every 10 microseconds."""
        ports, ends = self._ends[side]
        numbers = (self._seq[side] & 0xFFFFFFFF, self._seq[1 - side] & 0xFFFFFFFF if flags & ACK else 0)
        tcp = struct.pack("!HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 502, 0, 0)
        length = 40 + len(payload)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, 6, 0) + ends
        seconds, rest = divmod(self._tick, 100_000)
        self._out.write(struct.pack("<IIII", 1_700_000_000 + seconds, rest * 10, length, length) + ip + tcp + payload)
        self._seq[side] += len(payload) + bool(flags & (SYN | FIN))
        self._tick += 1

    def say(self, side: int, data: bytes) -> None:
        """Bytes in segments of full size; the client acknowledges every other one of the server's."""
        for at in range(0, len(data), SEGMENT):
            self.send(side, ACK, data[at : at + SEGMENT])
            self._sent += 1
            if side and self._sent % 2:
                self.send(0, ACK)

    def close(self) -> None:
        self.send(0, FIN | ACK)
        self.send(1, FIN | ACK)
        self.send(0, ACK)
        self._out.close()


CHUNK = bytes(range(256)) * 1024


def download(path: Path, size: int) -> None:
    """A capture of one connection: a request, and a body of `size` bytes that the client acknowledges."""
    wire = Wire(path, 80)
    wire.say(0, b"GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    wire.say(1, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for at in range(0, size, len(CHUNK)):
        wire.say(1, CHUNK[: size - at])
    wire.close()


def secret_download(path: Path, keys: Path, folder: Path, size: int) -> None:
    """The same over TLS 1.3, between two real ends in memory; their secrets go to `keys`."""
    name, key = folder / "certificate.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=shop.example", "-keyout", str(key), "-out", str(name)]  # fmt: skip
    subprocess.run(make, check=True, capture_output=True)
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.load_cert_chain(name, key)
    asking.check_hostname, asking.verify_mode, asking.keylog_filename = False, ssl.CERT_NONE, str(keys)
    to, of = [ssl.MemoryBIO(), ssl.MemoryBIO()], [ssl.MemoryBIO(), ssl.MemoryBIO()]  # what reaches each end, and leaves it
    ends = asking.wrap_bio(to[0], of[0], server_hostname="shop.example"), serving.wrap_bio(to[1], of[1], server_side=True)
    wire = Wire(path, 443)

    def carry(side: int) -> None:
        data = of[side].read()
        to[1 - side].write(data)
        wire.say(side, data)

    open_: set[int] = set()
    while len(open_) < 2:
        for side, end in enumerate(ends):
            if side not in open_:
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                    open_.add(side)
            carry(side)
    ends[0].write(b"GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    carry(0)
    ends[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for at in range(0, size, len(CHUNK)):
        ends[1].write(CHUNK[: size - at])
        carry(1)
        with suppress(ssl.SSLWantReadError):
            while ends[0].read(len(CHUNK)):
                pass
    wire.close()


def decryption(folder: Path, tshark: str | None, rounds: int) -> None:
    """A download of 100 MB over TLS 1.3 decrypted, beside tshark."""
    if shutil.which("openssl") is None:
        print("openssl is not installed: decryption is not measured")
        return
    capture, keys = folder / "secret.pcap", folder / "secret.keys"
    secret_download(capture, keys, folder, 100_000_000)
    words = ("-T", "fields", "-e", "http.request.method", "-e", "http.response.code")
    theirs = [tshark, "-n", "-r", str(capture), "-o", f"tls.keylog_file:{keys}", *words] if tshark else None
    compare("100 MB over TLS 1.3 decrypted", ours("exchanges", str(capture), "--keylog", str(keys)), theirs, rounds)
    capture.unlink()


def compare(title: str, mine: list[str], theirs: list[str] | None, rounds: int) -> None:
    """Run both in turn and print medians and ratios."""
    runs: list[tuple[Run, Run | None]] = [(run(mine), run(theirs) if theirs else None) for _ in range(rounds)]
    own = Run(*(statistics.median(values) for values in zip(*(one for one, _ in runs), strict=True)))
    print(f"{title}\n  osi-inspect  {own.seconds:8.2f} s  {own.processor:8.2f} s of processor  {own.peak / 1e6:6.0f} MB")
    others = [other for _, other in runs if other is not None]
    if others:
        other = Run(*(statistics.median(values) for values in zip(*others, strict=True)))
        print(f"  tshark       {other.seconds:8.2f} s  {other.processor:8.2f} s of processor  {other.peak / 1e6:6.0f} MB")
        time_, processor, memory = (mine_ / theirs_ for mine_, theirs_ in zip(own, other, strict=True))
        print(f"  ratio        {time_:8.3f}    {processor:8.3f}                 {memory:8.3f}", flush=True)
        TABLE.append((title, f"{time_:.2f} of the time, {processor:.2f} of the processor, {memory:.2f} of the memory"))


def quick(title: str, command: list[str], rounds: int) -> None:
    """Print the median time of a short command."""
    seconds = statistics.median(run(command).seconds for _ in range(rounds * 3))
    print(f"{title}  {seconds:.3f} s", flush=True)
    TABLE.append((title, f"{seconds:.2f} s"))


def terminal(capture: Path, rounds: int) -> None:
    """First rows on the screen, and how soon a key is answered while the capture loads and when it is loaded."""
    first: list[float] = []
    loading: list[float] = []
    loaded: list[float] = []
    for _ in range(rounds):
        screen = Screen("open", str(capture))
        try:
            shown = screen.shows(re.compile(rb"10\.1\.0\."), 20)
            if shown is not None:
                first.append(shown - screen.started)
            while time.perf_counter() - screen.started < 2.0:
                answer = screen.answer()
                if answer is not None:
                    loading.append(answer)
                time.sleep(PAUSE / 4)
            time.sleep(1)
            for _ in range(KEYS):
                answer = screen.answer()
                if answer is not None:
                    loaded.append(answer)
                time.sleep(PAUSE)
        finally:
            screen.close()
    if not (first and len(loading) > 1 and len(loaded) > 1):
        print("in the terminal: nothing was drawn, and nothing is measured")
        return
    rows = statistics.median(first)
    slow, still = (statistics.quantiles(times, n=20)[-1] * 1000 for times in (loading, loaded))
    print(f"in the terminal\n  first rows {rows:.2f} s; 95 of 100 keys answered within {slow:.0f} ms while it loads"
          f" ({len(loading)} keys), {still:.0f} ms afterwards ({len(loaded)} keys)", flush=True)  # fmt: skip
    TABLE.append(("first rows on the screen", f"{rows:.2f} s"))
    TABLE.append(("a key is answered (95 of 100), while it loads and after", f"{slow:.0f} ms, {still:.0f} ms"))


def gigabyte(folder: str, gigabytes: float) -> None:
    """Memory over the index that following one large connection takes."""
    capture = Path(folder) / "large.pcap"
    download(capture, int(gigabytes * 1e9))
    index, followed = run(ours("flows", str(capture))), run(ours("exchanges", str(capture)))
    more = (followed.peak - index.peak) / 1e6
    title = f"one connection of {gigabytes:g} GB"
    print(f"{title}\n  index     {index.seconds:8.2f} s  {index.peak / 1e6:6.0f} MB")
    print(f"  followed  {followed.seconds:8.2f} s  {more:6.0f} MB more", flush=True)
    TABLE.append((f"{title}: memory over the index", f"{more:.0f} MB"))
    capture.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=6000)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the one large connection; 0 leaves it out")
    parser.add_argument("--live", type=float, default=0, metavar="SECONDS", help="only live capture, as root, for so long")
    parser.add_argument("--rate", type=int, default=50_000, help="packets a second of live capture")
    parser.add_argument("--urgent", action="store_true", help="go before other work on this machine, as root")
    parser.add_argument("--capture", type=Path, help="measure on this capture instead")
    parser.add_argument("--scale", action="store_true", help="only captures of one, three and ten million packets")
    options = parser.parse_args()
    os.environ["OSI_INSPECT_NO_CACHE"] = "1"  # what is measured is reading
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once, not at every start
    if options.urgent:
        hurry(URGENT)
        atexit.register(hurry, "0")
    tshark = shutil.which("tshark")
    if tshark is None:
        print("tshark is not installed: only osi-inspect is measured, and there are no ratios")
    with tempfile.TemporaryDirectory(prefix="osi-inspect-bench-") as folder:
        if options.live:
            if options.rate:
                TABLE.append(live.under_load(Path(folder), options.rate, options.live))
                TABLE.append(live.rows(Path(folder)))
            TABLE.extend(live.where_drops_begin(Path(folder)))
            return table()
        if options.scale:
            TABLE.extend(scale.scale(Path(folder)))
            return table()
        capture = options.capture
        if capture is None:
            capture = Path(folder) / "million.pcap"
            make_capture(capture, options.connections)
        capture = capture.resolve()
        print(f"{capture.name}: {capture.stat().st_size / 1e6:,.0f} MB, median of {options.rounds}", flush=True)

        def theirs(*arguments: str) -> list[str] | None:
            return [tshark, "-n", "-r", str(capture), *arguments] if tshark else None

        def words(names: tuple[str, ...]) -> list[str]:
            return [word for name in names for word in ("-e", name)]

        compare("index and flows, beside tshark -r", ours("flows", str(capture)), theirs(), options.rounds)
        mine = ours("fields", str(capture), *words(COLUMNS))
        title = f"{len(COLUMNS)} columns, beside tshark -T fields"
        compare(title, mine, theirs("-T", "fields", *words(COLUMNS)), options.rounds)
        title = "all HTTP exchanges, beside tshark -T fields"
        compare(title, ours("exchanges", str(capture)), theirs("-T", "fields", *words(MESSAGES)), options.rounds)
        decryption(Path(folder), tshark, options.rounds)
        quick("--version", ours("--version"), options.rounds)
        quick("show of a bundled capture", ours("show", "sse"), options.rounds)
        terminal(capture, options.rounds)
        if options.gigabytes:
            gigabyte(folder, options.gigabytes)
    return table()


def table() -> int:
    """Print what was measured."""
    width = max(len(title) for title, _ in TABLE)
    print("\n" + "\n".join(f"{title:{width}}  {figures}" for title, figures in TABLE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
