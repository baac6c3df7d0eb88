"""Captures for tests of findings and patterns that need more than one connection: packets of any kind, at any time.

`Net` writes them as a pcap file; `Link` is one TCP connection that keeps its own sequence numbers, so that a test says only who
says what when. Times are milliseconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from inspector.annotations.patterns import Confidence
from inspector.session import Session
from tests.made import codes, timed

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER, PROXY = "192.0.2.10", "192.0.2.80", "192.0.2.60"
TCP, UDP, ICMP = 6, 17, 1
MSS = 1460


@dataclass
class Net:
    """Packets with the times at which they were captured, in any order."""

    packets: list[tuple[float, int, bytes]] = field(default_factory=list)
    ports: int = 40_000
    ids: dict[str, int] = field(default_factory=dict)  # the next IP identification of the ends that count their packets

    def put(self, at: float, source: str, destination: str, protocol: int, body: bytes) -> bytes:
        """A packet; returns its IP part."""
        one, two = ip_address(source), ip_address(destination)
        if one.version == 4:
            id = self.ids.get(source, 0)
            if source in self.ids:
                self.ids[source] += 1
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), id, 0x4000, 64, protocol, 0)
            ip, kind = head + one.packed + two.packed + body, b"\x08\x00"
        else:
            ip = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + one.packed + two.packed + body
            kind = b"\x86\xdd"
        self.packets.append((at, len(self.packets), b"\x02" + bytes(11) + kind + ip))
        return ip

    def link(self, at: float, client: str = CLIENT, server: str = SERVER, port: int = 80, opened: bool = True) -> Link:
        """A connection whose handshake begins at `at` and takes two milliseconds."""
        self.ports += 1
        link = Link(self, client, server, (self.ports, port))
        if opened:
            link.segment(at, 0, flags=SYN)
            link.segment(at + 1, 1, flags=SYN | ACK)
            link.segment(at + 2, 0)
        return link

    def udp(self, at: float, source: str, destination: str, ports: tuple[int, int], data: bytes) -> bytes:
        return self.put(at, source, destination, UDP, struct.pack("!HHHH", *ports, 8 + len(data), 0) + data)

    def lookup(self, at: float, name: str, answer: str = "", after: float = 5, kind: int = 1, port: int = 50_000,
               id: int = 7) -> None:  # fmt: skip
        """A question to a resolver, and its answer, where it has one."""
        wire = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack("!HH", kind, 1)
        self.udp(at, CLIENT, "192.0.2.53", (port, 53), struct.pack("!HHHHHH", id, 0x0100, 1, 0, 0, 0) + wire)
        if answer:
            address = ip_address(answer).packed
            record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address)) + address
            head = struct.pack("!HHHHHH", id, 0x8180, 1, 1, 0, 0)
            self.udp(at + after, "192.0.2.53", CLIENT, (53, port), head + wire + record)

    def session(self, folder: Path) -> Session:
        ordered = sorted(self.packets, key=lambda packet: packet[:2])
        return timed(folder, ((at, frame) for at, _, frame in ordered))

    def codes(self, folder: Path) -> dict[str, int]:
        """The findings: code → how often it happened."""
        return codes(self.session(folder))

    def patterns(self, folder: Path) -> dict[str, Confidence]:
        """The patterns: name → the highest confidence."""
        session = self.session(folder)
        try:
            return {pattern.name: pattern.confidence for pattern in reversed(session.patterns())}
        finally:
            session.close()


@dataclass
class Link:
    """One TCP connection of a Net."""

    net: Net
    client: str
    server: str
    ports: tuple[int, int]
    sent: list[int] = field(default_factory=lambda: [1000, 5000])  # the next sequence number of each side

    def segment(self, at: float, end: int, data: bytes = b"", flags: int = ACK, window: int = 500, clock: int = -1) -> bytes:
        """clock: the sender's, for a TCP timestamp; -1 for none."""
        acknowledged = self.sent[1 - end] if flags & ACK else 0
        options = b"\x02\x04" + MSS.to_bytes(2, "big") if flags & SYN else b""
        options += b"\1\1\x08\x0a" + struct.pack("!II", clock, 0) if clock >= 0 else b""
        ports = self.ports if end == 0 else self.ports[::-1]
        offset = 5 + len(options) // 4 << 4
        header = struct.pack("!HHIIBBHHH", *ports, self.sent[end], acknowledged, offset, flags, window, 0, 0)
        self.sent[end] = (self.sent[end] + len(data) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        ends = (self.client, self.server) if end == 0 else (self.server, self.client)
        return self.net.put(at, *ends, TCP, header + options + data)

    def ask(self, at: float, text: str, body: bytes = b"") -> None:
        """A request: `GET /path` and further header lines, separated by line feeds."""
        first, *lines = text.split("\n")
        lines += ["Host: api.example.test"] + ([f"Content-Length: {len(body)}"] if body else [])
        self.segment(at, 0, "\r\n".join([f"{first} HTTP/1.1", *lines, "", ""]).encode() + body)

    def answer(self, at: float, text: str, body: bytes = b"") -> None:
        """A response: `200 OK` and further header lines, in segments of the MSS."""
        first, *lines = text.split("\n")
        whole = "\r\n".join([f"HTTP/1.1 {first}", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        for start in range(0, len(whole), MSS):
            self.segment(at, 1, whole[start : start + MSS])

    def stream(self, at: float) -> None:
        """The head of an event stream."""
        self.segment(at, 1, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, at: float, data: bytes) -> None:
        self.segment(at, 1, f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def upgrade(self, at: float) -> None:
        """A WebSocket."""
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        self.ask(at, f"GET /room\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n{key}")
        accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n\r\n"
        self.segment(at + 1, 1, head.encode())

    def frame(self, at: float, end: int, opcode: int, data: bytes = b"") -> None:
        """A WebSocket frame; a client's is masked, with a key of zeros."""
        mask = b"\0\0\0\0" if end == 0 else b""
        self.segment(at, end, bytes([0x80 | opcode, len(data) | (0x80 if mask else 0)]) + mask + data)

    def close(self, at: float, end: int = 0, flags: int = FIN | ACK) -> None:
        """Who closes, and how; the other side follows."""
        self.segment(at, end, flags=flags)
        if flags & FIN:
            self.segment(at + 1, 1 - end, flags=FIN | ACK)
            self.segment(at + 2, end)
