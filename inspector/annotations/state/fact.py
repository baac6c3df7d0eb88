"""One thing that an end remembers at a packet."""

from __future__ import annotations

from typing import NamedTuple

BOTH, CLIENT, SERVER = "both", "client", "server"
CANNOT_TELL = "this capture cannot tell"


class Fact(NamedTuple):
    """What is remembered, where, and which packet shows it.

    osi: the layer, 1 to 7; protocol: as people write it; holder: `client`, `server` or `both`, who must remember it; packet:
    that last changed or proved it, 0 where nothing in the capture does; reference: the section of the specification.
    """

    osi: int
    protocol: str
    holder: str
    name: str
    value: str
    packet: int = 0
    reference: str = ""
