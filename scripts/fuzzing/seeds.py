"""With what the fuzzer begins: what the bundled captures, and the vectors of the tests, hold for each target."""

from __future__ import annotations

import gzip
import lzma
import struct
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import lz4.frame
import zstandard

from fuzzing import tls
from fuzzing.pieces import join
from fuzzing.targets import CODINGS, MEDIA, SPEAKERS, WORDS, kept, registered

if TYPE_CHECKING:
    from inspector.session import Session

MAX_SIZE = 8192  # bytes of an input: bugs that need more are rare, and each step takes longer
LINES = ("smtp", "pop", "imap", "ftp")  # speak in lines, as HTTP does
SEEDS = {  # of what no capture holds, or holds only inside others: (direction, piece)
    "websocket": [(1, b"\x81\4{}  "), (1, b"\xc1\7\xf2\x48\xcd\xc9\xc9\7\0"), (1, b"\x88\2\3\xe8"), (0, b"\x81\x82abcd\0\0")],
    "sse": [(1, b'id: 7\nevent: a\ndata: {"a": 1}\n\n: hi\nretry: 10\rdata\r\n\r\n')],
    "llmnr": [(0, b"\0\x19\0\1" + bytes(3) + b"\1" + bytes(6) + b"\7example\0\0\1\0\1")],
    "grpc": [(0, b"\0\0\0\0\5\x0a\3abc"), (1, b"\0\0\0\0\5\x0a\3abc\1\0\0\0\0")],
}


def seeds(target: str) -> Iterator[bytes]:
    """What the vectors and the bundled captures hold for a target, small pieces of it."""
    kind, _, wanted = target.partition(":")
    if wanted in SEEDS:
        yield join(SEEDS[wanted])
    elif kind in OWN:
        yield from OWN[kind]()
    else:
        yield from _captured(kind, wanted)


def _captured(kind: str, wanted: str) -> Iterator[bytes]:
    from inspector.session import open_session
    from inspector.sources.bundled import bundled

    if kind == "stream":
        yield from _talks(wanted)
    for number, entry in enumerate(bundled()):
        if kind == "file":
            yield entry.path.read_bytes()[:MAX_SIZE]
        session = open_session(str(entry.path))
        try:
            if kind == "file":
                yield from _other_formats(session, number)
            elif kind == "packet":
                yield from (b"\x01" + session.packet(n).data for n in range(1, min(session.count, 30) + 1))
            else:
                yield from _streams(session, wanted)
        finally:
            session.close()


def _streams(session: Session, wanted: str) -> Iterator[bytes]:
    """The connections that speak a protocol; of encrypted ones what was in their records."""
    from inspector.export.follow import Stream, follow

    tcp = [flow for flow in range(len(session.index.flows)) if session.index.flows.protocol(flow) == 6]
    for number, flow in enumerate(tcp):
        spoken = session.conversation(flow).protocols
        if wanted in spoken[:1] or wanted in LINES:
            rows = [row for row in session.conversations.segments(flow, 60).rows() if row.length]
            words = [(row.direction, session.conversations.payload(row.packet).read()) for row in rows]
            yield join(words)[:MAX_SIZE]
        elif wanted in spoken and spoken[0] == "tls":
            chunks = islice(follow(session, Stream("tls", number)), 60)
            yield join([(1 - chunk.from_client, chunk.data) for chunk in chunks])[:MAX_SIZE]


def _talks(wanted: str) -> Iterator[bytes]:
    """What the tests say on a protocol's port, or under its name."""
    from units import _talks as talks

    found = registered().protocols[wanted]
    for name, (words, port) in talks().items():
        if port in found.keys.get("tcp.port", ()) or wanted.endswith(name):
            yield join(list(words))


