"""A fragment inside a datagram that itself came in fragments: each is collected for itself (RFC 2003, 5.1)."""

from __future__ import annotations

import struct
from pathlib import Path

from inspector.session import open_session

MORE, IP_IN_IP, UDP = 0x2000, 4, 17


def ip(payload: bytes, protocol: int, fragment: int, last: int) -> bytes:
    """An IPv4 packet between two routers or two hosts, which differ in the last octet of their addresses."""
    ends = bytes((10, 0, 0, last, 10, 0, 0, last + 1))
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0) + ends + payload


def test_a_fragment_in_a_datagram_of_fragments(tmp_path: Path) -> None:
    said = struct.pack("!HHHH", 4000, 4001, 8 + 24, 0) + b"twenty-four bytes of it."
    packets = []
    for part, fragment in ((said[:16], MORE), (said[16:], 2)):  # the hosts' fragments, each in fragments of the routers'
        whole = ip(part, UDP, fragment, 10)
        packets += [ip(whole[:24], IP_IN_IP, MORE, 1), ip(whole[24:], IP_IN_IP, 3, 1)]
    path = tmp_path / "nested.pcap"
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for number, packet in enumerate(packets):
        out.append(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(out))
    session = open_session(str(path))
    for _ in range(2):  # what is looked at again says the same
        names = [[layer.protocol for layer in session.dissect(number).layers] for number in range(1, 5)]
        assert [row.count("ip") for row in names] == [1, 2, 1, 2] and ["udp" in row for row in names] == [False] * 3 + [True]
    udp = session.dissect(4).last("udp")
    assert udp is not None and udp.payloads[0].span.read() == said[8:]
    session.close()
