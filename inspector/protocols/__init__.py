"""Every protocol that is dissected here: one explicit list. Importing a protocol registers nothing."""

from __future__ import annotations

from inspector.core.protocol import Protocol
from inspector.protocols.borrowed.table import PROTOCOLS as BORROWED
from inspector.protocols.database import postgres
from inspector.protocols.dns import dns
from inspector.protocols.encodings import form, json, multipart, protobuf, text
from inspector.protocols.files import ftp
from inspector.protocols.grpc import grpc
from inspector.protocols.http import http1, sse
from inspector.protocols.http2 import body as http2_body
from inspector.protocols.http2 import http2
from inspector.protocols.http2 import upgrade as http2_upgrade
from inspector.protocols.link import arp, chdlc, cooked, ethernet, legacy, llc, tags, vlan, wlan, wrappers
from inspector.protocols.mail import imap, pop, smtp
from inspector.protocols.media import stun
from inspector.protocols.network import icmp, icmpv6, igmp, ipsec, ipv4, ipv6, ipv6_extensions, pim
from inspector.protocols.services import dhcp, ntp
from inspector.protocols.tls import handshake, record, ssl2
from inspector.protocols.transport import tcp, udp
from inspector.protocols.tunnel import ayiya, capwap, erspan, geneve, gre, gtp, lisp, mpls, nsh, pppoe, teredo, vxlan
from inspector.protocols.websocket import websocket

PROTOCOLS: tuple[Protocol, ...] = (
    ethernet.PROTOCOL,
    vlan.PROTOCOL,
    vlan.PROVIDER,
    tags.VNTAG,
    tags.ETAG,
    tags.PBB,
    tags.MACSEC,
    tags.CMD,
    tags.CMD_IN_GRE,
    tags.ARISTA,
    llc.PROTOCOL,
    wlan.PROTOCOL,
    wlan.SWAPPED,
    wlan.RADIOTAP,
    chdlc.PROTOCOL,
    chdlc.SLARP_PROTOCOL,
    legacy.ARCNET_BSD,
    legacy.ARCNET_LINUX,
    legacy.FDDI,
    legacy.IPNET,
    wrappers.PPI,
    wrappers.PKTAP,
    wrappers.JUNIPER,
    wrappers.NFLOG,
    gre.PROTOCOL,
    erspan.PROTOCOL,
    erspan.PLAIN,
    nsh.PROTOCOL,
    mpls.PROTOCOL,
    pppoe.PROTOCOL,
    pppoe.PPP,
    cooked.SLL,
    cooked.SLL2,
    cooked.NULL,
    cooked.RAW,
    arp.PROTOCOL,
    ipv4.PROTOCOL,
    ipv6.PROTOCOL,
    *ipv6_extensions.PROTOCOLS,
    ipsec.AH,
    ipsec.ESP,
    ipsec.UDP_ENCAPSULATION,
    igmp.PROTOCOL,
    pim.PROTOCOL,
    icmp.PROTOCOL,
    icmpv6.PROTOCOL,
    tcp.PROTOCOL,
    udp.PROTOCOL,
    vxlan.PROTOCOL,
    vxlan.GPE,
    geneve.PROTOCOL,
    gtp.PROTOCOL,
    gtp.V2,
    teredo.PROTOCOL,
    ayiya.PROTOCOL,
    capwap.PROTOCOL,
    lisp.PROTOCOL,
    lisp.CONTROL,
    dns.PROTOCOL,
    dns.MDNS,
    dns.LLMNR,
    dhcp.PROTOCOL,
    ntp.PROTOCOL,
    stun.PROTOCOL,
    record.PROTOCOL,
    handshake.PROTOCOL,
    ssl2.PROTOCOL,
    smtp.PROTOCOL,
    pop.PROTOCOL,
    imap.PROTOCOL,
    ftp.PROTOCOL,
    postgres.PROTOCOL,
    http1.PROTOCOL,
    http1.SSDP,
    http2.PROTOCOL,
    http2_body.PROTOCOL,
    http2_upgrade.PROTOCOL,
    grpc.PROTOCOL,
    protobuf.PROTOCOL,
    sse.PROTOCOL,
    websocket.PROTOCOL,
    websocket.MESSAGE,
    json.PROTOCOL,
    text.PLAIN,
    form.PROTOCOL,
    multipart.PROTOCOL,
    *BORROWED,
)
