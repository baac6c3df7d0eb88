"""QUIC's transport parameters, an extension of its TLS handshake (RFC 9000, 18; RFC 9368, 3; RFC 9221, 3)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, ipv4, ipv6, octets, u8, u16, u32, u64

_P = "tls.quic.parameter"
NUMBERS = {
    0x01: "max_idle_timeout", 0x03: "max_udp_payload_size", 0x04: "initial_max_data",
    0x05: "initial_max_stream_data_bidi_local", 0x06: "initial_max_stream_data_bidi_remote",
    0x07: "initial_max_stream_data_uni", 0x08: "initial_max_streams_bidi", 0x09: "initial_max_streams_uni",
    0x0A: "ack_delay_exponent", 0x0B: "max_ack_delay", 0x0E: "active_connection_id_limit", 0x20: "max_datagram_frame_size",
}  # fmt: skip
BYTES = {
    0x00: "original_destination_connection_id", 0x02: "stateless_reset_token", 0x0F: "initial_source_connection_id",
    0x10: "retry_source_connection_id",
}  # fmt: skip
PREFERRED_ADDRESS, VERSION_INFORMATION = 0x0D, 0x11
NAMES = {
    **NUMBERS, **BYTES, 0x0C: "disable_active_migration", PREFERRED_ADDRESS: "preferred_address",
    VERSION_INFORMATION: "version_information", 0x2AB2: "grease_quic_bit",
}  # fmt: skip

FIELDS = catalog(
    heading(_P, "Parameter"),
    u64(f"{_P}.type", "Type", Base.HEX, NAMES),
    u64(f"{_P}.length", "Length"),
    octets(f"{_P}.value", "Value"),
    *(u64(f"{_P}.{name}", name) for name in NUMBERS.values()),
    *(octets(f"{_P}.{name}", name) for name in BYTES.values()),
    ipv4(f"{_P}.preferred_address.ipv4address", "IPv4 address"),
    u16(f"{_P}.preferred_address.ipv4port", "IPv4 port"),
    ipv6(f"{_P}.preferred_address.ipv6address", "IPv6 address"),
    u16(f"{_P}.preferred_address.ipv6port", "IPv6 port"),
    u8(f"{_P}.preferred_address.connectionid.length", "Connection id length"),
    octets(f"{_P}.preferred_address.connectionid", "Connection id"),
    octets(f"{_P}.preferred_address.statelessresettoken", "Stateless reset token"),
    u32(f"{_P}.vi.chosen_version", "Chosen version", Base.HEX),
    u32(f"{_P}.vi.other_version", "Available version", Base.HEX),
)


def parameters(c: Cursor) -> None:
    """Every parameter in what is left: type and length as variable-length integers, then the value."""
    while c.remaining:
        with c.group(_P) as group:
            kind = _number(c, f"{_P}.type")
            group.text = NAMES.get(kind, "reserved, to be ignored" if kind % 31 == 27 else f"type {kind:#x}")
            with c.within(_number(c, f"{_P}.length")):
                _value(c, kind)
                if c.remaining:
                    c.octets(f"{_P}.value", c.remaining)


def _number(c: Cursor, name: str) -> int:
    """A variable-length integer (RFC 9000, 16): its first two bits say how long it is."""
    size = 1 << (c.peek_uint(1) >> 6)
    value = c.peek_uint(size) & (1 << size * 8 - 2) - 1
    start = c.pos
    c.skip(size)
    c.add(name, value, start, c.pos)
    return value


def _value(c: Cursor, kind: int) -> None:
    if not c.remaining:
        return
    if kind in NUMBERS:
        _number(c, f"{_P}.{NUMBERS[kind]}")
    elif kind in BYTES:
        c.octets(f"{_P}.{BYTES[kind]}", c.remaining)
    elif kind == VERSION_INFORMATION:
        c.uint(f"{_P}.vi.chosen_version", 4)
        while c.remaining:
            c.uint(f"{_P}.vi.other_version", 4)
    elif kind == PREFERRED_ADDRESS:
        c.octets(f"{_P}.preferred_address.ipv4address", 4)
        c.uint(f"{_P}.preferred_address.ipv4port", 2)
        c.octets(f"{_P}.preferred_address.ipv6address", 16)
        c.uint(f"{_P}.preferred_address.ipv6port", 2)
        size = c.uint(f"{_P}.preferred_address.connectionid.length", 1)
        if size:
            c.octets(f"{_P}.preferred_address.connectionid", size)
        c.octets(f"{_P}.preferred_address.statelessresettoken", 16)
