"""What a capture says never acts on the terminal, whatever command prints it; and what a machine lacks is done without."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from inspector.capture.interfaces import Link
from inspector.capture.recording import Recorded
from inspector.cli import app
from inspector.cli.common import packet_line
from inspector.core.packet import Interface, Packet
from inspector.export.pcapng import Extras, write
from inspector.session import open_session

ESCAPES = "\x1b]0;owned\x07\x1b]8;;http://a\x1b\\x\x1b]52;c;aGk=\x07\x9b2J"
HIDDEN = "\u202egpj.exe\u2066\u200b\u200d\ufeff\u3164\ufe0f\u00a0"
EVIL = f"{ESCAPES}[bold red]x[/]{HIDDEN}漢字"
# Anything that a terminal obeys, or that shows nothing or turns text around. Lines end in a line feed, cells in a tab.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]")
A, B, M = bytes([192, 0, 2, 10]), bytes([192, 0, 2, 80]), b"\x02\0\0\0\0\1"
COMMANDS = [
    ["show"], ["show", "-x"], ["show", "--json"], ["flows"], ["flows", "--json"], ["info"], ["exchanges"],
    ["exchanges", "--json"], ["exchanges", "--har"], ["exchanges", "--with-secrets"], ["findings"], ["findings", "--json"],
    ["explain"], ["explain", "--all"], ["explain", "--json"], ["patterns"], ["patterns", "--json"], ["info", "--json"],
    ["state", "-n", "1-9"], ["state", "--json"], ["walk", "-n", "1-9"], ["walk", "-n", "1-9", "--json"],
    ["follow", "--stream", "0"], ["follow", "--stream", "0", "--json"], ["follow", "--stream", "0", "--hex"],
    ["follow", "--stream", "udp:0"], ["follow", "--stream", "http:0"], ["follow", "--stream", "websocket:3"],
    ["follow", "--stream", "http:2", "--json"], ["show", "-Y", 'http.host contains "owned"'], ["open"],
    ["fields", "-e", "http.request.uri", "-e", "http.host", "-e", "dns.qry.name", "-e", "sse.data", "-e", "frame.comment",
     "-e", "tls.handshake.extensions_server_name", "-e", "http.authorization", "-e", "x509sat.uTF8String",
     "-e", "x509ce.dNSName"],
]  # fmt: skip


def ip(protocol: int, source: bytes, target: bytes, data: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0, source, target)
    return M + M + b"\x08\x00" + head + data


def tcp(sport: int, dport: int, seq: int, ack: int, flags: int, data: bytes = b"") -> bytes:
    ends = (A, B) if dport < sport else (B, A)
    return ip(6, *ends, struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + data)


def client_hello(name: bytes) -> bytes:
    entry = b"\0" + struct.pack(">H", len(name)) + name
    server_name = struct.pack(">HHH", 0, len(entry) + 2, len(entry)) + entry
    body = b"\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0" + struct.pack(">H", len(server_name)) + server_name
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def certificate() -> bytes:
    """A ServerHello and a certificate whose subject, issuer and other names are hostile."""
    key = ed25519.Ed25519PrivateKey.generate()
    names = (NameOID.COMMON_NAME, EVIL[:60]), (NameOID.ORGANIZATION_NAME, EVIL[:60])
    subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in names])
    other = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("http://[bold]x[/]"), x509.DNSName("a\x1b[2J\x07b")])
    start = datetime(2024, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(start).not_valid_after(start).add_extension(other, critical=False)
    der = made.sign(key, None).public_bytes(Encoding.DER)
    chain = len(der).to_bytes(3, "big") + der
    answer = b"\x02\0\0\x26\x03\x03" + bytes(32) + b"\0\xc0\x2f\0"
    body = answer + b"\x0b" + (len(chain) + 3).to_bytes(3, "big") + len(chain).to_bytes(3, "big") + chain
    return b"\x16\x03\x03" + struct.pack(">H", len(body)) + body


def frames() -> list[bytes]:
    evil = EVIL.encode()
    label = evil[:60]
    question = b"\0\1\x01\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) + label + b"\0\0\1\0\1"
    request = b"GET /" + evil + b" HTTP/1.1\r\nHost: " + evil + b"\r\nAuthorization: Bearer s3cr3t\r\nX: " + evil + b"\r\n\r\n"
    head = b"HTTP/1.1 200 " + evil + b"\r\nContent-Type: text/event-stream\r\nServer: " + evil + b"\r\n\r\n"
    events = b"id: " + evil + b"\nevent: " + evil + b"\ndata: " + evil + b"\n\n"
    quoted = ip(17, A, B, struct.pack(">HHHH", 9, 10, 8, 0))[14:]
    return [
        ip(17, A, B, struct.pack(">HHHH", 5000, 53, 8 + len(question), 0) + question),
        tcp(40000, 80, 99, 0, 2), tcp(80, 40000, 499, 100, 18), tcp(40000, 80, 100, 500, 24, request),
        tcp(80, 40000, 500, 100 + len(request), 24, head + events),
        tcp(40001, 443, 99, 0, 2), tcp(40001, 443, 100, 0, 24, client_hello(evil)), tcp(443, 40001, 0, 0, 24, certificate()),
        ip(1, B, A, bytes.fromhex("0303000000000000") + quoted),  # quotes a conversation that is not in the capture
    ]  # fmt: skip


def talks() -> list[bytes]:
    """What other protocols carry of texts: hostile in every place."""
    evil, short = EVIL.encode(), EVIL.encode()[:60]
    claims = base64.urlsafe_b64encode(json.dumps({"sub": EVIL, EVIL: "x", "exp": 1}).encode()).rstrip(b"=")
    token = base64.urlsafe_b64encode(json.dumps({"alg": EVIL[:20]}).encode()).rstrip(b"=") + b"." + claims + b".c2ln"
    part = (
        b'--x\r\nContent-Disposition: form-data; name="'
        + evil
        + b'"; filename="../'
        + evil
        + b'"\r\n\r\n'
        + evil
        + b"\r\n--x--\r\n"
    )
    bodies = {
        b"application/json": json.dumps({EVIL: [EVIL, {EVIL: 1}]}, ensure_ascii=False).encode(),
        b"application/x-www-form-urlencoded": evil + b"=" + evil + b"&" + quote(EVIL).encode() + b"=1",
        b"multipart/form-data; boundary=x": part,
        b"text/html; charset=" + short: evil,
        b"application/problem+json": b'{"detail": "' + evil + b'"',
    }
    asked = b"".join(
        b"POST /" + evil + b"?token=" + evil + b" HTTP/1.1\r\nHost: " + evil + b"\r\nCookie: " + short + b"=" + evil
        + b"\r\nAuthorization: Bearer " + token + b"\r\nIf-None-Match: " + evil + b"\r\nRange: " + evil
        + b"\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for kind, body in bodies.items()
    )  # fmt: skip
    answered = b"".join(
        b"HTTP/1.1 302 " + evil + b"\r\nLocation: " + evil + b"\r\nSet-Cookie: " + short + b"=" + evil + b"; Domain=" + evil
        + b"; Expires=" + evil + b"\r\nWWW-Authenticate: " + evil + b"\r\nVary: " + evil + b"\r\nRetry-After: " + evil
        + b"\r\nContent-Range: " + evil + b"\r\nContent-Encoding: " + short + b"\r\nContent-Length: 0\r\n\r\n"
        for _ in bodies
    )  # fmt: skip
    size = len(evil).to_bytes(2, "big")
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: " + evil + b"\r\n"
    socket_ask = b"GET /s HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: eA==\r\n" + upgrade + b"\r\n"
    close = b"\x88\x7e" + (len(evil) + 2).to_bytes(2, "big") + b"\x03\xe8" + evil
    socket_said = (
        b"HTTP/1.1 101 " + evil + b"\r\n" + upgrade + b"\r\n\x81\x7e" + size + evil + b"\x82\x7e" + size + evil + close
    )
    line = evil.replace(b"\n", b"") + b"\r\n"
    startup = b"\0\3\0\0user\0" + evil + b"\0database\0" + evil + b"\0\0"
    query = b"Q" + (len(evil) + 5).to_bytes(4, "big") + evil + b"\0"
    wrong = b"SERROR\0M" + evil + b"\0\0"
    conversations = [
        (80, asked, answered), (80, socket_ask, socket_said),
        (25, b"EHLO " + line + b"MAIL FROM:<" + line + b"X" + line, b"220 " + line + b"250 " + line + b"550 " + line),
        (21, b"USER " + line + b"RETR " + line + line, b"220 " + line + b"230-" + line + b"230 " + line),
        (110, b"USER " + line + line, b"+OK " + line + b"-ERR " + line),
        (143, b"a LOGIN " + line + b"b " + line, b"* OK " + line + b"a NO " + line),
        (5432, (len(startup) + 4).to_bytes(4, "big") + startup + query, b"E" + (len(wrong) + 4).to_bytes(4, "big") + wrong),
        (2323, line * 3, line * 3),
    ]  # fmt: skip
    found = [ip(17, A, B, struct.pack(">HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp) for dhcp in [dhcp_request(short)]]
    found += [ip(17, A, B, struct.pack(">HHHH", 5353, 5353, 8 + len(name), 0) + name) for name in [text_record(short)]]
    for at, (port, ask, answer) in enumerate(conversations):
        client = 41000 + at
        found += [
            tcp(client, port, 99, 0, 2), tcp(port, client, 499, 100, 18), tcp(client, port, 100, 500, 24, ask),
            tcp(port, client, 500, 100 + len(ask), 24, answer), tcp(client, port, 100 + len(ask), 500 + len(answer), 17),
        ]  # fmt: skip
    return found


def dhcp_request(name: bytes) -> bytes:
    """With a hostile host name, vendor class and boot file (RFC 2132)."""
    options = b"".join(bytes([code, len(name)]) + name for code in (12, 15, 60, 81)) + b"\xff"
    return bytes.fromhex("01010600 00000007") + bytes(28 + 8) + name.ljust(64, b"\0") + name.ljust(128, b"\0") + bytes.fromhex(
        "63825363 350101"
    ) + options  # fmt: skip


def text_record(label: bytes) -> bytes:
    """An mDNS answer: a pointer to a hostile name, and hostile text (RFC 6763)."""
    name = bytes([len(label)]) + label + b"\0"
    records = ((12, name), (16, bytes([len(label)]) + label), (33, bytes(6) + name), (13, bytes([len(label)]) + label + b"\0"))
    body = b"".join(name + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in records)
    return b"\0\0\x84\0\0\0" + len(records).to_bytes(2, "big") + bytes(4) + body


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "\x1b[31m[bold]\u202e.pcapng"
    packets = [Packet(n, n * 1_000_000, 1, len(data), data) for n, data in enumerate([*frames(), *talks()], 1)]
    owner = f"{ESCAPES} (process 7): its socket was seen"
    extras = Extras({1: [EVIL], 2: [owner]}, names={"192.0.2.10": EVIL}, section=[EVIL])
    write(str(path), [Interface(1, 0, EVIL, EVIL, "", EVIL)], packets, extras)
    return str(path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_of_a_capture_reaches_the_terminal_as_it_is(
    command: list[str], capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app([command[0], capture, *command[1:]]) == 0
    out = capsys.readouterr()
    found = UNSAFE.search(out.out + out.err)
    assert found is None, repr((out.out + out.err)[max(found.start() - 80, 0) : found.end() + 20])


def assert_safe(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    found = UNSAFE.search(out.out + out.err)
    assert found is None, repr((out.out + out.err)[max(found.start() - 80, 0) : found.end() + 20])
    return out.out + out.err


def test_cards_conditions_and_live_lines(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    protocols = ["http", "dns", "tls.handshake", "sse", "websocket", "smtp", "ftp", "pop", "imap", "pgsql", "dhcp", "json"]
    assert app(["card", *protocols, "--file", capture]) == 0 and app(["card", *protocols, "--file", capture, "--json"]) == 0
    assert app(["assert", capture, 'exchange.url contains "nothing" and finding.error == 0']) == 1
    assert "fails" in assert_safe(capsys)
    session = open_session(capture)
    for number in range(1, session.count + 1):  # as `live` prints them
        for deep in (True, False):
            print(packet_line(session.row(number, deep)))
    session.close()
    assert "owned" in assert_safe(capsys)


def test_every_field_that_the_capture_has(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    session = open_session(capture)
    names = {f.name for n in range(1, session.count + 1) for layer in session.dissect(n).layers for f in layer.walk()}
    session.close()
    known = [name for name in sorted(names) if not name.startswith("borrowed.")]
    assert len(known) > 250
    assert app(["fields", capture, *(word for name in known for word in ("-e", name))]) == 0
    assert assert_safe(capsys).count("]0;owned") > 100


def test_interfaces_and_processes_call_themselves_what_they_like(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Link("\x1b]0;x\x07\u202e", 7, 1, False, True, False, ("192.0.2.1",), 3)
    monkeypatch.setattr("inspector.capture.interfaces.links", lambda: [link])
    assert app(["interfaces"]) == 0 and app(["interfaces", "--json"]) == 0
    monkeypatch.setattr("inspector.capture.recording.record", lambda *_: Recorded(0, EVIL, 0, [f"{EVIL} spoke TLS"]))
    monkeypatch.setattr("inspector.cli.record._print_exchanges", lambda path: None)
    app(["record", "--no-open", "--", "true"])
    assert assert_safe(capsys).count("]0;") == 4


def test_the_names_of_files_are_printed_with_care(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m\u202e.pcap"
    path.write_bytes(b"no capture")
    for name in (path, tmp_path / "\x1b]0;x\x07"):
        done = run(["show", str(name)])
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert not UNSAFE.search(done.stderr.replace("\n", "")), repr(done.stderr)


def test_the_capture_has_hostile_text_in_every_place(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests above look at nothing if these do not show."""
    app(["show", capture])
    out = capsys.readouterr().out
    places = "Subject", "Issuer", "Server name", "Full URI", "Target", "Host", "Reason", "comment", "Name", "data", "event: "
    for place in places:
        assert any(place in row and "]0;owned" in row for row in out.splitlines()), place
    session = open_session(capture)
    layers = [layer for n in range(1, session.count + 1) for layer in session.dissect(n).layers]
    session.close()
    hit = {layer.protocol for layer in layers if any("]0;owned" in field.text for field in layer.walk())}
    assert hit >= {
        "dns", "http", "sse", "tls.handshake", "dhcp", "mdns", "json", "urlencoded-form", "mime_multipart", "data-text-lines",
        "websocket", "websocket.message", "smtp", "ftp", "pop", "imap", "pgsql",
    }  # fmt: skip
    app(["info", capture])
    assert any(row.startswith("Interface") and "]0;owned" in row for row in capsys.readouterr().out.splitlines())


