"""The story of a capture: everything that happened, in order, in plain sentences, each with its packets.

One connection is told step by step. Several are told one after the other, each under a sentence of its own; where they are
many, those to the same server are brought together first, so that a page load reads as a page load.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.annotations.findings.finding import Connection
from inspector.annotations.story import content, secure, setup, transport
from inspector.annotations.story.step import Narrated, Step, listed, step
from inspector.annotations.story.transport import Ends
from inspector.core.text import counted, printable
from inspector.index.names import TCP, UDP
from inspector.streams.exchanges import Exchange

SITES_FROM = 8  # connections in a capture: with more, those to one server are grouped
TOLD_WITHOUT_GROUPS = 20  # lookups and neighbours that are told one by one


def story(capture: Narrated, progress: Callable[[float], None] | None = None) -> list[Step]:
    """The steps, in the order of their first packets. progress: told the share that is done, 0 to 1."""
    flows = capture.index.flows
    by_flow: dict[int, list[Exchange]] = {}
    for exchange in capture.exchanges():
        by_flow.setdefault(exchange.flow, []).append(exchange)
    found = _folded(capture, list(setup.without_flow(capture)))
    lookups: list[Step] = []
    connections: list[Step] = []
    for flow in range(len(flows)):
        if not len(capture.index.flow_packets(flow)):  # all of its packets belong to what they carry: a tunnel
            continue
        if flows.protocol(flow) == TCP:
            connections.append(_connection(capture, flow, by_flow.get(flow, [])))
        elif flows.protocol(flow) == UDP:
            lookups += setup.lookups(capture, flow) or [setup.datagrams(capture, flow)]
        if progress is not None:
            progress((flow + 1) / len(flows))
    found += _folded(capture, lookups)
    if len(connections) == 1:
        found += connections[0].steps
    elif len(connections) < SITES_FROM:
        found += connections
    else:
        found += _sites(capture, connections)
    return sorted(found, key=lambda one: (one.first, one.begun))


def _connection(capture: Narrated, flow: int, exchanges: list[Exchange]) -> Step:
    connection = Connection(capture, flow)
    ends = Ends(capture, connection)
    steps = [*transport.opening(capture, ends), *transport.trouble(capture, ends), *transport.closing(capture, ends)]
    if connection.length.any():
        conversation = capture.conversation(flow)
        spoken = {node.parser.protocol for node in conversation.tree.nodes}
        if "tls" in spoken:
            steps += secure.handshake(capture, ends, conversation)
        if "http2" in spoken:
            steps += content.http2(capture, conversation)
        steps += content.exchanges(capture, ends, exchanges)
        steps += content.others(capture, ends, conversation)
    order = {"connect": 0, "tls": 1, "message": 2, "request": 3, "response": 4, "events": 5, "trouble": 6, "close": 7}
    steps.sort(key=lambda one: (one.first, order.get(one.kind, 9)))
    who = f"{ends.names[ends.client]} and {ends.names[1 - ends.client]}"
    text = f"{who}, TCP conversation {connection.stream}: {_sums(ends, exchanges)}."
    return Step("group", tuple(connection.packet.tolist()), int(connection.time[0]), text, flow, tuple(steps))


def _sums(ends: Ends, exchanges: list[Exchange]) -> str:
    said = [transport.totals(ends)]
    if exchanges:
        said.insert(0, counted(len(exchanges), "request"))
        items = sum(len(exchange.items) for exchange in exchanges)
        if items:
            said.insert(1, counted(items, "event or message", "events or messages"))
    return ", ".join(said)


def _sites(capture: Narrated, connections: list[Step]) -> list[Step]:
    """The connections by the server that they go to."""
    flows = capture.index.flows
    groups: dict[tuple[bytes, int], list[Step]] = {}
    for one in connections:
        ends = Ends(capture, Connection(capture, one.flow))
        side = 1 - ends.client
        address, port = flows.addresses(one.flow)[side], (flows.sport(one.flow), flows.dport(one.flow))[side]
        groups.setdefault((address, port), []).append(one)
    found = []
    for (address, port), own in groups.items():
        if len(own) == 1:
            found += own
            continue
        name = printable(capture.name(address, own[0].first))
        requests = sum(inner.kind == "request" and (len(inner.steps) or 1) for one in own for inner in one.steps)
        troubles = sum(inner.kind == "trouble" for one in own for inner in one.steps)
        packets = [packet for one in own for packet in one.packets]
        said = [counted(len(own), "connection"), counted(len(packets), "packet")]
        if requests:
            said.insert(1, counted(requests, "request"))
        if troubles:
            said.append(counted(troubles, "place") + " with losses or waiting")
        found.append(step(capture, "group", packets, f"To {name} port {port}: {listed(said)}.", -1, own))
    return found


def _folded(capture: Narrated, steps: list[Step]) -> list[Step]:
    """Steps of one kind that are too many to be told one by one, as one that opens."""
    found: list[Step] = []
    for kind in dict.fromkeys(one.kind for one in steps):
        own = [one for one in steps if one.kind == kind]
        if len(own) <= TOLD_WITHOUT_GROUPS:
            found += own
            continue
        words = {"lookup": "name lookup", "neighbour": "question for a hardware address", "icmp": "ICMP message"}
        plural = {"neighbour": "questions for hardware addresses"}.get(kind, "")
        packets = [packet for one in own for packet in one.packets]
        text = f"{counted(len(own), words.get(kind, 'exchange of datagrams'), plural)}, in {counted(len(packets), 'packet')}."
        found.append(step(capture, "group", packets, text, -1, own))
    return found
