"""The bundled captures and their catalogue: they belong together, point at nobody, and say what is there.

The reader of pcapng blocks here is the test's own, so that what is checked is the files and not our reader.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import shutil
import struct
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from inspector.session import open_session

CAPTURES = Path(__file__).resolve().parent.parent / "captures"
CATALOG: dict[str, dict[str, Any]] = tomllib.loads((CAPTURES / "catalog.toml").read_text())
NAMES = sorted(CATALOG)
WANTED = {
    "http-get", "http-get-lo", "http-post-json", "http-keepalive", "https-tls12", "https-tls12-keys", "https-tls13",
    "tls-bad-certificate", "sse", "sse-cut", "websocket-chat", "dns-udp", "tcp-refused", "tcp-reset",
    "https-http2-multiplex", "http1-six-connections", "http1-pipelining", "sse-tls", "websocket-tls", "grpc-streams",
    "tcp-loss", "tcp-zero-window", "tls13-resumption", "tls13-hello-retry", "short-polling", "long-polling", "async-job",
    "slow-server", "cookie-session", "jwt", "sse-buffered-by-proxy", "nagle-delayed-ack", "keepalive-race",
}  # fmt: skip
OTHERS = {"lessons.toml", "catalog.toml", "grpc-streams.proto"}
LOSSY = {"tcp-loss", "tcp-zero-window"}  # segments are lost, or sent again, on purpose
WITH_SECRETS = {
    "https-tls13", "tls-bad-certificate", "https-http2-multiplex", "http1-six-connections", "sse-tls", "websocket-tls",
    "tls13-resumption", "tls13-hello-retry", "https-tls12-keys",
}  # fmt: skip

SECTION, INTERFACE, STATISTICS, PACKET, SECRETS = 0x0A0D0D0A, 1, 5, 6, 0x0A
COMMENT, APPLICATION = 1, 4
SECTION_OPTIONS = {COMMENT, APPLICATION}  # not 2 and 3: hardware, operating system
INTERFACE_OPTIONS = {2, 3, 9}  # name, description, resolution; not 12 and 15: operating system, hardware
TELLTALES = re.compile(rb"(?i)linux|debian|ubuntu|fedora|x86[-_]64|amd64|aarch64|intel|xeon|epyc|/home/|/root/|/tmp/")
# RFC 5737, RFC 3849, RFC 7042 (section 2.1.2), and addresses that mean the same to everybody
DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "127.0.0.0/8", "2001:db8::/32", "ff02::/16")]
MACS = re.compile(rb"\x00\x00\x5e\x00\x53.|\x33\x33....|\xff{6}|\x00{6}", re.DOTALL)
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD


def blocks(name: str) -> Iterator[tuple[int, bytes]]:
    data = (CAPTURES / f"{name}.pcapng").read_bytes()
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<2I", data, at)
        assert size >= 12 and size % 4 == 0 and data[at + size - 4 : at + size] == struct.pack("<I", size)
        yield kind, data[at + 8 : at + size - 4]
        at += size


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        code, size = struct.unpack_from("<2H", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def packets(name: str) -> Iterator[tuple[bytes, bytes]]:
    """Each packet's bytes and the options of its block."""
    for kind, body in blocks(name):
        if kind == PACKET:
            size, wire = struct.unpack_from("<2I", body, 12)
            assert size == wire, "a packet was cut off"
            yield body[20 : 20 + size], body[20 + size + -size % 4 :]


@functools.cache
def tshark(name: str, *args: str) -> str:
    path = str(CAPTURES / f"{name}.pcapng")
    grpc = ("-d", "tcp.port==50051,http2")  # a port that tshark does not know
    return subprocess.run(["tshark", "-n", *grpc, "-r", path, *args], capture_output=True, text=True, check=True).stdout


