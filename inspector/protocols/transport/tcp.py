"""TCP segments (RFC 9293), one layer a segment.

Not here: options (`tcp_options.py`), streams, relative numbers and analysis (streams), though their fields are declared here.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import (
    Base,
    FieldSpec,
    Kind,
    catalog,
    duration,
    flag,
    frame,
    heading,
    string,
    u8,
    u16,
    u32,
    uint,
)
from inspector.core.layer import Severity
from inspector.core.protocol import Card, Protocol
from inspector.core.tcp_flags import flag_words
from inspector.protocols.transport import tcp_options
from inspector.protocols.transport.ports import verify

# The marks of Wireshark's TCP analysis (its User's Guide, 7.5).
ANALYSIS = {
    "retransmission": "Retransmission", "fast_retransmission": "Fast retransmission",
    "spurious_retransmission": "Spurious retransmission", "out_of_order": "Out of order",
    "lost_segment": "Segment before not seen",
    "ack_lost_segment": "Acknowledges a segment that was not seen", "duplicate_ack": "Duplicate acknowledgement",
    "zero_window": "Zero window", "zero_window_probe": "Zero window probe", "zero_window_probe_ack": "Answer to a window probe",
    "window_full": "Window full", "window_update": "Window update", "keep_alive": "Keep-alive",
    "keep_alive_ack": "Answer to a keep-alive",
}  # fmt: skip
FIELDS = catalog(
    u16("tcp.srcport", "Source port"),
    u16("tcp.dstport", "Destination port"),
    u32("tcp.stream", "Stream number"),
    u32("tcp.len", "Payload length"),
    u32("tcp.seq", "Sequence number (relative)"),
    u32("tcp.seq_raw", "Sequence number"),
    u32("tcp.ack", "Acknowledgement number (relative)"),
    u32("tcp.ack_raw", "Acknowledgement number"),
    FieldSpec("tcp.hdr_len", Kind.UINT, "Header length", 4, scale=4, unit="bytes"),
    uint("tcp.flags", "Flags", 12, Base.HEX),
    uint("tcp.flags.res", "Reserved", 3),
    flag("tcp.flags.ae", "AE: accurate ECN"),
    flag("tcp.flags.cwr", "CWR: congestion window reduced"),
    flag("tcp.flags.ece", "ECE: ECN echo"),
    flag("tcp.flags.urg", "URG: urgent pointer is valid"),
    flag("tcp.flags.ack", "ACK: acknowledgement number is valid"),
    flag("tcp.flags.push", "PSH: hand over now"),
    flag("tcp.flags.reset", "RST: reset"),
    flag("tcp.flags.syn", "SYN: synchronise sequence numbers"),
    flag("tcp.flags.fin", "FIN: no more data from the sender"),
    u16("tcp.window_size_value", "Window"),
    u32("tcp.window_size", "Window, scaled"),
    u16("tcp.checksum", "Checksum", Base.HEX),
    u16("tcp.urgent_pointer", "Urgent pointer"),
    # What the conversation says of a segment (streams.tcp_layer).
    duration("tcp.time_relative", "Time since the conversation's first packet"),
    duration("tcp.time_delta", "Time since the conversation's packet before"),
    string("tcp.state.sender", "State of the sender, once this has arrived"),
    string("tcp.state.receiver", "State of the receiver, once this has arrived"),
    u8("tcp.completeness", "Completeness of the conversation"),
    heading("tcp.analysis", "Analysis"),
    frame("tcp.analysis.acks_frame", "Acknowledges the segment in packet"),
    duration("tcp.analysis.ack_rtt", "Round trip of that segment"),
    duration("tcp.analysis.initial_rtt", "Round trip of the handshake"),
    u32("tcp.analysis.bytes_in_flight", "Bytes in flight"),
    u32("tcp.analysis.duplicate_ack_num", "Duplicate acknowledgement number"),
    frame("tcp.analysis.duplicate_ack_frame", "Duplicate of the acknowledgement in packet"),
    duration("tcp.analysis.rto", "Waited before it was sent again"),
    frame("tcp.analysis.rto_frame", "Sent before in, or waiting since, packet"),
    heading("tcp.analysis.flags", "Marks"),
    *(heading(f"tcp.analysis.{name}", label) for name, label in ANALYSIS.items()),
) | tcp_options.FIELDS


def dissect(c: Cursor) -> None:
    total = c.remaining
    source = c.uint("tcp.srcport", 2)
    destination = c.uint("tcp.dstport", 2)
    c.context.ports = (source, destination)
    c.layer.summary = f"{source} → {destination}"
    sequence = c.uint("tcp.seq_raw", 4)
    acknowledgement = c.uint("tcp.ack_raw", 4)
    header, flags = c.bits(
        2,
        ("tcp.hdr_len", 4),
        (
            "tcp.flags",
            12,
            (
                ("tcp.flags.res", 3),
                ("tcp.flags.ae", 1),
                ("tcp.flags.cwr", 1),
                ("tcp.flags.ece", 1),
                ("tcp.flags.urg", 1),
                ("tcp.flags.ack", 1),
                ("tcp.flags.push", 1),
                ("tcp.flags.reset", 1),
                ("tcp.flags.syn", 1),
                ("tcp.flags.fin", 1),
            ),
        ),
    )
    c.layer.fields[-1].text = f"{flag_words(flags) or 'none'} (0x{flags:03x})"
    c.uint("tcp.window_size_value", 2)
    c.uint("tcp.checksum", 2)
    checksum = c.layer.fields[-1]
    urgent = c.uint("tcp.urgent_pointer", 2)
    if header < 20:
        c.issue("header-length", f"a header of {header} bytes is shorter than 20 (RFC 9293, 3.1)", Severity.ERROR)
        return
    if urgent and not flags & 0x20:
        c.issue("urgent", "an urgent pointer without the URG flag means nothing (RFC 9293, 3.1)", Severity.NOTE)
    if not flags & 0x10 and acknowledgement:
        text = "an acknowledgement number without the ACK flag means nothing (RFC 9293, 3.1)"
        c.issue("acknowledgement", text, Severity.NOTE, c.span(c.start + 8, c.start + 12))
    verify(c, 6, total + c.context.cut, checksum, "RFC 9293, 3.1")
    if header > 20:
        with c.within(header - 20), c.group("tcp.options"):
            tcp_options.read(c)
    size = c.remaining + c.context.cut
    c.generated("tcp.len", size, c.span(c.pos, c.stop))
    c.layer.summary = f"{source} → {destination}  {flag_words(flags)}  seq {sequence}  len {size:,}"
    c.payload("tcp.stream", (source, destination))


CARD = Card(
    "binary: a header of 20 to 60 octets; the payload is a piece of a stream without boundaries",
    "a byte stream: what one write puts in may arrive in several reads",
    "a port at each end; the connection is the pair of addresses and ports",
    "full duplex; each direction closes by itself",
    "both ends: sequence numbers, windows, timers, and TIME-WAIT after the end",
    "that of IP; NAT, firewalls and balancers remember connections, too",
    "the receiver's window, and the sender's congestion window",
    "a checksum; what is not acknowledged is sent again, and duplicates are dropped",
)
PROTOCOL = Protocol("tcp", "TCP", 4, FIELDS, dissect, keys={"ip.proto": [6]}, reference="RFC 9293", card=CARD)
