"""What a capture holds, in figures: the hierarchy of its protocols, and its endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.core.field import address_text, cell
from inspector.dissection.engine import Dissection
from inspector.index.cells import extract
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV6_TCP
from inspector.index.names import TCP
from inspector.query.decide import Speakers
from inspector.streams.plain import Plain

if TYPE_CHECKING:
    from inspector.session import Session
    from inspector.streams.exchanges import Part

BLOCK = 65_536
ETHERNET = 14  # bytes before the network header of a frame without tags
UNKNOWN, NOTHING = -1, 0  # kinds of messages that a packet completes; see _Messages
_LINK_CELLS = ["eth.type", "vlan.id"]  # with the shape they tell which layers a packet has below its transport's payload


@dataclass
class Level:
    """A protocol, in the packets where it lies inside the levels above."""

    packets: int = 0
    octets: int = 0
    inside: dict[str, Level] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        inside = {name: level.as_object() for name, level in self.inside.items()}
        return {"packets": self.packets, "bytes": self.octets, **({"inside": inside} if inside else {})}


@dataclass
class Endpoint:
    """An address, and what it sent and received."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def packets(self) -> int:
        return self.packets_sent + self.packets_received


def hierarchy(session: Session) -> tuple[dict[str, Level], dict[str, Endpoint], int]:
    """The protocols that lie in each other, outermost first; the endpoints, the busiest first; and how many bodies were not
    looked at.

    Of TCP packets only the units that they complete are dissected: their own layers are counted by the columns. Of ordinary
    HTTP/1 connections not even these: what a body holds is taken from the first one of its Content-Type. All others are
    dissected.
    """
    top = Level()
    others: dict[str, Endpoint] = defaultdict(Endpoint)
    messages = _Messages(session)
    for path, packets, octets in _paths(session, messages, others):
        level = top
        for name in path:
            level = level.inside.setdefault(name, Level())
            level.packets += packets
            level.octets += octets
    flows = session.index.flows
    packets_, octets_ = flows.packets, flows.octets
    for flow in range(len(flows)):
        packets, octets = packets_[flow].tolist(), octets_[flow].tolist()
        for side, address in enumerate(flows.addresses(flow)):
            end = others[address_text(address)]
            end.packets_sent += packets[side]
            end.packets_received += packets[1 - side]
            end.bytes_sent += octets[side]
            end.bytes_received += octets[1 - side]
    ends = sorted(((name, end) for name, end in others.items() if end.packets), key=lambda pair: (-pair[1].packets, pair[0]))
    return _sorted(top).inside, dict(ends), messages.assumed


def _sorted(level: Level) -> Level:
    level.inside = dict(sorted(level.inside.items(), key=lambda pair: -pair[1].packets))
    for below in level.inside.values():
        _sorted(below)
    return level