def test_every_file_has_an_entry_and_every_entry_a_file() -> None:
    assert {path.stem for path in CAPTURES.glob("*.pcapng")} == set(CATALOG) == WANTED
    assert {path.name for path in CAPTURES.iterdir()} == {f"{name}.pcapng" for name in CATALOG} | OTHERS


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in CAPTURES.iterdir()) <= 5_000_000


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_what_there_is_to_learn(name: str) -> None:
    entry = CATALOG[name]
    assert len(entry["title"]) > 10
    assert entry["vantage"] == ("proxy" if name == "sse-buffered-by-proxy" else "client")
    assert len(re.findall(r"[.?!](?: |$)", entry["teaches"])) >= 2, "two or three sentences"
    assert entry["peers"] and all(re.fullmatch(r"\S+ \d+(\.\d+)+", peer) for peer in entry["peers"]), "programs with versions"
    assert len(entry["packets"]) >= 3
    numbers = [look["n"] for look in entry["packets"]]
    assert numbers == sorted(numbers) and numbers[0] >= 1 and numbers[-1] <= entry["facts"]["packets"]
    assert all(look["look"].endswith((".", "?", "!")) for look in entry["packets"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_recording_machine(name: str) -> None:
    seen = []
    for kind, body in blocks(name):
        seen.append(kind)
        if kind == SECTION:
            assert {code for code, _ in options(body[16:])} <= SECTION_OPTIONS
            assert all(b"(" not in value for code, value in options(body[16:]) if code == APPLICATION), "a build"
        elif kind == INTERFACE:
            assert {code for code, _ in options(body[8:])} <= INTERFACE_OPTIONS
        else:
            assert kind in (PACKET, SECRETS, STATISTICS)
    assert seen[0] == SECTION and seen.count(SECTION) == seen.count(INTERFACE) == 1
    data = (CAPTURES / f"{name}.pcapng").read_bytes().replace(b"(linux; chttp2)", b"")  # gRPC's user-agent says so itself
    assert not TELLTALES.findall(data)


@pytest.mark.parametrize("name", NAMES)
def test_addresses_are_those_for_documentation(name: str) -> None:
    for number, (frame, _) in enumerate(packets(name), 1):
        assert MACS.fullmatch(frame[:6]) and MACS.fullmatch(frame[6:12]), f"packet {number}: {frame[:12].hex(':')}"
        kind = int.from_bytes(frame[12:14], "big")
        assert kind in (IPV4, ARP, IPV6), f"packet {number}"
        where = {IPV4: ((26, 30), (30, 34)), ARP: ((28, 32), (38, 42)), IPV6: ((22, 38), (38, 54))}[kind]
        for start, stop in where:
            address = ipaddress.ip_address(frame[start:stop])
            assert any(address in net for net in DOCUMENTATION), f"packet {number}: {address}"


@pytest.mark.parametrize("name", NAMES)
def test_comments(name: str) -> None:
    """The section says what the capture is; a packet's comment is a sentence of the catalogue."""
    section = next(body for kind, body in blocks(name) if kind == SECTION)
    assert any(code == COMMENT and CATALOG[name]["title"] in value.decode() for code, value in options(section[16:]))
    looks = {(look["n"], look["look"]) for look in CATALOG[name]["packets"]}
    commented = 0
    for number, (_, more) in enumerate(packets(name), 1):
        for code, value in options(more):
            if code == COMMENT:
                assert (number, value.decode()) in looks
                commented += 1
    assert commented


@pytest.mark.parametrize("name", NAMES)
def test_packets_are_as_on_a_wire(name: str) -> None:
    """No segment longer than an Ethernet frame, except where offloads are what is to be seen."""
    sizes = [len(frame) for frame, _ in packets(name)]
    assert len(sizes) == CATALOG[name]["facts"]["packets"]
    assert (max(sizes) <= 1514) == (name != "http-get-lo")


def test_secrets_are_where_they_are_announced() -> None:
    logs = {name: b"".join(body[8:] for kind, body in blocks(name) if kind == SECRETS) for name in NAMES}
    assert {name for name, log in logs.items() if log} == WITH_SECRETS
    labels = re.findall(rb"(?m)^(\w+) [0-9a-f]{64} [0-9a-f]{96}$", logs["https-tls13"])
    ends = {side + which for side in (b"CLIENT", b"SERVER") for which in (b"_HANDSHAKE_TRAFFIC_SECRET", b"_TRAFFIC_SECRET_0")}
    assert ends <= set(labels)


needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def numbers(name: str, where: str) -> list[int]:
    """The packets that match a display filter."""
    return [int(number) for number in tshark(name, "-Y", where, "-T", "fields", "-e", "frame.number").split()]


@needs_tshark
@pytest.mark.parametrize("name", NAMES)
def test_facts_agree_with_tshark(name: str) -> None:
    facts = dict(CATALOG[name]["facts"])
    shown = tshark(name, "-T", "fields", "-e", "frame.protocols", "-e", "tcp.stream", "-e", "udp.stream").splitlines()
    rows = [(protocols.split(":"), tcp, udp) for protocols, tcp, udp in (line.split("\t") for line in shown)]
    own = [row for row in rows if "icmp" not in row[0]]  # an ICMP error quotes a conversation, it is not one
    assert len(rows) == facts.pop("packets")
    assert len({tcp for _, tcp, _ in own if tcp}) == facts.pop("tcp_conversations")
    assert len({udp for _, _, udp in own if udp}) == facts.pop("udp_conversations")
    if "events" in facts:
        assert sum(len(ended) for *_, ended in server_sent(name)) == facts.pop("events")
    for protocol, count in facts.items():
        assert len(numbers(name, protocol)) == count, protocol


@needs_tshark
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"http-get-lo"}))
def test_checksums_are_right_and_nothing_was_lost(name: str) -> None:
    checked = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
    bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed"
    lost = "" if name in LOSSY else " || tcp.analysis.retransmission || tcp.analysis.lost_segment"
    assert tshark(name, *checked, "-Y", f"{bad}{lost}") == ""


