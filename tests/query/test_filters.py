"""Display filters: the grammar, the types, what they find, and that tshark finds the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from inspector.dissection.engine import make_registry
from inspector.query import filters
from inspector.query.completion import completions
from inspector.query.exchanges import EXCHANGE, FINDING
from inspector.query.filters import FilterError
from inspector.session import Session, open_session
from inspector.sources.bundled import captures_folder

REGISTRY = make_registry()


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, Session]]:
    opened = {name: open_session(name) for name in ("http-get", "sse", "websocket-chat", "dns-udp", "https-tls13")}
    yield opened
    for session in opened.values():
        session.close()


WRONG = [  # filter, column (from 0) of the error, a piece of the message
    ("tcp.prot == 80", 0, "did you mean tcp.port?"),
    ("tcp.port == 80 && htp", 18, "did you mean http?"),
    ("tcp.port = 80", 9, "=="),
    ("tcp.port == ", 12, "ends too early"),
    ("(tcp", 4, "ends too early"),
    ("tcp)", 3, "“)”"),
    ('http.host == "x', 13, "closing quote"),
    ("tcp.port == 70000", 12, "too big"),
    ("tcp.port == abc", 12, "no number"),
    ("ip.src == 10.0.0.256", 10, "no IPv4 address"),
    ("ip.src == 10.0.0.0/33", 10, "prefix length"),
    ("ipv6.src == ::g", 12, "no IPv6 address"),
    ("eth.src == 00:11:22", 11, "no Ethernet address"),
    ("tcp contains GET", 13, "no bytes"),
    ("tcp.len contains 3", 0, "only texts and bytes"),
    ('http.host matches "("', 18, "regular expression"),
    ("http.host matches abc", 18, "double quotes"),
    ("tcp.port in {}", 13, "“}”"),
    ("tcp.port in {80 81}", 16, "“81”"),
    ("tcp[a] == 1", 4, "a range looks like"),
    ("tcp.len[0] == 1", 0, "slices"),
    ("lenn(http.host) > 1", 0, "len()"),
    ("upper(tcp.port) == 1", 0, "works on texts"),
    ("count(tcp.port, tcp.port) == 1", 0, "one value"),
    ("80 == 80", 0, "a field belongs here"),
    ("ip.src == tcp.port", 10, "cannot be compared"),
    ("tcp.flags.syn == maybe", 17, "neither true nor false"),
    ('frame.time > "yesterday"', 13, "no time"),
    ("tcp.options.mss_val == -", 24, "ends too early"),
    ("not", 3, "ends too early"),
    ('http.host == "\\q"', 13, "no escape"),
    ("frame.time_relative > fast", 22, "seconds"),
]


@pytest.mark.parametrize(("text", "column", "reason"), WRONG)
def test_a_wrong_filter_points_at_the_error(text: str, column: int, reason: str) -> None:
    with pytest.raises(FilterError) as found:
        filters.compile(text, REGISTRY)
    assert found.value.start == column
    assert found.value.start <= found.value.stop <= len(text)
    assert reason in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["(" * 3000 + "tcp" + ")" * 3000, "not " * 3000 + "tcp", "tcp or " * 5000 + "tcp"])
def test_no_filter_is_too_much(text: str) -> None:
    with pytest.raises(FilterError):
        filters.compile(text, REGISTRY)


def test_a_long_chain_is_fine(sessions: dict[str, Session]) -> None:
    text = " or ".join(["tcp.port == 80"] * 500)
    assert len(filters.compile(text, REGISTRY).matches(sessions["http-get"])) == 12


FOUND = [  # filters that tshark has no words for, or that it reads otherwise, and the packets that they find
    ("http-get", "", list(range(1, 21))),
    ("http-get", "tcp xor http", [9, 10, 11, 13, 14, 15, 17, 18, 19, 20]),
    ("http-get", "tcp ^^ http ^^ tcp.flags.syn == 1", [11, 13, 14, 15, 17, 18, 19, 20]),
    ("http-get", "frame.number in {3, 5..7}", [3, 5, 6, 7]),
    ("http-get", "frame[0] == frame[0] and frame.number < 3", [1, 2]),
    ("sse", 'sse.event == "order"', [18, 20, 26]),
    ("sse", "sse.data", [18, 20, 26, 28, 32, 34, 36]),
    ("sse", 'sse.data contains "Zürich"', [26]),
    ("sse", "count(sse.data) == 3", [20, 28]),
]


@pytest.mark.parametrize(("name", "text", "packets"), FOUND)
def test_what_a_filter_finds(sessions: dict[str, Session], name: str, text: str, packets: list[int]) -> None:
    session = sessions[name]
    found = filters.compile(text, session.registry).matches(session).tolist()
    assert found == packets


SAME = [  # the same in tshark, on every capture of `sessions`
    "tcp", "udp", "http", "dns", "arp", "tls.record.length > 100", "not tcp", "!(tcp or udp)", "tcp && !http",
    "eth.type == 0x0806",
    "tcp.port == 80", "tcp.port != 80", "tcp.port !== 80", "tcp.port === 80", "all tcp.port > 1024", "any tcp.port > 1024",
    "tcp.port in {80, 8000..9000}", "tcp.port not in {80, 443}", "tcp.srcport < tcp.dstport", "udp.port == 53",
    "ip.addr == 10.0.0.0/8", "ip.src in {10.0.0.0 .. 10.255.255.255, 192.168.0.0/16}", "ip.addr != 10.77.0.1",
    "tcp.flags.syn == 1 and tcp.flags.ack == 0", "tcp.flags & 0x12", "tcp.flags == 0x018", "tcp[13] & 2", "tcp[12:2] & 2",
    "tcp.len > 0", "tcp.len - 10 > 50", "tcp.len * 2 > 300", "{tcp.len + 20} / 2 > 100", "tcp.seq == 1 && tcp.len",
    "tcp.analysis.acks_frame", "tcp.analysis.ack_rtt < 0.0005", "tcp.analysis.flags",
    "frame.len > 100", "frame.len >= 0x42 and frame.len < 0b1000000", "frame.len > 0102", "frame.len > 'B'",
    "frame.time_relative > 0.001", "frame.time_delta >= 0.0001", 'frame.time > "2020-01-01 00:00:00"',
    "ip.ttl == 64", "ip.version == 4",
    "ip.proto == TCP", 'ip.proto == "UDP"', "eth.addr == ff:ff:ff:ff:ff:ff", "eth.dst[0:3] == ff:ff:ff",
    "eth.dst[0] == 0xff", "eth.dst[-1] == 0xff", "ip[0] == 45", "frame[0:2,4] == ff:ff:ff", "tcp[0:2] == 00:50",
    'tcp.payload[0:3] == "GET"', 'tcp.payload contains "HTTP/1.1"', "tcp.payload contains 48:54:54:50",
    "tcp.payload[-2:] == 0d:0a",
    'tcp contains "GET"', 'frame contains "Host"', 'http.request.method == "GET"', "http.request.method == GET",
    'http.request.method in {"GET", "POST"}', 'http.host matches "^[a-z0-9.:-]+$"', 'http.host ~ "LOCAL|EXAMPLE"',
    'http.request.uri matches "(?-i)ITEMS"', "http.response.code == 200", "http.response.code >= 300",
    'lower(http.host) contains "e"', "len(http.host) > 12", "count(ip.addr) == 2", "count(tcp.port) > 1",
    'string(tcp.dstport) matches "^8"', "max(tcp.srcport, tcp.dstport) > 40000", "abs(tcp.len) > 100",
    "dns.qry.type == 1", "dns.flags.response == 1 && dns.count.answers > 1", 'dns.qry.name contains "example"',
    "dns.flags.response == True", "tls.handshake.type == 1", "tls.handshake.type in {1, 2}", "websocket.opcode == 1",
    "websocket.mask == 1", "websocket", "ip.src == ip.dst", "tcp.window_size > 60000", "tcp.options.mss_val == 1460",
    "tcp.hdr_len > 20 && !tcp.flags.syn == 1", 'tcp.flags.syn == "Set"', "ip.addr#1 == 10.77.0.1", "ip.flags.df == 1",
    "tcp.stream eq 0", "tcp.ack > 1 or udp", "tcp and not http or udp", "not tcp.len == 0", "udp.length > 40",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("text", SAME)
def test_tshark_finds_the_same(sessions: dict[str, Session], text: str) -> None:
    name = ("dns-udp" if "dns" in text or "udp" in text else "websocket-chat" if "websocket" in text
            else "https-tls13" if "tls" in text else "http-get")  # fmt: skip
    path = captures_folder() / f"{name}.pcapng"
    command = ["tshark", "-n", "-r", str(path), "-Y", text, "-T", "fields", "-e", "frame.number"]
    environment = {**os.environ, "SSLKEYLOGFILE": ""}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    session = sessions[name]
    assert filters.compile(text, session.registry).matches(session).tolist() == [int(word) for word in run.stdout.split()]


@pytest.mark.parametrize("text", SAME)
def test_columns_say_what_dissection_says(sessions: dict[str, Session], text: str) -> None:
    for session in sessions.values():
        found = filters.compile(text, session.registry)
        each = [number for number in range(1, session.count + 1) if found.accepts(session, number)]
        assert found.matches(session).tolist() == each


def test_a_search_can_be_run_piece_by_piece(sessions: dict[str, Session]) -> None:
    session = sessions["http-get"]
    found = filters.compile("http or frame.number == 7", session.registry)
    shares: list[float] = []
    assert found.matches(session, 5, 14, shares.append).tolist() == [7, 12]
    assert shares[-1] == 1.0
    reached = [at for at, _ in found.search(session)]
    assert reached == sorted(reached) and reached[-1] == session.count + 1


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("tcp.flags.sy", "tcp.flags.syn"),
        ("udp and htt", "http"),
        ("tcp.flags.syn == ", "1"),
        ('dns.qry.type == "AA', "28"),
        ("tls.handshake.type in {1, ", "0"),
    ],
)
def test_completion(text: str, first: str) -> None:
    found = completions(text, REGISTRY)
    assert found[0].text == first
    filters.compile(text[: found[0].start] + found[0].text + ("}" if "{" in text else ""), REGISTRY)


def test_completion_knows_nothing_of_texts() -> None:
    assert completions('http.host == "tcp', REGISTRY) == []
    assert completions("tcp.flags.syn", REGISTRY) == []


TOLD = [  # capture, filter, packets that pass
    ("sse", "sse.event", [18, 20, 26, 28, 32, 36]),
    ("sse", "sse.id", [18, 20, 26, 28, 32]),
    ("sse", 'sse.id == "3"', [20]),
    ("sse", 'sse.data contains "A-100" && sse.id > "3"', [20, 26]),
    ("sse-tls", 'sse.event == "stock"', [36]),
    ("grpc-streams", "grpc.status", [17, 39, 56, 68, 71]),
    ("grpc-streams", "grpc.status == 0", [17, 39, 56, 68]),
    ("grpc-streams", "grpc.status in {1..16}", [71]),
    ("grpc-streams", 'exchange.protocol == "gRPC" && grpc.status == 5', [71]),
    ("https-http2-multiplex", 'exchange.protocol == "HTTP/2"', [57, 63, 73, 75, 76, 78]),
    ("https-http2-multiplex", 'exchange.url contains "theme"', [76]),
    ("https-http2-multiplex", "exchange.tls > 1", [78]),
    ("https-http2-multiplex", "exchange.duration > 1500", [73, 75, 76, 78]),
    ("http-keepalive", 'exchange.method == "HEAD"', [23]),
    ("http-keepalive", "exchange.number == 1", [14]),
    ("http-keepalive", "exchange.host", [14, 17, 19, 21, 23, 25]),
    ("http-keepalive", 'exchange.type == "text/css"', [19]),
    ("http-keepalive", "exchange.stream == 0 && exchange.status in {300..399}", [14, 21]),
    ("sse", "exchange.items > 3", [38]),
    ("sse-cut", "exchange.number && !exchange.complete", [20]),
    ("http-get", "exchange.dns > 0 && exchange.connect > 0 && exchange.ttfb > 0", [16]),
    ("http-get", "exchange.send >= 0 && exchange.receive >= 0", [16]),
    ("http-get", "exchange.size > 1000 && exchange.request_size < 100", [16]),
    ("http-get", "exchange.tls", []),
    ("tcp-zero-window", 'finding.code == "zero-window"', [17, 23]),
    ("tcp-zero-window", "finding.error == 1", [17, 23]),
    ("tcp-loss", "finding.warn", [187]),
    ("tcp-loss", "finding.note >= 1", [63]),
]


@pytest.mark.parametrize(("name", "text", "packets"), TOLD)
def test_names_of_our_own(name: str, text: str, packets: list[int]) -> None:
    session = open_session(name)
    assert filters.compile(text, session.registry).matches(session).tolist() == packets
    session.close()


def test_every_name_of_exchanges_and_findings_is_tested_above() -> None:
    named = {*EXCHANGE, *FINDING, "sse.event", "sse.data", "sse.id", "grpc.status"}
    assert not [name for name in sorted(named) if not any(name in text for _, text, _ in TOLD)]
