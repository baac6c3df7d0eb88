"""A path that takes time: frames from one interface leave by the other, each as much later as it would travel.

    python long_path.py IN OUT MILLISECONDS
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque

LARGEST = 65_536


def main(names: tuple[str, str], delay: float) -> None:
    ports = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for _ in names]
    for port, name in zip(ports, names, strict=True):
        port.bind((name, 3))  # ETH_P_ALL
    print("forwarding", flush=True)
    under_way: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        wait = max(under_way[0][0] - time.monotonic(), 0) if under_way else None
        readable, _, _ = select.select(ports, [], [], wait)
        now = time.monotonic()
        for port in readable:
            frame, (_, _, kind, *_) = port.recvfrom(LARGEST)
            if kind != socket.PACKET_OUTGOING:  # what this program itself sends is seen again
                under_way.append((now + delay, ports[1 - ports.index(port)], frame))
        while under_way and under_way[0][0] <= now:
            _, port, frame = under_way.popleft()
            port.send(frame)


if __name__ == "__main__":
    main((sys.argv[1], sys.argv[2]), float(sys.argv[3]) / 1000)
