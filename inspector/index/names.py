"""The endpoints of flows: each pair known once, as a few words, and found by them.

They are compared exactly: a hash alone could be made to collide. What an attacker could still do is to make many share a place
in the hash table, so that each search takes long; the hash is therefore drawn anew at every start, from a universal family
(M. Dietzfelbinger, "Universal hashing and k-wise independent random variables via integer arithmetic without primes", 1996).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from operator import mul
from secrets import randbits
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.index.grown import Numbers

Words = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

TCP, UDP = 6, 17
HEAD = struct.Struct("=BBxxHH")  # protocol, bytes of one address, ports; the addresses follow
WIDTHS = (HEAD.size + 8) // 4, (HEAD.size + 32) // 4  # words of a name, over IPv4 and over IPv6
PART = 65_536  # names whose hashes are worked out at a time
LITTLE = 1024  # places in the smallest hash table


def name(protocol: int, source: bytes, sport: int, destination: bytes, dport: int) -> tuple[bytes, int]:
    """Two endpoints in order, and whether (1) the source is the second of them."""
    if (source, sport) <= (destination, dport):
        return HEAD.pack(protocol, len(source), sport, dport) + source + destination, 0
    return HEAD.pack(protocol, len(destination), dport, sport) + destination + source, 1


def names(protocol: Bytes, addresses: Bytes, sport: npt.NDArray[Any], dport: npt.NDArray[Any]) -> tuple[Words, Bytes]:
    """`name` of many, one a row. addresses: the source's and the destination's, side by side."""
    size = addresses.shape[1] // 2
    parts = np.ascontiguousarray(addresses).view(">u4").T
    turned = sport > dport
    for source, destination in zip(parts[size // 4 - 1 :: -1], parts[: size // 4 - 1 : -1], strict=True):
        turned = (source > destination) | ((source == destination) & turned)
    found = np.zeros((len(addresses), HEAD.size + 2 * size), np.uint8)
    found[:, 0], found[:, 1] = protocol, size
    ports = found.view(np.uint16)
    ports[:, 2], ports[:, 3] = np.where(turned, dport, sport), np.where(turned, sport, dport)
    found[:, HEAD.size :] = np.where(turned[:, None], np.roll(addresses, size, 1), addresses)
    return found.view(np.uint32), turned.astype(np.uint8)


class Names:
    """Names, numbered from 0 as they come. One thread enters them; any may read."""

    def __init__(self, words: npt.NDArray[Any] | None = None, starts: npt.NDArray[Any] | None = None) -> None:
        """words, starts: those of other names, to go on from."""
        self._words, self._starts = Numbers("u4", rows=words), Numbers("u4", rows=starts)
        self._factors = [randbits(64) for _ in range(max(WIDTHS))]
        # At a name's hash, or behind: its number + 1; 0 for none. Those of other names are put there when they are looked for.
        self._places: Words = np.zeros(1, np.uint32)

    @property
    def words(self) -> Words:
        """The names, one behind the other."""
        return self._words.values

    @property
    def starts(self) -> Words:
        """Where each begins among the words."""
        return self._starts.values

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> tuple[int, tuple[bytes, int], tuple[bytes, int]]:
        """The protocol, and the addresses and ports of the two endpoints."""
        start = int(self.starts[number])
        raw = self.words[start : start + max(WIDTHS)].tobytes()
        protocol, size, first, second = HEAD.unpack_from(raw)
        middle = HEAD.size + size
        return protocol, (raw[HEAD.size : middle], first), (raw[middle : middle + size], second)

    def protocols(self, numbers: Int64s) -> Bytes:
        """The protocols of many."""
        return self.words[self.starts[numbers]].view(np.uint8)[::4]

    def ports(self, numbers: Int64s) -> npt.NDArray[np.uint16]:
        """The ports of many, a pair a row."""
        return self.words[self.starts[numbers] + 1].view(np.uint16).reshape(-1, 2)

    def addresses(self, numbers: Int64s, turned: Bytes) -> Iterator[Words]:
        """The addresses of many as numbers, a column a word: those of the first endpoint (where it is turned, of the second),
        then those of the other; zeros behind shorter ones."""
        words, starts = self.words, self.starts[numbers]
        sizes = words[starts].view(np.uint8)[1::4] // 4
        longest = int(sizes.max(initial=0))
        for side in (0, 1):
            begins = starts + HEAD.size // 4 + np.where(turned == side, 0, sizes)
            for at in range(longest):
                column = words.take(begins + at, mode="clip").view(">u4").astype(np.uint32)
                yield np.where(at < sizes, column, 0).astype(np.uint32)

    def find(self, wanted: bytes) -> int:
        """The number of a name, -1 where there is none."""
        self._make_room(0)
        places, words = self._places, np.frombuffer(wanted, np.uint32).tolist()
        at = (sum(map(mul, words, self._factors)) & (1 << 64) - 1) >> _shift(places)
        while (number := int(places[at]) - 1) >= 0:
            start = int(self.starts[number])
            if self.words[start : start + len(words)].tobytes() == wanted:
                return number
            at = at + 1 & len(places) - 1
        return -1

    def enter(self, wanted: Words) -> Int64s:
        """The numbers of names of one width, one a row; new ones are added."""
        self._make_room(len(wanted))
        hashes = self._hashes(wanted)
        _, first, place = np.unique(hashes, return_index=True, return_inverse=True)
        if (wanted[first[place]] != wanted).any():  # different ones of one hash: hardly ever
            _, first, place = np.unique(wanted, return_index=True, return_inverse=True, axis=0)
        numbers = self._search(wanted[first], hashes[first])
        new = np.flatnonzero(numbers < 0)
        new = new[np.argsort(first[new])]  # in the order in which they came
        if len(new):
            width, before = wanted.shape[1], len(self)
            numbers[new] = before + np.arange(len(new))
            starts = len(self._words) + width * np.arange(len(new))
            self._words.extend(wanted[first[new]].ravel(), width * len(new))
            self._starts.extend(starts, len(new))
            _settle(self._places, hashes[first[new]], numbers[new])
        return numbers[place]

    def _hashes(self, wanted: Words) -> Hashes:
        found: Hashes = np.add.reduce(wanted * np.array(self._factors[: wanted.shape[1]], np.uint64), 1)
        return found

    def _search(self, wanted: Words, hashes: Hashes) -> Int64s:
        """The numbers of names; -1 for those that are not known."""
        places, span = self._places, np.arange(wanted.shape[1])
        at = (hashes >> np.uint64(_shift(places))).astype(np.int64)
        found = np.full(len(wanted), -1)
        left = np.arange(len(wanted))
        while len(left):
            there = places[at[left]].astype(np.int64) - 1
            left, there = left[there >= 0], there[there >= 0]
            # One over IPv4 at the end is shorter than what is looked at; its first word tells them apart.
            words = self.words.take(self.starts[there].astype(np.int64)[:, None] + span, mode="clip")
            same = (words == wanted[left]).all(1)
            found[left[same]] = there[same]
            left = left[~same]
            at[left] = at[left] + 1 & len(places) - 1
        return found

    def _make_room(self, more: int) -> None:
        """Half of the places stay free: searches are short."""
        wanted = 2 * (len(self) + more)
        if wanted <= len(self._places):
            return
        places = np.zeros(max(1 << (wanted - 1).bit_length(), LITTLE), np.uint32)
        for first in range(0, len(self), PART):
            starts = self.starts[first : first + PART].astype(np.int64)
            widths = (HEAD.size + 2 * self.words[starts].view(np.uint8)[1::4].astype(np.int64)) // 4
            for width in WIDTHS:
                own = np.flatnonzero(widths == width)
                _settle(places, self._hashes(self.words[starts[own][:, None] + np.arange(width)]), own + first)
        self._places = places


def _settle(places: Words, hashes: Hashes, numbers: Int64s) -> None:
    """Give names that have no place the next free one at their hash."""
    at = (hashes >> np.uint64(_shift(places))).astype(np.int64)
    while len(numbers):
        free = places[at] == 0
        places[at[free]] = numbers[free] + 1
        left = places[at] != numbers + 1
        at, numbers = at[left] + 1 & len(places) - 1, numbers[left]


def _shift(places: Words) -> int:
    """A hash has 64 bits, of which the highest are the place."""
    return 65 - len(places).bit_length()
