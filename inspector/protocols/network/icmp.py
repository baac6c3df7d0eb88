"""ICMP (RFC 792) with the packet that an error quotes, router discovery (RFC 1256), address masks (RFC 950), extended echo
(RFC 8335), and the extensions behind a quotation (RFC 4884), which ICMPv6 shares.

Not here: the mobility extensions of router advertisements.
"""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum
from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, flag, heading, ipv4, ipv6, octets, sint, string, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.network.icmp_notes import explain

ECHO_REPLY, UNREACHABLE, QUENCH, REDIRECT, ECHO, ROUTER, SOLICITATION, EXCEEDED, PARAMETER = 0, 3, 4, 5, 8, 9, 10, 11, 12
TIMESTAMP, TIMESTAMP_REPLY, INFORMATION, INFORMATION_REPLY, MASK, MASK_REPLY = 13, 14, 15, 16, 17, 18
EXTENDED_ECHO, EXTENDED_REPLY = 42, 43
TYPES = {
    ECHO_REPLY: "Echo reply", UNREACHABLE: "Destination unreachable", QUENCH: "Source quench", REDIRECT: "Redirect",
    6: "Alternate host address", ECHO: "Echo request", ROUTER: "Router advertisement", SOLICITATION: "Router solicitation",
    EXCEEDED: "Time exceeded", PARAMETER: "Parameter problem", TIMESTAMP: "Timestamp", TIMESTAMP_REPLY: "Timestamp reply",
    INFORMATION: "Information request", INFORMATION_REPLY: "Information reply", MASK: "Address mask request",
    MASK_REPLY: "Address mask reply", 30: "Traceroute", 31: "Datagram conversion error", 32: "Mobile host redirect",
    37: "Domain name request", 38: "Domain name reply", 40: "Security failure", EXTENDED_ECHO: "Extended echo request",
    EXTENDED_REPLY: "Extended echo reply",
}  # fmt: skip
CODES = {
    UNREACHABLE: {0: "network", 1: "host", 2: "protocol", 3: "port", 4: "fragmentation needed", 5: "source route failed",
                  6: "network unknown", 7: "host unknown", 8: "source host isolated", 9: "network prohibited",
                  10: "host prohibited", 11: "network, for this service", 12: "host, for this service",
                  13: "administratively prohibited", 14: "host precedence", 15: "precedence cutoff"},
    REDIRECT: {0: "for the network", 1: "for the host", 2: "for the service and network", 3: "for the service and host"},
    EXCEEDED: {0: "time to live, on the way", 1: "reassembly of fragments"},
    PARAMETER: {0: "the pointer names the octet", 1: "a required option is missing", 2: "bad length"},
    EXTENDED_REPLY: {0: "no error", 1: "malformed query", 2: "no such interface", 3: "no such table entry",
                     4: "several interfaces match"},
}  # fmt: skip
ERRORS = (UNREACHABLE, QUENCH, REDIRECT, EXCEEDED, PARAMETER)
WITH_LENGTH = (UNREACHABLE, EXCEEDED, PARAMETER)  # those that may carry extensions (RFC 4884, 4)
QUOTED_BEFORE_EXTENSIONS = 128  # least size of a quotation in front of extensions (RFC 4884, 5.1)
MPLS_STACK, INTERFACE, INTERFACE_IDENTIFICATION = 1, 2, 3
CLASSES = {MPLS_STACK: "MPLS label stack", INTERFACE: "interface information", INTERFACE_IDENTIFICATION: "interface",
           4: "extended information"}  # fmt: skip
ROLES = {0: "incoming interface", 1: "incoming sub-interface", 2: "outgoing interface", 3: "next hop"}

