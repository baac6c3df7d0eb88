"""The options of TCP: every kind of the IANA registry "TCP Option Kind Numbers" named, those in use taken apart.

RFC 9293, 3.2; RFC 7323; RFC 2018; RFC 5482; RFC 5925; RFC 7413; RFC 8684 (Multipath TCP, version 1, and version 0 of
RFC 6824); RFC 9768 (Accurate ECN); RFC 4782; RFC 6994.

Not here: the suboptions of encryption negotiation, the capabilities of SCPS.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, ipv4, ipv6, octets, u8, u16, u24, u32, u64, uint
from inspector.core.layer import Severity

END, NOP, MSS, SCALE, SACK_PERMITTED, SACK, ECHO, ECHO_REPLY, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 6, 7, 8
CC, CC_NEW, CC_ECHO, MD5, QUICK_START, USER_TIMEOUT, AUTHENTICATION, MULTIPATH, FAST_OPEN = 11, 12, 13, 19, 27, 28, 29, 30, 34
ACCURATE_ECN_0, ACCURATE_ECN_1, EXPERIMENT_1, EXPERIMENT_2 = 172, 174, 253, 254
OPTIONS = {
    END: "End of options", NOP: "No operation", MSS: "Maximum segment size", SCALE: "Window scale",
    SACK_PERMITTED: "SACK permitted", SACK: "SACK", ECHO: "Echo", ECHO_REPLY: "Echo reply", TIMESTAMPS: "Timestamps",
    9: "Partial order connection permitted", 10: "Partial order service profile", CC: "CC", CC_NEW: "CC.NEW",
    CC_ECHO: "CC.ECHO", 14: "Alternate checksum request", 15: "Alternate checksum data", 16: "Skeeter", 17: "Bubba",
    18: "Trailer checksum", MD5: "MD5 signature", 20: "SCPS capabilities", 21: "Selective negative acknowledgements",
    22: "Record boundaries", 23: "Corruption experienced", 24: "SNAP", 26: "Compression filter",
    QUICK_START: "Quick-Start response", USER_TIMEOUT: "User timeout", AUTHENTICATION: "Authentication (TCP-AO)",
    MULTIPATH: "Multipath TCP", FAST_OPEN: "Fast Open cookie", 69: "Encryption negotiation (TCP-ENO)",
    ACCURATE_ECN_0: "Accurate ECN order 0", ACCURATE_ECN_1: "Accurate ECN order 1", EXPERIMENT_1: "Experiment 1",
    EXPERIMENT_2: "Experiment 2",
}  # fmt: skip
MAX_SCALE = 14  # RFC 7323, 2.3
MP_CAPABLE, MP_JOIN, DSS, ADD_ADDR, REMOVE_ADDR, MP_PRIO, MP_FAIL, MP_FASTCLOSE, MP_TCPRST = range(9)
SUBTYPES = {MP_CAPABLE: "MP_CAPABLE", MP_JOIN: "MP_JOIN", DSS: "DSS", ADD_ADDR: "ADD_ADDR", REMOVE_ADDR: "REMOVE_ADDR",
            MP_PRIO: "MP_PRIO", MP_FAIL: "MP_FAIL", MP_FASTCLOSE: "MP_FASTCLOSE", MP_TCPRST: "MP_TCPRST",
            15: "MP_EXPERIMENTAL"}  # fmt: skip
RESET_REASONS = {0: "unspecified", 1: "Multipath TCP specific", 2: "lack of resources", 3: "administratively prohibited",
                 4: "too much outstanding data", 5: "unacceptable performance", 6: "middlebox interference"}  # fmt: skip
EXPERIMENTS = {0xF989: "Fast Open", 0xACC0: "Accurate ECN order 0", 0xACC1: "Accurate ECN order 1",
               0x454E: "Encryption negotiation", 0x00AC: "ACK rate request"}  # fmt: skip
FAST_OPEN_EXPERIMENT = 0xF989  # RFC 7413, appendix A.1

FIELDS = catalog(
    heading("tcp.options", "Options"),
    heading("tcp.option", "Option"),
    u8("tcp.option_kind", "Kind", values=OPTIONS),
    u8("tcp.option_len", "Length"),
    u16("tcp.options.mss_val", "Maximum segment size"),
    u8("tcp.options.wscale.shift", "Shift count"),
    u32("tcp.options.sack_le", "Left edge"),
    u32("tcp.options.sack_re", "Right edge"),
    u32("tcp.options.echo_value", "Value"),
    u32("tcp.options.timestamp.tsval", "Timestamp value"),
    u32("tcp.options.timestamp.tsecr", "Timestamp echo reply"),
    u32("tcp.options.cc_value", "Connection count"),
    octets("tcp.options.md5.digest", "Digest"),
    uint("tcp.options.qs.reserved", "Reserved", 4),
    uint("tcp.options.qs.rate", "Rate", 4),
    u8("tcp.options.qs.ttl_diff", "TTL difference"),
    uint("tcp.options.qs.nonce", "Nonce", 30, Base.HEX),
    uint("tcp.options.user_to_granularity", "Granularity", 1, values={0: "seconds", 1: "minutes"}),
    uint("tcp.options.user_to_val", "User timeout", 15),
    u8("tcp.options.ao.keyid", "Key"),
    u8("tcp.options.ao.rnextkeyid", "Next key to receive with"),
    octets("tcp.options.ao.mac", "Message authentication code"),
    octets("tcp.options.tfo.cookie", "Fast Open cookie"),
    heading("tcp.options.tfo.request", "Cookie request"),
    u24("tcp.options.acc_ecn.ee0b", "Bytes received with ECT(0)"),
    u24("tcp.options.acc_ecn.ee1b", "Bytes received with ECT(1)"),
    u24("tcp.options.acc_ecn.eceb", "Bytes received with CE"),
    u16("tcp.options.experimental.exid", "Experiment", Base.HEX, EXPERIMENTS),
    octets("tcp.options.experimental.data", "Data"),
    uint("tcp.options.mptcp.subtype", "Subtype", 4, values=SUBTYPES),
    uint("tcp.options.mptcp.version", "Version", 4),
    u8("tcp.options.mptcp.flags", "Flags", Base.HEX),
    flag("tcp.options.mptcp.checksumreq.flags", "Checksum required"),
    flag("tcp.options.mptcp.extensibility.flag", "Extensibility"),
    flag("tcp.options.mptcp.nomoresubflows.flag", "No subflows to the source address"),
    flag("tcp.options.mptcp.sha256.flag", "HMAC-SHA256"),
    flag("tcp.options.mptcp.sha1.flag", "HMAC-SHA1"),
    uint("tcp.options.mptcp.reserved", "Reserved", 12, Base.HEX),
    flag("tcp.options.mptcp.backup.flag", "Backup"),
    flag("tcp.options.mptcp.datafin.flag", "DATA_FIN"),
    flag("tcp.options.mptcp.dseqn8.flag", "Data sequence number has 8 octets"),
    flag("tcp.options.mptcp.dseqnpresent.flag", "Mapping is there"),
    flag("tcp.options.mptcp.dataack8.flag", "Data acknowledgement has 8 octets"),
    flag("tcp.options.mptcp.dataackpresent.flag", "Data acknowledgement is there"),
    flag("tcp.options.mptcp.echo", "Echo"),
    uint("tcp.options.mptcp.ipver", "IP version", 4),
    flag("tcp.options.mptcp.flag_U.flag", "U"),
    flag("tcp.options.mptcp.flag_V.flag", "V"),
    flag("tcp.options.mptcp.flag_W.flag", "W"),
    flag("tcp.options.mptcp.flag_T.flag", "Transient"),
    u8("tcp.options.mptcp.rst_reason", "Reason", values=RESET_REASONS),
    u8("tcp.options.mptcp.addrid", "Address id"),
    u64("tcp.options.mptcp.sendkey", "Sender's key", Base.HEX),
    u64("tcp.options.mptcp.recvkey", "Receiver's key", Base.HEX),
    u32("tcp.options.mptcp.recvtok", "Receiver's token", Base.HEX),
    u32("tcp.options.mptcp.sendrand", "Sender's random number", Base.HEX),
    u64("tcp.options.mptcp.sendtrunchmac", "Sender's truncated HMAC", Base.HEX),
    octets("tcp.options.mptcp.sendhmac", "Sender's HMAC"),
    u64("tcp.options.mptcp.rawdataack", "Data acknowledgement"),
    u64("tcp.options.mptcp.rawdataseqno", "Data sequence number"),
    u32("tcp.options.mptcp.subflowseqno", "Subflow sequence number"),
    u16("tcp.options.mptcp.datalvllen", "Data-level length"),
    u16("tcp.options.mptcp.checksum", "Checksum", Base.HEX),
    ipv4("tcp.options.mptcp.ipv4", "Address"),
    ipv6("tcp.options.mptcp.ipv6", "Address"),
    u16("tcp.options.mptcp.port", "Port"),
    u64("tcp.options.mptcp.addaddrtrunchmac", "Truncated HMAC", Base.HEX),
    octets("tcp.option_data", "Data"),
)  # fmt: skip


def read(c: Cursor) -> None:
    """The options of a header: all that the cursor has left."""
    while c.remaining:
        kind = c.peek(1)[0]
        with c.group("tcp.option", text=OPTIONS.get(kind, f"kind {kind}")) as option:
            c.uint("tcp.option_kind", 1)
            if kind == NOP:
                continue
            if kind == END:
                if c.remaining:
                    c.octets("tcp.option_data", c.remaining)
                return
            length = c.uint("tcp.option_len", 1)
            if length < 2 or length - 2 > c.remaining:
                wrong = "cannot hold its own kind and length" if length < 2 else "reaches beyond the header"
                if not (c.context.cut or c.context.quoted):
                    c.issue("option-length", f"an option of {length} bytes {wrong} (RFC 9293, 3.1)", Severity.ERROR)
                if c.remaining:
                    c.octets("tcp.option_data", c.remaining)
                return
            with c.within(length - 2):
                text = _option(c, kind, length)
                if text:
                    option.text = f"{OPTIONS[kind]}: {text}"
                if c.remaining:
                    c.octets("tcp.option_data", c.remaining)


def _option(c: Cursor, kind: int, length: int) -> str:
    """The content of an option whose length is one that it may have; says in words what it holds."""
    if kind == MSS and length == 4:
        return f"{c.uint('tcp.options.mss_val', 2):,} bytes"
    if kind == SCALE and length == 3:
        shift = c.uint("tcp.options.wscale.shift", 1)
        if shift > MAX_SCALE:
            c.issue("window-scale", f"a shift of {shift} is more than {MAX_SCALE} (RFC 7323, 2.3)")
        return f"shift {shift} (windows × {1 << shift:,})" if shift <= MAX_SCALE else f"shift {shift}"
    if kind == TIMESTAMPS and length == 10:
        value, echo = c.uint("tcp.options.timestamp.tsval", 4), c.uint("tcp.options.timestamp.tsecr", 4)
        return f"value {value}, echo {echo}"
    if kind == SACK and length >= 10 and (length - 2) % 8 == 0:
        edges = []
        while c.remaining:
            left, right = c.uint("tcp.options.sack_le", 4), c.uint("tcp.options.sack_re", 4)
            edges.append(f"{left}–{right}")
        return ", ".join(edges)
    if kind == MULTIPATH and c.remaining:
        return _multipath(c, length)
    if kind == FAST_OPEN:
        return _fast_open(c)
    if kind in (EXPERIMENT_1, EXPERIMENT_2) and length >= 4:
        return _experiment(c)
    return _rare(c, kind, length)


def _rare(c: Cursor, kind: int, length: int) -> str:
    if kind in (ECHO, ECHO_REPLY) and length == 6:
        return str(c.uint("tcp.options.echo_value", 4))
    if kind in (CC, CC_NEW, CC_ECHO) and length == 6:
        return str(c.uint("tcp.options.cc_value", 4))
    if kind == MD5 and length == 18:
        return c.octets("tcp.options.md5.digest", 16).hex()
    if kind == USER_TIMEOUT and length == 4:
        minutes, value = c.bits(2, ("tcp.options.user_to_granularity", 1), ("tcp.options.user_to_val", 15))
        return f"{value:,} {'minutes' if minutes else 'seconds'}"
    if kind == AUTHENTICATION and length >= 4:
        key, following = c.uint("tcp.options.ao.keyid", 1), c.uint("tcp.options.ao.rnextkeyid", 1)
        if c.remaining:
            c.octets("tcp.options.ao.mac", c.remaining)
        return f"key {key}, next {following}"
    if kind == QUICK_START and length == 8:
        _, rate = c.bits(1, ("tcp.options.qs.reserved", 4), ("tcp.options.qs.rate", 4))
        c.uint("tcp.options.qs.ttl_diff", 1)
        c.bits(4, ("tcp.options.qs.nonce", 30), (None, 2))
        return f"rate {rate}"
    if kind in (ACCURATE_ECN_0, ACCURATE_ECN_1) and length in (2, 5, 8, 11):  # trailing counters may be left out
        return _accurate_ecn(c, kind == ACCURATE_ECN_0)
    return ""


def _accurate_ecn(c: Cursor, zero_first: bool) -> str:
    order = ("ee0b", "eceb", "ee1b") if zero_first else ("ee1b", "eceb", "ee0b")
    counters = []
    for name in order:
        if c.remaining < 3:
            break
        counters.append(f"{c.spec(f'tcp.options.acc_ecn.{name}').label[21:]} {c.uint(f'tcp.options.acc_ecn.{name}', 3):,}")
    return ", ".join(counters)


def _fast_open(c: Cursor) -> str:
    if c.remaining:
        return c.octets("tcp.options.tfo.cookie", c.remaining).hex()
    c.add("tcp.options.tfo.request", None, c.pos, c.pos)
    return "a cookie is asked for"


def _experiment(c: Cursor) -> str:
    number = c.uint("tcp.options.experimental.exid", 2)
    if number == FAST_OPEN_EXPERIMENT:
        return f"Fast Open, {_fast_open(c)}"
    if number in (0xACC0, 0xACC1) and c.remaining in (0, 3, 6, 9):
        return f"Accurate ECN {_accurate_ecn(c, number == 0xACC0)}"
    if c.remaining:
        c.octets("tcp.options.experimental.data", c.remaining)
    return EXPERIMENTS.get(number, f"0x{number:04x}")


def _multipath(c: Cursor, length: int) -> str:
    kind = c.peek(1)[0] >> 4
    name = SUBTYPES.get(kind, f"subtype {kind}")
    mptcp = "tcp.options.mptcp."
    if kind == MP_CAPABLE and length in (4, 12, 20, 22, 24):
        _, version = c.bits(1, (mptcp + "subtype", 4), (mptcp + "version", 4))
        hmac = "sha256.flag" if version else "sha1.flag"
        c.flags(
            mptcp + "flags", 1, (mptcp + "checksumreq.flags", 1), (mptcp + "extensibility.flag", 1),
            (mptcp + "nomoresubflows.flag", 1), (None, 4), (mptcp + hmac, 1),
        )  # fmt: skip
        for key in ("sendkey", "recvkey"):
            if c.remaining >= 8:
                c.uint(mptcp + key, 8)
        for tail in ("datalvllen", "checksum"):
            if c.remaining >= 2:
                c.uint(mptcp + tail, 2)
        return f"{name}, version {version}"
    if kind == MP_JOIN and length in (12, 16):
        c.bits(1, (mptcp + "subtype", 4), (None, 3), (mptcp + "backup.flag", 1))
        c.uint(mptcp + "addrid", 1)
        if length == 12:
            c.uint(mptcp + "recvtok", 4)
        else:
            c.uint(mptcp + "sendtrunchmac", 8)
        c.uint(mptcp + "sendrand", 4)
    elif kind == MP_JOIN and length == 24:
        c.bits(2, (mptcp + "subtype", 4), (mptcp + "reserved", 12))
        c.octets(mptcp + "sendhmac", 20)
    elif kind == DSS and length >= 4:
        _data_sequence(c)
    elif kind == ADD_ADDR and length >= 8:
        _address(c, length)
    elif kind == REMOVE_ADDR:
        c.bits(1, (mptcp + "subtype", 4), (None, 4))
        while c.remaining:
            c.uint(mptcp + "addrid", 1)
    elif kind == MP_PRIO and length in (3, 4):
        c.bits(1, (mptcp + "subtype", 4), (None, 3), (mptcp + "backup.flag", 1))
        if c.remaining:
            c.uint(mptcp + "addrid", 1)
    elif kind in (MP_FAIL, MP_FASTCLOSE) and length == 12:
        c.bits(2, (mptcp + "subtype", 4), (mptcp + "reserved", 12))
        c.uint(mptcp + ("rawdataseqno" if kind == MP_FAIL else "recvkey"), 8)
    elif kind == MP_TCPRST and length == 4:
        flags = (*((mptcp + f"flag_{letter}.flag", 1) for letter in "UVWT"),)
        c.bits(1, (mptcp + "subtype", 4), *flags)
        c.uint(mptcp + "rst_reason", 1)
    else:
        c.bits(1, (mptcp + "subtype", 4), (None, 4))
    return name


def _data_sequence(c: Cursor) -> None:
    mptcp = "tcp.options.mptcp."
    *_, wide, mapping, wide_ack, acknowledges = c.bits(
        2, (mptcp + "subtype", 4), (None, 7), (mptcp + "datafin.flag", 1), (mptcp + "dseqn8.flag", 1),
        (mptcp + "dseqnpresent.flag", 1), (mptcp + "dataack8.flag", 1), (mptcp + "dataackpresent.flag", 1),
    )  # fmt: skip
    if acknowledges:
        c.uint(mptcp + "rawdataack", 8 if wide_ack else 4)
    if mapping:
        c.uint(mptcp + "rawdataseqno", 8 if wide else 4)
        c.uint(mptcp + "subflowseqno", 4)
        c.uint(mptcp + "datalvllen", 2)
        if c.remaining >= 2:
            c.uint(mptcp + "checksum", 2)


def _address(c: Cursor, length: int) -> None:
    """Which of the parts are there follows from the length (RFC 8684, 3.4.1; RFC 6824, 3.4.1)."""
    mptcp = "tcp.options.mptcp."
    low = c.peek(1)[0] & 15
    if low in (4, 6) and length in (8, 10, 20, 22):  # version 0 says the IP version where version 1 has flags
        c.bits(1, (mptcp + "subtype", 4), (mptcp + "ipver", 4))
    else:
        c.bits(1, (mptcp + "subtype", 4), (None, 3), (mptcp + "echo", 1))
    c.uint(mptcp + "addrid", 1)
    if length >= 20:
        c.octets(mptcp + "ipv6", 16)
    else:
        c.octets(mptcp + "ipv4", 4)
    if c.remaining in (2, 10):
        c.uint(mptcp + "port", 2)
    if c.remaining == 8:
        c.uint(mptcp + "addaddrtrunchmac", 8)
