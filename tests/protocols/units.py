"""Real units of every protocol: from the bundled captures, the vectors of the other tests, and a few that only stand here."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import test_borrowed
import test_starttls
from packets import REGISTRY, dissect
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from talk import C, S, talk
from test_tls_handshake import ssl2_hello

from inspector.core.packet import Packet
from inspector.core.span import Derived, Span
from inspector.dissection.engine import Dissection, Engine
from inspector.session import open_session
from inspector.sources.bundled import bundled

MAX_PACKETS = 80  # of a capture: what comes later is more of the same
MAX_UNIT = 1500  # bytes: longer units say the same in more time
ENGINE = Engine(REGISTRY, strict=True)


class Unit(NamedTuple):
    """The bytes of one layer, and what its stream's parser knew of them."""

    protocol: str
    data: bytes
    start: int  # in its buffer: what the parser knew may name places
    info: dict[str, Any]
    source: str


def of_bytes(unit: Unit, data: bytes) -> Dissection:
    """The unit's layers, were its bytes `data`; bugs come through."""
    buffer = Derived("unit:0", "unit", bytes(unit.start) + data, ())
    packet = Packet(1, 0, 1, len(data), b"")
    info = dict(unit.info)
    if data != unit.data:
        info.pop("records", None)  # what keys have opened, they opened of the bytes as they were
    return ENGINE.unit(packet, unit.protocol, Span(buffer, unit.start, unit.start + len(data)), info)


@functools.cache
def units() -> dict[str, list[Unit]]:
    """Some units of every protocol: of each source the first, then the others by length, short ones first."""
    found: dict[str, dict[bytes, Unit]] = {}

    def take(result: Dissection, info: dict[str, Any], source: str) -> None:
        for layer in result.layers:
            data = layer.span.read()
            known = found.setdefault(layer.protocol, {})
            if data and (len(data) <= MAX_UNIT or not known):
                known.setdefault(data, Unit(layer.protocol, data, layer.span.start, info, source))

    for entry in bundled():
        session = open_session(str(entry.path))
        try:
            for number in range(1, min(session.count, MAX_PACKETS) + 1):
                own = session.layers(number)
                take(own, {}, entry.name)
                flow = session.index.flow_of(number)
                if own.last("tcp") is not None:
                    for pdu in session.conversation(flow).pdus(number):
                        info = {**pdu.info, "time_of": lambda _: 0, "schema": None}
                        take(session.unit(pdu), info, entry.name)
        finally:
            session.close()
    for source, data, link in _packets():
        take(dissect(data, link), {}, source)
    for source, (steps, port) in _talks().items():
        for unit in talk(steps, ports=(40000, port)):
            take(unit.dissection, {**unit.pdu.info, "time_of": lambda _: 0}, source)
    return {name: sorted(of.values(), key=lambda unit: len(unit.data)) for name, of in found.items()}


def few(protocol: str, most: int) -> list[Unit]:
    """Some of a protocol's units, of every length."""
    all_ = units().get(protocol, [])
    return all_ if len(all_) <= most else [all_[at * (len(all_) - 1) // (most - 1)] for at in range(most)]


def _packets() -> Iterator[tuple[str, bytes, int]]:
    """(source, bytes, link type). Other tests hold their packets in `CASES`: (bytes, …) or (link type, bytes, …) by name."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "\nCASES" in path.read_text(encoding="utf-8"):
            for name, case in importlib.import_module(path.stem).CASES.items():
                link, data = case[:2] if isinstance(case[0], int) else (1, case[0])
                yield f"{path.stem} {name}", bytes(data), link
    for name, data in test_borrowed.tail().items():
        yield f"test_borrowed {name}", data, 1
    for name, (link, head) in LINKS.items():
        yield name, head + bytes(IP() / UDP(sport=4000, dport=4001) / b"x"), link
    for name, (header, body) in HEADERS.items():
        yield name, bytes(Ether(**MACS) / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=header) / body), 1
    for name, (port, data) in UDP_DATA.items():
        yield name, bytes(Ether(**MACS) / IP() / UDP(sport=40000, dport=port) / data), 1


MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
LINKS = {
    "null": (0, bytes.fromhex("02000000")),
    "sll": (113, bytes.fromhex("0000000100060200000000010000 0800")),
    "sll2": (276, bytes.fromhex("0800 0000 00000002 0001 00 06 0200000000010000")),
}
QUESTION = bytes.fromhex("000100000001000000000000") + b"\x07example\x05local\0\0\x01\0\x01"
HEADERS = {
    "ipv6.fraghdr": (44, bytes.fromhex("11000001 00000007") + bytes(16)),
    "ipv6.routing": (43, bytes.fromhex("3b02 00 01 00000000 20010db8000000000000000000000003")),
    "mipv6": (135, bytes.fromhex("3b01 05 00 0000 0007 8000 0003 01020000")),
}
UDP_DATA = {  # not in the captures, nor in other tests
    "ayiya": (5072, bytes.fromhex("41521129 65000000") + bytes(range(36)) + bytes(IPv6(nh=59))),
    "mdns": (5353, QUESTION),
    "llmnr": (5355, QUESTION),
    "ssdp": (1900, b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n'),
}


def _post(kind: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


def _talks() -> dict[str, tuple[list[tuple[int, bytes]], int]]:
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\nContent-Type: text/plain\r\n\r\nhello'
    multipart = part + b"\r\n--x--\r\n"
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    upgrade += b"HTTP2-Settings: AAMAAABk\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    return {
        **{f"test_starttls {name}": (list(talk_[0]), talk_[1]) for name, talk_ in test_starttls.TALKS.items()},
        "form": ([(C, _post(b"application/x-www-form-urlencoded", b"a=1&b=%C3%A9+c&d"))], 80),
        "multipart": ([(C, _post(b"multipart/form-data; boundary=x", multipart))], 80),
        "h2c": ([(C, upgrade), (S, switch + bytes.fromhex("000000040000000000"))], 80),
        "ssl2": ([(C, ssl2_hello(b"\x03\x01"))], 443),
    }
