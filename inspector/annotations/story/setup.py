"""Before a connection: names are looked up (DNS), hardware addresses found (ARP, Neighbour Discovery), errors told (ICMP)."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.annotations.story.step import Narrated, Step, duration, listed, sentence, step
from inspector.core.field import address_text, cell, endpoint_text
from inspector.core.layer import Layer
from inspector.core.text import counted

REQUEST, REPLY = 1, 2  # of ARP
NAME_ERROR = 3
SOLICITATION, ADVERTISEMENT = 135, 136
PORT_UNREACHABLE = (("icmp", 3, 3), ("icmpv6", 1, 4))  # type and code (RFC 792; RFC 4443, 3.1)
SHOWN_ANSWERS = 4


def without_flow(capture: Narrated) -> Iterator[Step]:
    """The packets of no conversation: ARP, Neighbour Discovery, ICMP, and what this program does not know."""
    flow = capture.index.column("flow")
    asked: dict[tuple[str, str], list[int]] = {}
    others: dict[str, list[int]] = {}
    for number in (int(row) + 1 for row in (flow[: capture.count] < 0).nonzero()[0]):
        result = capture.layers(number)
        arp, icmp = result.last("arp"), result.last("icmpv6") or result.last("icmp")
        if arp is not None and arp.value("arp.opcode") in (REQUEST, REPLY):
            yield from _arp(capture, number, arp, asked)
        elif icmp is not None and icmp.value("icmpv6.type") in (SOLICITATION, ADVERTISEMENT):
            yield from _neighbour(capture, number, icmp, result.last("ipv6"), asked)
        elif icmp is not None:
            yield _icmp(capture, number, result.layers)
        else:
            top = result.layers[-1].title if result.layers else "nothing that is known"
            others.setdefault(top, []).append(number)
    for (who, whom), packets in asked.items():
        times = f", {counted(len(packets), 'time')}" if len(packets) > 1 else ""
        yield step(capture, "neighbour", packets, f"{who} asks who has {whom}{times}; no answer is in this capture.")
    for title, packets in others.items():
        yield step(capture, "other", packets, f"{counted(len(packets), 'packet')} of {title}, which belong to no conversation.")


def _icmp(capture: Narrated, number: int, layers: list[Layer]) -> Step:
    outer = next((layer for layer in layers if layer.protocol in ("ip", "ipv6")), None)
    icmp = next(layer for layer in layers if layer.protocol in ("icmp", "icmpv6"))
    source = outer.summary.partition(" → ")[0] if outer is not None else "a host"
    quoted = [layer for layer in layers if layer.quoted]
    network = next((layer for layer in quoted if layer.protocol in ("ip", "ipv6")), None)
    transport = next((layer for layer in quoted if layer.protocol in ("udp", "tcp")), None)
    closed = (icmp.protocol, icmp.value(f"{icmp.protocol}.type"), icmp.value(f"{icmp.protocol}.code")) in PORT_UNREACHABLE
    target = network.summary.rpartition(" → ")[2] if network is not None else ""
    if closed and transport is not None and target == source:
        port = transport.value(f"{transport.protocol}.dstport")
        text = f"{source} says with ICMP that nobody listens on its {transport.title} port {port}"
    else:
        text = f"{source} says with ICMP: {icmp.summary}"
    if network is not None:
        text += f"; it quotes the packet that this is about, {network.summary}"
    return step(capture, "icmp", [number], sentence(text))


def _arp(capture: Narrated, number: int, arp: Layer, asked: dict[tuple[str, str], list[int]]) -> Iterator[Step]:
    sender, target = _text(arp, "arp.src.proto_ipv4"), _text(arp, "arp.dst.proto_ipv4")
    hardware = _text(arp, "arp.src.hw_mac")
    if sender == target:
        yield step(capture, "neighbour", [number], f"{sender} announces its hardware address, {hardware} (RFC 5227, 2.3).")
    elif arp.value("arp.opcode") == REQUEST:
        asked.setdefault((sender, target), []).append(number)
    else:
        packets = asked.pop((target, sender), [])
        if not packets:
            yield step(capture, "neighbour", [number], f"{sender} tells {target} its hardware address, {hardware}.")
            return
        text = f"{target} asks everybody on the link which hardware address has {sender}; the answer is {hardware}"
        yield step(capture, "neighbour", [*packets, number], f"{text}, {_after(capture, packets, number)} later.")


def _neighbour(
    capture: Narrated, number: int, icmp: Layer, network: Layer | None, asked: dict[tuple[str, str], list[int]]
) -> Iterator[Step]:
    if network is None:
        return
    source, destination = _text(network, "ipv6.src"), _text(network, "ipv6.dst")
    if icmp.value("icmpv6.type") == SOLICITATION:
        target = _text(icmp, "icmpv6.nd.ns.target_address")
        if source == "::":
            text = f"a host asks whether anybody has {target} yet, which it is about to take (duplicate address detection)"
            yield step(capture, "neighbour", [number], sentence(text))
        else:
            asked.setdefault((source, target), []).append(number)
        return
    target = _text(icmp, "icmpv6.nd.na.target_address")
    hardware = bytes(icmp.value("icmpv6.opt.target_linkaddr", b"")).hex(":")
    packets = asked.pop((destination, target), [])
    answer = f"the answer is {hardware}" if hardware else "it answers"
    if packets:
        asking = capture.layers(packets[0]).last("ipv6")
        if asking is not None and not _text(asking, "ipv6.dst").startswith("ff"):  # known already (RFC 4861, 7.3)
            text = f"{destination} asks {target} whether it is still there (Neighbour Discovery); it answers"
            yield step(capture, "neighbour", [*packets, number], f"{text}, {_after(capture, packets, number)} later.")
            return
        text = f"{destination} asks, by multicast, which hardware address has {target} (Neighbour Discovery); {answer}"
        yield step(capture, "neighbour", [*packets, number], f"{text}, {_after(capture, packets, number)} later.")
    else:
        told = f" its hardware address, {hardware}" if hardware else " that it is there"
        yield step(capture, "neighbour", [number], f"{target} tells {destination}{told} (Neighbour Discovery).")


class _Question:
    """A name that one flow asks for, with the types that are asked for and what is answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[int, str, int]] = []  # packet, type, id
        self.answers: list[tuple[int, str, Layer]] = []