SCENES = [
    ("http-get", "arp.opcode == 2"),
    ("http-get", "dns.a == 192.0.2.80"),
    ("http-get", "tcp.len == 1448"),  # what fits into 1,500 bytes beside IPv4, TCP and time stamps
    ("http-get-lo", "frame.len > 1514"),
    ("http-post-json", "http.request.method == POST && json"),
    ("http-post-json", "http.set_cookie"),
    ("http-post-json", "http.content_encoding == gzip"),
    ("http-keepalive", "http.response.code == 301"),
    ("http-keepalive", "http.response.code == 304"),
    ("http-keepalive", "http.request.method == HEAD"),
    ("https-tls12", "tls.handshake.type == 11"),  # Certificate, in clear
    ("https-tls12", "tls.handshake.type == 2 && !tls.handshake.extensions.supported_version"),
    ("https-tls12-keys", "tls.handshake.ciphersuite == 0xc02f && tls.handshake.type == 2"),  # AES-GCM
    ("https-tls12-keys", "tls.handshake.extension.type == 22 && tls.handshake.type == 2 && tcp.stream == 1"),
    ("https-tls12-keys", "tcp.stream == 1 && tls.record.length == 416 && http.response.code == 200"),  # CBC, decrypted
    ("https-tls12-keys", "tcp.stream == 2 && tls.record.length == 382 && http.response.code == 200"),
    ("https-tls13", "tls.handshake.type == 2 && tls.handshake.extensions.supported_version == 0x0304"),
    ("https-tls13", "tls && http.response.code == 200"),  # decrypted with the secrets in the file
    ("tls-bad-certificate", "tls.alert_message.desc == 48 && ip.src == 192.0.2.10"),  # unknown_ca
    ("websocket-chat", "websocket.opcode == 9"),
    ("websocket-chat", "websocket.opcode == 10"),
    ("websocket-chat", "websocket.opcode == 0 && websocket.fin == 1"),
    ("websocket-chat", "websocket.opcode == 8"),
    ("websocket-chat", 'http.response.code == 101 && http contains "permessage-deflate"'),
    ("dns-udp", "udp && dns.flags.rcode == 3"),
    ("dns-udp", "udp && dns.cname"),
    ("https-http2-multiplex", "http2.type == 1 && http2.streamid == 11"),  # the sixth request
    ("http1-six-connections", "tcp.stream == 5 && http.response.code == 200"),
    ("http1-pipelining", "http.response && tcp.srcport == 80"),
    ("sse-tls", "tls && http.content_type contains \"text/event-stream\""),
    ("websocket-tls", "tls && websocket.opcode == 9"),
    ("grpc-streams", "http2.header.name == \"grpc-status\""),
    ("tcp-loss", "tcp.analysis.fast_retransmission"),
    ("tcp-zero-window", "tcp.analysis.zero_window"),
    ("tls13-resumption", "tls.handshake.type == 2 && tls.handshake.extension.type == 41"),
    ("tls13-hello-retry", "tls.handshake.type == 2 && tls.handshake.extensions_key_share_selected_group == 24"),
    ("async-job", "http.response.code == 202 && http.location"),
    ("cookie-session", "http.cookie && tcp.stream == 2"),
    ("jwt", 'http.response.code == 401 && http.www_authenticate contains "invalid_token"'),
    ("nagle-delayed-ack", "tcp.srcport == 80 && tcp.len == 0 && tcp.time_delta > 0.03"),
    ("keepalive-race", "tcp.flags.reset == 1 && tcp.srcport == 80"),
    ("tcp-refused", "tcp.flags.reset == 1 && tcp.seq == 1 && tcp.ack == 1"),
    ("tcp-reset", "tcp.flags.reset == 1 && ip.src == 192.0.2.80 && tcp.seq > 1"),
]  # fmt: skip


