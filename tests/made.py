"""Captures that tests make packet by packet: connections, datagrams, fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import dpkt

from inspector.core.layer import Layer
from inspector.session import Session, open_session

A, B, M = bytes([192, 0, 2, 10]), bytes([192, 0, 2, 80]), b"\x02\0\0\0\0\1"
START = 1_700_000_000_000_000  # microseconds since the epoch, of a capture whose times are told


def ethernet(protocol: int, data: bytes, source: bytes, target: bytes) -> bytes:
    packet = dpkt.ip.IP(src=source, dst=target, p=protocol, data=data)
    packet.len = 20 + len(data)
    return bytes(dpkt.ethernet.Ethernet(src=M, dst=M, data=packet))


def tcp(client: int, direction: int, seq: int, ack: int, flags: int, data: bytes = b"", server: int = 80) -> bytes:
    ends = ((A, B), (client, server)) if direction == 0 else ((B, A), (server, client))
    segment = struct.pack(">HHIIBBHHH", *ends[1], seq, ack, 0x50, flags, 65_535, 0, 0) + data
    return ethernet(6, segment, *ends[0])


def udp(sport: int, dport: int, data: bytes) -> bytes:
    return ethernet(17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data, A, B)


def connection(client: int, *said: tuple[int, bytes], size: int = 60_000, server: int = 80) -> list[bytes]:
    """A connection from SYN to FIN, in which both say what they say."""
    at = [100, 500]
    found = [tcp(client, 0, 99, 0, 2, server=server), tcp(client, 1, 499, 100, 0x12, server=server)]
    for direction, data in said:
        for start in range(0, len(data), size):
            part = data[start : start + size]
            found.append(tcp(client, direction, at[direction], at[1 - direction], 0x18, part, server))
            at[direction] += len(part)
    return [*found, tcp(client, 1, at[1], at[0], 0x11, server=server), tcp(client, 0, at[0], at[1] + 1, 0x11, server=server)]


def opened(folder: Path, frames: list[bytes]) -> Session:
    """A capture of these frames, one a second."""
    return _opened(folder, ((n * 1_000_000, frame) for n, frame in enumerate(frames)))


def timed(folder: Path, packets: Iterable[tuple[float, bytes]]) -> Session:
    """A capture of these frames, with the milliseconds at which they were captured."""
    return _opened(folder, ((START + round(at * 1000), frame) for at, frame in packets))


def _opened(folder: Path, packets: Iterable[tuple[int, bytes]]) -> Session:
    """Times are microseconds since the epoch."""
    path = folder / "made.pcap"
    records = (struct.pack("<IIII", *divmod(at, 10**6), len(frame), len(frame)) + frame for at, frame in packets)
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1) + b"".join(records))
    return open_session(str(path))


def codes(session: Session) -> dict[str, int]:
    """The findings: code → how often it happened. Closes the session."""
    try:
        return {finding.code: finding.times for finding in session.findings()}
    finally:
        session.close()


def layers(session: Session) -> list[Layer]:
    return [layer for number in range(1, session.count + 1) for layer in session.dissect(number).layers]


def told(session: Session) -> list[str]:
    """What the issues say that cut something off."""
    return [issue.text for layer in layers(session) for issue in layer.issues]


def response(coding: str, body: bytes, kind: str = "text/plain") -> list[bytes]:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, head.encode() + body))


def fragment(identification: int, offset: int, more: bool = True, size: int = 8) -> bytes:
    """A piece of a UDP datagram, `offset` counted in 8 bytes."""
    flags = (0x2000 if more else 0) | offset
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + size, identification, flags, 64, 17, 0, A, B)
    return M + M + b"\x08\x00" + head + bytes(size)
