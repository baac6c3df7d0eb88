"""Borrowed protocols: in the same tree, with their bytes; payloads come back; no bytes raise; nothing is imported before."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib import import_module

import pytest
from packets import assert_holds, assert_sound, dissect, names, values
from scapy.asn1.asn1 import ASN1_OID
from scapy.contrib.cdp import CDPMsgDeviceID, CDPv2_HDR
from scapy.contrib.lldp import LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUTimeToLive
from scapy.contrib.ospf import OSPF_Hdr, OSPF_Link, OSPF_LSUpd, OSPF_Network_LSA, OSPF_Router_LSA
from scapy.layers.eap import EAP, EAPOL
from scapy.layers.hsrp import HSRP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import LLC, SNAP, STP, Dot3, Ether
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import (
    HDLC,
    PPP,
    PPP_LCP_Configure,
    PPP_LCP_Magic_Number_Option,
    PPP_LCP_MRU_Option,
    PPPoE,
)
from scapy.layers.radius import Radius, RadiusAttr_NAS_IP_Address, RadiusAttr_User_Name
from scapy.layers.rip import RIP, RIPEntry
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.layers.snmp import SNMP, SNMPget, SNMPvarbind
from scapy.layers.vrrp import VRRP

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_BORROWED_BYTES
from inspector.core.packet import Packet
from inspector.core.span import Frame, Span
from inspector.dissection.engine import Engine, make_registry
from inspector.protocols.borrowed import table
from inspector.protocols.borrowed.lent import Loan
from inspector.query import catalog
from inspector.query.filters import compile

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # given, or scapy asks the network for them
ETHER = Ether(**MACS)
IP4 = ETHER / IP(src="192.0.2.1", dst="192.0.2.2")
INNER = bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4000, dport=4001) / b"hello")
REGISTRY = make_registry()

# name → (packet, its last layers, a field, its value, its bytes)
CASES = {
    "stp": (
        Dot3(**MACS) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(pathcost=19),
        ["llc", "stp"],
        ("stp.root.cost", 19, bytes.fromhex("00000013")),
    ),
    "cdp": (
        Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0xC, code=0x2000)
        / CDPv2_HDR(msg=[CDPMsgDeviceID(val=b"r1")]),
        ["llc", "cdp"],
        ("borrowed.dpkt.cdp.tlv.data", b"r1", b"r1"),
    ),
    "vrrp": (IP4 / VRRP(vrid=7, addrlist=["192.0.2.9"]), ["ip", "vrrp", "data"], ("vrrp.virt_rtr_id", 7, b"\x07")),
    "hsrp": (
        IP4 / UDP(sport=1985, dport=1985) / HSRP(virtualIP="192.0.2.9"),
        ["udp", "hsrp"],
        ("hsrp.virt_ip", bytes((192, 0, 2, 9)), bytes((192, 0, 2, 9))),
    ),
    "rip": (
        IP4 / UDP(sport=520, dport=520) / RIP(cmd=2) / RIPEntry(addr="10.0.0.0", metric=3) / RIPEntry(addr="10.1.0.0"),
        ["udp", "rip"],
        ("rip.ip", bytes((10, 1, 0, 0)), bytes((10, 1, 0, 0))),
    ),
    "sctp": (
        IP4 / SCTP(sport=5, dport=6) / SCTPChunkData(data=b"abcde", proto_id=46, tsn=9),
        ["ip", "sctp", "data"],
        ("sctp.data_tsn_raw", 9, bytes.fromhex("00000009")),
    ),
    "ospf": (
        IP4 / OSPF_Hdr() / OSPF_LSUpd(lsalist=[OSPF_Router_LSA(linklist=[OSPF_Link(metric=77)]), OSPF_Network_LSA()]),
        ["ip", "ospf"],
        ("borrowed.scapy.ospf.ospf_link.metric", 77, b"\0\x4d"),
    ),
    "lcp": (
        Ether(**MACS, type=0x8864) / PPPoE(sessionid=1) / PPP()
        / PPP_LCP_Configure(code=1, options=[PPP_LCP_MRU_Option(max_recv_unit=1492), PPP_LCP_Magic_Number_Option()]),
        ["ppp", "lcp"],
        ("borrowed.scapy.lcp.ppp_lcp_mru_option.max_recv_unit", 1492, bytes.fromhex("05d4")),
    ),
    "lldp": (
        Ether(**MACS, type=0x88CC)
        / LLDPDUChassisID(subtype=4, id="02:00:00:00:00:01")
        / LLDPDUPortID(subtype=5, id="eth0")
        / LLDPDUTimeToLive(ttl=120)
        / LLDPDUEndOfLLDPDU(),
        ["lldp", "data"],  # the padding of a short frame
        ("borrowed.scapy.lldp.lldpdutimetolive.ttl", 120, b"\0\x78"),
    ),
    "eapol": (
        Ether(**MACS, type=0x888E) / EAPOL(version=1, type=0) / EAP(code=2, id=1, type=1, identity=b"me"),
        ["eth", "eapol"],
        ("borrowed.scapy.eapol.eap.identity", b"me", b"me"),
    ),
    "radius": (
        IP4 / UDP(sport=1812, dport=1812)
        / Radius(code=1, authenticator=bytes(16), attributes=[RadiusAttr_User_Name(value=b"bob"), RadiusAttr_NAS_IP_Address()]),
        ["udp", "radius"],
        ("borrowed.scapy.radius.radiusattr_user_name.value", b"bob", b"bob"),
    ),
    "l2tp": (
        IP4 / UDP(sport=1701, dport=1701) / L2TP(hdr=0, version=2, tunnel_id=3, session_id=2) / HDLC() / PPP() / IP(INNER),
        ["l2tp", "ppp", "ip", "udp", "data"],
        ("borrowed.scapy.l2tp.l2tp.tunnel_id", 3, b"\0\x03"),
    ),
}  # fmt: skip

MADE = {  # what scapy has no class to make of, or makes nothing of without being told more
    "aoe": bytes.fromhex("1000 0001 02 00 00000007 00000000"),
    "ipx": bytes.fromhex("ffff 0020 00 04") + bytes(24) + b"ab",
    "osi": bytes.fromhex("8312010603000000"),
    "dhcpv6": bytes.fromhex("01 010203 0008 0002 0000"),
    "eap": bytes.fromhex("0201 0007 01 6d65"),
    "pap": bytes.fromhex("0101 0008 01 61 01 62"),
    "chap": bytes.fromhex("0101 0008 02 6162 63"),
    "snmp": bytes(SNMP(PDU=SNMPget(varbindlist=[SNMPvarbind(oid=ASN1_OID("1.3.6.1.2"))]))),
    "pppoed": bytes.fromhex("0101 0000 0103 0002 abcd"),
    "ecatf": bytes.fromhex("0e10 0107 00000000 02000000 0102 0000"),
    "tftp": b"\0\1a\0octet\0",
    "mgcp": b"RSIP 1 a@b MGCP 1.0\r\n",
}


def packet(loan: Loan, data: bytes) -> bytes:
    """`data` where the protocol is expected."""
    name, (key, *_) = next(iter(loan.keys.items()))
    around = {
        "ethertype": lambda: Ether(**MACS, type=key),
        "llc.dsap": lambda: Dot3(**MACS) / LLC(dsap=key, ssap=key, ctrl=3),
        "llc.pid": lambda: Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=key[0], code=key[1]),
        "ppp.protocol": lambda: Ether(**MACS, type=0x8864) / PPPoE(sessionid=1) / PPP(proto=key),
        "pppoe": lambda: Ether(**MACS, type=0x8863) / PPPoE(code=9, len=len(data)),
        "ip.proto": lambda: ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=key),
        "udp.port": lambda: IP4 / UDP(sport=key, dport=key),
    }[name]()
    return bytes(around / data)


def tail() -> dict[str, bytes]:
    """A packet of each protocol that has none in CASES."""
    found = {}
    for loan in table.LOANS:
        if loan.protocol not in CASES:
            data = MADE.get(loan.protocol) or bytes(getattr(import_module(loan.module), loan.entry)())
            found[loan.protocol] = packet(loan, data)
    return found


def test_each_is_chosen() -> None:
    for name, data in tail().items():
        assert name in names(data)


@pytest.mark.parametrize("name", CASES)
def test_fields_have_their_bytes_and_payloads_come_back(name: str) -> None:
    made, layers, (field, value, octets) = CASES[name]
    result = dissect(bytes(made))
    assert [layer.protocol for layer in result.layers][-len(layers) :] == layers
    found = [one for layer in result.layers for one in layer.walk() if one.name == field and one.value == value]
    assert found and found[0].span.exact and found[0].span.read() == octets
    layer = result.find(name)
    assert layer is not None and not layer.issues and not layer.unclaimed()
    assert "scapy reads it" in layer.why + layer.summary or "dpkt reads it" in layer.why + layer.summary
    assert_sound(result)


@pytest.mark.parametrize("name", CASES)
def test_any_prefix_and_any_mutation_holds(name: str) -> None:
    assert_holds(bytes(CASES[name][0]), mutations=15)


def test_what_sctp_carries_is_handed_on() -> None:
    data = dissect(bytes(CASES["sctp"][0])).layers[-1]
    assert data.span.read() == b"abcde"


def test_a_range_that_cannot_be_told_is_the_layers_and_says_so() -> None:
    get = SNMP(community="public", PDU=SNMPget(varbindlist=[SNMPvarbind(oid=ASN1_OID("1.3.6.1.2"))]))
    layer = dissect(bytes(IP4 / UDP(sport=161, dport=161) / get)).find("snmp")
    assert layer is not None
    community = layer.find("borrowed.scapy.snmp.snmp.community")
    assert community is not None and community.value == "public" and not community.span.exact
    assert community.span == layer.span._replace(exact=False) and "somewhere in these bytes" in community.text
    assert layer.value("borrowed.scapy.snmp.snmpvarbind.oid") == "1.3.6.1.2"


def unit(name: str, data: bytes) -> list[str]:
    """The issues of a borrowed layer over `data`, which must be sound."""
    result = Engine(REGISTRY, strict=True).unit(
        Packet(1, 0, 1, len(data), data), name, Span(Frame(1, len(data), lambda: data), 0, len(data)), {}, ""
    )
    assert_sound(result)
    return [issue.text for layer in result.layers for issue in layer.issues]


@pytest.mark.parametrize("name", sorted({loan.protocol for loan in table.LOANS}))
def test_hostile_bytes_become_an_issue_at_most(name: str) -> None:
    chance = random.Random(name)
    for size in (0, 1, 3, 8, 20, 60, 300):
        unit(name, chance.randbytes(size))
        unit(name, bytes(chance.choice((0, 0, 1, 2, 4, 8, 255)) for _ in range(size)))
    unit(name, bytes((chance.randrange(256),)) * (MAX_BORROWED_BYTES + 100))


def test_what_a_library_cannot_read_is_said_and_shown_as_data() -> None:
    made = bytes(IP4 / UDP(sport=161, dport=161) / b"\x04\x02no ASN.1 at all")
    assert names(made)[-2:] == ["snmp", "data"]
    layer = dissect(made).find("snmp")
    assert layer is not None and "borrowed dissector (scapy) could not read" in layer.issues[0].text


def test_what_is_longer_than_the_limit_is_cut_and_said() -> None:
    assert any("4,096 bytes" in text for text in unit("mgcp", b"a" * (MAX_BORROWED_BYTES + 1)))


def test_borrowed_fields_and_depth_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bytes(CASES["ospf"][0])
    whole = dissect(made).layers[-1]
    monkeypatch.setattr("inspector.protocols.borrowed.scapy_layers.MAX_BORROWED_DEPTH", 0)
    shallow = dissect(made).layers[-1]
    assert len(list(shallow.walk())) < len(list(whole.walk()))
    monkeypatch.setattr("inspector.protocols.borrowed.lent.MAX_BORROWED_FIELDS", 3)
    layer = next(layer for layer in dissect(made).layers if layer.protocol == "ospf")
    assert len(list(layer.walk())) <= 4 and [issue for issue in layer.issues if "more than" in issue.text]


@pytest.mark.parametrize("name", CASES)
def test_every_field_found_has_its_name_in_the_catalogue(name: str) -> None:
    known = catalog.names(REGISTRY)
    for layer in dissect(bytes(CASES[name][0])).layers:
        for field in layer.walk():
            spec = known.get(field.name) or table.named(field.name)
            assert spec is not None and spec.kind is field.spec.kind, field


def test_names_that_no_library_has() -> None:
    catalog.check(REGISTRY, ["borrowed.scapy.ospf.ospf_hello.mask", "sctp.srcport"])
    for wrong in ("borrowed.scapy.ospf.ospf_hello.nothing", "borrowed.dpkt.nothing.x", "borrowed.scapy"):
        with pytest.raises(InspectError):
            catalog.check(REGISTRY, [wrong])
        with pytest.raises(InspectError):
            compile(f"{wrong} == 1", REGISTRY)
    compile("borrowed.scapy.ospf.ospf_hdr.type == 1 && vrrp.prio > 100", REGISTRY)


def test_a_borrowed_value_in_cells() -> None:
    assert values(bytes(CASES["rip"][0]), "rip.metric") == [3, 1]


def test_nothing_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys; from inspector.dissection.engine import make_registry; make_registry();"
        "print({'dpkt', 'scapy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_ours_come_first() -> None:
    """Nothing that a file of ours dissects is borrowed."""
    for loan in table.LOANS:
        for name, keys in loan.keys.items():
            for key in keys:
                assert REGISTRY.tables[name][key].name == loan.protocol, (loan.protocol, name, key)
