"""Sends captures, and mutations of them, through the program, and watches that none breaks it.

    scripts/hostile.py [CAPTURES…] [--mutations N] [--walks N] [--seed S] [--from N] [--keep FOLDER]

Every bundled capture and every capture in the folders that are given goes through `show --json`, `fields`, `explain`,
`exchanges --json` and `findings`, all in this process; so do N mutations of them, and some of all this, evenly spread, through
the terminal's screens, without a terminal. Watched: no traceback, nothing that a terminal would obey, no run longer than 10 s,
never more than 1 GB of memory.
Bugs in dissectors come through (OSI_INSPECT_STRICT). The exit status is 1 where something was found.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from mutating import Mutations
from unsafe import UNSAFE, Sink

from inspector import session
from inspector.cli import app
from inspector.core.errors import InspectError
from inspector.sources.bundled import bundled

MAX_SECONDS = 10.0  # of the processor's time, of one command on one capture
MAX_MEMORY = 1 << 30  # bytes that the process may ever hold
PATIENCE = 45.0  # seconds after which a run is broken off
SUFFIXES = (".pcap", ".pcapng", ".cap", ".gz", ".zst", ".lz4")
FIELDS = (
    "frame.number", "frame.protocols", "eth.src", "ip.src", "ip.len", "ipv6.src", "tcp.stream", "tcp.analysis.flags",
    "udp.length", "dns.qry.name", "dns.a", "tls.handshake.type", "tls.handshake.extensions_server_name",
    "x509sat.uTF8String", "http.host",
    "http.request.uri", "http.response.code", "http.file_data", "http2.header.value", "http2.data.data", "websocket.payload",
    "sse.data", "json.value", "grpc.message_data", "icmp.type", "mime_multipart.header.content-disposition",
)  # fmt: skip
# Keys of a walk: through the layers and fields of three packets, then through every view, each with what it can be asked for.
LAYERS = ("left_square_bracket", "right_square_bracket", "tab", "down", "enter", "down", "b")
VIEWS = ("2", "down", "3", "a", "4", "d", "5", "down", "6", "enter", "7", "8", "down", "9", "f", "a", "1")


class Hang(BaseException):
    """The run was broken off. Not an Exception, so that nothing catches it on its way."""


class Run:
    """Counts what happens to captures."""

    def __init__(self, keep: Path | None) -> None:
        self.keep = keep
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest: tuple[float, str] = (0.0, "")
        self.largest: tuple[int, str] = (0, "")

    def watch(self, what: str, label: str, work: Callable[[], None], path: Path, patience: float = PATIENCE) -> None:
        """Run one thing on one capture. `label`: the capture, or the mutation's number."""
        self.counts[what] += 1
        start = time.process_time()
        _forget_peak()
        problem = ""
        try:
            with _broken_off_after(patience):
                work()
        except InspectError as error:
            assert "no field has" not in str(error), error  # FIELDS is wrong, not the capture
            self.counts[f"{what}: refused or damaged, told in a sentence"] += 1
        except Hang:
            problem = f"broken off after {patience:.0f} s\n{traceback.format_exc(limit=-8)}"
        except (Exception, SystemExit):
            problem = traceback.format_exc(limit=-8)
        took, held = time.process_time() - start, _peak()
        if took > MAX_SECONDS and patience == PATIENCE and not problem:
            problem = f"took {took:.1f} s"
        if held > MAX_MEMORY and not problem:
            problem = f"held {held >> 20:,} MiB"
        self.slowest = max(self.slowest, (took, f"{what} {label}"))
        self.largest = max(self.largest, (held, f"{what} {label}"))
        if problem:
            self.failures.append(f"{what} {label}: {problem}")
            print(f"FOUND {what} {label}: {problem}", flush=True)
            if self.keep is not None:
                self.keep.mkdir(parents=True, exist_ok=True)
                name = re.sub(r"\W+", "-", f"{what} {label}").strip("-")
                (self.keep / f"{name}.capture").write_bytes(path.read_bytes())

    def commands(self, path: Path, label: str) -> None:
        """The capture through every command. They share one session: reading the file five times would find nothing more."""
        with _opened_once():
            for what, arguments in COMMANDS.items():
                sink = Sink()

                def work(arguments: list[str] = arguments, sink: Sink = sink) -> None:
                    try:
                        with redirect_stdout(sink):  # type: ignore[type-var]
                            app([arguments[0], str(path), *arguments[1:]])
                    finally:
                        if sink.unsafe:
                            raise AssertionError(f"unsafe text on its way to the terminal: {sink.unsafe}")

                self.watch(what, label, work, path)
        if self.counts["show --json"] % 50 == 0:
            gc.collect()

    def walk(self, path: Path, label: str) -> None:
        """The capture through the screens."""
        self.watch("walk", label, lambda: asyncio.run(walk(path)), path, 6 * PATIENCE)

    def report(self) -> None:
        for what, count in sorted(self.counts.items()):
            print(f"{count:>8,}  {what}")
        print(f"slowest: {self.slowest[0]:.1f} s, {self.slowest[1]}")
        print(f"largest: {self.largest[0] >> 20:,} MiB, {self.largest[1]}")
        print(f"found: {len(self.failures)} (tracebacks, unsafe text, over {MAX_SECONDS:.0f} s, over {MAX_MEMORY >> 20:,} MiB)")


