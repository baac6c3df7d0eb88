"""The lines of lists: a packet, a conversation."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.core.field import Field, Kind, cell, endpoint_text
from inspector.core.tcp_flags import segment_words
from inspector.core.text import printable
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV6_TCP
from inspector.index.names import TCP, UDP

if TYPE_CHECKING:
    from inspector.session import Session

FLOWS_AT_A_TIME = 4096  # of which the columns are made Python's numbers
OFFLOADED = ("checksum-offloaded", "offloaded")  # so is most of what the capturing machine sends: no news of one packet
_ENDS = {
    "eth": ("eth.src", "eth.dst"),
    "ip": ("ip.src", "ip.dst"),
    "ipv6": ("ipv6.src", "ipv6.dst"),
    "arp": ("arp.src.proto_ipv4", "arp.dst.proto_ipv4"),
}


class Row(NamedTuple):
    """A line of the packet list. stream: the flow in the index, -1 for none; severity: of the worst issue that is none of
    OFFLOADED, 0 for none."""

    number: int
    time_ns: int
    source: str
    destination: str
    protocol: str
    length: int
    info: str
    stream: int
    severity: int


def packet_row(session: Session, number: int, deep: bool = True) -> Row:
    """One line of the packet list. deep: with what its conversation says."""
    plain = None if deep else _plain_row(session, number)
    if plain is not None:
        return plain
    result = session.dissect(number) if deep else session.layers(number)
    packet = result.packet
    source = destination = ""
    for layer in result.layers:
        ends = _ENDS.get(layer.protocol)
        if ends and not layer.quoted:
            values = [layer.find(name) for name in ends]
            if values[0] is not None and values[1] is not None:
                source, destination = (_end(session, f, number) for f in values if f is not None)
    own = [layer for layer in result.layers if not layer.quoted]
    top = max(own, key=lambda layer: (layer.osi == 7, layer.osi == 5, own.index(layer)), default=None)
    infos = [layer.summary for layer in result.layers if top is not None and layer.protocol == top.protocol]
    info = " · ".join(dict.fromkeys(infos[:4])) if top is not None else "not dissected"
    issues = (issue for layer in result.layers for issue in layer.issues if issue.code not in OFFLOADED)
    severity = max((int(issue.severity) for issue in issues), default=0)
    stream = session.index.flow_of(number)
    protocol = top.title if top is not None else f"link type {packet.link_type}"
    if deep and top is not None and top.protocol == "tcp":
        waiting = session.part_of(number)
        if waiting:
            info += f"  (part of what completes in packet {waiting[0].packet})"
    return Row(
        number,
        packet.time_ns,
        source,
        destination,
        protocol,
        packet.wire_length,
        printable(info),
        stream,
        severity,
    )


def _plain_row(session: Session, number: int) -> Row | None:
    """The line of a TCP segment that the columns can tell, which needs no protocol imported; None for all others."""
    index, flow = session.index, session.index.flow_of(number)
    if flow < 0 or index.value("shape", number) not in (SHAPE_IPV4_TCP, SHAPE_IPV6_TCP):
        return None
    flows, side, flags = index.flows, index.value("direction", number), index.value("flags", number)
    sequence = index.value("seq", number) - flows.base_seq[flow][side] & 0xFFFFFFFF
    acknowledged = index.value("ack", number) - flows.base_seq[flow][1 - side] & 0xFFFFFFFF
    ports = (flows.sport(flow), flows.dport(flow))
    ends = [session.name(address, number) for address in flows.addresses(flow)]
    return Row(
        number, index.value("time_ns", number), ends[side], ends[1 - side], "TCP", index.value("wire", number),
        segment_words((ports[side], ports[1 - side]), flags, sequence, acknowledged, index.value("payload_length", number)),
        flow, 0,
    )  # fmt: skip


def _end(session: Session, field: Field, packet: int) -> str:
    if field.spec.kind in (Kind.IPV4, Kind.IPV6):
        return session.name(bytes(field.value), packet)
    return printable(cell(field.spec, field.value))


def flow_rows(session: Session, wanted: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
    """The conversations (all, or those that are wanted), from the columns: endpoints, packets and bytes each way, seconds; and
    whether secrets open them."""
    flows, keys = session.index.flows, not session.keyring.empty
    columns = (flows.stream.values, flows.first.values, flows.first_ns, flows.last_ns, flows.packets, flows.octets)
    for start in range(0, len(flows), FLOWS_AT_A_TIME):
        part = (column[start : start + FLOWS_AT_A_TIME].tolist() for column in columns)
        for flow, (stream, packet, first, last, packets, octets) in enumerate(zip(*part, strict=False), start):
            if wanted is not None and flow not in wanted:
                continue
            protocol, client, server = flows.ends(flow)
            yield {
                "flow": flow,
                "protocol": {TCP: "TCP", UDP: "UDP"}[protocol],
                "stream": stream,
                "client": endpoint_text(*client),
                "server": endpoint_text(*server),
                "packets_sent": packets[0],
                "packets_received": packets[1],
                "bytes_sent": octets[0],
                "bytes_received": octets[1],
                "first_packet": packet,
                "duration": max(last - first, 0) / 1e9,  # of one that is only quoted, in an ICMP error: nothing
                "decrypted": keys and session.decrypts(flow),
            }
