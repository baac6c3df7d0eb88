"""DNS messages (RFC 1035; AAAA RFC 3596, SRV RFC 2782, EDNS RFC 6891, SVCB and HTTPS RFC 9460, CAA RFC 8659), and the same
format as multicast DNS (RFC 6762) and LLMNR (RFC 4795) use it; over TCP with a length in front (RFC 1035, 4.2.2).

Not here: which response answers which query, validation of DNSSEC.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor, Truncated
from inspector.core.field import Base, catalog, flag, heading, ipv4, ipv6, octets, string, u8, u16, u32, uint
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Reader, Steps, StreamParser
from inspector.protocols.dns.names import CLASSES, EDNS_OPTIONS, OPCODES, RCODES, SVC_KEYS, TYPES

MAX_NAME = 255  # octets of a name on the wire (RFC 1035, 3.1)
MAX_JUMPS = 127  # compression pointers in one name: each label needs two octets at least
A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME, OPT, SVCB, HTTPS, SPF, CAA = (
    1,
    2,
    5,
    6,
    12,
    15,
    16,
    28,
    33,
    39,
    41,
    64,
    65,
    99,
    257,
)
NAMES = {NS: "dns.ns", CNAME: "dns.cname", PTR: "dns.ptr.domain_name", DNAME: "dns.dname"}

FIELDS = catalog(
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
    ipv4("dns.a", "Address"),
    ipv6("dns.aaaa", "Address"),
    string("dns.ns", "Name server"),
    string("dns.cname", "Canonical name"),
    string("dns.ptr.domain_name", "Domain name"),
    string("dns.dname", "Target"),
    u16("dns.mx.preference", "Preference"),
    string("dns.mx.mail_exchange", "Mail exchange"),
    u8("dns.txt.length", "Text length"),
    string("dns.txt", "Text"),
    string("dns.soa.mname", "Primary name server"),
    string("dns.soa.rname", "Responsible mailbox"),
    u32("dns.soa.serial_number", "Serial number"),
    u32("dns.soa.refresh_interval", "Refresh"),
    u32("dns.soa.retry_interval", "Retry"),
    u32("dns.soa.expire_limit", "Expire"),
    u32("dns.soa.minimum_ttl", "Minimum TTL"),
    string("dns.srv.name", "Name"),
    u16("dns.srv.priority", "Priority"),
    u16("dns.srv.weight", "Weight"),
    u16("dns.srv.port", "Port"),
    string("dns.srv.target", "Target"),
    u16("dns.svcb.priority", "Priority"),
    string("dns.svcb.target", "Target"),
    heading("dns.svcb.svcparam", "Parameter"),
    u16("dns.svcb.svcparam.key", "Key", values=SVC_KEYS),
    u16("dns.svcb.svcparam.value.length", "Length"),
    octets("dns.svcb.svcparam.value", "Value"),
    u8("dns.svcb.svcparam.alpn.length", "ALPN length"),
    string("dns.svcb.svcparam.alpn", "ALPN"),
    u16("dns.svcb.svcparam.port", "Port"),
    ipv4("dns.svcb.svcparam.ipv4hint.ip", "IPv4 hint"),
    ipv6("dns.svcb.svcparam.ipv6hint.ip", "IPv6 hint"),
    u8("dns.caa.flags", "Flags", Base.HEX),
    u8("dns.caa.tag_length", "Tag length"),
    string("dns.caa.tag", "Tag"),
    string("dns.caa.value", "Value"),
    u16("dns.rr.udp_payload_size", "UDP payload size"),
    u8("dns.resp.ext_rcode", "Higher bits of the reply code", Base.HEX),
    u8("dns.resp.edns0_version", "EDNS version"),
    u16("dns.resp.z", "Flags", Base.HEX),
    flag("dns.resp.z.do", "DNSSEC answers accepted"),
    uint("dns.resp.z.reserved", "Reserved", 15, Base.HEX),
    heading("dns.opt", "Option"),
    u16("dns.opt.code", "Code", values=EDNS_OPTIONS),
    u16("dns.opt.len", "Length"),
    octets("dns.opt.data", "Data"),
    octets("dns.rdata", "Data"),
    octets("dns.unread", "Bytes behind the last record"),
)


def dissect(c: Cursor) -> None:
    if c.context.info.get("kind") == "tcp":
        c.uint("dns.length", 2)
    _message(c, c.pos, multicast=False)


def dissect_multicast(c: Cursor) -> None:
    _message(c, c.pos, multicast=True)


def _message(c: Cursor, base: int, multicast: bool) -> None:
    c.uint("dns.id", 2)
    answers_only = bool(c.peek_uint(2) & 0x8000)  # in a question these bits mean nothing
    bits: tuple[tuple[str | None, int], ...] = (
        ("dns.flags.response", 1),
        ("dns.flags.opcode", 4),
        ("dns.flags.authoritative" if answers_only else None, 1),
        ("dns.flags.truncated", 1),
        ("dns.flags.recdesired", 1),
        ("dns.flags.recavail" if answers_only else None, 1),
        ("dns.flags.z", 1),
        ("dns.flags.authenticated", 1),
        ("dns.flags.checkdisable", 1),
        ("dns.flags.rcode" if answers_only else None, 4),
    )
    flags = c.flags("dns.flags", 2, *bits)
    response, rcode = bool(flags & 0x8000), flags & 15
    counts = [c.uint(f"dns.count.{name}", 2) for name in ("queries", "answers", "auth_rr", "add_rr")]
    word = "Response" if response else "Query"
    c.layer.summary = f"{word} {RCODES.get(rcode, rcode) if rcode else ''}".strip()
    asked: list[str] = []
    for _ in range(counts[0]):
        with c.group("dns.queries") as question:
            name = _name(c, "dns.qry.name", base)
            kind = c.uint("dns.qry.type", 2)
            if multicast:
                c.bits(2, ("dns.qry.qu", 1), ("dns.qry.class", 15))
            else:
                c.uint("dns.qry.class", 2)
            question.text = f"{TYPES.get(kind, kind)} {name}"
            asked.append(str(question.text))
            c.layer.summary = f"{word}  {', '.join(asked[:3])}" + (f"  {RCODES.get(rcode, rcode)}" if rcode else "")
    answers: list[str] = []
    for group, count in zip(("dns.answers", "dns.authorities", "dns.additionals"), counts[1:], strict=True):
        for _ in range(count):
            with c.group(group) as record:
                record.text = _record(c, base, multicast)
                if group == "dns.answers":
                    answers.append(record.text.partition(" → ")[2])
                    if len(answers) == 4:
                        answers[3] = f"… {count} in all" if count > 4 else answers[3]
                    if len(answers) <= 4:
                        c.layer.summary = f"{word}  {', '.join(asked[:3])} → {', '.join(answers)}"
    if c.remaining:
        c.octets("dns.unread", c.remaining)


def _record(c: Cursor, base: int, multicast: bool) -> str:
    start = c.pos
    name = _name(c, "dns.resp.name", base)
    kind = c.uint("dns.resp.type", 2)
    if kind == SRV:  # Wireshark has a name of its own for it: service, protocol and domain in one (RFC 2782)
        owner = c.field_at(start)
        owner.spec = c.spec("dns.srv.name")
    if kind == OPT:
        size = c.uint("dns.rr.udp_payload_size", 2)
        c.uint("dns.resp.ext_rcode", 1)
        c.uint("dns.resp.edns0_version", 1)
        c.flags("dns.resp.z", 2, ("dns.resp.z.do", 1), ("dns.resp.z.reserved", 15))
        with c.within(c.uint("dns.resp.len", 2)):
            while c.remaining:
                with c.group("dns.opt"):
                    c.uint("dns.opt.code", 2)
                    length = c.uint("dns.opt.len", 2)
                    if length:
                        c.octets("dns.opt.data", length)
        return f"OPT → EDNS, up to {size:,} bytes over UDP"
    if multicast:
        c.bits(2, ("dns.resp.cache_flush", 1), ("dns.resp.class", 15))
    else:
        c.uint("dns.resp.class", 2)
    c.uint("dns.resp.ttl", 4)
    length = c.uint("dns.resp.len", 2)
    with c.within(length):
        text = _data(c, kind, base) if length else ""
        if c.remaining:
            c.octets("dns.rdata", c.remaining)
    return f"{TYPES.get(kind, kind)} {name} → {text}"


def _data(c: Cursor, kind: int, base: int) -> str:
    if kind == A and c.remaining == 4:
        c.octets("dns.a", 4)
        return _last(c)
    if kind == AAAA and c.remaining == 16:
        c.octets("dns.aaaa", 16)
        return _last(c)
    if kind in NAMES:
        return _name(c, NAMES[kind], base)
    if kind == MX:
        preference = c.uint("dns.mx.preference", 2)
        return f"{preference} {_name(c, 'dns.mx.mail_exchange', base)}"
    if kind in (TXT, SPF):
        texts = []
        while c.remaining:
            texts.append(c.string("dns.txt", c.uint("dns.txt.length", 1)))
        return " ".join(f"“{text}”" for text in texts)
    if kind == SOA:
        primary = _name(c, "dns.soa.mname", base)
        _name(c, "dns.soa.rname", base)
        for name in ("serial_number", "refresh_interval", "retry_interval", "expire_limit", "minimum_ttl"):
            c.uint(f"dns.soa.{name}", 4)
        return primary
    if kind == SRV:
        for name in ("priority", "weight"):
            c.uint(f"dns.srv.{name}", 2)
        port = c.uint("dns.srv.port", 2)
        return f"{_name(c, 'dns.srv.target', base)}:{port}"
    if kind in (SVCB, HTTPS):
        return _service(c, base)
    if kind == CAA:
        c.uint("dns.caa.flags", 1)
        tag = c.string("dns.caa.tag", c.uint("dns.caa.tag_length", 1))
        return f"{tag} {c.string('dns.caa.value', c.remaining)}"
    size = c.remaining
    c.octets("dns.rdata", size)
    return f"{size:,} bytes"


def _last(c: Cursor) -> str:
    return c.last.text


def _service(c: Cursor, base: int) -> str:
    priority = c.uint("dns.svcb.priority", 2)
    target = _name(c, "dns.svcb.target", base)
    while c.remaining:
        with c.group("dns.svcb.svcparam") as parameter:
            key = c.uint("dns.svcb.svcparam.key", 2)
            parameter.text = SVC_KEYS.get(key, f"key{key}")
            with c.within(c.uint("dns.svcb.svcparam.value.length", 2)):
                if key == 1:
                    while c.remaining:
                        c.string("dns.svcb.svcparam.alpn", c.uint("dns.svcb.svcparam.alpn.length", 1))
                elif key == 3:
                    c.uint("dns.svcb.svcparam.port", 2)
                elif key in (4, 6):
                    name, size = ("ipv4", 4) if key == 4 else ("ipv6", 16)
                    while c.remaining:
                        c.octets(f"dns.svcb.svcparam.{name}hint.ip", size)
                elif c.remaining:
                    c.octets("dns.svcb.svcparam.value", c.remaining)
    return f"{priority} {target}"


def _name(c: Cursor, field: str, base: int) -> str:
    """A name, which may end in a pointer to an earlier one (RFC 1035, 4.1.4); the field covers what stands here."""
    start, at, jumps, size = c.pos, c.pos, 0, 0
    labels: list[str] = []
    after: int | None = None
    while True:
        octet = c.slice(at, at + 1)
        if not octet:
            raise Truncated(1)
        length = octet[0]
        if length == 0:
            at += 1
            break
        if length >= 0xC0:
            low = c.slice(at + 1, at + 2)
            if not low:
                raise Truncated(1)
            after = at + 2 if after is None else after
            target = base + ((length & 0x3F) << 8 | low[0])
            jumps += 1
            if jumps > MAX_JUMPS or target >= at:
                c.pos = after
                c.add(field, ".".join(labels), start, after)
                c.issue("name-pointer", "a compression pointer that does not point backwards (RFC 1035, 4.1.4)", Severity.ERROR)
                return ".".join(labels)
            at = target
            continue
        if length >= 0x40:
            c.issue("label-type", f"a label of type {length >> 6} is not defined (RFC 6891, 5)", Severity.ERROR)
            raise Truncated(0, "a label whose type is not defined: what follows cannot be read")
        label = c.slice(at + 1, at + 1 + length)
        if len(label) < length:
            raise Truncated(length - len(label))
        size += length + 1
        if size > MAX_NAME:
            raise Truncated(0, f"a name of more than {MAX_NAME} octets (RFC 1035, 3.1): what follows cannot be read")
        labels.append(label.decode("utf-8", "surrogateescape"))
        at += 1 + length
    c.pos = at if after is None else after
    text = ".".join(labels) or "<Root>"
    c.add(field, text, start, c.pos)
    return text


class DnsOverTcp(StreamParser):
    """Messages with their length in front (RFC 1035, 4.2.2)."""

    protocol = "dns"

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync:
            return  # nothing in the stream marks where a message begins
        while (yield from reader.some()):
            start = reader.pos
            length = int.from_bytes((yield from reader.read(2)), "big")
            yield from reader.skip(length)
            self.node.emit("tcp", reader, start, reader.pos)


def explain(layer: Layer) -> list[Note]:
    response = layer.find("dns.flags.response")
    if response is None:
        return []
    notes = []
    if response.value:
        why = "The resolver answers with the transaction id of the question, which is how the client knows what is answered."
    else:
        why = "Before a connection can be made, the name must become an address. DNS keeps no state between questions."
    notes.append(Note(layer.span, "answer" if response.value else "question", why, "RFC 1035, 4.1.1"))
    truncated = layer.find("dns.flags.truncated")
    if truncated is not None and truncated.value:
        why = "The message did not fit into a datagram and was cut; the client is to ask again over TCP."
        notes.append(Note(truncated.span, "truncated", why, "RFC 1035, 4.2.1; RFC 2181, 9"))
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
    "dns", "DNS", 7, FIELDS, dissect, keys={"udp.port": [53], "tcp.port": [53]}, parser=DnsOverTcp, explain=explain,
    card=CARD, reference="RFC 1035",
)  # fmt: skip
MDNS = Protocol(
    "mdns", "Multicast DNS", 7, FIELDS, dissect_multicast, keys={"udp.port": [5353]}, explain=explain, reference="RFC 6762"
)
LLMNR = Protocol("llmnr", "LLMNR", 7, FIELDS, dissect, keys={"udp.port": [5355]}, explain=explain, reference="RFC 4795")
