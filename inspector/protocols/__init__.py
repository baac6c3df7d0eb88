"""Every protocol that is dissected here: one explicit list. Importing a protocol registers nothing."""

from __future__ import annotations

from inspector.core.protocol import Protocol
from inspector.protocols.dns import dns
from inspector.protocols.link import ethernet
from inspector.protocols.network import ipv4, ipv6
from inspector.protocols.transport import tcp, udp

PROTOCOLS: tuple[Protocol, ...] = (
    ethernet.PROTOCOL,
    ipv4.PROTOCOL,
    ipv6.PROTOCOL,
    tcp.PROTOCOL,
    udp.PROTOCOL,
    dns.PROTOCOL,
    dns.MDNS,
    dns.LLMNR,
)