@needs_tshark
@pytest.mark.parametrize(("name", "where"), SCENES)
def test_what_a_capture_is_to_show_is_in_it(name: str, where: str) -> None:
    assert numbers(name, where)


@needs_tshark
@pytest.mark.parametrize("name", ["https-http2-multiplex", "http1-six-connections"])
def test_six_requests_are_under_way_at_once(name: str) -> None:
    session = open_session(name)
    try:
        found = session.exchanges()
        assert len(found) == 6 and max(one.begun for one in found) < min(one.ended for one in found)
    finally:
        session.close()


def test_requests_share_a_connection() -> None:
    assert CATALOG["http-keepalive"]["facts"]["tcp_conversations"] == 1
    assert len(numbers("http-keepalive", "http.request")) >= 4


@needs_tshark
def test_several_websocket_frames_in_one_segment() -> None:
    shown = tshark("websocket-chat", "-Y", "websocket", "-T", "fields", "-e", "websocket.opcode").splitlines()
    assert max(len(opcodes.split(",")) for opcodes in shown) >= 3
    assert CATALOG["websocket-chat"]["facts"]["tcp_conversations"] == 3


EMPTY_LINE = re.compile(rb"\r\n\r\n|\n\n")


def server_sent(name: str) -> list[tuple[int, bytes, list[bytes]]]:
    """For each segment of chunked event streams: connection, the chunked bytes, and the events that it completes.

    Nothing was lost or reordered, so that the segments in packet order are the stream.
    """
    shown = tshark(name, "-Y", "tcp.srcport == 80 && tcp.len > 0", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.payload")
    raw: dict[int, bytes] = {}
    done: dict[int, int] = {}
    segments = []
    for line in shown.splitlines():
        stream, payload = int(line.split("\t")[0]), bytes.fromhex(line.split("\t")[1])
        raw[stream] = raw.get(stream, b"") + payload
        events = [event for event in EMPTY_LINE.split(dechunked(raw[stream]))[:-1] if b"data:" in event]
        segments.append((stream, payload, events[done.get(stream, 0) :]))
        done[stream] = len(events)
    return segments


def dechunked(response: bytes) -> bytes:
    """The body of a chunked response as far as it has come."""
    rest, body = response.partition(b"\r\n\r\n")[2], b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


@needs_tshark
def test_events_one_several_and_less_than_one_in_a_segment() -> None:
    counts = [len(ended) for _, payload, ended in server_sent("sse")]
    assert 1 in counts and max(counts) >= 2
    begun = [payload for _, payload, ended in server_sent("sse") if not ended and b"data:" in payload]
    assert begun, "no event begins in one segment and ends in another"


@needs_tshark
def test_a_cut_stream_ends_within_an_event() -> None:
    first = b"".join(payload for stream, payload, _ in server_sent("sse-cut") if stream == 0)
    body = dechunked(first)
    assert EMPTY_LINE.split(body)[-1], "the last event has an end"
    assert not first.endswith(b"0\r\n\r\n"), "the chunked body has an end"


@pytest.mark.parametrize("name", NAMES)
def test_we_see_what_is_announced_and_nothing_else(name: str) -> None:
    """Every packet dissects; no bug shows up as an issue, and no issue is a surprise."""
    session = open_session(str(CAPTURES / f"{name}.pcapng"))
    try:
        assert session.damage is None
        assert session.count == CATALOG[name]["facts"]["packets"]
        issues = {
            issue.code: number
            for number in range(1, session.count + 1)
            for layer in session.dissect(number).layers
            for issue in layer.issues
        }
        assert set(issues) <= set(CATALOG[name]["expect"]), issues
        commented = {number for number in range(1, session.count + 1) if session.comments(number)}
        assert commented and commented <= {look["n"] for look in CATALOG[name]["packets"]}
    finally:
        session.close()


@pytest.mark.parametrize(
    ("capture", "spoken"),
    [
        ("http-get", "HTTP/1.1"),
        ("https-http2-multiplex", "HTTP/2 in TLS"),
        ("websocket-tls", "WebSocket in TLS"),
        ("websocket-chat", "WebSocket"),
        ("https-tls12", "TLS"),  # it has no keys
    ],
)
def test_what_conversations_speak_is_told_to_the_innermost(capture: str, spoken: str) -> None:
    with closing(open_session(capture)) as session:
        flows = [flow for flow in range(len(session.index.flows)) if session.index.flows.protocol(flow) == 6]
        assert flows and {session.application(flow) for flow in flows} == {spoken}
