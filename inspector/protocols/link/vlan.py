"""VLAN tags: IEEE 802.1Q and 802.1ad.

Wireshark names the fields of a provider's tag after 802.1ad.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, octets, u16, uint
from inspector.core.protocol import Card, Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES, type_or_length

FIELDS = catalog(
    uint("vlan.priority", "Priority", 3),
    flag("vlan.dei", "Drop eligible"),
    uint("vlan.id", "VLAN", 12),
    u16("vlan.etype", "Type", Base.HEX, ETHERTYPES),
    u16("vlan.len", "Length"),
    octets("vlan.trailer", "Trailer"),
)
PROVIDER_FIELDS = catalog(
    uint("ieee8021ad.priority", "Priority", 3),
    flag("ieee8021ad.dei", "Drop eligible"),
    uint("ieee8021ad.id", "Service VLAN", 12),
    u16("ieee8021ad.etype", "Type", Base.HEX, ETHERTYPES),
    u16("ieee8021ad.len", "Length"),
    octets("ieee8021ad.trailer", "Trailer"),
)


def dissect(c: Cursor) -> None:
    _tag(c, "vlan")


def dissect_provider(c: Cursor) -> None:
    _tag(c, "ieee8021ad")


def _tag(c: Cursor, name: str) -> None:
    _, _, number = c.bits(2, (f"{name}.priority", 3), (f"{name}.dei", 1), (f"{name}.id", 12))
    c.layer.summary = f"VLAN {number}"
    type_or_length(c, f"{name}.etype", f"{name}.len")
    if c.remaining:
        c.octets(f"{name}.trailer", c.remaining)


CARD = Card(
    "binary: a tag of four octets between the addresses and the type",
    "one tag a frame; tags may be stacked",
    "a VLAN id of 12 bits, beside the hardware addresses",
    "that of Ethernet",
    "none in the frame; switches know which port belongs to which VLAN",
    "switches, within one VLAN; between them only routers",
    "a priority of three bits for queues",
    "those of Ethernet",
)
PROTOCOL = Protocol("vlan", "802.1Q VLAN", 2, FIELDS, dissect, keys={"ethertype": [0x8100, 0x9100]},
                    reference="IEEE 802.1Q", card=CARD)  # fmt: skip
PROVIDER = Protocol(
    "ieee8021ad", "802.1ad service VLAN", 2, PROVIDER_FIELDS, dissect_provider, keys={"ethertype": [0x88A8]},
    reference="IEEE 802.1ad",
)  # fmt: skip
