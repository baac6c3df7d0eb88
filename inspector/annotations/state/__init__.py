"""State: what each layer remembers at a packet, who must remember it, and whether the server could forget it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.annotations.around import Around
from inspector.annotations.findings.finding import Connection
from inspector.annotations.state import application, caches, machines, secure, transport
from inspector.annotations.state.fact import BOTH, CLIENT, SERVER, Fact
from inspector.annotations.state.restart import Answer, restart
from inspector.annotations.story.step import Narrated
from inspector.annotations.story.transport import Ends
from inspector.index.names import TCP
from inspector.streams.exchanges import Exchange, of_conversation

__all__ = ["Answer", "Fact", "State", "state"]


class State(NamedTuple):
    """What is remembered at a packet.

    flow: its conversation in the index, -1 for none; restart: None without HTTP; whole: what other conversations of the
    same client with the same server say of it is in it, too: cookies, credentials and the restart.
    """

    packet: int
    flow: int
    facts: list[Fact]
    restart: Answer | None
    whole: bool = True


def state(capture: Around, number: int, whole: bool = True) -> State:
    """The state once packet `number` has arrived, layer 7 first. whole: read all conversations, which may take its time."""
    flow = capture.index.flow_of(number)
    flows = capture.index.flows
    if flow < 0 or flows.protocol(flow) != TCP:
        return State(number, flow, sorted(_without(capture, number, flow), key=lambda fact: -fact.osi), None)
    ends = Ends(capture, Connection(capture, flow))
    facts = list(transport.tcp(ends, number))
    conversation = capture.conversation(flow)
    facts += secure.tls(capture, conversation, ends.client, number)
    facts += application.http2(conversation, number)
    facts += application.websocket(conversation, number)
    facts += application.events(capture, conversation, number)
    every = capture.exchanges() if whole else of_conversation(conversation, flows.stream[flow])
    own = [one for one in every if one.flow == flow]
    facts += application.http(own, number)
    mates = _same_ends(capture, every, flow, ends.client) if whole else []
    facts += application.cookies(capture, mates, number)
    changes = machines.changes(capture, conversation, ends.client, [capture.detailed(one) for one in own])
    facts += machines.current(changes, number)
    addresses = flows.addresses(flow)
    facts += caches.names(capture, number, addresses[1 - ends.client])
    facts += caches.neighbours(capture, number, {CLIENT: addresses[ends.client], SERVER: addresses[1 - ends.client]})
    facts.sort(key=lambda fact: -fact.osi)
    return State(number, flow, facts, restart(capture, mates, number) if mates else None, whole)


def _without(capture: Around, number: int, flow: int) -> Iterator[Fact]:
    """What is remembered at a packet that belongs to no TCP conversation."""
    if flow >= 0:
        text = "none: each datagram stands alone; a NAT or firewall on the way remembers the ports for a while"
        yield Fact(4, "UDP", BOTH, "connection", text, number, "RFC 768; RFC 4787, 4.3")
        yield from caches.waiting(capture, number, flow)
    ends = caches.unconnected(capture, number)
    if ends is not None:
        yield from caches.neighbours(capture, number, ends)


def _same_ends(capture: Narrated, exchanges: list[Exchange], flow: int, client: int) -> list[Exchange]:
    """The exchanges of the same client with the same server and port, whatever their connection."""
    flows = capture.index.flows

    def ends(of: int) -> tuple[bytes, bytes, int]:
        addresses, ports = flows.addresses(of), (flows.sport(of), flows.dport(of))
        return addresses[client], addresses[1 - client], ports[1 - client]

    wanted = ends(flow)
    same = {other for other in {one.flow for one in exchanges} if ends(other) == wanted}
    return [one for one in exchanges if one.flow in same]
