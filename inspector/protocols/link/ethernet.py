"""Ethernet II and IEEE 802.3 frames (IEEE 802.3 clause 3).

What follows the packet inside is told apart here: padding to the least size, the frame check sequence where the bytes
match one, and trailers. Not here: LLC and SNAP (`llc.py`), tags (`vlan.py`, `tags.py`).
"""

from __future__ import annotations

import zlib

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, flag, octets, u16, u32
from inspector.core.layer import Layer, Note, Rank
from inspector.core.protocol import Card, Protocol
from inspector.core.span import Span
from inspector.core.text import counted
from inspector.protocols.link.ethertypes import ETHERTYPES, MAX_LENGTH, inner_size

MIN_SIZE = 60  # of a frame without its check sequence (IEEE 802.3, 4.4.2)
BROADCAST, NOBODY = b"\xff" * 6, bytes(6)
# Groups by the beginning of their address: what they are for, and where that is said.
GROUPS = (
    (b"\x33\x33", "the IPv6 group whose address ends in the same 32 bits", "RFC 2464, 7"),
    (b"\x01\x00\x5e", "the IPv4 group whose address ends in the same 23 bits, which 32 groups share", "RFC 1112, 6.4"),
    (b"\x01\x80\xc2\x00\x00", "the switches themselves, which do not forward it", "IEEE 802.1Q, 8.6.3"),
)
# Who gave out an address, where its beginning is one that backends meet (IEEE Registration Authority; the last two by custom).
MAKERS = {
    b"\x00\x00\x5e": "IANA", b"\x00\x50\x56": "VMware", b"\x00\x0c\x29": "VMware", b"\x08\x00\x27": "VirtualBox",
    b"\x00\x15\x5d": "Microsoft Hyper-V", b"\x00\x16\x3e": "Xen", b"\x00\x1c\x42": "Parallels", b"\x52\x54\x00": "QEMU",
    b"\x02\x42": "Docker",
}  # fmt: skip

FIELDS = catalog(
    ether("eth.dst", "Destination"),
    ether("eth.src", "Source"),
    u16("eth.type", "Type", Base.HEX, ETHERTYPES),
    u16("eth.len", "Length"),
    flag("eth.ig", "Group address"),
    flag("eth.lg", "Locally administered"),
    octets("eth.padding", "Padding"),
    octets("eth.trailer", "Trailer"),
    u32("eth.fcs", "Frame check sequence", Base.HEX),
)


def dissect(c: Cursor) -> None:
    _address(c, "eth.dst")
    _address(c, "eth.src")
    kind = c.peek_uint(2)
    if kind <= MAX_LENGTH:
        length = c.uint("eth.len", 2)
        c.layer.title = "IEEE 802.3"
        c.payload("llc", "llc", length, "the type field holds a length: LLC follows (IEEE 802.3, 3.2.6)")
        _rest(c)
    else:
        c.uint("eth.type", 2)
        c.payload("ethertype", kind, inner_size(c, kind))
        _rest(c)
    src, dst = (cell(c.spec(name), c.layer.value(name)) for name in ("eth.src", "eth.dst"))
    c.layer.summary = f"{src} → {dst}"


def _address(c: Cursor, name: str) -> None:
    start = c.pos
    value = c.octets(name, 6)
    field = c.layer.fields[-1]
    for label, bit in (("eth.lg", 6), ("eth.ig", 7)):
        child = c.add(label, bool(value[0] >> 7 - bit & 1), start, start + 1, bits=(bit, 1))
        c.layer.fields.remove(child)
        field.children.append(child)


def _rest(c: Cursor) -> None:
    """Padding, trailer and check sequence: what is behind the packet inside."""
    if not c.remaining:
        return
    check = 4 if c.remaining >= 4 and c.stop - c.start >= MIN_SIZE + 4 and _checks(c) else 0
    padding = max(min(MIN_SIZE - (c.pos - c.start), c.remaining - check), 0)
    if padding:
        c.octets("eth.padding", padding)
    if c.remaining > check:
        c.octets("eth.trailer", c.remaining - check)
    if check:
        c.uint("eth.fcs", 4, little=True)


def _checks(c: Cursor) -> bool:
    frame = c.slice(c.start, c.stop)
    return zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")


