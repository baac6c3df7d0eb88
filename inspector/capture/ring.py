"""An AF_PACKET socket with a ring that kernel and program share (TPACKET_V3): packets come in blocks, with kernel timestamps.

include/uapi/linux/if_packet.h. Opening needs CAP_NET_RAW; reading needs nothing. Nothing here dissects.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from inspector.capture.interfaces import Link, loopbacks

SOL_PACKET, ETH_P_ALL = 263, 3
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 1, 5, 6, 10, 23
SO_ATTACH_FILTER = 26
TPACKET_V3, MEMBER_PROMISCUOUS, PACKET_OUTGOING = 2, 1, 4
STATUS_KERNEL, STATUS_USER = 0, 1
VLAN_VALID, VLAN_TPID_VALID = 1 << 4, 1 << 6
TAG_ISO_8021Q = 0x8100
BLOCK, SMALL = 1 << 20, 1 << 18  # bytes: larger than any packet; in a small buffer there are more of them, which wait less
BLOCKS = 8  # at least, of the large ones
FRAME = 1 << 11
RETIRE_MS = 40  # a block that is not full is handed over after this time, so that rows appear soon
_BLOCK_HEAD = struct.Struct("=II")  # status, packets
_FIRST = struct.Struct("=I")
_STATUS_AT, _FIRST_AT = 8, 16
_PACKET_HEAD = struct.Struct("=IIIIIIHH4xIH")  # next, seconds, nanoseconds, captured, length, status, mac, net, tci, tpid
_ADDRESS = struct.Struct("=H2siHBB8s")  # sockaddr_ll: family, protocol (network order), interface, type, packet type, address
_ADDRESS_AT = 48  # TPACKET_ALIGN(sizeof(struct tpacket3_hdr))
_SLL2 = struct.Struct(">2sHIHBB8s")  # LINKTYPE_LINUX_SLL2: protocol, 0, interface, type, packet type, address and its length


# A packet: its time in nanoseconds, its length on the wire, and its bytes, which are valid until the next block is asked for. A
# plain tuple: there are some hundred thousand of them a second, and a named one takes longer to make.
Captured = tuple[int, int, bytes | memoryview]


class Ring:
    """An open capture socket of one interface. received, dropped: by the kernel's count, from the last `count` on."""

    def __init__(self, link: Link, code: bytes, buffer_mib: int, promiscuous: bool) -> None:
        """code: BPF instructions. Raises OSError: PermissionError without CAP_NET_RAW."""
        self.link = link
        kind = socket.SOCK_DGRAM if link.cooked else socket.SOCK_RAW
        self.socket = socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: nothing comes before it is bound
        try:
            self._set_up(code, max(buffer_mib, 2), promiscuous)
        except BaseException:
            self.socket.close()
            raise
        self._at = 0
        self.received = self.dropped = 0

    def _set_up(self, code: bytes, mib: int, promiscuous: bool) -> None:
        sock, link = self.socket, self.link
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        # On the loopback interface every packet would come twice: as it leaves, and as it arrives.
        self._loopbacks = {link.index} if link.loopback else set() if link.index else loopbacks()
        if link.loopback:
            with suppress(OSError):  # Linux before 4.20: `blocks` leaves them out, which takes longer
                sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
                self._loopbacks = set()
        self._block = BLOCK if mib >= BLOCKS else SMALL
        self._blocks = (mib << 20) // self._block
        request = struct.pack("=IIIIIII", self._block, self._blocks, FRAME, (mib << 20) // FRAME, RETIRE_MS, 0, 0)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self._map = mmap.mmap(sock.fileno(), mib << 20, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._view = memoryview(self._map)
        program = ctypes.create_string_buffer(code, len(code))
        fprog = struct.pack("@HP", len(code) // 8, ctypes.addressof(program))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        if promiscuous and link.index and not link.loopback:
            sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8x", link.index, MEMBER_PROMISCUOUS, 0))
        libc = ctypes.CDLL(None, use_errno=True)  # the socket module binds by name, which leaves no way to all interfaces
        address = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(ETH_P_ALL), link.index)
        if libc.bind(sock.fileno(), address, len(address)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def fileno(self) -> int:
        return self.socket.fileno()

    def blocks(self) -> Iterator[list[Captured]]:
        """What has arrived, a block at a time; a block is the kernel's again when the next one is asked for."""
        for _ in range(self._blocks):
            at = self._at * self._block
            status, count = _BLOCK_HEAD.unpack_from(self._view, at + _STATUS_AT)
            if not status & STATUS_USER:
                return
            yield self._packets(at + _FIRST.unpack_from(self._view, at + _FIRST_AT)[0], count)
            struct.pack_into("=I", self._view, at + _STATUS_AT, STATUS_KERNEL)
            self._at = (self._at + 1) % self._blocks

    def _packets(self, at: int, count: int) -> list[Captured]:
        view, cooked, loopback, head = self._view, self.link.cooked, self._loopbacks, _PACKET_HEAD.unpack_from
        found: list[Captured] = []
        add = found.append
        for _ in range(count):
            following, seconds, nanoseconds, size, wire, status, mac, net, tci, tpid = head(view, at)
            start = at + (net if cooked else mac)
            data: bytes | memoryview = view[start : start + size]
            address = _ADDRESS.unpack_from(view, at + _ADDRESS_AT) if cooked or loopback else None
            if status & VLAN_VALID and not cooked:  # the kernel took the tag out of the frame
                tag = struct.pack(">HH", tpid if status & VLAN_TPID_VALID else TAG_ISO_8021Q, tci & 0xFFFF)
                data, wire = b"".join((data[:12], tag, data[12:])), wire + 4
            at += following
            if address is not None:
                _, protocol, interface, kind, packet_type, length, hardware = address
                if packet_type == PACKET_OUTGOING and interface in loopback:
                    continue
                if cooked:
                    header = _SLL2.pack(protocol, 0, interface, kind, packet_type, length, hardware)
                    data, wire = b"".join((header, data)), wire + _SLL2.size
            add((seconds * 1_000_000_000 + nanoseconds, wire, data))
        return found

    def count(self) -> None:
        """Ask the kernel how many packets it received and dropped since it was asked last."""
        packets, drops, _ = struct.unpack("=III", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
        self.received += packets  # dropped ones among them
        self.dropped += drops

    def failure(self) -> str:
        """After an error of the socket: what happened to the interface."""
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            socket.if_nametoindex(self.link.name)
        except OSError:
            return f"the interface {self.link.name} has vanished"
        return f"the interface {self.link.name} went down"

    def close(self) -> None:
        """Close the socket."""
        self._view.release()
        self._map.close()
        self.socket.close()
