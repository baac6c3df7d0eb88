"""What both versions of IP say in the same way: the marks for queues and congestion, and how far a packet may still go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.core.field import Field
from inspector.core.layer import Note, Rank
from inspector.protocols.network.addresses import hops

CONGESTED = 3  # the codepoint CE (RFC 3168, 5)
FOR_QUEUES = {
    "EF": ("expedited forwarding: little loss, delay and jitter, as voice needs", "RFC 3246, 2"),
    "CS6": ("internetwork control, as routing protocols and ICMP errors have it", "RFC 4594, 3.2; RFC 1812, 4.3.2.5"),
    "LE": ("lower effort: only what nobody else needs", "RFC 8622, 3"),
}


def marks(field: Field, dscp: int, ecn: int, names: Mapping[int, str]) -> Iterator[Note]:
    """Notes on the byte with DSCP and ECN, where it is not zero. names: of DSCP values."""
    if dscp:
        name = names.get(dscp, "")
        own = ("a class of its own, as far as the networks on the way know it", "RFC 2474, 3 and 4.2.2")
        what, where = FOR_QUEUES.get(name, own)
        if name.startswith("AF"):
            what, where = f"assured forwarding, class {name[2]}, drop precedence {name[3]}", "RFC 2597, 6"
        why = f"DSCP {dscp}{f' ({name})' if name else ''} asks for {what}. Each network on the way may follow it, or write"
        why += " another."
        yield Note(field.span, "which queue", why, where, Rank.DETAIL)
    if ecn == CONGESTED:
        why = f"ECN {ecn}: a router on the way has a queue that grows, and marked this packet where it would have dropped one."
        why += " The receiver tells the sender, which slows down."
        yield Note(field.span, "congestion experienced", why, "RFC 3168, 5 and 6.1")
    elif ecn:
        why = f"ECN {ecn}: both ends of the transport understand marks, so that a router may mark this packet and need not"
        why += " drop it."
        yield Note(field.span, "may be marked", why, "RFC 3168, 5", Rank.DETAIL)


def remaining(field: Field, name: str, reference: str) -> Note:
    """How many routers a packet may still pass, and how many it has probably passed."""
    left = int(field.value)
    if left == 0:
        return Note(field.span, name, "0: whoever gets it must not forward it.", reference)
    start, passed = hops(left)
    many = "router" if passed == 1 else "routers"
    why = f"{left}: each router takes one off. Hosts mostly begin with 64, 128 or 255"
    if not passed:
        why += f"; {left} is one of these, so that it seems to come from this network, or was captured where it was sent."
        return Note(field.span, name, why, reference, Rank.BACKGROUND)
    if left == 1:
        why = "1: it was not meant to pass a router, or has passed its last one."
        return Note(field.span, name, why, reference, Rank.DETAIL)
    why += f"; from {start} on it would have passed {passed} {many}."
    return Note(field.span, name, why, reference, Rank.DETAIL)
