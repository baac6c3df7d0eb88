"""An HTTP client with a small receive buffer that sends its request and does not read for a while.

    python slow_reader.py HOST ADDRESS PATH [SECONDS]
"""

from __future__ import annotations

import socket
import sys
import time

PAUSE = 2.0  # seconds without a read
BUFFER = 8192  # bytes; the kernel doubles it for its own books


def main(host: str, address: str, path: str, pause: float) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        connection.connect((address, 80))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        time.sleep(pause)
        size = 0
        while piece := connection.recv(4096):
            size += len(piece)
        print(size)


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]) if len(sys.argv) > 4 else PAUSE)
