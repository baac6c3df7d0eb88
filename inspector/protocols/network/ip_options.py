"""The options of IPv4 (RFC 791, 3.1; IANA "IP Option Numbers").

Not here: the labels of the commercial security option (CIPSO), which are shown as bytes.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, ipv4, octets, string, u8, u16, u32, uint
from inspector.core.layer import Severity

END, NOP, RECORD_ROUTE, MTU_PROBE, MTU_REPLY, QUICK_START, TIMESTAMP, TRACEROUTE = 0, 1, 7, 11, 12, 25, 68, 82
SECURITY, LOOSE_ROUTE, EXTENDED_SECURITY, STREAM_ID, STRICT_ROUTE, ROUTER_ALERT = 130, 131, 133, 136, 137, 148
OPTIONS = {
    END: "End of options", NOP: "No operation", RECORD_ROUTE: "Record route", 10: "Experimental measurement",
    MTU_PROBE: "MTU probe", MTU_REPLY: "MTU reply", 15: "ENCODE", QUICK_START: "Quick-Start", 30: "Experiment",
    TIMESTAMP: "Timestamp", TRACEROUTE: "Traceroute", 94: "Experiment", SECURITY: "Security", LOOSE_ROUTE: "Loose source route",
    EXTENDED_SECURITY: "Extended security", 134: "Commercial security", STREAM_ID: "Stream identifier",
    STRICT_ROUTE: "Strict source route", 142: "Experimental access control", 144: "IMI traffic descriptor",
    145: "Extended internet protocol", 147: "Address extension", ROUTER_ALERT: "Router alert",
    149: "Selective directed broadcast", 151: "Dynamic packet state", 152: "Upstream multicast packet", 158: "Experiment",
    205: "Experimental flow control", 222: "Experiment",
}  # fmt: skip
CLASSES = {0: "control", 1: "reserved", 2: "debugging and measurement", 3: "reserved"}
LEVELS = {0x01: "reserved", 0x3D: "top secret", 0x5A: "secret", 0x66: "reserved", 0x96: "confidential", 0xAB: "unclassified",
          0xCC: "reserved", 0xF1: "reserved"}  # fmt: skip
STAMPS_ONLY = 0
STAMPS = {STAMPS_ONLY: "time stamps only", 1: "addresses and time stamps", 3: "of prespecified addresses"}

FIELDS = catalog(
    heading("ip.opt", "Option"),
    u8("ip.opt.type", "Type", values=OPTIONS),
    flag("ip.opt.type.copy", "Copied into every fragment"),
    uint("ip.opt.type.class", "Class", 2, values=CLASSES),
    uint("ip.opt.type.number", "Number", 5),
    u8("ip.opt.len", "Length"),
    u8("ip.opt.ptr", "Pointer"),
    ipv4("ip.rec_rt", "Recorded address"),
    ipv4("ip.empty_rt", "Free place"),
    ipv4("ip.src_rt", "Address still to pass"),
    ipv4("ip.cur_rt", "Destination of this hop"),
    uint("ip.opt.overflow", "Hops that found no room", 4),
    uint("ip.opt.flag", "Flag", 4, Base.HEX, STAMPS),
    u32("ip.opt.time_stamp", "Time stamp"),
    ipv4("ip.opt.time_stamp_addr", "Address"),
    u16("ip.opt.ra", "Router alert", values={0: "every router examines this packet"}),
    u16("ip.opt.sid", "Stream identifier"),
    u16("ip.opt.mtu", "MTU"),
    u16("ip.opt.id_number", "Identifier"),
    u16("ip.opt.ohc", "Outbound hops"),
    u16("ip.opt.rhc", "Return hops"),
    ipv4("ip.opt.originator", "Originator"),
    uint("ip.opt.qs_func", "Function", 4, values={0: "rate request", 8: "report of the approved rate"}),
    uint("ip.opt.qs_rate", "Rate", 4),
    u8("ip.opt.qs_ttl", "Quick-Start TTL"),
    uint("ip.opt.qs_nonce", "Nonce", 30, Base.HEX),
    uint("ip.opt.qs_reserved", "Reserved", 2, Base.HEX),
    u16("ip.opt.sec_rfc791_sec", "Security", Base.HEX),
    u16("ip.opt.sec_rfc791_comp", "Compartments"),
    string("ip.opt.sec_rfc791_hr", "Handling restrictions"),
    string("ip.opt.sec_rfc791_tcc", "Transmission control code"),
    u8("ip.opt.sec_cl", "Classification level", Base.HEX, LEVELS),
    u8("ip.opt.sec_prot_auth_flags", "Protection authority", Base.HEX),
    u8("ip.opt.ext_sec_add_sec_info_format_code", "Additional information, format"),
    octets("ip.opt.data", "Data"),
    octets("ip.opt.padding", "Padding"),
)  # fmt: skip


def read(c: Cursor) -> bytes | None:
    """The options of a header, all that the cursor has left; gives the address at which a source route ends, where there
    is one still to pass."""
    final: bytes | None = None
    while c.remaining:
        kind = c.peek(1)[0]
        with c.group("ip.opt", text=OPTIONS.get(kind, f"type {kind}")):
            c.flags("ip.opt.type", 1, ("ip.opt.type.copy", 1), ("ip.opt.type.class", 2), ("ip.opt.type.number", 5))
            if kind == END:
                if c.remaining:
                    c.octets("ip.opt.padding", c.remaining)
                break
            if kind == NOP:
                continue
            length = c.uint("ip.opt.len", 1)
            if length < 2 or length - 2 > c.remaining:
                text = "cannot hold its own type and length" if length < 2 else "reaches beyond the header"
                if not (c.context.cut or c.context.quoted):
                    c.issue("option-length", f"an option of {length} bytes {text} (RFC 791, 3.1)", Severity.ERROR)
                if c.remaining:
                    c.octets("ip.opt.data", c.remaining)
                break
            with c.within(length - 2):
                found = _option(c, kind)
                final = final if found is None else found
                if c.remaining:
                    c.octets("ip.opt.data", c.remaining)
    return final


def _option(c: Cursor, kind: int) -> bytes | None:
    size = c.remaining
    if kind in (RECORD_ROUTE, LOOSE_ROUTE, STRICT_ROUTE) and size:
        return _route(c, kind)
    if kind == TIMESTAMP and size >= 2:
        _timestamps(c)
    elif kind == ROUTER_ALERT and size == 2:
        c.uint("ip.opt.ra", 2)
    elif kind == STREAM_ID and size == 2:
        c.uint("ip.opt.sid", 2)
    elif kind in (MTU_PROBE, MTU_REPLY) and size == 2:
        c.uint("ip.opt.mtu", 2)
    elif kind == TRACEROUTE and size == 10:  # RFC 1393, 2.2
        c.uint("ip.opt.id_number", 2)
        c.uint("ip.opt.ohc", 2)
        c.uint("ip.opt.rhc", 2)
        c.octets("ip.opt.originator", 4)
    elif kind == QUICK_START and size == 6:  # RFC 4782, 3.1
        c.bits(1, ("ip.opt.qs_func", 4), ("ip.opt.qs_rate", 4))
        c.uint("ip.opt.qs_ttl", 1)
        c.bits(4, ("ip.opt.qs_nonce", 30), ("ip.opt.qs_reserved", 2))
    elif kind == SECURITY and size == 9:  # RFC 791; other lengths are of RFC 1108
        c.uint("ip.opt.sec_rfc791_sec", 2)
        c.uint("ip.opt.sec_rfc791_comp", 2)
        c.string("ip.opt.sec_rfc791_hr", 2)
        c.string("ip.opt.sec_rfc791_tcc", 3)
    elif kind == SECURITY and size >= 1:
        c.uint("ip.opt.sec_cl", 1)
        while c.remaining and c.uint("ip.opt.sec_prot_auth_flags", 1) & 1:
            pass
    elif kind == EXTENDED_SECURITY and size >= 1:
        c.uint("ip.opt.ext_sec_add_sec_info_format_code", 1)
    return None


def _route(c: Cursor, kind: int) -> bytes | None:
    """Addresses in front of the pointer have been passed; those behind it are free places, or still to be passed."""
    first = c.pos - 2  # the pointer counts octets from the option's type, from 1
    pointer = c.uint("ip.opt.ptr", 1)
    if pointer < 4:
        c.issue("option-pointer", f"a pointer of {pointer} points in front of the first address (RFC 791, 3.1)", Severity.ERROR)
    last: bytes | None = None
    while c.remaining >= 4:
        passed = c.pos - first + 1 < pointer
        name = "ip.rec_rt" if passed else "ip.empty_rt" if kind == RECORD_ROUTE else "ip.src_rt"
        if name == "ip.src_rt" and c.remaining < 8:
            last = c.octets("ip.dst", 4)  # the packet's real destination stands last
        else:
            c.octets(name, 4)
    return last


def _timestamps(c: Cursor) -> None:
    c.uint("ip.opt.ptr", 1)
    _, kind = c.bits(1, ("ip.opt.overflow", 4), ("ip.opt.flag", 4))
    while c.remaining >= (4 if kind == STAMPS_ONLY else 8):
        if kind != STAMPS_ONLY:
            c.octets("ip.opt.time_stamp_addr", 4)
        c.uint("ip.opt.time_stamp", 4)
