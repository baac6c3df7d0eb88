"""What a capture holds, in figures: the hierarchy of its protocols, and its endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.core.field import cell
from inspector.dissection.engine import Dissection
from inspector.index.cells import extract
from inspector.index.columns import SHAPE_IPV4_TCP, SHAPE_IPV6_TCP
from inspector.query.decide import Speakers

if TYPE_CHECKING:
    from inspector.session import Session

BLOCK = 65_536
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


def hierarchy(session: Session) -> tuple[dict[str, Level], dict[str, Endpoint]]:
    """The protocols that lie in each other, outermost first, and the endpoints, the busiest first.

    Of TCP packets only the units that they complete are dissected: their own layers are counted by the columns. All others are
    dissected.
    """
    top = Level()
    others: dict[str, Endpoint] = defaultdict(Endpoint)
    for path, packets, octets in _paths(session, others):
        level = top
        for name in path:
            level = level.inside.setdefault(name, Level())
            level.packets += packets
            level.octets += octets
    flows = session.index.flows
    packets_, octets_ = flows.packets, flows.octets
    for flow in range(len(flows)):
        for side, address in enumerate(flows.addresses(flow)):
            end = others[_address(address)]
            end.packets_sent += int(packets_[flow][side])
            end.packets_received += int(packets_[flow][1 - side])
            end.bytes_sent += int(octets_[flow][side])
            end.bytes_received += int(octets_[flow][1 - side])
    ends = sorted(((name, end) for name, end in others.items() if end.packets), key=lambda pair: (-pair[1].packets, pair[0]))
    return _sorted(top).inside, dict(ends)


def _sorted(level: Level) -> Level:
    level.inside = dict(sorted(level.inside.items(), key=lambda pair: -pair[1].packets))
    for below in level.inside.values():
        _sorted(below)
    return level


def _paths(session: Session, others: dict[str, Endpoint]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """(protocols, packets, bytes), for every packet or for many that are alike. others: endpoints of packets without a flow."""
    speakers = Speakers(session)
    everything = frozenset(session.registry.protocols)
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}
    index = session.index
    for start in range(1, session.count + 1, BLOCK):
        stop = min(start + BLOCK, session.count + 1)
        rows = slice(start - 1, stop - 1)
        shape, flow, wire = (index.column(name)[rows] for name in ("shape", "flow", "wire"))
        interface = index.column("interface")[rows]
        tcp = np.flatnonzero((shape == SHAPE_IPV4_TCP) | (shape == SHAPE_IPV6_TCP))
        quiet = np.zeros(stop - start, bool)
        quiet[tcp] = speakers.quiet(tcp + start, flow[tcp])
        cells = extract(index, _LINK_CELLS, start, stop) if len(tcp) else []
        segment = np.zeros(stop - start, bool)
        segment[tcp] = True
        for row in range(stop - start):
            number = start + row
            if segment[row]:
                units = None if quiet[row] else session.completed(number, everything)
                if quiet[row] or units is not None:
                    link, tags = cells[row] or ("", "")
                    key = (int(interface[row]), int(shape[row]), link, tags.count(",") + bool(tags))
                    if key not in known:
                        known[key] = _path(session.layers(number))
                    path = known[key]
                    yield path if units is None else tuple(dict.fromkeys((*path, *_path(units)))), 1, int(wire[row])
                    continue
            result = session.dissect(number)
            if flow[row] < 0:
                _ends(result, int(wire[row]), others)
            yield _path(result), 1, int(wire[row])


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


def _address(address: bytes) -> str:
    from inspector.core.field import ipv6_text

    return ".".join(map(str, address)) if len(address) == 4 else ipv6_text(address)
