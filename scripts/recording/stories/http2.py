"""One page over HTTP/2 and over HTTP/1.1, and requests that do not wait for answers."""

from __future__ import annotations

import sys
from pathlib import Path

from inspector.capture.labs import certificates
from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story

CURL = ("curl", "--silent", "--show-error", "--parallel")
# The page's files. nginx sends what one second allows at once, and then waits: at 3,000 bytes a second each, the answers take
# turns instead of coming one after the other.
SIZES = {"app.js": 9_000, "orders.js": 7_000, "theme.css": 6_000, "icons.svg": 5_000, "today.json": 4_000, "photo.bin": 8_000}
SLOWLY = "http2_chunk_size 2k; limit_rate 3000;"


def assets() -> dict[str, bytes]:
    """Text that is the same in every recording, each file of its size."""
    line = "{name} line {number:04}: the quick brown fox jumps over the lazy dog\n"
    return {
        name: "".join(line.format(name=name, number=number) for number in range(size // 40)).encode()[:size]
        for name, size in SIZES.items()
    }


def page(lab: Lab, path: Path, *, version: str) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.3; {files.nginx}", more=SLOWLY, http2=True, files=assets())
    keys = lab.dir / "keys.txt"
    urls = [word for name in SIZES for word in (f"https://www.example.test/{name}", "--output", f"got-{name}")]
    with lab.capture(path):
        lab.run(*CURL, version, "--cacert", str(files.root), *urls, SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def pipelining(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx()
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "pipelining.py"), "static.example.test", WEB4)
    return b""


STORIES = (
    Story(
        name="https-http2-multiplex",
        title="Six requests at once on one HTTP/2 connection",
        teaches="""One handshake, one connection, six streams: the requests leave together, and the answers take turns, frame
            by frame, as each has something to send. Header names that were sent once are numbers from then on (HPACK),
            each stream has a window of its own, and the connection one for all. Compare it with http1-six-connections,
            which is the same page over HTTP/1.1.""",
        record=lambda lab, path: page(lab, path, version="--http2"),
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 1",
                "ALPN offers {tls.handshake.extensions_alpn_str}; so that HTTP/2 is settled before the first request.",
            ),
            Look("http2.magic", "The connection preface, then SETTINGS: what each side allows the other."),
            Look(
                'http2.headers.path == "/today.json"',
                "HEADERS of stream {http2.streamid}: a request is a few bytes, since most of its headers are in the table.",
            ),
            Look(
                "http2.type == 0 && http2.streamid == 1",
                "DATA of the first answer; the frames of the others follow before it is complete.",
                comment=True,
            ),
            Look("http2.type == 0 && http2.flags.end_stream == 1", "END_STREAM: the first of the six answers is complete."),
        ),
        requires={"http2.type == 1 && tcp.dstport == 443": None, "tcp.flags.syn == 1": 2, "http2.flags.end_stream == 1": None},
    ),
    Story(
        name="http1-six-connections",
        title="The same page over HTTP/1.1: six connections",
        teaches="""HTTP/1.1 answers one request after the other, so a client that wants six files at once opens six connections:
            six TCP handshakes, six TLS handshakes, six slow starts. Browsers open at most six to a host, and the seventh
            request waits. Compare it with https-http2-multiplex.""",
        record=lambda lab, path: page(lab, path, version="--http1.1"),
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look("tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.stream == 5", "The sixth connection to the same server."),
            Look("tls.handshake.type == 1 && tcp.stream == 0", "Each connection pays for a TLS handshake of its own."),
            Look("http.request && tcp.stream == 3", "One request a connection: while it is answered, no other can be.", True),
        ),
        requires={"http.request": 6, "tcp.flags.syn == 1 && tcp.flags.ack == 0": 6, "http.response": 6},
    ),
    Story(
        name="http1-pipelining",
        title="Three requests before the first answer",
        teaches="""Pipelining: the client sends three requests in one segment and reads three answers, in the same order, for
            nothing in HTTP/1.1 says which answer belongs to which request. A slow first answer holds up all that follow
            (head-of-line blocking), which is why browsers gave it up and HTTP/2 numbers its streams.""",
        record=pipelining,
        peers=("Python", "nginx", "unbound"),
        looks=(
            Look(
                "http.request",
                "Three requests in one segment of {tcp.len} bytes: the client did not wait for any answer.",
                comment=True,
            ),
            Look("http.response", "The answers come in the order of the requests: nothing else connects them."),
            Look(
                "tcp.flags.fin == 1",
                "The last request asked for `Connection: close`, so the server closes once all three are answered.",
            ),
        ),
        requires={"http.request": 1, "tcp.flags.syn == 1": 2},
    ),
)
