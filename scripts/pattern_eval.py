#!/usr/bin/env python3
"""Judge the recognition of communication patterns on labelled runs, and print a confusion matrix.

Each run is a real server and a real client that talk through a small relay, which delays every piece by a random jitter and
now and then loses one (it then comes later, as a resend does). The relay is the network card of these runs: what passes is
written down as segments with its times, so that no privileges are needed, and every run is a capture file that the program
opens as any other. Servers: asyncio streams written here, and http.server and the websockets library where they fit.

    scripts/pattern_eval.py [--runs 75] [--together 24] [--keep FOLDER] [--seed 1]

Exit status 1 where less than 95 of 100 are right, or one is wrong with high confidence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from inspector.annotations.patterns import CONNECTIONS, INTERACTIONS, PROXY_HOP, Confidence, Pattern
from inspector.session import open_session

FIN, SYN, PSH, ACK = 1, 2, 8, 16
MSS = 1448
LOST_FOR = 0.21  # seconds until a lost piece comes again: the least retransmission time-out of Linux
GOAL = 0.95
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, asyncio.StreamWriter], Awaitable[bool]]


# --- the wire


class Wire:
    """What passes the relays of one run, as segments of a capture."""

    def __init__(self, random_: random.Random) -> None:
        self.random = random_
        self.jitter = random_.choice([0.001, 0.005, 0.02])  # seconds
        self.loss = random_.choice([0.0, 0.0, 0.01, 0.03])  # of the pieces
        self.packets: list[tuple[float, bytes]] = []
        self.ports = 40_000 + random_.randrange(10_000)

    def write(self, path: Path) -> None:
        with path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
            for at, frame in sorted(self.packets, key=lambda packet: packet[0]):
                micros = round(at * 1e6)
                out.write(struct.pack("<IIII", micros // 10**6, micros % 10**6, len(frame), len(frame)) + frame)

    def connection(self, client: str, server: str, port: int) -> Link:
        self.ports += 1
        return Link(self, (client, server), (self.ports, port))


class Link:
    """One connection on the wire."""

    def __init__(self, wire: Wire, ends: tuple[str, str], ports: tuple[int, int]) -> None:
        self.wire, self.ports = wire, ports
        self.ends = [socket.inet_aton(end) for end in ends]
        self.sequence = [wire.random.randrange(1 << 31) for _ in ends]
        self.segment(0, SYN)
        self.segment(1, SYN | ACK)
        self.segment(0, ACK)

    def segment(self, end: int, flags: int, data: bytes = b"") -> None:
        acknowledged = self.sequence[1 - end] if flags & ACK else 0
        ports = self.ports if end == 0 else self.ports[::-1]
        numbers = (self.sequence[end] & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
        tcp = struct.pack("!HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 60_000, 0, 0) + data
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + self.ends[end] + self.ends[1 - end]
        self.wire.packets.append((time.time(), b"\x02" + bytes(11) + b"\x08\x00" + ip + tcp))
        self.sequence[end] += len(data) + bool(flags & (SYN | FIN))

    def carry(self, end: int, data: bytes) -> None:
        for start in range(0, len(data), MSS):
            self.segment(end, PSH | ACK, data[start : start + MSS])
        self.segment(1 - end, ACK)


async def relay(wire: Wire, upstream: int, client: str = "192.0.2.10", server: str = "192.0.2.80", port: int = 80) -> int:
    """A port that leads to `upstream` over the wire."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: Link, end: int) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await source.read(65_536):
                delay = wire.random.expovariate(1 / wire.jitter) + (LOST_FOR if wire.random.random() < wire.loss else 0)
                await asyncio.sleep(min(delay, 2 * LOST_FOR))
                link.carry(end, data)
                sink.write(data)
                await sink.drain()
            link.segment(end, FIN | ACK)
            sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", upstream)
        link = wire.connection(client, server, port)
        await asyncio.gather(pump(reader, there[1], link, 0), pump(there[0], writer, link, 1))

    opened = await asyncio.start_server(accept, "127.0.0.1", 0)
    return int(opened.sockets[0].getsockname()[1])


