"""MPLS label stacks (RFC 3032): one layer a label."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, u8, uint
from inspector.core.protocol import Protocol

FIELDS = catalog(
    uint("mpls.label", "Label", 20),
    uint("mpls.exp", "Traffic class", 3),
    flag("mpls.bottom", "Bottom of the stack"),
    u8("mpls.ttl", "TTL"),
)


def dissect(c: Cursor) -> None:
    label, _, bottom, _ = c.bits(4, ("mpls.label", 20), ("mpls.exp", 3), ("mpls.bottom", 1), ("mpls.ttl", 8))
    c.layer.summary = f"label {label}"
    if not bottom:
        c.payload("mpls", "label", None, "this label is not the bottom of the stack")
        return
    first = c.peek(1)[0] >> 4 if c.remaining else 0
    if first in (4, 6):  # nothing names the payload: its first four bits do (RFC 4928)
        c.payload("ip.version", first, None, f"the first four bits behind the last label are {first}")
    else:
        c.payload("mpls", "payload")


PROTOCOL = Protocol(
    "mpls", "MPLS", 2, FIELDS, dissect, keys={"ethertype": [0x8847, 0x8848], "mpls": ["label"]}, reference="RFC 3032"
)
