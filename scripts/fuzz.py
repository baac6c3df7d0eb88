"""Feeds every reader of bytes with bytes that nobody would send: of files, packets, streams (encrypted ones too), key logs,
filters, schemas and kept indexes; and the reports on them.

    scripts/fuzz.py --minutes N [--target NAME …] [--keep FOLDER] [--list]

The minutes are the processor's in user mode, without what it takes to start. Each target has its share of them, in processes of
its own, and begins with what the bundled captures and the tests hold. With atheris (`pip install atheris`) coverage leads the
way; without it the seeds are changed blindly. Nothing may raise, take 10 s or 1 GB. What does is written to
tests/vectors/crashers, where the tests try it again from then on; the exit status is then 1. With --keep the inputs
that were found and the minutes that were spent are kept in a folder, and the next run goes on from there until each target has
had its share.
"""

from __future__ import annotations

import argparse
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
from contextlib import suppress
from pathlib import Path

from fuzzing.seeds import MAX_SIZE, seeds
from fuzzing.targets import ROOT, Target, targets

CRASHERS = ROOT / "tests" / "vectors" / "crashers"
MAX_SECONDS = 10
PATIENCE = 60  # seconds on the clock after which an input hangs: the machine may have other things to do
MAX_MIB = 1024

SLICE = 60.0  # seconds of one target at a time, so that all of them get on evenly


def blindly(name: str, seconds: float, seed: int = 1) -> int:
    """Change the seeds at random for so long; returns how many were tried. What a bug raises goes on up, with the input."""
    from mutating import mutate

    run, chance = targets()[name], random.Random(f"{name} {seed}")
    corpus = list(seeds(name)) or [b"\0\0\x10" + b"0123456789abcdef"]
    start, tried = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        data = mutate(chance.choice(corpus), chance, chance.choice(corpus))[:MAX_SIZE]
        try:
            _in_time(run, data)
        except Exception:
            save(name, data)
            raise
        tried += 1
    return tried


def _in_time(run: Target, data: bytes) -> None:
    """Of the processor's time: how long it waits for the processor is not its fault."""
    before = time.process_time()
    run(data)
    assert time.process_time() - before < MAX_SECONDS, "took too long"


def save(name: str, data: bytes) -> Path:
    """Keep a crasher for the tests."""
    CRASHERS.mkdir(parents=True, exist_ok=True)
    path = CRASHERS / f"{name.replace(':', '_')}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def again(path: Path) -> None:
    """Feed a crasher that was kept to its target once more; raises what it found, unless that is mended."""
    _in_time(targets()[path.name.partition("-")[0].replace("_", ":")], path.read_bytes())


def child(name: str, seconds: float, corpus: Path, fresh: bool) -> int:
    """One target in this process, for so many seconds of its time. Its last line: how many inputs, and what the start took.

    fresh: what it begins with may be new, and is put among what was found before.
    """
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
        if fresh:
            for data in seeds(name):
                (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
        known = sorted(corpus.iterdir())
        for path in known[:: len(known) // 20 + 1]:  # so that what is imported only now is watched too
            with suppress(Exception):  # it is fed again below
                run(path.read_bytes())
    started, tried = _spent(resource.RUSAGE_SELF), 0

    def done() -> None:
        print(f"{tried} inputs, {started:.1f} s to start", flush=True)

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        try:
            _in_time(run, data)
        except Exception:
            save(name, data)
            done()
            raise
        if _spent(resource.RUSAGE_SELF) - started > seconds:
            done()
            os._exit(0)  # atheris has no other way out

    CRASHERS.mkdir(parents=True, exist_ok=True)
    prefix = CRASHERS / f"{name.replace(':', '_')}-"
    limits = [f"-max_len={MAX_SIZE}", f"-timeout={PATIENCE}", f"-rss_limit_mb={MAX_MIB}"]
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


def slice_of(name: str, seconds: float, folder: Path, ledger: Ledger, fresh: bool) -> list[str]:
    """Run one target for so long; returns what it said where it failed. fresh: its first time in this run."""
    corpus = folder / name.replace(":", "_")
    corpus.mkdir(parents=True, exist_ok=True)
    before = _spent(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--child", name, "--minutes", f"{seconds / 60:.4f}", "--keep", str(corpus)]
    command += ["--fresh"] if fresh else []
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
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.minutes * 60, options.keep, options.fresh)
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
        begun: set[str] = set()
        while left := [name for name in names if name not in broken and share - ledger.spent.get(name, 0.0) > 1]:
            name = min(left, key=lambda each: ledger.spent.get(each, 0.0))  # the one that has had the least
            said = slice_of(name, min(SLICE, share - ledger.spent.get(name, 0.0)), folder, ledger, name not in begun)
            begun.add(name)
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
