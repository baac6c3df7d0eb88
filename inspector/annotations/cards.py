"""Cards: the eight properties of a protocol, side by side with others, and the bytes of a capture that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple
from typing import Protocol as Shape

from inspector.annotations.card_texts import CARDS, PART_OF, SECTIONS
from inspector.annotations.card_texts.evidence import EVIDENCE
from inspector.core.errors import InspectError
from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.protocol import Card, Protocol
from inspector.core.text import printable
from inspector.dissection.engine import Dissection

LOOKED_AT = 5000  # packets of a capture that are searched for evidence
SHOWN = 16  # bytes of a field that are shown
FIRST_FIELDS = 3  # of a layer, where nothing better is known to show
TITLES = {
    "data_format": "data format", "transfer_mode": "transfer mode", "addressing": "addressing", "directionality": "direction",
    "state": "state", "routing": "routing", "control": "flow and congestion", "errors": "errors",
}  # fmt: skip
ALIASES = {
    "ipv4": "ip", "ws": "websocket", "ethernet": "eth", "h2": "http2", "802.1q": "vlan", "wireguard": "wg", "netflow": "cflow",
    "ldap": "cldap", "ike": "isakmp", "ipsec": "esp", "text": "data-text-lines", "form": "urlencoded-form",
    "multipart": "mime_multipart", "802.11": "wlan", "lacp": "slow", "http/2": "http2",
}


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


def card_of(protocol: Protocol) -> Card | None:
    """The card of a protocol, with its reference; None where another one's speaks for it (`PART_OF`)."""
    card = protocol.card or CARDS.get(protocol.name)
    if card is None or card.reference:
        return card
    return replace(card, reference=SECTIONS.get(protocol.name, protocol.reference))


def find(name: str, protocols: Mapping[str, Protocol]) -> Protocol:
    """The protocol of that name, with its card (of a part, the whole's). Raises InspectError where there is none."""
    key = ALIASES.get(name.lower(), name.lower())
    key = PART_OF.get(key, key)
    known = {protocol.name: protocol for protocol in protocols.values() if card_of(protocol) is not None}
    if key in known:
        return replace(known[key], card=card_of(known[key]))
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    raise InspectError(f"no card is called {printable(name, 40)}; {hint}")


def properties(card: Card) -> dict[str, str]:
    """Property → what the card says of it."""
    return {name: getattr(card, name) for name in TITLES}


def evidence(capture: Searched, protocol: str, numbers: Iterable[int] = ()) -> dict[str, list[Proof]]:
    """Property → the first fields that show it; properties that nothing shows are left out.

    numbers: the packets to look at, in this order; without them the first ones of the capture. A flag shows something where it
    is set. Of a protocol that `EVIDENCE` does not name, the first fields show the data format.
    """
    wanted = EVIDENCE.get(protocol, {})
    missing: dict[str, list[str]] = {}  # field → the properties that it shows
    for name, fields in wanted.items():
        for key in fields:
            missing.setdefault(key, []).append(name)
    found: dict[str, list[Proof]] = {}
    for number, layer in _layers(capture, protocol, numbers):
        if not wanted:
            first = [field for field in layer.walk() if not field.children and field.span.size][:FIRST_FIELDS]
            return {"data_format": [_proof(number, field) for field in first]}
        for field in layer.walk():
            if field.name in missing and field.value is not False and field.span.size:
                for name in missing.pop(field.name):
                    found.setdefault(name, []).append(_proof(number, field))
        if not missing:
            break
    return found


def first_packet(capture: Searched, protocol: str) -> int:
    """The first packet that has something of a protocol, of those that `evidence` looks at; 0 where none has."""
    return next((number for number, _ in _layers(capture, protocol, ())), 0)


def unshown(protocol: str, name: str) -> str:
    """Why no bytes stand beside a property, where `evidence` found none."""
    if protocol not in EVIDENCE:
        return "no bytes: which fields show it is not known here"
    fields = EVIDENCE[protocol].get(name, ())
    if not fields:
        return "no bytes: no field of this layer shows it"
    return f"no bytes: {' or '.join(fields)} would show it, and is not in these packets"


def _layers(capture: Searched, protocol: str, numbers: Iterable[int]) -> Iterator[tuple[int, Layer]]:
    """The layers of a protocol and of its parts, with their packets."""
    for number in numbers or range(1, min(capture.count, LOOKED_AT) + 1):
        for layer in capture.dissect(number).layers:
            if not layer.quoted and protocol in (layer.protocol, PART_OF.get(layer.protocol)):
                yield number, layer


def _proof(number: int, field: Field) -> Proof:
    data = field.span.buffer.read(field.span.start, min(field.span.stop, field.span.start + SHOWN))
    return Proof(number, field.label, printable(field.text or str(field.value), 60), data)


def table(cards: Sequence[tuple[str, Card]], width: int) -> list[str]:
    """Cards side by side: a column a protocol, folded to the width."""
    from textwrap import wrap

    lead = max(map(len, TITLES.values())) + 2
    column = max((width - lead) // len(cards) - 2, 16)
    lines = [" " * lead + "  ".join(title.ljust(column) for title, _ in cards).rstrip()]
    rows = TITLES if not any(card.reference for _, card in cards) else {**TITLES, "reference": "specified in"}
    for name, title in rows.items():
        cells = [wrap(getattr(card, name), column) or [""] for _, card in cards]
        for row in range(max(map(len, cells))):
            texts = [cell[row] if row < len(cell) else "" for cell in cells]
            start = title if not row else ""
            lines.append((start.ljust(lead) + "  ".join(text.ljust(column) for text in texts)).rstrip())
    return lines
