"""The wire values of HTTP/2: RFC 9113, 6 and 7, and the registries that later documents added to."""

from __future__ import annotations

from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4
HEADER = 9  # octets of a frame's header (4.1)
DEFAULT_WINDOW = 65_535  # 6.9.2
MAX_WINDOW = (1 << 31) - 1  # 6.9.1
DEFAULT_MAX_FRAME = 16_384  # 4.2
DEFAULT_TABLE = 4_096  # SETTINGS_HEADER_TABLE_SIZE (6.5.2)


class Type(IntEnum):
    """Frame types: RFC 9113, 6; ALTSVC RFC 7838, 4; ORIGIN RFC 8336, 2; PRIORITY_UPDATE RFC 9218, 7.1."""

    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
    ALTSVC = 0x0A
    ORIGIN = 0x0C
    PRIORITY_UPDATE = 0x10


TYPES = frozenset(Type)


class Flag(IntEnum):
    """Their meaning depends on the frame's type: END_STREAM and ACK are the same bit."""

    END_STREAM = 0x01
    ACK = 0x01
    END_HEADERS = 0x04
    PADDED = 0x08
    PRIORITY = 0x20


class Setting(IntEnum):
    """RFC 9113, 6.5.2; ENABLE_CONNECT_PROTOCOL RFC 8441, 3; NO_RFC7540_PRIORITIES RFC 9218, 2.1."""

    HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(
        1, 7
    )
    ENABLE_CONNECT_PROTOCOL = 8
    NO_RFC7540_PRIORITIES = 9


ERRORS = {
    0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 4: "SETTINGS_TIMEOUT",
    5: "STREAM_CLOSED", 6: "FRAME_SIZE_ERROR", 7: "REFUSED_STREAM", 8: "CANCEL", 9: "COMPRESSION_ERROR",
    10: "CONNECT_ERROR", 11: "ENHANCE_YOUR_CALM", 12: "INADEQUATE_SECURITY", 13: "HTTP_1_1_REQUIRED",
}  # fmt: skip

# The flags that a type defines (6), from the left; None stands for bits without meaning.
FLAGS: dict[int, tuple[tuple[str | None, int], ...]] = {
    Type.DATA: ((None, 4), ("http2.flags.padded", 1), (None, 2), ("http2.flags.end_stream", 1)),
    Type.HEADERS: (
        (None, 2), ("http2.flags.priority", 1), (None, 1), ("http2.flags.padded", 1), ("http2.flags.eh", 1), (None, 1),
        ("http2.flags.end_stream", 1),
    ),
    Type.SETTINGS: ((None, 7), ("http2.flags.ack.settings", 1)),
    Type.PUSH_PROMISE: ((None, 4), ("http2.flags.padded", 1), ("http2.flags.eh", 1), (None, 2)),
    Type.PING: ((None, 7), ("http2.flags.ack.ping", 1)),
    Type.CONTINUATION: ((None, 5), ("http2.flags.eh", 1), (None, 2)),
}  # fmt: skip
DEFINED_FLAGS = {
    Type.DATA: 0x09,
    Type.HEADERS: 0x2D,
    Type.SETTINGS: 1,
    Type.PUSH_PROMISE: 0x0C,
    Type.PING: 1,
    Type.CONTINUATION: 4,
}

# The types whose frames carry a piece of a header block, and those that have a length of their own (6).
BLOCKS = frozenset({Type.HEADERS, Type.PUSH_PROMISE, Type.CONTINUATION})
SIZES = {Type.PRIORITY: 5, Type.RST_STREAM: 4, Type.PING: 8, Type.WINDOW_UPDATE: 4}
ON_STREAM = frozenset({Type.DATA, Type.HEADERS, Type.PRIORITY, Type.RST_STREAM, Type.PUSH_PROMISE, Type.CONTINUATION})
ON_CONNECTION = frozenset({Type.SETTINGS, Type.PING, Type.GOAWAY, Type.ORIGIN, Type.PRIORITY_UPDATE})


def type_name(kind: int) -> str:
    """A frame type in words."""
    return Type(kind).name if kind in TYPES else f"type {kind:#04x}"


def plausible(head: bytes, longest: int = DEFAULT_MAX_FRAME) -> bool:
    """Nine octets that can be a frame's header: a known type, with a length, flags and a stream that fit it (6)."""
    if len(head) < HEADER or head[3] not in TYPES or head[5] & 0x80:
        return False
    length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
    on_connection = head[5:9] == bytes(4)
    if length > longest or flags & ~DEFINED_FLAGS.get(Type(kind), 0):
        return False
    if (kind in ON_STREAM and on_connection) or (kind in ON_CONNECTION and not on_connection):
        return False
    if kind == Type.SETTINGS:
        return length % 6 == 0 and not (flags and length)
    if kind == Type.GOAWAY:
        return length >= 8
    return SIZES.get(Type(kind), length) == length


def contents(kind: int, flags: int, payload: bytes, length: int) -> tuple[int, int] | None:
    """Where a frame's own content begins and ends in its payload of `length` octets: behind the pad length, the priority or
    the promised stream, and before the padding; None where the padding is longer than what is left (6.1, 6.2, 6.6)."""
    at, pad = 0, 0
    if flags & Flag.PADDED and kind in (Type.DATA, Type.HEADERS, Type.PUSH_PROMISE):
        at, pad = 1, payload[0] if payload else 0
    if kind == Type.HEADERS and flags & Flag.PRIORITY:
        at += 5
    elif kind == Type.PUSH_PROMISE:
        at += 4
    return (at, length - pad) if at + pad <= length else None


def setting_pairs(payload: bytes) -> list[tuple[int, int]]:
    """The identifiers and values of a SETTINGS payload (6.5.1); also of HTTP2-Settings, decoded (RFC 7540, 3.2.1)."""
    return [
        (int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big"))
        for at in range(0, len(payload) - 5, 6)
    ]

# What stands for a name or a value that cannot be told.
UNREADABLE = ("(wrong Huffman code)", "(header table unknown)")
