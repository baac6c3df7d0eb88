"""Which library reads what: the keys under which our registry names a payload → the class that declares it.

Only what no file of ours dissects stands here. Field names are Wireshark's where its field is the same for certain; all
others are `borrowed.LIBRARY.PROTOCOL.…`, as the library calls them.
"""

from __future__ import annotations

from functools import partial

from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, catalog, ipv4, u8, u16, u32, uint
from inspector.core.protocol import Protocol
from inspector.protocols.borrowed.lent import ROOT, Loan

PREFIX = f"{ROOT}."  # of the name of every field that Wireshark does not name so

SCTP_PAYLOADS = "sctp.ppi"  # the table of payload protocol identifiers (IANA "SCTP Payload Protocol Identifiers")

VRRP = {
    "version": uint("vrrp.version", "Version", 4),
    "type": uint("vrrp.type", "Type", 4, values={1: "Advertisement"}),
    "vrid": u8("vrrp.virt_rtr_id", "Virtual router"),
    "priority": u8("vrrp.prio", "Priority"),
    "count": u8("vrrp.addr_count", "Addresses"),
    "sum": u16("vrrp.checksum", "Checksum", Base.HEX),
}
HSRP = {
    "version": u8("hsrp.version", "Version"),
    "opcode": u8("hsrp.opcode", "Operation", values={0: "Hello", 1: "Coup", 2: "Resign", 3: "Advertise"}),
    "state": u8("hsrp.state", "State", values={0: "Initial", 1: "Learn", 2: "Listen", 4: "Speak", 8: "Standby", 16: "Active"}),
    "hello": u8("hsrp.hellotime", "Hello time in seconds"),
    "hold": u8("hsrp.holdtime", "Hold time in seconds"),
    "priority": u8("hsrp.priority", "Priority"),
    "group": u8("hsrp.group", "Group"),
    "rsvd": u8("hsrp.reserved", "Reserved"),
    "vip": ipv4("hsrp.virt_ip", "Virtual address"),
}
STP = {
    "proto_id": u16("stp.protocol", "Protocol", Base.HEX),
    "v": u8("stp.version", "Version", values={0: "Spanning tree", 2: "Rapid", 3: "Multiple"}),
    "type": u8("stp.type", "Type", Base.HEX, {0: "Configuration", 2: "Rapid or multiple", 0x80: "Topology change"}),
    "flags": u8("stp.flags", "Flags", Base.HEX),
    "root_path": u32("stp.root.cost", "Cost of the path to the root"),
    "port_id": u16("stp.port", "Port", Base.HEX),
}
RIP = {
    "cmd": u8("rip.command", "Command", values={1: "Request", 2: "Response"}),
    "v": u8("rip.version", "Version"),
    "RTE.family": u16("rip.family", "Address family"),
    "RTE.route_tag": u16("rip.route_tag", "Route tag"),
    "RTE.addr": ipv4("rip.ip", "Network"),
    "RTE.subnet": ipv4("rip.netmask", "Mask"),
    "RTE.next_hop": ipv4("rip.next_hop", "Next hop"),
    "RTE.metric": u32("rip.metric", "Metric"),
}
AOE = {
    "maj": u16("aoe.major", "Shelf", Base.HEX),
    "min": u8("aoe.minor", "Slot", Base.HEX),
    "tag": u32("aoe.tag", "Tag", Base.HEX),
}
IPX = {
    "sum": u16("ipx.checksum", "Checksum", Base.HEX),
    "len": u16("ipx.len", "Length"),
    "tc": u8("ipx.hops", "Hops"),
    "pt": u8("ipx.packet_type", "Type"),
}
NETFLOW = {
    "version": u16("cflow.version", "Version"),
    "count": u16("cflow.count", "Records"),
    "unix_sec": u32("borrowed.dpkt.cflow.unix_sec", "Seconds since 1970"),
    "flow_sequence": u32("cflow.sequence", "Sequence number"),
    "engine_type": u8("cflow.engine_type", "Engine type"),
    "engine_id": u8("cflow.engine_id", "Engine"),
}
SCTP = {
    "SCTP.sport": u16("sctp.srcport", "Source port"),
    "SCTP.dport": u16("sctp.dstport", "Destination port"),
    "SCTP.tag": u32("sctp.verification_tag", "Verification tag", Base.HEX),
    "SCTP.chksum": u32("sctp.checksum", "Checksum", Base.HEX),
    "SCTPChunkData.tsn": u32("sctp.data_tsn_raw", "Transmission sequence number"),
    "SCTPChunkData.stream_id": u16("sctp.data_sid", "Stream", Base.HEX),
    "SCTPChunkData.stream_seq": u16("sctp.data_ssn", "Stream sequence number"),
    "SCTPChunkData.proto_id": u32("sctp.data_payload_proto_id", "Payload protocol"),
}

CISCO = 0x00000C  # the organisation under which CDP, VTP and their kin stand behind SNAP


