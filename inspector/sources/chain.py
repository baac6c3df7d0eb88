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
Bytes = npt.NDArray[np.uint8]
NONE: Int64s = np.zeros(0, np.int64)

SEGMENT = 64 * 1024  # bytes of the window that one chain walks
SEARCH = 2048  # bytes in which a segment's first record is looked for: longer than an Ethernet frame
FEW = 4  # segments below which nothing is gained


class Chains:
    """The chains of a window, walked from `start`, and from a guess in each segment of the window.

    step: where the records behind those at some places begin; -1 for a record that must be looked at by itself (another
    kind, damaged, not whole). likely: of ascending places, those that look like a record's head.
    """

    def __init__(self, size: int, start: int, step: Callable[[Int64s], Int64s], likely: Callable[[Int64s], Int64s]) -> None:
        self._starts: list[int] = []
        self._found = self._ends = self._counts = NONE
        segments = (size - start) // SEGMENT
        if segments < FEW:
            return
        starts = _guesses(start, segments, likely)
        self._starts = starts.tolist()
        limits = np.append(starts[1:], size)
        places = starts.copy()
        walking = np.arange(len(starts), dtype=np.uint16)
        visited: list[Int64s] = [NONE]
        walkers = [walking[:0]]
        while len(walking):
            at = places[walking]
            following = step(at)
            on = following >= 0
            if not on.all():
                walking, at, following = walking[on], at[on], following[on]
            visited.append(at)
            walkers.append(walking)
            places[walking] = following
            on = following < limits[walking]
            if not on.all():
                walking = walking[on]
        # A chain stays in front of the next one's start: one after the other they are in the order of the file.
        self._found = np.concatenate(visited)[np.argsort(np.concatenate(walkers), kind="stable")]
        self._ends = places
        self._counts = np.searchsorted(self._found, np.append(starts, size))

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
    boundaries = start + np.arange(1, segments, dtype=np.int64) * SEGMENT
    places = likely((boundaries[:, None] + np.arange(SEARCH)).ravel())
    _, first = np.unique((places - start) // SEGMENT, return_index=True)
    return np.concatenate([np.array([start], np.int64), places[first]])
