"""IEEE 802.11 frames (clause 9.2 to 9.3), and the radiotap header that captures put in front (radiotap.org).

Not here: the bodies of management frames, A-MSDU, decryption, and radiotap's fields beyond the flags.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, cell, ether, flag, octets, u8, u16, u32, u64, uint
from inspector.core.protocol import Protocol

MANAGEMENT, CONTROL, DATA = 0, 1, 2
QOS, NO_DATA = 8, 4  # bits of a data frame's subtype
TYPES = {MANAGEMENT: "management", CONTROL: "control", DATA: "data", 3: "extension"}
SUBTYPES = {
    0x00: "association request", 0x01: "association response", 0x02: "reassociation request", 0x03: "reassociation response",
    0x04: "probe request", 0x05: "probe response", 0x08: "beacon", 0x0A: "disassociation", 0x0B: "authentication",
    0x0C: "deauthentication", 0x0D: "action", 0x18: "block ack request", 0x19: "block ack", 0x1A: "PS-poll", 0x1B: "RTS",
    0x1C: "CTS", 0x1D: "ack", 0x20: "data", 0x24: "null", 0x28: "QoS data", 0x2C: "QoS null",
}  # fmt: skip
ONE_ADDRESS = (0x1C, 0x1D)
SNAP = b"\xaa\xaa\x03"
TSFT, RADIOTAP_FLAGS, MORE = 1 << 0, 1 << 1, 1 << 31  # bits of radiotap's presence words
WITH_FCS = 0x10  # a bit of radiotap's flags: the check sequence was captured
PADDED = 0x20  # … and the header is padded to a multiple of 4 bytes

FIELDS = catalog(
    u16("wlan.fc", "Frame control", Base.HEX),
    uint("wlan.fc.version", "Version", 2),
    uint("wlan.fc.type", "Type", 2, values=TYPES),
    uint("wlan.fc.subtype", "Subtype", 4),
    uint("wlan.fc.type_subtype", "Type and subtype", 6, Base.HEX, SUBTYPES),
    flag("wlan.fc.order", "Order, or HT control is there"),
    flag("wlan.fc.protected", "Protected"),
    flag("wlan.fc.moredata", "More data"),
    flag("wlan.fc.pwrmgt", "Power management"),
    flag("wlan.fc.retry", "Retry"),
    flag("wlan.fc.frag", "More fragments"),
    flag("wlan.fc.fromds", "From the distribution system"),
    flag("wlan.fc.tods", "To the distribution system"),
    u16("wlan.duration", "Duration"),
    ether("wlan.ra", "Receiver"),
    ether("wlan.ta", "Transmitter"),
    ether("wlan.da", "Destination"),
    ether("wlan.sa", "Source"),
    ether("wlan.bssid", "BSS"),
    uint("wlan.seq", "Sequence number", 12),
    uint("wlan.frag", "Fragment number", 4),
    u16("wlan.qos", "QoS control", Base.HEX),
    u32("wlan.ht", "HT control", Base.HEX),
    octets("wlan.body", "Body"),
    u32("wlan.fcs", "Frame check sequence", Base.HEX),
    octets("wlan.padding", "Padding"),
)
RADIOTAP_FIELDS = catalog(
    u8("radiotap.version", "Version"),
    u8("radiotap.pad", "Padding"),
    u16("radiotap.length", "Length"),
    u32("radiotap.present.word", "Which fields are there", Base.HEX),
    u64("radiotap.mactime", "MAC time stamp"),
    u8("radiotap.flags", "Flags", Base.HEX),
    octets("radiotap.rest", "Other fields"),
)


def dissect(c: Cursor) -> None:
    _frame(c, swapped=False)


def dissect_swapped(c: Cursor) -> None:
    """As in CAPWAP, where the two octets of the frame control field are often found the other way round."""
    _frame(c, swapped=True)


def _frame(c: Cursor, swapped: bool) -> None:
    control = c.flags(
        "wlan.fc", 2, ("wlan.fc.order", 1), ("wlan.fc.protected", 1), ("wlan.fc.moredata", 1), ("wlan.fc.pwrmgt", 1),
        ("wlan.fc.retry", 1), ("wlan.fc.frag", 1), ("wlan.fc.fromds", 1), ("wlan.fc.tods", 1), ("wlan.fc.subtype", 4),
        ("wlan.fc.type", 2), ("wlan.fc.version", 2), little=not swapped,
    )  # fmt: skip
    kind, subtype = control >> 2 & 3, control >> 4 & 15
    name = kind << 4 | subtype
    c.generated("wlan.fc.type_subtype", name, c.last.span)
    c.layer.summary = SUBTYPES.get(name, f"{TYPES[kind]}, subtype {subtype}")
    c.uint("wlan.duration", 2, little=True)
    stop = c.stop - (4 if c.context.info.get("fcs") else 0)
    _addresses(c, kind, name, control)
    if kind == CONTROL:
        if c.pos < stop:
            c.octets("wlan.body", stop - c.pos)
    else:
        if kind == DATA and subtype & QOS:
            c.uint("wlan.qos", 2, little=True)
        if kind == DATA and subtype & QOS and control & 0x8000:
            c.uint("wlan.ht", 4, little=True)
        padding = min(-(c.pos - c.start) % 4 if c.context.info.get("padded") else 0, max(stop - c.pos, 0))
        if padding:
            c.octets("wlan.padding", padding)
        _body(c, kind, subtype, control, max(stop - c.pos, 0))
    if c.context.info.get("fcs") and c.remaining >= 4:
        c.uint("wlan.fcs", 4, little=True)


def _addresses(c: Cursor, kind: int, name: int, control: int) -> None:
    if kind == CONTROL:
        c.octets("wlan.ra", 6)
        if name not in ONE_ADDRESS:
            c.octets("wlan.ta", 6)
        return
    to_ds, from_ds = (control >> 8 & 1, control >> 9 & 1) if kind == DATA else (0, 0)
    # What the addresses mean follows from the two bits (802.11, table 9-30).
    order = {(0, 0): ("da", "sa", "bssid"), (0, 1): ("da", "bssid", "sa"), (1, 0): ("bssid", "sa", "da"),
             (1, 1): ("ra", "ta", "da")}[to_ds, from_ds]  # fmt: skip
    for at in order:
        c.octets(f"wlan.{at}", 6)
    c.bits(2, ("wlan.seq", 12), ("wlan.frag", 4), little=True)
    if to_ds and from_ds:
        c.octets("wlan.sa", 6)
    ends = [c.layer.find("wlan.sa"), c.layer.find("wlan.da")]
    c.layer.summary += "  " + " → ".join(cell(field.spec, field.value) for field in ends if field is not None)


def _body(c: Cursor, kind: int, subtype: int, control: int, size: int) -> None:
    if kind == DATA and not subtype & NO_DATA and size:
        # A capture of decrypted traffic keeps the bit: a SNAP header in clear says so.
        if not control & 0x4000 or c.peek(3) == SNAP:
            c.payload("llc", "llc", size, "a data frame of 802.11 carries LLC")
            return
        c.layer.summary += ", encrypted"
    if size:
        c.octets("wlan.body", size)


def dissect_radiotap(c: Cursor) -> None:
    c.uint("radiotap.version", 1)
    c.uint("radiotap.pad", 1)
    length = c.uint("radiotap.length", 2, little=True)
    with c.within(max(length - 4, 0)):
        first = present = c.uint("radiotap.present.word", 4, little=True)
        while present & MORE:
            present = c.uint("radiotap.present.word", 4, little=True)
        flags = 0
        if first & TSFT:
            gap = -(c.pos - c.start) % 8  # fields are aligned to their size
            if gap:
                c.octets("radiotap.rest", gap)
            c.uint("radiotap.mactime", 8, little=True)
        if first & RADIOTAP_FLAGS:
            flags = c.uint("radiotap.flags", 1)
        if c.remaining:
            c.octets("radiotap.rest", c.remaining)
    c.layer.summary = f"{length} bytes of radio information"
    c.context.info = {**c.context.info, "fcs": bool(flags & WITH_FCS), "padded": bool(flags & PADDED)}
    c.payload("link", 105, None, "radiotap stands in front of an 802.11 frame")


PROTOCOL = Protocol("wlan", "802.11", 2, FIELDS, dissect, keys={"link": [105]}, reference="IEEE 802.11")
SWAPPED = Protocol("wlan", "802.11", 2, FIELDS, dissect_swapped, keys={"capwap": ["802.11"]}, reference="IEEE 802.11")
RADIOTAP = Protocol("radiotap", "Radiotap", 1, RADIOTAP_FIELDS, dissect_radiotap, keys={"link": [127]})
