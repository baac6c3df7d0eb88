"""The options of EDNS (RFC 6891, 6.1.2): client subnet RFC 7871, cookies 7873, TCP keep-alive 7828, padding 7830, extended
errors 8914.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, heading, ipv4, ipv6, octets, string, u8, u16
from inspector.protocols.dns.names import EDNS_OPTIONS, EXTENDED_ERRORS

FIELDS = catalog(
    heading("dns.opt", "Option"),
    u16("dns.opt.code", "Code", values=EDNS_OPTIONS),
    u16("dns.opt.len", "Length"),
    octets("dns.opt.data", "Data"),
    u16("dns.opt.client.family", "Family", values={1: "IPv4", 2: "IPv6"}),
    u8("dns.opt.client.netmask", "Source prefix"),
    u8("dns.opt.client.scope", "Scope prefix"),
    octets("dns.opt.client.addr", "Client subnet"),
    ipv4("dns.opt.client.addr4", "Client subnet"),
    ipv6("dns.opt.client.addr6", "Client subnet"),
    octets("dns.opt.cookie.client", "Client cookie"),
    octets("dns.opt.cookie.server", "Server cookie"),
    u16("dns.opt.edns_tcp_keepalive.timeout", "Idle time, in 100 ms"),
    octets("dns.opt.padding", "Padding"),
    u16("dns.opt.ext_error.info_code", "Extended error", values=EXTENDED_ERRORS),
    string("dns.opt.ext_error.extra_text", "Extra text"),
)


def options(c: Cursor) -> None:
    """The options of an OPT record: what is left of the cursor."""
    while c.remaining:
        with c.group("dns.opt") as option:
            code = c.uint("dns.opt.code", 2)
            option.text = EDNS_OPTIONS.get(code, str(code))
            with c.within(c.uint("dns.opt.len", 2)):
                if c.remaining:
                    _option(c, code)
                if c.remaining:
                    c.octets("dns.opt.data", c.remaining)


def _option(c: Cursor, code: int) -> None:
    if code == 8:  # client subnet (RFC 7871, 6)
        family = c.uint("dns.opt.client.family", 2)
        c.uint("dns.opt.client.netmask", 1)
        c.uint("dns.opt.client.scope", 1)
        field, size = {1: ("dns.opt.client.addr4", 4), 2: ("dns.opt.client.addr6", 16)}.get(family, ("", 0))
        if field and c.remaining <= size:
            address = c.peek(c.remaining).ljust(size, b"\0")  # only as many octets as the prefix needs are sent
            c.add(field, address, c.pos, c.stop)
            c.skip(c.remaining)
        elif c.remaining:
            c.octets("dns.opt.client.addr", c.remaining)
    elif code == 10:  # cookies (RFC 7873, 4)
        c.octets("dns.opt.cookie.client", 8)
        if c.remaining:
            c.octets("dns.opt.cookie.server", c.remaining)
    elif code == 11:  # RFC 7828, 3.1
        c.uint("dns.opt.edns_tcp_keepalive.timeout", 2)
    elif code == 12:  # RFC 7830
        c.octets("dns.opt.padding", c.remaining)
    elif code == 15:  # RFC 8914, 2
        c.uint("dns.opt.ext_error.info_code", 2)
        if c.remaining:
            c.string("dns.opt.ext_error.extra_text", c.remaining)
