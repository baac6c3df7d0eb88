"""A captured packet and the interface it was seen on."""

from __future__ import annotations

from typing import NamedTuple


class Packet(NamedTuple):
    """One packet as the capture holds it.

    number: 1 for the first packet of the capture; time_ns: nanoseconds since the epoch;
    wire_length: bytes on the wire, of which `data` holds the first captured ones;
    interface: position in the source's list of interfaces.
    """

    number: int
    time_ns: int
    link_type: int
    wire_length: int
    data: bytes
    interface: int = 0


class Interface(NamedTuple):
    """An interface of the capture (pcapng IDB; a classic pcap has exactly one, made from its header)."""

    link_type: int
    snap_length: int = 0
    name: str = ""
    description: str = ""
    filter: str = ""
    os: str = ""
    ticks_per_second: int = 1_000_000
    offset_seconds: int = 0
