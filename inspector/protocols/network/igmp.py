"""IGMP, versions 1 to 3 (RFC 1112, appendix I; RFC 2236; RFC 3376).

Not here: DVMRP, PIM version 1, and the traceroute of multicast, which share its protocol number.
"""

from __future__ import annotations

from inspector.core.checksum import ones_complement_sum
from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, flag, heading, ipv4, octets, u8, u16, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Protocol

QUERY, REPORT_1, REPORT_2, LEAVE, REPORT_3 = 0x11, 0x12, 0x16, 0x17, 0x22
TYPES = {QUERY: "Membership query", REPORT_1: "Membership report, version 1", 0x13: "DVMRP", 0x14: "PIM version 1",
         REPORT_2: "Membership report, version 2", LEAVE: "Leave group", 0x1E: "Multicast traceroute response",
         0x1F: "Multicast traceroute", REPORT_3: "Membership report, version 3"}  # fmt: skip
RECORDS = {1: "is include", 2: "is exclude", 3: "change to include", 4: "change to exclude", 5: "allow new sources",
           6: "block old sources"}  # fmt: skip

FIELDS = catalog(
    u8("igmp.type", "Type", Base.HEX, TYPES),
    u8("igmp.max_resp", "Maximum response time in tenths of a second"),
    octets("igmp.reserved", "Reserved"),
    u16("igmp.checksum", "Checksum", Base.HEX),
    ipv4("igmp.maddr", "Group"),
    uint("igmp.reserved_bits", "Reserved", 4),
    flag("igmp.s", "Routers do not process it"),
    uint("igmp.qrv", "Robustness", 3),
    FieldSpec("igmp.qqic", Kind.UINT, "Query interval code", 8),
    u16("igmp.num_src", "Sources"),
    ipv4("igmp.saddr", "Source"),
    u16("igmp.num_grp_recs", "Group records"),
    heading("igmp.group_record", "Group record"),
    u8("igmp.record_type", "Type", values=RECORDS),
    u8("igmp.aux_data_len", "Auxiliary data in words"),
    octets("igmp.aux_data", "Auxiliary data"),
    octets("igmp.data", "Data"),
)


def dissect(c: Cursor) -> None:
    whole = c.peek(c.remaining)
    kind = c.uint("igmp.type", 1)
    c.layer.summary = TYPES.get(kind, f"type 0x{kind:02x}")
    if kind == REPORT_3:
        c.octets("igmp.reserved", 1)
    else:
        c.uint("igmp.max_resp", 1)
    c.uint("igmp.checksum", 2)
    if not (c.context.quoted or c.context.cut) and ones_complement_sum(whole) != 0xFFFF:
        c.issue("checksum", "the checksum does not match the bytes (RFC 3376, 4.1.2)", Severity.ERROR)
    if kind == REPORT_3:
        c.octets("igmp.reserved", 2)
        for _ in range(c.uint("igmp.num_grp_recs", 2)):
            _record(c)
    elif kind in (QUERY, REPORT_1, REPORT_2, LEAVE):
        c.octets("igmp.maddr", 4)
        c.layer.summary += f" {c.last.text}"
        if kind == QUERY and c.remaining >= 4:  # the longer query is version 3's (RFC 3376, 7.1)
            c.bits(1, ("igmp.reserved_bits", 4), ("igmp.s", 1), ("igmp.qrv", 3))
            c.uint("igmp.qqic", 1)
            for _ in range(c.uint("igmp.num_src", 2)):
                c.octets("igmp.saddr", 4)
    if c.remaining:
        c.octets("igmp.data", c.remaining)


def _record(c: Cursor) -> None:
    with c.group("igmp.group_record") as record:
        kind = c.uint("igmp.record_type", 1)
        words = c.uint("igmp.aux_data_len", 1)
        sources = c.uint("igmp.num_src", 2)
        c.octets("igmp.maddr", 4)
        record.text = f"{c.last.text} {RECORDS.get(kind, f'type {kind}')}"
        for _ in range(sources):
            c.octets("igmp.saddr", 4)
        if words:
            c.octets("igmp.aux_data", words * 4)


PROTOCOL = Protocol("igmp", "IGMP", 3, FIELDS, dissect, keys={"ip.proto": [2]}, reference="RFC 3376")
