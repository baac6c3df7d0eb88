"""Several captures as one: every packet once, in the order of time, with what its own file says of it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from inspector.core.errors import InspectError
from inspector.session import Session, open_session
from inspector.sources import Source, merged, open_sources
from inspector.sources.bundled import captures_folder

Timed = list[tuple[int, bytes]]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many windows in small files, so that packets of one time stand on both sides of their borders."""
    monkeypatch.setattr(merged, "FIRST", 100)
    monkeypatch.setattr(merged, "LEAST", 150)
    monkeypatch.setattr(merged, "WINDOW", 400)


def pcap(path: Path, packets: Timed, link: int = 1) -> str:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, link)
    rows = (struct.pack("<IIII", *divmod(time, 10**9), len(data), len(data)) + data for time, data in packets)
    path.write_bytes(head + b"".join(rows))
    return str(path)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def pcapng(path: Path, packets: Timed, name: str, *others: bytes) -> str:
    """Nanoseconds on an interface of that name; every third packet has a comment, its own bytes in hexadecimal."""
    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, b"of " + path.name.encode()))
    data += block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name.encode()) + option(9, b"\x09")) + b"".join(others)
    for number, (time, frame) in enumerate(packets):
        said = option(1, frame.hex().encode()) if number % 3 == 0 else b""
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
        data += block(6, head + frame + bytes(-len(frame) % 4) + said)
    path.write_bytes(data)
    return str(path)


def packets(source: Source) -> Timed:
    """Every packet's time and bytes; from the files and from the windows alike."""
    found = []
    for batch in source.batches():
        columns = (batch.time_ns, batch.offset, batch.captured, batch.start)
        for time, offset, captured, start in zip(*(one.tolist() for one in columns), strict=True):
            data = source.read(offset, captured)
            assert data == source.near(offset, captured) == batch.window[start : start + captured].tobytes()
            found.append((time, data))
    return found


def one_by_one(files: list[Timed]) -> Timed:
    """The earliest of what each file has next, the first file's where several are; written as plainly as can be."""
    queues = [list(one) for one in files]
    found = []
    while any(queues):
        found.append(min((queue for queue in queues if queue), key=lambda queue: queue[0][0]).pop(0))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_packets_of_files_that_overlap_come_in_the_order_of_time(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files: list[Timed] = []
    for _ in range(rng.choice((2, 3, 7))):
        time, own = rng.randrange(50), []
        for _ in range(rng.randrange(60)):
            time = max(time + rng.choice((0, 0, 1, 2, 9, -3)), 0)  # equal times, and clocks that run backwards
            own.append((time, rng.randbytes(rng.choice((0, 1, 5, 20, 70)))))
        files.append(own)
    formats = (pcap, lambda path, own: pcapng(path, own, "eth0"))
    paths = [rng.choice(formats)(tmp_path / f"{number}.cap", own) for number, own in enumerate(files)]
    source = open_sources(paths)
    assert packets(source) == one_by_one(files) and source.damage is None
    source.close()


def test_a_ring_is_read_in_the_order_of_time_whatever_its_names_are(tmp_path: Path) -> None:
    every = [(time, bytes([time % 256]) * 40) for time in range(300)]
    paths = [pcap(tmp_path / f"ring{n}", every[n * 100 : n * 100 + 100]) for n in range(3)]
    session = open_session([paths[1], paths[2], paths[0]])
    assert [(session.time_of(n), session.packet(n).data) for n in range(1, 301)] == every
    assert [session.file(n) for n in (1, 100, 101, 200, 201, 300)] == ["ring0", "ring0", "ring1", "ring1", "ring2", "ring2"]
    assert len(session.interfaces) == 1 and session.title == "ring1 and 2 more"
    session.close()


def test_each_file_has_its_own_interfaces_names_keys_and_comments(tmp_path: Path) -> None:
    rng = random.Random(5)
    files = [[(time, rng.randbytes(9)) for time in range(start, 200, 2)] for start in (0, 1)]
    names = [block(4, struct.pack("<HH", 1, 7) + bytes([10, 0, 0, n]) + b"a%d\0" % n + bytes(5)) for n in (1, 2)]
    keys = [block(10, struct.pack("<II", 0x544C534B, 3) + b"K%d\n" % n) for n in (1, 2)]
    statistics = [block(5, struct.pack("<III", 0, 0, 0) + option(4, struct.pack("<Q", n))) for n in (1, 2)]
    paths = [
        pcapng(tmp_path / f"{n}.pcapng", own, f"eth{n}", names[n], keys[n], statistics[n]) for n, own in enumerate(files)
    ]
    session = open_session(paths)
    source = session.source
    assert [one.name for one in session.interfaces] == ["eth0", "eth1"]
    assert [session.packet(n).interface for n in (1, 2, 3, 200)] == [0, 1, 0, 1]
    assert session.names == {"10.0.0.1": "a1", "10.0.0.2": "a2"}
    assert sorted(one.data for one in source.secrets) == [b"K1\n", b"K2\n"]
    assert sorted(source.section_comments) == ["of 0.pcapng", "of 1.pcapng"]
    told = sorted((one["interface"], one["received"]) for one in source.interface_statistics)
    assert told == [(0, 1), (1, 2)]
    commented = {n: session.comments(n) for n in range(1, 201) if session.comments(n)}
    assert commented == {n: [session.packet(n).data.hex()] for n in commented}
    assert len(commented) == 2 * len(files[0][::3])
    session.close()


def test_damage_is_told_with_the_name_of_its_file_and_the_others_go_on(tmp_path: Path) -> None:
    files = [[(time, bytes(30)) for time in range(start, 100, 2)] for start in (0, 1)]
    paths = [pcap(tmp_path / f"{n}.pcap", own) for n, own in enumerate(files)]
    whole = Path(paths[0]).read_bytes()
    Path(paths[0]).write_bytes(whole[: 24 + 46 * 10 + 20])
    session = open_session(paths)
    assert session.count == 60
    assert session.damage.text == (
        "0.pcap: cut short in the middle of packet 11, at byte 504; the 10 packets before it are whole"
    )
    session.close()


def test_a_file_that_is_cut_while_it_is_open(tmp_path: Path) -> None:
    paths = [pcap(tmp_path / f"{n}.pcap", [(n, bytes(30))] * 10) for n in range(2)]
    session = open_session(paths)
    with open(paths[1], "r+b") as file:
        file.truncate(100)
    assert len(session.packet(10).data) == 30 and len(session.packet(20).data) < 30
    assert session.damage.text.startswith("1.pcap: the file was cut to 100 bytes")
    session.close()


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    paths = [pcap(tmp_path / name / "x.pcap", [(n, b"1")]) for n, name in enumerate("ab")]
    session = open_session(paths)
    assert [session.file(1), session.file(2)] == paths
    session.close()


def test_a_file_that_is_no_capture_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"text")
    with pytest.raises(InspectError, match="b: no pcap or pcapng capture"):
        open_sources([pcap(tmp_path / "a", []), str(tmp_path / "b")])


