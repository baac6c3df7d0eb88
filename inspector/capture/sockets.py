"""The sockets of this machine as the kernel lists them, without any privilege (include/uapi/linux/inet_diag.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

TCP, UDP = 6, 17
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TIME_WAIT, LISTEN, NEW_SYN_RECV = 6, 10, 12  # include/net/tcp_states.h
CONNECTED = 0xFFF & ~(1 << TIME_WAIT | 1 << LISTEN | 1 << NEW_SYN_RECV)  # states in which a socket is a program's own
ALL = 0xFFFFFFFF
ANSWER = 1 << 18  # bytes of the kernel's answers read at a time
_HEAD = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBBI48x")  # inet_diag_req_v2: family, protocol, extensions, padding, states; any socket
_MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # inet_diag_msg, of network byte order where it is bytes
_MAPPED = bytes(10) + b"\xff\xff"


class Endpoints(NamedTuple):
    """Where a socket is bound, and to where it is connected: addresses as their bytes, 0 and zeros where they are open."""

    protocol: int
    local: bytes
    port: int
    remote: bytes
    remote_port: int


class Socket(NamedTuple):
    """A socket that a program holds open. inode: what the program's descriptor is called, `socket:[inode]`."""

    inode: int
    endpoints: Endpoints


class Diagnosis:
    """A question to the kernel that can be asked again and again."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has no socket diagnosis."""
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._netlink.settimeout(1.0)

    def close(self) -> None:
        self._netlink.close()

    def sockets(self) -> Iterator[Socket]:
        """Every connected TCP socket and every bound UDP socket of this network namespace. Raises OSError."""
        for protocol, states in ((TCP, CONNECTED), (UDP, ALL)):
            for family in (socket.AF_INET, socket.AF_INET6):
                with suppress(FileNotFoundError):  # a kernel without this protocol
                    yield from self._dump(family, protocol, states)

    def _dump(self, family: int, protocol: int, states: int) -> Iterator[Socket]:
        request = _REQUEST.pack(family, protocol, 0, 0, states)
        head = _HEAD.pack(_HEAD.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0)
        self._netlink.send(head + request)
        while True:
            answer = self._netlink.recv(ANSWER)
            at = 0
            while at + _HEAD.size <= len(answer):
                length, kind, *_ = _HEAD.unpack_from(answer, at)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (error,) = struct.unpack_from("=i", answer, at + _HEAD.size)
                    raise OSError(-error, "socket diagnosis failed")
                yield _socket(protocol, _MESSAGE.unpack_from(answer, at + _HEAD.size))
                at += length + 3 & ~3


def _socket(protocol: int, message: tuple[int | bytes, ...]) -> Socket:
    family, _, _, _, source, destination, local, remote, *_, inode = message
    ports = (int.from_bytes(port, "big") for port in (source, destination) if isinstance(port, bytes))
    port, remote_port = ports
    assert isinstance(local, bytes) and isinstance(remote, bytes) and isinstance(inode, int)
    four = family == socket.AF_INET
    return Socket(inode, Endpoints(protocol, address(local, four), port, address(remote, four), remote_port))


def address(raw: bytes, four: bool = False) -> bytes:
    """An address as it stands in packets: four bytes, also where IPv6 only wraps them (RFC 4291, 2.5.5.2)."""
    if four:
        return raw[:4]
    return raw[12:] if raw[:12] == _MAPPED else raw
