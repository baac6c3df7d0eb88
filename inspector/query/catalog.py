"""The field catalogue: every field that can be asked for, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector.core.errors import InspectError
from inspector.core.field import Base, FieldSpec, catalog, duration, octets, string, time, u32
from inspector.dissection.registry import Registry
from inspector.protocols.borrowed import table as borrowed

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection
    from inspector.session import Session

FRAME = catalog(
    u32("frame.number", "Number"),
    time("frame.time", "Time"),
    duration("frame.time_epoch", "Seconds since 1970"),
    duration("frame.time_relative", "Seconds since the first packet"),
    duration("frame.time_delta", "Seconds since the previous packet"),
    u32("frame.len", "Length on the wire"),
    u32("frame.cap_len", "Length captured"),
    u32("frame.interface_id", "Interface", Base.DEC),
    string("frame.protocols", "Protocols"),
    string("frame.comment", "Comment"),
)

# Names of Wireshark's that stand for several fields: each of these fields is also called so.
ALSO: dict[str, tuple[str, ...]] = {
    "eth.dst": ("eth.addr",),
    "eth.src": ("eth.addr",),
    "ip.src": ("ip.addr",),
    "ip.dst": ("ip.addr",),
    "ipv6.version": ("ip.version",),
    "ipv6.src": ("ipv6.addr",),
    "ipv6.dst": ("ipv6.addr",),
    "tcp.srcport": ("tcp.port",),
    "tcp.dstport": ("tcp.port",),
    "udp.srcport": ("udp.port",),
    "udp.dstport": ("udp.port",),
}


def _meant() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, others in ALSO.items():
        for other in others:
            found[other] = (*found.get(other, (other,)), name)
    return found


ALIASES = _meant()  # the other way round: a name → the fields that it means, its own first
PAYLOADS = catalog(octets("tcp.payload", "TCP payload"), octets("udp.payload", "UDP payload"))


def filterable(registry: Registry) -> dict[str, FieldSpec]:
    """Every name that a display filter may ask for."""
    from inspector.query.exchanges import FIELDS

    return {**PAYLOADS, **FIELDS, **names(registry)}


def names(registry: Registry) -> dict[str, FieldSpec]:
    """Every field by name."""
    own = {**FRAME, **registry.fields()}
    also = {other: own[name]._replace(name=other) for name, others in ALSO.items() for other in others}
    return {**also, **own}


def check(registry: Registry, wanted: list[str]) -> None:
    """Raises InspectError for a name that no field has, with the nearest one."""
    known = names(registry)
    for name in wanted:
        if name not in known and name not in registry.protocols and name not in PLANNED and borrowed.named(name) is None:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 1, 0.5)
            raise InspectError(f"-e {name}: no field has that name" + (f"; did you mean {near[0]}?" if near else ""))


# Wireshark's names for what is not dissected here yet: accepted, so that a script written for tshark runs, and always empty.
PLANNED = frozenset({
    "quic.header_form", "quic.version", "quic.long.packet_type", "quic.dcid", "quic.scid",
    "quic.packet_number", "quic.frame_type", "amqp.type", "amqp.channel", "amqp.length", "amqp.method.class",
    "amqp.method.method", "amqp.method.arguments.exchange", "amqp.method.arguments.queue",
    "amqp.method.arguments.routing_key", "mqtt.msgtype", "mqtt.len", "mqtt.topic", "kafka.api_key", "kafka.api_version",
    "kafka.correlation_id", "kafka.topic_name", "resp.string",
    "resp.bulk_string.value", "mysql.command", "mysql.query",
    "dtls.record.content_type", "dtls.record.epoch", "dtls.handshake.type",
    "rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.p_type",
})  # fmt: skip


def frame_values(session: Session, result: Dissection, name: str) -> list[Any]:
    """The values of a `frame.` field of a packet."""
    packet = result.packet
    times = session.index.column("time_ns")
    if name == "frame.time_relative":
        return [packet.time_ns - int(times[0])]
    if name == "frame.time_delta":
        return [packet.time_ns - int(times[packet.number - 2]) if packet.number > 1 else 0]
    if name == "frame.protocols":
        return [":".join(layer.protocol for layer in result.layers)]
    if name == "frame.comment":
        return list(session.comments(packet.number))
    own = {
        "frame.number": packet.number, "frame.time": packet.time_ns, "frame.time_epoch": packet.time_ns,
        "frame.len": packet.wire_length, "frame.cap_len": len(packet.data), "frame.interface_id": packet.interface,
    }  # fmt: skip
    return [own[name]] if name in own else []
