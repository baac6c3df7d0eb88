"""The columns, flows and cells, on small captures written here, and beside tshark on one with everything odd in it."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from inspector.core.packet import Packet
from inspector.index import Index, Transport
from inspector.index.cells import COLUMN_FIELDS, extract
from inspector.index.columns import SHAPE_OTHER
from inspector.sources import open_source

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes.fromhex("20010db8" + "00" * 11 + "01"), bytes.fromhex("20010db8" + "00" * 11 + "02")


def tcp(sport: int, dport: int, flags: int, seq: int = 0, ack: int = 0, payload: bytes = b"", options: bytes = b"") -> bytes:
    offset = (5 + len(options) // 4) << 4
    return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, offset, flags, 500, 0x1234, 0) + options + payload


def udp(sport: int, dport: int, payload: bytes = b"") -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0xABCD) + payload


def ip(source: bytes, destination: bytes, protocol: int, payload: bytes, fragment: int = 0x4000) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0x10, 20 + len(payload), 0x77, fragment, 61, protocol, 0xBEEF)
    return head + source + destination + payload


def ip6(source: bytes, destination: bytes, following: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 0x60012345, len(payload), following, 60) + source + destination + payload


def ethernet(kind: int, payload: bytes, tags: Sequence[int] = ()) -> bytes:
    between = b"".join(struct.pack("!HH", tag, 5) for tag in tags)
    return bytes.fromhex("0200000000020200000000aa") + between + struct.pack("!H", kind) + payload


def capture(path: Path, frames: Sequence[bytes], link: int = 1, snap: int = 65535) -> Path:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for n, frame in enumerate(frames):
        kept = frame[:snap]
        data += struct.pack("<IIII", 1_700_000_000 + n // 7, n * 1013 % 1_000_000, len(kept), len(frame)) + kept
    path.write_bytes(data)
    return path


class Slow:
    """Stands for the dissectors: gives what a test says for a packet and remembers who asked."""

    def __init__(self, answers: dict[int, list[Transport]] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[int] = []

    def __call__(self, packet: Packet) -> Sequence[Transport]:
        self.asked.append(packet.number)
        return self.answers.get(packet.number, [])


def indexed(path: Path, frames: Sequence[bytes], link: int = 1, slow: Slow | None = None, snap: int = 65535) -> Index:
    index = Index(open_source(str(capture(path / "a.pcap", frames, link, snap))), slow or Slow())
    index.build()
    return index


def conversation(port: int, seq: int = 100, answer: int = 900) -> list[bytes]:
    scale = b"\x01\x03\x03\x05"
    segments = [
        (A, B, tcp(port, 80, SYN, seq, options=scale)),
        (B, A, tcp(80, port, SYN | ACK, answer, seq + 1, options=b"\x01\x03\x03\x02")),
        (A, B, tcp(port, 80, ACK, seq + 1, answer + 1)),
        (A, B, tcp(port, 80, PSH | ACK, seq + 1, answer + 1, b"hello")),
        (B, A, tcp(80, port, ACK, answer + 1, seq + 6)),
    ]
    return [ethernet(0x0800, ip(source, destination, 6, segment)) for source, destination, segment in segments]


def test_columns_of_one_conversation(tmp_path: Path) -> None:
    frames = conversation(5000)
    index = indexed(tmp_path, frames)
    assert index.count == 5
    assert index.column("direction").tolist() == [0, 1, 0, 0, 1]
    assert index.column("seq").tolist() == [100, 900, 101, 101, 901]
    assert index.column("payload_length").tolist() == [0, 0, 0, 5, 0]
    assert index.column("payload_offset").tolist() == [58, 58, 54, 54, 54]
    assert index.flow_of(4) == 0 and index.flow_packets(0).tolist() == [1, 2, 3, 4, 5]
    packet = index.packet(4)
    assert (packet.number, packet.link_type, packet.data) == (4, 1, frames[3])
    flows = index.flows
    assert len(flows) == 1 and flows.addresses(0) == (A, B) and (flows.sport(0), flows.dport(0)) == (5000, 80)
    assert flows.packets[0].tolist() == [3, 2] and flows.octets[0].tolist() == [58 + 54 + 59, 58 + 54]
    assert list(flows.base_seq[0]) == [100, 900] and list(flows.shift[0]) == [5, 2]
    for number in (0, 6):
        with pytest.raises(IndexError):
            index.packet(number)


def test_a_new_syn_on_the_same_pair_begins_a_new_conversation(tmp_path: Path) -> None:
    frames = conversation(5000) + conversation(5000, 70_000, 80_000)
    again = frames[5]  # a retransmitted SYN does not
    index = indexed(tmp_path, [*frames, again])
    assert index.column("flow").tolist() == [0] * 5 + [1] * 6
    assert list(index.flows.stream) == [0, 1]
    assert index.flows.find(Transport(6, B, A, 80, 5000), 3) == (0, 1)
    assert index.flows.find(Transport(6, B, A, 80, 5000), 9) == (1, 1)
    assert index.flows.find(Transport(6, B, A, 81, 5000), 9) is None


def test_tcp_and_udp_are_numbered_apart(tmp_path: Path) -> None:
    frames = [
        ethernet(0x0800, ip(A, B, 17, udp(1, 2))),
        ethernet(0x0800, ip(A, B, 6, tcp(1, 2, ACK))),
        ethernet(0x86DD, ip6(A6, B6, 17, udp(1, 2))),
        ethernet(0x0800, ip(B, A, 17, udp(2, 1))),
    ]
    index = indexed(tmp_path, frames)
    assert index.column("flow").tolist() == [0, 1, 2, 0]
    assert list(index.flows.stream) == [0, 0, 1]


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (113, bytes(14) + b"\x08\0"),
        (276, b"\x08\0" + bytes(18)),
        (0, b"\x02\0\0\0"),
        (108, b"\0\0\0\x02"),
        (101, b""),
        (228, b""),
        (1, ethernet(0x0800, b"", [0x8100])),
        (1, ethernet(0x0800, b"", [0x88A8, 0x8100])),
    ],
)
def test_every_regular_link(tmp_path: Path, link: int, head: bytes) -> None:
    slow = Slow()
    index = indexed(tmp_path, [head + ip(A, B, 17, udp(7, 8, b"abc"))], link, slow)
    assert not slow.asked
    assert index.column("payload_offset").tolist() == [len(head) + 28]
    assert index.flows.addresses(0) == (A, B)


def test_odd_packets_go_to_the_slow_path_in_order(tmp_path: Path) -> None:
    regular = ethernet(0x0800, ip(A, B, 17, udp(1, 2)))
    odd = [
        ethernet(0x0800, ip(A, B, 17, udp(1, 2), 0x2000)),  # a fragment
        ethernet(0x0800, ip(A, B, 17, udp(9, 4789))),  # a tunnel
        ethernet(0x0806, bytes(28)),
        ethernet(0x86DD, ip6(A6, B6, 0, bytes(8) + udp(1, 2))),  # an extension header
        ethernet(0x0800, ip(A, B, 17, udp(1, 2)))[:37],  # cut in the header
        ethernet(0x0800, ip(A, B, 6, tcp(1, 2, SYN))[:-1] + b""),
        b"",
        ethernet(0x0800, ip(A, B, 17, udp(1, 2)), [0x8100] * 3),
    ]
    slow = Slow({3: [Transport(17, A, B, 9, 4789), Transport(6, B, A, 1, 2, payload_offset=99, payload_length=4)],
                 4: [Transport(17, B6, A6, 5, 6, quoted=True)]})  # fmt: skip
    index = indexed(tmp_path, [regular, *odd, regular], slow=slow)
    assert slow.asked == list(range(2, 10))
    assert index.column("flow").tolist() == [0, -1, 2, -1, -1, -1, -1, -1, -1, 0]
    assert index.column("payload_offset")[2] == 99
    assert list(index.flows.stream) == [0, 1, 0, 2]
    assert (index.column("shape") == SHAPE_OTHER).tolist() == [False, *[True] * 8, False]


def test_a_snapped_packet_keeps_its_length_on_the_wire(tmp_path: Path) -> None:
    index = indexed(tmp_path, [ethernet(0x0800, ip(A, B, 6, tcp(1, 2, ACK, payload=b"x" * 400)))], snap=96)
    assert index.column("payload_length").tolist() == [400]
    assert index.column("captured").tolist() == [96] and index.column("wire").tolist() == [454]


def test_blocks_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.index import columns
    from inspector.index import index as module

    frames = [ethernet(0x0800, ip(A, B, 17, udp(n % 40 + 1, 2, bytes(n % 11)))) for n in range(500)]
    whole = indexed(tmp_path, frames)
    monkeypatch.setattr(columns, "BLOCK", 64)
    monkeypatch.setattr(module, "PIECE", 37)
    pieces = indexed(tmp_path, frames)
    for name in columns.TYPES:
        assert whole.column(name).tolist() == pieces.column(name).tolist(), name
    assert whole.flows.packets.tolist() == pieces.flows.packets.tolist()


def test_cells_of_a_segment(tmp_path: Path) -> None:
    index = indexed(tmp_path, conversation(5000))
    names = ["frame.time_relative", "eth.dst", "ip.src", "ip.id", "tcp.seq", "tcp.ack", "tcp.flags", "tcp.window_size"]
    names.append("udp.length")
    rows = extract(index, names, 4, 6)
    assert rows[0] == ("0.003039000", "02:00:00:00:00:02", "10.0.0.1", "0x0077", "1", "1", "0x0018", "16000", "")
    assert rows[1] is not None and rows[1][4:8] == ("1", "6", "0x0010", "2000")
    with pytest.raises(KeyError):
        extract(index, ["no.such"], 1, 2)


def everything() -> list[bytes]:
    """Conversations interleaved, reused ports, one-sided scaling, lone segments, IPv6, UDP."""
    choose = random.Random(7)
    lanes = [conversation(port, choose.getrandbits(31), choose.getrandbits(31)) for port in range(6000, 6030)]
    lanes[3] += conversation(6003, choose.getrandbits(31), choose.getrandbits(31))
    lanes += [conversation(6100 + n, choose.getrandbits(31), choose.getrandbits(31))[n:] for n in (1, 2, 3, 4)]
    lanes.append([ethernet(0x0800, ip(A, B, 6, tcp(7001, 80, RST, 5, 77)))])
    plain = [(A, B, tcp(7002, 80, SYN, 9)), (B, A, tcp(80, 7002, SYN | ACK, 3, 10)), (A, B, tcp(7002, 80, ACK, 10, 4, b"text"))]
    lanes.append([ethernet(0x0800, ip(source, destination, 6, segment)) for source, destination, segment in plain])
    for port in range(40_100, 40_120):
        ask, answer = udp(port, 40_001, b"?"), udp(40_001, port, b"!")
        lanes.append([ethernet(0x86DD, ip6(A6, B6, 17, ask)), ethernet(0x86DD, ip6(B6, A6, 17, answer))])
    lanes.append([ethernet(0x0800, ip(A, B, 17, udp(50_000, 50_001, bytes(5))), [0x8100])])
    lanes.append([ethernet(0x0800, ip(A, B, 17, udp(50_002, 50_001, bytes(5))), [0x88A8, 0x8100])])
    lanes.append([ethernet(0x86DD, ip6(A6, B6, 6, tcp(9, 10, ACK, 1 << 31, 1, b"six")))])
    frames = []
    while lanes:
        lane = choose.choice(lanes)
        frames.append(lane.pop(0))
        if not lane:
            lanes.remove(lane)
    return frames


def test_cells_beside_tshark(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    frames = everything()
    index = indexed(tmp_path, frames)
    names = sorted(COLUMN_FIELDS - {"tcp.flags.ae"})  # called tcp.flags.ns before Wireshark 4.2
    command = [tshark, "-n", "-r", str(tmp_path / "a.pcap"), "-T", "fields", *(word for name in names for word in ("-e", name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = extract(index, names, 1, index.count + 1)
    lines = done.stdout.splitlines()
    assert len(lines) == len(rows) == len(frames)
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), 1):
        assert row is not None
        theirs = dict(zip(names, line.split("\t"), strict=True))
        assert dict(zip(names, row, strict=True)) == theirs, f"packet {number}"


def test_a_port_pair_that_is_used_again_right_away_is_a_new_conversation(tmp_path: Path) -> None:
    segments = [
        (A, B, tcp(1000, 80, SYN, seq=1)),
        (B, A, tcp(80, 1000, RST | ACK, ack=2)),
        (A, B, tcp(1000, 80, SYN, seq=99)),
        (B, A, tcp(80, 1000, RST | ACK, ack=100)),
        (B, A, tcp(80, 1000, ACK, seq=5, ack=100)),
    ]
    frames = [bytes(12) + b"\x08\x00" + ip(source, destination, 6, segment) for source, destination, segment in segments]
    path = tmp_path / "reuse.pcap"
    records = b"".join(struct.pack("<IIII", at, 0, len(data), len(data)) + data for at, data in enumerate(frames))
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records)
    index = Index(open_source(str(path)), lambda packet: [])
    index.build()
    assert [index.flow_of(number) for number in range(1, 6)] == [0, 0, 1, 1, 1]


def test_the_packets_of_a_flow_are_the_same_looked_up_one_by_one_and_put_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.index.columns.BLOCK", 7)
    monkeypatch.setattr("inspector.index.index.BLOCK", 7)
    apart = [frame for frames in zip(*(conversation(5000 + n) for n in range(9)), strict=True) for frame in frames]
    index = indexed(tmp_path, [*apart, b"\2" * 60, *conversation(5003)])
    assert len(index.flows) == 9
    looked_up = [index.flow_packets(flow).tolist() for flow in range(9)]
    assert looked_up[0] == [1, 10, 19, 28, 37] and looked_up[3] == [4, 13, 22, 31, 40, 47, 48, 49, 50, 51]
    monkeypatch.setattr("inspector.index.index.FEW", 0)
    assert [index.flow_packets(flow).tolist() for flow in range(9)] == looked_up
    order, starts = index.by_flow()
    assert order[: starts[0]].tolist() == [45] and starts[-1] == index.count == 51
    for after in range(52):
        expected = sorted(number for flow in (0, 3, 8) for number in looked_up[flow] if number > after)
        assert index.packets_of([0, 3, 8], after).tolist() == expected
        assert index.packets_of([3], after).tolist() == [number for number in looked_up[3] if number > after]
