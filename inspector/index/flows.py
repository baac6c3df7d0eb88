"""Flows: which packets belong to one TCP or UDP conversation, numbered as tshark numbers `tcp.stream` and `udp.stream`.

Keys are exact (the whole endpoint pair): a hash of the endpoints could be made to collide.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10
UNKNOWN, UNUSED = -1, -2  # window scales


class Transport(NamedTuple):
    """One transport header of a packet.

    payload_offset: in the packet, -1 where it lies elsewhere; quoted: inside an ICMP error; scale: of a SYN's window scale
    option, None where it has none.
    """

    protocol: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    payload_offset: int = -1
    payload_length: int = 0
    quoted: bool = False
    scale: int | None = None


Key = tuple[int, bytes, int, bytes, int]


class FlowTable:
    """The flows, as columns. Direction 0 is that of the first packet, or of the SYN where one was seen first."""

    def __init__(self) -> None:
        self._by_key: dict[Key, list[int]] = {}  # endpoints in order → flows on that pair, the latest last
        self._keys: list[Key] = []  # as first seen: source first
        self._streams = {TCP: 0, UDP: 0}
        self._stream = array("q")
        self._first = array("q")
        self._bases: list[list[int]] = []
        self._seen: list[list[bool]] = []
        self._shifts: list[list[int]] = []
        self._packets = array("q")
        self._bytes = array("q")
        self._first_ns = array("q")
        self._last_ns = array("q")

    def __len__(self) -> int:
        return len(self._keys)

    def protocol(self, flow: int) -> int:
        return self._keys[flow][0]

    def sport(self, flow: int) -> int:
        return self._keys[flow][2]

    def dport(self, flow: int) -> int:
        return self._keys[flow][4]

    @property
    def stream(self) -> array[int]:
        """tshark's number of the flow among those of its protocol."""
        return self._stream

    @property
    def first(self) -> array[int]:
        """The number of the first packet."""
        return self._first

    @property
    def first_ns(self) -> array[int]:
        return self._first_ns

    @property
    def last_ns(self) -> array[int]:
        return self._last_ns

    @property
    def base_seq(self) -> list[list[int]]:
        """The sequence number that tshark's relative numbers count from, by direction."""
        return self._bases

    @property
    def shift(self) -> list[list[int]]:
        """The window scale that a direction's windows are shifted by; negative where none is known (-1) or used (-2)."""
        return self._shifts

    @property
    def packets(self) -> npt.NDArray[np.int64]:
        return np.array(self._packets, np.int64).reshape(-1, 2)

    @property
    def octets(self) -> npt.NDArray[np.int64]:
        return np.array(self._bytes, np.int64).reshape(-1, 2)

    def addresses(self, flow: int) -> tuple[bytes, bytes]:
        """The addresses of direction 0's sender and receiver."""
        key = self._keys[flow]
        return key[1], key[3]

    def enter(self, found: Transport, packet: int) -> tuple[int, int]:
        """The flow and direction of a packet's transport, in packet order; makes the flow where it is new."""
        flow, direction = self._lookup(found, packet)
        if found.protocol == TCP:
            self._numbers(flow, direction, found)
        return flow, direction

    def count(self, flows: npt.NDArray[np.int32], directions: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64],
              times: npt.NDArray[np.int64]) -> None:  # fmt: skip
        """Add a batch of packets to the figures of their flows."""
        chosen = flows >= 0
        if not chosen.any():
            return
        slots = flows[chosen].astype(np.int64) * 2 + directions[chosen]
        total = 2 * len(self._keys)
        packets = np.bincount(slots, minlength=total)
        octets = np.bincount(slots, weights=sizes[chosen], minlength=total).astype(np.int64)
        np.frombuffer(self._packets, np.int64)[:] += packets
        np.frombuffer(self._bytes, np.int64)[:] += octets
        first, last = np.frombuffer(self._first_ns, np.int64), np.frombuffer(self._last_ns, np.int64)
        np.minimum.at(first, flows[chosen], times[chosen])
        np.maximum.at(last, flows[chosen], times[chosen])

    def find(self, found: Transport, packet: int) -> tuple[int, int] | None:
        """The flow and direction of a transport of a packet that has been entered."""
        at = (found.protocol, found.src, found.sport, found.dst, found.dport)
        flows = self._by_key.get(_ordered(at))
        if flows is None:
            return None
        place = bisect_right(flows, packet, key=self._first.__getitem__) - 1
        return None if place < 0 else (flows[place], 0 if self._keys[flows[place]] == at else 1)

    def _lookup(self, found: Transport, packet: int) -> tuple[int, int]:
        at = (found.protocol, found.src, found.sport, found.dst, found.dport)
        flows = self._by_key.setdefault(_ordered(at), [])
        if flows:
            flow = flows[-1]
            direction = 0 if self._keys[flow] == at else 1
            opening = found.protocol == TCP and found.flags & (SYN | ACK) == SYN
            if not (opening and self._seen[flow][direction] and found.seq != self._bases[flow][direction]):
                return flow, direction
        flow = len(self._keys)
        flows.append(flow)
        self._keys.append(at)
        number = self._streams.get(found.protocol, 0)
        self._streams[found.protocol] = number + 1
        self._stream.append(number)
        self._first.append(packet)
        self._bases.append([0, 0])
        self._seen.append([False, False])
        self._shifts.append([UNKNOWN, UNKNOWN])
        self._packets.extend((0, 0))
        self._bytes.extend((0, 0))
        self._first_ns.append((1 << 63) - 1)
        self._last_ns.append(-(1 << 63))
        return flow, 0

    def _numbers(self, flow: int, direction: int, found: Transport) -> None:
        """The base of the relative numbers: the SYN's own, or one before the first that was seen (as Wireshark counts)."""
        bases, seen = self._bases[flow], self._seen[flow]
        if not seen[direction] or found.flags & (SYN | ACK) == SYN | ACK:
            bases[direction] = found.seq if found.flags & SYN else (found.seq - 1) & 0xFFFFFFFF
            seen[direction] = True
        if not seen[1 - direction] and found.flags & ACK:
            bases[1 - direction] = (found.ack - 1) & 0xFFFFFFFF
            seen[1 - direction] = True

    def offer_shift(self, flow: int, direction: int, shift: int | None, answer: bool) -> None:
        """The window scale option of a SYN (of a SYN ACK: `answer`), None where it has none.

        Scaling needs the option in both SYNs (RFC 7323, 2.2). Where one of them was not seen, the other's counts.
        """
        shifts = self._shifts[flow]
        if shift is None:
            if shifts[direction] == UNKNOWN:
                shifts[:] = [UNUSED, UNUSED]
        else:
            shifts[direction] = UNUSED if answer and shifts[1 - direction] == UNUSED else shift

    def settled(self, flow: int) -> bool:
        """Both directions' bases are known: later packets cannot change them."""
        return all(self._seen[flow])


def _ordered(key: Key) -> Key:
    protocol, src, sport, dst, dport = key
    return key if (src, sport) <= (dst, dport) else (protocol, dst, dport, src, sport)