def lookups(capture: Narrated, flow: int) -> list[Step]:
    """The questions and answers of a UDP flow that speaks DNS; empty for any other."""
    found: dict[str, _Question] = {}
    for number in capture.index.flow_packets(flow).tolist():
        layers = capture.layers(number).layers
        dns = next((layer for layer in layers if layer.protocol in ("dns", "mdns", "llmnr") and not layer.quoted), None)
        kind, name = _question(dns)
        if dns is None or not name:
            continue
        question = found.setdefault(name, _Question(name))
        if dns.value("dns.flags.response"):
            question.answers.append((number, kind, dns))
        else:
            question.asked.append((number, kind, dns.value("dns.id", 0)))
    return [_lookup(capture, flow, question) for question in found.values()]


def _question(dns: Layer | None) -> tuple[str, str]:
    if dns is None:
        return "", ""
    kind = dns.find("dns.qry.type")
    return (kind.text or "").partition(" ")[0] if kind is not None else "", str(dns.value("dns.qry.name", ""))


def _lookup(capture: Narrated, flow: int, question: _Question) -> Step:
    flows = capture.index.flows
    client, server = flows.addresses(flow)
    packets = [number for number, _, _ in question.asked] + [number for number, _, _ in question.answers]
    first = packets[0]
    who, whom = named(capture, client, first), named(capture, server, first)
    kinds = list(dict.fromkeys(kind for _, kind, _ in question.asked))
    wanted = f"for the {listed(kinds)} record{'s' if len(kinds) > 1 else ''} of {question.name}"
    text = f"{who} asks {whom} {wanted}" if kinds else f"{whom} tells {who} about {question.name}; the question is not here"
    again = len(question.asked) - len({(kind, id) for _, kind, id in question.asked})
    if again:
        text += f", and repeats the question {counted(again, 'time')}"
    if not question.answers:
        return step(capture, "lookup", packets, f"{text}; no answer is in this capture.", flow)
    if question.asked:
        text += f"; answered after {_after(capture, [first], question.answers[-1][0])}"
    said = [answer(kind, dns, len(question.answers) > 1) for _, kind, dns in question.answers]
    return step(capture, "lookup", packets, f"{text}: {'; '.join(said)}.", flow)


