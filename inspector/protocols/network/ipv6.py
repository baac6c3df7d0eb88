"""IPv6 (RFC 8200).

Not here: extension headers (`ipv6_extensions.py`).
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ipv6, u8, u16, uint
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.network.addresses import about
from inspector.protocols.network.ip_notes import marks, remaining
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS
from inspector.protocols.network.ipv4 import DSCP
from inspector.protocols.network.ipv6_extensions import HOP_BY_HOP, follow

UNTOUCHED = 255  # the hop limit of what no router has passed on (RFC 4861, 7.1)
ICMPV6 = 58

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


def explain(layer: Layer) -> list[Note]:
    source, destination, length = layer.find("ipv6.src"), layer.find("ipv6.dst"), layer.find("ipv6.plen")
    following, limit = layer.find("ipv6.nxt"), layer.find("ipv6.hlim")
    if source is None or destination is None or length is None or following is None or limit is None:
        return []
    inside = IP_PROTOCOLS.get(following.value, following.text)
    why = f"{length.value:,} bytes of payload behind a header of 40: {inside}. No router cuts it: one whose next link is too"
    why += " small drops it and says so by ICMPv6 (Packet Too Big)."
    notes = [Note(length.span, f"{source.text} → {destination.text}", why, "RFC 8200, 3, 4.5 and 5")]
    said, reference = about({"sender": bytes(source.value), "receiver": bytes(destination.value)})
    if said:
        notes.append(Note(source.span, "whose addresses", said, reference, Rank.DETAIL))
    field = layer.find("ipv6.tclass")
    if field is not None:
        notes += marks(field, layer.value("ipv6.tclass.dscp", 0), layer.value("ipv6.tclass.ecn", 0), DSCP)
    label = layer.find("ipv6.flow")
    if label is not None and label.value:
        why = f"Packets of this flow all carry {label.text}: who spreads load over several paths can keep them on one."
        notes.append(Note(label.span, "flow label", why, "RFC 6437, 2 and 3", Rank.BACKGROUND))
    if limit.value == UNTOUCHED and following.value == ICMPV6:
        why = f"{limit.value}: nobody has forwarded it. Neighbour Discovery believes no packet with less, which keeps out"
        why += " strangers."
        notes.append(Note(limit.span, "hop limit", why, "RFC 4861, 7.1 and 11.2", Rank.DETAIL))
    else:
        notes.append(remaining(limit, "hop limit", "RFC 8200, 3"))
    return notes


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
    explain=explain,
    reference="RFC 8200",
    card=CARD,
)