def _paths(
    session: Session, messages: _Messages, others: dict[str, Endpoint]
) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """(protocols, packets, bytes), for every packet or for many that are alike. others: endpoints of packets without a flow."""
    speakers = Speakers(session)
    everything = frozenset(session.registry.protocols)
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}
    index = session.index
    for start in range(1, session.count + 1, BLOCK):
        stop = min(start + BLOCK, session.count + 1)
        rows = slice(start - 1, stop - 1)
        names = ("shape", "flow", "wire", "interface", "network_offset")
        shape, flow, wire, interface, network = (index.column(name)[rows].astype(np.int64) for name in names)
        segment = (shape == SHAPE_IPV4_TCP) | (shape == SHAPE_IPV6_TCP)
        kind = messages.kinds[rows].astype(np.int64)
        tcp = np.flatnonzero(segment & (kind == UNKNOWN))
        kind[tcp[speakers.quiet(tcp + start, flow[tcp])]] = NOTHING
        alike = segment & (kind >= NOTHING)
        tagged = alike & (network > ETHERNET)
        cells = extract(index, _LINK_CELLS, start, stop) if tagged.any() else []
        keys = np.stack([interface, shape, network, kind])
        groups, place = np.unique(keys[:, alike & ~tagged], axis=1, return_inverse=True)
        packets, octets = np.bincount(place.ravel()), np.bincount(place.ravel(), weights=wire[alike & ~tagged])
        firsts = np.flatnonzero(alike & ~tagged)[np.unique(place.ravel(), return_index=True)[1]]
        for key, first, many, size in zip(groups.T.tolist(), firsts.tolist(), packets.tolist(), octets.tolist(), strict=True):
            below = tuple(key[:3])
            if below not in known:
                known[below] = _path(session.layers(start + first))
            yield tuple(dict.fromkeys((*known[below], *messages.path(key[3])))), many, int(size)
        for row in np.flatnonzero(tagged | ~alike).tolist():
            number = start + row
            units = session.completed(number, everything) if segment[row] and not alike[row] else None
            if alike[row] or units is not None:
                link, tags = (cells[row] if cells else None) or ("", "")
                own = (*keys[:3, row].tolist(), link, tags.count(",") + bool(tags))
                if own not in known:
                    known[own] = _path(session.layers(number))
                above = messages.path(int(kind[row])) if units is None else _path(units)
                yield tuple(dict.fromkeys((*known[own], *above))), 1, int(wire[row])
                continue
            result = session.dissect(number)
            if flow[row] < 0:
                _ends(result, int(wire[row]), others)
            yield _path(result), 1, int(wire[row])


class _Messages:
    """What the packets of ordinary HTTP/1 connections complete, found without dissecting each of them.

    kinds: of each packet NOTHING, or the number of a kind of message, or UNKNOWN: those of all other conversations, and
    requests with a body. Messages of a kind (without a body; with one of a Content-Type) have the layers of the first one.
    assumed: bodies of which this was taken.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.assumed = 0
        self._numbers: dict[tuple[bool, str], int] = {}
        self._paths: list[tuple[str, ...]] = [()]
        self.kinds = np.full(session.count, UNKNOWN, np.int32)
        # A rule of the user may give such a connection to another protocol.
        plain = None if session.registry.decode_as else Plain(session.index)
        flows = session.index.flows
        for flow in range(len(flows)):
            exchanges = plain.exchanges(flow) if plain is not None and flows.protocol(flow) == TCP else None
            if exchanges is None:
                continue
            self.kinds[session.index.flow_packets(flow) - 1] = NOTHING
            parts = [(one.request, False, "") for one in exchanges] + [(one.response, True, one.media) for one in exchanges]
            for part, answer, media in parts:
                if part is not None:
                    self._enter(part, answer, media)

    def _enter(self, part: Part, answer: bool, media: str) -> None:
        row, body = part.complete - 1, part.stop > part.head
        if self.kinds[row] != NOTHING or (body and not answer):  # two that complete in one packet are looked at
            self.kinds[row] = UNKNOWN
            return
        number = self._numbers.setdefault((answer, media if body else ""), len(self._paths))
        if number == len(self._paths):
            self._paths.append(_path(self._session.dissect(part.complete)))
        elif body:
            self.assumed += 1
        self.kinds[row] = number

    def path(self, kind: int) -> tuple[str, ...]:
        """The protocols of a kind."""
        return self._paths[kind]


def _path(result: Dissection) -> tuple[str, ...]:
    return tuple(dict.fromkeys(layer.protocol for layer in result.layers if not layer.quoted))


def _ends(result: Dissection, size: int, others: dict[str, Endpoint]) -> None:
    layer = next((one for one in result.layers if one.protocol in ("ip", "ipv6")), None)
    if layer is None:
        return
    for field_ in layer.walk():
        if field_.name in ("ip.src", "ipv6.src"):
            end = others[cell(field_.spec, field_.value)]
            end.packets_sent += 1
            end.bytes_sent += size
        elif field_.name in ("ip.dst", "ipv6.dst"):
            end = others[cell(field_.spec, field_.value)]
            end.packets_received += 1
            end.bytes_received += size
