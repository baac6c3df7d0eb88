"""The extension headers of IPv6, one layer each (RFC 8200, section 4), and the options inside (IANA "Destination Options and
Hop-by-Hop Options"): routing headers of type 0, 2, 3 (RFC 6554) and 4 (RFC 8754), the mobility header (RFC 6275, 6.1).

Not here: the messages of the mobility header, and the fields of the rarer options, which are shown as bytes.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, flag, heading, ipv6, octets, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS

HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION, MOBILITY = 0, 43, 44, 59, 60, 135
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, MOBILITY)
PAD1, PADN, TUNNEL_LIMIT, ROUTER_ALERT, PATH_MTU, RPL, RPL_OLD, JUMBO, HOME_ADDRESS = 0, 1, 4, 5, 0x30, 0x23, 0x63, 0xC2, 0xC9
OPTIONS = {PAD1: "Pad1", PADN: "PadN", TUNNEL_LIMIT: "Tunnel encapsulation limit", ROUTER_ALERT: "Router alert",
           0x07: "CALIPSO", 0x08: "SMF duplicate detection", 0x0F: "Performance and diagnostic metrics", 0x11: "IOAM",
           RPL: "RPL", 0x26: "Quick-Start", PATH_MTU: "Minimum path MTU", 0x31: "IOAM", RPL_OLD: "RPL", 0x6D: "MPL",
           0x8B: "ILNP nonce", 0x8C: "Line identification", JUMBO: "Jumbo payload", HOME_ADDRESS: "Home address",
           0xEE: "Depth-first forwarding"}  # fmt: skip
ACTIONS = {0: "skip", 1: "discard", 2: "discard, tell the source", 3: "discard, tell the source unless this was multicast"}
ALERTS = {0: "multicast listener discovery", 1: "RSVP", 2: "active networks"}
SOURCE_ROUTE, MOBILE_IPV6, RPL_ROUTE, SEGMENT_ROUTE = 0, 2, 3, 4
ROUTES = {SOURCE_ROUTE: "source route (deprecated, RFC 5095)", 1: "Nimrod (deprecated)", MOBILE_IPV6: "Mobile IPv6",
          RPL_ROUTE: "RPL source route", SEGMENT_ROUTE: "segment routing", 5: "CRH-16", 6: "CRH-32"}  # fmt: skip
MESSAGES = {0: "Binding refresh request", 1: "Home test init", 2: "Care-of test init", 3: "Home test", 4: "Care-of test",
            5: "Binding update", 6: "Binding acknowledgement", 7: "Binding error", 8: "Fast binding update",
            9: "Fast binding acknowledgement", 10: "Fast neighbour advertisement", 12: "Home agent switch",
            13: "Heartbeat", 14: "Handover initiate", 15: "Handover acknowledge", 16: "Binding revocation",
            17: "Localised routing initiation", 18: "Localised routing acknowledgement", 19: "Update notification",
            20: "Update notification acknowledgement"}  # fmt: skip

OPTION_FIELDS = (
    heading("ipv6.opt", "Option"),
    u8("ipv6.opt.type", "Type", Base.HEX, OPTIONS),
    uint("ipv6.opt.type.action", "Who does not know it", 2, values=ACTIONS),
    flag("ipv6.opt.type.change", "May change on the way"),
    uint("ipv6.opt.type.rest", "Low-order bits", 5, Base.HEX),
    u8("ipv6.opt.length", "Length"),
    octets("ipv6.opt.padn", "Padding"),
    u16("ipv6.opt.router_alert", "Router alert", values=ALERTS),
    u8("ipv6.opt.tel", "Further tunnels allowed"),
    u32("ipv6.opt.jumbo", "Payload length"),
    ipv6("ipv6.opt.mipv6.home_address", "Home address"),
    u16("ipv6.opt.pmtu.min", "Least MTU so far"),
    u16("ipv6.opt.pmtu.rtn", "Returned MTU and R flag"),
    uint("ipv6.opt.rpl.flag", "Flags", 8, Base.HEX),
    flag("ipv6.opt.rpl.flag.o", "Down"),
    flag("ipv6.opt.rpl.flag.r", "Rank error"),
    flag("ipv6.opt.rpl.flag.f", "Forwarding error"),
    u8("ipv6.opt.rpl.instance_id", "Instance", Base.HEX),
    u16("ipv6.opt.rpl.sender_rank", "Sender's rank", Base.HEX),
    octets("ipv6.opt.unknown", "Data"),
)


def _options_catalog(name: str) -> dict[str, FieldSpec]:
    return catalog(
        u8(f"ipv6.{name}.nxt", "Next header", values=IP_PROTOCOLS),
        u8(f"ipv6.{name}.len", "Length in words of 8 bytes beyond the first"),
        *OPTION_FIELDS,
    )


HOP_FIELDS, DESTINATION_FIELDS = _options_catalog("hopopts"), _options_catalog("dstopts")
ROUTING_FIELDS = catalog(
    u8("ipv6.routing.nxt", "Next header", values=IP_PROTOCOLS),
    u8("ipv6.routing.len", "Length in words of 8 bytes beyond the first"),
    u8("ipv6.routing.type", "Type", values=ROUTES),
    u8("ipv6.routing.segleft", "Segments left"),
    octets("ipv6.routing.src.reserved", "Reserved"),
    ipv6("ipv6.routing.src.addr", "Address"),
    ipv6("ipv6.routing.mipv6.home_address", "Home address"),
    uint("ipv6.routing.rpl.cmprI", "Octets left out of the addresses", 4),
    uint("ipv6.routing.rpl.cmprE", "Octets left out of the last address", 4),
    uint("ipv6.routing.rpl.pad", "Padding", 4),
    octets("ipv6.routing.rpl.address", "Address, shortened"),
    u8("ipv6.routing.srh.last_entry", "Last entry"),
    u8("ipv6.routing.srh.flags", "Flags", Base.HEX),
    octets("ipv6.routing.srh.tag", "Tag"),
    ipv6("ipv6.routing.srh.addr", "Segment"),
    octets("ipv6.routing.unknown_data", "Data"),
)
FRAGMENT_FIELDS = catalog(
    u8("ipv6.fraghdr.nxt", "Next header", values=IP_PROTOCOLS),
    u8("ipv6.fraghdr.reserved_octet", "Reserved", Base.HEX),
    uint("ipv6.fraghdr.offset", "Offset in units of 8 bytes", 13),
    uint("ipv6.fraghdr.reserved_bits", "Reserved", 2),
    flag("ipv6.fraghdr.more", "More fragments"),
    u32("ipv6.fraghdr.ident", "Identification", Base.HEX),
)
MOBILITY_FIELDS = catalog(
    u8("mip6.proto", "Next header", values=IP_PROTOCOLS),
    FieldSpec("mip6.hlen", Kind.UINT, "Length in words of 8 bytes beyond the first", 8),
    u8("mip6.mhtype", "Message", values=MESSAGES),
    u8("mip6.reserved", "Reserved", Base.HEX),
    u16("mip6.csum", "Checksum", Base.HEX),
    octets("mip6.data", "Message data"),
)


def follow(c: Cursor, following: int, size: int | None = None) -> None:
    """Hand on what a next-header field announces."""
    if following == NO_NEXT:
        if c.remaining:
            c.payload("ipv6.nxt", NO_NEXT, size, "no next header: the rest means nothing (RFC 8200, 4.7)")
        return
    why = f"the next header field says {IP_PROTOCOLS.get(following, 'number')} ({following})"
    c.payload("ipv6.nxt" if following in EXTENSIONS else "ip.proto", following, size, why)


def dissect_hop(c: Cursor) -> None:
    _options(c, "hopopts")


def dissect_destination(c: Cursor) -> None:
    _options(c, "dstopts")


def _options(c: Cursor, name: str) -> None:
    following = c.uint(f"ipv6.{name}.nxt", 1)
    size = 8 * (1 + c.uint(f"ipv6.{name}.len", 1)) - 2
    found = []
    with c.within(size):
        while c.remaining:
            kind = c.peek(1)[0]
            with c.group("ipv6.opt", text=OPTIONS.get(kind, f"type 0x{kind:02x}")):
                c.flags(
                    "ipv6.opt.type", 1, ("ipv6.opt.type.action", 2), ("ipv6.opt.type.change", 1), ("ipv6.opt.type.rest", 5)
                )
                if kind == PAD1:
                    continue
                length = c.uint("ipv6.opt.length", 1)
                if length > c.remaining and not (c.context.cut or c.context.quoted):
                    text = f"an option of {length} bytes reaches beyond its header (RFC 8200, 4.2)"
                    c.issue("option-length", text, Severity.ERROR)
                with c.within(min(length, c.remaining)):
                    _option(c, kind)
                    if c.remaining:
                        c.octets("ipv6.opt.padn" if kind == PADN else "ipv6.opt.unknown", c.remaining)
            if kind != PADN:
                found.append(OPTIONS.get(kind, f"type 0x{kind:02x}"))
    c.layer.summary = ", ".join(found[:4]) or "padding only"
    follow(c, following)


def _option(c: Cursor, kind: int) -> None:
    size = c.remaining
    if kind == ROUTER_ALERT and size == 2:
        c.uint("ipv6.opt.router_alert", 2)
    elif kind == TUNNEL_LIMIT and size == 1:
        c.uint("ipv6.opt.tel", 1)
    elif kind == JUMBO and size == 4:
        c.uint("ipv6.opt.jumbo", 4)
    elif kind == HOME_ADDRESS and size == 16:
        c.context.source = c.octets("ipv6.opt.mipv6.home_address", 16)  # checksums count it (RFC 6275, 11.3.2)
    elif kind == PATH_MTU and size == 4:
        c.uint("ipv6.opt.pmtu.min", 2)
        c.uint("ipv6.opt.pmtu.rtn", 2)
    elif kind in (RPL, RPL_OLD) and size >= 4:
        c.flags("ipv6.opt.rpl.flag", 1, ("ipv6.opt.rpl.flag.o", 1), ("ipv6.opt.rpl.flag.r", 1), ("ipv6.opt.rpl.flag.f", 1),
                (None, 5))  # fmt: skip
        c.uint("ipv6.opt.rpl.instance_id", 1)
        c.uint("ipv6.opt.rpl.sender_rank", 2)


def dissect_routing(c: Cursor) -> None:
    following = c.uint("ipv6.routing.nxt", 1)
    length = 8 * (1 + c.uint("ipv6.routing.len", 1))
    kind = c.uint("ipv6.routing.type", 1)
    left = c.uint("ipv6.routing.segleft", 1)
    c.layer.summary = f"{ROUTES.get(kind, f'type {kind}')}, {left} segment{'s' if left != 1 else ''} left"
    addresses: list[bytes] = []
    with c.within(length - 4):
        if kind in (SOURCE_ROUTE, MOBILE_IPV6):
            c.octets("ipv6.routing.src.reserved", 4)
            name = "ipv6.routing.src.addr" if kind == SOURCE_ROUTE else "ipv6.routing.mipv6.home_address"
            while c.remaining >= 16:
                addresses.append(c.octets(name, 16))
        elif kind == SEGMENT_ROUTE:
            last = c.uint("ipv6.routing.srh.last_entry", 1)
            c.uint("ipv6.routing.srh.flags", 1)
            c.octets("ipv6.routing.srh.tag", 2)
            while c.remaining >= 16 and len(addresses) <= last:
                addresses.insert(0, c.octets("ipv6.routing.srh.addr", 16))  # the last segment stands first
        elif kind == RPL_ROUTE:
            _rpl(c)
        if c.remaining:
            c.octets("ipv6.routing.unknown_data", c.remaining)
    if left and addresses:  # transports count the final destination (RFC 8200, 8.1)
        c.context.destination = addresses[-1]
    follow(c, following)


def _rpl(c: Cursor) -> None:
    """Addresses without the octets that they share with the destination (RFC 6554, 3)."""
    inner, outer, padding, _ = c.bits(
        4, ("ipv6.routing.rpl.cmprI", 4), ("ipv6.routing.rpl.cmprE", 4), ("ipv6.routing.rpl.pad", 4), (None, 20)
    )
    while c.remaining > 16 - outer + padding:
        c.octets("ipv6.routing.rpl.address", 16 - inner)
    if c.remaining >= 16 - outer:
        c.octets("ipv6.routing.rpl.address", 16 - outer)


def dissect_fragment(c: Cursor) -> None:
    following = c.uint("ipv6.fraghdr.nxt", 1)
    c.uint("ipv6.fraghdr.reserved_octet", 1)
    offset, _, more = c.bits(2, ("ipv6.fraghdr.offset", 13), ("ipv6.fraghdr.reserved_bits", 2), ("ipv6.fraghdr.more", 1))
    identification = c.uint("ipv6.fraghdr.ident", 4)
    offset *= 8
    if not (offset or more):
        c.layer.summary = "atomic: the whole packet in one fragment (RFC 6946)"
        follow(c, following)
        return
    c.layer.summary = f"fragment at {offset:,}" + (" with more to come" if more else ", the last")
    if more and (c.remaining + c.context.cut) % 8:
        c.issue("fragment-length", "a fragment with more to come must be a multiple of 8 bytes (RFC 8200, 4.5)", Severity.ERROR)
    if c.context.cut:  # a piece that is not whole completes nothing; the first shows what it begins with
        c.layer.summary += ", cut short"
        if offset:
            c.payload("ip.fragment", "cut", None, "a fragment that does not begin its datagram, and is not whole")
            return
    else:
        c.context.fragment = (c.context.source, c.context.destination, 0, identification, offset, bool(more))
    follow(c, following)


def dissect_mobility(c: Cursor) -> None:
    following = c.uint("mip6.proto", 1)
    size = 8 * (1 + c.uint("mip6.hlen", 1)) - 2
    with c.within(size):
        kind = c.uint("mip6.mhtype", 1)
        c.layer.summary = MESSAGES.get(kind, f"message {kind}")
        c.uint("mip6.reserved", 1)
        c.uint("mip6.csum", 2)
        if c.remaining:
            c.octets("mip6.data", c.remaining)
    follow(c, following)


HOPS = Protocol(
    "ipv6.hopopts", "IPv6 hop-by-hop options", 3, HOP_FIELDS, dissect_hop, keys={"ipv6.nxt": [HOP_BY_HOP]}, reference="RFC 8200"
)
DESTINATIONS = Protocol(
    "ipv6.dstopts", "IPv6 destination options", 3, DESTINATION_FIELDS, dissect_destination,
    keys={"ipv6.nxt": [DESTINATION]}, reference="RFC 8200",
)  # fmt: skip
ROUTES_HEADER = Protocol(
    "ipv6.routing", "IPv6 routing header", 3, ROUTING_FIELDS, dissect_routing, keys={"ipv6.nxt": [ROUTING]},
    reference="RFC 8200",
)  # fmt: skip
FRAGMENTS = Protocol(
    "ipv6.fraghdr", "IPv6 fragment header", 3, FRAGMENT_FIELDS, dissect_fragment, keys={"ipv6.nxt": [FRAGMENT]},
    reference="RFC 8200",
)  # fmt: skip
MOBILITY_HEADER = Protocol(
    "mipv6", "Mobile IPv6", 3, MOBILITY_FIELDS, dissect_mobility, keys={"ipv6.nxt": [MOBILITY]}, reference="RFC 6275"
)
PROTOCOLS = (HOPS, DESTINATIONS, ROUTES_HEADER, FRAGMENTS, MOBILITY_HEADER)
