"""ICMPv6 (RFC 4443) with the packet that an error quotes, neighbour discovery (RFC 4861) and its options, multicast
listener discovery (RFC 2710, RFC 3810), extended echo (RFC 8335).

Not here: node information, mobility, router renumbering and RPL, whose bodies are shown as bytes.
"""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum, pseudo_header
from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, ipv6, octets, string, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.network.icmp import EXTENSION_FIELDS, extended_echo, quote, unannounced
from inspector.protocols.network.icmp_notes import explain_6

UNREACHABLE, TOO_BIG, EXCEEDED, PARAMETER, ECHO, ECHO_REPLY = 1, 2, 3, 4, 128, 129
LISTENER_QUERY, LISTENER_REPORT, LISTENER_DONE, SOLICIT_ROUTER, ROUTER, SOLICIT, ADVERTISE, REDIRECT = range(130, 138)
LISTENER_REPORT_2, EXTENDED_ECHO, EXTENDED_REPLY = 143, 160, 161
TYPES = {
    UNREACHABLE: "Destination unreachable", TOO_BIG: "Packet too big", EXCEEDED: "Time exceeded",
    PARAMETER: "Parameter problem", ECHO: "Echo request", ECHO_REPLY: "Echo reply",
    LISTENER_QUERY: "Multicast listener query", LISTENER_REPORT: "Multicast listener report",
    LISTENER_DONE: "Multicast listener done", SOLICIT_ROUTER: "Router solicitation", ROUTER: "Router advertisement",
    SOLICIT: "Neighbour solicitation", ADVERTISE: "Neighbour advertisement", REDIRECT: "Redirect",
    138: "Router renumbering", 139: "Node information query", 140: "Node information response",
    141: "Inverse neighbour solicitation", 142: "Inverse neighbour advertisement",
    LISTENER_REPORT_2: "Multicast listener report v2", 144: "Home agent discovery request",
    145: "Home agent discovery reply", 146: "Mobile prefix solicitation", 147: "Mobile prefix advertisement",
    148: "Certification path solicitation", 149: "Certification path advertisement", 151: "Multicast router advertisement",
    152: "Multicast router solicitation", 153: "Multicast router termination", 154: "Fast handover", 155: "RPL control",
    157: "Duplicate address request", 158: "Duplicate address confirmation", 159: "MPL control",
    EXTENDED_ECHO: "Extended echo request", EXTENDED_REPLY: "Extended echo reply",
}  # fmt: skip
CODES = {
    UNREACHABLE: {0: "no route", 1: "administratively prohibited", 2: "beyond the scope of the source address",
                  3: "address", 4: "port", 5: "source address failed a policy", 6: "reject route", 7: "source routing header"},
    EXCEEDED: {0: "hop limit, on the way", 1: "reassembly of fragments"},
    PARAMETER: {0: "erroneous header field", 1: "unknown next header", 2: "unknown option", 3: "incomplete header chain",
                4: "upper-layer header", 5: "next header not known here", 6: "extension header too big",
                7: "extension header chain too long", 8: "too many extension headers", 9: "too many options",
                10: "option too big"},
}  # fmt: skip
ERRORS = (UNREACHABLE, TOO_BIG, EXCEEDED, PARAMETER)
SOURCE_LINK, TARGET_LINK, PREFIX, REDIRECTED, MTU, NONCE, ROUTE, DNS_SERVERS, DNS_SEARCH, CAPTIVE, PREF64 = (
    1, 2, 3, 4, 5, 14, 24, 25, 31, 37, 38
)  # fmt: skip
OPTIONS = {
    SOURCE_LINK: "Source link-layer address", TARGET_LINK: "Target link-layer address", PREFIX: "Prefix information",
    REDIRECTED: "Redirected packet", MTU: "MTU", 7: "Advertisement interval", 8: "Home agent information", 11: "CGA",
    12: "RSA signature", 13: "Timestamp", NONCE: "Nonce", ROUTE: "Route information", DNS_SERVERS: "Recursive DNS servers",
    26: "Flags extension", DNS_SEARCH: "DNS search list", 33: "Address registration", 34: "6LoWPAN context",
    CAPTIVE: "Captive portal", PREF64: "PREF64",
}  # fmt: skip
PREF64_LENGTHS = {0: 96, 1: 64, 2: 56, 3: 48, 4: 40, 5: 32}
PREFERENCES = {0: "medium", 1: "high", 2: "reserved", 3: "low"}
RECORDS = {1: "is include", 2: "is exclude", 3: "change to include", 4: "change to exclude", 5: "allow new sources",
           6: "block old sources"}  # fmt: skip

