"""Live capture with real sockets: as root, on loopback and in network namespaces of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inspector.capture.client import Broker, Capture, Dumpcap, prepared
from inspector.capture.filters import compile_filter
from inspector.capture.options import Options, conditions
from inspector.core.errors import InspectError
from inspector.session import open_session
from tests.capture.rights import root

PATIENCE = 10.0
COMMAND = [sys.executable, "-m", "inspector", "live"]


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def has_namespaces() -> bool:
    return (
        os.geteuid() == 0
        and shutil.which("unshare") is not None
        and shutil.which("ip") is not None
        and subprocess.run(["unshare", "-nm", "true"], capture_output=True).returncode == 0
    )


namespaces = pytest.mark.skipif(not has_namespaces(), reason="needs root, unshare and ip, and the right to make namespaces")


@pytest.fixture
def port() -> Iterator[int]:
    """A UDP port of this test alone, with somebody who listens, so that nothing is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def send(port: int, count: int, payload: bytes = b"x" * 64) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(count):
            sock.sendto(b"%06d" % number + payload, ("127.0.0.1", port))


def until(what: object, seconds: float = PATIENCE) -> None:
    """Wait until `what()` is true."""
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def packets_in(path: str | Path) -> int:
    session = open_session(str(path))
    try:
        assert session.damage is None, session.damage
        return session.count
    finally:
        session.close()


@contextmanager
def capturing(path: Path, port: int, **options: object) -> Iterator[tuple[Broker, Capture]]:
    with Broker() as broker:
        given = {"filter_text": f"udp port {port}", **options}
        yield broker, broker.start(Options(("lo",), str(path), **given))  # type: ignore[arg-type]


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@root
def test_every_packet_of_the_loopback_interface_comes_once_and_drops_are_counted(tmp_path: Path, port: int) -> None:
    path = tmp_path / "a.pcapng"
    with capturing(path, port) as (_, capture):
        send(port, 500)
        capture.stop()
        assert capture.packets == capture.received == 500
        assert capture.dropped == 0
        assert capture.troubles == []
    assert packets_in(path) == 500
    session = open_session(str(path))
    assert [session.packet(n).data[42:48] for n in (1, 500)] == [b"000000", b"000499"]
    assert session.interfaces[0].name == "lo"
    assert session.interfaces[0].filter == f"udp port {port}"
    assert session.source.interface_statistics == [{"interface": 0, "received": 500, "dropped": 0, "dropped_by_os": 0}]
    session.close()