def explain(layer: Layer) -> list[Note]:
    destination, source = layer.find("eth.dst"), layer.find("eth.src")
    if destination is None or source is None:
        return []
    notes = []
    to, sender = bytes(destination.value), bytes(source.value)
    kind = layer.find("eth.type") or layer.find("eth.len")
    holds = f" It carries {kind.text}." if kind is not None and kind.name == "eth.type" else ""
    group = next(((words, where) for start, words, where in GROUPS if to.startswith(start)), None)
    if to == sender == NOBODY:
        why = f"Both addresses are zero: the loopback interface has no card, and the frame never leaves this host.{holds}"
        return [Note(destination.span, "no link at all", why, "IEEE 802.3, 3.2.3")]
    if to == BROADCAST:
        why = f"From {source.text} to every station on the link: each must look inside to see whether it is meant.{holds}"
        notes.append(Note(destination.span, "to everybody", why, "IEEE 802.3, 3.2.3"))
    elif to[0] & 1:
        words, where = group or ("whoever listens to this address", "IEEE 802.3, 3.2.3")
        why = f"From {source.text} to the group {destination.text}: {words}. The lowest bit of the first byte says"
        why += f" group.{holds}"
        notes.append(Note(destination.span, "to a group", why, where))
    else:
        why = f"From {source.text} to {destination.text}, which is the next hop on this link: the host, or a router.{holds}"
        notes.append(Note(destination.span, "one link", why, "IEEE 802.3, 3.2.3"))
    notes.append(_whose(source.span, sender, source.text))
    padding = layer.find("eth.padding")
    if padding is not None:
        size = padding.span.size
        why = f"{counted(size, 'byte')} that mean nothing: a frame has at least 60 (64 with its check"
        why += " sequence)."
        notes.append(Note(padding.span, "padding", why, "IEEE 802.3, 4.4.2", Rank.DETAIL))
    elif layer.span.size < MIN_SIZE:
        why = f"{layer.span.size} bytes: a network card pads that to 60, behind the place where this was captured."
        notes.append(Note(layer.span, "not padded yet", why, "IEEE 802.3, 4.4.2", Rank.BACKGROUND))
    check = layer.find("eth.fcs")
    if check is not None:
        why = f"{check.text} fits the bytes before it: no bit of the frame was hurt on this link."
        notes.append(Note(check.span, "check sequence", why, "IEEE 802.3, 3.2.9", Rank.DETAIL))
    return notes


def _whose(at: Span, address: bytes, text: str) -> Note:
    """Who gave the sender its address."""
    maker = next((name for start, name in MAKERS.items() if address.startswith(start)), "")
    if address.startswith(b"\x00\x00\x5e\x00\x53"):
        why = f"{text} is set aside for documentation."
        return Note(at, "whose address", why, "RFC 9542, 2.1.4", Rank.BACKGROUND)
    if address[0] & 2:
        by = f", as {maker} does" if maker else ""
        why = f"{text} was given by software (the second lowest bit of its first byte says so){by}: virtual machines,"
        why += " containers, private Wi-Fi."
        return Note(at, "locally administered", why, "RFC 9542, 2.1.1", Rank.BACKGROUND)
    whose = f"are {maker}'s" if maker else "lead to who made the card, in the IEEE's registry (some makers share them)"
    why = f"The first 24 bits of {text} {whose}."
    return Note(at, "whose address", why, "RFC 9542, 2.1.2", Rank.BACKGROUND)


CARD = Card(
    "binary: destination, source and type, six, six and two octets; then the payload",
    "frames of 64 to 1,518 octets, each on its own",
    "48-bit hardware addresses, of one station, a group, or all",
    "full duplex on a switched link",
    "none in the stations; switches remember which address is behind which port",
    "switches, by the destination; never beyond the link",
    "pause frames (802.3x), rarely used; none of congestion",
    "a checksum (FCS) over the frame, mostly not captured; a damaged frame is dropped, nothing is sent again",
)
PROTOCOL = Protocol(
    "eth", "Ethernet II", 2, FIELDS, dissect,
    keys={"link": [1], "ethernet": ["ethernet"], "ethertype": [0x6558]}, explain=explain,
    reference="IEEE 802.3", card=CARD,
)  # fmt: skip
