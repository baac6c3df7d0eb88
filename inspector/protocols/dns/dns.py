"""DNS messages (RFC 1035; UPDATE RFC 2136, EDNS RFC 6891), and the same format as multicast DNS (RFC 6762) and LLMNR (RFC
4795) use it; over TCP with a length in front (RFC 1035, 4.2.2). What records carry is read in `records`.

Not here: which response answers which query, validation of DNSSEC.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, string, u8, u16, u32, uint
from inspector.core.layer import Layer, Note
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.dns import edns, records
from inspector.protocols.dns.domain import MAX_NAME, read_name
from inspector.protocols.dns.names import CLASSES, OPCODES, RCODES, TYPES

CNAME, SRV, OPT = 5, 33, 41
UPDATE = 5  # the opcode under which the four sections have other names (RFC 2136, 2.2)
SECTIONS = ("queries", "answers", "auth_rr", "add_rr")
UPDATE_SECTIONS = ("zones", "prerequisites", "updates", "add_rr")

FIELDS = (
    records.FIELDS
    | edns.FIELDS
    | catalog(
        u16("dns.length", "Length"),
        u16("dns.id", "Transaction id", Base.HEX),
        uint("dns.flags", "Flags", 16, Base.HEX),
        flag("dns.flags.response", "Response"),
        uint("dns.flags.opcode", "Opcode", 4, values=OPCODES),
        flag("dns.flags.authoritative", "Authoritative"),
        flag("dns.flags.truncated", "Truncated"),
        flag("dns.flags.recdesired", "Recursion desired"),
        flag("dns.flags.recavail", "Recursion available"),
        flag("dns.flags.z", "Reserved"),
        flag("dns.flags.authenticated", "Answer authenticated"),
        flag("dns.flags.checkdisable", "Checking disabled"),
        flag("dns.flags.conflict", "Name is not unique"),
        flag("dns.flags.tentative", "Tentative"),
        uint("dns.flags.rcode", "Reply code", 4, values=RCODES),
        u16("dns.count.queries", "Questions"),
        u16("dns.count.answers", "Answers"),
        u16("dns.count.auth_rr", "Authority records"),
        u16("dns.count.add_rr", "Additional records"),
        u16("dns.count.zones", "Zones"),
        u16("dns.count.prerequisites", "Prerequisites"),
        u16("dns.count.updates", "Updates"),
        heading("dns.queries", "Question"),
        heading("dns.answers", "Answer"),
        heading("dns.authorities", "Authority record"),
        heading("dns.additionals", "Additional record"),
        string("dns.qry.name", "Name"),
        u16("dns.qry.type", "Type", values=TYPES),
        u16("dns.qry.class", "Class", Base.HEX, CLASSES),
        flag("dns.qry.qu", "Unicast answer wanted"),
        string("dns.resp.name", "Name"),
        u16("dns.resp.type", "Type", values=TYPES),
        u16("dns.resp.class", "Class", Base.HEX, CLASSES),
        flag("dns.resp.cache_flush", "Cache flush"),
        u32("dns.resp.ttl", "Time to live"),
        u16("dns.resp.len", "Data length"),
        string("dns.srv.name", "Name"),
        u16("dns.rr.udp_payload_size", "UDP payload size"),
        u8("dns.resp.ext_rcode", "Higher bits of the reply code", Base.HEX),
        u8("dns.resp.edns0_version", "EDNS version"),
        u16("dns.resp.z", "Flags", Base.HEX),
        flag("dns.resp.z.do", "DNSSEC answers accepted"),
        uint("dns.resp.z.reserved", "Reserved", 15, Base.HEX),
        octets("dns.unread", "Bytes behind the last record"),
    )
)


def dissect(c: Cursor) -> None:
    if c.context.info.get("kind") == "tcp":
        c.uint("dns.length", 2)
    _message(c, c.pos)


def dissect_multicast(c: Cursor) -> None:
    _message(c, c.pos, multicast=True)


def dissect_llmnr(c: Cursor) -> None:
    if c.context.info.get("kind") == "tcp":
        c.uint("dns.length", 2)
    _message(c, c.pos, llmnr=True)


Bits = tuple[tuple[str | None, int], ...]


def _flags(response: bool, llmnr: bool) -> Bits:
    """The second word of the header (RFC 1035, 4.1.1; LLMNR's RFC 4795, 2.1.1); in a question some bits mean nothing."""
    if llmnr:
        return (
            ("dns.flags.response", 1),
            ("dns.flags.opcode", 4),
            ("dns.flags.conflict", 1),
            ("dns.flags.truncated", 1),
            ("dns.flags.tentative", 1),
            (None, 4),
            ("dns.flags.rcode" if response else None, 4),
        )
    return (
        ("dns.flags.response", 1),
        ("dns.flags.opcode", 4),
        ("dns.flags.authoritative" if response else None, 1),
        ("dns.flags.truncated", 1),
        ("dns.flags.recdesired", 1),
        ("dns.flags.recavail" if response else None, 1),
        ("dns.flags.z", 1),
        ("dns.flags.authenticated", 1),
        ("dns.flags.checkdisable", 1),
        ("dns.flags.rcode" if response else None, 4),
    )


def _message(c: Cursor, base: int, multicast: bool = False, llmnr: bool = False) -> None:
    c.uint("dns.id", 2)
    response = bool(c.peek_uint(2) & 0x8000)
    flags = c.flags("dns.flags", 2, *_flags(response, llmnr))
    opcode, rcode = flags >> 11 & 15, flags & 15 if response else 0
    sections = UPDATE_SECTIONS if opcode == UPDATE else SECTIONS
    counts = [c.uint(f"dns.count.{name}", 2) for name in sections]
    word = ("Response" if response else "Query") if opcode == 0 else OPCODES.get(opcode, f"Opcode {opcode}")
    failed = f"  {RCODES.get(rcode, rcode)}" if rcode else ""
    c.layer.summary = word + failed
    asked: list[str] = []
    for _ in range(counts[0]):
        with c.group("dns.queries") as question:
            name = read_name(c, "dns.qry.name", base)
            kind = c.uint("dns.qry.type", 2)
            if multicast:
                c.bits(2, ("dns.qry.qu", 1), ("dns.qry.class", 15))
            else:
                c.uint("dns.qry.class", 2)
            question.text = f"{TYPES.get(kind, kind)} {name}"
            asked.append(f"{TYPES.get(kind, kind)} {name}")
            c.layer.summary = f"{word}  {', '.join(asked[:3])}{failed}"
    answers: list[str] = []
    for group, count in zip(("dns.answers", "dns.authorities", "dns.additionals"), counts[1:], strict=True):
        for _ in range(count):
            with c.group(group) as record:
                text = _record(c, base, multicast)
                record.text = text
                if group == "dns.answers":
                    answers.append(text.partition(" → ")[2])
                    more = f", … {count} in all" if count > 4 else ""
                    c.layer.summary = f"{word}  {', '.join(asked[:3])} → {', '.join(answers[:4])}{more}"
    if c.remaining:
        c.octets("dns.unread", c.remaining)


def _record(c: Cursor, base: int, multicast: bool) -> str:
    start = c.pos
    name = read_name(c, "dns.resp.name", base)
    kind = c.uint("dns.resp.type", 2)
    if kind == SRV:  # Wireshark has a name of its own for it: service, protocol and domain in one (RFC 2782)
        c.field_at(start).spec = c.spec("dns.srv.name")
    if kind == OPT:
        size = c.uint("dns.rr.udp_payload_size", 2)
        c.uint("dns.resp.ext_rcode", 1)
        c.uint("dns.resp.edns0_version", 1)
        c.flags("dns.resp.z", 2, ("dns.resp.z.do", 1), ("dns.resp.z.reserved", 15))
        with c.within(c.uint("dns.resp.len", 2)):
            edns.options(c)
        return f"OPT → EDNS, up to {size:,} bytes over UDP"
    if multicast:
        c.bits(2, ("dns.resp.cache_flush", 1), ("dns.resp.class", 15))
    else:
        c.uint("dns.resp.class", 2)
    c.uint("dns.resp.ttl", 4)
    with c.within(c.uint("dns.resp.len", 2)):
        text = records.record_data(c, kind, base) if c.remaining else ""
    return f"{TYPES.get(kind, kind)} {name} → {text}"


MAX_RECORDS = 100  # of a section, in a datagram that is taken for DNS by its content alone


def guess(prefix: bytes) -> bool:
    """A datagram on a port that nobody claims: one question, whose name, type and class can be, and a header that fits it."""
    if len(prefix) < 17:
        return False
    flags, questions, answers, authority, additional = (int.from_bytes(prefix[at : at + 2], "big") for at in range(2, 12, 2))
    if questions != 1 or flags >> 11 & 15 not in OPCODES or flags & 0x40 or max(answers, authority, additional) > MAX_RECORDS:
        return False
    if not flags & 0x8000 and (answers or flags & 15):
        return False
    at, size = 12, 0
    while at < len(prefix) and prefix[at]:
        label = prefix[at + 1 : at + 1 + prefix[at]]
        if prefix[at] > 63 or len(label) < prefix[at] or not all(0x20 < octet < 0x7F for octet in label):
            return False
        at, size = at + 1 + len(label), size + 1
    kind, domain = (int.from_bytes(prefix[at + low : at + low + 2], "big") for low in (1, 3))
    return size > 0 and at + 5 <= len(prefix) and kind in TYPES and domain in CLASSES


class DnsOverTcp(StreamParser):
    """Messages with their length in front (RFC 1035, 4.2.2)."""

    protocol = "dns"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and not (yield from self._find_start(reader)):
            return
        while (yield from reader.some()):
            start = reader.pos
            try:
                length = int.from_bytes((yield from reader.read(2)), "big")
                yield from reader.skip(length)
            except Ended:
                self.node.emit("tcp", reader, start, reader.arrived, complete=False)
                reader.pos = reader.arrived
                return
            self.node.emit("tcp", reader, start, reader.pos)

    @staticmethod
    def _find_start(reader: Reader) -> Steps[bool]:
        """After a gap: the next segment that begins with a length and a message that can be one."""
        while True:
            try:
                if not (yield from reader.some()):
                    return False
            except Gap:
                continue
            if guess(reader.peek_now(2 + MAX_NAME + 16)[2:]):
                return True
            reader.pos = min(reader.segment_start(reader.pos + 1), reader.arrived)


class LlmnrOverTcp(DnsOverTcp):
    """The same for LLMNR (RFC 4795, 2.4)."""

    protocol = "llmnr"


def explain(layer: Layer) -> list[Note]:
    response, identifier = layer.find("dns.flags.response"), layer.find("dns.id")
    if response is None or identifier is None:
        return []
    notes = []
    query = layer.value("dns.flags.opcode", 0) == 0
    if response.value:
        why = f"The id {identifier.value:#06x} is that of the question, which is how the client knows what is answered."
        notes.append(Note(identifier.span, "answer", why, "RFC 1035, 4.1.1"))
    elif query and (name := layer.find("dns.qry.name")) is not None:
        kind = layer.value("dns.qry.type")
        why = f"The records of type {TYPES.get(kind, kind)} of this name are wanted. DNS keeps no state between questions."
        notes.append(Note(name.span, f"question for {name.text}", why, "RFC 1035, 4.1.2"))
    truncated = layer.find("dns.flags.truncated")
    if truncated is not None and truncated.value:
        why = "The message did not fit into a datagram and was cut; the client is to ask again over TCP."
        notes.append(Note(truncated.span, "truncated", why, "RFC 1035, 4.2.1; RFC 2181, 9"))
    rcode = layer.find("dns.flags.rcode")
    if query and rcode is not None and rcode.value == 3:
        what = "The name at the end of the aliases" if layer.find("dns.cname") is not None else "The name"
        why = f"{what} does not exist, whatever the type. Caches may remember that for as long as the SOA record says."
        notes.append(Note(rcode.span, "no such name", why, "RFC 2308, 2.1 and 5"))
    alias = layer.find("dns.cname")
    if alias is not None and layer.value("dns.qry.type") != CNAME:
        why = f"The name asked for is an alias of {alias.text}; the answer goes on with the records of that name."
        notes.append(Note(alias.span, "alias", why, "RFC 1034, 3.6.2"))
    answers = [field for group in layer.fields if group.name == "dns.answers" for field in group.walk()]
    times = [field for field in answers if field.name == "dns.resp.ttl"]
    if times:
        shortest = min(times, key=lambda field: field.value)
        why = f"Whoever remembers this answer may use it for {shortest.value:,} seconds, then must ask again."
        if not shortest.value:
            why = "0 seconds: the answer is for who asked, now; nobody is to remember it."
        notes.append(Note(shortest.span, "time to live", why, "RFC 1035, 3.2.1"))
    size = layer.find("dns.rr.udp_payload_size")
    if size is not None:
        why = f"The sender can take {size.value:,} bytes in a datagram; without this record it is 512."
        notes.append(Note(size.span, "EDNS", why, "RFC 6891, 6.2.3; RFC 1035, 2.3.4"))
    return notes


def explain_multicast(layer: Layer) -> list[Note]:
    """Multicast DNS has no use for the id, and its messages announce and withdraw as well as they answer (RFC 6762)."""
    response, identifier = layer.find("dns.flags.response"), layer.find("dns.id")
    if response is None or identifier is None:
        return []
    notes = []
    if response.value:
        why = "It answers a question, or announces unasked; everybody on the link may remember it. The id means nothing here."
        notes.append(Note(response.span, "to everybody", why, "RFC 6762, 6, 8.3 and 18.1"))
    elif (name := layer.find("dns.qry.name")) is not None:
        kind = layer.value("dns.qry.type")
        why = f"Everybody on the link is asked for the records of type {TYPES.get(kind, kind)} of this name."
        notes.append(Note(name.span, f"question for {name.text}", why, "RFC 6762, 5"))
    truncated = layer.find("dns.flags.truncated")
    if truncated is not None and truncated.value and not response.value:
        why = "More answers that the asker knows already follow in another message: whoever would answer waits for them."
        notes.append(Note(truncated.span, "truncated", why, "RFC 6762, 7.2"))
    gone = next((field for field in layer.walk() if field.name == "dns.resp.ttl" and field.value == 0), None)
    if gone is not None and response.value:
        notes.append(Note(gone.span, "goodbye", "A time to live of 0 takes the record back.", "RFC 6762, 10.1"))
    return notes


CARD = Card(
    "binary: a header of twelve octets, questions and records; names in labels, compressed by pointers",
    "messages, one a datagram; over TCP with a length in front",
    "the name asked for; the server by its address and port 53",
    "request and response; multicast DNS also announces unasked",
    "none between messages; answers are remembered in caches for their time to live",
    "the resolver asks from the root downwards on the client's behalf",
    "none of its own; clients ask again after a time-out",
    "the transaction id; reply codes; UDP's checksum; truncation falls back to TCP",
)
PROTOCOL = Protocol(
    "dns", "DNS", 7, FIELDS, dissect,
    keys={"udp.port": [53], "tcp.port": [53, 5353], "media_type": ["application/dns-message"]},  # over HTTPS: RFC 8484
    guess=guess, parser=DnsOverTcp, explain=explain, card=CARD, reference="RFC 1035",
)  # fmt: skip
MDNS = Protocol(
    "mdns", "Multicast DNS", 7, FIELDS, dissect_multicast, keys={"udp.port": [5353]}, explain=explain_multicast,
    reference="RFC 6762",
)
LLMNR = Protocol(
    "llmnr", "LLMNR", 7, FIELDS, dissect_llmnr, keys={"udp.port": [5355], "tcp.port": [5355]}, parser=LlmnrOverTcp,
    explain=explain, reference="RFC 4795",
)  # fmt: skip
