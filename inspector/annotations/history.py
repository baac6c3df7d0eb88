"""What the packets around one say of it: which question it answers, when its own is answered, which packet an error is about.

For what has no TCP conversation: ARP, ICMP, Neighbour Discovery, DNS over UDP. Only packets near by are asked: `NEAR` on either
side without ports, `LOOKED_AT` of the same UDP flow. Where nothing is found nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.annotations.around import NEAR, Around, Said, said
from inspector.annotations.state.machines import changes, note
from inspector.core.layer import Layer, Note
from inspector.dissection.engine import Dissection
from inspector.protocols.websocket.websocket import Opcode
from inspector.streams.analysis import FIN, RST
from inspector.streams.exchanges import of_conversation
from inspector.streams.transports import transports

LOOKED_AT = 64  # packets that are dissected for one
TCP, UDP = 6, 17


def add(capture: Around, result: Dissection) -> None:
    """Add notes to the layers of a packet for what other packets say of it."""
    number = result.packet.number
    own = said(result)
    if own is not None:
        own.layer.notes[:0] = _pair(capture, number, own)
    for layer in result.layers:
        if layer.protocol in ("icmp", "icmpv6") and layer.payloads and not layer.quoted:
            layer.notes[:0] = _about(capture, result, layer)
    flow = capture.index.flow_of(number)
    if capture.complete and flow >= 0 and capture.index.flows.protocol(flow) == TCP:
        _states(capture, result, flow)


def _states(capture: Around, result: Dissection, flow: int) -> None:
    """What the units of this packet change: the handshake of TLS, an HTTP/1 connection, an event stream, a WebSocket."""
    units = {(layer.protocol, layer.span.buffer.id, layer.span.start): layer for layer in result.layers}
    if not any(map(_may_change, result.layers)):
        return
    conversation = capture.conversation(flow)
    exchanges = of_conversation(conversation, int(capture.index.flows.stream[flow]))
    for change in changes(capture, conversation, conversation.tree.client, exchanges):
        if change.packet == result.packet.number:
            layer = result.last("tcp")
            if change.unit is not None:
                at = change.unit.span
                layer = units.get((change.unit.protocol, at.buffer.id, at.start))
            if layer is not None:
                layer.notes.append(note(change, layer.span))


def _may_change(layer: Layer) -> bool:
    """Of the many units of a long stream, those that can change a state: the conversation is gone through for these alone."""
    if layer.protocol == "http":
        return layer.find("http.chunk_data") is None
    if layer.protocol == "tcp":
        return bool(int(layer.value("tcp.flags", 0)) & (FIN | RST)) and not layer.quoted
    return layer.protocol == "tls.handshake" or layer.value("websocket.opcode") == Opcode.CLOSE


def _pair(capture: Around, number: int, own: Said) -> Iterator[Note]:
    before = [(at, one) for at in _around(capture, number, -1) if (one := _same(capture, at, own)) is not None]
    if not own.asks:
        asked = [at for at, one in before if one.asks]
        if asked:
            first = asked[-1]
            why = f"The question came {_after(capture, first, number)} before"
            if len(asked) > 1:
                why += f", and was asked {len(asked)} times, the last time in packet {asked[0]}"
            yield Note(own.at, f"answers packet {first}", f"{why}.", own.reference)
        return
    if before and before[0][1].asks:
        last = before[0][0]
        why = f"Packet {last} asked the same {_after(capture, last, number)} before, and no answer had come since."
        yield Note(own.at, "asked again", why, own.reference)
    for at in _around(capture, number, 1):
        one = _same(capture, at, own)
        if one is not None and not one.asks:
            why = f"The answer comes {_after(capture, number, at)} later."
            yield Note(own.at, f"answered in packet {at}", why, own.reference)
            return
    flow = capture.index.flow_of(number)
    if flow >= 0 and capture.complete and len(capture.index.flow_packets(flow)) <= LOOKED_AT:
        yield Note(own.at, "no answer", "No answer to it is in this conversation, as far as the capture goes.", own.reference)


def _same(capture: Around, number: int, own: Said) -> Said | None:
    other = said(capture.layers(number))
    return other if other is not None and other.key == own.key else None


def _around(capture: Around, number: int, step: int) -> Iterator[int]:
    """Packets behind (1) or before (-1) this one, the nearest first: of its UDP flow, or those near by without any flow."""
    index = capture.index
    flow = index.flow_of(number)
    if flow >= 0:
        if index.flows.protocol(flow) != UDP:
            return
        packets = index.flow_packets(flow)
    else:
        start = max(number - 1 - NEAR, 0)
        packets = np.flatnonzero(index.column("flow")[start : number + NEAR] < 0) + start + 1
    chosen = packets[packets > number][:LOOKED_AT] if step > 0 else packets[packets < number][-LOOKED_AT:][::-1]
    yield from (int(at) for at in chosen)


def _about(capture: Around, result: Dissection, layer: Layer) -> Iterator[Note]:
    """Which packet of this capture an ICMP error is about."""
    number = result.packet.number
    quoted = next(((at, found) for at, found in transports(result) if found.quoted), None)
    network = next((one for one in result.layers if one.quoted and one.protocol in ("ip", "ipv6")), None)
    if quoted is None or network is None:
        return
    place = capture.index.flows.find(quoted[1], number)
    if place is None:
        return
    packets = capture.index.flow_packets(place[0])
    marks = [("ip.id", network), *((name, quoted[0]) for name in ("tcp.seq_raw", "udp.length", "udp.checksum"))]
    for at in packets[packets < number][-LOOKED_AT:][::-1].tolist():
        other = capture.layers(at)
        own = {one.protocol: one for one in other.layers if not one.quoted}
        same, transport = own.get(network.protocol), own.get(quoted[0].protocol)
        if same is None or transport is None:
            continue
        ends = [(f"{network.protocol}.{end}", network) for end in ("src", "dst")]
        if all((same if where is network else transport).value(name) == where.value(name) for name, where in ends + marks):
            ports = f"{quoted[1].sport:,} → {quoted[1].dport:,}"
            why = f"{quoted[0].title} {ports}, sent {_after(capture, at, number)} before this error."
            yield Note(layer.payloads[0].span, f"about packet {at}", why, "RFC 792; RFC 4443, 2.4")
            return


def _after(capture: Around, first: int, second: int) -> str:
    return f"{(capture.time_of(second) - capture.time_of(first)) / 1e6:,.3f} ms"