EXTENSION_FIELDS = (
    heading("icmp.ext", "Extensions"),
    uint("icmp.ext.version", "Version", 4),
    uint("icmp.ext.res", "Reserved", 12),
    u16("icmp.ext.checksum", "Checksum", Base.HEX),
    heading("icmp.ext.object", "Object"),
    u16("icmp.ext.length", "Length"),
    u8("icmp.ext.class", "Class", values=CLASSES),
    u8("icmp.ext.ctype", "Kind"),
    octets("icmp.ext.data", "Data"),
    uint("icmp.mpls.label", "Label", 20),
    uint("icmp.mpls.exp", "Traffic class", 3),
    flag("icmp.mpls.s", "Bottom of the stack"),
    u8("icmp.mpls.ttl", "TTL"),
    uint("icmp.int_info.role", "Role", 2, values=ROLES),
    uint("icmp.int_info.reserved", "Reserved", 2),
    flag("icmp.int_info.ifindex", "Index is there"),
    flag("icmp.int_info.ipaddr", "Address is there"),
    flag("icmp.int_info.name_present", "Name is there"),
    flag("icmp.int_info.mtu_present", "MTU is there"),
    u32("icmp.int_info.index", "Index"),
    u16("icmp.int_info.afi", "Address family"),
    octets("icmp.int_info.reserved_bytes", "Reserved"),
    ipv4("icmp.int_info.ipv4", "Address"),
    ipv6("icmp.int_info.ipv6", "Address"),
    u8("icmp.int_info.name_length", "Length of the name"),
    string("icmp.int_info.name", "Name"),
    u32("icmp.int_info.mtu", "MTU"),
    string("icmp.int_ident.name", "Name"),
    u32("icmp.int_ident.index", "Index"),
    u16("icmp.int_ident.afi", "Address family"),
    u8("icmp.int_ident.addr_length", "Length of the address"),
    octets("icmp.int_ident.reserved", "Reserved"),
    ipv4("icmp.int_ident.ipv4", "Address"),
    ipv6("icmp.int_ident.ipv6", "Address"),
    u8("icmp.ext.echo.seq", "Sequence number"),
    uint("icmp.ext.echo.req.res", "Reserved", 7),
    flag("icmp.ext.echo.req.local", "The interface is the proxy's own"),
    uint("icmp.ext.echo.rsp.state", "State of the neighbour", 3),
    uint("icmp.ext.echo.rsp.res", "Reserved", 2),
    flag("icmp.ext.echo.rsp.active", "Active"),
    flag("icmp.ext.echo.rsp.ipv4", "Runs IPv4"),
    flag("icmp.ext.echo.rsp.ipv6", "Runs IPv6"),
)
FIELDS = catalog(
    u8("icmp.type", "Type", values=TYPES),
    u8("icmp.code", "Code"),
    u16("icmp.checksum", "Checksum", Base.HEX),
    u16("icmp.ident", "Identifier"),
    u16("icmp.seq", "Sequence number"),
    u16("icmp.mtu", "MTU of the next hop"),
    u8("icmp.length", "Words of the quotation"),
    u8("icmp.pointer", "Pointer"),
    ipv4("icmp.redir_gw", "Gateway"),
    u8("icmp.num_addrs", "Addresses"),
    u8("icmp.addr_entry_size", "Words an entry"),
    u16("icmp.lifetime", "Lifetime in seconds"),
    ipv4("icmp.router_address", "Router"),
    sint("icmp.pref_level", "Preference", 32),
    u32("icmp.originate_timestamp", "Sent"),
    u32("icmp.receive_timestamp", "Received"),
    u32("icmp.transmit_timestamp", "Answered"),
    ipv4("icmp.address_mask", "Mask"),
    octets("icmp.unused", "Unused"),
    octets("icmp.data", "Data"),
    *EXTENSION_FIELDS,
)


