"""IPv4 (RFC 791), with the differentiated services field of RFC 2474 and ECN of RFC 3168.

Not here: putting fragments together (dissection).
"""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum
from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, cell, flag, heading, ipv4, u8, u16, uint
from inspector.core.layer import Layer, Note, Rank, Severity
from inspector.core.protocol import Card, Protocol
from inspector.protocols.network import ip_options
from inspector.protocols.network.addresses import about
from inspector.protocols.network.ip_notes import marks, remaining
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS

DSCP = {0: "CS0", 1: "LE", 8: "CS1", 10: "AF11", 12: "AF12", 14: "AF13", 16: "CS2", 18: "AF21", 20: "AF22", 22: "AF23",
        24: "CS3", 26: "AF31", 28: "AF32", 30: "AF33", 32: "CS4", 34: "AF41", 36: "AF42", 38: "AF43", 40: "CS5",
        44: "VOICE-ADMIT", 46: "EF", 48: "CS6", 56: "CS7"}  # fmt: skip
ECN = {0: "Not-ECT", 1: "ECT(1)", 2: "ECT(0)", 3: "CE"}

FIELDS = catalog(
    uint("ip.version", "Version", 4),
    FieldSpec("ip.hdr_len", Kind.UINT, "Header length", 4, scale=4, unit="bytes"),
    u8("ip.dsfield", "Differentiated services", Base.HEX),
    uint("ip.dsfield.dscp", "DSCP", 6, values=DSCP),
    uint("ip.dsfield.ecn", "ECN", 2, values=ECN),
    u16("ip.len", "Total length"),
    u16("ip.id", "Identification", Base.HEX),
    uint("ip.flags", "Flags", 3, Base.HEX),
    flag("ip.flags.rb", "Reserved bit"),
    flag("ip.flags.df", "Don't fragment"),
    flag("ip.flags.mf", "More fragments"),
    uint("ip.frag_offset", "Fragment offset in units of 8 bytes", 13),
    u8("ip.ttl", "Time to live"),
    u8("ip.proto", "Protocol", values=IP_PROTOCOLS),
    u16("ip.checksum", "Header checksum", Base.HEX),
    ipv4("ip.src", "Source"),
    ipv4("ip.dst", "Destination"),
    heading("ip.options", "Options"),
) | ip_options.FIELDS


def dissect(c: Cursor) -> None:
    start = c.start
    version = c.peek_uint(1) >> 4
    if version != 4:
        c.add("ip.version", version, start, start + 1, bits=(0, 4))
        c.issue("version", f"the version says {version}, not 4", Severity.ERROR)
        c.payload("ip.version", 6 if version == 6 else None, None, f"the version says {version}")
        return
    _, header = c.bits(1, ("ip.version", 4), ("ip.hdr_len", 4))
    if header < 20:
        c.issue("header-length", f"a header of {header} bytes is shorter than 20 (RFC 791, 3.1)", Severity.ERROR)
    c.flags("ip.dsfield", 1, ("ip.dsfield.dscp", 6), ("ip.dsfield.ecn", 2))
    total = c.uint("ip.len", 2)
    identification = c.uint("ip.id", 2)
    _, offset = c.bits(2, ("ip.flags", 3, (("ip.flags.rb", 1), ("ip.flags.df", 1), ("ip.flags.mf", 1))), ("ip.frag_offset", 13))
    offset *= 8
    more = bool(c.slice(start + 6, start + 7)[0] & 0x20)
    c.uint("ip.ttl", 1)
    protocol = c.uint("ip.proto", 1)
    checksum = c.uint("ip.checksum", 2)
    checksum_field = c.layer.fields[-1]
    source, destination = c.octets("ip.src", 4), c.octets("ip.dst", 4)
    c.context.source, c.context.destination = source, destination
    c.layer.summary = f"{cell(c.spec('ip.src'), source)} → {cell(c.spec('ip.dst'), destination)}"
    if header < 20:
        return
    if header > 20:
        final = None
        with c.within(header - 20), c.group("ip.options"):
            final = ip_options.read(c)
        if final is not None:  # the header names the next hop only; transports count the real destination (RFC 1122, 3.2.1.8)
            at = c.field_at(start + 16)
            at.spec = c.spec("ip.cur_rt")
            c.context.destination = final
    if not c.context.quoted and ones_complement_sum(c.slice(start, start + header)) != 0xFFFF:
        if checksum:
            text = "the header checksum does not match its header (RFC 791, 3.1)"
            c.issue("checksum", text, Severity.ERROR, checksum_field.span)
        else:
            text = "the header checksum was left to the network card (offloading): captured before it was filled in, no error"
            c.issue("checksum-offloaded", text, Severity.NOTE, checksum_field.span)
    if total == 0 and c.remaining:  # left to the network card, which cuts one big packet into many
        c.issue("offloaded", "a total length of 0: captured before the network card cut this packet up", Severity.NOTE)
        claimed = size = c.remaining
    elif total < header:
        c.issue("length", f"a total length of {total} is shorter than the header", Severity.ERROR)
        return
    else:
        claimed = size = total - header
        there = c.remaining + c.context.cut
        if size > there and not c.context.quoted:  # what was on the wire counts
            c.issue("length", f"the header promises {size - there:,} bytes more than there are", Severity.ERROR)
            size = there
    whole = claimed <= c.remaining
    c.context.cut = max(size - c.remaining, 0)
    if (more or offset) and not whole:  # a piece that is not whole completes nothing; the first shows what it begins with
        c.layer.summary += f", fragment at {offset:,}, cut short"
        if offset:
            c.payload("ip.fragment", "cut", size, "a fragment that does not begin its datagram, and is not whole")
            return
    elif more or offset:
        c.context.fragment = (source, destination, protocol, identification, offset, more)
        c.layer.summary += f", fragment at {offset:,}" + (" with more to come" if more else ", the last")
    table = "ip.proto"
    c.payload(table, protocol, size, f"the header's protocol field says {IP_PROTOCOLS.get(protocol, 'number')} ({protocol})")


