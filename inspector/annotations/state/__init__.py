"""State: what each layer remembers at a packet, who must remember it, and whether the server could forget it."""

from __future__ import annotations

from typing import NamedTuple

from inspector.annotations.findings.finding import TCP, Connection
from inspector.annotations.state import application, machines, secure, transport
from inspector.annotations.state.fact import Fact
from inspector.annotations.state.restart import Answer, restart
from inspector.annotations.story.step import Narrated
from inspector.annotations.story.transport import Ends
from inspector.streams.exchanges import Exchange

__all__ = ["Answer", "Fact", "State", "state"]


class State(NamedTuple):
    """What is remembered at a packet. flow: its conversation in the index, -1 for none; restart: None without HTTP."""

    packet: int
    flow: int
    facts: list[Fact]
    restart: Answer | None


def state(capture: Narrated, number: int) -> State:
    """The state once packet `number` has arrived, layer 7 first."""
    flow = capture.index.flow_of(number)
    flows = capture.index.flows
    if flow < 0 or flows.protocol(flow) != TCP:
        return State(number, flow, [], None)
    ends = Ends(capture, Connection(capture, flow))
    facts = list(transport.tcp(ends, number))
    conversation = capture.conversation(flow)
    facts += secure.tls(capture, conversation, ends.client, number)
    facts += application.http2(conversation, number)
    facts += application.websocket(conversation, number)
    facts += application.events(capture, conversation, number)
    every = capture.exchanges()
    own = [one for one in every if one.flow == flow]
    facts += application.http(own, number)
    mates = _same_ends(capture, every, flow, ends.client)
    facts += application.cookies(capture, mates, number)
    changes = machines.changes(capture, conversation, ends.client, [capture.detailed(one) for one in own])
    facts += machines.current(changes, number)
    facts.sort(key=lambda fact: -fact.osi)
    return State(number, flow, facts, restart(capture, mates, number) if mates else None)


def _same_ends(capture: Narrated, exchanges: list[Exchange], flow: int, client: int) -> list[Exchange]:
    """The exchanges of the same client with the same server and port, whatever their connection."""
    flows = capture.index.flows

    def ends(of: int) -> tuple[bytes, bytes, int]:
        addresses, ports = flows.addresses(of), (flows.sport(of), flows.dport(of))
        return addresses[client], addresses[1 - client], ports[1 - client]

    wanted = ends(flow)
    return [one for one in exchanges if ends(one.flow) == wanted]
