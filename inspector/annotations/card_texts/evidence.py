"""Which fields show which property of a protocol, in the bytes of a capture."""

from __future__ import annotations

# protocol → property → the fields that show it, where the capture has them; a property that is missing is one of behaviour,
# which no field shows (`card_texts` say what it is), or lies in another layer.
EVIDENCE: dict[str, dict[str, tuple[str, ...]]] = {
    "eth": {"addressing": ("eth.dst", "eth.src"), "data_format": ("eth.type",), "transfer_mode": ("eth.padding",),
            "routing": ("eth.dst",), "errors": ("eth.fcs",)},
    "vlan": {"addressing": ("vlan.id",), "control": ("vlan.priority",), "data_format": ("vlan.etype",)},
    "arp": {
        "addressing": ("arp.dst.proto_ipv4", "arp.src.hw_mac"), "directionality": ("arp.opcode",),
        "data_format": ("arp.hw.size", "arp.proto.size"), "state": ("arp.src.proto_ipv4", "arp.src.hw_mac"),
    },
    "ip": {
        "addressing": ("ip.src", "ip.dst"), "routing": ("ip.ttl",), "data_format": ("ip.hdr_len",),
        "transfer_mode": ("ip.len", "ip.flags.mf"), "directionality": ("ip.src", "ip.dst"),
        "errors": ("ip.checksum",), "control": ("ip.dsfield.ecn",),
    },
    "ipv6": {
        "addressing": ("ipv6.src", "ipv6.dst"), "routing": ("ipv6.hlim", "ipv6.flow"), "transfer_mode": ("ipv6.plen",),
        "data_format": ("ipv6.nxt",), "control": ("ipv6.tclass.ecn",), "directionality": ("ipv6.src", "ipv6.dst"),
    },
    "icmp": {
        "data_format": ("icmp.type", "icmp.code"), "errors": ("icmp.checksum",), "directionality": ("icmp.seq",),
    },
    "icmpv6": {
        "data_format": ("icmpv6.type", "icmpv6.code"), "errors": ("icmpv6.checksum",),
        "addressing": ("icmpv6.nd.ns.target_address", "icmpv6.opt.target_linkaddr"),
        "directionality": ("icmpv6.nd.na.flag.s",), "state": ("icmpv6.opt.target_linkaddr", "icmpv6.opt.src_linkaddr"),
    },
    "tcp": {
        "addressing": ("tcp.srcport", "tcp.dstport"), "state": ("tcp.flags", "tcp.seq_raw"), "data_format": ("tcp.hdr_len",),
        "transfer_mode": ("tcp.len", "tcp.flags.push"), "directionality": ("tcp.flags.fin",),
        "control": ("tcp.window_size_value", "tcp.options.mss_val"), "errors": ("tcp.checksum", "tcp.ack_raw"),
    },
    "udp": {"addressing": ("udp.srcport", "udp.dstport"), "transfer_mode": ("udp.length",), "errors": ("udp.checksum",),
            "data_format": ("udp.length",)},
    "urlencoded-form": {"data_format": ("urlencoded-form.key", "urlencoded-form.value"),
                        "addressing": ("urlencoded-form.key",)},
    "dns": {
        "addressing": ("dns.qry.name",), "errors": ("dns.id", "dns.flags.rcode", "dns.flags.truncated"),
        "state": ("dns.resp.ttl",), "directionality": ("dns.flags.response",), "routing": ("dns.flags.recdesired",),
        "transfer_mode": ("dns.rr.udp_payload_size",), "data_format": ("dns.count.queries",),
    },
    "mdns": {
        "addressing": ("dns.qry.name",), "state": ("dns.resp.ttl",), "directionality": ("dns.flags.response",),
    },
    "llmnr": {"addressing": ("dns.qry.name",), "errors": ("dns.id",), "directionality": ("dns.flags.response",)},
    "dhcp": {
        "data_format": ("dhcp.option.type", "dhcp.cookie"), "addressing": ("dhcp.hw.mac_addr",), "errors": ("dhcp.id",),
        "directionality": ("dhcp.type",), "state": ("dhcp.ip.your",), "routing": ("dhcp.ip.relay",),
        "transfer_mode": ("dhcp.flags.bc",),
    },
    "ntp": {
        "data_format": ("ntp.flags.vn",), "directionality": ("ntp.flags.mode",), "control": ("ntp.ppoll",),
        "errors": ("ntp.org", "ntp.rootdispersion"), "routing": ("ntp.stratum", "ntp.refid"),
    },
    "stun": {
        "data_format": ("stun.att.type", "stun.att.length"), "directionality": ("stun.type.class",), "errors": ("stun.id",),
        "addressing": ("stun.att.ipv4", "stun.att.port"),
    },
    "http": {
        "addressing": ("http.host", "http.request.uri"),  # cookies would show the state, and are secret
        "transfer_mode": ("http.content_length_header", "http.transfer_encoding"), "errors": ("http.response.code",),
        "directionality": ("http.request.method",), "data_format": ("http.content_type",),
        "routing": ("http.host", "http.x_forwarded_for"), "state": ("http.connection",),
    },
    "tls": {
        "data_format": ("tls.record.content_type", "tls.record.length"), "state": ("tls.handshake.session_id",),
        "addressing": ("tls.handshake.extensions_server_name",), "errors": ("tls.alert_message.desc", "tls.record.tag"),
        "transfer_mode": ("tls.record.length",),
    },
    "sse": {"data_format": ("sse.event", "sse.data"), "state": ("sse.id",), "addressing": ("sse.event", "sse.id"),
            "transfer_mode": ("sse.end",),
            "errors": ("sse.retry",)},
    "websocket": {
        "data_format": ("websocket.opcode", "websocket.payload_length"), "directionality": ("websocket.masking_key",),
        "transfer_mode": ("websocket.fin",), "errors": ("websocket.payload.close.status_code",),
        "state": ("websocket.rsv",),
    },
    "http2": {
        "addressing": ("http2.streamid",), "data_format": ("http2.type", "http2.length"),
        "transfer_mode": ("http2.data.data",), "routing": ("http2.headers.authority", "http2.headers.path"),
        "control": ("http2.window_update.window_size_increment", "http2.settings.initial_window_size"),
        "errors": ("http2.rst_stream.error", "http2.goaway.error"),
        "state": ("http2.stream.state",), "directionality": ("http2.flags.end_stream",),
    },
    "grpc": {
        "transfer_mode": ("grpc.message_length",), "errors": ("grpc.status",), "addressing": ("grpc.method",),
        "data_format": ("grpc.compressed_flag",),
    },
    "protobuf": {"data_format": ("protobuf.field.number", "protobuf.field.wiretype"),
                 "transfer_mode": ("protobuf.field.value.length",), "addressing": ("protobuf.field.number",)},
    "json": {"data_format": ("json.object", "json.value")},
    "smtp": {
        "data_format": ("smtp.req.command", "smtp.message"), "errors": ("smtp.response.code",),
        "transfer_mode": ("smtp.eom",),
    },
    "pop": {"data_format": ("pop.request.command",), "errors": ("pop.response.indicator",),
            "transfer_mode": ("pop.response.end",)},
    "imap": {"data_format": ("imap.request.command",), "directionality": ("imap.request_tag", "imap.response_tag"),
             "errors": ("imap.response.status",)},
    "ftp": {"data_format": ("ftp.request.command",), "errors": ("ftp.response.code",),
            "addressing": ("ftp.passive.port", "ftp.active.port")},
    "pgsql": {"data_format": ("pgsql.type", "pgsql.length"), "state": ("pgsql.status",), "transfer_mode": ("pgsql.query",)},
    "gre": {"data_format": ("gre.flags_and_version", "gre.proto"), "addressing": ("gre.key",),
            "errors": ("gre.checksum", "gre.sequence_number")},
    "mpls": {"addressing": ("mpls.label",), "control": ("mpls.exp",), "errors": ("mpls.ttl",),
             "data_format": ("mpls.bottom",)},
    "vxlan": {"data_format": ("vxlan.flags",), "addressing": ("vxlan.vni",)},
    "geneve": {"data_format": ("geneve.option_length", "geneve.proto_type"), "addressing": ("geneve.vni",)},
    "gtp": {"data_format": ("gtp.message",), "addressing": ("gtp.teid",), "errors": ("gtp.seq_number",)},
    "pppoe": {"data_format": ("pppoe.code",), "addressing": ("pppoe.session_id",), "transfer_mode": ("pppoe.payload_length",)},
    "esp": {"addressing": ("esp.spi",), "errors": ("esp.sequence",), "data_format": ("esp.encrypted_data",)},
    "ah": {"addressing": ("ah.spi",), "errors": ("ah.icv", "ah.sequence"), "data_format": ("ah.next_header",)},
    "igmp": {"data_format": ("igmp.type",), "addressing": ("igmp.maddr",), "control": ("igmp.max_resp",),
             "errors": ("igmp.checksum",)},
    "sctp": {"addressing": ("sctp.srcport", "sctp.dstport"), "state": ("sctp.verification_tag", "sctp.data_tsn_raw"),
             "transfer_mode": ("sctp.data_sid", "sctp.data_ssn"), "errors": ("sctp.checksum",)},
    "rip": {"data_format": ("rip.command",), "addressing": ("rip.ip", "rip.netmask"), "routing": ("rip.metric",)},
    "wlan": {
        "data_format": ("wlan.fc.type_subtype",), "addressing": ("wlan.ra", "wlan.ta"), "errors": ("wlan.fc.retry", "wlan.fcs"),
        "control": ("wlan.duration",), "directionality": ("wlan.fc.tods", "wlan.fc.fromds"),
    },
}  # fmt: skip
