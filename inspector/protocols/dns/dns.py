"""DNS messages (RFC 1035; UPDATE RFC 2136, EDNS RFC 6891), and the same format as multicast DNS (RFC 6762) and LLMNR (RFC
4795) use it; over TCP with a length in front (RFC 1035, 4.2.2). What records carry is read in `records`.

Not here: which response answers which query, validation of DNSSEC.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, string, u8, u16, u32, uint
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.dns import edns, records
from inspector.protocols.dns.domain import MAX_NAME, read_name
from inspector.protocols.dns.names import CLASSES, OPCODES, RCODES, TYPES
from inspector.protocols.dns.notes import explain, explain_multicast

SRV, OPT = 33, 41
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
