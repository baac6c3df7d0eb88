"""The chain of records in a window, each of which says where the next one begins, followed many at a time.

A record's length is the only way to the next, so a chain has to be walked one by one, which is slow in Python. Here every
place of the window that looks like a record's head is found at once, with numpy, and with it the place where the record behind
it would begin. A place is believed only where the chain that begins at the window's first record arrives exactly at it: a file
can make guesses fail, which costs time, but never make a false record count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
NONE: Int64s = np.zeros(0, np.int64)


class Chains:
    """at: places that look like a record's head, ascending; following: where the records behind those would begin."""

    def __init__(self, at: Int64s, following: Int64s) -> None:
        self._at, self._following = at, following
        self._lasts = np.flatnonzero(following != np.append(at[1:], -1))  # those behind which another place comes, or none

    def run(self, at: int) -> tuple[Int64s, int]:
        """The records from `at` on, as far as each follows the one before, and the place behind them.

        Empty where no record seems to begin at `at`; the caller then takes one record by itself and asks again."""
        first = int(np.searchsorted(self._at, at))
        if first == len(self._at) or self._at[first] != at:
            return NONE, at
        last = self._lasts[np.searchsorted(self._lasts, first)]
        return self._at[first : last + 1], int(self._following[last])
