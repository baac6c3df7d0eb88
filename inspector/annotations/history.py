"""What the packets around one say of it: which question it answers, when its own is answered, which packet an error is about.

For what has no TCP conversation: ARP, ICMP, Neighbour Discovery, DNS over UDP. Only packets near by are asked: `NEAR` on either
side without ports, `LOOKED_AT` of the same UDP flow. Where nothing is found nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.annotations.around import LOOKED_AT, Around, Said, nearby, said, same
from inspector.annotations.state.machines import Change, changes, note
from inspector.annotations.story.secure import FINISHED, HELLO, Message, messages
from inspector.core.layer import Layer, Note, Rank
from inspector.core.stream import Pdu
from inspector.core.tcp_flags import ACK, FIN, RST, SYN
from inspector.dissection.engine import Dissection
from inspector.index.names import TCP
from inspector.protocols.websocket.websocket import Opcode
from inspector.streams.exchanges import of_conversation
from inspector.streams.transports import transports

Unit = tuple[str, str, int]  # a unit of a conversation: its protocol, its buffer, where it starts
SACK_PERMITTED, TIMESTAMPS = 4, 8  # kinds of TCP options (RFC 2018, 2; RFC 7323, 3.2)
MAX_SHIFT = 14  # of a window (RFC 7323, 2.3)


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
        tcp = result.last("tcp")
        if tcp is not None and int(tcp.value("tcp.flags", 0)) & (SYN | ACK) == SYN | ACK:
            tcp.notes.extend(_agreed(capture, number, flow, tcp))


def _agreed(capture: Around, number: int, flow: int, answer: Layer) -> Iterator[Note]:
    """What a SYN and the answer to it have settled: an option is in force where both have sent it."""
    packets = capture.index.flow_packets(flow)
    opening = (_opening(capture, at) for at in packets[packets < number][:LOOKED_AT].tolist())
    asked, at = next((tcp for tcp in opening if tcp is not None), None), answer.find("tcp.options")
    if asked is None or at is None:
        return
    said = []
    shifts = [layer.value("tcp.options.wscale.shift") for layer in (asked, answer)]
    if None in shifts:
        said.append("windows are not scaled: at most 65,535 bytes may be under way")
    else:
        units = [f"{1 << min(int(shift), MAX_SHIFT):,}" for shift in shifts]
        said.append(f"windows count in units of {units[0]} bytes (the client's) and {units[1]} (the server's)")
    kinds = [{field.value for field in layer.walk() if field.name == "tcp.option_kind"} for layer in (asked, answer)]
    for kind, word in ((SACK_PERMITTED, "SACK"), (TIMESTAMPS, "time stamps")):
        said.append(word if all(kind in own for own in kinds) else f"no {word}")
    sizes = [layer.value("tcp.options.mss_val") for layer in (answer, asked)]
    if None not in sizes:
        said.append(f"segments of up to {sizes[0]:,} bytes to the server, {sizes[1]:,} to the client")
    why = f"Both SYNs are known now: {'; '.join(said)}."
    yield Note(at.span, "agreed", why, "RFC 7323, 2.2 and 3.2; RFC 2018, 2; RFC 9293, 3.7.1")


def _opening(capture: Around, number: int) -> Layer | None:
    """The TCP layer of a packet that is a SYN without ACK."""
    tcp = capture.layers(number).last("tcp")
    return tcp if tcp is not None and int(tcp.value("tcp.flags", 0)) & (SYN | ACK) == SYN else None


class Told(NamedTuple):
    """What is said of the packets of one conversation, so that it is gone through once where all of a capture is explained.

    changes: by packet, each with the unit that it is about (None: the segment); steps: of the handshake messages, which one
    it is and of how many; size: nodes and packets with units that it had (with a key that has come since it has others).
    """

    size: tuple[int, int]
    changes: dict[int, list[tuple[Change, Unit | None]]]
    steps: dict[Unit, tuple[int, int]]


def _told(capture: Around, flow: int) -> Told:
    conversation = capture.conversation(flow)
    size = len(conversation.tree.nodes), len(conversation.tree.pdus)
    known: Told | None = capture.told.get(flow)
    if known is None or known.size != size:
        exchanges = of_conversation(conversation, int(capture.index.flows.stream[flow]))
        known = Told(size, {}, dict(_steps(messages(capture, conversation))))
        every = changes(capture, conversation, conversation.tree.client, exchanges)
        for change in every:
            own = None if change.unit is None else _unit(change.unit)
            bare = change._replace(unit=None)  # a unit would hold the whole conversation in memory
            packet = change.packet if change.unit is None else change.unit.packet
            known.changes.setdefault(packet, []).append((bare, own))
        capture.told.put(flow, known, 1 + len(every) + len(known.steps))
    return known


def _unit(pdu: Pdu) -> Unit:
    return pdu.protocol, pdu.span.buffer.id, pdu.span.start


def _steps(found: Sequence[Message]) -> Iterator[tuple[Unit, tuple[int, int]]]:
    """Of each message of the handshakes which one it is, and of how many."""
    starts = [at for at, message in enumerate(found) if message.kind == HELLO]
    begin = 0
    for start in starts:  # a second hello behind a HelloRetryRequest goes on with the same handshake
        if any(message.kind == FINISHED for message in found[begin:start]):
            yield from _count(found[begin:start])
            begin = start
    yield from _count(found[begin:])


def _count(found: Sequence[Message]) -> Iterator[tuple[Unit, tuple[int, int]]]:
    finished = [at for at, message in enumerate(found) if message.kind == FINISHED]
    if len(finished) < 2:  # the handshake is not whole, or cannot be read to its end
        return
    total = finished[1] + 1
    for at, message in enumerate(found[:total], 1):
        yield _unit(message.pdu), (at, total)


def _states(capture: Around, result: Dissection, flow: int) -> None:
    """What the units of this packet change: the handshake of TLS, an HTTP/1 connection, an event stream, a WebSocket; and which
    message of its handshake a TLS message is."""
    if not any(map(_may_change, result.layers)):
        return
    units: dict[Unit, Layer] = {(layer.protocol, layer.span.buffer.id, layer.span.start): layer for layer in result.layers}
    told = _told(capture, flow)
    for unit, layer in units.items():
        if layer.protocol == "tls.handshake" and unit in told.steps:
            at, total = told.steps[unit]
            left = "it is complete" if total == at else "1 follows" if total == at + 1 else f"{total - at} follow"
            why = f"Message {at} of the {total} of this handshake; {left}."
            layer.notes.append(Note(layer.span, f"step {at} of {total}", why, "RFC 8446, 2; RFC 5246, 7.3", Rank.DETAIL))
    for change, own in told.changes.get(result.packet.number, ()):
        about = result.last("tcp") if own is None else units.get(own)
        if about is not None:
            about.notes.append(note(change, about.span))


def _may_change(layer: Layer) -> bool:
    """Of the many units of a long stream, those that can change a state: the conversation is gone through for these alone."""
    if layer.protocol == "http":
        return layer.find("http.chunk_data") is None
    if layer.protocol == "tcp":
        return bool(int(layer.value("tcp.flags", 0)) & (FIN | RST)) and not layer.quoted
    return layer.protocol == "tls.handshake" or layer.value("websocket.opcode") == Opcode.CLOSE


def _pair(capture: Around, number: int, own: Said) -> Iterator[Note]:
    before = [(at, asks) for at in nearby(capture, number, -1) if (asks := same(capture, at, own)) is not None]
    if not own.asks:
        asked = [at for at, asks in before if asks]
        if asked:
            first = asked[-1]
            why = f"The question came {_after(capture, first, number)} before"
            if len(asked) > 1:
                why += f", and was asked {len(asked)} times, the last time in packet {asked[0]}"
            yield Note(own.at, f"answers packet {first}", f"{why}.", own.reference)
        return
    if before and before[0][1]:
        last = before[0][0]
        why = f"Packet {last} asked the same {_after(capture, last, number)} before, and no answer had come since."
        yield Note(own.at, "asked again", why, own.reference)
    for at in nearby(capture, number, 1):
        if same(capture, at, own) is False:
            why = f"The answer comes {_after(capture, number, at)} later."
            yield Note(own.at, f"answered in packet {at}", why, own.reference)
            return
    flow = capture.index.flow_of(number)
    if flow >= 0 and capture.complete and len(capture.index.flow_packets(flow)) <= LOOKED_AT:
        yield Note(own.at, "no answer", "No answer to it is in this conversation, as far as the capture goes.", own.reference)


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