def _other_formats(session: Session, number: int) -> Iterator[bytes]:
    """The first packets as classic pcap, of another byte order each time, and that compressed."""
    from inspector.sources.pcap import MAGICS

    (magic, (order, tick, head)) = list(MAGICS.items())[number % len(MAGICS)]
    made = magic + struct.pack(order + "HHiIII", 2, 4, 0, 0, 262_144, session.packet(1).link_type)
    for n in range(1, min(session.count, 12) + 1):
        packet = session.packet(n)
        seconds, rest = divmod(packet.time_ns, 10**9)
        made += struct.pack(order + "IIII", seconds, rest // tick, len(packet.data), packet.wire_length) + bytes(head - 16)
        made += packet.data
    packed = (gzip.compress, lzma.compress, zstandard.compress, lz4.frame.compress)[number % 4](made)
    yield from (one for one in (made, packed) if len(one) <= MAX_SIZE)


def _units() -> Iterator[bytes]:
    """Units that the tests have of every protocol, a few of each."""
    from units import few, units

    for name in units():
        parser = registered().protocols[name].parser if name in registered().protocols else None
        if parser is None:
            yield from (name.encode() + b"\0" + one.data for one in few(name, 4))


def _bodies() -> Iterator[bytes]:
    content = {
        "json": b'{"a": [1, -2.5e3, true, null, "\\u00e9"], "b": {}}',
        "multipart": b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--", "form": b"a=1&b=%20c",
        "protobuf": b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01", "html": b"<p>a</p>\n", "utf-16": b"\xff\xfea\0",
        "event-stream": b"data: 1\n\n", "grpc-web": b"\0\0\0\0\2\x08\1\x80\0\0\0\x0fgrpc-status: 0\r\n",
    }  # fmt: skip
    for at, media in enumerate(MEDIA):
        words = next((data for word, data in content.items() if word in media), b"a")
        yield from (bytes((at, coding, coding & 1)) + words for coding in range(len(CODINGS)))


def _logs() -> Iterator[bytes]:
    log13, log12 = (tls.tls13(bytes(2))[1], tls.tls12(bytes(2))[1])
    for how in range(4):
        yield bytes((how,)) + (log12 if how & 1 else log13).encode()
        yield bytes((how,)) + b"# a comment\r\n\nRSA %b %b\nRSA Session-ID:%b Master-Key:%b\n" % (
            b"ab" * 8, b"cd" * 48, tls.SESSION.hex().encode(), tls.MASTER.hex().encode()
        )  # fmt: skip


def _conversations() -> Iterator[bytes]:
    for at, name in enumerate(SPEAKERS):
        for number, one in enumerate(seeds(f"stream:{name}")):
            yield bytes((at, number * 3 % len(WORDS))) + one


def _growing() -> Iterator[bytes]:
    yield from (bytes((at,)) + one for at, one in enumerate(_captured("file", "")))


def _sealed() -> Iterator[bytes]:
    yield from tls.seeds([one for name in ("http", "http2") for one in _captured("stream", name)])
    yield from tls.seeds([join(SEEDS["sse"])])


def _filters() -> Iterator[bytes]:
    texts = (
        "tcp.port == 80 and (http or not tls)", 'http.host contains "a" || frame matches "^GET.*\\x20"', "r'a' == 'a'",
        "tcp.flags & 0x12 == 2", "ip.addr in {10.0.0.0/8, 127.0.0.1 .. 127.0.0.9}", "frame[0:4] == 00:01:02:03",
        "len(http.host) > 3 && any tcp.port != 1", 'upper(http.request.method) == "GET"', "tcp.len#1 ~= -1",
        'frame.time > "2020-01-01 00:00:00"', "eth.src == ff-ff", "ipv6.addr == ::1/64", "tcp.analysis.flags",
        "http.response.code >= 400 xor max(tcp.srcport, 1) % 2 == {1+2}*3",
    )  # fmt: skip
    yield from (text.encode() for text in texts)


def _schemas() -> Iterator[bytes]:
    from google.protobuf import descriptor_pb2

    source = (
        b'syntax = "proto3"; package a; enum E { Z = 0; O = 1; } message M { int32 a = 1; string b = 2; repeated M m = 3;'
        b" E e = 4; map<string, double> d = 5; oneof o { bytes y = 6; sint64 s = 7; } repeated fixed32 p = 8; }"
        b" service B { rpc C(M) returns (stream M); }"
    )
    message = b"\x08\x05\x12\1x\x1a\2\x08\1\x20\1\x2a\x0c\x0a\1k\x11\0\0\0\0\0\0\xf0\x3f\x38\3\x42\4\1\0\0\0"
    yield b"\1" + len(source).to_bytes(2, "big") + source + message
    with tempfile.TemporaryDirectory() as folder:
        from inspector.sources.schema import descriptor_set

        path = Path(folder) / "a.proto"
        path.write_bytes(source)
        made = descriptor_set([str(path)])
    assert descriptor_pb2.FileDescriptorSet.FromString(made).file
    yield b"\0" + len(made).to_bytes(2, "big") + made + message


def _damaged() -> Iterator[bytes]:
    sound = kept()[2]
    start = int.from_bytes(sound[8:16], "little")
    for forged in (0, 1):
        yield bytes((forged,))
        for place in (0, 8, 40, start + 1, start + 20, len(sound) - 3):
            yield bytes((forged,)) + place.to_bytes(2, "big") + b"\0\1\0\1\x39"


OWN: dict[str, Callable[[], Iterator[bytes]]] = {
    "unit": _units, "body": _bodies, "keylog": _logs, "views": _conversations, "growing": _growing, "sealed": _sealed,
    "filter": _filters, "schema": _schemas, "cache": _damaged,
}  # fmt: skip
