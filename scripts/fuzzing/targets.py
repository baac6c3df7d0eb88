"""What the fuzzer feeds: one function a target, which raises whatever a bug raises."""

from __future__ import annotations

import atexit
import functools
import gzip
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unsafe import Sink

from fuzzing import tls
from fuzzing.pieces import split

if TYPE_CHECKING:
    from inspector.core.secrecy import Keys
    from inspector.dissection.engine import Dissection
    from inspector.dissection.registry import Registry
    from inspector.protocols.encodings.schema import Schema
    from inspector.session import Session

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests" / "protocols")) if path not in sys.path]  # this checkout first
MAX_PACKETS = 40  # of a file, that are looked at

Target = Callable[[bytes], None]


def block(*headers: tuple[str, str]) -> bytes:
    """A header block of literals that are not indexed (RFC 7541, 6.2.2); names and values below 127 octets."""
    return b"".join(b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in header) for header in headers)


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


def data_frame(piece: bytes) -> bytes:
    return frame(0, 0, 1, piece)


# What is said before the pieces, for parsers that begin only inside others: the one they begin in, and both sides' first words.
GRPC = ("content-type", "application/grpc"), ("grpc-encoding", "gzip")
REQUEST = block((":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("te", "trailers"), *GRPC)
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
PRELUDES = {
    "websocket": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: eA==\r\n" + UPGRADE + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + b"\r\n",
    ),
    "sse": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    ),
    "grpc": (
        "http2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, REQUEST),
        frame(4, 0, 0, b"") + frame(1, 4, 1, block((":status", "200"), *GRPC)),
    ),
}
WRAPPED = {"grpc": data_frame}  # what its pieces are carried in


def targets() -> dict[str, Target]:
    """What is fed, by name."""
    from inspector.protocols import PROTOCOLS

    own = [protocol for protocol in PROTOCOLS if protocol.parser is not None]  # some begin only inside others
    parsers = [protocol.name for protocol in own if protocol.sniff is not None or "tcp.port" in protocol.keys]
    parsers += PRELUDES
    return {
        "file": file,
        "packet": packet,
        **{f"stream:{name}": stream(name) for name in dict.fromkeys(parsers)},
        "unit": unit,
        "body": body,
        "sealed:tls13": sealed(tls.tls13),
        "sealed:tls12": sealed(tls.tls12),
        "keylog": keylog,
        "views": views,
        "growing": growing,
        "filter": filter_,
        "schema": schema,
        "cache": cache,
    }


# --- files


def file(data: bytes) -> None:
    """A capture file."""
    from inspector.core.errors import InspectError
    from inspector.session import open_session

    with tempfile.NamedTemporaryFile(suffix=".pcap") as made:
        made.write(data)
        made.flush()
        try:
            session = open_session(made.name)
        except InspectError:
            return
        try:
            _explained(session)
        finally:
            session.close()


def _explained(session: Session) -> None:
    for number in range(1, min(session.count, MAX_PACKETS) + 1):
        _sound(session.explained(number))


def _sound(result: Dissection) -> None:
    """Notes can be made, texts can be printed, and spans lie in their buffers."""
    for layer in result.layers:
        assert layer.notes is not None
        for field in layer.walk():
            assert field.text.isprintable(), field
            assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size, field


