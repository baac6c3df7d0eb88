"""Questions to tshark about a recording."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from recording.lab import RecordingError

PORTS = ("-d", "tcp.port==50051,http2")  # gRPC's usual port, which tshark does not know
CHECKSUMS = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")


def ask(path: Path, *args: str) -> str:
    command = ["tshark", "-n", *PORTS, "-r", str(path), *args]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise RecordingError(f"tshark {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def numbers(path: Path, where: str) -> list[int]:
    """The numbers of the packets that match the display filter `where`; checksums are verified."""
    return [int(line) for line in ask(path, *CHECKSUMS, "-Y", where, "-T", "fields", "-e", "frame.number").split()]


def values(path: Path, number: int, names: Sequence[str]) -> dict[str, str]:
    """What tshark says of the fields `names` in one packet; a field that occurs more often joins its values with commas."""
    wanted = [word for name in names for word in ("-e", name)]
    line = ask(path, "-Y", f"frame.number == {number}", "-T", "fields", *wanted).rstrip("\n")
    return dict(zip(names, line.split("\t"), strict=True))


def streams(path: Path, transport: str) -> int:
    """How many conversations of `transport` (tcp, udp) there are."""
    return len(set(ask(path, "-Y", f"{transport} && !icmp && !icmpv6", "-T", "fields", "-e", f"{transport}.stream").split()))


def layers(path: Path, names: Iterable[str]) -> dict[str, int]:
    """For each protocol that occurs: how many packets it occurs in."""
    counts = {name: len(numbers(path, name)) for name in names}
    return {name: count for name, count in counts.items() if count}
