"""Cards: the eight properties of a protocol, side by side with others, and the bytes of a capture that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple
from typing import Protocol as Shape

from inspector.core.errors import InspectError
from inspector.core.protocol import Card, Protocol
from inspector.core.text import printable
from inspector.dissection.engine import Dissection

LOOKED_AT = 5000  # packets of a capture that are searched for evidence
SHOWN = 16  # bytes of a field that are shown
TITLES = {
    "data_format": "data format", "transfer_mode": "transfer mode", "addressing": "addressing", "directionality": "direction",
    "state": "state", "routing": "routing", "control": "flow and congestion", "errors": "errors",
}  # fmt: skip
ALIASES = {"ipv4": "ip", "ws": "websocket", "ethernet": "eth", "h2": "http2"}
# protocol → property → the fields that show it, where the capture has them
EVIDENCE: dict[str, dict[str, tuple[str, ...]]] = {
    "eth": {"addressing": ("eth.dst", "eth.src"), "data_format": ("eth.type",)},
    "vlan": {"addressing": ("vlan.id",), "control": ("vlan.priority",)},
    "arp": {"addressing": ("arp.dst.proto_ipv4", "arp.src.hw_mac"), "directionality": ("arp.opcode",)},
    "ip": {
        "addressing": ("ip.src", "ip.dst"), "routing": ("ip.ttl",), "data_format": ("ip.hdr_len",),
        "transfer_mode": ("ip.len",), "errors": ("ip.checksum",), "control": ("ip.dsfield.ecn",),
    },
    "ipv6": {
        "addressing": ("ipv6.src", "ipv6.dst"), "routing": ("ipv6.hlim",), "transfer_mode": ("ipv6.plen",),
        "data_format": ("ipv6.nxt",),
    },
    "icmp": {"data_format": ("icmp.type", "icmp.code"), "errors": ("icmp.checksum",)},
    "icmpv6": {"data_format": ("icmpv6.type", "icmpv6.code"), "errors": ("icmpv6.checksum",)},
    "tcp": {
        "addressing": ("tcp.srcport", "tcp.dstport"), "state": ("tcp.flags", "tcp.seq_raw"), "data_format": ("tcp.hdr_len",),
        "control": ("tcp.window_size_value", "tcp.options.mss_val"), "errors": ("tcp.checksum", "tcp.ack_raw"),
    },
    "udp": {"addressing": ("udp.srcport", "udp.dstport"), "transfer_mode": ("udp.length",), "errors": ("udp.checksum",)},
    "dns": {
        "addressing": ("dns.qry.name",), "errors": ("dns.id", "dns.flags.rcode"), "state": ("dns.resp.ttl",),
        "directionality": ("dns.flags.response",),
    },
    "http": {
        "addressing": ("http.host", "http.request.uri"),  # cookies would show the state, and are secret
        "transfer_mode": ("http.content_length_header", "http.transfer_encoding"), "errors": ("http.response.code",),
        "directionality": ("http.request.method",),
    },
    "tls": {"data_format": ("tls.record.content_type", "tls.record.length"), "state": ("tls.handshake.session_id",)},
    "sse": {"data_format": ("sse.event", "sse.data"), "state": ("sse.id",), "transfer_mode": ("sse.end",)},
    "websocket": {
        "data_format": ("websocket.opcode", "websocket.payload_length"), "directionality": ("websocket.masking_key",),
        "transfer_mode": ("websocket.fin",), "errors": ("websocket.payload.close.status_code",),
    },
    "http2": {
        "addressing": ("http2.streamid",), "data_format": ("http2.type", "http2.length"),
        "control": ("http2.window_update.window_size_increment",), "errors": ("http2.rst_stream.error", "http2.goaway.error"),
    },
    "grpc": {"transfer_mode": ("grpc.message_length",), "errors": ("grpc.status",), "addressing": ("grpc.method",)},
}  # fmt: skip


class Proof(NamedTuple):
    """A field that shows a property. packet: where; label, text: as the field says it; data: its first bytes."""

    packet: int
    label: str
    text: str
    data: bytes


class Searched(Shape):
    """What the search for evidence asks of a session."""

    @property
    def count(self) -> int: ...
    def dissect(self, number: int) -> Dissection: ...


def find(name: str, protocols: Mapping[str, Protocol]) -> Protocol:
    """The protocol of that name, with its card. Raises InspectError where there is none."""
    key = ALIASES.get(name.lower(), name.lower())
    known = {protocol.name: protocol for protocol in protocols.values() if protocol.card is not None}
    if key in known:
        return known[key]
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    raise InspectError(f"no card is called {printable(name, 40)}; {hint}")


def properties(card: Card) -> dict[str, str]:
    """Property → what the card says of it."""
    return {name: getattr(card, name) for name in TITLES}


def evidence(capture: Searched, protocol: str) -> dict[str, list[Proof]]:
    """Property → the first fields of the capture that show it; properties that nothing shows are left out."""
    wanted = EVIDENCE.get(protocol, {})
    missing = {field: name for name, fields in wanted.items() for field in fields}
    found: dict[str, list[Proof]] = {}
    for number in range(1, min(capture.count, LOOKED_AT) + 1):
        if not missing:
            break
        for layer in capture.dissect(number).layers:
            if layer.quoted or (layer.protocol != protocol and not layer.protocol.startswith(f"{protocol}.")):
                continue
            for field in layer.walk():
                name = missing.pop(field.name, None)
                if name is not None:
                    data = field.span.buffer.read(field.span.start, min(field.span.stop, field.span.start + SHOWN))
                    proof = Proof(number, field.label, printable(field.text or str(field.value), 60), data)
                    found.setdefault(name, []).append(proof)
    return found


def table(cards: Sequence[tuple[str, Card]], width: int) -> list[str]:
    """Cards side by side: a column a protocol, folded to the width."""
    from textwrap import wrap

    lead = max(map(len, TITLES.values())) + 2
    column = max((width - lead) // len(cards) - 2, 16)
    lines = [" " * lead + "  ".join(title.ljust(column) for title, _ in cards).rstrip()]
    for name, title in TITLES.items():
        cells = [wrap(getattr(card, name), column) or [""] for _, card in cards]
        for row in range(max(map(len, cells))):
            texts = [cell[row] if row < len(cell) else "" for cell in cells]
            start = title if not row else ""
            lines.append((start.ljust(lead) + "  ".join(text.ljust(column) for text in texts)).rstrip())
    return lines
