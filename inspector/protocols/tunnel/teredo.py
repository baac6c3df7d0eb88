"""Teredo: IPv6 over UDP through address translators (RFC 4380, section 5.1.1)."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, heading, ipv4, octets, u8, u16
from inspector.core.protocol import Protocol, Sniff

AUTHENTICATION, ORIGIN = 0x0001, 0x0000
PREFIX = b"\x20\x01\x00\x00"  # 2001::/32, every Teredo address (RFC 4380, 2.6)

FIELDS = catalog(
    heading("teredo.auth", "Authentication"),
    u16("teredo.indicator", "Indicator", Base.HEX),
    u8("teredo.auth.idlen", "Length of the client identifier"),
    u8("teredo.auth.aulen", "Length of the authentication value"),
    octets("teredo.auth.id", "Client identifier"),
    octets("teredo.auth.value", "Authentication value"),
    octets("teredo.auth.nonce", "Nonce"),
    octets("teredo.auth.conf", "Confirmation"),
    heading("teredo.orig", "Origin"),
    u16("teredo.orig.port", "Port"),
    ipv4("teredo.orig.addr", "Address"),
)


def dissect(c: Cursor) -> None:
    c.layer.summary = "IPv6 over UDP"
    if c.remaining >= 2 and c.peek_uint(2) == AUTHENTICATION:
        with c.group("teredo.auth"):
            c.uint("teredo.indicator", 2)
            identifier, value = c.uint("teredo.auth.idlen", 1), c.uint("teredo.auth.aulen", 1)
            if identifier:
                c.octets("teredo.auth.id", identifier)
            if value:
                c.octets("teredo.auth.value", value)
            c.octets("teredo.auth.nonce", 8)
            c.octets("teredo.auth.conf", 1)
    if c.remaining >= 2 and c.peek_uint(2) == ORIGIN:
        with c.group("teredo.orig"):
            c.uint("teredo.indicator", 2)
            # Both are sent inverted, so that no translator on the way rewrites them (RFC 4380, 5.1.1).
            at = c.pos
            port, address = c.peek_uint(2) ^ 0xFFFF, bytes(byte ^ 0xFF for byte in c.peek(4, 2))
            c.need(6)
            c.add("teredo.orig.port", port, at, at + 2)
            c.add("teredo.orig.addr", address, at + 2, at + 6)
            c.layer.summary = f"origin {c.last.text}:{port}"
            c.skip(6)
    version = c.peek(1)[0] >> 4 if c.remaining else 0
    c.payload("ip.version" if version == 6 else "teredo", version, None, "Teredo carries IPv6 (RFC 4380, 5.1)")


def sniff(prefix: bytes) -> Sniff:
    """IPv6 behind the indicators; sure where one of its addresses is Teredo's."""
    at = 0
    if prefix[:2] == b"\0\x01" and len(prefix) >= 4:
        at = 13 + prefix[2] + prefix[3]
    if prefix[at : at + 2] == b"\0\0":
        at += 8
    header = prefix[at : at + 40]
    if not header or header[0] >> 4 != 6:
        return Sniff.NO
    return Sniff.YES if PREFIX in (header[8:12], header[24:28]) else Sniff.NEED_MORE


PROTOCOL = Protocol("teredo", "Teredo", 4, FIELDS, dissect, keys={"udp.port": [3544]}, sniff=sniff, reference="RFC 4380")
