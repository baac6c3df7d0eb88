"""Which packets of a recording are the command's, by what proof, and the file that is made of them.

A conversation is the command's when its TLS keys are in the command's key log (its client random), or when one of its ends was
seen as a socket of the command (see `family`). It is somebody else's when each of its ends on this machine was seen as somebody
else's socket; when it began before the command did, or after all of its family had ended; and, where the command writes its
keys, when it is a TLS session without one. A name lookup is the command's too when it asks for a name that the command asked
for, or answers with an address that the command went to, whoever sent it. A conversation of which nothing is known is kept, and
marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np

from inspector.capture.family import Family, Process
from inspector.capture.sockets import TCP, UDP, Endpoints
from inspector.core.layer import Layer
from inspector.core.tcp_flags import SYN
from inspector.export import pcapng
from inspector.secrets.keylog import TLS_KEY_LOG
from inspector.session import Session
from inspector.streams.facts import DNS_PORTS, DNS_PROTOCOLS, answers

OPEN = b""  # the address of an end that is not connected, in a key


class Proof(Enum):
    """How a conversation's owner is known; the words stand in the file."""

    KEYS = "its client random is in the key log"
    SOCKET = "it held the socket"
    LOOKUP = "the lookup of a name or an address that the command went to"
    NONE = "owner not proven"
    OTHER = "not the command's"


class Owner(NamedTuple):
    """Of a conversation. process: who was seen with its socket; tls: it is a TLS session; keys: and its keys are known."""

    proof: Proof
    process: Process | None = None
    tls: bool = False
    keys: bool = False


class Owners:
    """Of each conversation of a recording, by its number."""

    def __init__(self, session: Session, family: Family, lived: tuple[int, int]) -> None:
        """session: the recording, with the command's key log; lived: when the command began, and when the last of its family
        ended, in nanoseconds since 1970."""
        self._lived = lived
        self._session = session
        self._family = family
        self._owned = {_key(one): process for one, process in family.owned.items()}
        self._others = {_key(one) for one in family.others}
        self._log = session.keyring.log
        self._log.refresh()
        self.of = [self._owner(flow) for flow in range(len(session.index.flows))]
        self._lookups()

    def _owner(self, flow: int) -> Owner:
        ends = self._ends(flow)
        process = next((self._owned[name] for end in ends for name in end if name in self._owned), None)
        if process is None and self._foreign(ends):
            return Owner(Proof.OTHER)
        hello = self._session.client_random(flow)
        tls, keys = hello is not None, hello is not None and self._log.names(hello)
        if keys:
            return Owner(Proof.KEYS, process, tls, keys)
        if process is not None:
            return Owner(Proof.SOCKET, process, tls)
        foreign = (tls and self._log.sessions) or not self._within(flow)
        return Owner(Proof.OTHER if foreign else Proof.NONE, None, tls)

    def _ends(self, flow: int) -> list[list[Endpoints]]:
        """How the socket of each end may be named: as connected, or (UDP) as bound to one address or to all of them."""
        flows = self._session.index.flows
        protocol, (source, destination) = int(flows.protocol(flow)), flows.addresses(flow)
        sport, dport = int(flows.sport(flow)), int(flows.dport(flow))
        ends = [
            [Endpoints(protocol, source, sport, destination, dport)],
            [Endpoints(protocol, destination, dport, source, sport)],
        ]
        if protocol == UDP:
            for end in ends:
                end += [Endpoints(UDP, bound, end[0].port, OPEN, 0) for bound in (end[0].local, OPEN)]
        return ends

    def _foreign(self, ends: list[list[Endpoints]]) -> bool:
        """Every end on this machine was seen, and it was a socket of somebody else."""
        local = [end for end in ends if end[0].local in self._family.local or ip_address(end[0].local).is_loopback]
        return bool(local) and all(any(name in self._others for name in end) for end in local)

    def _within(self, flow: int) -> bool:
        """It began while the command ran. The recording began before: it has the SYN of whatever the command opened."""
        index = self._session.index
        begun = int(index.flows.first_ns[flow])
        opened = index.flows.protocol(flow) != TCP or bool((index.column("flags")[index.flow_packets(flow) - 1] & SYN).any())
        return opened and self._lived[0] <= begun <= self._lived[1]

    # --- name lookups

    def _lookups(self) -> None:
        flows = self._session.index.flows
        peers = {address for flow in self.kept(proven=True) for address in flows.addresses(flow)}
        asked: set[str] = set()
        told: dict[int, tuple[set[str], set[bytes]]] = {}
        for flow in range(len(flows)):
            if flows.sport(flow) in DNS_PORTS or flows.dport(flow) in DNS_PORTS:
                told[flow] = names, addresses = self._lookup(flow)
                if self.of[flow].proof in (Proof.KEYS, Proof.SOCKET) or addresses & peers:
                    asked |= names
        for flow, (names, _) in told.items():
            if self.of[flow].proof in (Proof.NONE, Proof.OTHER) and names & asked:
                self.of[flow] = Owner(Proof.LOOKUP)

    def _lookup(self, flow: int) -> tuple[set[str], set[bytes]]:
        """What a conversation asks for, and the addresses in its answers."""
        names: set[str] = set()
        addresses: set[bytes] = set()
        for number in self._session.index.flow_packets(flow).tolist():
            for layer in self._session.dissect(number).layers:
                if layer.protocol in DNS_PROTOCOLS and not layer.quoted:
                    names.add(str(layer.value("dns.qry.name", "")).lower())
                    addresses |= {address for address, _ in answers(layer)}
        return names - {""}, addresses

    # --- what is kept

    def kept(self, proven: bool = False) -> list[int]:
        """The conversations that are the command's, or may be. proven: only those of which it is known."""
        left_out = {Proof.OTHER, Proof.NONE} if proven else {Proof.OTHER}
        return [flow for flow, owner in enumerate(self.of) if owner.proof not in left_out]

    def packets(self) -> list[int]:
        """The numbers of the packets of the conversations that are kept, and of those without ports that belong to them."""
        flow = self._session.index.column("flow")
        kept = np.isin(flow, self.kept())
        ends = {end[0] for kept_ in self.kept() for end in self._ends(kept_)}
        pairs = {(end.local, end.remote) for end in ends}
        for row in np.flatnonzero(flow < 0).tolist():
            kept[row] = _belongs(self._session.layers(row + 1).layers, ends, pairs)
        return [int(row) + 1 for row in np.flatnonzero(kept)]

    def comments(self) -> dict[int, list[str]]:
        """A sentence on each conversation's owner, by its first packet's number."""
        first = self._session.index.flows.first
        return {first[flow]: [self.sentence(flow)] for flow in self.kept()}

    def sentence(self, flow: int) -> str:
        """Who has had a conversation, and how that is known."""
        owner = self.of[flow]
        if owner.proof in (Proof.NONE, Proof.LOOKUP):
            return str(owner.proof.value)
        without = "; TLS, but it wrote no key for this session" if owner.tls and not owner.keys else ""
        who = str(owner.process) if owner.process is not None else "the command"
        return f"{who}: {owner.proof.value}{without}"

    def keyless(self) -> Iterator[str]:
        """The processes that spoke TLS and wrote no key at all, by their names."""
        spoke: dict[str, bool] = {}
        for flow in self.kept():
            owner = self.of[flow]
            if owner.tls and self._answered(flow):
                name = owner.process.name if owner.process else ""
                spoke[name] = spoke.get(name, False) or owner.keys
        return (name for name, keys in spoke.items() if not keys)

    def _answered(self, flow: int) -> bool:
        """Both ends have sent something."""
        index = self._session.index
        rows = index.flow_packets(flow) - 1
        return len(set(index.column("direction")[rows[index.column("payload_length")[rows] > 0]].tolist())) == 2