def explain(layer: Layer) -> list[Note]:
    source, destination, total = layer.find("ip.src"), layer.find("ip.dst"), layer.find("ip.len")
    if source is None or destination is None or total is None:
        return []
    header, protocol = int(layer.value("ip.hdr_len", 20)), layer.find("ip.proto")
    inside = IP_PROTOCOLS.get(protocol.value, protocol.text) if protocol is not None else "payload"
    why = f"{total.value:,} bytes: {header} of header, {max(total.value - header, 0):,} of {inside}."
    if not total.value:
        why = f"The length is left to the network card: a header of {header} bytes, then {inside}."
    notes = [Note(total.span, f"{source.text} → {destination.text}", why, "RFC 791, 3.1")]
    said, reference = about({"sender": bytes(source.value), "receiver": bytes(destination.value)})
    if said:
        notes.append(Note(source.span, "whose addresses", said, reference, Rank.DETAIL))
    notes += _fragment(layer)
    field = layer.find("ip.dsfield")
    if field is not None:
        notes += marks(field, layer.value("ip.dsfield.dscp", 0), layer.value("ip.dsfield.ecn", 0), DSCP)
    ttl = layer.find("ip.ttl")
    if ttl is not None:
        notes.append(remaining(ttl, "time to live", "RFC 791, 3.1; RFC 1812, 5.3.1"))
    return notes


def _fragment(layer: Layer) -> list[Note]:
    """Whether routers may cut the datagram, or have done so."""
    identification, offset, total = layer.find("ip.id"), layer.find("ip.frag_offset"), layer.find("ip.len")
    if identification is None or offset is None or total is None:
        return []
    more, whole = bool(layer.value("ip.flags.mf")), bool(layer.value("ip.flags.df"))
    if more or offset.value:
        first = offset.value * 8
        last = first + max(total.value - int(layer.value("ip.hdr_len", 20)), 1) - 1
        end = "more follow" if more else "the last piece"
        why = f"Bytes {first:,} to {last:,} of datagram {identification.text}; {end}. One lost piece is the whole datagram"
        why += " lost."
        if first:
            why += " The ports stand in the first piece only: filters and balancers that need them cannot place this one."
        return [Note(offset.span, "fragment", why, "RFC 791, 2.3 and 3.2; RFC 8900, 3")]
    if whole:
        why = "Nobody may cut it: a router whose next link is too small drops it and says so by ICMP, and the sender learns the"
        why += f" path's MTU. The identification {identification.text} is for fragments, so here it means nothing."
        return [Note(offset.span, "don't fragment", why, "RFC 1191, 3; RFC 6864, 4.1", Rank.BACKGROUND)]
    why = f"A router may cut it for a smaller link; the pieces would find together by the identification {identification.text}."
    return [Note(identification.span, "may be cut", why, "RFC 791, 2.3", Rank.BACKGROUND)]


CARD = Card(
    "binary: a header of 20 to 60 octets, then the payload",
    "datagrams of up to 65,535 octets, each on its own; they may be cut into fragments",
    "32-bit addresses of interfaces; groups by multicast, a link by broadcast",
    "one way; an answer is a datagram of its own",
    "none: every datagram carries all that routers need",
    "routers, hop by hop, by the longest prefix of the destination",
    "none; ECN lets routers mark instead of drop",
    "a checksum over the header alone; the rest is told by ICMP, or not at all",
)
PROTOCOL = Protocol(
    "ip",
    "IPv4",
    3,
    FIELDS,
    dissect,
    keys={"ethertype": [0x0800], "ip.proto": [4], "ip.version": [4]},
    explain=explain,
    reference="RFC 791",
    card=CARD,
)
