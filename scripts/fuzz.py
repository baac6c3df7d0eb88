"""Feeds the file readers, the dissectors and every stream parser with bytes that nobody would send.

    scripts/fuzz.py --minutes N [--target NAME …] [--list]

Each target gets its share of the time in a process of its own, and begins with what the bundled captures hold. With atheris
(`pip install atheris`) coverage leads the way; without it the seeds are changed blindly. Nothing may raise, take 10 s or 1 GB.
What does is written to tests/vectors/crashers, where the tests try it again from then on; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import random
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

LINES = ("smtp", "pop", "imap", "ftp")  # speak in lines, as HTTP does
Target = Callable[[bytes], None]


def targets() -> dict[str, Target]:
    """What is fed, by name. Raises whatever a bug raises."""
    from inspector.protocols import PROTOCOLS

    own = [protocol for protocol in PROTOCOLS if protocol.parser is not None]  # some begin only inside others
    parsers = [protocol.name for protocol in own if protocol.sniff is not None or "tcp.port" in protocol.keys]
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
                for layer in session.dissect(number).layers:
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

        registry = registered(protocol)
        frames: dict[int, Buffer] = {}
        rows, sequence, at = [SegmentRow(1, 0, 0, 0, 2, 0, 0), SegmentRow(2, 1, 0, 1, 18, 0, 0)], [1, 1], 0
        while at + 3 <= len(data):
            how, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
            piece, direction, number = data[at + 3 : at + 3 + size], how & 1, len(rows) + 1
            sequence[direction] += 7 if how & 0x80 else 0
            frames[number] = Frame(number, len(piece), lambda piece=piece: piece)
            rows.append(SegmentRow(number, direction, sequence[direction], sequence[1 - direction], 16, len(piece), len(piece)))
            sequence[direction] += len(piece)
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
                    rows = [row for row in session._segments(flow, 60).rows() if row.length]
                    data = [session._payload(row.packet).read() for row in rows]
                    pieces = (bytes([row.direction]) + len(d).to_bytes(2, "big") + d for row, d in zip(rows, data, strict=True))
                    yield b"".join(pieces)[:MAX_SIZE]
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


def child(name: str, seconds: float) -> int:
    """One target in this process."""
    os.environ["OSI_INSPECT_STRICT"] = "1"
    try:
        import atheris
    except ImportError:
        try:
            print(f"{name}: {blindly(name, seconds):,} inputs", flush=True)
        except Exception:
            traceback.print_exc()
            return 1
        return 0
    with atheris.instrument_imports(include=["inspector"]):
        run = targets()[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds(name)):
            (Path(folder) / f"{number}").write_bytes(data)

        def one(data: bytes) -> None:
            try:
                run(data)
            except Exception:
                save(name, data)
                raise

        limits = [f"-max_len={MAX_SIZE}", f"-timeout={MAX_SECONDS}", f"-rss_limit_mb={MAX_MIB}"]
        options = [*limits, f"-max_total_time={seconds:.0f}"]
        prefix = CRASHERS / f"{name.replace(':', '_')}-"
        CRASHERS.mkdir(parents=True, exist_ok=True)
        atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", f"-artifact_prefix={prefix}", folder], one)
        atheris.Fuzz()  # does not return
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.minutes * 60)
    names = options.target or list(targets())
    if options.list:
        print("\n".join(names))
        return 0
    failed = []
    for name in names:
        share = options.minutes / len(names)
        command = [sys.executable, __file__, "--child", name, "--minutes", f"{share:.4f}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stderr.splitlines() + done.stdout.splitlines()
        ran = [line for line in said if "inputs" in line or "number_of_executed_units" in line]
        print(f"{'FAILED' if done.returncode else 'ok':6} {name:20} {share * 60:.0f} s  {' '.join(ran[-1:])}", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join(said[-25:]), flush=True)
    print(f"{len(names)} targets, {options.minutes:g} minutes, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
