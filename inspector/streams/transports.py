"""The TCP and UDP headers of a dissected packet: as the index wants them (its slow path, for packets of irregular shape), and
what the index then knows of their flows."""

from __future__ import annotations

from functools import partial

from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.span import Frame, Span
from inspector.core.tcp_flags import ACK, SYN, segment_words
from inspector.dissection.engine import Dissection
from inspector.dissection.registry import Registry
from inspector.index import FlowTable, Transport
from inspector.index.names import TCP, UDP

SACK_EDGES = ("tcp.options.sack_le", "tcp.options.sack_re")


def transports(result: Dissection) -> list[tuple[Layer, Transport]]:
    """Every TCP and UDP header of a packet with its endpoints, outermost first."""
    found: list[tuple[Layer, Transport]] = []
    source = destination = b""
    for layer in result.layers:
        if layer.protocol in ("ip", "ipv6"):
            source = layer.value(f"{layer.protocol}.src", b"")
            destination = layer.value(f"{layer.protocol}.dst", b"")
        elif layer.protocol in ("tcp", "udp") and source:
            name = layer.protocol
            ports = (layer.value(f"{name}.srcport"), layer.value(f"{name}.dstport"))
            if None in ports:
                continue
            span = layer.payloads[0].span if layer.payloads else None
            offset = span.start if span is not None and isinstance(span.buffer, Frame) else -1
            if span is None and isinstance(layer.span.buffer, Frame):
                offset = layer.span.stop
            tcp = name == "tcp"
            length = layer.value("tcp.len", 0) if tcp else max(layer.value("udp.length", 8) - 8, 0)
            found.append(
                (
                    layer,
                    Transport(
                        protocol=TCP if tcp else UDP,
                        src=source,
                        dst=destination,
                        sport=ports[0],
                        dport=ports[1],
                        seq=layer.value("tcp.seq_raw", 0),
                        ack=layer.value("tcp.ack_raw", 0),
                        flags=layer.value("tcp.flags", 0),
                        window=layer.value("tcp.window_size_value", 0),
                        payload_offset=offset,
                        payload_length=length,
                        quoted=layer.quoted,
                        scale=_scale(layer) if tcp else None,
                    ),
                )
            )
    return found


def place(result: Dissection, flows: FlowTable, registry: Registry) -> None:
    """Fields of what the flows know: stream numbers, relative sequence numbers and scaled windows."""
    for layer, transport in transports(result):
        found = flows.find(transport, result.packet.number)
        if found is None:
            continue
        flow, direction = found
        own = Span(layer.span.buffer, layer.span.start, layer.span.start)
        add = partial(_add, layer, registry)
        if transport.protocol == UDP:
            add("udp.stream", int(flows.stream[flow]), own)
            continue
        add("tcp.stream", int(flows.stream[flow]), own)
        base, peer = int(flows.base_seq[flow][direction]), int(flows.base_seq[flow][1 - direction])
        at = layer.span
        relative = transport.seq - base & 0xFFFFFFFF
        add("tcp.seq", relative, Span(at.buffer, at.start + 4, at.start + 8))
        acked = transport.ack - peer & 0xFFFFFFFF if transport.flags & ACK else transport.ack
        add("tcp.ack", acked, Span(at.buffer, at.start + 8, at.start + 12))
        shift = 0 if transport.flags & SYN else max(int(flows.shift[flow][direction]), 0)
        for field in layer.walk():
            if field.name in SACK_EDGES:  # they count what the peer sent
                field.value = field.value - peer & 0xFFFFFFFF
        add("tcp.window_size", transport.window << shift, Span(at.buffer, at.start + 14, at.start + 16))
        ports = (transport.sport, transport.dport)
        layer.summary = segment_words(ports, transport.flags, relative, acked, layer.value("tcp.len", 0))


def _add(layer: Layer, registry: Registry, name: str, value: int, span: Span) -> None:
    layer.fields.append(Field(registry.protocols[layer.protocol].fields[name], value, span, None, None, True))


def _scale(layer: Layer) -> int | None:
    """The window scale option, at most 14 (RFC 7323, 2.3)."""
    found = layer.find("tcp.options.wscale.shift") if layer.value("tcp.flags", 0) & SYN else None
    return None if found is None else min(int(found.value), 14)