def _dpkt(
    protocol: str, title: str, osi: int, module: str, entry: str, keys: dict[str, tuple[object, ...]],
    known: dict[str, FieldSpec] | None = None, items: str = "", size: int = 0,
) -> Loan:  # fmt: skip
    """size: of an item; items of another size say it in the second pair of octets."""
    stop = (lambda head: size) if size else (lambda head: int.from_bytes(head[2:4], "big"))
    return Loan(protocol, title, osi, "dpkt", f"dpkt.{module}", entry, keys, known or {}, items, stop)


def _scapy(
    protocol: str, title: str, osi: int, module: str, entry: str, keys: dict[str, tuple[object, ...]],
    known: dict[str, FieldSpec] | None = None, carries: dict[str, tuple[str, str]] | None = None,
) -> Loan:  # fmt: skip
    return Loan(protocol, title, osi, "scapy", f"scapy.{module}", entry, keys, known or {}, carries=carries or {})


LOANS = (
    _dpkt("stp", "Spanning tree", 2, "stp", "STP", {"llc.dsap": (0x42,)}, STP),
    _dpkt("aoe", "ATA over Ethernet", 5, "aoe", "AOE", {"ethertype": (0x88A2,)}, AOE),
    _dpkt("ipx", "IPX", 3, "ipx", "IPX", {"ethertype": (0x8137,), "llc.dsap": (0xE0,), "ppp.protocol": (0x2B,)}, IPX),
    _dpkt("cdp", "Cisco Discovery Protocol", 2, "cdp", "CDP", {"llc.pid": ((CISCO, 0x2000),), "chdlc.protocol": (0x2000,)},
          {"version": u8("cdp.version", "Version"), "ttl": u8("cdp.ttl", "Seconds to live"),
           "sum": u16("cdp.checksum", "Checksum", Base.HEX), "TLV.type": u16("cdp.tlv.type", "Type", Base.HEX),
           "TLV.len": u16("cdp.tlv.len", "Length")}, "CDP.TLV"),
    _dpkt("vrrp", "VRRP", 3, "vrrp", "VRRP", {"ip.proto": (112,)}, VRRP),
    _dpkt("hsrp", "HSRP", 3, "hsrp", "HSRP", {"udp.port": (1985,)}, HSRP),
    _dpkt("rip", "RIP", 3, "rip", "RIP", {"udp.port": (520,)}, RIP, "RTE", 20),
    _scapy("sctp", "SCTP", 4, "layers.sctp", "SCTP", {"ip.proto": (132,), "udp.port": (9899,)}, SCTP,
           {"SCTPChunkData.data": (SCTP_PAYLOADS, "proto_id")}),
    _scapy("eapol", "802.1X", 2, "layers.eap", "EAPOL", {"ethertype": (0x888E,)}),
    _scapy("lldp", "LLDP", 2, "contrib.lldp", "LLDPDU", {"ethertype": (0x88CC,)}),
    _scapy("slow", "Slow protocols", 2, "contrib.slowprot", "SlowProtocol", {"ethertype": (0x8809,)}),
    _scapy("macc", "MAC control", 2, "contrib.mac_control", "MACControl", {"ethertype": (0x8808,)}),
    _scapy("cfm", "OAM", 2, "contrib.oam", "OAM", {"ethertype": (0x8902,)}),
    _scapy("ecatf", "EtherCAT", 2, "contrib.ethercat", "EtherCat", {"ethertype": (0x88A4,)}),
    _scapy("pn_rt", "PROFINET", 2, "contrib.pnio", "ProfinetIO", {"ethertype": (0x8892,)}),
    _scapy("lltd", "LLTD", 2, "layers.lltd", "LLTD", {"ethertype": (0x88D9,)}),
    _scapy("homeplug-av", "HomePlug AV", 2, "contrib.homeplugav", "HomePlugAV", {"ethertype": (0x88E1,)}),
    _scapy("ptp", "PTP", 5, "contrib.ptp_v2", "PTP", {"ethertype": (0x88F7,), "udp.port": (319, 320)}),
    _scapy("vtp", "Cisco VTP", 2, "contrib.vtp", "VTP", {"llc.pid": ((CISCO, 0x2003),)}),
    _scapy("dtp", "Cisco DTP", 2, "contrib.dtp", "DTP", {"llc.pid": ((CISCO, 0x2004),)}),
    _scapy("osi", "ISO network layer", 3, "layers.clns", "_create_cln_pdu", {"llc.dsap": (0xFE,), "chdlc.protocol": (0xFEFE,)}),
    _scapy("lcp", "PPP LCP", 2, "layers.ppp", "PPP_LCP", {"ppp.protocol": (0xC021,)}),
    _scapy("ipcp", "PPP IPCP", 2, "layers.ppp", "PPP_IPCP", {"ppp.protocol": (0x8021,)}),
    _scapy("ecp", "PPP ECP", 2, "layers.ppp", "PPP_ECP", {"ppp.protocol": (0x8053,)}),
    _scapy("pap", "PPP PAP", 2, "layers.ppp", "PPP_PAP", {"ppp.protocol": (0xC023,)}),
    _scapy("chap", "PPP CHAP", 2, "layers.ppp", "PPP_CHAP", {"ppp.protocol": (0xC223,)}),
    _scapy("eap", "EAP", 2, "layers.eap", "EAP", {"ppp.protocol": (0xC227,)}),
    _scapy("pppoed", "PPPoE discovery", 2, "layers.ppp", "PPPoED_Tags", {"pppoe": ("discovery",)}),
    _scapy("ospf", "OSPF", 3, "contrib.ospf", "OSPF_Hdr", {"ip.proto": (89,)}),
    _scapy("eigrp", "EIGRP", 3, "contrib.eigrp", "EIGRP", {"ip.proto": (88,)}),
    _scapy("rsvp", "RSVP", 3, "contrib.rsvp", "RSVP", {"ip.proto": (46,)}),
    _scapy("dhcpv6", "DHCPv6", 7, "layers.dhcp6", "_dhcp6_dispatcher", {"udp.port": (546, 547)}),
    _scapy("ripng", "RIPng", 3, "contrib.ripng", "RIPng", {"udp.port": (521,)}),
    _scapy("bfd", "BFD", 3, "contrib.bfd", "BFD", {"udp.port": (3784, 3785, 4784)}),
    _scapy("ldp", "LDP", 3, "contrib.ldp", "LDP", {"udp.port": (646,)}),
    _scapy("mip", "Mobile IP", 3, "layers.mobileip", "MobileIP", {"udp.port": (434,)}),
    _scapy("tftp", "TFTP", 7, "layers.tftp", "TFTP", {"udp.port": (69,)}),
    _scapy("snmp", "SNMP", 7, "layers.snmp", "SNMP", {"udp.port": (161, 162)}),
    _scapy("radius", "RADIUS", 7, "layers.radius", "Radius", {"udp.port": (1645, 1646, 1812, 1813)}),
    _scapy("cflow", "NetFlow", 7, "layers.netflow", "NetflowHeader", {"udp.port": (2055, 9995, 9996)}),
    _scapy("isakmp", "ISAKMP", 5, "layers.isakmp", "ISAKMP", {"udp.port": (500,)}),
    _scapy("l2tp", "L2TP", 2, "layers.l2tp", "L2TP", {"udp.port": (1701,)}),
    _scapy("mgcp", "MGCP", 7, "layers.mgcp", "MGCP", {"udp.port": (2427, 2727)}),
    _scapy("nbns", "NetBIOS name service", 5, "layers.netbios", "NBNSHeader", {"udp.port": (137,)}),
    _scapy("nbdgm", "NetBIOS datagram", 5, "layers.netbios", "NBTDatagram", {"udp.port": (138,)}),
    _scapy("wg", "WireGuard", 3, "contrib.wireguard", "Wireguard", {"udp.port": (51820,)}),
    _scapy("coap", "CoAP", 7, "contrib.coap", "CoAP", {"udp.port": (5683,)}),
    _scapy("pfcp", "PFCP", 7, "contrib.pfcp", "PFCP", {"udp.port": (8805,)}),
    _scapy("cldap", "LDAP", 7, "layers.ldap", "CLDAP", {"udp.port": (389,)}),
    _scapy("knxip", "KNX", 7, "contrib.knx", "KNX", {"udp.port": (3671,)}),
    _scapy("rtps", "RTPS", 7, "contrib.rtps", "RTPS", {"udp.port": (7400, 7401, 7410, 7411)}),
    _scapy("mqttsn", "MQTT-SN", 7, "contrib.mqttsn", "MQTTSN", {"udp.port": (1883, 1884)}),
    _scapy("tzsp", "TZSP", 2, "contrib.tzsp", "TZSP", {"udp.port": (37008,)}),
)  # fmt: skip


def _read(loan: Loan, c: Cursor) -> None:
    """Here, and not before, is the library imported."""
    if loan.library == "dpkt":
        from inspector.protocols.borrowed import dpkt_headers

        dpkt_headers.read(c, loan)
    else:
        from inspector.protocols.borrowed import scapy_layers

        scapy_layers.read(c, loan)
    c.layer.why += f"; as {loan.library} reads it"


def named(name: str) -> FieldSpec | None:
    """The declaration of a field `borrowed.LIBRARY.PROTOCOL.…`; None where the library has none of that name."""
    root, library, protocol, *path = [*name.split("."), "", ""]
    path = [part for part in path if part]
    for loan in LOANS:
        if root == ROOT and path and (loan.library, loan.protocol) == (library, protocol):
            from inspector.protocols.borrowed import dpkt_headers, scapy_layers

            found = dpkt_headers.find(loan, tuple(path)) if library == "dpkt" else scapy_layers.find(loan, tuple(path))
            if found is not None:
                return found
    return None


PROTOCOLS = tuple(
    Protocol(loan.protocol, loan.title, loan.osi, catalog(*loan.known.values()), partial(_read, loan), keys=loan.keys)
    for loan in LOANS
)
