"""Notes on what one packet says by itself: Ethernet, ARP, both versions of IP, UDP, ICMP, alerts, methods and status codes."""

from __future__ import annotations

import struct

import pytest
from packets import dissect

from inspector.core.layer import Layer
from inspector.core.span import Derived, Span
from inspector.protocols.http.semantics import of_method, of_status
from inspector.protocols.network.addresses import block, hops
from inspector.protocols.tls.record import FIELDS as RECORD
from inspector.protocols.tls.record_notes import explain as explain_record

A, B = bytes([192, 0, 2, 10]), bytes([192, 0, 2, 80])
MAC_A, MAC_B = bytes.fromhex("00005e00530a"), bytes.fromhex("00005e005350")


def told(data: bytes, protocol: str) -> dict[str, str]:
    layer = dissect(data).find(protocol)
    assert layer is not None
    return {note.title: note.why for note in layer.notes}


def ethernet(to: bytes = MAC_B, sender: bytes = MAC_A, kind: int = 0x0800, body: bytes = b"") -> bytes:
    return to + sender + kind.to_bytes(2, "big") + body


def ipv4(body: bytes = bytes(40), source: bytes = A, target: bytes = B, dsfield: int = 0, id: int = 0x1234,
         offset: int = 0x4000, ttl: int = 64, protocol: int = 17) -> bytes:  # fmt: skip
    head = struct.pack("!BBHHHBBH", 0x45, dsfield, 20 + len(body), id, offset, ttl, protocol, 0)
    return ethernet(body=head + source + target + body)


def udp(source: int, target: int, data: bytes = bytes(30), checksum: int = 0) -> bytes:
    return ipv4(struct.pack("!HHHH", source, target, 8 + len(data), checksum) + data)


@pytest.mark.parametrize(
    ("to", "sender", "title", "words"),
    [
        (b"\xff" * 6, MAC_A, "to everybody", "every station on the link"),
        (bytes.fromhex("333300000001"), MAC_A, "to a group", "IPv6 group whose address ends in the same 32 bits"),
        (bytes.fromhex("01005e0000fb"), MAC_A, "to a group", "IPv4 group whose address ends in the same 23 bits"),
        (bytes.fromhex("0180c2000000"), MAC_A, "to a group", "do not forward"),
        (MAC_B, MAC_A, "one link", "next hop"),
        (bytes(6), bytes(6), "no link at all", "loopback"),
        (MAC_B, bytes.fromhex("0242ac110002"), "locally administered", "as Docker does"),
        (MAC_B, bytes.fromhex("005056000001"), "whose address", "are VMware's"),
        (MAC_B, MAC_A, "whose address", "set aside for documentation"),
    ],
)
def test_who_is_meant_on_the_link(to: bytes, sender: bytes, title: str, words: str) -> None:
    assert words in told(ethernet(to, sender, body=bytes(60)), "eth")[title]


def test_padding() -> None:
    short = udp(50_000, 53, b"x")
    assert "43 bytes: a network card pads that to 60" in told(short, "eth")["not padded yet"]
    assert told(short + bytes(60 - len(short)), "eth")["padding"].startswith("17 bytes")


def arp(opcode: int, source: bytes, target: bytes, known: bytes = bytes(6), sender: bytes = MAC_A) -> bytes:
    return ethernet(kind=0x0806, body=b"\0\1\x08\0\6\4" + opcode.to_bytes(2, "big") + sender + source + known + target)


@pytest.mark.parametrize(
    ("packet", "title", "words"),
    [
        (arp(1, A, B), "who has 192.0.2.80?", "192.0.2.10 has a packet for 192.0.2.80"),
        (arp(1, bytes(4), B), "probe", "asks whether anybody has it"),
        (arp(1, A, A), "announcement", "nobody asked"),
        (arp(2, A, A), "announcement", "nobody asked"),
        (arp(1, A, B, MAC_B), "still there?", "asks it alone"),
        (arp(1, A, B, b"\xff" * 6), "who has 192.0.2.80?", "192.0.2.10 has a packet for 192.0.2.80"),
        (arp(2, B, A, MAC_A, MAC_B), "the answer", "192.0.2.80 is at 00:00:5e:00:53:50"),
        (arp(3, A, B), "the other way round", "RARP request"),
    ],
)
def test_arp(packet: bytes, title: str, words: str) -> None:
    assert words in told(packet, "arp")[title]


@pytest.mark.parametrize(
    ("packet", "title", "words"),
    [
        (ipv4(dsfield=0xB8), "which queue", "DSCP 46 (EF) asks for expedited forwarding"),
        (ipv4(dsfield=0x28), "which queue", "assured forwarding, class 1, drop precedence 1"),
        (ipv4(dsfield=3), "congestion experienced", "marked this packet"),
        (ipv4(dsfield=2), "may be marked", "need not drop"),
        (ipv4(offset=0x2000), "fragment", "Bytes 0 to 39 of datagram 0x1234; more follow"),
        (ipv4(offset=0x0005), "fragment", "Bytes 40 to 79 of datagram 0x1234; the last piece"),
        (ipv4(offset=0), "may be cut", "identification 0x1234"),
        (ipv4(), "don't fragment", "identification 0x1234"),
        (ipv4(source=bytes([10, 0, 0, 1]), target=bytes([8, 8, 8, 8])), "whose addresses", "sender's address is private"),
        (ipv4(target=bytes([224, 0, 0, 251])), "whose addresses", "a group on this link"),
    ],
)
def test_ipv4(packet: bytes, title: str, words: str) -> None:
    assert words in told(packet, "ip")[title]


