"""IPv6 (RFC 8200).

Not here: extension headers (`ipv6_extensions.py`).
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ipv6, u8, u16, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS
from inspector.protocols.network.ipv6_extensions import HOP_BY_HOP, follow

FIELDS = catalog(
    uint("ipv6.version", "Version", 4),
    uint("ipv6.tclass", "Traffic class", 8, Base.HEX),
    uint("ipv6.tclass.dscp", "DSCP", 6),
    uint("ipv6.tclass.ecn", "ECN", 2),
    uint("ipv6.flow", "Flow label", 24, Base.HEX),
    u16("ipv6.plen", "Payload length"),
    u8("ipv6.nxt", "Next header", values=IP_PROTOCOLS),
    u8("ipv6.hlim", "Hop limit"),
    ipv6("ipv6.src", "Source"),
    ipv6("ipv6.dst", "Destination"),
)


def dissect(c: Cursor) -> None:
    version = c.peek_uint(1) >> 4
    if version != 6:
        c.add("ipv6.version", version, c.start, c.start + 1, bits=(0, 4))
        c.issue("version", f"the version says {version}, not 6", Severity.ERROR)
        c.payload("ip.version", None, None, f"the version says {version}")
        return
    c.bits(
        4,
        ("ipv6.version", 4),
        ("ipv6.tclass", 8, (("ipv6.tclass.dscp", 6), ("ipv6.tclass.ecn", 2))),
        ("ipv6.flow", 20),
    )
    length = c.uint("ipv6.plen", 2)
    following = c.uint("ipv6.nxt", 1)
    c.uint("ipv6.hlim", 1)
    source, destination = c.octets("ipv6.src", 16), c.octets("ipv6.dst", 16)
    c.context.source, c.context.destination = source, destination
    c.layer.summary = f"{cell(c.spec('ipv6.src'), source)} → {cell(c.spec('ipv6.dst'), destination)}"
    if length == 0 and following != HOP_BY_HOP and c.remaining:
        c.issue("offloaded", "a payload length of 0: captured before the network card cut this packet up", Severity.NOTE)
        length = c.remaining
    there = c.remaining + c.context.cut
    if length == 0 and following == HOP_BY_HOP:  # a jumbogram's length stands in an option (RFC 2675)
        length = there
    if length > there and not c.context.quoted:  # what was on the wire counts
        c.issue("length", f"the header promises {length - there:,} bytes more than there are", Severity.ERROR)
        length = there
    c.context.cut = max(length - c.remaining, 0)
    follow(c, following, length)


CARD = Card(
    "binary: a header of 40 octets, extension headers, the payload",
    "datagrams, each on its own; only the sender may fragment",
    "128-bit addresses; groups by multicast, and no broadcast",
    "one way; an answer is a datagram of its own",
    "none: every datagram carries all that routers need",
    "routers, hop by hop, by the longest prefix of the destination",
    "none; ECN lets routers mark instead of drop",
    "no checksum of its own: the layers around it have theirs; errors are told by ICMPv6",
)
PROTOCOL = Protocol(
    "ipv6",
    "IPv6",
    3,
    FIELDS,
    dissect,
    keys={"ethertype": [0x86DD], "ip.proto": [41], "ip.version": [6]},
    reference="RFC 8200",
    card=CARD,
)
