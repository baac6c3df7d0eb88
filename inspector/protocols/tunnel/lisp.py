"""LISP data packets (RFC 9300, section 5), and the encapsulated control message (RFC 9301, section 5.8).

Not here: the other control messages.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, octets, u8, u24, u32, uint
from inspector.core.protocol import Protocol

ENCAPSULATED = 8
TYPES = {1: "Map-Request", 2: "Map-Reply", 3: "Map-Register", 4: "Map-Notify", 5: "Map-Notify-Ack", 6: "Map-Referral",
         7: "Info", ENCAPSULATED: "Encapsulated control message"}  # fmt: skip
NONCE, STATUS, VERSIONS, INSTANCE = 0x80, 0x40, 0x10, 0x08

FIELDS = catalog(
    u8("lisp-data.flags", "Flags", Base.HEX),
    flag("lisp-data.flags.nonce", "Nonce is there"),
    flag("lisp-data.flags.lsb", "Locator status bits are there"),
    flag("lisp-data.flags.enr", "Echo nonce request"),
    flag("lisp-data.flags.mv", "Map versions are there"),
    flag("lisp-data.flags.iid", "Instance id is there"),
    uint("lisp-data.flags.res", "Reserved", 3),
    u24("lisp-data.nonce", "Nonce", Base.HEX),
    u24("lisp-data.mapver", "Map versions", Base.HEX),
    u24("lisp-data.iid", "Instance"),
    u32("lisp-data.lsb", "Locator status bits", Base.HEX),
    u8("lisp-data.lsb8", "Locator status bits", Base.HEX),
)
CONTROL_FIELDS = catalog(
    uint("lisp.type", "Type", 4, values=TYPES),
    uint("lisp.flags", "Flags and reserved", 28, Base.HEX),
    octets("lisp.data", "Message"),
)


def dissect(c: Cursor) -> None:
    flags = c.flags(
        "lisp-data.flags", 1, ("lisp-data.flags.nonce", 1), ("lisp-data.flags.lsb", 1), ("lisp-data.flags.enr", 1),
        ("lisp-data.flags.mv", 1), ("lisp-data.flags.iid", 1), ("lisp-data.flags.res", 3),
    )  # fmt: skip
    c.uint("lisp-data.mapver" if flags & VERSIONS else "lisp-data.nonce", 3)
    if flags & INSTANCE:
        c.layer.summary = f"instance {c.uint('lisp-data.iid', 3)}"
        c.uint("lisp-data.lsb8", 1)
    else:
        c.uint("lisp-data.lsb", 4)
    _inner(c)


def dissect_control(c: Cursor) -> None:
    kind, _ = c.bits(4, ("lisp.type", 4), ("lisp.flags", 28))
    c.layer.summary = TYPES.get(kind, f"type {kind}")
    if kind == ENCAPSULATED:
        _inner(c)
    elif c.remaining:
        c.octets("lisp.data", c.remaining)


def _inner(c: Cursor) -> None:
    version = c.peek_uint(1) >> 4
    c.payload("ip.version", version, None, f"the inner header's version is {version}")


PROTOCOL = Protocol("lisp-data", "LISP data", 3, FIELDS, dissect, keys={"udp.port": [4341]}, reference="RFC 9300")
CONTROL = Protocol("lisp", "LISP", 7, CONTROL_FIELDS, dissect_control, keys={"udp.port": [4342]}, reference="RFC 9301")
