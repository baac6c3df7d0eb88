"""ICMP (RFC 792) and ICMPv6 (RFC 4443), with the packet that an error quotes.

Not here: the options of neighbour discovery (RFC 4861), which are shown as bytes.
"""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum, pseudo_header
from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, ipv6, octets, u8, u16, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Protocol

TYPES = {0: "Echo reply", 3: "Destination unreachable", 4: "Source quench", 5: "Redirect", 8: "Echo request",
         9: "Router advertisement", 10: "Router solicitation", 11: "Time exceeded", 12: "Parameter problem", 13: "Timestamp",
         14: "Timestamp reply", 17: "Address mask request", 18: "Address mask reply"}  # fmt: skip
UNREACHABLE = {0: "network", 1: "host", 2: "protocol", 3: "port", 4: "fragmentation needed", 13: "administratively prohibited"}
TYPES6 = {1: "Destination unreachable", 2: "Packet too big", 3: "Time exceeded", 4: "Parameter problem", 128: "Echo request",
          129: "Echo reply", 130: "Multicast listener query", 131: "Multicast listener report", 132: "Multicast listener done",
          133: "Router solicitation", 134: "Router advertisement", 135: "Neighbour solicitation",
          136: "Neighbour advertisement",          137: "Redirect", 143: "Multicast listener report v2"}  # fmt: skip
ERRORS, ECHOES, ERRORS6, ECHOES6 = (3, 4, 5, 11, 12), (0, 8), (1, 2, 3, 4), (128, 129)

FIELDS = catalog(
    u8("icmp.type", "Type", values=TYPES),
    u8("icmp.code", "Code"),
    u16("icmp.checksum", "Checksum", Base.HEX),
    u16("icmp.ident", "Identifier"),
    u16("icmp.seq", "Sequence number"),
    u16("icmp.mtu", "MTU of the next hop"),
    octets("icmp.unused", "Unused"),
    octets("icmp.data", "Data"),
)
FIELDS6 = catalog(
    u8("icmpv6.type", "Type", values=TYPES6),
    u8("icmpv6.code", "Code"),
    u16("icmpv6.checksum", "Checksum", Base.HEX),
    u16("icmpv6.echo.identifier", "Identifier"),
    u16("icmpv6.echo.sequence_number", "Sequence number"),
    u32("icmpv6.mtu", "MTU"),
    octets("icmpv6.reserved", "Reserved"),
    ipv6("icmpv6.nd.target", "Target address"),
    octets("icmpv6.data", "Data"),
)


def dissect(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    kind = c.uint("icmp.type", 1)
    code = c.uint("icmp.code", 1)
    c.layer.summary = TYPES.get(kind, f"type {kind}")
    c.uint("icmp.checksum", 2)
    if not (c.context.quoted or c.context.cut) and ones_complement_sum(whole) != 0xFFFF:
        c.issue("checksum", "the checksum does not match the bytes (RFC 792)", Severity.ERROR)
    if kind in ECHOES:
        c.uint("icmp.ident", 2)
        c.layer.summary += f"  seq {c.uint('icmp.seq', 2)}"
    elif kind in ERRORS:
        if kind == 3:
            c.layer.summary = f"Destination unreachable: {UNREACHABLE.get(code, f'code {code}')}"
        if kind == 3 and code == 4:
            c.octets("icmp.unused", 2)
            c.uint("icmp.mtu", 2)
        else:
            c.octets("icmp.unused", 4)
        c.context.quoted = True
        c.payload("ip.version", 4, None, "an ICMP error quotes the packet that caused it (RFC 792)")
        return
    if c.remaining:
        c.octets("icmp.data", c.remaining)


def dissect6(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    kind = c.uint("icmpv6.type", 1)
    c.uint("icmpv6.code", 1)
    c.layer.summary = TYPES6.get(kind, f"type {kind}")
    c.uint("icmpv6.checksum", 2)
    if not (c.context.quoted or c.context.cut) and c.context.source:
        header = pseudo_header(c.context.source, c.context.destination, 58, len(whole))
        if ones_complement_sum(header + whole) != 0xFFFF:
            c.issue("checksum", "the checksum does not match the bytes (RFC 4443, 2.3)", Severity.ERROR)
    if kind in ECHOES6:
        c.uint("icmpv6.echo.identifier", 2)
        c.layer.summary += f"  seq {c.uint('icmpv6.echo.sequence_number', 2)}"
    elif kind in ERRORS6:
        if kind == 2:
            c.uint("icmpv6.mtu", 4)
        else:
            c.octets("icmpv6.reserved", 4)
        c.context.quoted = True
        c.payload("ip.version", 6, None, "an ICMPv6 error quotes the packet that caused it (RFC 4443, 2.4)")
        return
    elif kind in (135, 136):
        c.octets("icmpv6.reserved", 4)
        c.octets("icmpv6.nd.target", 16)
        c.layer.summary += f"  {c.last.text}"
    if c.remaining:
        c.octets("icmpv6.data", c.remaining)


def explain(layer: Layer) -> list[Note]:
    if layer.payloads:
        why = "The quotation lets the sender find the connection that the error is about: addresses and ports stand in it."
        return [Note(layer.payloads[0].span, "the quoted packet", why, "RFC 792; RFC 4443, 2.4")]
    return []


PROTOCOL = Protocol("icmp", "ICMP", 3, FIELDS, dissect, keys={"ip.proto": [1]}, explain=explain, reference="RFC 792")
V6 = Protocol("icmpv6", "ICMPv6", 3, FIELDS6, dissect6, keys={"ip.proto": [58]}, explain=explain, reference="RFC 4443")
