"""The table of flows: entered many at once, packets get what they get one after the other; names are found exactly."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from inspector.core.packet import Packet
from inspector.index import FlowTable, Index, Transport
from inspector.index.entries import NO_SCALE, window_scales
from inspector.index.names import Names, name, names
from inspector.sources import open_source

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
UNKNOWN, UNUSED = -1, -2


class Plain:
    """The rules of flows, a packet at a time, with a dictionary."""

    def __init__(self) -> None:
        self.flows: list[dict[str, object]] = []
        self.latest: dict[bytes, int] = {}

    def enter(self, number: int, one: Transport) -> tuple[int, int]:
        key, turned = name(one.protocol, one.src, one.sport, one.dst, one.dport)
        flow = self.latest.get(key, -1)
        side = turned ^ self.flows[flow]["turned"] if flow >= 0 else 0  # type: ignore[operator]
        opening = one.protocol == 6 and one.flags & (SYN | ACK) == SYN
        if flow < 0 or (opening and self.flows[flow]["bases"][side] not in (None, one.seq)):  # type: ignore[index]
            flow, side = len(self.flows), 0
            self.latest[key] = flow
            stream = sum(one.protocol == other["protocol"] for other in self.flows)
            self.flows.append({"protocol": one.protocol, "turned": turned, "stream": stream, "first": number,
                               "bases": [None, None], "shifts": [UNKNOWN, UNKNOWN], "packets": [0, 0]})  # fmt: skip
        own = self.flows[flow]
        own["packets"][side] += 1  # type: ignore[index]
        if one.protocol == 6:
            self._numbers(own["bases"], side, one)  # type: ignore[arg-type]
            if one.flags & SYN:
                self._scales(own["shifts"], side, one)  # type: ignore[arg-type]
        return flow, side

    @staticmethod
    def _numbers(bases: list[int | None], side: int, one: Transport) -> None:
        if bases[side] is None or one.flags & (SYN | ACK) == SYN | ACK:
            bases[side] = one.seq if one.flags & SYN else (one.seq - 1) & 0xFFFFFFFF
        if bases[1 - side] is None and one.flags & ACK:
            bases[1 - side] = (one.ack - 1) & 0xFFFFFFFF

    @staticmethod
    def _scales(shifts: list[int], side: int, one: Transport) -> None:
        if one.scale is None:
            if shifts[side] == UNKNOWN:
                shifts[:] = UNUSED, UNUSED
        else:
            shifts[side] = UNUSED if one.flags & ACK and shifts[1 - side] == UNUSED else one.scale


def some(rng: random.Random, count: int, regular: bool) -> list[Transport]:
    """Segments and datagrams of few ends, with few numbers: pairs are used again, SYNs come twice, an end talks to itself."""
    found = []
    for _ in range(count):
        ends = [(bytes([10, 0, 0, rng.randrange(3)]), rng.randrange(2)) for _ in range(2)]
        if rng.random() < 0.3:
            ends = [(bytes(12) + address, port) for address, port in ends]
        protocol = rng.choice((6, 6, 17))
        flags = rng.choice((SYN, SYN, SYN | ACK, ACK, RST, 0, PSH | ACK)) if protocol == 6 else 0
        scale = rng.choice((None, 0, 7, 14)) if flags & SYN else None
        numbers = (rng.choice((0, 1, 9, 1 << 31)), rng.choice((0, 5, 6))) if protocol == 6 else (0, 0)
        found.append(Transport(protocol, ends[0][0], ends[1][0], ends[0][1], ends[1][1], *numbers, flags, scale=scale,
                               quoted=False if regular else rng.random() < 0.1))  # fmt: skip
    return found


class Slow:
    """Stands for the dissectors."""

    def __init__(self, sent: list[Transport]) -> None:
        self.sent, self.asked = sent, list[int]()

    def __call__(self, packet: Packet) -> list[Transport]:
        self.asked.append(packet.number)
        return [self.sent[packet.number - 1]]


def frame(one: Transport) -> bytes:
    """A packet over raw IP."""
    if one.protocol == 6:
        options = b"" if one.scale is None else b"\x01\x03\x03" + bytes([one.scale])
        head = struct.pack("!HHIIBBHHH", one.sport, one.dport, one.seq, one.ack, 5 + len(options) // 4 << 4, one.flags, 9, 0, 0)
        data = head + options
    else:
        data = struct.pack("!HHHH", one.sport, one.dport, 8, 0)
    if len(one.src) == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, one.protocol, 0) + one.src + one.dst + data
    return struct.pack("!IHBB", 0x60000000, len(data), one.protocol, 64) + one.src + one.dst + data


@pytest.mark.parametrize("piece", [1, 3, 50, 10_000])
@pytest.mark.parametrize("odd", [0.0, 0.4, 1.0])
def test_packets_get_the_flows_that_they_get_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, odd: float
) -> None:
    monkeypatch.setattr("inspector.index.index.PIECE", piece)
    rng = random.Random(piece + int(10 * odd))
    for _ in range(8):
        sent = some(rng, 120, odd == 0)
        slow = {at for at, one in enumerate(sent, 1) if one.quoted or rng.random() < odd}
        frames = [b"\xff" * 40 if at in slow else frame(one) for at, one in enumerate(sent, 1)]
        records = b"".join(struct.pack("<IIII", 1, at, len(data), len(data)) + data for at, data in enumerate(frames))
        (tmp_path / "a.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + records)
        dissectors = Slow(sent)
        index = Index(open_source(str(tmp_path / "a.pcap")), dissectors)
        index.build()
        assert dissectors.asked == sorted(slow)
        plain, flows = Plain(), index.flows
        for number, one in enumerate(sent, 1):
            place = plain.enter(number, one)
            if one.quoted:
                assert index.flow_of(number) == -1
            else:
                assert (index.flow_of(number), index.value("direction", number)) == place, number
        assert len(flows) == len(plain.flows)
        for flow, expected in enumerate(plain.flows):
            assert (flows.protocol(flow), flows.stream[flow], flows.first[flow]) == (
                expected["protocol"], expected["stream"], expected["first"]
            )  # fmt: skip
            bases = [base or 0 for base in expected["bases"]]  # type: ignore[attr-defined]
            assert list(flows.base_seq[flow]) == bases, flow
            if not any(one.quoted for one in sent):
                assert list(flows.shift[flow]) == expected["shifts"], flow
                assert flows.packets[flow].tolist() == expected["packets"]


def test_flows_in_the_order_of_their_ends_and_their_ports(tmp_path: Path) -> None:
    sent = [one._replace(quoted=False) for one in some(random.Random(5), 300, True)]
    records = b"".join(struct.pack("<IIII", 1, 0, len(data), len(data)) + data for data in map(frame, sent))
    (tmp_path / "a.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + records)
    index = Index(open_source(str(tmp_path / "a.pcap")), Slow(sent))
    index.build()
    flows = index.flows
    ends = [(*flows.addresses(flow), flows.sport(flow), flows.dport(flow)) for flow in range(len(flows))]
    assert [tuple(ports) for ports in flows.ports(3).tolist()] == [end[2:] for end in ends[3:]]
    padded = [(*(address.ljust(16, b"\0") for address in end[:2]), *end[2:]) for end in ends]
    assert flows.by_ends().tolist() == sorted(range(len(flows)), key=padded.__getitem__)
    assert len({len(end[0]) for end in ends}) == 2 and FlowTable().by_ends().tolist() == []
    assert flows.protocols.tolist() == [flows.protocol(flow) for flow in range(len(flows))]


def test_what_is_quoted_is_no_packet_of_its_flow_and_tells_no_window_scale(tmp_path: Path) -> None:
    syn = Transport(6, b"\x0a\0\0\1", b"\x0a\0\0\2", 1, 2, seq=7, flags=SYN, scale=3)
    answers = {1: [syn._replace(quoted=True)], 2: [syn._replace(protocol=17, flags=0, seq=0), syn]}
    path = tmp_path / "a.pcap"
    records = b"".join(struct.pack("<IIII", at, 0, 1, 1) + b"\0" for at in (4, 5))
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + records)
    index = Index(open_source(str(path)), lambda packet: answers[packet.number])
    index.build()
    flows = index.flows
    assert index.column("flow").tolist() == [-1, 0] and len(flows) == 2  # the inner header is the packet's own
    assert flows.packets.tolist() == [[1, 0], [0, 0]] and flows.first_ns.tolist()[0] == flows.last_ns.tolist()[0] == 5 * 10**9
    assert list(flows.shift[0]) == [3, UNKNOWN] and list(flows.base_seq[0]) == [7, 0]
    again = FlowTable.of(flows.arrays())
    assert again.find(syn, 1) == flows.find(syn, 1) == (0, 0)
    assert {key: value.tolist() for key, value in again.arrays().items()} == {
        key: value.tolist() for key, value in flows.arrays().items()
    }
    for wrong in ({"stream": np.zeros(1, np.int32)}, {"name": np.array([0, 9], np.int32)}, {"bases": np.zeros(2, np.uint32)}):
        with pytest.raises(ValueError, match=r"lengths|shape"):
            FlowTable.of({**flows.arrays(), **wrong})


@pytest.mark.parametrize("colliding", [False, True])
@pytest.mark.parametrize("size", [4, 16])
def test_names_are_found_exactly(monkeypatch: pytest.MonkeyPatch, size: int, colliding: bool) -> None:
    if colliding:  # every name has the same hash
        monkeypatch.setattr("inspector.index.names.randbits", lambda bits: 0)
    rng = np.random.default_rng(size)
    count = 300 if colliding else 3000
    addresses = rng.integers(0, 3, (count, 2 * size)).astype(np.uint8)
    ports = rng.integers(0, 3, (2, count)).astype(np.uint16) * 20_000
    protocols = rng.choice(np.array([6, 17], np.uint8), count)
    words, turned = names(protocols, addresses, *ports)
    known = Names()
    known.enter(names(protocols[:9], addresses[:9, :8], *ports[:, :9])[0])  # others, shorter ones
    numbers = [*known.enter(words[: count // 2]), *known.enter(words)[count // 2 :]]
    expected: dict[bytes, int] = {}
    for at in range(count):
        source, destination = addresses[at, :size].tobytes(), addresses[at, size:].tobytes()
        ends = (source, int(ports[0, at])), (destination, int(ports[1, at]))
        key, side = name(int(protocols[at]), *ends[0], *ends[1])
        assert (words[at].tobytes(), int(turned[at])) == (key, side)
        assert expected.setdefault(key, numbers[at]) == numbers[at] == known.find(key)
        assert known[numbers[at]] == (protocols[at], *ends[:: -1 if side else 1])
    assert len(set(numbers)) == len(expected)
    again = Names(known.words, known.starts)
    assert all(again.find(key) == number for key, number in expected.items())
    assert known.find(name(6, bytes(size), 1, bytes(size), 1)[0]) == -1 == Names().find(key)


def test_window_scales_of_many_at_once() -> None:
    options = [b"", b"\x03\x03\x05", b"\x02\x04\x05\xb4\x01\x03\x03\x0f", b"\0\x03\x03\x05", b"\x01" * 40, b"\x03\x03",
               b"\x08\x0a" + bytes(8) + b"\x03\x03\x00", b"\x05\x00\x03\x03\x04", b"\x03\x02\x01\x03\x03\x07",
               b"\x03\x03\x01\x03\x03\x02", b"\xff\xff\x03\x03\x05"]  # fmt: skip
    window = np.frombuffer(b"".join(options) + b"\x03\x03\x09", np.uint8)
    stops = np.cumsum([len(one) for one in options])
    found = window_scales(window, stops - [len(one) for one in options], stops)
    assert found.tolist() == [NO_SCALE, 5, 14, NO_SCALE, NO_SCALE, NO_SCALE, 0, NO_SCALE, 7, 2, NO_SCALE]
