"""Numbers that come in batches, one row after the other, in an array that has room for more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt


class Rows:
    """One thread adds and writes; any may read. Where there is no room left a larger array takes its place: a reader
    keeps the one that it has. kind: numpy's; shape: of one row."""

    __slots__ = ("_count", "_room")

    def __init__(self, kind: str, shape: tuple[int, ...] = (), rows: npt.NDArray[Any] | None = None) -> None:
        self._count = 0 if rows is None else len(rows)
        self._room = np.zeros((64, *shape), kind) if rows is None else np.array(rows, kind)
        if self._room.shape[1:] != shape:
            raise ValueError(f"rows of the shape {self._room.shape[1:]}, not {shape}")

    @property
    def values(self) -> npt.NDArray[Any]:
        """All rows, as they lie in memory."""
        return self._room[: self._count]

    def extend(self, rows: npt.ArrayLike, count: int) -> None:
        """Add `count` rows; one value stands for all of them."""
        total = self._count + count
        if total > len(self._room):
            room = np.zeros((total + total // 4, *self._room.shape[1:]), self._room.dtype)
            room[: self._count] = self.values
            self._room = room
        self._room[self._count : total] = rows
        self._count = total

    def __len__(self) -> int:
        return self._count

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.values, dtype) if copy else np.asarray(self.values, dtype)


class Numbers(Rows, Sequence[int]):
    """One number a row."""

    __slots__ = ()

    @overload
    def __getitem__(self, at: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: Any) -> Any:
        return self.values[at].tolist()


class Pairs(Rows, Sequence[tuple[int, int]]):
    """Two numbers a row: one for each direction of a flow."""

    __slots__ = ()

    def __init__(self, kind: str, rows: npt.NDArray[Any] | None = None) -> None:
        super().__init__(kind, (2,), rows)

    @overload
    def __getitem__(self, at: SupportsIndex) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[int, int]]: ...
    def __getitem__(self, at: Any) -> Any:
        found = self.values[at].tolist()
        return [tuple(pair) for pair in found] if isinstance(at, slice) else tuple(found)
