"""NTP, versions 1 to 4, and SNTP (RFC 5905; RFC 1305 for control messages).

Not here: the bodies of control (mode 6) and private (mode 7) messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, octets, sint, time, u8, u16, u32, uint
from inspector.core.layer import Layer, Note
from inspector.core.protocol import Card, Protocol

MODES = {0: "reserved", 1: "symmetric active", 2: "symmetric passive", 3: "client", 4: "server", 5: "broadcast",
         6: "control", 7: "private"}  # fmt: skip
LEAPS = {0: "no warning", 1: "last minute has 61 seconds", 2: "last minute has 59 seconds", 3: "clock not synchronised"}
SERVER, CONTROL, PRIVATE = 4, 6, 7
TO_1970 = 2_208_988_800  # seconds from 1900 to 1970 (RFC 5905, 6)
ERA = 1 << 32  # seconds; era 1 begins in 2036
MACS = (4, 20, 24)  # octets behind the last extension that are a key and a digest, or a crypto-NAK (RFC 7822, 3)

FIELDS = catalog(
    u8("ntp.flags", "Flags", Base.HEX),
    uint("ntp.flags.li", "Leap indicator", 2, values=LEAPS),
    uint("ntp.flags.vn", "Version", 3),
    uint("ntp.flags.mode", "Mode", 3, values=MODES),
    u8("ntp.stratum", "Stratum"),
    sint("ntp.ppoll", "Poll interval, as a power of two in seconds", 8),
    sint("ntp.precision", "Precision, as a power of two in seconds", 8),
    u32("ntp.rootdelay", "Root delay"),
    u32("ntp.rootdispersion", "Root dispersion"),
    octets("ntp.refid", "Reference"),
    time("ntp.reftime", "Reference time"),
    time("ntp.org", "Origin time"),
    time("ntp.rec", "Receive time"),
    time("ntp.xmt", "Transmit time"),
    heading("ntp.ext", "Extension"),
    u16("ntp.ext.type", "Type", Base.HEX),
    u16("ntp.ext.length", "Length"),
    octets("ntp.ext.value", "Value"),
    octets("ntp.keyid", "Key"),
    octets("ntp.mac", "Message authentication code"),
    octets("ntp.data", "Message"),
)


def dissect(c: Cursor) -> None:
    flags = c.flags("ntp.flags", 1, ("ntp.flags.li", 2), ("ntp.flags.vn", 3), ("ntp.flags.mode", 3))
    mode = flags & 7
    c.layer.summary = f"version {flags >> 3 & 7}, {MODES[mode]}"
    if mode in (CONTROL, PRIVATE):
        if c.remaining:
            c.octets("ntp.data", c.remaining)
        return
    stratum = c.uint("ntp.stratum", 1)
    c.layer.summary += f", stratum {stratum}"
    c.sint("ntp.ppoll", 1)
    c.sint("ntp.precision", 1)
    for name in ("ntp.rootdelay", "ntp.rootdispersion"):
        value = c.uint(name, 4)
        c.last.text = f"{value / 65536:.6f} s"  # NTP short format: 16 bits of fraction (RFC 5905, 6)
    reference = c.octets("ntp.refid", 4)
    if stratum < 2:  # a code of four letters; behind it, an address (RFC 5905, 7.3)
        c.last.text = reference.rstrip(b"\0").decode("ascii", "backslashreplace")
    for name in ("ntp.reftime", "ntp.org", "ntp.rec", "ntp.xmt"):
        _timestamp(c, name)
    while c.remaining >= 16 and c.remaining not in MACS:
        with c.group("ntp.ext"):
            c.uint("ntp.ext.type", 2)
            size = c.uint("ntp.ext.length", 2)
            c.octets("ntp.ext.value", size - 4)
    if c.remaining:
        c.octets("ntp.keyid", 4)
    if c.remaining:
        c.octets("ntp.mac", c.remaining)


def _timestamp(c: Cursor, name: str) -> None:
    """64 bits: seconds since 1900, and a fraction. The first bit tells the era, as it does until 2104 (RFC 4330, 3)."""
    seconds, fraction = c.peek_uint(4), c.peek_uint(4, 4)
    begun = seconds if seconds >> 31 else seconds + ERA
    value = (begun - TO_1970) * 1_000_000_000 + (fraction * 1_000_000_000 >> 32)
    if not seconds and not fraction:
        c.add(name, 0, c.pos, c.pos + 8, "not known")
    else:
        c.add(name, value, c.pos, c.pos + 8)
    c.skip(8)


def explain(layer: Layer) -> Sequence[Note]:
    stratum, reference = layer.find("ntp.stratum"), layer.find("ntp.refid")
    if stratum is None or reference is None or layer.value("ntp.flags.mode") != SERVER:
        return ()
    if stratum.value == 0:
        why = f"Stratum 0 in an answer is a kiss-o'-death, with the code {reference.text}: the time in it means nothing."
        return [Note(stratum.span, "The server refuses", why, "RFC 5905, 7.4")]
    if stratum.value == 1:
        return [Note(stratum.span, "A primary server", "It has a reference clock of its own, such as GPS.", "RFC 5905, 7.3")]
    return ()


CARD = Card(
    data_format="48 octets of binary header; extensions and a digest may follow",
    transfer_mode="request and answer, each in one datagram",
    addressing="UDP port 123",
    directionality="either way; mostly a client asks",
    state="none in the server: the client's time comes back in the answer",
    routing="strata: each server is one further from a reference clock",
    control="the poll interval, and the kiss-o'-death",
    errors="none: a lost datagram is asked for again at the next poll",
)
PROTOCOL = Protocol(
    "ntp", "NTP", 7, FIELDS, dissect, keys={"udp.port": [123]}, explain=explain, card=CARD, reference="RFC 5905"
)
