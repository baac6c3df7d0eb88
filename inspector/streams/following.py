"""Bounded work: the conversations of a capture that grows, followed in packet order, a few packets at a time."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from inspector.index import Index
from inspector.index.names import TCP

PIECE = 256  # packets followed before the next look at the clock, at most


class Following:
    """reached: the conversations of the packets up to this one were followed that far.

    follow: follows a flow up to a packet.
    """

    def __init__(self, index: Index, follow: Callable[[int, int], None]) -> None:
        self._index, self._follow = index, follow
        self.reached = 0
        self._until = 0  # the last packet of the piece in work
        self._flows: list[int] = []  # those of that piece that are still to be followed

    def work(self, seconds: float) -> int:
        """Follow for about so long; the packets that are then still to come."""
        end = perf_counter() + seconds
        while self.reached < self._index.count and perf_counter() < end:
            if not self._flows:
                self._until = min(self.reached + PIECE, self._index.count)
                flows = np.unique(self._index.since("flow", self.reached)[: self._until - self.reached])
                self._flows = [flow for flow in flows.tolist() if flow >= 0 and self._index.flows.protocol(flow) == TCP]
            while self._flows and perf_counter() < end:
                self._follow(self._flows.pop(), self._until)
            if not self._flows:
                self.reached = self._until
        return self._index.count - self.reached