@root
@needs("tcpdump")
@pytest.mark.parametrize("interface", ["lo", "any"])
def test_live_sees_every_packet_that_tcpdump_sees(tmp_path: Path, port: int, interface: str) -> None:
    theirs = tmp_path / "theirs.pcap"
    own = tmp_path / "own.pcapng"
    # short frames and a large buffer: its ring holds a place of the snap length for each packet
    room = ("--immediate-mode", "-s", "2000", "-B", "16384")
    words = ["tcpdump", "-i", interface, *room, "-U", "-Z", "root", "-w", str(theirs), f"udp port {port}"]
    tcpdump = subprocess.Popen(words, stderr=subprocess.PIPE)
    live = subprocess.Popen(
        [*COMMAND, "-i", interface, "-f", f"udp port {port}", "-w", str(own)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert tcpdump.stderr is not None
        tcpdump.stderr.readline()
        until(lambda: own.exists() and own.stat().st_size)
        send(port, 300)
        time.sleep(0.5)
    finally:
        live.send_signal(signal.SIGINT)
        out, err = live.communicate(timeout=PATIENCE)
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait(PATIENCE)
        tcpdump.stderr.close()
    assert live.returncode == 0
    assert b"300 packets captured, 0 dropped by the kernel" in err
    assert out.count(b"\n") == 300
    mine, other = open_session(str(own)), open_session(str(theirs))
    assert mine.count == other.count == 300
    cut = 14 if interface == "lo" else 20
    assert [mine.packet(n).data[cut:] for n in range(1, 301)] == [other.packet(n).data[cut:] for n in range(1, 301)]
    mine.close()
    other.close()


@root
def test_a_line_is_there_soon(port: int) -> None:
    live = subprocess.Popen([*COMMAND, "-i", "lo", "-f", f"udp port {port}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert live.stdout is not None
    try:
        time.sleep(1.5)
        send(port, 1)
        live.stdout.readline()  # imports what dissects
        sent = time.monotonic()
        send(port, 1)
        line = live.stdout.readline()
        assert time.monotonic() - sent < 0.5  # a busy machine; 0.1 where it is not
        assert line.split()[0] == b"2"
    finally:
        live.send_signal(signal.SIGTERM)
        live.communicate(timeout=PATIENCE)
    assert live.returncode == 0


@root
def test_a_pipe_that_is_closed_ends_it_cleanly(tmp_path: Path, port: int) -> None:
    path = tmp_path / "a.pcapng"
    words = [*COMMAND, "-i", "lo", "-f", f"udp port {port}", "-w", str(path)]
    live = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert live.stdout is not None and live.stderr is not None
    until(lambda: path.exists() and path.stat().st_size)
    live.stdout.close()
    for _ in range(100):
        send(port, 1)
        if live.poll() is not None:
            break
        time.sleep(0.05)
    assert live.wait(PATIENCE) == 0
    assert live.stderr.read() == b""
    live.stderr.close()
    assert packets_in(path) > 0


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("whom", ["broker", "capturer"])
def test_signals_to_the_processes_lose_nothing(tmp_path: Path, port: int, whom: str, number: signal.Signals) -> None:
    path = tmp_path / "a.pcapng"
    with capturing(path, port) as (broker, capture):
        [child] = children(broker.pid)
        send(port, 50)
        until(lambda: capture.packets == 50)
        os.kill(broker.pid if whom == "broker" else child, number)
        assert capture.wait(PATIENCE)
        until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
        if number == signal.SIGKILL and whom == "capturer":
            assert capture.troubles == ["the capturing process was killed (signal 9)"]
    assert packets_in(path) == 50
    session = open_session(str(path))
    assert len(session.source.interface_statistics) == (0 if number == signal.SIGKILL and whom == "capturer" else 1)
    session.close()


@root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_file_is_ended_when_the_screen_goes(tmp_path: Path, port: int, number: signal.Signals) -> None:
    path = tmp_path / "a.pcapng"
    words = [*COMMAND, "-i", "lo", "-f", f"udp port {port}", "-w", str(path)]
    live = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: path.exists() and path.stat().st_size)
    [broker] = children(live.pid)
    send(port, 20)
    time.sleep(0.3)
    live.send_signal(number)
    live.wait(PATIENCE)
    until(lambda: not Path(f"/proc/{broker}").exists())
    session = open_session(str(path))
    assert session.count == 20
    assert session.source.interface_statistics[0]["received"] == 20
    session.close()


@root
def test_the_processes_hold_no_more_than_they_need(tmp_path: Path, port: int) -> None:
    def capabilities(pid: int) -> tuple[int, int]:
        status = Path(f"/proc/{pid}/status").read_text()
        values = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
        return int(values["CapEff"], 16), int(values["CapPrm"], 16)

    with capturing(tmp_path / "a.pcapng", port) as (broker, _):
        [child] = children(broker.pid)
        assert capabilities(broker.pid) == (1 << 13, 1 << 13)
        assert capabilities(child) == (0, 0)


@root
@pytest.mark.skipif(os.geteuid() != 0, reason="sudo is acted by root")
def test_started_with_sudo_the_file_is_the_users(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    folder = Path("/tmp") / f"osi-inspect-test-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    try:
        with capturing(folder / "a.pcapng", port) as (broker, capture):
            [child] = children(broker.pid)
            for pid in (broker.pid, child):
                line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid"))
                assert line.split()[1:] == ["65534"] * 4
            send(port, 3)
            capture.stop()
        assert (folder / "a.pcapng").stat().st_uid == 65534
        assert packets_in(folder / "a.pcapng") == 3
    finally:
        shutil.rmtree(folder)


@root
def test_it_stops_after_so_many_packets(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port, stop_packets=7) as (_, capture):
        send(port, 20)
        assert capture.wait(PATIENCE)
        assert capture.ended == "as many packets as were wanted"
    assert packets_in(tmp_path / "a.pcapng") == 7


@root
def test_it_stops_after_a_time_or_a_size(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port, stop_seconds=0.3) as (_, capture):
        assert capture.wait(PATIENCE)
        assert capture.ended == "the time is over"
    with capturing(tmp_path / "b.pcapng", port, stop_bytes=5000) as (_, capture):
        for _ in range(20):
            send(port, 20)
            time.sleep(0.02)
        assert capture.wait(PATIENCE)
        assert capture.ended == "the file is as large as was wanted"
    assert packets_in(tmp_path / "a.pcapng") == 0
    assert (tmp_path / "b.pcapng").stat().st_size >= 5000


@root
def test_the_snap_length_cuts(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port, snap=50, stop_packets=1) as (_, capture):
        send(port, 1)
        assert capture.wait(PATIENCE)
    session = open_session(str(tmp_path / "a.pcapng"))
    assert (len(session.packet(1).data), session.packet(1).wire_length) == (50, 14 + 28 + 70)
    session.close()


@root
def test_a_ring_of_files_keeps_the_last_ones(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port, ring_packets=10, ring_files=2) as (_, capture):
        send(port, 45)
        capture.stop()
        assert capture.packets == 45
    files = sorted(tmp_path.iterdir())
    assert [file.name[:8] for file in files] == ["a_00004_", "a_00005_"]
    assert [packets_in(file) for file in files] == [10, 5]
    assert str(files[-1]) == capture.path


@root
def test_it_stops_after_so_many_files(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port, ring_packets=10, stop_files=2) as (_, capture):
        send(port, 45)
        assert capture.wait(PATIENCE)
    assert capture.ended == "as many files as were wanted"
    assert [packets_in(file) for file in sorted(tmp_path.iterdir())] == [10, 10]


@root
def test_one_capture_after_the_other(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port) as (broker, first):
        send(port, 2)
        second = broker.start(Options(("lo",), str(tmp_path / "b.pcapng"), f"udp port {port}"))
        assert not first.running
        assert second.running
        send(port, 3)
    assert (packets_in(tmp_path / "a.pcapng"), packets_in(tmp_path / "b.pcapng")) == (2, 3)


@root
def test_a_capture_of_more_interfaces_after_another_tells_when_it_has_ended(tmp_path: Path, port: int) -> None:
    with capturing(tmp_path / "a.pcapng", port) as (broker, first):
        first.stop()
        links = ("lo", "any", "lo")  # its descriptors have the numbers that others had before
        second = broker.start(Options(links, str(tmp_path / "b.pcapng"), f"udp port {port}", stop_seconds=0.2))
        assert second.wait(PATIENCE)
        assert second.ended == "the time is over"


@root
def test_several_interfaces(tmp_path: Path, port: int) -> None:
    with Broker() as broker:
        capture = broker.start(Options(("lo", "any"), str(tmp_path / "a.pcapng"), f"udp port {port}"))
        send(port, 4)
        capture.stop()
    session = open_session(str(tmp_path / "a.pcapng"))
    assert [one.link_type for one in session.interfaces] == [1, 276]
    assert sorted(session.packet(n).interface for n in range(1, session.count + 1)) == [0] * 4 + [1] * 4
    rows = session.rows(1, 9)
    assert {row.protocol for row in rows} <= {"UDP", "Data"} or all(row.source == "127.0.0.1" for row in rows)
    session.close()


IN_A_NAMESPACE = """
import sys, subprocess, time, socket
from inspector.capture.client import Broker
from inspector.capture.options import Options
from inspector.core.errors import InspectError
from inspector.session import open_session

def ip(*words): subprocess.run(["ip", *words], check=True)
ip("link", "set", "lo", "up")
ip("link", "add", "one", "type", "veth", "peer", "name", "two")
for number, name in enumerate(("one", "two"), 1):
    ip("link", "set", name, "up")
    ip("addr", "add", f"10.0.0.{number}/24", "dev", name)

def send(count, to):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"one")
        for _ in range(count): sock.sendto(b"hello", (to, 9))
"""


def in_namespace(code: str, *words: str) -> str:
    done = subprocess.run(
        ["unshare", "-nm", sys.executable, "-c", IN_A_NAMESPACE + code, *words], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@root
@namespaces
@pytest.mark.parametrize(
    ("change", "says"),
    [("delete", "the interface one has vanished"), ("set", "the interface one went down")],
)
def test_an_interface_that_goes_ends_the_capture_and_keeps_the_packets(tmp_path: Path, change: str, says: str) -> None:
    code = """
with Broker() as broker:
    capture = broker.start(Options(("one",), sys.argv[1], "udp port 9"))
    send(5, "10.0.0.255")
    time.sleep(0.3)
    ip("link", sys.argv[2], "one", *(["down"] if sys.argv[2] == "set" else []))
    assert capture.wait(10), "it goes on"
    print(capture.troubles, capture.packets)
"""
    path = tmp_path / "a.pcapng"
    assert in_namespace(code, str(path), change).strip() == f"{[says]} 5"
    assert packets_in(path) == 5


@root
@namespaces
def test_of_several_interfaces_the_others_go_on(tmp_path: Path) -> None:
    code = """
with Broker() as broker:
    capture = broker.start(Options(("one", "lo"), sys.argv[1], "udp port 9"))
    send(5, "10.0.0.255")
    time.sleep(0.3)
    ip("link", "delete", "one")
    time.sleep(0.5)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
    time.sleep(0.3)
    assert capture.running
    capture.stop()
    print(capture.troubles, capture.packets)
"""
    assert in_namespace(code, str(tmp_path / "a.pcapng")).strip() == "['the interface one has vanished'] 6"


@root
@namespaces
def test_a_full_disk_keeps_what_was_captured(tmp_path: Path) -> None:
    code = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", sys.argv[1]], check=True)
with Broker() as broker:
    capture = broker.start(Options(("one",), sys.argv[1] + "/a.pcapng", "udp port 9"))
    for _ in range(40):
        send(50, "10.0.0.255")
        time.sleep(0.02)
    assert capture.wait(10)
    session = open_session(capture.path)
    assert session.damage is None, session.damage
    assert session.count == capture.packets > 500, (session.count, capture.packets)
    print(capture.troubles)
"""
    said = in_namespace(code, str(tmp_path))
    assert "cannot be written to any more: no space left on device" in said


@root
@namespaces
def test_vlan_tags_are_put_back(tmp_path: Path) -> None:
    code = """
with Broker() as broker:
    capture = broker.start(Options(("two",), sys.argv[1]))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("one", 0))
        sock.send(b"\\xff" * 6 + b"\\2" * 6 + b"\\x81\\0\\0\\7\\x88\\xb5" + b"marked" * 10)
    time.sleep(0.3)
    capture.stop()
session = open_session(sys.argv[1])
found = [session.packet(n) for n in range(1, session.count + 1) if b"marked" in session.packet(n).data]
print([(one.data[12:18].hex(), one.wire_length) for one in found])
"""
    assert in_namespace(code, str(tmp_path / "a.pcapng")).strip() == "[('8100000788b5', 78)]"


@root
@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root and setpriv")
def test_without_privilege_one_sentence_and_status_2(tmp_path: Path) -> None:
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    words = [*COMMAND, "-i", "lo", "-w", str(tmp_path / "a.pcapng")]
    done = subprocess.run([*without, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith("osi-inspect: capturing needs a privilege; run it with sudo")
    assert done.stderr.count("\n") == 1


@root
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-i", "nothing0"], "-i nothing0: no such interface; there are "),
        (["-i", "lo", "-f", "tcp prot 80"], "-f 'tcp prot 80': "),
        (["-i", "lo", "-w", "/nowhere/a.pcapng"], "/nowhere/a.pcapng: cannot be written: no such file or directory"),
        (["-i", "lo", "-a", "length:3"], "-a length:3: not a condition; use duration:N s"),
        (["-i", "lo", "-b", "files:3", "-w", "a.pcapng"], "-b files: a ring needs filesize:, duration: or packets:"),
        ([], "-i says where to capture"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(words: list[str], says: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith(f"osi-inspect: {says}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@root
@needs("dumpcap")
def test_dumpcap_does_the_capturing(tmp_path: Path, port: int) -> None:
    with Dumpcap() as dumpcap:
        capture = dumpcap.start(Options(("lo",), str(tmp_path / "a.pcapng"), f"udp port {port}", stop_packets=5, buffer_mib=2))
        send(port, 9)
        assert capture.wait(PATIENCE)
        assert capture.packets == 5
        with pytest.raises(InspectError, match="dumpcap: "):
            dumpcap.start(Options(("nothing0",), str(tmp_path / "b.pcapng")))
    assert packets_in(tmp_path / "a.pcapng") == 5


def test_conditions() -> None:
    known = ("duration", "filesize")
    assert conditions("-a", ["duration:1.5", "filesize:20"], known) == {"duration": 1.5, "filesize": 20_000}
    for wrong in ("duration", "duration:", "duration:-1", "duration:nan", "packets:3", "filesize:x"):
        with pytest.raises(InspectError):
            conditions("-a", [wrong], known)


def test_a_filter_for_packets_without_their_link_header_asks_the_kernel_for_it() -> None:
    try:
        code = compile_filter("udp", 276, 100, True)
    except InspectError as error:
        pytest.skip(str(error))
    loads = [code[at : at + 8] for at in range(0, len(code), 8) if code[at] in (0x28, 0x30)]
    # ldh the protocol where the kernel has it; ldb the IP header's protocol field, which lies 9 bytes into what is left
    assert loads[0] == bytes.fromhex("28000000 00f0ffff")
    assert bytes.fromhex("30000000 09000000") in loads


@pytest.mark.parametrize(("text", "refused"), [
    ("vlan 3", True), ("(vlan 3)", True), ("tcp or(vlan and ip)", True), ("!vlan", True), ("arp||vlan&&ip", True),
    ("ether host 00:00:5e:00:53:0a", False),
])  # fmt: skip
def test_a_filter_for_vlan_tags_is_refused_wherever_the_word_stands(text: str, refused: bool) -> None:
    try:
        compile_filter(text, 1, 100)
        assert not refused
    except InspectError as error:
        if "libpcap" in str(error):
            pytest.skip(str(error))
        assert refused and "takes VLAN tags off" in str(error)


def test_options_survive_the_way_to_the_capture_process() -> None:
    options = Options(("lo", "any"), "/a/ü.pcapng", "tcp", ("00ff",), stop_seconds=1.5)
    assert Options.read(options.text()) == options


def test_preparing_tells_of_an_unknown_interface() -> None:
    with pytest.raises(InspectError, match="no such interface"):
        prepared(Options(("nothing0",), "x"))