FIELDS = catalog(
    u8("icmpv6.type", "Type", values=TYPES),
    u8("icmpv6.code", "Code"),
    u16("icmpv6.checksum", "Checksum", Base.HEX),
    u16("icmpv6.echo.identifier", "Identifier", Base.HEX),
    u16("icmpv6.echo.sequence_number", "Sequence number"),
    u32("icmpv6.mtu", "MTU"),
    u32("icmpv6.pointer", "Pointer"),
    u8("icmpv6.length", "Words of the quotation"),
    octets("icmpv6.reserved", "Reserved"),
    u8("icmpv6.nd.ra.cur_hop_limit", "Hop limit to use"),
    u8("icmpv6.nd.ra.flag", "Flags", Base.HEX),
    flag("icmpv6.nd.ra.flag.m", "Addresses from DHCPv6"),
    flag("icmpv6.nd.ra.flag.o", "Other configuration from DHCPv6"),
    flag("icmpv6.nd.ra.flag.h", "Home agent"),
    uint("icmpv6.nd.ra.flag.prf", "Preference of this router", 2, values=PREFERENCES),
    flag("icmpv6.nd.ra.flag.p", "Proxy"),
    u16("icmpv6.nd.ra.router_lifetime", "Router lifetime in seconds"),
    u32("icmpv6.nd.ra.reachable_time", "Reachable time in milliseconds"),
    u32("icmpv6.nd.ra.retrans_timer", "Retransmission timer in milliseconds"),
    ipv6("icmpv6.nd.ns.target_address", "Target"),
    u32("icmpv6.nd.na.flag", "Flags", Base.HEX),
    flag("icmpv6.nd.na.flag.r", "Router"),
    flag("icmpv6.nd.na.flag.s", "Solicited"),
    flag("icmpv6.nd.na.flag.o", "Override"),
    ipv6("icmpv6.nd.na.target_address", "Target"),
    ipv6("icmpv6.nd.rd.target_address", "Better first hop"),
    ipv6("icmpv6.rd.na.destination_address", "Destination"),
    heading("icmpv6.opt", "Option"),
    u8("icmpv6.opt.type", "Type", values=OPTIONS),
    uint("icmpv6.opt.length", "Length in words of 8 bytes", 8),
    octets("icmpv6.opt.src_linkaddr", "Link-layer address"),
    octets("icmpv6.opt.target_linkaddr", "Link-layer address"),
    u8("icmpv6.opt.prefix.length", "Prefix length"),
    u8("icmpv6.opt.prefix.flag", "Flags", Base.HEX),
    flag("icmpv6.opt.prefix.flag.l", "On this link"),
    flag("icmpv6.opt.prefix.flag.a", "Hosts may make addresses of it"),
    flag("icmpv6.opt.prefix.flag.r", "Router's own address"),
    u32("icmpv6.opt.prefix.valid_lifetime", "Valid lifetime in seconds"),
    u32("icmpv6.opt.prefix.preferred_lifetime", "Preferred lifetime in seconds"),
    octets("icmpv6.opt.reserved", "Reserved"),
    ipv6("icmpv6.opt.prefix", "Prefix"),
    u32("icmpv6.opt.mtu", "MTU"),
    octets("icmpv6.opt.nonce", "Nonce"),
    u8("icmpv6.opt.route_info.flag", "Flags", Base.HEX),
    uint("icmpv6.opt.route_info.flag.route_preference", "Preference", 2, values=PREFERENCES),
    u32("icmpv6.opt.route_lifetime", "Lifetime in seconds"),
    octets("icmpv6.opt.route_prefix", "Prefix, shortened"),
    u32("icmpv6.opt.rdnss.lifetime", "Lifetime in seconds"),
    ipv6("icmpv6.opt.rdnss", "DNS server"),
    u32("icmpv6.opt.dnssl.lifetime", "Lifetime in seconds"),
    string("icmpv6.opt.dnssl", "Search domain"),
    string("icmpv6.opt.captive_portal", "Portal"),
    uint("icmpv6.opt.pref64.scaled_lifetime", "Lifetime", 13, scale=8, unit="seconds"),
    uint("icmpv6.opt.pref64.plc", "Prefix length", 3, values={code: f"/{size}" for code, size in PREF64_LENGTHS.items()}),
    octets("icmpv6.opt.pref64.bits", "First 96 bits of the prefix"),
    octets("icmpv6.opt.unknown_data", "Data"),
    octets("icmpv6.opt.padding", "Padding"),
    u16("icmpv6.mld.maximum_response_delay", "Maximum response delay in milliseconds"),
    u16("icmpv6.mld.maximum_response_code", "Maximum response code"),
    ipv6("icmpv6.mld.multicast_address", "Group"),
    u8("icmpv6.mld.flag", "Flags", Base.HEX),
    flag("icmpv6.mld.flag.s", "Routers do not process it"),
    uint("icmpv6.mld.flag.qrv", "Robustness", 3),
    u8("icmpv6.mld.qqi", "Query interval code"),
    u16("icmpv6.mld.nb_sources", "Sources"),
    ipv6("icmpv6.mld.source_address", "Source"),
    u16("icmpv6.mldr.nb_mcast_records", "Group records"),
    heading("icmpv6.mldr.mar", "Group record"),
    u8("icmpv6.mldr.mar.record_type", "Type", values=RECORDS),
    u8("icmpv6.mldr.mar.aux_data_len", "Auxiliary data in words"),
    u16("icmpv6.mldr.mar.nb_sources", "Sources"),
    ipv6("icmpv6.mldr.mar.multicast_address", "Group"),
    ipv6("icmpv6.mldr.mar.source_address", "Source"),
    octets("icmpv6.mldr.mar.auxiliary_data", "Auxiliary data"),
    octets("icmpv6.data", "Data"),
    *EXTENSION_FIELDS,
)


