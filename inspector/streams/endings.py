"""How TCP conversations begin and end, of all of them at once and from the columns alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.index import Index
from inspector.index.names import TCP

SYN_SEEN, SYN_ACK_SEEN, ACK_SEEN, DATA_SEEN, FIN_SEEN, RST_SEEN = 1, 2, 4, 8, 16, 32  # tcp.completeness


class Ending(NamedTuple):
    """Of one conversation. completeness: as tcp.completeness; end: the direction (0 or 1) whose sender closed first, with
    packet `packet`; how: "FIN", "RST", or "" where nobody closed."""

    completeness: int
    end: int
    how: str
    packet: int

    @property
    def words(self) -> str:
        """In a few words, with an arrow from the first sender to the other end, or back: `→ FIN`, `← refused`, `open`."""
        arrow = "←" if self.end else "→"
        if self.how:
            unanswered = self.how == "RST" and self.completeness & (SYN_SEEN | SYN_ACK_SEEN | DATA_SEEN) == SYN_SEEN
            return f"{arrow} {'refused' if unanswered and self.end else self.how}"
        return "no answer" if self.completeness == SYN_SEEN else "open"


class Endings:
    """Columns by flow, brought up to date by `update`; of the other protocols' flows they say nothing."""

    def __init__(self) -> None:
        self.completeness: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._closed: npt.NDArray[np.int64] = np.zeros(0, np.int64)  # the packet of the first FIN or RST, 0 for none
        self._end: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._reset: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._tcp: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._seen = 0

    def __len__(self) -> int:
        return len(self.completeness)

    def update(self, index: Index) -> None:
        """Take in the packets that have come since."""
        flows, flags = index.since("flow", self._seen), index.since("flags", self._seen)
        lengths, directions = index.since("payload_length", self._seen), index.since("direction", self._seen)
        size = min(map(len, (flows, flags, lengths, directions)))
        total = len(index.flows)
        self._grow(total - len(self), index.flows.protocols[len(self) : total] == TCP)
        own = np.flatnonzero((flows[:size] >= 0) & (flows[:size] < total))
        own = own[self._tcp[flows[own]]]
        flow, flag, length = flows[own], flags[own], lengths[own]
        syn, answer = (flag & SYN) != 0, (flag & ACK) != 0
        parts = {
            SYN_SEEN: syn & ~answer, SYN_ACK_SEEN: syn & answer,
            ACK_SEEN: ~syn & answer & ((flag & (FIN | RST)) == 0) & (length == 0),
            DATA_SEEN: length > 0, FIN_SEEN: (flag & FIN) != 0, RST_SEEN: (flag & RST) != 0,
        }  # fmt: skip
        for bit, where in parts.items():
            self.completeness[np.unique(flow[where])] |= bit
        closing = np.flatnonzero((flag & (FIN | RST)) != 0)
        which, first = np.unique(flow[closing], return_index=True)
        new = self._closed[which] == 0
        which, first = which[new], closing[first[new]]
        self._closed[which] = own[first] + self._seen + 1
        self._end[which] = directions[own[first]]
        self._reset[which] = (flag[first] & RST) != 0
        self._seen += size

    def of(self, flow: int) -> Ending:
        """Of one flow."""
        packet = int(self._closed[flow])
        how = "" if not packet else "RST" if self._reset[flow] else "FIN"
        return Ending(int(self.completeness[flow]), int(self._end[flow]), how, packet)

    def order(self) -> npt.NDArray[np.int64]:
        """A number by flow that sorts alike endings together: no TCP, open or unanswered, FIN, RST; by the end that closed."""
        closed = np.where(self._closed > 0, 2 + 2 * self._reset.astype(np.int64), 1)
        ranked = (closed * 2 + self._end) * 64 + self.completeness
        return np.where(self._tcp, ranked, 0)

    def _grow(self, by: int, tcp: npt.NDArray[np.bool_]) -> None:
        self.completeness = np.concatenate([self.completeness, np.zeros(by, np.uint8)])
        self._closed = np.concatenate([self._closed, np.zeros(by, np.int64)])
        self._end = np.concatenate([self._end, np.zeros(by, np.int8)])
        self._reset = np.concatenate([self._reset, np.zeros(by, np.bool_)])
        self._tcp = np.concatenate([self._tcp, tcp])
