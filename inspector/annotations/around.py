"""What is asked of a session about the packets around one; and which of them asks or answers by itself.

For what has no TCP conversation: ARP, ICMP, Neighbour Discovery, DNS over UDP.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from inspector.annotations.story.step import Narrated
from inspector.core.kept import Kept
from inspector.core.layer import Layer
from inspector.core.span import Span
from inspector.dissection.engine import Dissection
from inspector.index.names import UDP

NEAR = 1000  # packets on either side: at most some seconds, where an answer takes milliseconds
LOOKED_AT = 64  # packets that are dissected for one
REMEMBERED = 65_536  # packets of which it is remembered what they ask or answer
ARP_REQUEST, ARP_REPLY = 1, 2


class Around(Narrated, Protocol):
    """What is asked of a session, beside what the story asks."""

    said: dict[int, tuple[Hashable, bool] | None]  # what packets ask (true) or answer, of those that were looked at
    told: Kept[int, Any]  # by flow: `annotations.history.Told`

    @property
    def complete(self) -> bool: ...
    def layers(self, number: int) -> Dissection: ...


class Said(NamedTuple):
    """A message that asks or answers. key: the same for question and answer; at: where that stands in the bytes."""

    layer: Layer
    key: Hashable
    asks: bool
    at: Span
    reference: str


def said(result: Dissection) -> Said | None:
    """What the packet asks or answers by itself; None for any other."""
    source = destination = b""
    for layer in result.layers:
        if layer.quoted:
            return None
        name = layer.protocol
        if name in ("ip", "ipv6"):
            source, destination = layer.value(f"{name}.src", b""), layer.value(f"{name}.dst", b"")
        elif name == "arp":
            return _arp(layer)
        elif name == "icmp":
            return _echo(layer, (8, 0), ("icmp.type", "icmp.ident", "icmp.seq"), source, destination)
        elif name == "icmpv6":
            fields = ("icmpv6.type", "icmpv6.echo.identifier", "icmpv6.echo.sequence_number")
            return _echo(layer, (128, 129), fields, source, destination) or _neighbour(layer)
        elif name == "dns" and result.find("udp") is not None:
            return _dns(layer)
    return None


def _arp(layer: Layer) -> Said | None:
    opcode, source, target = layer.find("arp.opcode"), layer.find("arp.src.proto_ipv4"), layer.find("arp.dst.proto_ipv4")
    if opcode is None or source is None or target is None or source.value == target.value:
        return None
    ends = (source.value, target.value) if opcode.value == ARP_REQUEST else (target.value, source.value)
    if opcode.value not in (ARP_REQUEST, ARP_REPLY):
        return None
    return Said(layer, ("arp", *ends), opcode.value == ARP_REQUEST, opcode.span, "RFC 826, Packet Reception")


def _echo(
    layer: Layer, types: tuple[int, int], names: tuple[str, str, str], source: bytes, destination: bytes
) -> Said | None:
    kind, own, sequence = (layer.find(name) for name in names)
    if kind is None or own is None or sequence is None or kind.value not in types:
        return None
    asks = kind.value == types[0]
    ends = (source, destination) if asks else (destination, source)
    reference = "RFC 792" if layer.protocol == "icmp" else "RFC 4443, 4.2"
    return Said(layer, ("echo", *ends, own.value, sequence.value), asks, sequence.span, reference)


def _neighbour(layer: Layer) -> Said | None:
    asked, found = layer.find("icmpv6.nd.ns.target_address"), layer.find("icmpv6.nd.na.target_address")
    target = asked or found
    if target is None or (found is not None and not layer.value("icmpv6.nd.na.flag.s")):
        return None
    return Said(layer, ("neighbour", target.value), asked is not None, target.span, "RFC 4861, 7.2")


def _dns(layer: Layer) -> Said | None:
    response, identifier = layer.find("dns.flags.response"), layer.find("dns.id")
    if response is None or identifier is None:
        return None
    key = ("dns", identifier.value, str(layer.value("dns.qry.name", "")).lower(), layer.value("dns.qry.type"))
    return Said(layer, key, not response.value, identifier.span, "RFC 1035, 4.1.1 and 7.3")


def same(capture: Around, number: int, own: Said) -> bool | None:
    """Does that packet ask (true) or answer (false) the same? None where it does neither. Each packet is dissected once:
    where all of a capture is explained, every one is asked by all around it."""
    known = capture.said
    if number not in known:
        if len(known) >= REMEMBERED:
            known.clear()
        other = said(capture.layers(number))
        known[number] = (other.key, other.asks) if other is not None else None
    found = known[number]
    return found[1] if found is not None and found[0] == own.key else None


def nearby(capture: Around, number: int, step: int) -> Iterator[int]:
    """Packets behind (1) or before (-1) this one, the nearest first: of its UDP flow, or those near by without any flow."""
    index = capture.index
    flow = index.flow_of(number)
    if flow >= 0:
        if index.flows.protocol(flow) != UDP:
            return
        packets = index.flow_packets(flow)
    else:
        start = max(number - 1 - NEAR, 0)
        packets = np.flatnonzero(index.column("flow")[start : number + NEAR] < 0) + start + 1
    chosen = packets[packets > number][:LOOKED_AT] if step > 0 else packets[packets < number][-LOOKED_AT:][::-1]
    yield from (int(at) for at in chosen)
