"""ARP (RFC 826)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, ipv4, octets, u8, u16
from inspector.core.layer import Layer, Note, Rank
from inspector.core.protocol import Card, Protocol
from inspector.protocols.link.ethertypes import ETHERTYPES

REQUEST, REPLY = 1, 2
NOBODY, EVERYBODY = bytes(6), b"\xff" * 6  # what stands for the address that a request asks for, as senders fill it
OPCODES = {1: "request", 2: "reply", 3: "RARP request", 4: "RARP reply", 8: "InARP request", 9: "InARP reply"}

FIELDS = catalog(
    u16("arp.hw.type", "Hardware type", values={1: "Ethernet", 6: "IEEE 802"}),
    u16("arp.proto.type", "Protocol type", Base.HEX, ETHERTYPES),
    u8("arp.hw.size", "Hardware size"),
    u8("arp.proto.size", "Protocol size"),
    u16("arp.opcode", "Opcode", values=OPCODES),
    ether("arp.src.hw_mac", "Sender MAC address"),
    ipv4("arp.src.proto_ipv4", "Sender IP address"),
    ether("arp.dst.hw_mac", "Target MAC address"),
    ipv4("arp.dst.proto_ipv4", "Target IP address"),
    octets("arp.address", "Address"),
    octets("arp.trailer", "Padding"),
)


def dissect(c: Cursor) -> None:
    c.uint("arp.hw.type", 2)
    kind = c.uint("arp.proto.type", 2)
    hardware, protocol = c.uint("arp.hw.size", 1), c.uint("arp.proto.size", 1)
    opcode = c.uint("arp.opcode", 2)
    for side in ("src", "dst"):
        c.octets(f"arp.{side}.hw_mac" if hardware == 6 else "arp.address", hardware)
        c.octets(f"arp.{side}.proto_ipv4" if protocol == 4 and kind == 0x0800 else "arp.address", protocol)
    if c.remaining:
        c.octets("arp.trailer", c.remaining)
    found = [c.layer.find(f"arp.{name}") for name in ("src.proto_ipv4", "dst.proto_ipv4", "src.hw_mac")]
    if None in found:
        c.layer.summary = OPCODES.get(opcode, f"opcode {opcode}")
        return
    source, target, mac = (cell(field.spec, field.value) for field in found if field is not None)
    if opcode == REQUEST:
        c.layer.summary = f"{source} announces itself" if source == target else f"who has {target}? tell {source}"
    else:
        c.layer.summary = f"{source} is at {mac}" if opcode == REPLY else OPCODES.get(opcode, f"opcode {opcode}")


def explain(layer: Layer) -> list[Note]:
    """Who asks for whom, who announces, who answers (RFC 826; RFC 5227)."""
    opcode = layer.find("arp.opcode")
    mac, source = layer.find("arp.src.hw_mac"), layer.find("arp.src.proto_ipv4")
    target = layer.find("arp.dst.proto_ipv4")
    if opcode is None or mac is None or source is None or target is None:
        return []
    if opcode.value == REQUEST and not any(source.value):
        why = f"Before it takes {target.text}, {mac.text} asks whether anybody has it; an answer means: taken."
        return [Note(target.span, "probe", why, "RFC 5227, 2.1.1")]
    if source.value == target.value and opcode.value in (REQUEST, REPLY):
        why = f"{source.text} is at {mac.text}: nobody asked. Caches are corrected, and a second owner would object."
        return [Note(source.span, "announcement", why, "RFC 5227, 2.3 and 2.4")]
    wanted = layer.find("arp.dst.hw_mac")
    if opcode.value == REQUEST and wanted is not None and bytes(wanted.value) not in (NOBODY, EVERYBODY, bytes(mac.value)):
        why = f"{source.text} remembers {target.text} at {wanted.text}, and asks it alone whether that is still so."
        return [Note(wanted.span, "still there?", why, "RFC 1122, 2.3.2.1")]
    if opcode.value == REQUEST:
        why = f"{source.text} has a packet for {target.text}, or for something behind it, and needs the hardware address"
        why += f" to send a frame to. Who owns {target.text} answers; until then the packet waits."
        learns = f"The question itself says that {source.text} is at {mac.text}: who answers need not ask back."
        return [
            Note(target.span, f"who has {target.text}?", why, "RFC 826, Packet Generation; RFC 1122, 2.3.2.2"),
            Note(mac.span, "the asker introduces itself", learns, "RFC 826, Packet Reception", Rank.DETAIL),
        ]
    if opcode.value == REPLY:
        why = f"{source.text} is at {mac.text}. {target.text} keeps that in its ARP cache for a while, and can send now."
        proof = f"Nothing proves that {mac.text} is right: whoever answers is believed."
        return [
            Note(mac.span, "the answer", why, "RFC 826, Packet Reception; RFC 1122, 2.3.2.1"),
            Note(opcode.span, "believed", proof, "RFC 5227, 5", Rank.BACKGROUND),
        ]
    why = f"{opcode.text}, from {mac.text}: which protocol address belongs to a hardware address."
    return [Note(opcode.span, "the other way round", why, "RFC 903" if opcode.value in (3, 4) else "RFC 2390, 7")]


CARD = Card(
    "binary: a fixed header, then hardware and protocol addresses of both",
    "one message a frame",
    "the request goes to all stations of the link, the reply to who asked",
    "request and reply; an announcement asks nobody",
    "each host keeps a table of addresses for some minutes",
    "never beyond the link",
    "none; requests are repeated",
    "none: whoever answers is believed",
)
PROTOCOL = Protocol(
    "arp", "ARP", 2, FIELDS, dissect, keys={"ethertype": [0x0806, 0x8035]}, explain=explain, reference="RFC 826",
    card=CARD,
)
