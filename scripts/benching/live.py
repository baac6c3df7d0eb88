"""Live capture over the loopback interface: with the screen open, and beside tshark and dumpcap."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benching.screen import HERE, Screen, ours

SENDER = [sys.executable, str(Path(__file__).with_name("sending.py"))]
PAUSE = 0.12  # seconds between two keys
ROWS_SENT, ROW_PAUSE = 60, 0.15  # packets that are awaited one by one, and seconds between them
BURST = 4.0  # seconds of packets at each rate where drops are looked for
ONE_SENDS = 200_000  # packets a second that are asked of one sender
STEP, LEAST, MOST = 1.5, 100_000, 2_000_000  # rates that are tried: each so many times the one before
REACHED = 0.95  # share of a rate that the sender must reach
TRIES = 3  # on a machine that others use, too, one run may lose what another does not
BUFFERS = (2, 32)  # MiB in the kernel
LIVE = re.compile("● live".encode())
CONNECTED = 2.5  # seconds that a capture program has to begin


class Sent(NamedTuple):
    """Datagrams that were sent, and the seconds that took."""

    packets: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.packets / self.seconds


@contextmanager
def sink() -> Iterator[int]:
    """A port of this machine that takes datagrams, and reads none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def send(rate: float, seconds: float, port: int) -> list[subprocess.Popen[str]]:
    """Begin to send datagrams to a port, with as many senders as the rate needs."""
    senders = math.ceil(rate / ONE_SENDS)
    words = [*SENDER, str(rate / senders), str(seconds), str(port)]
    return [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(senders)]


def sent(senders: list[subprocess.Popen[str]]) -> Sent:
    """What was sent, once that has ended."""
    packets, longest = 0, 0.0
    for sender in senders:
        said, _ = sender.communicate()
        own, seconds = said.split()
        packets, longest = packets + int(own), max(longest, float(seconds))
    return Sent(packets, longest)


def captured(path: Path) -> tuple[int, int]:
    """Packets in a capture, and those that its interfaces dropped, by what the file says."""
    sys.path.insert(0, str(HERE))
    from inspector.session import open_session

    session = open_session(str(path))
    words = ("dropped", "dropped_by_os")
    dropped = sum(one.get(word, 0) for one in session.source.interface_statistics for word in words)
    session.close()
    return session.count, dropped


