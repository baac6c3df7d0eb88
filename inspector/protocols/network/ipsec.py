"""IPsec: the authentication header (RFC 4302) and the encapsulating security payload (RFC 4303), also over UDP (RFC 3948).

Not here: decryption.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, octets, u8, u16, u32
from inspector.core.protocol import Protocol
from inspector.protocols.network.ip_protocols import IP_PROTOCOLS
from inspector.protocols.network.ipv6_extensions import follow

FIELDS = catalog(
    u8("ah.next_header", "Next header", values=IP_PROTOCOLS),
    u8("ah.length", "Length in words of 4 bytes beyond two"),
    u16("ah.reserved", "Reserved", Base.HEX),
    u32("ah.spi", "Security parameters index", Base.HEX),
    u32("ah.sequence", "Sequence number"),
    octets("ah.icv", "Integrity check value"),
)
ESP_FIELDS = catalog(
    u32("esp.spi", "Security parameters index", Base.HEX),
    u32("esp.sequence", "Sequence number"),
    octets("esp.encrypted_data", "Encrypted data"),
)
UDP_FIELDS = catalog(
    octets("udpencap.nat_keepalive", "Keep-alive"),
    octets("udpencap.non_esp_marker", "Marker of IKE"),
)
KEEPALIVE, MARKER = b"\xff", bytes(4)


def dissect(c: Cursor) -> None:
    following = c.uint("ah.next_header", 1)
    size = 4 * (c.uint("ah.length", 1) + 2) - 8
    c.uint("ah.reserved", 2)
    c.layer.summary = f"SPI 0x{c.uint('ah.spi', 4):08x}"
    with c.within(size):
        if size >= 4:  # the first AH had no sequence number (RFC 1826)
            c.layer.summary += f", sequence {c.uint('ah.sequence', 4):,}"
        if c.remaining:
            c.octets("ah.icv", c.remaining)
    follow(c, following)


def dissect_esp(c: Cursor) -> None:
    spi, sequence = c.uint("esp.spi", 4), c.uint("esp.sequence", 4)
    c.layer.summary = f"SPI 0x{spi:08x}, sequence {sequence:,}, encrypted"
    if c.remaining:
        c.octets("esp.encrypted_data", c.remaining)


def dissect_udp(c: Cursor) -> None:
    if c.peek(2) == KEEPALIVE:  # one octet and no more
        c.octets("udpencap.nat_keepalive", 1)
        c.layer.summary = "keep-alive of the address translation"
    elif c.peek(4) == MARKER:  # no SPI is zero
        c.octets("udpencap.non_esp_marker", 4)
        c.layer.summary = "IKE"
        c.payload("udp.port", (500, 500), None, "four zeros in front are the marker of IKE (RFC 3948, 2.2)")
    else:
        c.layer.summary = "ESP"
        c.payload("ip.proto", 50, None, "no marker of IKE in front: ESP (RFC 3948, 2.1)")


AH = Protocol("ah", "IPsec AH", 3, FIELDS, dissect, keys={"ip.proto": [51]}, reference="RFC 4302")
ESP = Protocol("esp", "IPsec ESP", 3, ESP_FIELDS, dissect_esp, keys={"ip.proto": [50]}, reference="RFC 4303")
UDP_ENCAPSULATION = Protocol(
    "udpencap", "IPsec over UDP", 4, UDP_FIELDS, dissect_udp, keys={"udp.port": [4500]}, reference="RFC 3948"
)
