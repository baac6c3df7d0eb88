"""Protocol independent multicast, version 2 (RFC 7761, 4.9): the header, and the packet inside a Register.

Not here: the bodies of the other messages.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, octets, u8, u16, u32, uint
from inspector.core.protocol import Protocol

REGISTER = 1
TYPES = {0: "Hello", REGISTER: "Register", 2: "Register-Stop", 3: "Join/Prune", 4: "Bootstrap", 5: "Assert", 6: "Graft",
         7: "Graft-Ack", 8: "Candidate-RP-Advertisement", 9: "State-Refresh", 10: "DF Election"}  # fmt: skip

FIELDS = catalog(
    uint("pim.version", "Version", 4),
    uint("pim.type", "Type", 4, values=TYPES),
    u8("pim.res_bytes", "Reserved", Base.HEX),
    u16("pim.cksum", "Checksum", Base.HEX),
    u32("pim.register_flag", "Flags", Base.HEX),
    flag("pim.register_flag.border", "Border"),
    flag("pim.register_flag.null_register", "Null register"),
    octets("pim.data", "Message"),
)


def dissect(c: Cursor) -> None:
    version, kind = c.bits(1, ("pim.version", 4), ("pim.type", 4))
    c.uint("pim.res_bytes", 1)
    c.uint("pim.cksum", 2)
    c.layer.summary = TYPES.get(kind, f"type {kind}")
    if kind == REGISTER and version == 2:
        c.flags("pim.register_flag", 4, ("pim.register_flag.border", 1), ("pim.register_flag.null_register", 1), (None, 30))
        first = c.peek(1)[0] >> 4 if c.remaining else 0
        c.payload("ip.version", first, None, "a Register carries the multicast packet (RFC 7761, 4.9.3)")
    elif c.remaining:
        c.octets("pim.data", c.remaining)


PROTOCOL = Protocol("pim", "PIM", 3, FIELDS, dissect, keys={"ip.proto": [103]}, reference="RFC 7761")
