"""DHCP for IPv4 and BOOTP (RFC 2131, RFC 2132, RFC 951).

Not here: options that overflow into the server's name and the boot file (RFC 2132, 9.3), which are shown as text.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import Base, FieldSpec, Kind, catalog, ether, flag, heading, ipv4, octets, string, u8, u16, u32, uint
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol

COOKIE = bytes.fromhex("63825363")
PAD, END = 0, 255
ETHERNET = 1
TYPES = {1: "Discover", 2: "Offer", 3: "Request", 4: "Decline", 5: "ACK", 6: "NAK", 7: "Release", 8: "Inform",
         9: "Force renew", 10: "Lease query", 11: "Lease unassigned", 12: "Lease unknown", 13: "Lease active"}  # fmt: skip
OPTIONS = {
    1: "Subnet mask", 3: "Router", 6: "Name server", 12: "Host name", 15: "Domain name", 28: "Broadcast address",
    42: "NTP server", 50: "Requested address", 51: "Lease time", 52: "Overload", 53: "Message type", 54: "Server identifier",
    55: "Parameter request list", 56: "Message", 57: "Maximum size", 58: "Renewal time", 59: "Rebinding time",
    60: "Vendor class", 61: "Client identifier", 81: "Client FQDN", 82: "Relay agent information", 119: "Domain search",
    121: "Classless static route", END: "End",
}  # fmt: skip
# Options whose value is one or more of the same thing (RFC 2132): number → field, octets of one; 0: all that there are.
VALUES = {
    1: ("dhcp.option.subnet_mask", 4), 3: ("dhcp.option.router", 4), 6: ("dhcp.option.domain_name_server", 4),
    12: ("dhcp.option.hostname", 0), 15: ("dhcp.option.domain_name", 0), 28: ("dhcp.option.broadcast_address", 4),
    42: ("dhcp.option.ntp_server", 4), 50: ("dhcp.option.requested_ip_address", 4),
    51: ("dhcp.option.ip_address_lease_time", 4), 53: ("dhcp.option.dhcp", 1), 54: ("dhcp.option.dhcp_server_id", 4),
    55: ("dhcp.option.request_list_item", 1), 56: ("dhcp.option.message", 0), 57: ("dhcp.option.dhcp_max_message_size", 2),
    58: ("dhcp.option.renewal_time_value", 4), 59: ("dhcp.option.rebinding_time_value", 4),
    60: ("dhcp.option.vendor_class_id", 0),
}  # fmt: skip

FIELDS = catalog(
    u8("dhcp.type", "Operation", values={1: "Request", 2: "Reply"}),
    u8("dhcp.hw.type", "Hardware type", Base.HEX, {ETHERNET: "Ethernet"}),
    u8("dhcp.hw.len", "Length of the hardware address"),
    u8("dhcp.hops", "Hops"),
    u32("dhcp.id", "Transaction", Base.HEX),
    u16("dhcp.secs", "Seconds elapsed"),
    u16("dhcp.flags", "Flags", Base.HEX),
    flag("dhcp.flags.bc", "Answer by broadcast"),
    uint("dhcp.flags.reserved", "Reserved", 15, Base.HEX),
    ipv4("dhcp.ip.client", "Client address"),
    ipv4("dhcp.ip.your", "Your address"),
    ipv4("dhcp.ip.server", "Next server"),
    ipv4("dhcp.ip.relay", "Relay agent"),
    ether("dhcp.hw.mac_addr", "Client MAC address"),
    octets("dhcp.hw.addr", "Client hardware address"),
    octets("dhcp.hw.addr_padding", "Padding"),
    string("dhcp.server", "Server name"),
    string("dhcp.file", "Boot file"),
    ipv4("dhcp.cookie", "Magic cookie"),
    octets("dhcp.vendor", "Vendor area"),
    heading("dhcp.option", "Option"),
    u8("dhcp.option.type", "Option", values=OPTIONS),
    u8("dhcp.option.length", "Length"),
    octets("dhcp.option.value", "Value"),
    octets("dhcp.option.padding", "Padding"),
    u8("dhcp.option.end", "End"),
    ipv4("dhcp.option.subnet_mask", "Subnet mask"),
    ipv4("dhcp.option.router", "Router"),
    ipv4("dhcp.option.domain_name_server", "Name server"),
    string("dhcp.option.hostname", "Host name"),
    string("dhcp.option.domain_name", "Domain name"),
    ipv4("dhcp.option.broadcast_address", "Broadcast address"),
    ipv4("dhcp.option.ntp_server", "NTP server"),
    ipv4("dhcp.option.requested_ip_address", "Requested address"),
    FieldSpec("dhcp.option.ip_address_lease_time", Kind.UINT, "Lease time", 32, unit="s"),
    u8("dhcp.option.dhcp", "Message type", values=TYPES),
    ipv4("dhcp.option.dhcp_server_id", "Server identifier"),
    u8("dhcp.option.request_list_item", "Wanted option", values=OPTIONS),
    string("dhcp.option.message", "Message"),
    u16("dhcp.option.dhcp_max_message_size", "Maximum size"),
    FieldSpec("dhcp.option.renewal_time_value", Kind.UINT, "Renewal time", 32, unit="s"),
    FieldSpec("dhcp.option.rebinding_time_value", Kind.UINT, "Rebinding time", 32, unit="s"),
    string("dhcp.option.vendor_class_id", "Vendor class"),
)


def dissect(c: Cursor) -> None:
    c.uint("dhcp.type", 1)
    c.layer.summary = f"BOOTP {c.last.text}"
    hardware = c.uint("dhcp.hw.type", 1)
    length = c.uint("dhcp.hw.len", 1)
    c.uint("dhcp.hops", 1)
    c.uint("dhcp.id", 4)
    c.uint("dhcp.secs", 2)
    c.flags("dhcp.flags", 2, ("dhcp.flags.bc", 1), ("dhcp.flags.reserved", 15))
    for name in ("dhcp.ip.client", "dhcp.ip.your", "dhcp.ip.server", "dhcp.ip.relay"):
        c.octets(name, 4)
    if length > 16:
        c.issue("length", f"a hardware address of {length} octets is longer than its field of 16", Severity.ERROR)
        length = 16
    if length:
        c.octets("dhcp.hw.mac_addr" if (hardware, length) == (ETHERNET, 6) else "dhcp.hw.addr", length)
    if length < 16:
        c.octets("dhcp.hw.addr_padding", 16 - length)
    for name, size in (("dhcp.server", 64), ("dhcp.file", 128)):
        text = c.string(name, size)
        c.last.text = text.split("\0", 1)[0]
    if c.peek(4) != COOKIE:  # BOOTP before RFC 1497 has a vendor area of any form
        if c.remaining:
            c.octets("dhcp.vendor", c.remaining)
        return
    c.octets("dhcp.cookie", 4)
    while c.remaining:
        kind = c.peek_uint(1)
        if kind == PAD:
            rest = c.peek(c.remaining)
            c.octets("dhcp.option.padding", len(rest) - len(rest.lstrip(b"\0")))
        elif kind == END:
            with c.group("dhcp.option", text=OPTIONS[END]):
                c.uint("dhcp.option.type", 1)
            if c.remaining:
                c.octets("dhcp.option.padding", c.remaining)
        else:
            _option(c)
    kind = c.layer.value("dhcp.option.dhcp")
    if kind is not None:
        c.layer.summary = f"DHCP {TYPES.get(kind, f'type {kind}')}"


def _option(c: Cursor) -> None:
    with c.group("dhcp.option") as group:
        kind = c.uint("dhcp.option.type", 1)
        group.text = OPTIONS.get(kind, f"option {kind}")
        size = c.uint("dhcp.option.length", 1)
        name, one = VALUES.get(kind, ("dhcp.option.value", 0))
        if one and (size == 0 or size % one):
            c.issue("length", f"{group.text}: {size} octets are no multiple of {one} (RFC 2132)", Severity.WARNING)
            name, one = "dhcp.option.value", 0
        for _ in range(size // one if one else bool(size)):
            if c.spec(name).kind is Kind.STRING:
                c.string(name, size)
            elif c.spec(name).kind is Kind.UINT:
                c.uint(name, one)
            else:
                c.octets(name, one or size)
        if size and name != "dhcp.option.value":
            group.text = f"{group.text}: {group.children[2].text}" if size // (one or size) == 1 else group.text


CARD = Card(
    data_format="a fixed binary header of BOOTP's, then options of type, length and value",
    transfer_mode="request and answer, each in one datagram",
    addressing="UDP ports 67 (server) and 68 (client); broadcast while the client has no address",
    directionality="the client asks, the server answers",
    state="a lease, which both sides time",
    routing="relay agents carry it between networks",
    control="the client waits longer from try to try",
    errors="NAK and Decline; lost datagrams are sent again",
)
PROTOCOL = Protocol("dhcp", "DHCP", 7, FIELDS, dissect, keys={"udp.port": [67, 68, 4011]}, card=CARD, reference="RFC 2131")
