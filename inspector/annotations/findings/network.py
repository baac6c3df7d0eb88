"""Findings that other packets than a connection's own prove: ICMP errors, name lookups, a second address family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inspector.annotations.findings.finding import MAX_EVIDENCE, MS, Finding, View, milliseconds
from inspector.core.field import address_text, endpoint_text
from inspector.core.layer import Layer, Severity
from inspector.core.tcp_flags import ACK, SYN
from inspector.dissection.engine import Dissection
from inspector.index import Index
from inspector.index.names import TCP

UDP, DNS_PORT = 17, 53
ICMP, ICMPV6 = 1, 58
MAX_LOOKED_AT = 20_000  # packets that are dissected for one rule; a rule that needs more says nothing of the rest
UNREACHABLE = {
    0: "the network is unreachable", 1: "the host is unreachable", 2: "the protocol is not spoken there",
    3: "nobody listens on the port", 9: "the network is prohibited", 10: "the host is prohibited",
    13: "a filter forbids it",
}  # RFC 792; RFC 1812, 5.2.7.1  # fmt: skip
UNREACHABLE6 = {
    0: "there is no route", 1: "a filter forbids it", 3: "the address is unreachable", 4: "nobody listens on the port",
    5: "the source address is refused", 6: "the route is refused",
}  # RFC 4443, 3.1  # fmt: skip
SLOW_NS = 200 * MS  # a cached answer takes one round trip to a near resolver, a fresh one some ten ms: this a user notices
AGAIN_NS = 900 * MS  # resolvers ask again after 5 s (glibc), 2 s (c-ares; older ones 5), 1 s (Windows)
FALLBACK_NS = (100 * MS, 3_000 * MS)  # RFC 8305, 5: 250 ms is advised, 100 the least, and 2 s the most


class Refusal(NamedTuple):
    """An ICMP error: its packet, what it says, and the transport header that it quotes, with the endpoints. mtu: -1 without."""

    packet: int
    text: str
    protocol: int
    source: tuple[bytes, int]
    destination: tuple[bytes, int]
    from_: bytes
    mtu: int = -1

    @property
    def ends(self) -> frozenset[tuple[bytes, int]]:
        return frozenset({self.source, self.destination})


def icmp(view: View) -> Iterator[Finding]:
    """Errors that name what they are about: a closed UDP port, a host out of reach, a path with a smaller MTU."""
    index = view.capture.index
    refusals = list(_refusals(view))
    if not refusals:
        return
    flows = _by_ends(index)
    told: dict[tuple[str, int, frozenset[tuple[bytes, int]]], list[Refusal]] = {}
    for refusal in refusals:
        told.setdefault((refusal.text, refusal.protocol, refusal.ends), []).append(refusal)
    for (text, protocol, ends), same in told.items():
        first = same[0]
        packets = [refusal.packet for refusal in same][:MAX_EVIDENCE]
        where = endpoint_text(*first.destination)
        flow = flows.get((protocol, ends), -1)
        stream = int(index.flows.stream[flow]) if flow >= 0 and protocol == TCP else -1
        if first.mtu >= 0:
            cause = f"a router on the way to {where} passes only packets of {first.mtu:,} bytes, and says so"
            cure = "nothing, if the sender then sends smaller segments; let ICMP pass, for without it nobody would know"
            yield Finding("path-mtu", Severity.NOTE, tuple(packets), stream, cause, cure, "RFC 1191, 3; RFC 8201, 3", len(same))
            continue
        if protocol == TCP and flow >= 0 and _answered(index, flow):
            continue  # an error about a connection that was open is a hint and no more (RFC 5461, 2.2)
        by = "the host itself" if first.from_ == first.destination[0] else address_text(first.from_)
        code = "port-unreachable" if "nobody listens" in text else "destination-unreachable"
        cause = f"{by} answers by ICMP about {where}: {text}"
        closed = code == "port-unreachable"
        cure = "start the service, or correct the port" if closed else "look at the route and at the filters"
        reference = "RFC 4443, 3.1" if len(first.from_) == 16 else "RFC 792"
        reference += "; RFC 1122, 4.1.3.3" if protocol == UDP else "; RFC 5461, 2"
        yield Finding(code, Severity.ERROR, tuple(packets), stream, cause, cure, reference, len(same))


def _refusals(view: View) -> Iterator[Refusal]:
    """The ICMP errors of the capture; they have no flow of their own, and their columns show no TCP and no UDP."""
    index = view.capture.index
    odd = np.flatnonzero((index.column("shape") == 0) & (index.column("network_offset") >= 0))
    if not len(odd):
        odd = np.flatnonzero(index.column("shape") == 0)
    numbers = (odd + 1).tolist()
    for number in view.first(numbers, MAX_LOOKED_AT, "destination-unreachable", "packets of neither TCP nor UDP", int):
        found = view.capture.layers(number)
        error = found.last("icmp") or found.last("icmpv6")
        refusal = _refusal(number, error, found) if error is not None else None
        if refusal is not None:
            yield refusal


def _refusal(packet: int, error: Layer, found: Dissection) -> Refusal | None:
    quoted = [layer for layer in found.layers if layer.quoted]
    inner = next((layer for layer in quoted if layer.protocol in ("ip", "ipv6")), None)
    transport = next((layer for layer in quoted if layer.protocol in ("tcp", "udp")), None)
    outer = next((layer for layer in reversed(found.layers) if layer.protocol in ("ip", "ipv6") and not layer.quoted), None)
    if inner is None or transport is None or outer is None:
        return None
    name, six = transport.protocol, error.protocol == "icmpv6"
    kind, code = error.value(f"{error.protocol}.type"), error.value(f"{error.protocol}.code")
    ports = (transport.value(f"{name}.srcport"), transport.value(f"{name}.dstport"))
    if None in ports:
        return None
    mtu = -1
    if kind == (2 if six else 3) and (six or code == 4):
        mtu = error.value("icmpv6.mtu" if six else "icmp.mtu", -1)
        text = "packet too big"
    elif kind == (1 if six else 3):
        text = (UNREACHABLE6 if six else UNREACHABLE).get(code, f"unreachable, code {code}")
    else:
        return None
    source, destination = (inner.value(f"{inner.protocol}.{end}") for end in ("src", "dst"))
    sender = outer.value(f"{outer.protocol}.src")
    if not (isinstance(source, bytes) and isinstance(destination, bytes) and isinstance(sender, bytes)):
        return None
    protocol = TCP if name == "tcp" else UDP
    return Refusal(packet, text, protocol, (source, int(ports[0])), (destination, int(ports[1])), sender, mtu)


def _by_ends(index: Index) -> dict[tuple[int, frozenset[tuple[bytes, int]]], int]:
    flows = index.flows
    found = {}
    for flow in range(len(flows)):
        first, second = flows.addresses(flow)
        found[flows.protocol(flow), frozenset({(first, flows.sport(flow)), (second, flows.dport(flow))})] = flow
    return found


def _answered(index: Index, flow: int) -> bool:
    return bool(index.flows.packets[flow][1])


# --- names


class Question(NamedTuple):
    packet: int
    time: int
    client: bytes
    server: bytes
    port: int
    id: int


def lookups(view: View) -> Iterator[Finding]:
    """Answers of a resolver that take long, and questions that had to be asked again."""
    index, capture = view.capture.index, view.capture
    flows = index.flows
    own = np.flatnonzero((flows.protocols == UDP) & (flows.ports()[:, 1] == DNS_PORT)).tolist()
    if not own:
        return
    numbers = np.sort(np.concatenate([index.flow_packets(flow) for flow in own]))
    waiting: dict[tuple[bytes, str, int], list[Question]] = {}
    slow: dict[tuple[bytes, bytes], list[tuple[int, int, int, str]]] = {}
    again: dict[tuple[bytes, bytes], list[tuple[int, int, int, str]]] = {}
    for number in view.first(numbers.tolist(), MAX_LOOKED_AT, "slow-dns", "DNS messages", int):
        flow = index.flow_of(number)
        dns = capture.layers(number).last("dns")
        if dns is None or dns.find("dns.qry.name") is None or dns.value("dns.id") is None:
            continue
        client, server = flows.addresses(flow)
        name, kind = str(dns.value("dns.qry.name")), int(dns.value("dns.qry.type", 0))
        asked = waiting.setdefault((client, name.lower(), kind), [])
        now, id = capture.time_of(number), int(dns.value("dns.id"))
        if dns.value("dns.flags.response", 0):
            mine = [q for q in asked if (q.server, q.port, q.id) == (server, flows.sport(flow), id)]
            if mine:
                if now - mine[0].time >= SLOW_NS and len({q.time for q in asked}) == 1:
                    slow.setdefault((client, server), []).append((number, mine[0].packet, now - mine[0].time, name))
                asked.clear()
            continue
        before = asked[-1] if asked else None
        if before is not None and now - before.time >= AGAIN_NS:
            again.setdefault((client, before.server), []).append((number, before.packet, now - before.time, name))
        asked.append(Question(number, now, client, server, flows.sport(flow), id))
    for (_, server), found in slow.items():
        _, _, longest, name = max(found, key=lambda one: one[2])
        cause = f"the resolver {address_text(server)} took {milliseconds(longest)} to answer for {name}"
        if len(found) > 1:
            cause += f", and was slow {len(found)} times"
        cure = "a cache nearer to the client; look at the resolver's way to the servers that know the name"
        packets = tuple(packet for one in found for packet in (one[0], one[1]))[:MAX_EVIDENCE]
        yield Finding("slow-dns", Severity.WARNING, packets, -1, cause, cure, "RFC 1034, 4.3.1", len(found))
    for (_, server), found in again.items():
        _, _, waited, name = max(found, key=lambda one: one[2])
        cause = f"no answer from {address_text(server)} for {name}: it was asked for again after {milliseconds(waited)}"
        cure = "find out why the resolver did not answer; a client waits for its time-out before it asks again or another"
        packets = tuple(packet for one in found for packet in (one[0], one[1]))[:MAX_EVIDENCE]
        yield Finding("dns-retried", Severity.WARNING, packets, -1, cause, cure, "RFC 1035, 4.2.1", len(found))


# --- IPv6 and IPv4


def family_fallback(view: View) -> Iterator[Finding]:
    """A name's IPv6 address does not answer, and the client turns to IPv4 (happy eyeballs)."""
    capture, index = view.capture, view.capture.index
    flows = index.flows
    six = [flow for flow in range(len(flows)) if flows.protocol(flow) == TCP and len(flows.addresses(flow)[1]) == 16]
    four = [flow for flow in range(len(flows)) if flows.protocol(flow) == TCP and len(flows.addresses(flow)[1]) == 4]
    if not six or not four:
        return
    begun = np.array([capture.time_of(int(index.flows.first[flow])) for flow in four], np.int64)
    begins, what = index.flows.first, "connections over IPv6"
    for flow in view.first(six, MAX_LOOKED_AT, "address-family-fallback", what, lambda flow: int(begins[flow])):
        packets = index.flow_packets(flow)
        rows = packets - 1
        if not np.all(index.column("flags")[rows] & (SYN | ACK) == SYN) or np.any(index.column("direction")[rows]):
            continue  # something other than the SYN itself was seen
        at = capture.time_of(int(packets[0]))
        name = _name(view, flow)
        near = np.flatnonzero((begun - at >= FALLBACK_NS[0]) & (begun - at <= FALLBACK_NS[1]))
        for other in (four[place] for place in near[:64].tolist()):
            if flows.dport(other) != flows.dport(flow) or not name or _name(view, other) != name:
                continue
            if not index.flows.packets[other][1]:
                continue
            first = int(index.flows.first[other])
            waited = capture.time_of(first) - at
            cause = (
                f"{address_text(flows.addresses(flow)[1])} ({name}) does not answer over IPv6; after {milliseconds(waited)} the"
                f" client connected to {address_text(flows.addresses(other)[1])}"
            )
            cure = "mend the way over IPv6, or take the AAAA record away: each new connection pays this wait"
            evidence = (first, *map(int, packets[: MAX_EVIDENCE - 1]))
            stream = int(flows.stream[other])
            yield Finding("address-family-fallback", Severity.NOTE, evidence, stream, cause, cure, "RFC 8305, 5")
            break


def _name(view: View, flow: int) -> str:
    """The server's name, from what the capture's DNS answers say; empty where they say nothing."""
    flows, index = view.capture.index.flows, view.capture.index
    address = flows.addresses(flow)[1]
    name = view.capture.name(address, int(index.flows.first[flow]))
    return "" if name == address_text(address) else name.lower()


RULES = (icmp, lookups, family_fallback)