def answer(kind: str, dns: Layer, named: bool = False) -> str:
    """What a DNS response says. named: tell the type that was asked for, since others were asked for too."""
    of = f"{kind}: " if named else ""
    code = dns.find("dns.flags.rcode")
    if code is not None and code.value == NAME_ERROR:
        return f"{of}there is no such name (NXDOMAIN)"
    if code is not None and code.value:
        return f"{of}the server cannot answer: {(code.text or str(code.value)).partition(' (')[0]}"
    if dns.value("dns.flags.truncated"):
        return f"{of}the answer does not fit into one datagram (truncated): the question is to be asked again over TCP"
    records = [field for field in dns.fields if field.name == "dns.answers"]
    if not records and dns.value("dns.count.auth_rr", 0) and dns.find("dns.soa.mname") is None:
        return f"{of}the server does not know, and names servers that do"
    if not records:
        return f"the name exists and has no {kind} record"
    contents = [(field.text or "").partition(" → ") for field in records]
    shown = [_content(head, content) for head, _, content in contents[:SHOWN_ANSWERS]]
    more = f" and {len(contents) - SHOWN_ANSWERS} more" if len(contents) > SHOWN_ANSWERS else ""
    text = counted(len(contents), "text") if kind == "TXT" else f"{', '.join(shown)}{more}"
    least = min((int(field.value) for record in records for field in record.walk() if field.name == "dns.resp.ttl"), default=0)
    return f"{of}{text}, which may be remembered for {counted(least, 'second')}"


def _content(head: str, content: str) -> str:
    """What a record says, in words where its numbers do not speak for themselves."""
    if head.startswith("CNAME "):
        return f"alias of {content}"
    rank, _, name = content.partition(" ")
    if head.startswith("MX ") and rank.isdigit():
        return f"{name} (preference {rank})"
    if head.startswith(("HTTPS ", "SVCB ")) and rank.isdigit():  # priority 0: an alias (RFC 9460, 2.4.2)
        return f"{name.replace('<Root>', 'the same name')} ({f'priority {rank}' if rank != '0' else 'an alias'})"
    return content.replace("<Root>", "the same name")


def datagrams(capture: Narrated, flow: int) -> Step:
    """A UDP flow that is not DNS."""
    flows = capture.index.flows
    numbers = capture.index.flow_packets(flow).tolist()
    client, server = flows.addresses(flow)
    one, other = named(capture, client, numbers[0], flows.sport(flow)), named(capture, server, numbers[0], flows.dport(flow))
    sent, received = (int(count) for count in flows.packets[flow])
    layers = capture.layers(numbers[0]).layers
    title = layers[-1].title if layers and layers[-1].protocol not in ("udp", "data") else "UDP"
    text = f"{one} sends {counted(sent, 'datagram')} ({title}) to {other}"
    text += f", which sends {counted(received, 'datagram')} back" if received else ", and gets none back"
    return step(capture, "datagrams", numbers, f"{text}.", flow)


def named(capture: Narrated, address: bytes, packet: int, port: int = -1) -> str:
    """An address, or an end where a port is given, with its name in front where the capture knows one."""
    text = address_text(address) if port < 0 else endpoint_text(address, port)
    known = capture.name(address, packet)
    return text if known == address_text(address) else f"{known} ({text})"


def _text(layer: Layer, name: str) -> str:
    field = layer.find(name)
    return "" if field is None else cell(field.spec, field.value)


def _after(capture: Narrated, packets: list[int], number: int) -> str:
    return duration(capture.time_of(number) - capture.time_of(packets[0]))