def growing(data: bytes) -> None:
    """A capture file that is written while it is read: the first byte says in how many pieces."""
    from inspector.core.errors import InspectError
    from inspector.session import open_session

    count, rest = data[:1][0] % 8 + 1 if data else 1, data[1:]
    size = max(len(rest) // count, 1)
    with tempfile.NamedTemporaryFile(suffix=".pcap") as made:
        made.write(rest[:size])
        made.flush()
        try:
            session = open_session(made.name, growing=True)
        except InspectError:
            return
        try:
            with suppress(InspectError):
                for at in range(size, len(rest) + 1, size):
                    session.grow()
                    _explained(session)
                    session.exchanges()
                    made.write(rest[at : at + size])
                    made.flush()
                session.grow()
                session.keep_up(0.1)
                session.load()
                _explained(session)
        finally:
            session.close()


# --- packets, and the units of one protocol


@functools.cache
def registered(protocol: str = "") -> Registry:
    """The protocols; port 1 speaks the one that is named."""
    from inspector.dissection.engine import make_registry

    return make_registry({("tcp.port", 1): protocol} if protocol else None)


def packet(data: bytes) -> None:
    """The first byte chooses the link, the rest is a packet."""
    from inspector.core.packet import Packet
    from inspector.dissection.engine import Engine
    from inspector.dissection.fragments import Fragments

    registry = registered()
    links = sorted(registry.tables["link"])
    if data:
        engine = Engine(registry, Fragments().offer, strict=True)
        engine.dissect(Packet(1, 0, links[data[0] % len(links)], len(data) - 1, data[1:]))


def unit(data: bytes) -> None:
    """A protocol's name, a zero, and one unit of it. What only a stream's parser can know is not known."""
    from inspector.core.packet import Packet
    from inspector.core.span import Derived, Span
    from inspector.dissection.engine import Engine

    name, _, rest = data.partition(b"\0")
    registry = registered()
    found = registry.protocols.get(name.decode("latin-1"))
    if found is not None and found.parser is None:
        buffer = Derived("unit:0", "unit", rest, ())
        _sound(Engine(registry, strict=True).unit(Packet(1, 0, 1, len(rest), b""), found.name, Span(buffer, 0, len(rest)), {}))


# --- streams


def stream(protocol: str) -> Target:
    """A conversation in pieces, each behind three bytes: direction (and whether bytes before it are lost), length."""

    def run(data: bytes) -> None:
        around, *opening = PRELUDES.get(protocol, (protocol,))
        wrap = WRAPPED.get(protocol, bytes)
        words = [*enumerate(opening), *((how, wrap(piece)) for how, piece in split(data))]
        converse(words, registered(around))

    return run


def converse(
    words: Sequence[tuple[int, bytes]], registry: Registry, keys: Keys | None = None, schema: Schema | None = None
) -> None:
    """A connection to port 1 in which this is said, each piece in a segment of its own, and every unit that is found there."""
    from inspector.core.packet import Packet
    from inspector.core.span import Buffer, Frame, Span
    from inspector.dissection.engine import Engine
    from inspector.streams.bulk import SegmentRow
    from inspector.streams.conversation import Conversation

    frames: dict[int, Buffer] = {}
    rows, sequence = [SegmentRow(1, 0, 0, 0, 2, 0, 0), SegmentRow(2, 1, 0, 1, 18, 0, 0)], [1, 1]
    for how, piece in words:
        direction, number, size = how & 1, len(rows) + 1, len(piece)
        sequence[direction] += 7 if how & 0x80 else 0
        frames[number] = Frame(number, size, functools.partial(bytes, piece))
        rows.append(SegmentRow(number, direction, sequence[direction], sequence[1 - direction], 16, size, size))
        sequence[direction] += size
    found = Conversation(0, (40000, 1), lambda n: Span(frames[n], 0, frames[n].size), registry, strict=True, keys=keys)
    found.feed(rows)
    found.finish()
    engine = Engine(registry, strict=True)
    for number, pdus in found.tree.pdus.items():
        for pdu in pdus:
            info = {**pdu.info, "time_of": lambda n: n, "schema": schema}
            engine.unit(Packet(number, 0, 1, 0, b""), pdu.protocol, pdu.span, info)


MEDIA = (
    "application/json", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded", "application/x-protobuf",
    "text/html", "text/plain; charset=utf-16", "text/event-stream", "application/grpc-web", "application/xml",
    "application/octet-stream", "application/dns-message", "application/ocsp-response", "application/x-ndjson", "",
)  # fmt: skip
CODINGS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("gzip", bytes), ("deflate", bytes), ("br", bytes),
    ("zstd", bytes), ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))), ("deflate, br", bytes),
)  # fmt: skip


def body(data: bytes) -> None:
    """A response: two bytes choose what it is and how it is coded, or said to be; the third whether it comes in chunks."""
    if len(data) < 3:
        return
    media, (coding, coded) = MEDIA[data[0] % len(MEDIA)], CODINGS[data[1] % len(CODINGS)]
    content = coded(data[3:])
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n" + (f"Content-Encoding: {coding}\r\n" if coding else "")
    if data[2] & 1:
        half = len(content) // 2
        parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:half], content[half:]) if part)
        answer = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    else:
        answer = head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content
    converse([(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, answer)], registered("http"))


