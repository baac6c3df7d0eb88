"""Clients that wait for what a server will know later, and servers that take their time."""

from __future__ import annotations

import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story

ROUND_TRIP_HALF = 10  # milliseconds that a frame takes where the path is to be told from the server


def short_polling(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("waiting")
    with lab.capture(path):
        lab.run("node", str(PEERS / "poller.mjs"), "http://api.example.test/orders/A-1001/state")
    return b""


def long_polling(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("waiting")
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "long_poller.py"), "http://api.example.test/news")
    return b""


def async_job(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("waiting")
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "report_client.py"), "http://api.example.test/reports")
    return b""


def slow_server(lab: Lab, path: Path) -> bytes:
    lab.long_path(ROUND_TRIP_HALF)
    lab.resolver()
    lab.serve("node", str(PEERS / "slow.mjs"), WEB4, "80", port=80)
    urls = [f"http://api.example.test/{name}" for name in ("orders/A-1001", "statistics", "orders.csv")]
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", *urls)
    return b""


STORIES = (
    Story(
        name="short-polling",
        title="Asking again and again: short polling",
        teaches="""The client wants to know when an order has been delivered and asks twice a second. The server answers at
            once, whatever it knows, and mostly it knows nothing new: a 304 with no body, thanks to the ETag that the client
            brings back, but still a whole request and a whole response. What does change is learnt up to half a second
            late. Compare it with long-polling and sse.""",
        record=short_polling,
        peers=("Node.js", "uvicorn", "starlette", "unbound"),
        looks=(
            Look("http.request", "The first poll, an ordinary GET.", comment=True),
            Look("http.response.code == 200", "The state of the order, and an ETag that names this version of it."),
            Look(
                'http.request && http matches "(?i)if-none-match"',
                "The next poll, half a second later: If-None-Match brings the ETag back, so that only news need be sent.",
            ),
            Look(
                "http.response.code == 304",
                "304 Not Modified: {tcp.len} bytes that say that there is nothing to say, and the request for them was longer.",
                comment=True,
            ),
            Look(
                "http.response.code == 200 && frame.time_relative > 1",
                "News. Since when there was something to tell, no packet says: it had to wait for the next poll.",
                comment=True,
            ),
        ),
        requires={"http.request": 8, "http.response.code == 304": 5, "http.response.code == 200": 3, "tcp.flags.syn == 1": 2},
        expect=("chatty-polling",),
    ),
    Story(
        name="long-polling",
        title="A question that the server keeps: long polling",
        teaches="""The client asks for news and lets the server hold the question for a second. If there is news in that time
            the answer comes the moment it happens, if not a 204 ends the wait; either way the client asks again at once, and
            says what it knows. News is as quick as with a push, at the price of a request for each. A connection that is
            silent for a while is nothing unusual here, and not a slow server.""",
        record=long_polling,
        peers=("httpx", "Python", "uvicorn", "starlette", "unbound"),
        looks=(
            Look(
                "http.request",
                "The question may be held for a second: Prefer: wait=1 (RFC 7240). after=0 says that the client knows nothing.",
                comment=True,
            ),
            Look(
                "tcp.srcport == 80 && tcp.len == 0 && tcp.ack > 100",
                "The server's TCP has the request and says so at once; the program says nothing yet.",
            ),
            Look(
                "http.response.code == 200",
                "The answer comes with the first news, half a second after the question and not when the second is over.",
                comment=True,
            ),
            Look('http.request.uri contains "after=1"', "Asked again at once, from a new place: after=1."),
            Look(
                "http.response.code == 204",
                "204 No Content, after a second: no news in time. An empty answer now and then keeps proxies from cutting a "
                "silent connection.",
                comment=True,
            ),
        ),
        requires={"http.request": 6, "http.response.code == 200": 4, "http.response.code == 204": 2, "tcp.flags.syn == 1": 2},
    ),
    Story(
        name="async-job",
        title="202 Accepted: a job, and asking how it goes",
        teaches="""A report takes longer than a client should wait. The server accepts the request with 202, names the job in
            Location and says in Retry-After when to ask; the client asks for the job until a 303 leads it to the result.
            The request, the work and the result are three resources, so that no connection has to stay open and another
            client, or another server, may ask later.""",
        record=async_job,
        peers=("requests", "Python", "uvicorn", "starlette", "unbound"),
        looks=(
            Look("http.request.method == POST", "An order for a report, in JSON."),
            Look(
                "http.response.code == 202",
                "202 Accepted, and nothing is done yet. Location names the job, Retry-After says when to ask for it.",
                comment=True,
            ),
            Look('http.request.uri == "/jobs/41"', "A second later, as told: how is job 41?"),
            Look("http.response.code == 200", "200 for the job, which is running, and again Retry-After."),
            Look(
                "http.response.code == 303",
                "303 See Other: done. The result is something else than the job, and lives at another place.",
                comment=True,
            ),
            Look(
                'http.content_type contains "text/csv"',
                "The report itself. It took five requests, none of which had to wait.",
            ),
        ),
        requires={
            "http.response.code == 202": 1,
            'http.request.uri == "/jobs/41"': 3,
            "http.response.code == 303": 1,
            "http.response.code == 200": 3,
            "tcp.flags.syn == 1": 2,
        },
    ),
    Story(
        name="slow-server",
        title="Is it the network, or the server?",
        teaches="""Three requests on one connection, over a path of twenty milliseconds there and back. The first is answered a
            round trip later. The second is acknowledged within moments, and then nothing comes for a second
            and a half: the request has arrived, and the server works. The third is answered at once, and its body
            comes in pieces with pauses, though the window is open and nothing is lost: again the server. A capture tells
            waiting from sending, and both from the way: what the finding slow-response says of the second request rests on
            it.""",
        record=slow_server,
        peers=("curl", "Node.js", "unbound"),
        looks=(
            Look(
                "tcp.flags.syn == 1 && tcp.flags.ack == 1",
                "The handshake shows what the way costs: {tcp.time_delta} seconds there and back.",
            ),
            Look('http.request.uri == "/statistics"', "The second request."),
            Look(
                "tcp.srcport == 80 && tcp.len == 0 && tcp.ack > 150",
                "The server's TCP has the request: it acknowledges it, and sends nothing along. The network has done its part.",
                comment=True,
            ),
            Look(
                "http.response.code == 200 && tcp.time_delta > 1",
                "The answer, {tcp.time_delta} seconds after that acknowledgement: all of it the server's own time.",
                comment=True,
            ),
            Look(
                'tcp.payload contains "Content-Length: 1400"',
                "The third answer begins after one round trip, and Content-Length says how much will come.",
            ),
            Look(
                "tcp.srcport == 80 && tcp.len > 200 && tcp.time_delta > 0.3 && tcp.seq > 800",
                "The next piece, {tcp.time_delta} seconds later. Nothing was lost, the window is open: the server had no more.",
                comment=True,
            ),
        ),
        requires={"http.request": 3, "http.response": 3, "tcp.flags.syn == 1": 2},
        expect=("slow-response",),
        interface="one end of a veth pair into a path that takes 10 ms each way, offloads off",
    ),
)
