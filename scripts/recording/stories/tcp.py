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
)
