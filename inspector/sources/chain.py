"""The chain of records in a window, each of which says where the next one begins, followed at many places at once.

A record's length is the only way to the next, so a chain has to be walked one by one, which is slow in Python. Here places
that look like a record's head are guessed all over the window, and the chains from all of them are walked in step, with numpy.
A guess is believed only where the chain that begins at the window's first record arrives exactly at it: a file can make
guesses fail, which costs time, but never make a false record count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
NONE: Int64s = np.zeros(0, np.int64)

SEGMENT = 32 * 1024  # bytes of the window that one chain walks
NEAR = ((0, 256), (256, 2048))  # where a segment's first record is looked for: small packets first, then Ethernet's longest
FEW = 4  # segments below which nothing is gained


class Chains:
    """The chains of a window, walked from `start`, and from a guess in each segment of the window.

    room: the places at which a record's head lies whole in the window are those below it.
    step: where the records behind those at some places begin; -1 for a record that must be looked at by itself (another
    kind, damaged, not whole). likely: of ascending places, those that look like a record's head.
    """

    def __init__(self, room: int, start: int, step: Callable[[Int64s], Int64s], likely: Callable[[Int64s], Int64s]) -> None:
        self._starts: list[int] = []
        self._found = self._ends = self._counts = NONE
        segments = (room - start) // SEGMENT
        if segments < FEW:
            return
        starts = _guesses(start, segments, likely)
        self._starts = starts.tolist()
        self._ends = np.zeros(len(starts), np.int64)
        at, limits = starts, np.append(starts[1:], room).astype(np.uint64)
        walking = np.arange(len(starts), dtype=np.uint16)
        visited: list[Int64s] = []
        walkers: list[npt.NDArray[np.uint16]] = []
        while len(at):
            following = step(at)
            on = following.view(np.uint64) < limits  # -1 is beyond every limit
            if on.all():
                visited.append(at)
                walkers.append(walking)
                at = following
                continue
            visited.append(at[following >= 0])
            walkers.append(walking[following >= 0])
            self._ends[walking[~on]] = np.where(following >= 0, following, at)[~on]
            at, limits, walking = following[on], limits[on], walking[on]
        # A chain stays in front of the next one's start: one after the other they are in the order of the file.
        self._found = np.concatenate(visited)[np.argsort(np.concatenate(walkers), kind="stable")]
        self._counts = np.searchsorted(self._found, np.append(starts, room))

    def run(self, at: int) -> tuple[Int64s, int]:
        """The records from `at` on, as far as chains that arrive at one another go, and the place behind them.

        Empty where no chain begins at `at`; the caller then takes one record by itself and asks again."""
        first = bisect_left(self._starts, at)
        if first == len(self._starts) or self._starts[first] != at:
            return NONE, at
        apart = np.flatnonzero(self._ends[first:-1] != self._starts[first + 1 :])
        last = first + int(apart[0]) if len(apart) else len(self._starts) - 1
        return self._found[self._counts[first] : self._counts[last + 1]], int(self._ends[last])


def _guesses(start: int, segments: int, likely: Callable[[Int64s], Int64s]) -> Int64s:
    """`start`, and the first likely place of each further segment."""
    found = [np.array([start], np.int64)]
    boundaries = start + np.arange(1, segments, dtype=np.int64) * SEGMENT  # the last is a segment before the end
    for low, high in NEAR:
        places = likely((boundaries[:, None] + np.arange(low, high)).ravel())
        segment = (places - start) // SEGMENT
        found.append(places[np.flatnonzero(np.diff(segment, prepend=-1))])
        missing = np.ones(segments, bool)
        missing[segment] = False
        boundaries = boundaries[missing[(boundaries - start) // SEGMENT]]
    return np.sort(np.concatenate(found))
