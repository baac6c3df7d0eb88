"""IPv6 (RFC 8200) with its extension headers.

Not here: putting fragments together (dissection).
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, cell, flag, heading, ipv6, octets, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION, MOBILITY = 0, 43, 44, 51, 59, 60, 135
EXTENSIONS = {HOP_BY_HOP: "hopopts", ROUTING: "routing", DESTINATION: "dstopts", MOBILITY: "mobility"}

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
    heading("ipv6.hopopts", "Hop-by-hop options"),
    heading("ipv6.dstopts", "Destination options"),
    heading("ipv6.routing", "Routing header"),
    heading("ipv6.mobility", "Mobility header"),
    heading("ipv6.fraghdr", "Fragment header"),
    heading("ipv6.auth", "Authentication header"),
    u8("ipv6.ext.nxt", "Next header", values=IP_PROTOCOLS),
    u8("ipv6.ext.len", "Length in words beyond the first"),
    octets("ipv6.ext.data", "Data"),
    u8("ipv6.fraghdr.nxt", "Next header", values=IP_PROTOCOLS),
    u8("ipv6.fraghdr.reserved_octet", "Reserved"),
    FieldSpec("ipv6.fraghdr.offset", Kind.UINT, "Offset", 13, scale=8),
    uint("ipv6.fraghdr.reserved_bits", "Reserved", 2),
    flag("ipv6.fraghdr.more", "More fragments"),
    u32("ipv6.fraghdr.ident", "Identification", Base.HEX),
)


def dissect(c: Cursor) -> None:
    version, _, _ = c.bits(
        4,
        ("ipv6.version", 4),
        ("ipv6.tclass", 8, (("ipv6.tclass.dscp", 6), ("ipv6.tclass.ecn", 2))),
        ("ipv6.flow", 20),
    )
    if version != 6:
        c.issue("version", f"the version says {version}, not 6", Severity.ERROR)
    length = c.uint("ipv6.plen", 2)
    following = c.uint("ipv6.nxt", 1)
    c.uint("ipv6.hlim", 1)
    source, destination = c.octets("ipv6.src", 16), c.octets("ipv6.dst", 16)
    c.context.source, c.context.destination = source, destination
    c.layer.summary = f"{cell(c.spec('ipv6.src'), source)} → {cell(c.spec('ipv6.dst'), destination)}"
    if length == 0 and following != HOP_BY_HOP and c.remaining:
        c.issue("offloaded", "a payload length of 0: captured before the network card cut this packet up", Severity.NOTE)
        length = c.remaining
    elif length == 0 and following == HOP_BY_HOP:  # a jumbogram's length stands in an option (RFC 2675)
        length = c.remaining
    if length > c.remaining and not c.context.cut and not c.context.quoted:
        c.issue("length", f"the header promises {length - c.remaining:,} bytes more than there are", Severity.ERROR)
    c.context.cut = max(length - c.remaining, 0)
    end = c.pos + length
    while True:
        if following in EXTENSIONS:
            with c.group(f"ipv6.{EXTENSIONS[following]}"):
                following = c.uint("ipv6.ext.nxt", 1)
                c.octets("ipv6.ext.data", 8 * (1 + c.uint("ipv6.ext.len", 1)) - 2)
        elif following == AUTHENTICATION:
            with c.group("ipv6.auth"):
                following = c.uint("ipv6.ext.nxt", 1)
                c.octets("ipv6.ext.data", 4 * (2 + c.uint("ipv6.ext.len", 1)) - 2)
        elif following == FRAGMENT:
            with c.group("ipv6.fraghdr"):
                following = c.uint("ipv6.fraghdr.nxt", 1)
                c.uint("ipv6.fraghdr.reserved_octet", 1)
                offset, _, more = c.bits(
                    2, ("ipv6.fraghdr.offset", 13), ("ipv6.fraghdr.reserved_bits", 2), ("ipv6.fraghdr.more", 1)
                )
                identification = c.uint("ipv6.fraghdr.ident", 4)
            if offset or more:  # both zero: an atomic fragment, which is whole (RFC 6946)
                c.context.fragment = (source, destination, 0, identification, offset, bool(more))
                c.layer.summary += f", fragment at {offset:,}" + (" with more to come" if more else ", the last")
                break
        else:
            break
    if following == NO_NEXT:
        return
    why = f"the next header field says {IP_PROTOCOLS.get(following, 'number')} ({following})"
    c.payload("ip.proto", following, max(end - c.pos, 0), why)


PROTOCOL = Protocol(
    "ipv6",
    "IPv6",
    3,
    FIELDS,
    dissect,
    keys={"ethertype": [0x86DD], "ip.proto": [41], "ip.version": [6]},
    reference="RFC 8200",
)
