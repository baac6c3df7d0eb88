"""STUN: how a host behind an address translator learns how it looks from outside (RFC 8489; attributes also of RFC 8656, 8445).

Not here: the messages of RFC 3489, which have no magic cookie; the channel data of TURN; STUN over TCP.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, ipv4, ipv6, octets, string, u8, u16, u32, uint
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Card, Protocol, Sniff

HEADER = 20
COOKIE = bytes.fromhex("2112a442")
METHODS = {1: "Binding", 3: "Allocate", 4: "Refresh", 6: "Send", 7: "Data", 8: "CreatePermission", 9: "ChannelBind"}
CLASSES = {0: "Request", 1: "Indication", 2: "Success response", 3: "Error response"}
USERNAME, ERROR, XOR_MAPPED = 0x0006, 0x0009, 0x0020
ADDRESSES = (0x0001, 0x8023)
XOR_ADDRESSES = (0x0012, 0x0016, XOR_MAPPED)
TEXTS = (USERNAME, 0x0014, 0x0015, 0x8022)
ATTRIBUTES = {
    0x0001: "MAPPED-ADDRESS", USERNAME: "USERNAME", 0x0008: "MESSAGE-INTEGRITY", ERROR: "ERROR-CODE",
    0x000A: "UNKNOWN-ATTRIBUTES", 0x000C: "CHANNEL-NUMBER", 0x000D: "LIFETIME", 0x0012: "XOR-PEER-ADDRESS", 0x0013: "DATA",
    0x0014: "REALM", 0x0015: "NONCE", 0x0016: "XOR-RELAYED-ADDRESS", 0x0019: "REQUESTED-TRANSPORT",
    0x001C: "MESSAGE-INTEGRITY-SHA256", XOR_MAPPED: "XOR-MAPPED-ADDRESS", 0x0024: "PRIORITY", 0x0025: "USE-CANDIDATE",
    0x8022: "SOFTWARE", 0x8023: "ALTERNATE-SERVER", 0x8028: "FINGERPRINT", 0x8029: "ICE-CONTROLLED",
    0x802A: "ICE-CONTROLLING",
}  # fmt: skip

FIELDS = catalog(
    u16("stun.type", "Message type", Base.HEX),
    u16("stun.type.class", "Class", Base.HEX, CLASSES),
    u16("stun.type.method", "Method", Base.HEX, METHODS),
    u16("stun.length", "Length"),
    octets("stun.cookie", "Magic cookie"),
    octets("stun.id", "Transaction"),
    heading("stun.attribute", "Attribute"),
    u16("stun.att.type", "Type", Base.HEX, ATTRIBUTES),
    u16("stun.att.length", "Length"),
    u8("stun.att.reserved", "Reserved"),
    u8("stun.att.family", "Family", values={1: "IPv4", 2: "IPv6"}),
    u16("stun.att.port", "Port"),
    u16("stun.att.port-xord", "Port, masked", Base.HEX),
    ipv4("stun.att.ipv4", "Address"),
    ipv6("stun.att.ipv6", "Address"),
    octets("stun.att.ip-xord", "Address, masked"),
    uint("stun.att.error.class", "Class", 3),
    u8("stun.att.error", "Number"),
    string("stun.att.error.reason", "Reason"),
    string("stun.att.text", "Text"),
    u32("stun.att.priority", "Priority"),
    octets("stun.value", "Value"),
    octets("stun.att.padding", "Padding"),
)


def dissect(c: Cursor) -> None:
    kind = c.uint("stun.type", 2)
    at = c.span(c.pos - 2)
    sort = (kind >> 7 & 2) | (kind >> 4 & 1)  # the class's two bits stand between the method's (RFC 8489, 5)
    method = (kind & 0xF) | (kind >> 1 & 0x70) | (kind >> 2 & 0xF80)
    c.generated("stun.type.class", sort, at)
    c.generated("stun.type.method", method, at)
    c.layer.summary = f"{METHODS.get(method, f'method {method}')} {CLASSES[sort]}"
    length = c.uint("stun.length", 2)
    cookie = c.octets("stun.cookie", 4)
    mask = cookie + c.octets("stun.id", 12)
    if length % 4:
        c.issue("length", "the length is no multiple of 4 (RFC 8489, 5)", Severity.ERROR, c.span(c.start + 2, c.start + 4))
    with c.within(length):
        while c.remaining:
            _attribute(c, mask)
    if c.remaining:
        c.payload("stun", "behind the message")


def _attribute(c: Cursor, mask: bytes) -> None:
    with c.group("stun.attribute") as group:
        kind = c.uint("stun.att.type", 2)
        group.text = ATTRIBUTES.get(kind, f"0x{kind:04x}")
        size = c.uint("stun.att.length", 2)
        with c.within(size):
            _value(c, kind, size, mask)
            if c.remaining:
                c.octets("stun.value", c.remaining)
        padding = min(-size % 4, c.remaining)
        if padding:
            c.octets("stun.att.padding", padding)


def _value(c: Cursor, kind: int, size: int, mask: bytes) -> None:
    if kind in ADDRESSES or kind in XOR_ADDRESSES:
        _address(c, mask if kind in XOR_ADDRESSES else b"")
    elif kind == ERROR:
        c.octets("stun.value", 2)
        (_, number) = c.bits(1, (None, 5), ("stun.att.error.class", 3))
        code = number * 100 + c.uint("stun.att.error", 1)
        c.string("stun.att.error.reason", c.remaining)
        c.layer.summary += f" {code}"
    elif kind in TEXTS and size:
        c.string("stun.att.text", size)
    elif kind == 0x0024:
        c.uint("stun.att.priority", 4)


def _address(c: Cursor, mask: bytes) -> None:
    c.uint("stun.att.reserved", 1)
    family = c.uint("stun.att.family", 1)
    name, size = ("stun.att.ipv6", 16) if family == 2 else ("stun.att.ipv4", 4)
    start = c.pos
    if not mask:
        c.uint("stun.att.port", 2)
        c.octets(name, size)
        return
    port = c.uint("stun.att.port-xord", 2) ^ int.from_bytes(mask[:2], "big")
    c.generated("stun.att.port", port, c.span(start, start + 2))
    masked = c.octets("stun.att.ip-xord", size)
    plain = bytes(one ^ two for one, two in zip(masked, mask, strict=False))
    c.layer.summary += f"  {c.generated(name, plain, c.span(start + 2, start + 2 + size)).text}:{port}"


def sniff(data: bytes) -> Sniff:
    """Two zero bits, a length in words, and the magic cookie (RFC 8489, 6.3)."""
    fits = len(data) >= HEADER and data[0] < 0x40 and data[3] % 4 == 0 and data[4:8] == COOKIE
    return Sniff.YES if fits else Sniff.NO


def explain(layer: Layer) -> Sequence[Note]:
    for group in layer.fields:
        if group.name == "stun.attribute" and group.children and group.children[0].value == XOR_MAPPED:
            why = ("The server tells the client from which address and port its request came. It is masked with the cookie, "
                   "since some translators rewrite addresses that they find in payloads.")  # fmt: skip
            return [Note(group.span, "How the client looks from outside", why, "RFC 8489, 14.2")]
    return ()


CARD = Card(
    data_format="a header of 20 octets, then attributes of type, length and value",
    transfer_mode="request and answer, or an indication alone",
    addressing="UDP and TCP port 3478; in ICE, the ports of the media",
    directionality="either side asks",
    state="a transaction of one request and its answer",
    routing="none; TURN's servers relay",
    control="requests are repeated at growing intervals",
    errors="an error response with a code, as HTTP has them",
)
PROTOCOL = Protocol(
    "stun", "STUN", 5, FIELDS, dissect, keys={"udp.port": [3478]}, sniff=sniff, explain=explain, card=CARD,
    reference="RFC 8489",
)  # fmt: skip
