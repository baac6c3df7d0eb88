"""Connections that fail."""

from __future__ import annotations

import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story


def refused(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "http://api.example.test:8080/health", status=7)  # curl: cannot connect
    return b""


def reset(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.serve(sys.executable, str(PEERS / "aborting.py"), WEB4, "80", port=80)
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "http://api.example.test/orders.csv", status=56)  # curl: receive failed
    return b""


def loss(lab: Lab, path: Path) -> bytes:
    lab.lossy_switch("tcp sport 80 numgen random mod 100 < 4")
    lab.resolver()
    lab.nginx(files={"orders.csv": orders()})
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "--output", "got.csv", "http://static.example.test/orders.csv", "--ipv4")
    return b""


def orders() -> bytes:
    return b"order,customer,state\n" + b"".join(b"A-%05d,customer %05d,packed and paid\n" % (n, n) for n in range(3600))


def zero_window(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx(files={"orders.csv": orders()[:60_000]})
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "slow_reader.py"), "static.example.test", WEB4, "/orders.csv")
    return b""


def nagle(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("readings")
    with lab.capture(path):
        lab.run("node", str(PEERS / "two_sends.mjs"), "http://api.example.test/readings")
    return b""


IDLE = 2  # seconds that nginx keeps an idle connection
HALF_ROUND_TRIP = 30  # milliseconds


def keepalive_race(lab: Lab, path: Path) -> bytes:
    lab.long_path(HALF_ROUND_TRIP)
    lab.resolver()
    lab.nginx(more=f"keepalive_timeout {IDLE}s;")
    idle = IDLE - HALF_ROUND_TRIP / 1000  # the server's clock began when its response left: its FIN is under way by then
    with lab.capture(path):
        lab.run(sys.executable, str(PEERS / "reuse.py"), "http://api.example.test/logo.svg", str(idle))
    return b""


STORIES = (
    Story(
        name="tcp-refused",
        title="Nobody listens on the port",
        teaches="""The host is there, the port is closed: the answer to the SYN is a RST within microseconds. That is good news
            compared with silence, which would mean a filter or a dead host and costs a time-out. Name
            resolution and ARP have worked, so layers 1 to 3 are fine, and the fault is a missing process or
            a wrong port.""",
        record=refused,
        peers=("curl", "unbound"),
        looks=(
            Look("arp.opcode == 2 && arp.src.proto_ipv4 == 192.0.2.80", "The host answers ARP: it is up and on this link."),
            Look("tcp.flags.syn == 1", "The SYN to port {tcp.dstport}; nothing else has gone wrong until here.", comment=True),
            Look(
                "tcp.flags.reset == 1",
                "RST, ACK with window 0: connection refused. It acknowledges the SYN, so that the client knows which "
                "attempt is meant.",
                comment=True,
            ),
        ),
        requires={"tcp": 2, "tcp.flags.reset == 1": 1},
        expect=("connection-refused",),
    ),
    Story(
        name="tcp-reset",
        title="The server resets the connection in the middle of a response",
        teaches="""The head promises 40,000 bytes, 2,611 come, then a RST. It is no FIN: nothing is flushed, nothing may
            follow, and what the client has not yet read may be thrown away. Typical causes are a process
            that crashes with unread data, a time-out with SO_LINGER 0, or a box in the middle that forgot
            the connection.""",
        record=reset,
        peers=("curl", "Python", "unbound"),
        looks=(
            Look("http.request", "An ordinary request."),
            Look(
                'tcp.payload contains "Content-Length: 40000"', "200 OK and Content-Length: 40000: the promise.", comment=True
            ),
            Look(
                "tcp.srcport == 80 && tcp.len > 0 && tcp.len < 1448 && tcp.seq > 1000",
                "The last segment with data; the client acknowledges all of it, and far more is still to come.",
            ),
            Look(
                "tcp.flags.reset == 1",
                "RST at sequence number {tcp.seq}: the response is cut, and curl ends with status 56.",
                comment=True,
            ),
        ),
        requires={"tcp.flags.reset == 1": 1, "tcp.flags.fin == 1": 0, "http.request": 1},
        expect=("reset-after-data", "incomplete"),
    ),
    Story(
        name="tcp-loss",
        title="A download over a path that loses segments",
        teaches="""A switch between the two ends drops four of a hundred segments, and neither end is told. The receiver sees a
            hole and repeats its acknowledgement for every segment behind it, with SACK blocks that say what it has;
            after three of these the sender resends what is missing, without waiting for a time-out. Where nothing comes
            behind the lost segment, only the time-out is left. The file arrives whole: all of this is invisible to
            HTTP.""",
        record=loss,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tcp.analysis.lost_segment",
                "The sequence numbers jump: a segment is missing. What comes behind it waits in the receiver.",
                comment=True,
            ),
            Look(
                "tcp.analysis.duplicate_ack_num == 3",
                "The third duplicate acknowledgement: enough for the sender to believe in a loss and not in disorder.",
                comment=True,
            ),
            Look("tcp.options.sack_le", "A SACK block: from {tcp.options.sack_le} on the receiver already has the bytes."),
            Look(
                "tcp.analysis.retransmission || tcp.analysis.out_of_order",
                "What was missing comes again, and the acknowledgements jump ahead.",
            ),
        ),
        requires={
            "tcp.analysis.lost_segment": None,
            "tcp.analysis.duplicate_ack_num == 3": None,
            "tcp.analysis.fast_retransmission": None,
            "http.response": 1,
        },
        expect=("lost-segment", "out-of-order", "retransmission", "fast-retransmission", "duplicate-ack", "rto-stall", "limit"),
        losses=True,
        interface="one end of a veth pair into a switch that loses segments, offloads off",
    ),
    Story(
        name="tcp-zero-window",
        title="A reader that stops reading",
        teaches="""The client asks for a file and then does not read for two seconds. Its receive buffer fills, the window it
            offers shrinks to nothing, and the server must stop in the middle: it may only probe, ever more rarely,
            whether there is room again. When the program reads on, a window update sets the transfer free. The network
            was never the problem, and neither was the server.""",
        record=zero_window,
        peers=("Python", "nginx", "unbound"),
        looks=(
            Look("tcp.window_size_value < 3000 && tcp.flags.syn == 0", "The window is {tcp.window_size} bytes and shrinking."),
            Look(
                "tcp.analysis.zero_window",
                "Window 0: the receiver has no room. The sender is not slow, it is not allowed to send.",
                comment=True,
            ),
            Look(
                "tcp.analysis.keep_alive",
                "A window probe, lest a lost window update hang both for ever: Linux repeats an old sequence number, which "
                "looks like a keep-alive.",
            ),
            Look("tcp.analysis.window_update", "Room again: {tcp.window_size} bytes. The program has read.", comment=True),
        ),
        requires={"tcp.analysis.zero_window": None, "tcp.analysis.window_update": None, "http.response": 1},
        expect=("zero-window", "window-full", "retransmission"),
        losses=True,
    ),
    Story(
        name="nagle-delayed-ack",
        title="Forty milliseconds for nothing: Nagle meets a delayed acknowledgement",
        teaches="""The client posts readings and writes the head in one send and the body in another. Nagle's algorithm holds
            the second back until the first is acknowledged; the server has nothing to say before it has the body, and
            delays its acknowledgement for forty milliseconds in the hope of something to send along. Each waits for the
            other, in every request but the first of a connection. On the second connection the client sets TCP_NODELAY,
            and the same requests take a millisecond each.""",
        record=nagle,
        peers=("Node.js", "uvicorn", "starlette", "unbound"),
        looks=(
            Look(
                "tcp.stream == 0 && tcp.dstport == 80 && tcp.len == 44",
                "The first body is not held up: Linux acknowledges at once while a connection is young.",
            ),
            Look(
                "tcp.stream == 0 && tcp.dstport == 80 && tcp.len == 127 && tcp.seq > 100",
                "The head of the second request, {tcp.len} bytes. The body is ready, and Nagle's algorithm holds it back: "
                "something small is under way and not acknowledged.",
                comment=True,
            ),
            Look(
                "tcp.stream == 0 && tcp.srcport == 80 && tcp.len == 0 && tcp.time_delta > 0.03",
                "A bare acknowledgement, {tcp.time_delta} seconds after the head: the server's timer for delayed "
                "acknowledgements has run out.",
                comment=True,
            ),
            Look(
                "tcp.stream == 0 && tcp.dstport == 80 && tcp.len == 44 && tcp.seq > 200",
                "The body leaves only now, at once after the acknowledgement.",
            ),
            Look(
                "tcp.stream == 1 && tcp.dstport == 80 && tcp.len == 127 && tcp.seq > 100",
                "TCP_NODELAY: head and body are two segments here too, and the second waits for nobody.",
            ),
        ),
        requires={
            "tcp.stream == 0 && tcp.srcport == 80 && tcp.len == 0 && tcp.time_delta > 0.03 && tcp.time_delta < 0.1": 5,
            "tcp.stream == 1 && tcp.len == 44 && tcp.time_delta > 0.03": 0,
        },
        expect=("nagle-delayed-ack",),
    ),
    Story(
        name="keepalive-race",
        title="A request meets the close of an idle connection",
        teaches="""A server keeps an idle connection for two seconds and then closes it. The client, thirty milliseconds
            away, has not heard of that yet when it uses the connection again: request and FIN pass each other on
            the way, and the answer to the request is a reset. Nobody is at fault, and the client cannot
            know whether its request was carried out. It sends it again on a new connection, which only a method that
            is idempotent, like GET, allows without a second thought.""",
        record=keepalive_race,
        peers=("requests", "Python", "nginx", "unbound"),
        looks=(
            Look("http.response", "The first answer, and the connection stays open: Connection: keep-alive.", comment=True),
            Look(
                "http.request && tcp.stream == 0 && tcp.seq > 100",
                "After nearly two seconds the client uses the connection again: seen from here, nothing is wrong with it.",
                comment=True,
            ),
            Look(
                "tcp.flags.fin == 1 && tcp.srcport == 80 && tcp.stream == 0",
                "FIN. It acknowledges {tcp.ack} and not the end of the new request: when it left, the request had not arrived.",
                comment=True,
            ),
            Look(
                "tcp.flags.reset == 1",
                "RST at {tcp.seq}: the answer to the request. Nobody is there any more to read it.",
                comment=True,
            ),
            Look("http.request && tcp.stream == 1", "The same request again, on a connection of its own."),
        ),
        requires={
            "tcp.flags.fin == 1 && tcp.srcport == 80 && tcp.stream == 0 && tcp.ack < 200": 1,
            "tcp.flags.reset == 1": None,
            "http.request": 3,
            "http.response": 2,
        },
        expect=("keepalive-race",),
        interface="one end of a veth pair into a path that takes 30 ms each way, offloads off",
    ),
)
