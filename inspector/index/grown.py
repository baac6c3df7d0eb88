"""Numbers that come one at a time, kept as densely as an array keeps them: a list takes five to ten times the memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt


class Numbers(Sequence[int]):
    """One number after the other. One thread appends; any may read. kind: a type code of the module `array`."""

    __slots__ = ("_values",)

    def __init__(self, kind: str, values: Iterable[int] = ()) -> None:
        self._values = array(kind, values)

    def append(self, value: int) -> None:
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, at: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: Any) -> Any:
        return self._values[at]

    def __setitem__(self, at: int, value: int) -> None:
        self._values[at] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """A copy: an array that is looked at directly cannot grow as long as somebody looks."""
        found = np.frombuffer(self._values.tobytes(), self._values.typecode)
        return found if dtype is None else found.astype(dtype)


class Pairs(Sequence[tuple[int, int]]):
    """Two numbers after the other two: one for each direction of a flow."""

    __slots__ = ("_numbers",)

    def __init__(self, kind: str, values: Iterable[int] = ()) -> None:
        self._numbers = Numbers(kind, values)

    def append(self, first: int, second: int) -> None:
        self._numbers.append(first)
        self._numbers.append(second)

    def __len__(self) -> int:
        return len(self._numbers) // 2

    @overload
    def __getitem__(self, at: SupportsIndex) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[int, int]]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        return self._numbers[2 * at], self._numbers[2 * at + 1]

    def of(self, at: int, side: int) -> int:
        """One of a pair."""
        return self._numbers[2 * at + side]

    def put(self, at: int, side: int, value: int) -> None:
        """Write one of a pair anew."""
        self._numbers[2 * at + side] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._numbers, dtype).reshape(-1, 2)
