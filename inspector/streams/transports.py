"""The TCP and UDP headers of a dissected packet as the index wants them: its slow path, for packets of irregular shape."""

from __future__ import annotations

from inspector.core.layer import Layer
from inspector.core.span import Frame
from inspector.dissection.engine import Dissection
from inspector.index import Transport

TCP, UDP = 6, 17


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


def _scale(layer: Layer) -> int | None:
    """The window scale option, at most 14 (RFC 7323, 2.3)."""
    found = layer.find("tcp.options.wscale.shift") if layer.value("tcp.flags", 0) & 0x02 else None
    return None if found is None else min(int(found.value), 14)
