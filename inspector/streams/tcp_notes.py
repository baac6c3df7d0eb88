"""What one TCP segment says by itself, from its flags and numbers: a note for every combination of flags."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.core.field import Field
from inspector.core.layer import Layer, Note, Rank
from inspector.core.tcp_flags import ACK, FIN, PSH, RST, SYN, URG
from inspector.streams.analysis import Finding

CONTROL = SYN | FIN | RST


def notes(layer: Layer, found: Finding) -> Iterator[Note]:
    """Notes for a segment whose relative numbers are known. found: what the conversation knows of it."""
    flags_field, raw = layer.find("tcp.flags"), layer.find("tcp.seq_raw")
    if flags_field is None or raw is None:
        return
    flags, length = int(flags_field.value), int(layer.value("tcp.len", 0))
    if flags & SYN and flags & (FIN | RST):
        why = "No connection begins and ends in one segment: no TCP in use sends this; it is made by hand, for a scan."
        yield Note(flags_field.span, "impossible flags", why, "RFC 9293, 3.5 and 3.6")
        return
    if not flags & (CONTROL | ACK):
        why = "No flag that means something: every segment after the first SYN carries ACK, so a connection drops this one; a"
        why += " port that is closed answers with a reset."
        yield Note(flags_field.span, "no ACK", why, "RFC 9293, 3.10.7.4 and 3.10.7.1")
        return
    if flags & SYN:
        yield _opens(layer, flags, raw)
    if flags & RST:
        yield _resets(layer, flags, flags_field)
    if length:
        yield _data(layer, flags, length, raw)
    if flags & FIN:
        after = int(layer.value("tcp.seq", 0)) + length
        why = f"FIN takes the sequence number {after:,}, behind the last byte, so that it is acknowledged like one."
        yield Note(flags_field.span, "no more data", why, "RFC 9293, 3.4 and 3.6")
    if flags & ACK and not flags & RST:
        note = _acknowledges(layer, flags, length, found)
        if note is not None:
            yield note
        yield from _came_twice(layer)
    if flags & URG:
        pointer = int(layer.value("tcp.urgent_pointer", 0))
        why = f"Urgent data ends {pointer:,} bytes behind this segment's sequence number; new programs should not use it."
        yield Note(flags_field.span, "urgent", why, "RFC 9293, 3.8.5; RFC 6093, 5")


def _opens(layer: Layer, flags: int, raw: Field) -> Note:
    size, shift = layer.value("tcp.options.mss_val"), layer.value("tcp.options.wscale.shift")
    said = [f"this end counts its bytes from {raw.value} on, a number that is hard to guess"]
    if size is not None:
        said.append(f"it takes segments of up to {size:,} bytes of options and data")
    else:
        said.append("it names no segment size, so the other end must take the default")
    if shift is not None:
        said.append(f"its windows are to be multiplied by {1 << min(int(shift), 14):,}, if the other end scales too")
    title = "the second of three steps" if flags & ACK else "the first of three steps"
    why = "; ".join(said)
    return Note(raw.span, title, f"{why[0].upper()}{why[1:]}.", "RFC 9293, 3.4.1, 3.5 and 3.7.1; RFC 7323, 2.2")


def _resets(layer: Layer, flags: int, at: Field) -> Note:
    """By its numbers: the answer to a segment without ACK has the number 0 and acknowledges it (RFC 9293, 3.5.2)."""
    if flags & ACK and not layer.value("tcp.seq_raw", 0):
        number = f"{int(layer.value('tcp.ack', 0)):,}"
        why = f"The reset acknowledges {number}, so that the other end knows which segment it answers."
        reference = "RFC 9293, 3.5.2 and 3.5.3"
    else:
        number = f"{int(layer.value('tcp.seq', 0)):,}"
        why = f"The reset carries the number {number}, which must lie in the other end's window to count;"
        why += " a careful host takes it only if it is the very number that it expects next."
        reference = "RFC 9293, 3.5.2 and 3.5.3; RFC 5961, 3.2"
    why += " No reset is sent in answer to one."
    return Note(at.span, "reset", why, reference)


def _data(layer: Layer, flags: int, length: int, raw: Field) -> Note:
    first = int(layer.value("tcp.seq", 0))
    many = "byte" if length == 1 else "bytes"
    why = f"{length:,} {many} of the sender's stream, {first:,} to {first + length - 1:,}"
    why += (
        "; PSH: hand them to the program now, nothing more is waiting" if flags & PSH else "; no PSH: more may follow at once"
    )
    return Note(raw.span, "data", f"{why}.", "RFC 9293, 3.4 and 3.9.1.2")


def _acknowledges(layer: Layer, flags: int, length: int, found: Finding) -> Note | None:
    at = layer.find("tcp.ack_raw")
    if at is None:
        return None
    number, window = (
        int(layer.value("tcp.ack", 0)),
        int(layer.value("tcp.window_size", layer.value("tcp.window_size_value", 0))),
    )
    why = f"Everything before number {number:,} of the other end has come"
    if found.acks:
        why += f", the last of it in packet {found.acks}"
    if found.rtt:
        why += f", {found.rtt / 1e6:,.3f} ms before this"
    why += f"; there is room for {window:,} bytes behind it"
    title = "acknowledgement" if length or flags & CONTROL else "acknowledgement alone"
    rank = Rank.DETAIL if length or flags & CONTROL else Rank.STEP
    return Note(at.span, title, f"{why}.", "RFC 9293, 3.4 and 3.8.6", rank)


def _came_twice(layer: Layer) -> Iterator[Note]:
    """A duplicate SACK, whose first block lies below the acknowledgement (RFC 2883, 4.1). One inside another is not told."""
    left, right = layer.find("tcp.options.sack_le"), layer.find("tcp.options.sack_re")
    if left is None or right is None or not 0 <= int(left.value) < int(right.value) <= int(layer.value("tcp.ack", 0)):
        return
    why = f"The SACK option says that bytes {int(left.value):,} to {int(right.value) - 1:,} came twice: what was sent again had"
    yield Note(left.span, "duplicate SACK", f"{why} not been lost.", "RFC 2883, 4")