def test_nothing_is_asked_of_the_network(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def refuse(*arguments: object) -> None:
        asked.append(arguments)  # an error alone could be caught on its way
        raise OSError("no network")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "sendto", refuse)
    for command in COMMANDS:
        assert app([command[0], capture, *command[1:]]) == 0
    assert not asked


def test_secrets_are_left_out_of_reports(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(["exchanges", capture, "--har"])
    out = capsys.readouterr().out
    assert json.loads(out) and "s3cr3t" not in out and "uthorization" in out


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", *arguments], env={**os.environ, **environment}, capture_output=True, text=True,
        encoding="utf-8", errors="surrogateescape", timeout=60, check=False,
    )  # fmt: skip


POOR = [{"TERM": "dumb", "NO_COLOR": "1"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"COLUMNS": "20"}]


TOLD = {"show": "event 1", "explain": "GET", "exchanges": "GET", "findings": "", "flows": "192.0.2.80:80", "info": "Packets"}


@pytest.mark.parametrize("environment", POOR, ids=lambda environment: next(iter(environment)))
@pytest.mark.parametrize("command", TOLD)
def test_poor_terminals(command: str, environment: dict[str, str]) -> None:
    done = run([command, "sse"], **environment)
    assert done.returncode == 0 and not done.stderr and TOLD[command] in done.stdout and "\x1b" not in done.stdout


