"""What is remembered below and beside a connection: hardware addresses of neighbours, answers of DNS, questions that wait."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.annotations.around import NEAR, Around, said
from inspector.annotations.state.fact import CLIENT, SERVER, Fact
from inspector.core.field import address_text
from inspector.core.layer import Layer
from inspector.core.text import printable
from inspector.index.names import UDP
from inspector.streams.facts import DNS_PORTS

LOOKED_AT = 256  # packets that are dissected for one
_TTL = "dns.resp.ttl"


def neighbours(capture: Around, number: int, ends: dict[str, bytes]) -> Iterator[Fact]:
    """Which hardware address each end knows for the other one, from ARP and Neighbour Discovery. ends: holder → address."""
    index = capture.index
    start = max(number - NEAR, 0)
    packets = np.flatnonzero(index.column("flow")[start:number] < 0)[-LOOKED_AT:] + start + 1
    known: dict[tuple[bytes, bytes], tuple[str, int, str]] = {}  # (who, whose address) → hardware address, packet, reference
    for at in packets.tolist():
        for who, whose, hardware, reference in _learnt(capture.layers(at).layers):
            known[who, whose] = hardware, at, reference
    for holder, other in ((CLIENT, SERVER), (SERVER, CLIENT)):
        found = known.get((ends[holder], ends[other]))
        if found is not None:
            hardware, packet, reference = found
            protocol = "ARP" if len(ends[other]) == 4 else "ND"
            text = f"{address_text(ends[other])} is at {hardware}, to be asked again after a while"
            yield Fact(2, protocol, holder, "neighbour", text, packet, reference)


def _learnt(layers: list[Layer]) -> Iterator[tuple[bytes, bytes, str, str]]:
    """Who learns whose hardware address from a packet."""
    source = destination = b""
    for layer in layers:
        if layer.protocol == "arp":
            mac, own, other = (layer.find(f"arp.{name}") for name in ("src.hw_mac", "src.proto_ipv4", "dst.proto_ipv4"))
            if mac is not None and own is not None and other is not None and any(own.value):
                yield other.value, own.value, mac.text, "RFC 826, Packet Reception; RFC 1122, 2.3.2.1"
        elif layer.protocol == "ipv6":
            source, destination = layer.value("ipv6.src", b""), layer.value("ipv6.dst", b"")
        elif layer.protocol == "icmpv6" and not layer.quoted:
            target, asked = layer.find("icmpv6.nd.na.target_address"), layer.find("icmpv6.nd.ns.target_address")
            hardware = layer.find("icmpv6.opt.target_linkaddr") or layer.find("icmpv6.opt.src_linkaddr")
            if hardware is not None and hardware.value and (target is not None or asked is not None):
                mac_text = bytes(hardware.value).hex(":")
                if target is not None:
                    yield destination, target.value, mac_text, "RFC 4861, 7.2.5"
                elif asked is not None:
                    yield asked.value, source, mac_text, "RFC 4861, 7.2.3"


def names(capture: Around, number: int, address: bytes) -> Iterator[Fact]:
    """The answer that gave a name this address, and for how long it may still be used."""
    for at in reversed(_lookups(capture, number)):
        for layer in capture.layers(at).layers:
            if layer.protocol != "dns" or layer.quoted or not layer.value("dns.flags.response"):
                continue
            answers = [field for group in layer.fields if group.name == "dns.answers" for field in group.walk()]
            if not any(field.name in ("dns.a", "dns.aaaa") and field.value == address for field in answers):
                continue
            life = min(int(field.value) for field in answers if field.name == _TTL)
            name = printable(str(layer.value("dns.qry.name", "")), 80)
            text = f"{name} is {address_text(address)}; {_good(capture, number, at, life)}"
            yield Fact(7, "DNS", CLIENT, "remembered answer", text, at, "RFC 1035, 3.2.1 and 7.4")
            return


def _lookups(capture: Around, number: int) -> list[int]:
    """The last packets of DNS by a packet."""
    flows = capture.index.flows
    found = [
        flow
        for flow in range(len(flows))
        if flows.protocol(flow) == UDP and (flows.sport(flow) in DNS_PORTS or flows.dport(flow) in DNS_PORTS)
    ]
    packets = capture.index.packets_of(found, 0) if found else np.zeros(0, np.int64)
    return [int(at) for at in packets[packets <= number][-LOOKED_AT:]]


def waiting(capture: Around, number: int, flow: int) -> Iterator[Fact]:
    """The questions of a UDP conversation that have no answer yet, and the answers that may still be used."""
    packets = capture.index.flow_packets(flow)
    asked: dict[object, tuple[int, str]] = {}
    answered: list[tuple[int, Layer]] = []
    for at in packets[packets <= number][-LOOKED_AT:].tolist():
        own = said(capture.layers(at))
        if own is None:
            continue
        if own.asks:
            asked.setdefault(own.key, (at, own.layer.summary))
        else:
            asked.pop(own.key, None)
            answered.append((at, own.layer))
    for at, summary in list(asked.values())[:4]:
        yield Fact(7, "DNS", CLIENT, "waits for an answer", printable(summary, 80), at, "RFC 1035, 4.2.1 and 7.1")
    for at, layer in answered[-4:]:
        lives = [int(f.value) for group in layer.fields if group.name == "dns.answers" for f in group.walk() if f.name == _TTL]
        if lives:
            text = f"{printable(layer.summary, 80)}; {_good(capture, number, at, min(lives))}"
            yield Fact(7, "DNS", CLIENT, "remembered answer", text, at, "RFC 1035, 3.2.1 and 7.4")


def _good(capture: Around, number: int, at: int, life: int) -> str:
    """For how long the answer of packet `at` may still be used at packet `number`. life: seconds."""
    left = life - (capture.time_of(number) - capture.time_of(at)) / 1e9
    if left <= 0:
        return f"the {life:,} seconds that it was good for are over"
    return f"good for {left:,.0f} more of {life:,} seconds"


def unconnected(capture: Around, number: int) -> dict[str, bytes] | None:
    """The ends of a packet without a TCP conversation: who asks is the client. None where no two hosts speak."""
    result = capture.layers(number)
    arp = result.find("arp")
    if arp is not None:
        own, other = arp.value("arp.src.proto_ipv4"), arp.value("arp.dst.proto_ipv4")
        if own is None or other is None:
            return None
        return {CLIENT: own, SERVER: other} if arp.value("arp.opcode") == 1 else {CLIENT: other, SERVER: own}
    network = result.find("ip") or result.find("ipv6")
    if network is None:
        return None
    ends = [network.value(f"{network.protocol}.{name}") for name in ("src", "dst")]
    advertised = result.find("icmpv6")
    if advertised is not None:
        target = advertised.value("icmpv6.nd.ns.target_address")
        ends[1] = target if target is not None else ends[1]
    message = result.find("icmp") or advertised
    if message is not None and message.payloads:  # an error goes back to who asked
        ends.reverse()
    found = said(result)
    return dict(zip((CLIENT, SERVER), ends if found is None or found.asks else ends[::-1], strict=True))