@pytest.mark.parametrize(("left", "expected"), [(64, (64, 0)), (57, (64, 7)), (128, (128, 0)), (65, (128, 63))])
def test_routers_passed(left: int, expected: tuple[int, int]) -> None:
    assert hops(left) == expected


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("7f000001", "this host itself"), ("c0a80101", "private"), ("08080808", ""), ("ffffffff", "everybody on this link"),
        ("a9fe0101", "link-local"), ("fe80" + "0" * 28, "link-local"), ("0" * 31 + "1", "this host itself"),
        ("ff020000000000000000000000000001", "every node"), ("ff0200000000000000000001ff000080", "solicited-node"),
        ("fd00" + "0" * 28, "unique local"), ("2001" + "0" * 28, ""),
    ],
)  # fmt: skip
def test_blocks_of_addresses(address: str, words: str) -> None:
    found = block(bytes.fromhex(address))
    assert words in (found.words if found is not None else "") and (found is None) is (not words)


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ((50_000, 53), "It goes to port 53"), ((53, 50_000), "It comes from port 53"), ((68, 67), "From port 68 to port 67."),
        ((123, 123), "Port 123 at both ends"), ((10_000, 40_000), "From port 10,000 to port 40,000."),
    ],
)  # fmt: skip
def test_ports_are_told_as_far_as_they_are_known(ports: tuple[int, int], words: str) -> None:
    assert told(udp(*ports), "udp")["a datagram that stands alone"].startswith(words)


def test_a_datagram_without_a_checksum() -> None:
    assert "the sender made none" in told(udp(50_000, 53), "udp")["no checksum"]
    assert "no checksum" not in told(udp(50_000, 53, checksum=1), "udp")


@pytest.mark.parametrize(
    ("kind", "code", "word", "words"),
    [
        (3, 4, 1400, "larger than the next link takes, 1,400 bytes"), (3, 4, 0, "it does not say how many bytes"),
        (3, 13, 0, "A filter on a router"), (11, 0, 0, "traceroute"), (12, 0, 9 << 24, "wrong at byte 9"),
        (5, 1, 0xC0000201, "192.0.2.1 is the better next hop"),
    ],
)  # fmt: skip
def test_icmp_errors(kind: int, code: int, word: int, words: str) -> None:
    quoted = ipv4(bytes(8))[14:]
    body = struct.pack("!BBHI", kind, code, 0, word) + quoted
    assert any(words in why for why in told(ipv4(body, protocol=1), "icmp").values())


@pytest.mark.parametrize(
    ("flags", "words"),
    [(0x60, "whoever asked remembers it"), (0x20, "Caches that know it are to be corrected."), (0, "whether what they know")],
)
def test_a_neighbour_that_speaks_unasked_corrects_caches_where_it_says_so(flags: int, words: str) -> None:
    own, group = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("ff02" + "00" * 13 + "01")
    body = bytes([136, 0, 0, 0, flags, 0, 0, 0]) + own
    packet = ethernet(kind=0x86DD, body=struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + own + group + body)
    assert words in told(packet, "icmpv6")["neighbour found"]


@pytest.mark.parametrize(
    ("level", "number", "reference", "words"),
    [
        (1, 0, "RFC 8446, 6.1", "said all it will say"), (1, 112, "RFC 5246, 7.2", "may go on"),
        (2, 48, "RFC 8446, 6.2; RFC 5246, 7.2.2", "does not know the authority"),
        (1, 100, "RFC 5246, 7.2.2", "may go on"), (2, 99, "RFC 8446, 6.2", "over for both"),
    ],
)  # fmt: skip
def test_alerts(level: int, number: int, reference: str, words: str) -> None:
    from inspector.core.field import Field

    data = Derived("record", "record", bytes(7), [])
    layer = Layer("tls", "TLS record", 6, Span(data, 0, 7))
    layer.fields = [
        Field(RECORD["tls.alert_message.level"], level, Span(data, 5, 6)),
        Field(RECORD["tls.alert_message.desc"], number, Span(data, 6, 7)),
    ]
    (note,) = explain_record(layer)
    assert note.reference.startswith(reference) and words in note.why and note.at == Span(data, 6, 7)


def test_methods_and_status_codes() -> None:
    why, reference = of_method("PUT", "/x")
    assert "idempotent" in why and "/x" in why and reference == "RFC 9110, 9.3.4 and 9.2.2"
    assert of_method("PATCH", "/x")[1] == "RFC 5789, 2" and "no method of HTTP itself" in of_method("BREW", "/x")[0]
    assert of_status(429) == ("429: too many requests in a time; Retry-After may say when to come again.", "RFC 6585, 4")
    assert of_status(299)[1] == "RFC 9110, 15.3" and of_status(999) == ("", "")
