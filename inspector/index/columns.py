"""The columns of a capture: blocks of 65,536 packets, sealed when they are full, and one open tail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 65_536

# name → type; 62 bytes a packet.
TYPES: dict[str, str] = {
    "offset": "i8",  # of the packet's bytes in the file
    "time_ns": "i8",
    "captured": "u4",
    "wire": "u4",
    "interface": "u2",
    "shape": "u1",  # SHAPE_…
    "direction": "u1",  # 0 from the flow's first sender, 1 to it
    "flow": "i4",  # -1 for none
    "seq": "u4",
    "ack": "u4",
    "window": "u2",
    "flags": "u2",
    "network_offset": "i4",  # where the IP header begins, -1 for none
    "payload_offset": "i4",  # of the transport's payload in the packet, -1 where it does not lie there
    "payload_length": "u4",  # on the wire
}
SHAPE_OTHER, SHAPE_IPV4_TCP, SHAPE_IPV4_UDP, SHAPE_IPV6_TCP, SHAPE_IPV6_UDP = 0, 1, 2, 3, 4

Column = npt.NDArray[Any]
Rows = npt.NDArray[np.integer[Any]]


class Columns:
    """Growing columns. Readers may ask while the one writer appends: they see whole rows up to `count`."""

    def __init__(self) -> None:
        self.count = 0
        self._blocks: list[dict[str, Column]] = []  # views of a joined column where there is one
        self._joined: dict[str, tuple[int, Column]] = {}

    def append(self, rows: dict[str, Column]) -> None:
        """Add rows, one array a column, all of one length."""
        size = len(rows["offset"])
        done = 0
        while done < size:
            used = self.count % BLOCK
            if used == 0:
                self._blocks.append({name: np.zeros(BLOCK, kind) for name, kind in TYPES.items()})
            step = min(BLOCK - used, size - done)
            for name, column in self._blocks[-1].items():
                column[used : used + step] = rows[name][done : done + step]
            done += step
            self.count += step

    def value(self, name: str, row: int) -> int:
        """One value; rows count from 0."""
        if not 0 <= row < self.count:
            raise IndexError(row)
        return int(self._blocks[row // BLOCK][name][row % BLOCK])

    def at(self, name: str, rows: Rows) -> Column:
        """The values of some rows, in their order. Of few blocks, or of rows that ascend, nothing is put together."""
        kept = self._joined.get(name)
        if kept is not None and kept[0] == self.count:
            return kept[1][rows]
        blocks = rows // BLOCK
        cuts = np.flatnonzero(blocks[1:] != blocks[:-1]) + 1
        if len(cuts) > len(self._blocks) or not len(rows):
            return self.column(name)[rows]
        starts = [0, *cuts.tolist()]
        parts = []
        for start, stop, number in zip(starts, [*starts[1:], len(rows)], blocks[starts].tolist(), strict=True):
            parts.append(self._blocks[number][name][rows[start:stop] - number * BLOCK])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def since(self, name: str, start: int) -> Column:
        """The rows of a column from `start` on; of a capture that grows, without a look at what was there before."""
        count, first = self.count, start // BLOCK
        parts = [block[name] for block in self._blocks[first : -(-count // BLOCK)]]
        return np.concatenate(parts)[start - first * BLOCK : count - first * BLOCK] if parts else np.zeros(0, TYPES[name])

    def block(self, name: str, number: int) -> Column:
        """The rows of a column in one block; blocks count from 0."""
        return self._blocks[number][name][: self.count - number * BLOCK]

    def blocks(self, name: str) -> Iterator[Column]:
        """The same, block by block."""
        return (self.block(name, number) for number in range(-(-self.count // BLOCK)))

    def column(self, name: str) -> Column:
        """A whole column; kept until the capture has grown."""
        count = self.count
        kept = self._joined.get(name)
        if kept is None or kept[0] != count:
            blocks = self._blocks[: -(-count // BLOCK)]
            parts = [block[name] for block in blocks]
            joined = (
                np.concatenate(parts)[:count] if len(parts) > 1 else parts[0][:count] if parts else np.zeros(0, TYPES[name])
            )
            kept = (count, joined)
            self._joined[name] = kept
            if len(parts) > 1:  # nothing is held twice: full blocks, which nobody writes any more, are views of it
                for number, block in enumerate(blocks[: count // BLOCK]):
                    block[name] = joined[number * BLOCK : (number + 1) * BLOCK]
        return kept[1]
