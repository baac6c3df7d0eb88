"""Feeds the file readers, the dissectors and every stream parser with bytes that nobody would send.

    scripts/fuzz.py --minutes N [--target NAME …] [--keep FOLDER] [--list]

The minutes are the processor's in user mode, without what it takes to start. Each target has its share of them, in processes of
its own, and begins with what the bundled captures hold. With atheris (`pip install atheris`) coverage leads the way; without it
the seeds are changed blindly. Nothing may raise, take 10 s or 1 GB. What does is written to tests/vectors/crashers, where the
tests try it again from then on; the exit status is then 1. With --keep the inputs that were found and the minutes that were
spent are kept in a folder, and the next run goes on from there until each target has had its share.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.dissection.registry import Registry

CRASHERS = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "crashers"
MAX_SIZE = 8192  # bytes of an input: bugs that need more are rare, and each step takes longer
MAX_PACKETS = 40  # of a file, that are looked at
MAX_SECONDS = 10
MAX_MIB = 1024

SLICE = 60.0  # seconds of one target at a time, so that all of them get on evenly

LINES = ("smtp", "pop", "imap", "ftp")  # speak in lines, as HTTP does
Target = Callable[[bytes], None]


def block(*headers: tuple[str, str]) -> bytes:
    """A header block of literals that are not indexed (RFC 7541, 6.2.2); names and values below 127 octets."""
    return b"".join(b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in header) for header in headers)


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


def data_frame(piece: bytes) -> bytes:
    return frame(0, 0, 1, piece)


# What is said before the pieces, for parsers that begin only inside others: the one they begin in, and both sides' first words.
GRPC = ("content-type", "application/grpc"), ("grpc-encoding", "gzip")
REQUEST = block((":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("te", "trailers"), *GRPC)
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
PRELUDES = {
    "websocket": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: eA==\r\n" + UPGRADE + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + b"\r\n",
    ),
    "sse": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    ),
    "grpc": (
        "http2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, REQUEST),
        frame(4, 0, 0, b"") + frame(1, 4, 1, block((":status", "200"), *GRPC)),
    ),
}
WRAPPED = {"grpc": data_frame}  # what its pieces are carried in
SEEDS = {  # of those, since no capture holds them bare: (direction, piece)
    "websocket": [(1, b"\x81\4{}  "), (1, b"\xc1\7\xf2\x48\xcd\xc9\xc9\7\0"), (1, b"\x88\2\3\xe8"), (0, b"\x81\x82abcd\0\0")],
    "sse": [(1, b'id: 7\nevent: a\ndata: {"a": 1}\n\n: hi\nretry: 10\rdata\r\n\r\n')],
    "grpc": [(0, b"\0\0\0\0\5\x0a\3abc"), (1, b"\0\0\0\0\5\x0a\3abc\1\0\0\0\0")],
}


def pieces(said: list[tuple[int, bytes]]) -> bytes:
    """As a stream's target reads them."""
    return b"".join(bytes([direction]) + len(data).to_bytes(2, "big") + data for direction, data in said)


def targets() -> dict[str, Target]:
    """What is fed, by name. Raises whatever a bug raises."""
    from inspector.protocols import PROTOCOLS

    own = [protocol for protocol in PROTOCOLS if protocol.parser is not None]  # some begin only inside others
    parsers = [protocol.name for protocol in own if protocol.sniff is not None or "tcp.port" in protocol.keys]
    parsers += PRELUDES
    return {"file": file, "packet": packet, **{f"stream:{name}": stream(name) for name in dict.fromkeys(parsers)}}


def file(data: bytes) -> None:
    """A capture file."""
    from inspector.core.errors import InspectError
    from inspector.session import open_session

    with tempfile.NamedTemporaryFile(suffix=".pcap") as made:
        made.write(data)
        made.flush()
        try:
            session = open_session(made.name)
        except InspectError:
            return
        try:
            for number in range(1, min(session.count, MAX_PACKETS) + 1):
                for layer in session.explained(number).layers:
                    assert layer.notes is not None
                    for field in layer.walk():
                        assert field.text.isprintable(), field
        finally:
            session.close()


@functools.cache
def registered(protocol: str = "") -> Registry:
    """The protocols; port 1 speaks the one that is named."""
    from inspector.dissection.engine import make_registry

    return make_registry({("tcp.port", 1): protocol} if protocol else None)


