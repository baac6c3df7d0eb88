"""What a DNS message means: what is asked, what came of it, for how long it is good (RFC 1035; RFC 2308; RFC 6762)."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.core.field import Field
from inspector.core.layer import Layer, Note, Rank
from inspector.core.text import counted
from inspector.protocols.dns.names import RCODES, TYPES

CNAME = 5
NXDOMAIN = 3
# Reply code → what it means for who asked.
FAILURES = {
    1: ("The server could not read the question.", "RFC 1035, 4.1.1"),
    2: ("The server failed, or found nobody who would answer it; another server may do better.", "RFC 1035, 4.1.1"),
    4: ("The server does not know this kind of question.", "RFC 1035, 4.1.1"),
    5: ("The server will not answer this, mostly because of who asks or for what zone.", "RFC 1035, 4.1.1"),
}


def explain(layer: Layer) -> list[Note]:
    response, identifier = layer.find("dns.flags.response"), layer.find("dns.id")
    if response is None or identifier is None:
        return []
    query = layer.value("dns.flags.opcode", 0) == 0
    notes = _answer(layer, identifier) if response.value else _question(layer, identifier) if query else []
    truncated = layer.find("dns.flags.truncated")
    if truncated is not None and truncated.value:
        why = "The message did not fit into a datagram and was cut; the client is to ask again over TCP."
        notes.append(Note(truncated.span, "truncated", why, "RFC 1035, 4.2.1; RFC 2181, 9"))
    size = layer.find("dns.rr.udp_payload_size")
    if size is not None:
        why = f"The sender can take {size.value:,} bytes in a datagram; without this record it is 512."
        if size.value < 512:
            why = f"The sender says {size.value:,} bytes in a datagram; what is less than 512 counts as that."
        notes.append(Note(size.span, "EDNS", why, "RFC 6891, 6.2.3; RFC 1035, 2.3.4", Rank.DETAIL))
    return notes


def _question(layer: Layer, identifier: Field) -> list[Note]:
    name, kind = layer.find("dns.qry.name"), layer.value("dns.qry.type")
    if name is None:
        return []
    why = f"The records of type {TYPES.get(kind, kind)} of this name are wanted."
    wanted = layer.find("dns.flags.recdesired")
    if wanted is not None and wanted.value:
        why += " Recursion is desired: the server is to ask the others on the way, from the root down."
    own = f"The answer must carry {identifier.value:#06x} too, and come to the port that asked; forgers must guess both."
    return [
        Note(name.span, f"question for {name.text}", why, "RFC 1035, 4.1.1 and 4.1.2"),
        Note(identifier.span, "id", own, "RFC 5452, 4 and 9", Rank.DETAIL),
    ]


def _answer(layer: Layer, identifier: Field) -> list[Note]:
    notes = list(_outcome(layer))
    why = f"The id {identifier.value:#06x} is that of the question, which is how the client knows what is answered."
    notes.append(Note(identifier.span, "answer", why, "RFC 1035, 4.1.1", Rank.DETAIL))
    answers = [field for group in layer.fields if group.name == "dns.answers" for field in group.walk()]
    aliases = [field for field in answers if field.name == "dns.cname"]
    if aliases and layer.value("dns.qry.type") != CNAME:
        chain = " → ".join([str(layer.value("dns.qry.name", "")), *(str(field.value) for field in aliases[:8])])
        why = f"The name asked for is an alias: {chain}; the answer goes on with the records of the last name."
        notes.append(Note(aliases[0].span, "alias", why, "RFC 1034, 3.6.2"))
    times = [field for field in answers if field.name == "dns.resp.ttl"]
    if times:
        shortest = min(times, key=lambda field: int(field.value))
        why = f"Whoever remembers this answer may use it for {shortest.value:,} seconds, then must ask again."
        if not shortest.value:
            why = "0 seconds: the answer is for who asked, now; nobody is to remember it."
        notes.append(Note(shortest.span, "time to live", why, "RFC 1035, 3.2.1"))
    authoritative = layer.find("dns.flags.authoritative")
    if authoritative is not None:
        why = "The server keeps this zone itself."
        if not authoritative.value:
            why = "Not the word of a server that keeps this zone: it comes from a cache, or was fetched for the client."
        notes.append(Note(authoritative.span, "whose word", why, "RFC 1035, 4.1.1", Rank.BACKGROUND))
    return notes


def _outcome(layer: Layer) -> Iterator[Note]:
    """What came of the question: records, a name without such records, no such name, or a failure."""
    rcode, count = layer.find("dns.flags.rcode"), layer.find("dns.count.answers")
    if rcode is None or count is None or layer.value("dns.flags.opcode", 0) != 0:
        return
    if layer.value("dns.flags.truncated"):  # what is left of it says nothing of what there is
        return
    name, kind = layer.value("dns.qry.name", ""), layer.value("dns.qry.type")
    what = TYPES.get(kind, kind)
    negative = _negative(layer)
    if rcode.value == NXDOMAIN:
        which = "The name at the end of the aliases" if layer.find("dns.cname") is not None else "The name"
        yield Note(rcode.span, "no such name", f"{which} does not exist, whatever the type.{negative}", "RFC 2308, 2.1 and 5")
    elif rcode.value in FAILURES:
        why, where = FAILURES[rcode.value]
        yield Note(rcode.span, RCODES.get(rcode.value, "failed"), why, where)
    elif rcode.value == 0 and not count.value:
        if layer.find("dns.soa.mname") is not None or not layer.value("dns.count.auth_rr", 0):
            why = f"{name} exists, and has no record of type {what}.{negative}"
            yield Note(count.span, "no such record", why, "RFC 2308, 2.2 and 5")
        else:
            why = f"This server does not know, and names {layer.value('dns.count.auth_rr')} that do: the asker is to go on"
            why += " there."
            yield Note(count.span, "referral", why, "RFC 1034, 4.3.2")
    elif rcode.value == 0:
        why = f"{counted(count.value, 'record')} for {name}, of type {what} or leading there."
        yield Note(count.span, "found", why, "RFC 1035, 4.1", Rank.DETAIL)


def _negative(layer: Layer) -> str:
    """How long it may be remembered that there is nothing (RFC 2308, 5)."""
    least = layer.find("dns.soa.minimum_ttl")
    group = next((field for field in layer.fields if any(child is least for child in field.walk())), None)
    life = next((child for child in group.walk() if child.name == "dns.resp.ttl"), None) if group is not None else None
    if least is None or life is None:
        return " Without an SOA record caches should not remember that."
    return f" Caches may remember that for {min(int(least.value), int(life.value)):,} seconds, as the SOA record says."


def explain_multicast(layer: Layer) -> list[Note]:
    """Multicast DNS has no use for the id, and its messages announce and withdraw as well as they answer (RFC 6762)."""
    response, identifier = layer.find("dns.flags.response"), layer.find("dns.id")
    if response is None or identifier is None:
        return []
    notes = []
    if response.value:
        why = "It answers a question, or announces unasked; everybody on the link may remember it."
        why += "" if identifier.value else " The id means nothing here."
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