def pcap(path: Path, records: list[tuple[int, int, bytes, int]], snap: int = 262_144) -> str:
    """(seconds, microseconds, bytes, length on the wire)."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap, 1)
    path.write_bytes(head + b"".join(struct.pack("<IIII", s, u, len(d), wire) + d for s, u, d, wire in records))
    return str(path)


def clocks(path: Path) -> str:
    """A capture whose clock runs backwards, stands still, and is not set."""
    times = [(9, 0), (8, 5), (8, 5), (0, 0), (0, 0), (7, 1), (6, 0), (5, 0), (5, 0)]
    return pcap(path, [(s, u, data, len(data)) for (s, u), data in zip(times, frames(), strict=True)])


def extremes(path: Path) -> str:
    """A packet of which nothing was captured, and one of 256 KiB; the snap length is 0."""
    large = ip(17, A, B, bytes(65_000)) + bytes(256 * 1024 - 65_034)
    return pcap(path, [(1, 0, b"", 1500), (2, 0, large, len(large))], snap=0)


def interfaces(path: Path, count: int = 65_535) -> str:
    many = [Interface(1, 0, f"if{n}") for n in range(count)]
    write(str(path), many, [Packet(1, 1, 1, 60, bytes(60), count - 1)], Extras())
    return str(path)


def test_clocks_that_run_backwards_and_stand_still(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clocks(tmp_path / "a.pcap")
    for command in (["show", "--json"], ["flows"], ["exchanges", "--json"], ["findings"], ["explain"], ["info"]):
        assert app([command[0], path, *command[1:]]) == 0
    assert "-18446744073" not in capsys.readouterr().out  # the times of a conversation that has no packet


def test_nothing_captured_and_the_largest_packet(tmp_path: Path) -> None:
    session = open_session(extremes(tmp_path / "a.pcap"))
    assert [len(session.dissect(n).layers) > 0 for n in (1, 2)] == [True, True] and session.damage is None
    session.close()


def test_many_interfaces(tmp_path: Path) -> None:
    session = open_session(interfaces(tmp_path / "a.pcapng"))
    assert session.interfaces[session.packet(1).interface].name == "if65534"
    session.close()


def test_files_with_keys_are_their_owners_alone(tmp_path: Path) -> None:
    session = open_session("https-tls13")
    try:
        session.save(str(tmp_path / "plain.pcapng"), [1, 2, 3])
        session.save(str(tmp_path / "keys.pcapng"), [1, 2, 3], secrets=True)
    finally:
        session.close()
    assert b"TRAFFIC_SECRET" not in (tmp_path / "plain.pcapng").read_bytes()
    assert b"TRAFFIC_SECRET" in (tmp_path / "keys.pcapng").read_bytes()
    assert (tmp_path / "keys.pcapng").stat().st_mode & 0o077 == 0
