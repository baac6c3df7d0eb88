"""UDP (RFC 768)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, u16
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.transport.ports import verify

HEADER = 8

FIELDS = catalog(
    u16("udp.srcport", "Source port"),
    u16("udp.dstport", "Destination port"),
    u16("udp.length", "Length"),
    u16("udp.checksum", "Checksum", Base.HEX),
    u16("udp.stream", "Stream number"),
)


def dissect(c: Cursor) -> None:
    source = c.uint("udp.srcport", 2)
    destination = c.uint("udp.dstport", 2)
    c.layer.summary = f"{source} → {destination}"
    length = c.uint("udp.length", 2)
    available = c.remaining + 2 + c.context.cut
    if length == 0 and available > HEADER:  # a jumbogram or an offloading sender (RFC 2675, 4)
        size = c.remaining - 2
    elif length < HEADER:
        c.issue("length", f"a length of {length} is shorter than the header of {HEADER} bytes", Severity.ERROR)
        size = 0
    else:
        if length > c.remaining + 6 + c.context.cut and not c.context.quoted:
            c.issue("length", "the header promises more bytes than the IP packet holds", Severity.ERROR)
        size = length - HEADER
    checksum = c.uint("udp.checksum", 2)
    if checksum and length:  # zero: the sender made none (RFC 768)
        verify(c, 17, length, c.layer.fields[-1], "RFC 768")
    c.context.cut = max(size - c.remaining, 0)
    c.context.ports = (source, destination)
    c.layer.summary = f"{source} → {destination}, {size:,} bytes"
    c.payload("udp.port", (source, destination), size)


CARD = Card(
    "binary: a header of eight octets, then the payload",
    "datagrams: one write is one read, or nothing",
    "a port at each end",
    "one way; an answer is a datagram of its own",
    "none",
    "that of IP; NAT keeps a mapping for a while",
    "none: the application must have it",
    "a checksum; nothing is sent again, and order is not kept",
)
PROTOCOL = Protocol("udp", "UDP", 4, FIELDS, dissect, keys={"ip.proto": [17]}, reference="RFC 768", card=CARD)