def _key(one: Endpoints) -> Endpoints:
    """The same with `OPEN` for addresses of zeros."""
    return one._replace(local=one.local if any(one.local) else OPEN, remote=one.remote if any(one.remote) else OPEN)


def _belongs(layers: Iterable[Layer], ends: set[Endpoints], pairs: set[tuple[bytes, bytes]]) -> bool:
    """A packet without ports of its own: an error belongs to the conversation that it quotes, anything else (a fragment, an
    echo) to what two hosts have with one another."""
    pair = (b"", b"")
    quotes = False
    found = False
    for layer in layers:
        if layer.protocol in ("ip", "ipv6"):
            pair = (layer.value(f"{layer.protocol}.src", b""), layer.value(f"{layer.protocol}.dst", b""))
            found = found or pair in pairs
        elif layer.quoted and layer.protocol in ("tcp", "udp"):
            quotes = True
            port, peer = layer.value(f"{layer.protocol}.srcport", 0), layer.value(f"{layer.protocol}.dstport", 0)
            if Endpoints(TCP if layer.protocol == "tcp" else UDP, pair[0], port, pair[1], peer) in ends:
                return True
    return found and not quotes


def write(session: Session, owners: Owners, path: str, keylog: bytes, about: str, everything: bool) -> int:
    """Write the command's packets with its keys before the first one; returns how many. The file is its owner's alone.

    about: a comment on the whole; everything: all packets of the machine. Raises InspectError.
    """
    numbers = range(1, session.count + 1) if everything else owners.packets()
    secrets = [(TLS_KEY_LOG, keylog)] if keylog.strip() else []
    extras = pcapng.Extras(owners.comments(), secrets, {}, [about])
    return pcapng.write(path, session.interfaces, map(session.packet, numbers), extras)