def packet(data: bytes) -> None:
    """The first byte chooses the link, the rest is a packet."""
    from inspector.core.packet import Packet
    from inspector.dissection.engine import Engine
    from inspector.dissection.fragments import Fragments

    registry = registered()
    links = sorted(registry.tables["link"])
    if data:
        engine = Engine(registry, Fragments().offer, strict=True)
        engine.dissect(Packet(1, 0, links[data[0] % len(links)], len(data) - 1, data[1:]))


def stream(protocol: str) -> Target:
    """A conversation in pieces, each behind three bytes: direction (and whether bytes before it are lost), length."""

    def run(data: bytes) -> None:
        from inspector.core.packet import Packet
        from inspector.core.span import Buffer, Frame, Span
        from inspector.dissection.engine import Engine
        from inspector.streams.conversation import Conversation, SegmentRow

        around, *said = PRELUDES.get(protocol, (protocol,))
        wrap = WRAPPED.get(protocol, bytes)
        registry = registered(around)
        frames: dict[int, Buffer] = {}
        rows, sequence, at = [SegmentRow(1, 0, 0, 0, 2, 0, 0), SegmentRow(2, 1, 0, 1, 18, 0, 0)], [1, 1], 0

        def say(direction: int, piece: bytes) -> None:
            number = len(rows) + 1
            frames[number] = Frame(number, len(piece), lambda: piece)
            rows.append(SegmentRow(number, direction, sequence[direction], sequence[1 - direction], 16, len(piece), len(piece)))
            sequence[direction] += len(piece)

        for direction, words in enumerate(said):
            say(direction, words)
        while at + 3 <= len(data):
            how, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
            sequence[how & 1] += 7 if how & 0x80 else 0
            say(how & 1, wrap(data[at + 3 : at + 3 + size]))
            at += 3 + size
        found = Conversation(0, (40000, 1), lambda n: Span(frames[n], 0, frames[n].size), registry, strict=True)
        found.feed(rows)
        found.finish()
        engine = Engine(registry, strict=True)
        for number, pdus in found.tree.pdus.items():
            for pdu in pdus:
                info = {**pdu.info, "time_of": lambda n: n, "schema": None}
                engine.unit(Packet(number, 0, 1, 0, b""), pdu.protocol, pdu.span, info)

    return run


def seeds(target: str) -> Iterator[bytes]:
    """What the bundled captures hold for a target, small pieces of it; of others where none has any."""
    from inspector.session import open_session
    from inspector.sources.bundled import bundled

    wanted = target.partition(":")[2]
    if wanted in SEEDS:
        yield pieces(SEEDS[wanted])
        return
    for entry in bundled():
        if target == "file":
            yield entry.path.read_bytes()[:MAX_SIZE]
            continue
        session = open_session(str(entry.path))
        try:
            if target == "packet":
                yield from (b"\x01" + session.packet(n).data for n in range(1, min(session.count, 30) + 1))
                continue
            for flow in range(len(session.index.flows)):
                if session.index.flows.protocol(flow) == 6 and wanted in (*session.conversation(flow).protocols, *LINES):
                    rows = [row for row in session.conversations.segments(flow, 60).rows() if row.length]
                    yield pieces([(row.direction, session.conversations.payload(row.packet).read()) for row in rows])[:MAX_SIZE]
        finally:
            session.close()


def blindly(name: str, seconds: float, seed: int = 1) -> int:
    """Change the seeds at random for so long; returns how many were tried. What a bug raises goes on up, with the input."""
    from mutating import mutate

    run, chance = targets()[name], random.Random(f"{name} {seed}")
    corpus = list(seeds(name)) or [b"\0\0\x10" + b"0123456789abcdef"]
    start, tried = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        data = mutate(chance.choice(corpus), chance, chance.choice(corpus))[:MAX_SIZE]
        before = time.monotonic()
        try:
            run(data)
            assert time.monotonic() - before < MAX_SECONDS, "took too long"
        except Exception:
            save(name, data)
            raise
        tried += 1
    return tried


def save(name: str, data: bytes) -> Path:
    """Keep a crasher for the tests."""
    CRASHERS.mkdir(parents=True, exist_ok=True)
    path = CRASHERS / f"{name.replace(':', '_')}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def again(path: Path) -> None:
    """Feed a crasher that was kept to its target once more; raises what it found, unless that is mended."""
    targets()[path.name.rpartition("-")[0].replace("_", ":")](path.read_bytes())


