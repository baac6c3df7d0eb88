"""Small TCP conversations for tests of findings: written as a pcap file, opened as a user would."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from inspector.session import Session
from tests.made import codes, timed

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
PORTS = (40_000, 80)


@dataclass
class Wire:
    """Segments of one connection; numbers are relative to the SYNs, times are milliseconds."""

    mss: int = 1460
    packets: list[tuple[float, bytes]] = field(default_factory=list)

    def say(self, at: float, end: int, seq: int, ack: int, size: int = 0, flags: int = ACK, window: int = 500,
            data: bytes = b"") -> None:  # fmt: skip
        payload = data or b"x" * size
        options = b"\x02\x04" + self.mss.to_bytes(2, "big") if flags & SYN else b""
        header = struct.pack("!HHIIBBHHH", PORTS[end], PORTS[1 - end], 1000 + seq, 5000 + ack if flags & ACK else 0,
                             5 + len(options) // 4 << 4, flags, window, 0, 0)  # fmt: skip
        if end:
            header = header[:4] + struct.pack("!II", 5000 + seq, 1000 + ack if flags & ACK else 0) + header[12:]
        tcp = header + options + payload
        ends = (b"\xc0\x00\x02\x0a", b"\xc0\x00\x02\x50")
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + ends[end] + ends[1 - end]
        self.packets.append((at, b"\x02" + bytes(11) + b"\x08\x00" + ip + tcp))

    def open(self, round_trip: float = 10) -> Wire:
        self.say(0, 0, 0, 0, flags=SYN)
        self.say(round_trip, 1, 0, 1, flags=SYN | ACK)
        self.say(round_trip + 0.1, 0, 1, 1)
        return self

    def session(self, folder: Path) -> Session:
        return timed(folder, self.packets)

    def codes(self, folder: Path) -> dict[str, int]:
        """The findings: code → how often it happened."""
        return codes(self.session(folder))
