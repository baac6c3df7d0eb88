"""What a capture is asked to do, with the words of tshark and dumpcap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inspector.core.errors import InspectError

MAX_SNAP = 262_144  # bytes of a packet, as tshark has it
BUFFER_MIB = 32  # of each interface's ring in the kernel: half a second at 64 MB/s
_UNITS = {"filesize": "kB", "duration": "s", "packets": "", "files": ""}


@dataclass(frozen=True)
class Options:
    """interfaces: names, `any` for all; path: the file; filter: compiled BPF instructions of each interface, 8 bytes each;
    filter_text: as the user wrote it; ring: a new file after that many bytes (`filesize`), seconds (`duration`) or packets
    (`packets`), and only the last `files` are kept; comment: on the whole
    capture, in the file; temporary: the path is one that nobody chose, and the file is its owner's alone."""

    interfaces: tuple[str, ...]
    path: str
    filter_text: str = ""
    filters: tuple[str, ...] = ()
    snap: int = MAX_SNAP
    buffer_mib: int = BUFFER_MIB
    promiscuous: bool = True
    stop_packets: int = 0
    stop_seconds: float = 0
    stop_bytes: int = 0
    stop_files: int = 0
    ring_bytes: int = 0
    ring_seconds: float = 0
    ring_packets: int = 0
    ring_files: int = 0
    comment: str = ""
    temporary: bool = False

    @property
    def ring(self) -> bool:
        """The packets go to more than one file."""
        return bool(self.ring_bytes or self.ring_seconds or self.ring_packets)

    def text(self) -> str:
        """For the capture process."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Options:
        """What `text` gave."""
        values: dict[str, Any] = {}
        for name, value in json.loads(text).items():
            values[name] = tuple(value) if isinstance(value, list) else value
        return Options(**values)


def conditions(option: str, given: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """`["duration:10", "filesize:2000"]` of `-a` or `-b`: sizes in bytes, times in seconds. Raises InspectError."""
    found: dict[str, float] = {}
    for text in given:
        name, colon, value = text.partition(":")
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not colon or name not in known or not number > 0:
            wanted = ", ".join(f"{name}:N{' ' + _UNITS[name] if _UNITS[name] else ''}" for name in known)
            raise InspectError(f"{option} {text}: not a condition; use {wanted}")
        found[name] = number * 1000 if name == "filesize" else number
    return found