def child(name: str, seconds: float, corpus: Path) -> int:
    """One target in this process, for so many seconds of its time. Its last line: how many inputs, and what the start took."""
    os.environ["OSI_INSPECT_STRICT"] = "1"
    try:
        import atheris
    except ImportError:
        try:
            print(f"{blindly(name, seconds)} inputs, 0 s to start", flush=True)
        except Exception:
            traceback.print_exc()
            return 1
        return 0
    with atheris.instrument_imports(include=["inspector"]):
        run = targets()[name]
        run(b"")
    if not any(corpus.iterdir()):
        for number, data in enumerate(seeds(name)):
            (corpus / f"{number}").write_bytes(data)
    started, tried = _spent(resource.RUSAGE_SELF), 0

    def done() -> None:
        print(f"{tried} inputs, {started:.1f} s to start", flush=True)

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        try:
            run(data)
        except Exception:
            save(name, data)
            done()
            raise
        if _spent(resource.RUSAGE_SELF) - started > seconds:
            done()
            os._exit(0)  # atheris has no other way out

    CRASHERS.mkdir(parents=True, exist_ok=True)
    prefix = CRASHERS / f"{name.replace(':', '_')}-"
    limits = [f"-max_len={MAX_SIZE}", f"-timeout={MAX_SECONDS}", f"-rss_limit_mb={MAX_MIB}"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={prefix}", str(corpus)], one)
    atheris.Fuzz()  # does not return
    return 0


def _spent(who: int) -> float:
    """Seconds of the processor in user mode, of this process or of the children that have ended."""
    return resource.getrusage(who).ru_utime


class Ledger:
    """What was spent on each target so far, a line for each run, in a folder that outlives this process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "spent.jsonl"
        self.spent: dict[str, float] = {}
        self.inputs: dict[str, int] = {}
        self.failed: list[str] = []
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                self._count(**json.loads(line))

    def add(self, name: str, seconds: float, inputs: int, failed: bool) -> None:
        with self._path.open("a") as file:
            print(json.dumps({"name": name, "seconds": round(seconds, 1), "inputs": inputs, "failed": failed}), file=file)
        self._count(name, seconds, inputs, failed)

    def _count(self, name: str, seconds: float, inputs: int, failed: bool) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + seconds
        self.inputs[name] = self.inputs.get(name, 0) + inputs
        if failed:
            self.failed.append(name)


def slice_of(name: str, seconds: float, folder: Path, ledger: Ledger) -> list[str]:
    """Run one target for so long; returns what it said where it failed."""
    corpus = folder / name.replace(":", "_")
    corpus.mkdir(parents=True, exist_ok=True)
    before = _spent(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--child", name, "--minutes", f"{seconds / 60:.4f}", "--keep", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = _spent(resource.RUSAGE_CHILDREN) - before
    said = done.stderr.splitlines() + done.stdout.splitlines()
    words = next((line for line in reversed(said) if line.endswith(" s to start")), "0 inputs, 0 s to start").split()
    ledger.add(name, max(took - float(words[2]), 0.0), int(words[0]), bool(done.returncode))
    return said[-25:] if done.returncode else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--keep", type=Path, help="a folder for inputs and minutes, in which the next run goes on")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.minutes * 60, options.keep)
    names = options.target or list(targets())
    if options.list:
        print("\n".join(names))
        return 0
    share = options.minutes * 60 / len(names)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder)
        broken: set[str] = set()  # in this run: the same would be found again at once
        while left := [name for name in names if name not in broken and share - ledger.spent.get(name, 0.0) > 1]:
            name = min(left, key=lambda each: ledger.spent.get(each, 0.0))  # the one that has had the least
            said = slice_of(name, min(SLICE, share - ledger.spent.get(name, 0.0)), folder, ledger)
            print(f"{'FAILED' if said else 'ok':6} {name:16} {ledger.spent[name]:6.0f} s", flush=True)
            if said:
                broken.add(name)
                print("\n".join(said), flush=True)
        for name in names:
            print(f"{name:16} {ledger.spent.get(name, 0.0):6.0f} s  {ledger.inputs.get(name, 0):>10,} inputs")
        minutes = sum(ledger.spent.get(name, 0.0) for name in names) / 60
        print(f"{len(names)} targets, {minutes:.1f} minutes, {len(broken)} failed")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
