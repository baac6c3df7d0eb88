"""Sends UDP datagrams to a port of this machine at an even rate, many with one call of the kernel (sendmmsg).

    python sending.py RATE SECONDS PORT        prints how many it sent, and in how many seconds
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time

PAYLOAD = b"x" * 64
TOGETHER = 64  # datagrams a call at most
BEAT = 0.001  # seconds between calls while it is in time


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_char_p), ("size", ctypes.c_size_t))


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p), ("name_size", ctypes.c_uint), ("pieces", ctypes.POINTER(Piece)),
        ("pieces_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint),
    )  # fmt: skip


def main(rate: float, seconds: float, port: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    piece = Piece(PAYLOAD, len(PAYLOAD))
    messages = (Message * TOGETHER)(*[Message(pieces=ctypes.pointer(piece), pieces_count=1) for _ in range(TOGETHER)])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        fd, sent, began = sock.fileno(), 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            due = int(passed * rate) - sent
            while due > 0 and time.perf_counter() - began < seconds:
                done = libc.sendmmsg(fd, messages, min(due, TOGETHER), 0)
                if done < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                sent, due = sent + done, due - done
            time.sleep(BEAT)
        print(sent, time.perf_counter() - began)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