def dissect(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    kind = c.uint("icmpv6.type", 1)
    code = c.uint("icmpv6.code", 1)
    words = CODES.get(kind, {}).get(code)
    if words is not None:
        c.last.text = f"{words} ({code})"
    c.layer.summary = TYPES.get(kind, f"type {kind}") + (f": {words or f'code {code}'}" if kind in CODES else "")
    c.uint("icmpv6.checksum", 2)
    if not (c.context.quoted or c.context.cut) and len(c.context.source) == 16:
        header = pseudo_header(c.context.source, c.context.destination, 58, len(whole))
        if ones_complement_sum(header + whole) != 0xFFFF:
            c.issue("checksum", "the checksum does not match the bytes (RFC 4443, 2.3)", Severity.ERROR)
    if kind in ERRORS:
        _error(c, kind)
        return
    if kind in (ECHO, ECHO_REPLY):
        c.uint("icmpv6.echo.identifier", 2)
        c.layer.summary += f"  seq {c.uint('icmpv6.echo.sequence_number', 2)}"
    elif kind in (EXTENDED_ECHO, EXTENDED_REPLY):
        c.uint("icmpv6.echo.identifier", 2)
        extended_echo(c, kind == EXTENDED_ECHO)
    elif kind in (LISTENER_QUERY, LISTENER_REPORT, LISTENER_DONE):
        _listeners(c, kind == LISTENER_QUERY and c.remaining >= 24)
    elif kind == LISTENER_REPORT_2:
        c.octets("icmpv6.reserved", 2)
        for _ in range(c.uint("icmpv6.mldr.nb_mcast_records", 2)):
            _record(c)
    elif SOLICIT_ROUTER <= kind <= REDIRECT:
        _neighbours(c, kind)
    if c.remaining:
        c.octets("icmpv6.data", c.remaining)


def _error(c: Cursor, kind: int) -> None:
    length = 0
    if kind == TOO_BIG:
        c.layer.summary += f", MTU {c.uint('icmpv6.mtu', 4):,}"
    elif kind == PARAMETER:
        c.uint("icmpv6.pointer", 4)
    else:
        length = 8 * c.uint("icmpv6.length", 1)  # RFC 4884, 4.5
        c.octets("icmpv6.reserved", 3)
    extended = length or (unannounced(c) if kind in (UNREACHABLE, EXCEEDED) else 0)
    quote(c, 6, extended, "an ICMPv6 error quotes the packet that caused it (RFC 4443, 2.4)")


def _listeners(c: Cursor, second: bool) -> None:
    c.uint("icmpv6.mld.maximum_response_code" if second else "icmpv6.mld.maximum_response_delay", 2)
    c.octets("icmpv6.reserved", 2)
    c.octets("icmpv6.mld.multicast_address", 16)
    c.layer.summary += f"  {c.last.text}"
    if second:  # the longer query is version 2's (RFC 3810, 8.1)
        c.flags("icmpv6.mld.flag", 1, (None, 4), ("icmpv6.mld.flag.s", 1), ("icmpv6.mld.flag.qrv", 3))
        c.uint("icmpv6.mld.qqi", 1)
        for _ in range(c.uint("icmpv6.mld.nb_sources", 2)):
            c.octets("icmpv6.mld.source_address", 16)


def _record(c: Cursor) -> None:
    with c.group("icmpv6.mldr.mar") as record:
        kind = c.uint("icmpv6.mldr.mar.record_type", 1)
        words = c.uint("icmpv6.mldr.mar.aux_data_len", 1)
        sources = c.uint("icmpv6.mldr.mar.nb_sources", 2)
        c.octets("icmpv6.mldr.mar.multicast_address", 16)
        record.text = f"{c.last.text} {RECORDS.get(kind, f'type {kind}')}"
        for _ in range(sources):
            c.octets("icmpv6.mldr.mar.source_address", 16)
        if words:
            c.octets("icmpv6.mldr.mar.auxiliary_data", words * 4)


def _neighbours(c: Cursor, kind: int) -> None:
    if kind == ROUTER:
        c.uint("icmpv6.nd.ra.cur_hop_limit", 1)
        flags = "icmpv6.nd.ra.flag"
        c.flags(
            flags, 1, (f"{flags}.m", 1), (f"{flags}.o", 1), (f"{flags}.h", 1), (f"{flags}.prf", 2), (f"{flags}.p", 1), (None, 2)
        )
        c.uint("icmpv6.nd.ra.router_lifetime", 2)
        c.uint("icmpv6.nd.ra.reachable_time", 4)
        c.uint("icmpv6.nd.ra.retrans_timer", 4)
    elif kind == ADVERTISE:
        flags = "icmpv6.nd.na.flag"
        c.flags(flags, 4, (f"{flags}.r", 1), (f"{flags}.s", 1), (f"{flags}.o", 1), (None, 29))
        c.octets("icmpv6.nd.na.target_address", 16)
        c.layer.summary += f"  {c.last.text}"
    else:
        c.octets("icmpv6.reserved", 4)
        if kind in (SOLICIT, REDIRECT):
            c.octets("icmpv6.nd.ns.target_address" if kind == SOLICIT else "icmpv6.nd.rd.target_address", 16)
            c.layer.summary += f"  {c.last.text}"
        if kind == REDIRECT:
            c.octets("icmpv6.rd.na.destination_address", 16)
    while c.remaining:
        with c.group("icmpv6.opt") as option:
            sort = c.uint("icmpv6.opt.type", 1)
            option.text = OPTIONS.get(sort, f"type {sort}")
            length = 8 * c.uint("icmpv6.opt.length", 1)
            if not length:
                c.issue("option-length", "an option of no length: the packet must be discarded (RFC 4861, 4.6)", Severity.ERROR)
                return
            with c.within(length - 2):
                _option(c, sort)
                if c.remaining:
                    c.octets("icmpv6.opt.unknown_data", c.remaining)


def _option(c: Cursor, kind: int) -> None:
    size = c.remaining
    if kind in (SOURCE_LINK, TARGET_LINK):
        c.octets("icmpv6.opt.src_linkaddr" if kind == SOURCE_LINK else "icmpv6.opt.target_linkaddr", size)
        if size == 6:
            c.last.text = c.last.value.hex(":")
    elif kind == PREFIX and size == 30:
        c.uint("icmpv6.opt.prefix.length", 1)
        flags = "icmpv6.opt.prefix.flag"
        c.flags(flags, 1, (f"{flags}.l", 1), (f"{flags}.a", 1), (f"{flags}.r", 1), (None, 5))
        c.uint("icmpv6.opt.prefix.valid_lifetime", 4)
        c.uint("icmpv6.opt.prefix.preferred_lifetime", 4)
        c.octets("icmpv6.opt.reserved", 4)
        c.octets("icmpv6.opt.prefix", 16)
    elif kind == REDIRECTED and size > 6:
        c.octets("icmpv6.opt.reserved", 6)
        c.payload("ip.version", c.peek(1)[0] >> 4, None, "a redirect quotes the packet that caused it (RFC 4861, 4.6.3)")
        c.context.quoted = True
    elif kind == MTU and size == 6:
        c.octets("icmpv6.opt.reserved", 2)
        c.uint("icmpv6.opt.mtu", 4)
    elif kind == NONCE:
        c.octets("icmpv6.opt.nonce", size)
    elif kind == ROUTE and size in (6, 14, 22):
        c.uint("icmpv6.opt.prefix.length", 1)
        c.flags("icmpv6.opt.route_info.flag", 1, (None, 3), ("icmpv6.opt.route_info.flag.route_preference", 2), (None, 3))
        c.uint("icmpv6.opt.route_lifetime", 4)
        if c.remaining == 16:
            c.octets("icmpv6.opt.prefix", 16)
        elif c.remaining:
            c.octets("icmpv6.opt.route_prefix", c.remaining)
    elif kind == DNS_SERVERS and size >= 6:
        c.octets("icmpv6.opt.reserved", 2)
        c.uint("icmpv6.opt.rdnss.lifetime", 4)
        while c.remaining >= 16:
            c.octets("icmpv6.opt.rdnss", 16)
    elif kind == DNS_SEARCH and size >= 6:
        c.octets("icmpv6.opt.reserved", 2)
        c.uint("icmpv6.opt.dnssl.lifetime", 4)
        _domains(c)
    elif kind == CAPTIVE and size:
        c.string("icmpv6.opt.captive_portal", len(c.peek(size).rstrip(b"\0")))
        if c.remaining:
            c.octets("icmpv6.opt.padding", c.remaining)
    elif kind == PREF64 and size == 14:
        c.bits(2, ("icmpv6.opt.pref64.scaled_lifetime", 13), ("icmpv6.opt.pref64.plc", 3))
        c.octets("icmpv6.opt.pref64.bits", 12)


def _domains(c: Cursor) -> None:
    """Names as labels without compression, then zeros up to the option's length (RFC 8106, 5.2)."""
    while c.remaining and c.peek(1) != b"\0":
        start, labels = c.pos, []
        while c.remaining:
            size = c.peek(1)[0]
            if size > 63:
                c.issue("label", f"a label of {size} bytes is longer than 63 (RFC 1035, 2.3.4)", Severity.ERROR)
                return
            c.skip(1)
            if not size:
                break
            labels.append(c.peek(size).decode("utf-8", "surrogateescape"))
            c.skip(size)
        c.add("icmpv6.opt.dnssl", ".".join(labels), start, c.pos)
    if c.remaining:
        c.octets("icmpv6.opt.padding", c.remaining)


CARD = Card(
    "binary: type, code, checksum; options as type, length, value",
    "one message a datagram",
    "that of IPv6; Neighbour Discovery uses multicast groups of nearly one host",
    "errors go back to the sender; echo and Neighbour Discovery ask and are answered",
    "none in the messages; Neighbour Discovery fills each host's table",
    "as IPv6; Neighbour Discovery never leaves the link (hop limit 255)",
    "none; errors are sent at a limited rate",
    "a checksum with a pseudo-header; no error is ever sent about an error",
)
PROTOCOL = Protocol(
    "icmpv6", "ICMPv6", 3, FIELDS, dissect, keys={"ip.proto": [58]}, explain=explain_6, reference="RFC 4443", card=CARD
)