def dissect(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    kind = c.uint("icmp.type", 1)
    code = c.uint("icmp.code", 1)
    words = CODES.get(kind, {}).get(code)
    if words is not None:
        c.last.text = f"{words} ({code})"
    c.layer.summary = TYPES.get(kind, f"type {kind}") + (f": {words or f'code {code}'}" if kind in CODES else "")
    c.uint("icmp.checksum", 2)
    if not (c.context.quoted or c.context.cut) and ones_complement_sum(whole) != 0xFFFF:
        c.issue("checksum", "the checksum does not match the bytes (RFC 792)", Severity.ERROR)
    if kind in ERRORS:
        _error(c, kind, code)
        return
    if kind in (ECHO, ECHO_REPLY, TIMESTAMP, TIMESTAMP_REPLY, INFORMATION, INFORMATION_REPLY, MASK, MASK_REPLY):
        c.uint("icmp.ident", 2)
        c.layer.summary += f"  seq {c.uint('icmp.seq', 2)}"
    if kind in (TIMESTAMP, TIMESTAMP_REPLY):
        for name in ("originate", "receive", "transmit"):  # milliseconds since midnight, universal time (RFC 792)
            c.uint(f"icmp.{name}_timestamp", 4)
    elif kind in (MASK, MASK_REPLY):
        c.octets("icmp.address_mask", 4)
    elif kind == ROUTER:
        _routers(c)
    elif kind == SOLICITATION:
        c.octets("icmp.unused", 4)
    elif kind in (EXTENDED_ECHO, EXTENDED_REPLY):
        c.uint("icmp.ident", 2)
        extended_echo(c, kind == EXTENDED_ECHO)
    if c.remaining:
        c.octets("icmp.data", c.remaining)


def _error(c: Cursor, kind: int, code: int) -> None:
    length = 0
    if kind == REDIRECT:
        c.octets("icmp.redir_gw", 4)
        c.layer.summary += f", to {c.last.text}"
    elif kind == PARAMETER:
        c.uint("icmp.pointer", 1)
        length = c.uint("icmp.length", 1)
        c.octets("icmp.unused", 2)
    elif kind == UNREACHABLE:
        c.octets("icmp.unused", 1)
        length = c.uint("icmp.length", 1)
        if code == 4:
            c.layer.summary += f", MTU {c.uint('icmp.mtu', 2):,}"
        else:
            c.octets("icmp.unused", 2)
    elif kind == EXCEEDED:
        c.octets("icmp.unused", 1)
        length = c.uint("icmp.length", 1)
        c.octets("icmp.unused", 2)
    else:
        c.octets("icmp.unused", 4)
    size = length * 4 if kind in WITH_LENGTH else 0
    quote(c, 4, size or unannounced(c), "an ICMP error quotes the packet that caused it (RFC 792)")


def unannounced(c: Cursor) -> int:
    """The size of the quotation where extensions follow and no length says so, as older routers send (RFC 4884, 5.5)."""
    behind = c.peek(c.remaining)[QUOTED_BEFORE_EXTENSIONS:]
    return QUOTED_BEFORE_EXTENSIONS if len(behind) >= 8 and behind[0] >> 4 == 2 and ones_complement_sum(behind) == 0xFFFF else 0


def quote(c: Cursor, version: int, size: int, why: str) -> None:
    """The quoted packet, of `size` bytes where extensions follow, and those extensions."""
    extended = 0 < size < c.remaining
    c.payload("ip.version", version, size if extended else None, why)
    if extended:
        _extensions(c)
    c.context.quoted = True


def _extensions(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    with c.group("icmp.ext"):
        version, _ = c.bits(2, ("icmp.ext.version", 4), ("icmp.ext.res", 12))
        checksum = c.uint("icmp.ext.checksum", 2)
        if checksum and ones_complement_sum(whole) != 0xFFFF and not c.context.cut:
            c.issue("checksum", "the checksum of the extensions does not match (RFC 4884, 7)", Severity.ERROR)
        while version == 2 and c.remaining >= 4:
            extension_object(c)
        if c.remaining:
            c.octets("icmp.ext.data", c.remaining)


def extension_object(c: Cursor) -> None:
    """One object: MPLS labels (RFC 4950), an interface (RFC 5837), others as bytes."""
    with c.group("icmp.ext.object") as found:
        length = c.uint("icmp.ext.length", 2)
        sort = c.uint("icmp.ext.class", 1)
        kind = c.peek(1)
        found.text = CLASSES.get(sort, f"class {sort}")
        if sort == INTERFACE and kind:
            c.bits(1, ("icmp.int_info.role", 2), ("icmp.int_info.reserved", 2), ("icmp.int_info.ifindex", 1),
                   ("icmp.int_info.ipaddr", 1), ("icmp.int_info.name_present", 1),
                   ("icmp.int_info.mtu_present", 1))  # fmt: skip
        else:
            c.uint("icmp.ext.ctype", 1)
        if length < 4:
            c.issue("length", f"an object of {length} bytes is shorter than its header (RFC 4884, 8)", Severity.ERROR)
            return
        with c.within(length - 4):
            while sort == MPLS_STACK and c.remaining >= 4:
                c.bits(4, ("icmp.mpls.label", 20), ("icmp.mpls.exp", 3), ("icmp.mpls.s", 1), ("icmp.mpls.ttl", 8))
            if sort == INTERFACE:
                _interface(c, kind[0])
            elif sort == INTERFACE_IDENTIFICATION:
                _identification(c, kind[0])
            if c.remaining:
                c.octets("icmp.ext.data", c.remaining)


def _interface(c: Cursor, parts: int) -> None:
    if parts & 8:
        c.uint("icmp.int_info.index", 4)
    if parts & 4:
        family = c.uint("icmp.int_info.afi", 2)
        c.octets("icmp.int_info.reserved_bytes", 2)
        if family in (1, 2):
            c.octets("icmp.int_info.ipv4" if family == 1 else "icmp.int_info.ipv6", 4 if family == 1 else 16)
    if parts & 2:
        size = c.uint("icmp.int_info.name_length", 1)  # counts itself, and padding to a word (RFC 5837, 4.3)
        if size > 1:
            c.string("icmp.int_info.name", size - 1)
    if parts & 1:
        c.uint("icmp.int_info.mtu", 4)


def _identification(c: Cursor, kind: int) -> None:
    """Which interface is asked for (RFC 8335, 2.1)."""
    if kind == 1:
        c.string("icmp.int_ident.name", c.remaining)
    elif kind == 2 and c.remaining == 4:
        c.uint("icmp.int_ident.index", 4)
    elif kind == 3 and c.remaining >= 4:
        family = c.uint("icmp.int_ident.afi", 2)
        c.uint("icmp.int_ident.addr_length", 1)
        c.octets("icmp.int_ident.reserved", 1)
        if (family, c.remaining) in ((1, 4), (2, 16)):
            c.octets("icmp.int_ident.ipv4" if family == 1 else "icmp.int_ident.ipv6", c.remaining)


def extended_echo(c: Cursor, request: bool) -> None:
    """What follows the identifier of an extended echo, in either version (RFC 8335, 2 and 3)."""
    c.layer.summary += f"  seq {c.uint('icmp.ext.echo.seq', 1)}"
    if request:
        c.bits(1, ("icmp.ext.echo.req.res", 7), ("icmp.ext.echo.req.local", 1))
        if c.remaining >= 8:  # one object, and any data of the sender's behind it (RFC 8335, 2)
            with c.within(min(4 + max(c.peek_uint(2, 4), 4), c.remaining)):
                _extensions(c)
    else:
        c.bits(1, ("icmp.ext.echo.rsp.state", 3), ("icmp.ext.echo.rsp.res", 2), ("icmp.ext.echo.rsp.active", 1),
               ("icmp.ext.echo.rsp.ipv4", 1), ("icmp.ext.echo.rsp.ipv6", 1))  # fmt: skip


def _routers(c: Cursor) -> None:
    count = c.uint("icmp.num_addrs", 1)
    words = c.uint("icmp.addr_entry_size", 1)
    c.uint("icmp.lifetime", 2)
    for _ in range(count if words >= 2 else 0):
        address = c.octets("icmp.router_address", 4)
        c.sint("icmp.pref_level", 4)
        if words > 2:
            c.octets("icmp.unused", words * 4 - 8)
        c.layer.summary += f" {cell(c.spec('icmp.router_address'), address)}"


CARD = Card(
    "binary: type, code, checksum; an error quotes the packet that it is about",
    "one message a datagram",
    "that of IP",
    "errors go back to the sender; echo asks and is answered",
    "none",
    "as IP; many filters drop it, with surprising results",
    "none; errors are sent at a limited rate",
    "a checksum; no error is ever sent about an error",
)
PROTOCOL = Protocol("icmp", "ICMP", 3, FIELDS, dissect, keys={"ip.proto": [1]}, explain=explain, reference="RFC 792", card=CARD)
