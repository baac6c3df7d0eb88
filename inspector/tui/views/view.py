"""What every view of a capture is to its screen."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.containers import Vertical

from inspector.index.names import TCP
from inspector.session import Session

NO_FLOW = "no conversation over TCP or UDP in this capture"
SEARCHED = 1000  # conversations that are looked at for one over TCP


class View(Vertical):
    """A view of one capture, filling the screen under its line of views."""

    key: ClassVar[str]
    title: ClassVar[str]
    tells: ClassVar[str]  # what it shows: the first words of its help
    keys: ClassVar[tuple[tuple[str, str], ...]]  # its own keys and what they do, for its help

    def __init__(self, session: Session) -> None:
        super().__init__(id=f"{self.key}-view")
        self.session = session

    def enter(self, flow: int, number: int) -> None:
        """The view is shown: of conversation `flow` (-1 for none), with packet `number` under the cursor of the list."""
        self.focus_main()

    def chosen(self) -> tuple[int, int] | None:
        """The conversation and the packet under the view's own cursor; None where it leaves that to the packet list."""
        return None

    def focus_main(self) -> None:
        """Keys go to the view's main pane."""
        self.query("LineList").first().focus()

    def loaded(self) -> None:
        """The capture has more packets, or is complete."""


def neighbour(session: Session, number: int, by: int) -> int:
    """The next packet of a packet's conversation, or the one before; of the capture, where it is in none. 0: there is none."""
    flow = session.index.flow_of(number) if number else -1
    if flow < 0:
        return number + by if 0 < number + by <= session.count else 0
    packets = session.index.flow_packets(flow)
    at = int(np.searchsorted(packets, number)) + by
    return int(packets[at]) if 0 <= at < len(packets) else 0


def main_flow(session: Session) -> int:
    """The conversation to begin with where the packet is in none: the first over TCP, or the first at all."""
    flows = session.index.flows
    return next((flow for flow in range(min(len(flows), SEARCHED)) if flows.protocol(flow) == TCP), 0)
