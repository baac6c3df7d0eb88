"""The cards of protocols that have none in a file of their own: what is lent by libraries, tags, tunnels, pieces of others.

`CARDS` is by protocol; `PART_OF` names the protocol whose card speaks for another one, too.
"""

from __future__ import annotations

from inspector.annotations.card_texts import applications, links, network, tunnels
from inspector.core.protocol import Card

CARDS: dict[str, Card] = {**links.CARDS, **tunnels.CARDS, **network.CARDS, **applications.CARDS}

# Protocol → the one whose card speaks for it too.
PART_OF: dict[str, str] = {
    "ieee8021ad": "vlan", "vntag": "etag", "cmd": "eth", "avsp": "eth", "slarp": "chdlc", "lcp": "ppp", "ipcp": "ppp",
    "ecp": "ppp", "pap": "ppp", "chap": "ppp", "pppoed": "pppoe", "vxlan_gpe": "vxlan", "udpencap": "esp",
    "ipv6.hopopts": "ipv6", "ipv6.dstopts": "ipv6", "ipv6.routing": "ipv6", "ipv6.fraghdr": "ipv6",
    "tls.handshake": "tls", "tls.ssl2": "tls", "http2.body": "http2", "http2.upgrade": "http2",
    "websocket.message": "websocket",
}  # fmt: skip

# Where the cards in the protocols' own files are from: sections in the order of the properties.
SECTIONS: dict[str, str] = {
    "eth": "IEEE 802.3, 3 (frame), 31 (pause); IEEE 802.1Q, 8.6 and 8.7 (switches)",
    "vlan": "IEEE 802.1Q, 9 (tag), 6.9 and 8.6 (priority and forwarding)",
    "arp": "RFC 826; RFC 1122, 2.3.2 (the cache); RFC 5227 (conflicts)",
    "ip": "RFC 791, 2.3, 3.1 and 3.2; RFC 1812, 5.2 (routing); RFC 3168, 5 (ECN); RFC 4632 (prefixes)",
    "ipv6": "RFC 8200, 3, 4.5 and 8.1; RFC 4291, 2; RFC 8201; RFC 3168, 5 (ECN)",
    "icmp": "RFC 792; RFC 1122, 3.2.2; RFC 1812, 4.3",
    "icmpv6": "RFC 4443, 2 to 4; RFC 4861, 4, 7 and 11.2",
    "tcp": "RFC 9293, 3.1 (format), 3.3 and 3.6 (state and close), 3.4 (numbers), 3.8 (windows, sending again); RFC 5681",
    "udp": "RFC 768; RFC 8085, 3 (what the application must do); RFC 4787, 4 (NAT)",
    "dns": "RFC 1035, 4 (messages and transports), 7 (resolvers); RFC 1034, 3 to 5; RFC 2181, 5 and 9",
    "dhcp": "RFC 2131, 2 to 4; RFC 2132",
    "ntp": "RFC 5905, 3, 7 and 8",
    "stun": "RFC 8489, 5, 6 and 14",
    "tls": "RFC 8446, 4, 5 and 6; RFC 5246, 6 and 7; RFC 6066, 3 (SNI)",
    "http": "RFC 9112, 2, 6, 7 and 9; RFC 9110, 3, 4, 7 and 15",
    "http2": "RFC 9113, 4, 5, 6 and 7; RFC 7541",
    "grpc": "gRPC over HTTP2; gRPC Status codes",
    "sse": "WHATWG HTML, 9.2.2 to 9.2.7",
    "websocket": "RFC 6455, 5 (frames), 5.5 (control), 7 (close), 10; RFC 7692, 7",
    "smtp": "RFC 5321, 2.3, 3, 4.1, 4.2 and 4.5; RFC 3207",
    "imap": "RFC 9051, 2, 3, 5 and 7",
    "pop": "RFC 1939, 3 to 6",
    "ftp": "RFC 959, 3, 4 and 5.4; RFC 2428",
    "pgsql": "PostgreSQL documentation, Frontend/Backend Protocol: Overview, Message Flow, Message Formats",
    "json": "RFC 8259, 2 to 8",
    "protobuf": "protobuf.dev, Encoding; Proto Best Practices",
}
