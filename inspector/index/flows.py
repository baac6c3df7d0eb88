"""Flows: which packets belong to one TCP or UDP conversation, numbered as tshark numbers `tcp.stream` and `udp.stream`.

Keys are exact (the whole endpoint pair): a hash of the endpoints could be made to collide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10
UNKNOWN, UNUSED = -1, -2  # window scales
Int64s = npt.NDArray[np.int64]


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

    @property
    def key(self) -> Key:
        """The endpoints, the source first."""
        return self.protocol, self.src, self.sport, self.dst, self.dport


Key = tuple[int, bytes, int, bytes, int]  # protocol, source address and port, destination address and port


class FlowTable:
    """The flows, as columns. Direction 0 is that of the first packet, or of the SYN where one was seen first."""

    ARRAYS = ("protocol", "sizes", "addresses", "ports", "stream", "first", "bases", "seen", "shifts", "packets", "octets",
              "times")  # fmt: skip

    def __init__(self) -> None:
        self._by_key: dict[Key, list[int]] = {}  # endpoints in order → flows on that pair, the latest last
        self._keys: list[Key] = []  # as first seen: source first
        self._streams = {TCP: 0, UDP: 0}
        self._stream: list[int] = []
        self._first: list[int] = []
        self._bases: list[list[int]] = []
        self._seen: list[list[bool]] = []
        self._shifts: list[list[int]] = []
        self._counted = 0  # flows in the figures, which have room for more
        self._packets, self._octets = np.zeros((64, 2), np.int64), np.zeros((64, 2), np.int64)
        self._times = np.zeros((64, 2), np.int64)  # of the first and the last packet

    def arrays(self) -> dict[str, npt.NDArray[Any]] | None:
        """Everything as arrays, by the names of `ARRAYS`; None where an address is longer than one of IPv6."""
        count, keys = len(self._keys), self._keys
        sizes = np.array([(len(key[1]), len(key[3])) for key in keys], np.uint8).reshape(-1, 2)
        if count and sizes.max() > 16:
            return None
        packed = b"".join(key[1].ljust(16, b"\0") + key[3].ljust(16, b"\0") for key in keys)
        return {
            "protocol": np.array([key[0] for key in keys], np.uint8),
            "sizes": sizes,
            "addresses": np.frombuffer(packed, np.uint8).reshape(-1, 32),
            "ports": np.array([(key[2], key[4]) for key in keys], np.uint16).reshape(-1, 2),
            "stream": np.array(self._stream, np.int64),
            "first": np.array(self._first, np.int64),
            "bases": np.array(self._bases, np.uint32).reshape(-1, 2),
            "seen": np.array(self._seen, np.uint8).reshape(-1, 2),
            "shifts": np.array(self._shifts, np.int8).reshape(-1, 2),
            "packets": self.packets,
            "octets": self.octets,
            "times": self._times[: self._counted],
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> FlowTable:
        """The table that `arrays` was made of. Raises ValueError or LookupError where they do not belong together."""
        table = cls()
        packed = arrays["addresses"].tobytes()
        rows = zip(arrays["protocol"].tolist(), arrays["sizes"].tolist(), arrays["ports"].tolist(), strict=True)
        for at, (protocol, (first, second), (sport, dport)) in enumerate(rows):
            place = at * 32
            source, destination = packed[place : place + first], packed[place + 16 : place + 16 + second]
            table._keys.append((protocol, source, sport, destination, dport))
        table._stream, table._first = arrays["stream"].tolist(), arrays["first"].tolist()
        table._bases, table._shifts = arrays["bases"].tolist(), arrays["shifts"].tolist()
        table._seen = arrays["seen"].astype(bool).tolist()
        table._packets, table._octets, table._times = (arrays[name].copy() for name in ("packets", "octets", "times"))
        table._counted = len(table._keys)
        if {len(arrays[name]) for name in cls.ARRAYS} != {table._counted}:
            raise ValueError("columns of different lengths")
        for flow, key in enumerate(table._keys):
            table._by_key.setdefault(_ordered(key), []).append(flow)
            table._streams[key[0]] = table._streams.get(key[0], 0) + 1
        return table

    def __len__(self) -> int:
        return len(self._keys)

    def protocol(self, flow: int) -> int:
        return self._keys[flow][0]

    def sport(self, flow: int) -> int:
        return self._keys[flow][2]

    def dport(self, flow: int) -> int:
        return self._keys[flow][4]

    @property
    def stream(self) -> Sequence[int]:
        """tshark's number of the flow among those of its protocol."""
        return self._stream

    @property
    def first(self) -> Sequence[int]:
        """The number of the first packet."""
        return self._first

    @property
    def first_ns(self) -> Int64s:
        """The time of each flow's earliest packet, in nanoseconds since 1970."""
        return self._times[: self._counted, 0]

    @property
    def last_ns(self) -> Int64s:
        """The time of each flow's latest packet."""
        return self._times[: self._counted, 1]

    def duration(self, flow: int) -> int:
        """Nanoseconds from a flow's first packet to its last; 0 for one that is only quoted, in an ICMP error."""
        first, last = self._times[flow].tolist()
        return max(int(last) - int(first), 0)

    @property
    def base_seq(self) -> list[list[int]]:
        """The sequence number that tshark's relative numbers count from, by direction."""
        return self._bases

    @property
    def shift(self) -> list[list[int]]:
        """The window scale that a direction's windows are shifted by; negative where none is known (-1) or used (-2)."""
        return self._shifts

    @property
    def packets(self) -> Int64s:
        """Packets by flow and direction."""
        return self._packets[: self._counted]

    @property
    def octets(self) -> Int64s:
        """Bytes on the wire by flow and direction."""
        return self._octets[: self._counted]

    def addresses(self, flow: int) -> tuple[bytes, bytes]:
        """The addresses of direction 0's sender and receiver."""
        key = self._keys[flow]
        return key[1], key[3]

    def enter(self, key: Key, packet: int, seq: int = 0, ack: int = 0, flags: int = 0) -> tuple[int, int]:
        """The flow and direction of a packet's transport, in packet order; makes the flow where it is new.

        key: its endpoints, the source first."""
        flow, direction = self._lookup(key, packet, seq, flags)
        if key[0] == TCP:
            self._numbers(flow, direction, seq, ack, flags)
        return flow, direction

    def count(self, flows: npt.NDArray[np.int32], directions: npt.NDArray[np.uint8], sizes: Int64s, times: Int64s) -> None:
        """Add a batch of packets to the figures of their flows."""
        total = len(self._keys)
        if total > len(self._packets):  # arrays of twice the size: a reader keeps those that it has
            room = np.zeros((total * 2, 2), np.int64)
            self._packets, self._octets, self._times = (
                np.concatenate([kept[: self._counted], room]) for kept in (self._packets, self._octets, self._times)
            )
        self._times[self._counted : total] = ((1 << 63) - 1, -(1 << 63))
        if not (flows >= 0).all():
            chosen = flows >= 0
            flows, directions, sizes, times = flows[chosen], directions[chosen], sizes[chosen], times[chosen]
        if len(flows):
            low = int(flows.min())
            slots = (flows - low).astype(np.int64) * 2 + directions
            packets = np.bincount(slots)
            octets = np.bincount(slots, weights=sizes).astype(np.int64)
            end = 2 * low + len(packets)
            self._packets.reshape(-1)[2 * low : end] += packets
            self._octets.reshape(-1)[2 * low : end] += octets
            np.minimum.at(self._times[:, 0], flows, times)
            np.maximum.at(self._times[:, 1], flows, times)
        self._counted = total

    def find(self, found: Transport, packet: int) -> tuple[int, int] | None:
        """The flow and direction of a transport of a packet that has been entered."""
        at = found.key
        flows = self._by_key.get(_ordered(at))
        if flows is None:
            return None
        place = bisect_right(flows, packet, key=self._first.__getitem__) - 1
        return None if place < 0 else (flows[place], 0 if self._keys[flows[place]] == at else 1)

    def _lookup(self, key: Key, packet: int, seq: int, flags: int) -> tuple[int, int]:
        flows = self._by_key.setdefault(_ordered(key), [])
        if flows:
            flow = flows[-1]
            direction = 0 if self._keys[flow] == key else 1
            opening = flags & (SYN | ACK) == SYN and key[0] == TCP
            if not (opening and self._seen[flow][direction] and seq != self._bases[flow][direction]):
                return flow, direction
        flow = len(self._keys)
        flows.append(flow)
        self._keys.append(key)
        number = self._streams.get(key[0], 0)
        self._streams[key[0]] = number + 1
        self._stream.append(number)
        self._first.append(packet)
        self._bases.append([0, 0])
        self._seen.append([False, False])
        self._shifts.append([UNKNOWN, UNKNOWN])
        return flow, 0

    def _numbers(self, flow: int, direction: int, seq: int, ack: int, flags: int) -> None:
        """The base of the relative numbers: the SYN's own, or one before the first that was seen (as Wireshark counts)."""
        bases, seen = self._bases[flow], self._seen[flow]
        if not seen[direction] or flags & (SYN | ACK) == SYN | ACK:
            bases[direction] = seq if flags & SYN else (seq - 1) & 0xFFFFFFFF
            seen[direction] = True
        if not seen[1 - direction] and flags & ACK:
            bases[1 - direction] = (ack - 1) & 0xFFFFFFFF
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


def _ordered(key: Key) -> Key:
    protocol, src, sport, dst, dport = key
    return key if (src, sport) <= (dst, dport) else (protocol, dst, dport, src, sport)
