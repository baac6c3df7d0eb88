"""Server-sent events."""

from __future__ import annotations

from pathlib import Path

from inspector.capture.labs import certificates
from recording.lab import PROXY4, WEB4, Lab
from recording.story import Look, Story

CURL = ("curl", "--silent", "--show-error", "--no-buffer", "--header", "Accept: text/event-stream")


def whole(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("shop")
    with lab.capture(path):
        lab.run(*CURL, "http://api.example.test/orders/events")
    return b""


def cut(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    server = lab.app("shop")
    url = "http://api.example.test/imports/7/events"
    with lab.capture(path):
        lab.run(*CURL, url, status=18)  # curl: transfer closed with outstanding read data remaining
        server.popen.wait()
        lab.app("shop")
        lab.run(*CURL, "--header", "Last-Event-ID: 40", url)
    return b""


def encrypted(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "api.example.test", "ec")
    lab.resolver()
    lab.app("shop", tls=files)
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        url = "https://api.example.test/orders/events"
        lab.run(*CURL, "--http1.1", "--cacert", str(files.root), url, SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def buffered(lab: Lab, path: Path) -> bytes:
    lab.proxy()
    lab.resolver()
    lab.app("prices")
    config = lab.write("proxy.conf", "proxy.conf", dir=str(lab.dir), listen=PROXY4, upstream=WEB4)
    lab.serve("nginx", "-c", str(config), "-p", str(lab.dir), "-e", str(lab.dir / "error.log"), port=80, end="proxy")
    with lab.capture(path, end="proxy"):
        for name in ("prices", "prices?instant"):
            lab.run(*CURL, f"http://live.example.test/{name}")
    return b""


STORIES = (
    Story(
        name="sse",
        title="Server-sent events and the segments that carry them",
        teaches="""An event ends with its empty line, not with a chunk, a segment or a read: here single events come in a
            segment each, three share one, one is split in the middle of a UTF-8 character with a quarter of
            a second between, and one is longer than a segment. Comments keep the connection alive, `retry`
            sets the delay before the client comes back, `id` is what it will ask for.""",
        record=whole,
        peers=("curl", "uvicorn", "starlette", "unbound"),
        looks=(
            Look(
                'tcp.payload contains "text/event-stream" && tcp.srcport == 80',
                "The head alone: 200, text/event-stream, chunked. The response has begun, and nobody knows when it will end.",
                comment=True,
            ),
            Look(
                'tcp.payload contains ": connected"',
                "A comment and `retry: 3000`: the client learns something, but no event is dispatched.",
            ),
            Look(
                'tcp.payload contains "A-1001" && tcp.srcport == 80',
                "Event 1: one event, one chunk, one segment. Do not count on it.",
                comment=True,
            ),
            Look(
                'tcp.payload contains "A-1002"',
                "Events 2, 3 and 4 in one chunk and one segment: one read returns all three.",
                comment=True,
            ),
            Look(
                'tcp.payload contains ": heartbeat"',
                "A comment of one line: the heartbeat that keeps proxies from cutting an idle connection.",
            ),
            Look(
                'tcp.payload contains "A-1005"',
                "The first part of event 5. It ends between the two bytes of the ü in Zürich: whoever decodes piece "
                "by piece prints rubbish.",
                comment=True,
            ),
            Look(
                "tcp.payload contains 22:7d:0a:0a && tcp.len < 20",
                "The rest of event 5, in another chunk and segment a quarter of a second later; the event exists from here on.",
                comment=True,
            ),
            Look(
                'tcp.payload contains "event: note"',
                "Three data lines make one text of three lines; the empty one in the middle counts.",
            ),
            Look(
                "tcp.len == 1448",
                "Event 7 is longer than a segment: one chunk, two segments, and the event is complete in the second.",
            ),
            Look('tcp.payload contains "no name"', "Without an `event` line the client gives it the name message."),
            Look("http.response", "The last chunk, of length 0: the response has ended, the connection could be used again."),
        ),
        requires={"http.response": 1, "tcp.len == 1448": 1},
        facts={"events": 9},
    ),
    Story(
        name="sse-cut",
        title="The stream dies in the middle of an event",
        teaches="""The server process is killed while it writes event 60. Its kernel closes the connection politely with FIN,
            which looks like an end; but the chunked body has no last chunk and the event no empty line, so
            the client must throw the half event away. It comes back with Last-Event-ID: 40 and gets event
            60 again, whole. Lines end in CR LF here.""",
        record=cut,
        peers=("curl", "uvicorn", "starlette", "unbound"),
        looks=(
            Look('tcp.payload contains "id: 40"', "Event 40, the last one that is complete before the cut."),
            Look(
                'tcp.payload contains "id: 60" && tcp.stream == 0',
                "Half of event 60: a whole chunk, but no empty line, so that no event is dispatched.",
                comment=True,
            ),
            Look(
                "tcp.flags.fin == 1 && tcp.srcport == 80 && tcp.stream == 0",
                "FIN without a last chunk: TCP says a clean end, HTTP/1.1 says incomplete, and HTTP is right.",
                comment=True,
            ),
            Look('tcp.payload contains "Last-Event-ID"', "The client is back and says what it has: Last-Event-ID: 40."),
            Look(
                'tcp.payload contains "id: 60" && tcp.stream == 1',
                "Event 60 again, whole this time: nothing was lost, because the server knows how to continue.",
            ),
            Look("http.response && tcp.stream == 1", "The chunk of length 0 that was missing the first time."),
        ),
        requires={"http.response && tcp.stream == 1": 1, "tcp.stream == 1": None},
        expect=("sse-cut", "incomplete", "sse-truncated"),
        facts={"events": 5},
    ),
    Story(
        name="sse-tls",
        title="Server-sent events over TLS: five kinds of pieces",
        teaches="""The same events as in the capture sse, now encrypted, with the keys in the file. An event becomes data of a
            chunk, the chunk becomes the plaintext of a TLS record, the record becomes segments, and each segment a
            frame; no two of these have to begin or end together. Three events share one record and one segment, one
            event needs two of everything, and one is longer than a segment, so that its record can be verified only
            when the second segment is here.""",
        record=encrypted,
        peers=("curl", "uvicorn", "starlette", "unbound"),
        looks=(
            Look("tls.handshake.type == 1", "The ClientHello; the response it leads to will not end by itself."),
            Look(
                "tls.handshake.type == 20 && tcp.dstport == 443",
                "The client's Finished; from the next record on all is encrypted with the traffic keys.",
            ),
            Look(
                "tcp.len == 1448 && tcp.srcport == 443 && tcp.seq > 2500",
                "Event 7 begins here: a full segment, and nothing of its record can be verified before the next one has come.",
                comment=True,
            ),
            Look(
                "http.response",
                "The last chunk, of length 0, encrypted like all else: only who has the keys knows that this is the end.",
                comment=True,
            ),
        ),
        requires={"http.response": 1, "tls.handshake.type == 20": 2},
    ),
    Story(
        name="sse-buffered-by-proxy",
        title="A proxy that keeps events back",
        teaches="""Recorded at an nginx between a client and a service that sends an event each quarter of a second: both sides
            of the proxy are here. The first time nginx buffers, as it does unless it is told otherwise: the events come
            to it one by one, and go to the client in lumps, whenever a buffer of four kilobytes is full, the oldest more
            than a second late. The second time the service says X-Accel-Buffering: no, and each event goes on within a
            millisecond. Seen at the client alone, a buffering proxy looks just like a service that writes in lumps.""",
        record=buffered,
        peers=("curl", "nginx", "uvicorn", "starlette", "unbound"),
        looks=(
            Look("http.request && ip.dst == 192.0.2.60", "The client asks the proxy: GET {http.request.uri} in HTTP/1.1."),
            Look(
                "http.request && ip.dst == 192.0.2.80",
                "The proxy asks the service, on a connection of its own: the same path, in HTTP/1.0 with Connection: close, "
                "and X-Forwarded-For says for whom.",
                comment=True,
            ),
            Look(
                'ip.src == 192.0.2.80 && tcp.payload contains "id: 1\n"',
                "Event 1 reaches the proxy after {frame.time_relative} seconds of this capture. Where is it on the other side?",
            ),
            Look(
                "ip.src == 192.0.2.60 && tcp.srcport == 80 && tcp.len > 1000",
                "A buffer is full: events 1 to 6 and the beginning of the next go to the client together, "
                "after {frame.time_relative} seconds.",
                comment=True,
            ),
            Look(
                'http.request.uri contains "instant" && ip.dst == 192.0.2.80',
                "The same stream again; now the service is asked to have it passed on at once.",
            ),
            Look(
                'tcp.payload contains "x-accel-buffering"',
                "X-Accel-Buffering: no is meant for nginx alone: it obeys, and does not pass the line on.",
                comment=True,
            ),
            Look(
                'ip.src == 192.0.2.60 && tcp.srcport == 80 && tcp.payload contains "id: 2\n" && tcp.stream > 1',
                "Event 2 alone, a fraction of a millisecond after it came in.",
            ),
        ),
        requires={"tcp.flags.syn == 1": 8, "http.request": 4},
        expect=("sse-buffered",),
        vantage="proxy",
        interface="the proxy's end of a veth pair into a switch, offloads off",
    ),
)