def sealed(wire: Callable[[bytes], tuple[list[tuple[int, bytes]], str]]) -> Target:
    """A connection in TLS that opens, whatever is said in it (fuzzing.tls)."""

    def run(data: bytes) -> None:
        if len(data) >= 2:
            words, log = wire(data)
            converse(words, registered("tls"), tls.keys(log.encode()))

    return run


def keylog(data: bytes) -> None:
    """A key log, of a connection that its lines may open: the first bit chooses which, the second from where the log comes."""
    from inspector.core.errors import InspectError
    from inspector.secrets.keylog import KeyLog
    from inspector.secrets.keyring import Keyring

    if not data:
        return
    words, _ = (tls.tls13, tls.tls12)[data[0] & 1](tls.chosen(*SPOKEN, how=2))
    if data[0] & 2:
        log = KeyLog(None, lambda: [data[1:]])
        converse(words, registered("tls"), Keyring(log).of(0))
        return
    with tempfile.NamedTemporaryFile() as made:
        half = len(data) // 2
        made.write(data[1:half])
        made.flush()
        log = KeyLog(made.name)
        made.write(data[max(half, 1) :])
        made.flush()
        with suppress(InspectError):
            converse(words, registered("tls"), Keyring(log).of(0))
        assert log.secrets >= log.sessions - 1 and log.damaged >= 0


SPOKEN = (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, b"HTTP/1.1 204 No\r\n\r\n")


# --- what is made of a capture: reports, exports, names of files


WORDS = (
    ["show", "-x"], ["show", "--json"], ["fields", "-e", "frame.protocols", "-e", "http.file_data"],
    ["info"], ["info", "--json"], ["flows"], ["exchanges"], ["exchanges", "--json"], ["exchanges", "--har"],
    ["explain", "--all"], ["explain", "--json"], ["findings"], ["patterns"], ["state"], ["walk", "-n", "4-"],
    ["follow", "--stream", "0"], ["follow", "--hex", "--stream", "0"],
    ["follow", "--json", "--stream", "http:0"], ["follow", "--stream", "websocket:0"],
    ["follow", "--stream", "http2:0.1"],
)  # fmt: skip
SPEAKERS = ("http", "http2", "websocket", "sse", "grpc", "tls", "pgsql", "smtp", "ftp", "dns")
PORTS = {"http": 80, "http2": 8080, "tls": 443, "pgsql": 5432, "smtp": 25, "ftp": 21, "dns": 53}


def views(data: bytes) -> None:
    """A connection, as every command tells it, and as it is saved: the first byte chooses what is spoken, the second the
    first of three commands; then come pieces, as in a stream."""
    from inspector.cli import app
    from inspector.core.errors import InspectError
    from inspector.export.curl import of_exchange
    from inspector.session import open_session
    from inspector.tui.taking import body_name

    if len(data) < 2:
        return
    name = SPEAKERS[data[0] % len(SPEAKERS)]
    around, *opening = PRELUDES.get(name, (name,))
    wrap = WRAPPED.get(name, bytes)
    words = [*enumerate(opening), *((how, wrap(piece)) for how, piece in split(data[2:]))]
    with tempfile.NamedTemporaryFile(suffix=".pcap") as made:
        made.write(b"".join(_capture(words, PORTS[around])))
        made.flush()
        session = open_session(made.name)
        try:
            with _this_one(session):
                for at in range(3):
                    sink = Sink()
                    command, *options = WORDS[(data[1] + at) % len(WORDS)]
                    with suppress(InspectError), redirect_stdout(sink):
                        app([command, made.name, *options])
                    assert not sink.unsafe, (command, options, sink.unsafe)
            for exchange in session.exchanges():
                with suppress(InspectError):
                    assert of_exchange(session, exchange).isprintable()
                saved = body_name(session.dissect(exchange.response.complete)) if exchange.response is not None else "a"
                assert saved == os.path.basename(saved) and saved[0] not in ".-~"
        finally:
            session.close()


def _capture(words: Sequence[tuple[int, bytes]], port: int) -> Iterator[bytes]:
    """A capture file of a connection in which this is said."""
    from tests.made import tcp

    yield bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    at, packets = [100, 500], [tcp(4000, 0, 99, 0, 2, server=port), tcp(4000, 1, 499, 100, 0x12, server=port)]
    for how, piece in words:
        end = how & 1
        at[end] += 7 if how & 0x80 else 0
        packets.append(tcp(4000, end, at[end], at[1 - end], 0x18, piece, server=port))
        at[end] += len(piece)
    for number, each in enumerate(packets):
        yield number.to_bytes(4, "little") + bytes(4) + 2 * len(each).to_bytes(4, "little") + each