def test_files_with_more_interfaces_than_can_be_numbered_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "MAX_INTERFACES", 2)
    paths = [pcap(tmp_path / str(n), [(n, b"a")], link=n) for n in range(1, 4)]
    with pytest.raises(InspectError, match="more than 2 interfaces in all"):
        open_session(paths)


def columns(session: Session) -> dict[str, list[int]]:
    names = ("time_ns", "captured", "wire", "flow", "direction", "seq", "ack", "flags", "payload_offset", "payload_length")
    return {name: session.index.column(name).tolist() for name in names}


@pytest.mark.parametrize("name", ["websocket-chat", "https-http2-multiplex", "sse-tls"])
def test_a_capture_that_is_dealt_out_comes_together_again(tmp_path: Path, name: str) -> None:
    """The same flows, units and bytes as of the one file."""
    whole = open_session(str(captures_folder() / f"{name}.pcapng"))
    paths = [str(tmp_path / f"{n}.pcapng") for n in range(3)]
    for n, path in enumerate(paths):
        whole.save(path, range(1 + n, whole.count + 1, 3), secrets=True)
    again = open_session(paths)
    assert columns(again) == columns(whole)
    for number in range(1, whole.count + 1):
        mine, theirs = again.dissect(number), whole.dissect(number)
        assert [(one.protocol, one.summary) for one in mine.layers] == [(one.protocol, one.summary) for one in theirs.layers]
    again.close()
    whole.close()


def test_cells_of_packets_far_apart(tmp_path: Path) -> None:
    """Packets of one range that lie in several files: only their bytes are read, not what lies between."""
    from inspector.query.fields import Style, lines

    whole = open_session(str(captures_folder() / "websocket-chat.pcapng"))
    paths = [str(tmp_path / f"{n}.pcapng") for n in range(2)]
    for n, path in enumerate(paths):
        whole.save(path, range(1 + n, whole.count + 1, 2), secrets=True)
    again = open_session(paths)
    names = ["frame.number", "ip.src", "ip.id", "tcp.srcport", "tcp.seq", "tcp.checksum"]
    assert list(lines(again, names, Style.parse([]), None)) == list(lines(whole, names, Style.parse([]), None))
    again.close()
    whole.close()