# The commands, and what stands behind the file's name.
COMMANDS = {
    "show --json": ["show", "--json"],
    "fields": ["fields", *(part for name in FIELDS for part in ("-e", name))],
    "explain": ["explain", "--all"],
    "exchanges": ["exchanges", "--json"],
    "findings": ["findings"],
}


async def walk(path: Path) -> None:
    """Open the capture in the TUI and go through its views, up and down the layers, at packets spread over it."""
    from textual.worker import WorkerCancelled

    from inspector.tui.app import InspectorApp
    from inspector.tui.screens.capture import CaptureScreen

    capture = session.open_session(str(path), load=False)
    try:
        tui = InspectorApp(capture)
        async with tui.run_test(size=(100, 30)) as pilot:

            async def press(key: str) -> None:
                start = time.process_time()
                await pilot.press(key)
                for _ in range(3):
                    with suppress(WorkerCancelled):  # another worker took its place
                        await tui.workers.wait_for_complete()
                    await pilot.pause()
                took = time.process_time() - start
                assert took < MAX_SECONDS, f"the key {key} took {took:.1f} s"
                text = "\n".join("".join(part.text for part in strip) for strip in tui.screen._compositor.render_strips())
                found = UNSAFE.search(text)
                assert not found, f"unsafe text on the screen: {text[found.start() - 40 : found.end() + 20]!r}"

            await press("tab")
            if not isinstance(tui.screen, CaptureScreen) or not capture.count:
                return
            count = capture.count
            for number in sorted({1, (count + 1) // 2, count}):
                tui.screen.packets.go(number)
                for key in LAYERS if number < count else LAYERS + VIEWS:
                    await press(key)
    finally:
        capture.close()


@contextmanager
def _opened_once() -> Iterator[None]:
    """Within this, whoever opens a capture gets the session of the one who opened it first."""
    sessions: dict[str, session.Session] = {}
    opened = session.open_session

    def once(source: str, **options: Any) -> session.Session:
        if source not in sessions:
            sessions[source] = opened(source, **options)
            sessions[source].close = lambda: None  # type: ignore[method-assign]
        return sessions[source]

    session.open_session = once  # type: ignore[assignment]
    try:
        yield
    finally:
        session.open_session = opened
        for each in sessions.values():
            session.Session.close(each)


@contextmanager
def _broken_off_after(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> None:
    """From here on the kernel's peak counts anew, where it can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory held since then, in bytes."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path, help="captures, and folders of them, beside the bundled ones")
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first mutation")
    parser.add_argument("--walks", type=int, default=20, help="how many of the captures and mutations go through the screens")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for what breaks something")
    parser.add_argument("--no-captures", action="store_true", help="only the mutations")
    parser.add_argument("--no-commands", action="store_true", help="only the walks")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    options = parser.parse_args()
    captures = [entry.path for entry in bundled()]
    for given in options.captures:
        inside = sorted(path for path in given.rglob("*") if path.suffix in SUFFIXES) if given.is_dir() else [given]
        captures += inside
    mutations = Mutations(captures, options.seed)
    own = [] if options.no_captures else captures
    total = len(own) + options.mutations
    every = max(total // options.walks, 1) if options.walks else 0
    print(f"{len(own):,} captures and {options.mutations:,} mutations, seed {options.seed}, from {options.first:,}", flush=True)
    run = Run(options.keep)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder  # no recent files of the one who runs this
        os.environ["OSI_INSPECT_STRICT"] = os.environ["OSI_INSPECT_NO_CACHE"] = "1"
        done = 0
        for number in range(total):
            if time.perf_counter() - start > options.seconds:
                break
            if number and number % 500 == 0:
                print(f"{number:,} of {total:,} after {time.perf_counter() - start:.0f} s", flush=True)
            if number < len(own):
                path, label = own[number], own[number].name
            else:
                at = options.first + number - len(own)
                if options.no_commands and (not every or number % every):
                    done += 1
                    continue
                base, data = mutations.mutant(at)
                path, label = Path(folder) / "mutant", f"{options.seed}:{at} of {base.name}"
                path.write_bytes(data)
            if not options.no_commands:
                run.commands(path, label)
            if every and number % every == 0:
                run.walk(path, label)
            done += 1
    print(f"{min(done, len(own)):,} captures, {max(done - len(own), 0):,} mutations, {time.perf_counter() - start:.0f} s")
    run.report()
    return bool(run.failures)


if __name__ == "__main__":
    sys.exit(main())
