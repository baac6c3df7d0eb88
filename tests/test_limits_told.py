"""Every named limit is used, is reached by a test, and is told where it cuts."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from inspector.cli import app
from inspector.core import limits
from tests.made import A, B, M, connection, ethernet, fragment, opened, response, tcp, told, udp

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(name for name in vars(limits) if name.startswith("MAX_"))
GET = (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


class Reached(NamedTuple):
    """How a limit is reached: packets, and a word of what is said then; lowered: to what and where (modules), to be quick."""

    make: Callable[[], list[bytes]]
    says: str
    lowered: tuple[int, str] | None = None


def datagrams(count: int, size: int = 8) -> list[bytes]:
    return [fragment(n, 1, size=size) for n in range(count)]


def pieces(count: int) -> list[bytes]:
    return [fragment(1, 1 + n) for n in range(count)]


def waiting(count: int) -> list[bytes]:
    """Segments behind one that never comes."""
    start = [tcp(4000, 0, 99, 0, 2), tcp(4000, 1, 499, 100, 0x12)]
    return start + [tcp(4000, 0, 200 + 10 * n, 500, 0x10, bytes(10)) for n in range(count)]


def unanswered(count: int) -> list[bytes]:
    """Segments in order, none of which is acknowledged."""
    start = [tcp(4000, 0, 99, 0, 2), tcp(4000, 1, 499, 100, 0x12)]
    return start + [tcp(4000, 0, 100 + 10 * n, 500, 0x10, bytes(10)) for n in range(count)]


def ospf() -> list[bytes]:
    """A link state update: advertisements with links inside."""
    links = bytes.fromhex("c0000201 ffffff00 03 00 000a") * 2
    lsa = bytes.fromhex("0001 02 01 c0000201 c0000201 80000001 0000") + (24 + len(links)).to_bytes(2, "big")
    lsa += bytes.fromhex("00000002") + links
    body = bytes.fromhex("00000001") + lsa
    head = bytes.fromhex("0204") + (24 + len(body)).to_bytes(2, "big") + bytes.fromhex("c0000201 00000000 0000 0000") + bytes(8)
    return [ethernet(89, head + body, A, B)]


def multipart(count: int, depth: int) -> list[bytes]:
    body = b"--x\r\n\r\na\r\n" * count + b"--x--\r\n"
    for level in range(depth):
        kind, name = (b"x" if level == 0 else b"m%d" % level), b"m%d" % (level + 1)
        body = b"--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n%s\r\n--%s--\r\n" % (name, kind, body, name)
    outer = f"m{depth}" if depth else "x"
    return response("identity", body, f"multipart/mixed; boundary={outer}")


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
ASK = frame(1, 4, 1, b"\x82\x86\x84\x41\x01a")  # GET http / of the authority a (RFC 7541, appendix A), and more may come


def http2(*said: bytes) -> list[bytes]:
    return connection(4000, (0, PREFACE + b"".join(said)), (1, frame(4, 0, 0, b"")))


def hpack_bomb() -> list[bytes]:
    """A long header put into the table once, then asked for by one octet each time."""
    return http2(frame(1, 5, 1, b"\x40\x01x\x7f\x80\x1e" + b"v" * 3967 + b"\xbe" * 10_000))


def many_headers() -> list[bytes]:
    return http2(frame(1, 5, 1, b"\x82\x86\x84\x41\x01a" + b"\x90" * 3000))  # accept-encoding: gzip, deflate


def dripped_header() -> list[bytes]:
    """A header in a hundred CONTINUATION frames of one octet each."""
    said = [frame(1, 1, 1, b"\x00\x01x\x7f\x80\x1e")] + [frame(9, 0, 1, b"v") for _ in range(100)]
    return http2(*said, frame(9, 4, 1, b"v" * 3867))


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"


def websocket(*messages: bytes) -> list[bytes]:
    """Messages of the server, compressed."""
    said = b""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    for message in messages:
        coded = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        said += b"\xc2\x7f" + len(coded).to_bytes(8, "big") + coded
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: eA==\r\n" + UPGRADE
    return connection(4000, (0, ask), (1, b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + said))


def tls(*messages: bytes) -> list[bytes]:
    """A ClientHello, a ServerHello, and what else the server says of its handshake."""
    hello = b"\x03\x03" + bytes(32) + b"\0\0\2\xc0\x2f\1\0"
    answer = b"\x03\x03" + bytes(32) + b"\0\xc0\x2f\0"
    said = b"\x02" + len(answer).to_bytes(3, "big") + answer + b"".join(messages)
    records = b"".join(record(said[at : at + 16_000]) for at in range(0, len(said), 16_000))
    return connection(4000, (0, record(b"\1" + len(hello).to_bytes(3, "big") + hello)), (1, records), server=443)


def record(data: bytes) -> bytes:
    return b"\x16\x03\x03" + len(data).to_bytes(2, "big") + data


def certificates(count: int) -> bytes:
    chain = b"\0\0\4\x30\2\5\0" * count
    return b"\x0b" + (len(chain) + 3).to_bytes(3, "big") + len(chain).to_bytes(3, "big") + chain


def smtp(*said: tuple[int, bytes]) -> list[bytes]:
    return connection(4000, (1, b"220 a ESMTP\r\n"), (0, b"EHLO b\r\n"), (1, b"250 a\r\n"), *said, server=25)


def mail() -> list[bytes]:
    return smtp((0, b"DATA\r\n"), (1, b"354 go\r\n"), (0, b"Subject: x\r\n\r\n" + b"a" * 200_000 + b"\r\n.\r\n"))


def literals() -> list[bytes]:
    return connection(4000, (1, b"* OK ready\r\n"), (0, b"a LOGIN " + b"{0}\r\n " * 1100 + b"\r\n"), server=143)


def chunked(line: bytes) -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return connection(4000, GET, (1, head + b"1;x=" + line + b"\r\na\r\n0\r\n\r\n"))


def events(size: int) -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    return connection(4000, GET, (1, head + b"data: " + b"a" * size + b"\n\n"))


def unknown(count: int) -> list[bytes]:
    """Segments of a protocol that nobody knows."""
    return connection(4000, (0, b"\x07\x07 what is this\x00" * count), size=15, server=9)


def name_of_pointers() -> list[bytes]:
    """A name that is nothing but pointers, each to the one before."""
    head = bytes.fromhex("000180000001000000000000")
    chain = b"".join(struct.pack(">H", 0xC000 | 12 + 2 * (n - 1)) for n in range(1, 200))
    return [udp(4000, 53, head + b"\1a\0\0" + chain)[:-1], udp(4000, 53, head + b"\xc0\x0c\0\1\0\1")]


REACHED = {
    "MAX_FIELDS_IN_LAYER": Reached(
        lambda: connection(4000, (0, b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 15_000 + b"\r\n")), "more than 20,000 fields"
    ),
    "MAX_BORROWED_DEPTH": Reached(ospf, "are followed for 0 levels", (0, "protocols.borrowed.scapy_layers")),
    "MAX_JUMPS": Reached(name_of_pointers, "round and round"),
    "MAX_DATAGRAM": Reached(lambda: [fragment(1, 8191, size=200)], "no datagram is that long"),
    "MAX_FRAGMENTS": Reached(lambda: pieces(12), "fragments of one datagram", (8, "dissection.fragments")),
    "MAX_OPEN_DATAGRAMS": Reached(lambda: datagrams(limits.MAX_OPEN_DATAGRAMS + 1), "more than 1,024 datagrams wait"),
    "MAX_REASSEMBLY": Reached(lambda: datagrams(10, 800), "wait for their rest", (4096, "dissection.fragments")),
    "MAX_HELD_SEGMENTS": Reached(lambda: waiting(20), "wait for a missing one", (10, "streams.tcp")),
    "MAX_UNACKNOWLEDGED": Reached(
        lambda: unanswered(40), "wait for an acknowledgement", (10, "streams.analysis streams.steady streams.tcp_layer")
    ),
    "MAX_LOOKS": Reached(lambda: unknown(300), "no known protocol begins in 256 segments"),
    "MAX_NODES": Reached(lambda: events(10), "streams inside one conversation", (2, "streams.tree")),
    "MAX_LINE": Reached(lambda: smtp((0, b"NOOP " + b"a" * 200_000 + b"\r\n")), "a line is read to 64 KiB"),
    "MAX_LITERALS": Reached(literals, "more than 1,000 literals"),
    "MAX_COMMANDS": Reached(lambda: smtp((0, b"NOOP\r\n" * 1100)), "more than 1,000 commands wait for a reply"),
    "MAX_MAIL": Reached(mail, "within 100,000 bytes", (100_000, "protocols.mail.smtp")),
    "MAX_HANDSHAKE": Reached(lambda: tls(b"\x0b\x20\0\0" + bytes(20_000)), "a message is read to 1 MiB"),
    "MAX_CERTIFICATES": Reached(lambda: tls(certificates(150)), "a chain is shown to 100 certificates"),
    "MAX_HEAD": Reached(lambda: connection(4000, (0, b"GET /" + b"a" * 300_000)), "within 262,144 bytes"),
    "MAX_CHUNK_LINE": Reached(lambda: chunked(b"b" * 100_000), "within 16,384 bytes"),
    "MAX_EVENT": Reached(lambda: events(300_000), "an event is read to", (100_000, "protocols.http.sse")),
    "MAX_STREAMS": Reached(
        lambda: http2(*(frame(1, 4, 1 + 2 * n, ASK[9:]) for n in range(9))),
        "streams at a time",
        (4, "protocols.http2.connection"),
    ),
    "MAX_HEADER_TABLE": Reached(
        lambda: http2(frame(4, 0, 0, b""), frame(1, 5, 1, b"\x3f\xe1\xff\x7f" + ASK[9:])), "the header table is kept to 1 MiB"
    ),
    "MAX_HEADER_FIELDS": Reached(many_headers, "a header list is read to 2,000 fields"),
    "MAX_HEADER_FRAMES": Reached(dripped_header, "a header is read over 64 frames"),
    "MAX_SETTINGS": Reached(lambda: http2(frame(4, 0, 0, b"") * 200), "more than 100 SETTINGS"),
    "MAX_BODY_DECODED": Reached(lambda: response("gzip", gzip.compress(bytes(40 << 20))), "16 MiB of 40 MiB"),
    "MAX_MESSAGE_RATIO": Reached(lambda: websocket(*[bytes(15 << 20)] * 6), "more than 200 times"),
    "MAX_NESTING": Reached(lambda: response("identity", b"[" * 100, "application/json"), "64 levels"),
    "MAX_VALUES": Reached(lambda: response("identity", b"[" + b"1," * 6000 + b"1]", "application/json"), "5,000 values"),
    "MAX_MULTIPARTS": Reached(lambda: multipart(1, 12), "8 levels inside one another"),
    "MAX_PARTS": Reached(lambda: multipart(1200, 0), "1,000 parts"),
    "MAX_PAIRS": Reached(
        lambda: response("identity", b"a=b&" * 3000, "application/x-www-form-urlencoded"), "shown to 2,000 pairs"
    ),
    "MAX_LINES": Reached(lambda: response("identity", b"a\n" * 3000), "shown to 2,000 lines"),
}
# Those that other tests reach, and those that cut nothing: what no longer fits is worked out again.
ELSEWHERE = {
    "MAX_CAPTURED": "sources/test_pcap.py test_an_impossible_length_is_damage",
    "MAX_BLOCK": "sources/test_pcapng.py test_damaged_blocks_end_the_packets_with_a_message",
    "MAX_INTERFACES": "sources/test_merged.py test_files_with_more_interfaces_than_can_be_numbered_are_refused",
    "MAX_REMARKS": "sources/test_pcapng.py test_what_a_file_says_besides_its_packets_takes_bounded_room",
    "MAX_TRANSCRIPT": "protocols/test_tls_decryption.py test_a_handshake_too_long_for_an_extended_master_secret",
    "MAX_SESSIONS": "protocols/test_tls_decryption.py test_more_sessions_than_are_remembered",
    "MAX_SPOOL": "sources/test_pcap.py test_inflation_is_limited",
    "MAX_INFLATE_RATIO": "sources/test_arriving.py test_a_bomb_is_cut",
    "MAX_UNPACKER": "sources/test_arriving.py test_an_xz_file_that_asks_for_too_much_memory",
    "MAX_LAYERS": "test_limits.py test_tunnels_inside_one_another_end",
    "MAX_BORROWED_BYTES": "protocols/test_borrowed.py test_what_is_longer_than_the_limit_is_cut_and_said",
    "MAX_BORROWED_FIELDS": "protocols/test_borrowed.py test_borrowed_fields_and_depth_are_limited",
    "MAX_CONVERSATIONS": "test_limits_told.py test_what_no_longer_fits_is_worked_out_again",
    "MAX_SEGMENTS": "test_limits_told.py test_what_no_longer_fits_is_worked_out_again",
    "MAX_TEXT": "test_limits_told.py test_a_long_value_is_cut_where_it_is_shown",
    "MAX_VALUE": "test_limits_told.py test_a_long_value_is_cut_where_it_is_shown",
    "MAX_ARCHIVED": "export/test_har.py test_a_long_body_is_cut_and_the_archive_says_so",
    "MAX_CACHE": "index/test_cache.py test_the_cache_is_bounded_and_the_oldest_goes",
    "MAX_CACHED_TEXT": "index/test_cache.py test_what_is_never_kept",
    "MAX_FOLLOWED": "tui/test_views.py test_a_long_stream_is_followed_as_far_as_the_limit",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_is_used_and_tested(name: str) -> None:
    used = [path for path in (ROOT / "inspector").rglob("*.py") if re.search(rf"\b{name}\b", path.read_text())]
    assert len(used) > 1, "nothing uses it"
    if name not in REACHED:
        file, test = ELSEWHERE[name].split()
        assert f"def {test}(" in (ROOT / "tests" / file).read_text()


def test_nothing_is_listed_that_is_no_limit() -> None:
    assert sorted([*REACHED, *ELSEWHERE]) == NAMES


@pytest.mark.parametrize("name", REACHED)
def test_a_limit_that_is_reached_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, says, lowered = REACHED[name]
    if lowered is not None:
        for module in lowered[1].split():
            monkeypatch.setattr(importlib.import_module(f"inspector.{module}"), name, lowered[0])
    assert [text for text in told(opened(tmp_path, make())) if says in text]


@pytest.mark.parametrize("name", ["MAX_CONVERSATIONS", "MAX_SEGMENTS"])
def test_what_no_longer_fits_is_worked_out_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [frame for client in (4000, 4001) for frame in connection(client, GET, (1, b"HTTP/1.1 204 No\r\n\r\n"))]
    before = opened(tmp_path, frames)
    expected = [[layer.summary for layer in before.dissect(n).layers] for n in range(1, before.count + 1)]
    monkeypatch.setattr(f"inspector.streams.conversations.{name}", 1)
    session = opened(tmp_path, frames)
    for number in reversed(range(1, session.count + 1)):
        assert [layer.summary for layer in session.dissect(number).layers] == expected[number - 1]


def test_a_long_value_is_cut_where_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = opened(tmp_path, response("gzip", gzip.compress(b"\0" * (8 << 20))))
    number, layer = next((n, each) for n in range(1, session.count + 1) if (each := session.dissect(n).find("data-text-lines")))
    field = layer.fields[0]
    assert len(field.value) == 8 << 20 and field.text == "\\0" * limits.MAX_TEXT + "…"
    app(["show", str(tmp_path / "made.pcap"), "-n", str(number), "--json"])
    shown = json.loads(capsys.readouterr().out)["layers"][-1]["fields"][0]
    assert shown["cut"] and shown["value"] == "\\0" * limits.MAX_VALUE + "…" and shown["stop"] == 8 << 20


def overlapping(version: int, *said: tuple[int, bytes, bool]) -> list[bytes]:
    """Fragments of one datagram: (offset in 8 bytes, data, whether more follow)."""
    frames = []
    for offset, data, more in said:
        if version == 4:
            flags = (0x2000 if more else 0) | offset
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, flags, 64, 253, 0, A, B)
            frames.append(M + M + b"\x08\x00" + head + data)
        else:
            head = struct.pack(">IHBB", 6 << 28, 8 + len(data), 44, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
            frames.append(M + M + b"\x86\xdd" + head + struct.pack(">BBHI", 253, 0, offset << 3 | more, 7) + data)
    return frames


def datagram(folder: Path, frames: list[bytes]) -> tuple[bytes | None, list[str]]:
    """What the fragments make, and what is said of them."""
    session = opened(folder, frames)
    codes = [issue.code for n in range(1, session.count + 1) for layer in session.dissect(n).layers for issue in layer.issues]
    buffers = [b for n in range(1, session.count + 1) for b in session.dissect(n).buffers.values() if b.id.startswith("ip:")]
    return (buffers[0].read(0, 100) if buffers else None), [code for code in codes if code.startswith("fragment")]


def test_of_overlapping_fragments_the_first_copy_of_each_byte_stays(tmp_path: Path) -> None:
    a, b, c = b"a" * 16, b"b" * 16, b"c" * 8
    expected = {
        ((0, a, True), (1, b, True), (3, c, False)): a + b[:8] + c,
        ((1, b, True), (0, a, True), (3, c, False)): a[:8] + b + c,  # what came first stays, wherever it lies
        ((3, c, False), (0, a, True), (0, b, True), (2, c, True)): a + c + c,
        ((0, a, True), (0, a[:8], True), (2, c, False)): a + c,
    }
    for said, whole in expected.items():
        assert datagram(tmp_path, overlapping(4, *said)) == (whole, ["fragment-overlap"]), said
    assert datagram(tmp_path, overlapping(4, (0, a, True), (2, c, False))) == (a + c, [])
    assert datagram(tmp_path, overlapping(4, (0, a, True), (1, c, False), (3, c, False))) == (a, ["fragment-overlap"])


def test_a_datagram_that_carries_its_own_fragment_ends(tmp_path: Path) -> None:
    """Its last fragment completes a datagram in which the same fragment lies, again and again."""

    def piece(offset: int, more: bool, data: bytes) -> bytes:
        flags = (0x2000 if more else 0) | offset
        return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, flags, 64, 4, 0, A, B) + data

    inner = piece(3, False, bytes(8))
    frames = [piece(0, True, inner[:24]), piece(3, False, inner[24:] + bytes(4))]
    session = opened(tmp_path, [M + M + b"\x08\x00" + data for data in frames])
    assert len(session.dissect(2).layers) == limits.MAX_LAYERS == len(session.dissect(2).layers)


def test_behind_the_last_fragment_nothing_follows(tmp_path: Path) -> None:
    a, c = b"a" * 16, b"c" * 8
    assert datagram(tmp_path, overlapping(4, (2, c, False), (3, c, True), (0, a, True))) == (a + c, ["fragment-end"])


def test_ipv6_discards_what_overlaps(tmp_path: Path) -> None:
    a, b, c = b"a" * 16, b"b" * 16, b"c" * 8
    assert datagram(tmp_path, overlapping(6, (0, a, True), (2, c, False))) == (a + c, [])
    copied = overlapping(6, (0, a, True), (0, a, True), (2, c, False))
    assert datagram(tmp_path, copied) == (a + c, ["fragment-overlap"])  # an exact copy is none (RFC 8200, 4.5)
    for said in ((0, a, True), (1, b, True), (3, c, False)), ((0, a, True), (0, b, True), (2, c, False)):
        whole, codes = datagram(tmp_path, overlapping(6, *said))
        assert whole is None and codes == ["fragment-overlap"] * 2
