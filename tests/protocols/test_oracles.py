"""Our headers beside dpkt and scapy, field by field, over the bundled captures: three readings of the same bytes agree."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import dpkt
import pytest
from scapy.layers.dns import DNS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from inspector.core.layer import Layer
from inspector.session import open_session
from inspector.sources.bundled import bundled

CAPTURES = [entry.name for entry in bundled()]
MOST = 80  # packets of a capture
Facts = dict[str, Any]  # by the name of the field
FLAGS = "tcp.flags.fin", "tcp.flags.syn", "tcp.flags.reset", "tcp.flags.push", "tcp.flags.ack", "tcp.flags.urg"


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def v4(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, text)


def v6(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


def tcp_flags(value: int) -> Facts:
    return {name: bool(value >> bit & 1) for bit, name in enumerate(FLAGS)}


# --- dpkt


def by_dpkt(data: bytes) -> Iterator[tuple[str, Facts]]:
    ether = dpkt.ethernet.Ethernet(data)
    yield "eth", {"eth.dst": ether.dst, "eth.src": ether.src, "eth.type": ether.type}
    inner = ether.data
    if isinstance(inner, dpkt.arp.ARP):
        yield "arp", {
            "arp.hw.type": inner.hrd, "arp.proto.type": inner.pro, "arp.hw.size": inner.hln, "arp.proto.size": inner.pln,
            "arp.opcode": inner.op, "arp.src.hw_mac": inner.sha, "arp.src.proto_ipv4": inner.spa, "arp.dst.hw_mac": inner.tha,
            "arp.dst.proto_ipv4": inner.tpa,
        }  # fmt: skip
        return
    if isinstance(inner, dpkt.ip.IP):
        yield "ip", {
            "ip.version": inner.v, "ip.hdr_len": inner.hl * 4, "ip.dsfield": inner.tos, "ip.len": inner.len, "ip.id": inner.id,
            "ip.flags.df": bool(inner.df), "ip.flags.mf": bool(inner.mf), "ip.frag_offset": inner.offset, "ip.ttl": inner.ttl,
            "ip.proto": inner.p, "ip.checksum": inner.sum, "ip.src": inner.src, "ip.dst": inner.dst,
        }  # fmt: skip
    elif isinstance(inner, dpkt.ip6.IP6):
        yield "ipv6", {
            "ipv6.tclass": inner.fc, "ipv6.flow": inner.flow, "ipv6.plen": inner.plen, "ipv6.nxt": inner.nxt,
            "ipv6.hlim": inner.hlim, "ipv6.src": inner.src, "ipv6.dst": inner.dst,
        }  # fmt: skip
    else:
        return
    yield from transport_by_dpkt(inner.data)


def transport_by_dpkt(inner: Any) -> Iterator[tuple[str, Facts]]:
    if isinstance(inner, dpkt.tcp.TCP):
        options = dict(dpkt.tcp.parse_opts(inner.opts))
        found: Facts = {
            "tcp.srcport": inner.sport, "tcp.dstport": inner.dport, "tcp.seq_raw": inner.seq, "tcp.ack_raw": inner.ack,
            "tcp.hdr_len": inner.off * 4, "tcp.window_size_value": inner.win, "tcp.checksum": inner.sum,
            "tcp.urgent_pointer": inner.urp, "tcp.len": len(inner.data), **tcp_flags(inner.flags),
        }  # fmt: skip
        if dpkt.tcp.TCP_OPT_MSS in options:
            found["tcp.options.mss_val"] = int.from_bytes(options[dpkt.tcp.TCP_OPT_MSS], "big")
        if dpkt.tcp.TCP_OPT_WSCALE in options:
            found["tcp.options.wscale.shift"] = options[dpkt.tcp.TCP_OPT_WSCALE][0]
        if dpkt.tcp.TCP_OPT_TIMESTAMP in options:
            stamps = options[dpkt.tcp.TCP_OPT_TIMESTAMP]
            found["tcp.options.timestamp.tsval"] = int.from_bytes(stamps[:4], "big")
            found["tcp.options.timestamp.tsecr"] = int.from_bytes(stamps[4:], "big")
        yield "tcp", found
    elif isinstance(inner, dpkt.udp.UDP):
        yield "udp", {
            "udp.srcport": inner.sport, "udp.dstport": inner.dport, "udp.length": inner.ulen, "udp.checksum": inner.sum,
        }  # fmt: skip
        if 53 in (inner.sport, inner.dport):
            try:
                message = dpkt.dns.DNS(inner.data)
            except dpkt.UnpackError:  # it holds a record that dpkt does not know, such as HTTPS
                return
            found = {"dns.id": message.id, "dns.flags": message.op}
            found |= counts(len(message.qd), len(message.an), len(message.ns), len(message.ar))
            if message.qd:
                found |= {"dns.qry.name": message.qd[0].name, "dns.qry.type": message.qd[0].type}
            addresses = [record.rdata for record in message.an if record.type == dpkt.dns.DNS_A]
            yield "dns", found | ({"dns.a": addresses[0]} if addresses else {})
    elif isinstance(inner, dpkt.icmp.ICMP):
        yield "icmp", {"icmp.type": inner.type, "icmp.code": inner.code, "icmp.checksum": inner.sum}


def counts(*numbers: int) -> Facts:
    return dict(zip(("dns.count.queries", "dns.count.answers", "dns.count.auth_rr", "dns.count.add_rr"), numbers, strict=True))


# --- scapy


def by_scapy(data: bytes) -> Iterator[tuple[str, Facts]]:
    ether = Ether(data)
    yield "eth", {"eth.dst": mac(ether.dst), "eth.src": mac(ether.src), "eth.type": ether.type}
    inner = ether.payload
    if isinstance(inner, ARP):
        yield "arp", {
            "arp.hw.type": inner.hwtype, "arp.proto.type": inner.ptype, "arp.opcode": inner.op,
            "arp.src.hw_mac": mac(inner.hwsrc), "arp.src.proto_ipv4": v4(inner.psrc), "arp.dst.hw_mac": mac(inner.hwdst),
            "arp.dst.proto_ipv4": v4(inner.pdst),
        }  # fmt: skip
    elif isinstance(inner, IP):
        yield "ip", {
            "ip.version": inner.version, "ip.hdr_len": inner.ihl * 4, "ip.dsfield": inner.tos, "ip.len": inner.len,
            "ip.id": inner.id, "ip.flags": int(inner.flags), "ip.ttl": inner.ttl, "ip.proto": inner.proto,
            "ip.checksum": inner.chksum, "ip.src": v4(inner.src), "ip.dst": v4(inner.dst),
        }  # fmt: skip
    elif isinstance(inner, IPv6):
        yield "ipv6", {
            "ipv6.version": inner.version, "ipv6.tclass": inner.tc, "ipv6.flow": inner.fl, "ipv6.plen": inner.plen,
            "ipv6.nxt": inner.nh, "ipv6.hlim": inner.hlim, "ipv6.src": v6(inner.src), "ipv6.dst": v6(inner.dst),
        }  # fmt: skip
    yield from transport_by_scapy(inner.payload)


def transport_by_scapy(inner: Any) -> Iterator[tuple[str, Facts]]:
    if isinstance(inner, TCP):
        options = {option[0]: option[1] for option in inner.options}
        found: Facts = {
            "tcp.srcport": inner.sport, "tcp.dstport": inner.dport, "tcp.seq_raw": inner.seq, "tcp.ack_raw": inner.ack,
            "tcp.hdr_len": inner.dataofs * 4, "tcp.window_size_value": inner.window, "tcp.checksum": inner.chksum,
            "tcp.urgent_pointer": inner.urgptr, **tcp_flags(int(inner.flags)),
        }  # fmt: skip
        if "MSS" in options:
            found["tcp.options.mss_val"] = options["MSS"]
        if "WScale" in options:
            found["tcp.options.wscale.shift"] = options["WScale"]
        if "Timestamp" in options:
            found["tcp.options.timestamp.tsval"], found["tcp.options.timestamp.tsecr"] = options["Timestamp"]
        yield "tcp", found
    elif isinstance(inner, UDP):
        yield "udp", {
            "udp.srcport": inner.sport, "udp.dstport": inner.dport, "udp.length": inner.len, "udp.checksum": inner.chksum,
        }  # fmt: skip
        if isinstance(inner.payload, DNS):
            message = inner.payload
            found = {"dns.id": message.id, "dns.flags.response": bool(message.qr), "dns.flags.opcode": message.opcode}
            found |= {"dns.flags.truncated": bool(message.tc), "dns.flags.recdesired": bool(message.rd)}
            found |= counts(message.qdcount, message.ancount, message.nscount, message.arcount)
            if message.qdcount:
                asked = message.qd[0]
                found |= {"dns.qry.name": asked.qname.decode().rstrip("."), "dns.qry.type": asked.qtype}
                found["dns.qry.class"] = asked.qclass
            yield "dns", found
    elif isinstance(inner, ICMP):
        yield "icmp", {"icmp.type": inner.type, "icmp.code": inner.code, "icmp.checksum": inner.chksum}


# --- ours


def ours(layer: Layer, names: Facts) -> Facts:
    """The first value of each of the names."""
    found: Facts = {}
    for field in layer.walk():
        if field.name in names and field.name not in found:
            found[field.name] = field.value
    return found


@pytest.mark.parametrize("name", CAPTURES)
def test_three_readings_agree(name: str) -> None:
    session = open_session(name)
    compared = 0
    for number in range(1, min(session.count, MOST) + 1):
        data, result = session.packet(number).data, session.layers(number)
        for library, read in (("dpkt", by_dpkt), ("scapy", by_scapy)):
            for protocol, facts in read(data):
                layer = result.find(protocol)
                assert layer is not None, (library, number, protocol)
                assert ours(layer, facts) == facts, (library, number, protocol)
                compared += len(facts)
    session.close()
    assert compared > 40 * min(number, MOST)
