"""What took work and may be asked for again, kept within a budget of memory: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key, as many as weigh `budget` together; the one that was put last stays, whatever it weighs.

    A budget of weight and not of number: a pass in packet order over a thousand small conversations asks for each of them
    again and again, and a few large ones may be all that there is room for.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: K) -> V | None:
        """The value, which counts as used now; None where it is not kept."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep a value; others go where it needs their room."""
        self._weight += weight - self._values.pop(key, (None, 0))[1]
        self._values[key] = (value, weight)
        while self._weight > self._budget and len(self._values) > 1:
            self._weight -= self._values.popitem(last=False)[1][1]

    def weight(self, key: K) -> int:
        """What a value weighs; 0 for one that is not kept."""
        return self._values.get(key, (None, 0))[1]

    def clear(self) -> None:
        self._values.clear()
        self._weight = 0

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
