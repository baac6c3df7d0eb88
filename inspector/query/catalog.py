"""The field catalogue: every field that can be asked for, by name."""

from __future__ import annotations

from inspector.core.errors import InspectError
from inspector.core.field import Base, FieldSpec, catalog, duration, string, time, u32
from inspector.dissection.registry import Registry

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


def names(registry: Registry) -> dict[str, FieldSpec]:
    """Every field by name."""
    return {**FRAME, **registry.fields()}


def check(registry: Registry, wanted: list[str]) -> None:
    """Raises InspectError for a name that no field has, with the nearest one."""
    known = names(registry)
    for name in wanted:
        if name not in known and name not in registry.protocols and name not in PLANNED:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 1, 0.5)
            raise InspectError(f"-e {name}: no field has that name" + (f"; did you mean {near[0]}?" if near else ""))


# Wireshark's names for what is not dissected here yet: accepted, so that a script written for tshark runs, and always empty.
PLANNED = frozenset({
    "http2.length", "http2.type", "http2.flags", "http2.streamid", "http2.header.name",
    "http2.header.value", "http2.settings.id", "http2.window_update.window_size_increment", "http2.rst_stream.error",
    "http2.goaway.error", "quic.header_form", "quic.version", "quic.long.packet_type", "quic.dcid", "quic.scid",
    "quic.packet_number", "quic.frame_type", "amqp.type", "amqp.channel", "amqp.length", "amqp.method.class",
    "amqp.method.method", "amqp.method.arguments.exchange", "amqp.method.arguments.queue",
    "amqp.method.arguments.routing_key", "mqtt.msgtype", "mqtt.len", "mqtt.topic", "kafka.api_key", "kafka.api_version",
    "kafka.correlation_id", "kafka.topic_name", "pgsql.type", "pgsql.length", "pgsql.query", "resp.string",
    "resp.bulk_string.value", "mysql.command", "mysql.query", "smtp.req.command", "smtp.req.parameter",
    "smtp.response.code", "ftp.request.command", "ftp.request.arg", "ftp.response.code", "ftp.response.arg", "stun.type",
    "stun.length", "stun.id", "stun.att.type", "dtls.record.content_type", "dtls.record.epoch", "dtls.handshake.type",
    "rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.p_type", "grpc.message_length", "grpc.compressed_flag",
    "protobuf.field.number", "ntp.stratum", "dhcp.type", "dhcp.option.dhcp",
})  # fmt: skip