# --- HTTP, as little as is needed


async def read_head(reader: asyncio.StreamReader) -> tuple[list[str], dict[str, str]]:
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in raw[1:] if line)}
    return raw[0].split(" ", 2), headers


async def serve(handler: Handler) -> int:
    """An HTTP server; its handler writes the answer, and says whether the connection goes on."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                words, headers = await read_head(reader)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await handler(words[0], words[1], headers, body, writer):
                    break
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


def reply(writer: asyncio.StreamWriter, body: bytes = b"", status: str = "200 OK", more: str = "") -> bool:
    chunked = more.startswith("chunked")
    more = more.removeprefix("chunked")
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    if chunked:
        body = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    writer.write(f"HTTP/1.1 {status}\r\n{framing}\r\n{more}\r\n".encode() + body)
    return True


async def ask(stream: Stream, path: str, method: str = "GET", body: bytes = b"", more: str = "") -> Answer:
    """A request on an open connection, and the whole answer."""
    reader, writer = stream
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: api.example.test\r\n{length}{more}\r\n".encode() + body)
    return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> Answer:
    words, headers = await read_head(reader)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip() or b"0", 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(words[1]), headers, body


async def connect(port: int) -> Stream:
    return await asyncio.open_connection("127.0.0.1", port)


def library_server(answer_: Callable[[str], tuple[int, bytes]]) -> int:
    """The same with http.server, which answers HTTP/1.1 from a thread a connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answer_(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


# --- the runs: each makes its traffic, and its name says what must be recognised


async def requests(wire: Wire) -> None:
    """Ordinary requests, at irregular times, to different paths."""
    port = await relay(wire, library_server(lambda path: (200, path.encode() * 20)))
    stream = await connect(port)
    for number in range(wire.random.randint(2, 8)):
        await ask(stream, f"/items/{number}")
        await asyncio.sleep(wire.random.uniform(0.01, 0.4))
    stream[1].close()


async def short_polling(wire: Wire) -> None:
    """The same question in a rhythm; now and then there is something new. With or without a new connection each time."""
    state = {"n": 0}

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        state["n"] += wire.random.random() < 0.25
        kind = style
        if kind == 0:
            return reply(writer, b'{"state": %d}' % state["n"])
        if kind == 1:
            fresh = wire.random.random() < 0.2
            return reply(writer, b"[1]", more="chunked") if fresh else reply(writer, b"[]", more="chunked")
        fresh = wire.random.random() < 0.2
        return reply(writer, b"{}" if fresh else b"", "200 OK" if fresh else "304 Not Modified")

    style, period = wire.random.randrange(3), wire.random.choice([0.3, 0.5, 0.8])
    new_each = wire.random.random() < 0.3
    port = await relay(wire, await serve(handler))
    stream = await connect(port)
    for _ in range(wire.random.randint(8, 14)):
        if new_each:
            stream[1].close()
            stream = await connect(port)
        await ask(stream, "/jobs/state")
        await asyncio.sleep(period * wire.random.uniform(0.95, 1.05))
    stream[1].close()


async def long_polling(wire: Wire) -> None:
    """Held back until there is something, or until the server's time-out."""
    limit = wire.random.choice([0.9, 1.2, 1.6])

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        wait = wire.random.expovariate(1 / limit)
        await asyncio.sleep(min(max(wait, 0.05), limit))
        if wait >= limit:
            return reply(writer, b"", "204 No Content") if empty == 0 else reply(writer, b"[]")
        return reply(writer, json.dumps({"news": wire.random.random()}).encode())

    empty = wire.random.randrange(2)
    target = "/updates" + wire.random.choice(["", "?timeout=30", "?since=4"])
    port = await relay(wire, await serve(handler))
    stream = await connect(port)
    for _ in range(wire.random.randint(8, 12)):
        await ask(stream, target)
    stream[1].close()


async def events(wire: Wire) -> None:
    """An event stream, with heartbeats; some end, some are left by the client."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(wire.random.randint(4, 12)):
            text = b"id: %d\ndata: event %d\n\n" % (number, number) if number % 4 else b": heartbeat\n\n"
            writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
            await writer.drain()
            await asyncio.sleep(wire.random.uniform(0.05, 0.5))
        writer.write(b"0\r\n\r\n")
        return True

    port = await relay(wire, await serve(handler))
    reader, writer = await connect(port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: api.example.test\r\nAccept: text/event-stream\r\n\r\n")
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), wire.random.uniform(2, 6))
    writer.close()


async def websocket(wire: Wire, broadcast: bool = False) -> None:
    """Messages that the server sends unasked, with the websockets library; or one member's to all."""
    from websockets.asyncio.client import connect as open_socket
    from websockets.asyncio.server import serve as serve_sockets

    members: set[Any] = set()

    async def handler(socket_: Any) -> None:
        members.add(socket_)
        if not broadcast:
            for number in range(wire.random.randint(4, 10)):
                await socket_.send(json.dumps({"price": number, "of": "anything"}))
                await asyncio.sleep(wire.random.uniform(0.1, 0.5))
            return
        async for message in socket_:
            for member in list(members):
                await member.send(f"said: {message}")

    compression = wire.random.choice(["deflate", None])
    async with serve_sockets(handler, "127.0.0.1", 0, compression=compression) as server:
        port = await relay(wire, next(iter(server.sockets)).getsockname()[1])
        sockets = [await open_socket(f"ws://127.0.0.1:{port}/", compression=compression) for _ in range(3 if broadcast else 1)]
        if broadcast:
            for number in range(6):
                await sockets[number % 3].send(f"message number {number} of this room")
                await asyncio.sleep(0.5)
        else:
            with suppress(Exception):
                while True:
                    await asyncio.wait_for(sockets[0].recv(), 3)
        for one in sockets:
            await one.close()


async def publish(wire: Wire) -> None:
    """A room: what one says reaches all."""
    wire.jitter, wire.loss = min(wire.jitter, 0.005), 0.0 if wire.loss < 0.03 else 0.01
    await websocket(wire, broadcast=True)


async def job(wire: Wire) -> None:
    """202 with a handle, asked for until it is done."""
    style, polls = wire.random.randrange(3), wire.random.randint(2, 8)
    left = {"polls": polls}

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        if method == "POST":
            more = "Location: /reports/a7f3/status\r\n" if style != 1 else ""
            return reply(writer, b'{"id": "a7f3", "state": "queued"}', "202 Accepted", more)
        left["polls"] -= 1
        if left["polls"] <= 0 and style == 2:
            return reply(writer, b"", "303 See Other", "Location: /reports/a7f3\r\n")
        return reply(writer, b'{"state": "running"}' if left["polls"] > 0 else b'{"state": "done"}')

    port = await relay(wire, await serve(handler))
    stream = await connect(port)
    await ask(stream, "/reports", "POST", b'{"kind": "sales"}')
    for _ in range(polls):
        await asyncio.sleep(wire.random.uniform(0.3, 0.5))
        await ask(stream, "/reports/a7f3/status")
    stream[1].close()


async def pipelining(wire: Wire) -> None:
    """Requests ahead of their answers."""
    count = wire.random.randint(3, 6)
    port = await relay(wire, library_server(lambda path: (200, path.encode() * 50)))
    reader, writer = await connect(port)
    for number in range(count):
        writer.write(b"GET /%d HTTP/1.1\r\nHost: api.example.test\r\n\r\n" % number)
    for _ in range(count):
        await answer(reader)
    writer.close()


async def pool(wire: Wire) -> None:
    """Workers that take connections from a pool, with one set of credentials."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(wire.random.uniform(0.05, 0.2))
        return reply(writer, path.encode() * 5)

    port = await relay(wire, await serve(handler))
    free: asyncio.Queue[Stream] = asyncio.Queue()
    for _ in range(wire.random.randint(2, 5)):
        free.put_nowait(await connect(port))

    async def worker(number: int) -> None:
        stream = await free.get()
        await ask(stream, f"/rows/{number}", more="Authorization: Bearer eyJ.eyJ.sig\r\n")
        free.put_nowait(stream)

    await asyncio.gather(*(worker(number) for number in range(wire.random.randint(12, 24))))
    while not free.empty():
        free.get_nowait()[1].close()


async def multiplexing(wire: Wire) -> None:
    """Several streams at once on one HTTP/2 connection; frames from the h2 library on both sides."""
    import h2.config
    import h2.connection
    import h2.events

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())

        async def respond(stream: int) -> None:
            for _ in range(3):
                await asyncio.sleep(wire.random.uniform(0.05, 0.2))
                if _ == 0:
                    connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
                connection.send_data(stream, b"part of the answer " * 20, end_stream=_ == 2)
                writer.write(connection.data_to_send())

        tasks = []
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        tasks.append(asyncio.ensure_future(respond(event.stream_id)))
                writer.write(connection.data_to_send())
            await asyncio.gather(*tasks)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = await relay(wire, server.sockets[0].getsockname()[1])
    reader, writer = await connect(port)
    client = h2.connection.H2Connection()
    client.initiate_connection()
    count = wire.random.randint(3, 8)
    for number in range(count):
        client.send_headers(2 * number + 1, [(":method", "GET"), (":path", f"/{number}"), (":scheme", "http"),
                                             (":authority", "api.example.test")], end_stream=True)  # fmt: skip
    writer.write(client.data_to_send())
    ended = 0
    while ended < count:
        ended += sum(isinstance(event, h2.events.StreamEnded) for event in client.receive_data(await reader.read(65_536)))
        writer.write(client.data_to_send())
    writer.close()


async def proxy_hop(wire: Wire) -> None:
    """A proxy that asks on a connection of its own, and says for whom; both its sides are captured."""
    origin = await relay(wire, library_server(lambda path: (200, path.encode() * 10)), "192.0.2.60", "192.0.2.90", 8080)
    upstream: dict[str, Stream] = {}

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        stream = upstream.get("it") or await connect(origin)
        upstream["it"] = stream
        status, _, content = await ask(stream, path, more="X-Forwarded-For: 192.0.2.10\r\n" if marked else "")
        return reply(writer, content, f"{status} OK")

    marked = wire.random.random() < 0.6
    port = await relay(wire, await serve(handler), "192.0.2.10", "192.0.2.60")
    stream = await connect(port)
    for number in range(wire.random.randint(3, 6)):
        await ask(stream, f"/pages/{number}")
        await asyncio.sleep(0.1)
    stream[1].close()
    upstream["it"][1].close()


# the negatives


async def slow_download(wire: Wire) -> None:
    """The same large file again and again: the wait is in the body."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 2000)
            await writer.drain()
            await asyncio.sleep(0.05)
        return True

    port = await relay(wire, await serve(handler))
    stream = await connect(port)
    for _ in range(4):
        await ask(stream, "/large.bin")
    stream[1].close()


async def idle_connection(wire: Wire) -> None:
    """Two requests with a long pause between: an open connection is no stream."""
    port = await relay(wire, library_server(lambda path: (200, b"hello")))
    stream = await connect(port)
    await ask(stream, "/a")
    await asyncio.sleep(wire.random.uniform(4, 8))
    await ask(stream, "/b")
    stream[1].close()


async def retries(wire: Wire) -> None:
    """A request that fails is sent again, later each time or in a rhythm."""
    growing = wire.random.random() < 0.5
    port = await relay(wire, library_server(lambda path: (503, b"later")))
    stream = await connect(port)
    for turn in range(6):
        await ask(stream, "/orders")
        await asyncio.sleep(0.1 * 2**turn if growing else 0.5)
    stream[1].close()


async def slow_server(wire: Wire) -> None:
    """A server that needs long for each answer, asked in a loop."""
    varied = wire.random.random() < 0.5

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(wire.random.uniform(0.4, 1.5) if varied else 0.7)
        return reply(writer, json.dumps({"result": wire.random.random()}).encode())

    port = await relay(wire, await serve(handler))
    stream = await connect(port)
    for _ in range(7):
        await ask(stream, "/report")
    stream[1].close()


Run = tuple[str, frozenset[str], Callable[[Wire], Awaitable[None]], frozenset[str]]
ORDINARY = frozenset({"request–response", "unknown"})
RUNS: tuple[Run, ...] = (  # label, what is right, what makes it, the names among which is chosen
    ("request–response", frozenset({"request–response"}), requests, INTERACTIONS),
    ("short polling", frozenset({"short polling"}), short_polling, INTERACTIONS),
    ("long polling", frozenset({"long polling"}), long_polling, INTERACTIONS),
    ("server-sent events", frozenset({"server-sent events"}), events, INTERACTIONS),
    ("push over WebSocket", frozenset({"push over WebSocket"}), websocket, INTERACTIONS),
    ("publish–subscribe", frozenset({"publish–subscribe"}), publish, frozenset({"publish–subscribe"})),
    ("asynchronous job", frozenset({"asynchronous job"}), job, INTERACTIONS),
    ("pipelining", frozenset({"pipelining"}), pipelining, CONNECTIONS),
    ("connection pool", frozenset({"connection pool"}), pool, CONNECTIONS),
    ("multiplexing", frozenset({"multiplexing"}), multiplexing, CONNECTIONS),
    ("proxy hop", frozenset({"proxy hop"}), proxy_hop, frozenset({PROXY_HOP})),
    ("slow download", ORDINARY, slow_download, INTERACTIONS),
    ("idle connection", ORDINARY, idle_connection, INTERACTIONS),
    ("retries", ORDINARY, retries, INTERACTIONS),
    ("slow server", ORDINARY, slow_server, INTERACTIONS),
)


def judged(found: list[Pattern], among: frozenset[str]) -> tuple[str, Confidence]:
    """The surest pattern among those that compete; a special one before plain request and response."""
    own = [one for one in found if one.name in among]
    own.sort(key=lambda one: (one.name != "request–response", one.confidence), reverse=True)
    return (own[0].name, own[0].confidence) if own else ("nothing", Confidence.LOW)


async def all_runs(count: int, together: int, folder: Path, seed: int) -> list[tuple[Run, Path]]:
    """Make the traffic of every run, some of them at the same time."""
    gate = asyncio.Semaphore(together)

    async def one(number: int) -> tuple[Run, Path]:
        run, wire = RUNS[number % len(RUNS)], Wire(random.Random(seed * 1000 + number))
        path = folder / f"{number:03}-{run[0].replace(' ', '-')}.pcap"
        async with gate:
            await asyncio.wait_for(run[2](wire), 60)
            await asyncio.sleep(0.3)  # what is under way arrives
        wire.write(path)
        return run, path

    return await asyncio.gather(*(one(number) for number in range(count)))


def report(results: list[tuple[Run, Path]]) -> bool:
    """Print the matrix; true where the goal is met."""
    matrix: Counter[tuple[str, str]] = Counter()
    right = sure_and_wrong = unknown = 0
    for run, path in results:
        session = open_session(str(path))
        name, confidence = judged(session.patterns(), run[3])
        session.close()
        matrix[run[0], name] += 1
        good = name in run[1]
        right += good
        unknown += name in ("unknown", "nothing") and not good
        sure_and_wrong += not good and confidence == Confidence.HIGH
        if not good:
            print(f"wrong: {path.name}: {name} ({confidence.name.lower()})")
    columns = sorted({found for _, found in matrix})
    print(f"{'':22}" + "".join(f"{column[:13]:>15}" for column in columns))
    for label in dict.fromkeys(run[0] for run in RUNS):
        print(f"{label:22}" + "".join(f"{matrix[label, column] or '·':>15}" for column in columns))
    total = len(results)
    print(f"{right} of {total} right ({right / total:.1%}), {unknown} unknown, {sure_and_wrong} wrong with high confidence")
    return right >= GOAL * total and not sure_and_wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=75)
    parser.add_argument("--together", type=int, default=24)
    parser.add_argument("--keep", type=Path, help="keep the captures in this folder")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = asyncio.run(all_runs(options.runs, options.together, folder, options.seed))
        return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
