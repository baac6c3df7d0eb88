"""The regular packets of a batch over one version of IP, on their way into flows: their endpoints, each pair known once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, SYN
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV6_TCP, Column
from inspector.index.decode import Decoded
from inspector.index.flows import TCP, UDP, Key
from inspector.sources import Batch

Int64s = npt.NDArray[np.int64]


class Lane:
    """pair: of each packet, the number of its endpoints, as they are directed; keys: the endpoints of each pair."""

    def __init__(self, found: Decoded) -> None:
        self.found = found
        self.keys: list[Key] = []
        self._numbers: dict[Key, int] = {}
        self._first: list[int] = []  # each pair's first packet
        self.pair = self._pairs()
        self._flow = np.full(len(self.keys), -1, np.int64)
        self._direction = np.zeros(len(self.keys), np.int64)
        self._later: dict[int, list[tuple[int, int, int]]] = {}  # pairs that change their flow: (from where, flow, direction)

    def _pairs(self) -> Int64s:
        """Neighbours in the order of a 16-bit hash are alike or not; what is alike is looked up exactly, once a run: packets
        that are made to collide cost time, and nothing else."""
        found = self.found
        count = len(found.rows)
        if not count:
            return np.zeros(0, np.int64)
        tcp = (found.shape == SHAPE_IPV4_TCP) | (found.shape == SHAPE_IPV6_TCP)
        words = np.ascontiguousarray(found.addresses).view(np.uint64)
        ports = found.sport.astype(np.uint64) << np.uint64(17) | found.dport.astype(np.uint64) << np.uint64(1) | tcp
        mixed = ports * _MIX
        for column in words.T:
            mixed = (mixed ^ column) * _MIX
        order = np.argsort((mixed >> np.uint64(48)).astype(np.uint16), kind="stable")
        differs = np.zeros(count, bool)
        for column in (ports, *words.T):
            sorted_ = column[order]
            differs[1:] |= sorted_[1:] != sorted_[:-1]
        differs[0] = True
        heads = order[differs]
        numbers, keys, first = self._numbers, self.keys, self._first
        size = words.shape[1] * 4
        addresses = found.addresses[heads].tobytes()
        named: list[int] = []
        at = 0
        for head, protocol, sport, dport in zip(
            heads.tolist(), np.where(tcp[heads], TCP, UDP).tolist(), found.sport[heads].tolist(), found.dport[heads].tolist(),
            strict=True,
        ):  # fmt: skip
            key = (protocol, addresses[at : at + size], sport, addresses[at + size : at + 2 * size], dport)
            at += 2 * size
            number = numbers.setdefault(key, len(keys))
            if number == len(keys):
                keys.append(key)
                first.append(head)
            elif head < first[number]:
                first[number] = head
            named.append(number)
        pair = np.empty(count, np.int64)
        pair[order] = np.array(named, np.int64)[np.cumsum(differs) - 1]
        return pair

    def telling(self) -> Iterator[tuple[int, int]]:
        """(place here, row of the batch) of the packets that can change what is known of a flow, in order: a pair's first
        packet, its SYNs, and its first packet with an ACK."""
        found, pair = self.found, self.pair
        telling = np.zeros(len(pair), bool)
        telling[self._first] = True
        telling |= (found.flags & SYN) != 0
        acks = np.flatnonzero(found.flags & ACK)
        earliest = np.zeros(len(self.keys), np.int64)
        earliest[pair[acks[::-1]]] = acks[::-1]
        telling[earliest[pair[acks]]] = True
        # A SYN behind other packets of its endpoints may begin a new flow there: those packets are entered one by one.
        reused: set[int] = set()
        for at, number in zip(*_lists(np.flatnonzero((found.flags & (SYN | ACK)) == SYN), pair), strict=True):
            protocol, source, sport, destination, dport = self.keys[number]
            mate = self._numbers.get((protocol, destination, dport, source, sport), number)
            if at > min(self._first[number], self._first[mate]):
                reused |= {number, mate}
        if reused:
            telling |= np.isin(pair, list(reused))
        chosen = np.flatnonzero(telling)
        self._packets = dict(
            zip(chosen.tolist(), zip(*(c[chosen].tolist() for c in (pair, found.seq, found.ack, found.flags)), strict=True),
                strict=True)
        )  # fmt: skip
        return zip(chosen.tolist(), found.rows[chosen].tolist(), strict=True)

    def packet(self, at: int) -> tuple[int, int, int, int]:
        """Pair, sequence and acknowledgement number and flags of a telling packet."""
        return self._packets[at]

    def options(self, at: int, batch: Batch) -> bytes:
        """The options of a TCP header."""
        row = self.found.rows[at]
        start = int(batch.start[row])
        return batch.window[start + int(self.found.head[at]) + 20 : start + int(self.found.payload[at])].tobytes()

    def belongs(self, at: int, pair: int, flow: int, direction: int) -> None:
        """From this packet on, its endpoints talk in this flow."""
        if self._flow[pair] < 0:
            self._flow[pair], self._direction[pair] = flow, direction
        elif self._flow[pair] != flow or pair in self._later:
            self._later.setdefault(pair, []).append((at, flow, direction))

    def spread(self) -> tuple[Column, Column]:
        """Flow and direction of every packet."""
        flow, direction = self._flow[self.pair], self._direction[self.pair]
        for pair, changes in self._later.items():
            members = np.flatnonzero(self.pair == pair)
            for at, later, way in changes:
                behind = members[np.searchsorted(members, at) :]
                flow[behind], direction[behind] = later, way
        return flow, direction


_MIX = np.uint64(0x9E3779B97F4A7C15)


def _lists(places: Int64s, column: Int64s) -> tuple[list[int], list[int]]:
    return places.tolist(), column[places].tolist()