def load() -> str:
    """How busy the machine has been in the last minute."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def percentile(seconds: list[float], share: int = 95) -> float:
    """In milliseconds."""
    return statistics.quantiles(seconds, n=100)[share - 1] * 1000 if len(seconds) > 1 else float("nan")


def under_load(folder: Path, rate: int, seconds: float) -> tuple[str, str]:
    """A capture of `rate` packets a second, with the screen open: what is dropped, keys, memory."""
    path, before = folder / "live.pcapng", load()
    with sink() as port:
        screen = Screen("live", "-i", "lo", "-f", f"udp port {port}", "-w", str(path))
        try:
            if screen.shows(LIVE, 20) is None:
                raise RuntimeError("live: nothing was drawn, and nothing is measured")
            time.sleep(1)
            sender = send(rate, seconds, port)
            screen.drain(2)
            screen.press(b"g")  # to the first packet: it follows the newest no longer
            screen.drain(0.5)
            begun, first, answers, late = screen.resident, path.stat().st_size, [], 0
            while any(one.poll() is None for one in sender):
                answer = screen.answer()
                answers += [answer] if answer is not None else []
                late += answer is None
                screen.drain(PAUSE)
            done = sent(sender)
            screen.drain(2)
            size = path.stat().st_size
            grown = (screen.resident - begun) / max((size - first) / (size / max(done.packets, 1)), 1)
            screen.press(b"S")
            screen.drain(2)
        finally:
            screen.close()
    packets, dropped = captured(path)
    path.unlink()
    unanswered = f", {late} not in time" if late else ""
    print(f"live, {done.rate:,.0f} packets a second for {done.seconds:.0f} s over loopback ({before} before)\n"
          f"  {done.packets:,} sent, {packets:,} captured, {dropped:,} dropped\n"
          f"  keys: half within {percentile(answers, 50):.0f} ms, 95 of 100 within {percentile(answers):.0f} ms, all within"
          f" {max(answers, default=0) * 1000:.0f} ms ({len(answers)} keys{unanswered})\n"
          f"  memory: {grown:.0f} bytes a packet", flush=True)  # fmt: skip
    title = f"live, {rate:,} packets a second for {seconds:g} s"
    return title, f"{dropped:,} of {done.packets:,} dropped; keys {percentile(answers):.0f} ms; {grown:.0f} bytes a packet"


def rows(folder: Path) -> tuple[str, str]:
    """From a packet on the wire to its row on the screen, of one packet at a time."""
    path, before, waits = folder / "rows.pcapng", load(), []
    with sink() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        screen = Screen("live", "-i", "lo", "-f", f"udp port {port}", "-w", str(path))
        try:
            if screen.shows(LIVE, 20) is None:
                raise RuntimeError("live: nothing was drawn, and nothing is measured")
            screen.drain(1)
            for number in range(1, ROWS_SENT + 1):
                sock.sendto(b"x", ("127.0.0.1", port))
                begun = time.perf_counter()
                shown = screen.shows(re.compile(rb" {3,}%d [0-9]" % number), 3)  # with its time: not only the place for it
                waits += [shown - begun] if shown is not None else []
                screen.drain(ROW_PAUSE + number % 7 / 100)  # not in step with the clock of the screen
        finally:
            screen.close()
    path.unlink()
    text = f"half within {percentile(waits, 50):.0f} ms, 95 of 100 within {percentile(waits):.0f} ms"
    print(f"rows ({before} before)\n  of {ROWS_SENT} packets, sent one by one, {len(waits)} were seen: {text},"
          f" all within {max(waits, default=0) * 1000:.0f} ms", flush=True)  # fmt: skip
    return "live, from a packet to its row", text


def lost(command: list[str], path: Path, rate: float) -> tuple[int, Sent]:
    """How many packets of a burst a capture program loses."""
    with sink() as port:
        words = [word.replace("PORT", str(port)) for word in command]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
            time.sleep(CONNECTED)
            done = sent(send(rate, BURST, port))
            time.sleep(1)
            program.send_signal(signal.SIGINT)
        missing = done.packets - captured(path)[0]
        path.unlink()
        return missing, done


def where_drops_begin(folder: Path) -> list[tuple[str, str]]:
    """The rate at which each program begins to lose packets, with the same buffer in the kernel: all programs in turn at
    each rate, until each has lost some, or the sender gets no faster."""
    path, table = folder / "drops.pcapng", []
    for buffer in BUFFERS:
        words = ["-q", "-i", "lo", "-f", "udp port PORT", "-B", str(buffer), "-w", str(path)]
        programs = {"osi-inspect": ours("live", *words), "tshark": ["tshark", *words], "dumpcap": ["dumpcap", *words]}
        programs = {name: words for name, words in programs.items() if name == "osi-inspect" or shutil.which(name)}
        found: dict[str, str] = {}
        most = dict.fromkeys(programs, 0.0)
        print(f"where drops begin, with a buffer of {buffer} MiB in the kernel ({load()} before)", flush=True)
        rate = float(LEAST)
        while len(found) < len(programs) and rate < MOST:
            for name in [name for name in programs if name not in found]:
                missing, done = _best(programs[name], path, rate)
                print(f"  {name:12} {done.rate:9,.0f} packets a second: {missing:,} of {done.packets:,} lost", flush=True)
                if missing:
                    share = f"{missing / done.packets:.2%} at {done.rate:,.0f}"
                    found[name] = f"nothing lost at {most[name]:,.0f} packets a second, {share}"
                    continue
                most[name] = max(most[name], done.rate)
                if done.rate < REACHED * rate:
                    found[name] = f"nothing lost up to {most[name]:,.0f} packets a second, the most that can be sent here"
            rate *= STEP
        table += [(f"{name}, {buffer} MiB", found.get(name, f"nothing lost up to {most[name]:,.0f}")) for name in programs]
    return table


def _best(command: list[str], path: Path, rate: float) -> tuple[int, Sent]:
    """The best of several runs: the first at full rate that loses nothing; else the fastest of those, or what lost least."""
    runs = []
    for _ in range(TRIES):
        runs.append(lost(command, path, rate))
        if not runs[-1][0] and runs[-1][1].rate >= REACHED * rate:
            return runs[-1]
    sound = [run for run in runs if not run[0]]
    if sound:
        return max(sound, key=lambda run: run[1].rate)
    return min(runs, key=lambda run: run[0] / max(run[1].packets, 1))
