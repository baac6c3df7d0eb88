"""UDP (RFC 768)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, u16
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.transport.ports import verify

HEADER = 8
SYSTEM = 1024  # ports below it are the system's (RFC 6335, 6)

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


def explain(layer: Layer) -> list[Note]:
    source, destination = layer.find("udp.srcport"), layer.find("udp.dstport")
    length, checksum = layer.find("udp.length"), layer.find("udp.checksum")
    if source is None or destination is None or length is None:
        return []
    service, own = sorted((source.value, destination.value))
    if service == own:
        why = f"Port {own:,} at both ends: programs that speak as equals, or to a group."
    elif service < SYSTEM <= own:
        to = "It goes to" if destination.value == service else "It comes from"
        why = f"{to} port {service:,}, which the service is known by; {own:,} is the port that the client's system chose, so"
        why += " that answers find back."
    else:
        why = f"From port {source.value:,} to port {destination.value:,}."
    why += " No handshake comes before it, and nobody acknowledges it: what is lost, the application must ask for again."
    notes = [Note(destination.span, "a datagram that stands alone", why, "RFC 768; RFC 6335, 6; RFC 8085, 3.3")]
    size = length.value - HEADER
    if size >= 0:
        why = f"{length.value:,} bytes: {HEADER} of header, {size:,} of data. One datagram is one message, whole or not at all."
        notes.append(Note(length.span, "length", why, "RFC 768", Rank.DETAIL))
    if checksum is not None and not checksum.value:
        why = f"{checksum.text}: the sender made none, which IPv4 allows, and IPv6 for some tunnels only: damage goes"
        why += " unnoticed."
        notes.append(Note(checksum.span, "no checksum", why, "RFC 768; RFC 8200, 8.1; RFC 6936, 5", Rank.DETAIL))
    elif checksum is not None and any(issue.code == "checksum-offloaded" for issue in layer.issues):
        why = f"{checksum.text} is no checksum yet, only the sum of the pseudo-header (addresses, protocol, length): the rest"
        why += " was left to the network card."
        notes.append(Note(checksum.span, "checksum", why, "RFC 768", Rank.BACKGROUND))
    elif checksum is not None:
        why = f"{checksum.text} covers the addresses too (a pseudo-header): a datagram that went astray is dropped, and"
        why += " nobody told."
        notes.append(Note(checksum.span, "checksum", why, "RFC 768; RFC 1122, 4.1.3.4", Rank.BACKGROUND))
    return notes


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
PROTOCOL = Protocol(
    "udp", "UDP", 4, FIELDS, dissect, keys={"ip.proto": [17]}, explain=explain, reference="RFC 768", card=CARD
)
