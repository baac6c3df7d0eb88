"""The OSI lens: all seven layers of a packet, 7 at the top, and why one is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inspector.core.layer import Layer
from inspector.core.packet import Interface

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection

NAMES = {7: "Application", 6: "Presentation", 5: "Session", 4: "Transport", 3: "Network", 2: "Data link", 1: "Physical"}
BOXES = {
    7: "proxies and gateways read this; where it is encrypted, only those that end TLS",
    6: "the endpoints",
    5: "the endpoints; a TLS-terminating proxy",
    4: "layer-4 balancers, NAT and firewalls read this",
    3: "routers read this",
    2: "switches read this",
    1: "cables, radios and repeaters",
}


class Level(NamedTuple):
    """One of the seven.

    layers: what stands there; text: one line; overhead: bytes of its headers, for layers 2 to 4, above which headers and
    content are not told apart by where they lie; why: why it is empty, or who reads it on the way.
    """

    osi: int
    name: str
    layers: list[Layer]
    text: str
    overhead: int
    why: str


def lens(result: Dissection, interface: Interface | None, gap_ns: int | None = None, file: str = "") -> list[Level]:
    """The seven levels of a dissected packet. gap_ns: time since the packet before; file: the one of several it lies in."""
    levels = []
    for osi in range(7, 0, -1):
        layers = [layer for layer in result.layers if layer.osi == osi and not layer.quoted]
        overhead = sum(span.size for layer in layers for span in layer.own_spans()) if osi <= 4 else 0
        if layers:
            titles = list(dict.fromkeys(layer.title for layer in layers))
            text = ", ".join(titles)
            if osi in (7, 5):
                text += f"  {layers[-1].summary}"
            levels.append(Level(osi, NAMES[osi], layers, text, overhead, BOXES[osi]))
        elif osi == 1:
            levels.append(_physical(result, interface, gap_ns, file))
        else:
            text = _empty(result, osi)
            levels.append(Level(osi, NAMES[osi], [], text, 0, text))
    return levels


def _physical(result: Dissection, interface: Interface | None, gap_ns: int | None, file: str) -> Level:
    packet = result.packet
    name = interface.name if interface is not None and interface.name else "interface not named"
    text = f"{packet.wire_length:,} bytes = {packet.wire_length * 8:,} bits on {name}"
    if gap_ns is not None:
        text += f", {gap_ns / 1e6:.3f} ms after the packet before"
    if file:
        text += f", in {file}"
    why = "A capture begins above the physical layer: it knows the length, the time and the interface, not the signal."
    return Level(1, NAMES[1], [], text, 0, why)


def _empty(result: Dissection, osi: int) -> str:
    protocols = {layer.protocol for layer in result.layers}
    if osi == 7:
        if "tcp" in protocols:
            tcp = result.last("tcp")
            if tcp is not None and not tcp.value("tcp.len", 0):
                return "no application data: this segment only keeps TCP's books"
            return "nothing completes here: see Why"
        return "no application data in this packet"
    if osi == 6:
        return "no coding to undo: neither encryption nor compression is seen here"
    if osi == 5:
        if "udp" in protocols:
            return "no session: each datagram stands alone"
        if "tcp" in protocols:
            return "no session layer of its own: the TCP connection is the session"
        return "no session"
    if osi == 4:
        return "no transport: nothing here has ports"
    if osi == 3:
        return "no network layer: this frame does not leave the link"
    return "no link layer in this capture"
