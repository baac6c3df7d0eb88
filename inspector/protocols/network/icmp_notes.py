"""What an ICMP message of either version means: an error and what is to be done, a test of life, who is on the link."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.core.layer import Layer, Note, Rank

# Type and code → what it says, and where that is said; {…} is a field of the message. None: any code.
MEANINGS: dict[tuple[int, int | None], tuple[str, str]] = {
    (3, 0): ("A router has no route to the destination's network.", "RFC 792; RFC 1812, 5.2.7.1"),
    (3, 1): (
        "The last router gets no answer from the host itself: it is off, or nobody has this address.",
        "RFC 1812, 5.2.7.1",
    ),
    (3, 2): ("The host is there, and does not speak the transport protocol.", "RFC 1122, 3.2.2.1"),
    (3, 3): (
        "No program has this port, or a filter says so: for TCP the host itself would have sent a reset instead.",
        "RFC 1122, 3.2.2.1 and 4.1.3.1",
    ),
    (3, 4): (
        "The packet is larger than the next link takes, {mtu} bytes, and must not be cut: the sender is to send smaller ones."
        " Where a filter drops this message, a connection hangs at its first big packet.",
        "RFC 1191, 3 and 4",
    ),
    (3, 9): ("A filter does not let anything through to this network.", "RFC 1122, 3.2.2.1"),
    (3, 10): ("A filter does not let anything through to this host.", "RFC 1122, 3.2.2.1"),
    (3, 13): ("A filter on a router does not let this through, and says so; most filters say nothing.", "RFC 1812, 5.2.7.1"),
    (3, None): ("The packet could not be delivered.", "RFC 792"),
    (4, None): ("The sender is asked to slow down; this has been given up, and is to be ignored.", "RFC 6633"),
    (5, None): (
        "On this link {gateway} is the better next hop to this destination. A host is to follow it; many do not, since anybody"
        " could say so.",
        "RFC 1122, 3.2.2.2",
    ),
    (11, 0): (
        "The time to live ran out at this router: the packet goes in circles, or somebody wants to learn the path"
        " (traceroute).",
        "RFC 792; RFC 1812, 5.3.1",
    ),
    (11, 1): ("Not all fragments of the datagram came in time; what did come was thrown away.", "RFC 792; RFC 1122, 3.3.2"),
    (12, 0): ("The header is wrong at byte {pointer}, counted from 0.", "RFC 792; RFC 1122, 3.2.2.5"),
    (12, None): ("The header is wrong, or an option is missing.", "RFC 1122, 3.2.2.5"),
}
MEANINGS_6: dict[tuple[int, int | None], tuple[str, str]] = {
    (1, 0): ("A router has no route to the destination.", "RFC 4443, 3.1"),
    (1, 1): ("A filter does not let this through, and says so; most filters say nothing.", "RFC 4443, 3.1"),
    (1, 3): (
        "Mostly: the last router gets no answer from the host itself; it is off, or nobody has this address.", "RFC 4443, 3.1"
    ),
    (1, 4): (
        "No program has this port, or a filter says so: for TCP the host itself would have sent a reset instead.",
        "RFC 4443, 3.1",
    ),
    (1, None): ("The packet could not be delivered.", "RFC 4443, 3.1"),
    (2, None): (
        "The packet is larger than the next link takes, {mtu} bytes, and routers never cut IPv6 packets: the sender is to send"
        " smaller ones. Where a filter drops this message, a connection hangs at its first big packet.",
        "RFC 4443, 3.2; RFC 8201, 3",
    ),
    (3, 0): (
        "The hop limit ran out at this router: the packet goes in circles, or somebody wants to learn the path (traceroute).",
        "RFC 4443, 3.3",
    ),
    (3, 1): ("Not all fragments of the packet came in time; what did come was thrown away.", "RFC 4443, 3.3"),
    (4, None): (
        "At byte {pointer}, counted from 0, stands something that is wrong, or that the receiver does not know.",
        "RFC 4443, 3.4",
    ),
}
LISTENERS = {
    130: "A router asks who listens to which groups, so that it forwards only what somebody wants.",
    131: "The sender listens to this group: switches and routers that look forward it here.",
    132: "The sender has left the group.",
    143: "The groups that the sender listens to, or no longer listens to: switches and routers that look forward only these.",
}


def explain(layer: Layer) -> list[Note]:
    """The notes of an ICMP message."""
    return [*_error(layer, "icmp", MEANINGS), *_echo(layer, "icmp", (8, 0), "icmp.ident", "icmp.seq"), *_quotation(layer)]


def explain_6(layer: Layer) -> list[Note]:
    """The notes of an ICMPv6 message."""
    names = ("icmpv6.echo.identifier", "icmpv6.echo.sequence_number")
    notes = [*_error(layer, "icmpv6", MEANINGS_6), *_echo(layer, "icmpv6", (128, 129), *names), *_neighbour(layer)]
    return [*notes, *_routers(layer), *_quotation(layer)]


def _error(layer: Layer, name: str, meanings: dict[tuple[int, int | None], tuple[str, str]]) -> Iterator[Note]:
    kind, code = layer.find(f"{name}.type"), layer.find(f"{name}.code")
    if kind is None or code is None:
        return
    found = meanings.get((kind.value, code.value)) or meanings.get((kind.value, None))
    if found is None:
        return
    gateway, mtu = layer.find("icmp.redir_gw"), layer.value(f"{name}.mtu")
    size = f"{mtu:,}" if mtu else "it does not say how many"
    pointer = layer.value(f"{name}.pointer", 0)
    why = found[0].format(mtu=size, pointer=pointer, gateway=gateway.text if gateway is not None else "another router")
    yield Note(code.span, layer.summary.partition(",")[0], why, found[1])


def _quotation(layer: Layer) -> Iterator[Note]:
    if layer.payloads:
        size = layer.payloads[0].span.size
        why = f"The first {size:,} bytes of the packet that the error is about: addresses and ports in it let the sender find"
        why += " the"
        why += " connection. Anybody could have made it up: TCP is to check that its sequence number is in use."
        yield Note(layer.payloads[0].span, "the quoted packet", why, "RFC 792; RFC 4443, 2.4; RFC 5927, 4", Rank.DETAIL)


def _echo(layer: Layer, name: str, types: tuple[int, int], identifier: str, sequence: str) -> Iterator[Note]:
    kind, own, number = layer.find(f"{name}.type"), layer.find(identifier), layer.find(sequence)
    if kind is None or own is None or number is None or kind.value not in types:
        return
    tied = f"identifier {own.value:,} (which program asks) and number {number.value:,}"
    reference = "RFC 792; RFC 1122, 3.2.2.6" if name == "icmp" else "RFC 4443, 4.1 and 4.2"
    if kind.value == types[0]:
        why = f"Is the other end there, and how far away? It must send the same data back, with {tied}."
        yield Note(number.span, "ping", why, reference)
    else:
        why = f"The other end is there: the data of the request come back, with its {tied}."
        yield Note(number.span, "answer to a ping", why, reference)


def _neighbour(layer: Layer) -> Iterator[Note]:
    """Who is asked for, and what is answered (RFC 4861, 4.3 and 4.4)."""
    asked, found = layer.find("icmpv6.nd.ns.target_address"), layer.find("icmpv6.nd.na.target_address")
    if asked is not None:
        why = f"The sender looks for the hardware address of {asked.text}, or asks whether it is still there; from :: whether"
        why += " anybody has it, before it takes it."
        yield Note(asked.span, "who has this address?", why, "RFC 4861, 4.3 and 7.2.2; RFC 4862, 5.4.2")
    elif found is not None:
        hardware = layer.find("icmpv6.opt.target_linkaddr")
        where = f" at {bytes(hardware.value).hex(':')}" if hardware is not None and hardware.value else ""
        why = f"{found.text} is here{where}; whoever asked remembers it in its neighbour cache."
        if not layer.value("icmpv6.nd.na.flag.s", 0):
            override = layer.value("icmpv6.nd.na.flag.o", 0)
            why = f"{found.text} is here{where}: said unasked, or to who wanted the address itself. Caches that know it are to"
            why += " be corrected." if override else " ask whether what they know still holds (no override flag)."
        yield Note(found.span, "neighbour found", why, "RFC 4861, 4.4, 7.2.4 and 7.2.5")


def _routers(layer: Layer) -> Iterator[Note]:
    """What routers and listeners say."""
    kind = layer.find("icmpv6.type")
    if kind is None:
        return
    if kind.value == 133:
        why = "A host that has just come wants to hear from the routers now, and not when they would have spoken next."
        yield Note(kind.span, "are there routers?", why, "RFC 4861, 4.1 and 6.3.7")
    life = layer.find("icmpv6.nd.ra.router_lifetime")
    if life is not None:
        why = f"The sender is a way out of this link, for {life.value:,} seconds from now; prefixes in it with the flag A"
        why += " give hosts their addresses."
        if not life.value:
            why = "0 seconds: the sender is no way out of this link; what else it says still holds."
        yield Note(life.span, "router", why, "RFC 4861, 4.2 and 6.3.4; RFC 4862, 5.5")
    target = layer.find("icmpv6.nd.rd.target_address")
    if kind.value == 137 and target is not None:
        yield Note(target.span, "redirect", f"{target.text} is the better next hop to this destination.", "RFC 4861, 4.5 and 8")
    if kind.value in LISTENERS:
        reference = "RFC 3810, 5" if kind.value == 143 else "RFC 2710, 3; RFC 3810, 5"
        yield Note(kind.span, "who listens", LISTENERS[kind.value], reference)