@contextmanager
def _this_one(session: Session) -> Iterator[None]:
    """Within this, whoever opens a capture gets this session, and cannot close it."""
    from inspector import session as module

    opened, close = module.open_session, session.close
    module.open_session = lambda *_, **__: session
    session.close = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        module.open_session = opened
        session.close = close  # type: ignore[method-assign]


# --- what a user brings, and what was kept


@functools.cache
def _example(name: str) -> Session:
    from inspector.session import open_session
    from inspector.sources.bundled import resolve

    return open_session(resolve(name))


def filter_(data: bytes) -> None:
    """A display filter, on packets of a capture."""
    from inspector.query.completion import completions
    from inspector.query.filters import FilterError, compile

    session = _example("http-get")
    text = data.decode("utf-8", "replace")
    with suppress(FilterError):
        found = compile(text, session.registry)
        if not re.search(r"\)[*+{?]", text):  # a regular expression that takes for ever is its author's own
            found.matches(session)
    completions(text, session.registry)


def schema(data: bytes) -> None:
    """A .proto file (behind a 1) or a descriptor set (behind another byte) after its length; and a message of a.B/C by it."""
    from inspector.core.errors import InspectError
    from inspector.protocols.encodings.schema import Schema
    from inspector.sources.schema import descriptor_set

    size, rest = int.from_bytes(data[1:3], "big"), data[3:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.proto" if data[:1] == b"\1" else "a.bin")
        path.write_bytes(rest[:size])
        try:
            with _silent():
                found = Schema(descriptor_set([str(path)]))
        except (InspectError, ValueError):
            return
    around, *opening = PRELUDES["grpc"]
    message = b"\0" + (len(rest) - size).to_bytes(4, "big") + rest[size:]
    converse([*enumerate(opening), (0, data_frame(message)), (1, data_frame(message))], registered(around), schema=found)


@contextmanager
def _silent() -> Iterator[None]:
    """protoc is not Python: it writes to the descriptor."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def cache(data: bytes) -> None:
    """A kept index that is damaged: the first byte says whether its text's checksum is made to fit, so that the text is read;
    then come changes, each an offset and two lengths in two bytes: what is cut there, and what stands there instead."""
    from inspector.session import open_session

    capture, index, sound, expected = kept()
    changed, at = bytearray(sound), 1
    while at + 6 <= len(data):
        place, cut, size = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (0, 2, 4))
        place %= len(sound)
        changed[place : place + cut] = data[at + 6 : at + 6 + size]
        at += 6 + size
    forged = bool(data[:1]) and bool(data[0] & 1)
    if forged:
        start = int.from_bytes(changed[8:16], "little")
        text = bytes(changed[start:]) if start < len(changed) else b""
        changed[16:28] = len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little")
    index.write_bytes(changed)
    index.chmod(0o600)
    with _caching(capture.parent):
        session = open_session(str(capture))
        try:
            assert forged or _rows(session) == expected
        finally:
            session.close()


def _rows(session: Session) -> list[Any]:
    return [session.row(number) for number in range(1, session.count + 1)]


@functools.cache
def kept() -> tuple[Path, Path, bytes, list[Any]]:
    """A capture, the place of its index, a sound one, and what the capture says."""
    from inspector.session import open_session
    from inspector.sources.bundled import resolve

    folder = Path(tempfile.mkdtemp(prefix="osi-inspect-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    capture = folder / "capture.pcapng"
    capture.write_bytes(Path(resolve("http-get")).read_bytes())
    with _caching(folder):
        session = open_session(str(capture))
        expected = _rows(session)
        session.close()
    (index,) = (folder / "osi-inspect").glob("*.index")
    return capture, index, index.read_bytes(), expected


@contextmanager
def _caching(folder: Path) -> Iterator[None]:
    """Within this every index is kept, in this folder."""
    from inspector.index import cache as module

    before, worth = dict(os.environ), module.WORTH
    os.environ["XDG_CACHE_HOME"], module.WORTH = str(folder), 0.0
    os.environ.pop(module.OFF, None)
    try:
        yield
    finally:
        module.WORTH = worth
        os.environ.clear()
        os.environ.update(before)
