"""What the conversation says of one segment, put into its TCP layer: fields, notes, and words behind the summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from inspector.core.field import Field, FieldSpec
from inspector.core.layer import Issue, Layer, Note, Severity
from inspector.core.limits import MAX_UNACKNOWLEDGED
from inspector.core.span import Span
from inspector.streams.analysis import RESENT, Analysis, Finding, Mark
from inspector.streams.segments import Part
from inspector.streams.steady import take
from inspector.streams.tcp_notes import notes
from inspector.streams.tcp_states import States

FIRST, FEW = 512, 8  # segments that are tried together at first; that go one by one where they cannot
WARNINGS = Mark.LOST_SEGMENT | Mark.ACK_LOST_SEGMENT | Mark.ZERO_WINDOW | Mark.WINDOW_FULL | Mark.OUT_OF_ORDER
OWN = Mark.WINDOW_CLOSED | Mark.TAIL_PROBE  # of these Wireshark knows nothing
GUIDE = "Wireshark User's Guide, 7.5"
# mark → (label, what it means, the specification behind it); {…} are filled from the finding.
MEANINGS: dict[Mark, tuple[str, str, str]] = {
    Mark.RETRANSMISSION: (
        "retransmission",
        "these sequence numbers were sent before{rto_words}: the sender saw no acknowledgement of them in time",
        "RFC 6298, 5; RFC 8985, 6 and 7",
    ),
    Mark.FAST_RETRANSMISSION: (
        "fast retransmission",
        "sent again at once, because duplicate acknowledgements or SACK blocks told the sender that this segment is missing",
        "RFC 5681, 3.2; RFC 6675, 5",
    ),
    Mark.SPURIOUS_RETRANSMISSION: (
        "spurious retransmission",
        "sent again although all of it is acknowledged: that acknowledgement was late, or was lost on its way to the sender",
        "RFC 5682, 1",
    ),
    Mark.OUT_OF_ORDER: (
        "out of order",
        "it comes after segments with higher numbers, and too soon for a time-out: the path reordered them, or the sender sent"
        " this one again as soon as SACK told of the hole",
        "RFC 9293, 3.4; RFC 6675, 5",
    ),
    Mark.LOST_SEGMENT: (
        "segment before not seen",
        "its sequence number is beyond what was seen: the bytes between were lost, or the capture does not have them",
        "RFC 9293, 3.4",
    ),
    Mark.ACK_LOST_SEGMENT: (
        "acknowledges what was not seen",
        "the receiver has bytes that this capture never showed: they passed, and the capture missed them",
        "RFC 9293, 3.4",
    ),
    Mark.DUPLICATE_ACK: (
        "duplicate acknowledgement",
        "number {duplicate} of packet {duplicate_of}: mostly since a segment came that is not the one expected next",
        "RFC 5681, 2, 3.2 and 4.2",
    ),
    Mark.ZERO_WINDOW: (
        "zero window", "the receive buffer is full: the other end must stop until a window comes", "RFC 9293, 3.8.6"
    ),
    Mark.ZERO_WINDOW_PROBE: (
        "window probe", "one byte into a closed window, to be told when it opens", "RFC 9293, 3.8.6.1"
    ),
    Mark.ZERO_WINDOW_PROBE_ACK: ("answer to a probe", "the window is still closed", "RFC 9293, 3.8.6.1"),
    Mark.WINDOW_FULL: (
        "window full", "with this segment the sender has used all of the window, and must wait", "RFC 9293, 3.8.6"
    ),
    Mark.WINDOW_UPDATE: (
        "window update", "nothing new is acknowledged; only the window that the receiver offers has changed", "RFC 9293, 3.8.6"
    ),
    Mark.KEEP_ALIVE: (
        "keep-alive", "it repeats the last sequence number: the other end must answer, if it is still there", "RFC 9293, 3.8.4"
    ),
    Mark.WINDOW_CLOSED: (
        "window probe", "it repeats the last number, to be told whether the closed window has opened", "RFC 9293, 3.8.6.1"
    ),
    Mark.KEEP_ALIVE_ACK: ("answer to a keep-alive", "the other end is still there", "RFC 9293, 3.8.4"),
}  # fmt: skip


class Tcp(NamedTuple):
    """A TCP conversation seen as segments: their analysis, and the states of both ends."""

    analysis: Analysis
    states: States

    def feed(self, parts: Iterable[Part]) -> None:
        """More segments, in packet order."""
        many, few = FIRST, FEW
        for part in parts:
            at, size = 0, len(part)
            while at < size:
                tried = part.slice(at, at + many)
                taken = _steady(self, tried)
                at += taken
                if taken == len(tried):
                    many *= 2
                    continue
                # What is not steady goes one by one: the more of it, the less there is to be gained from trying again soon.
                many, few = FIRST, FEW if taken > FEW else min(few * 2, FIRST)
                for segment in part.segments(at, at + few):
                    self.analysis.feed(segment)
                    self.states.feed(segment)
                at += few


def follow(parts: Iterable[Part], scales: tuple[int, int]) -> Tcp:
    """Analyse a conversation's segments, in packet order. scales: as `Analysis` takes them."""
    found = Tcp(Analysis(scales), States())
    found.feed(parts)
    return found


def _steady(tcp: Tcp, part: Part) -> int:
    """The segments at the start of `part` that can be taken all at once."""
    quiet = tcp.states.steady(part.direction, part.length)
    taken = take(tcp.analysis, part.slice(0, quiet)) if quiet else 0
    tcp.states.skip(part.direction[:taken], part.length[:taken])
    return taken


def enrich(layer: Layer, fields: Mapping[str, FieldSpec], tcp: Tcp, packet: int, direction: int) -> None:
    """Add to `layer` what the conversation knows of `packet`. direction: 0 or 1, whose sender sent it."""
    found = tcp.analysis.of(packet)
    if found is None:
        return
    own = Span(layer.span.buffer, layer.span.start, layer.span.start)

    def made(name: str, value: Any, text: str | None = None) -> Field:
        return Field(fields[name], value, own, text, None, True)

    layer.notes.extend(notes(layer, found))
    states, times = tcp.states.at(packet), tcp.analysis.times(packet)
    layer.fields += [
        made("tcp.time_relative", times[0]),
        made("tcp.time_delta", times[1]),
        made("tcp.state.sender", states[direction].title),
        made("tcp.state.receiver", states[1 - direction].title),
        made("tcp.completeness", tcp.states.completeness, completeness(tcp.states.completeness)),
    ]
    analysis = made("tcp.analysis", None)
    numbers = {
        "acks_frame": found.acks, "ack_rtt": found.rtt, "initial_rtt": found.initial_rtt, "bytes_in_flight": found.in_flight,
        "rto": found.rto, "rto_frame": found.rto_of,
    }  # fmt: skip
    analysis.children += [made(f"tcp.analysis.{name}", value) for name, value in numbers.items() if value]
    if found.duplicate:
        number = made("tcp.analysis.duplicate_ack_num", found.duplicate)
        number.children.append(made("tcp.analysis.duplicate_ack", None))
        analysis.children += [number, made("tcp.analysis.duplicate_ack_frame", found.duplicate_of)]
    if found.marks:
        flags = made("tcp.analysis.flags", None)
        flags.children += [made(f"tcp.analysis.{name}", None) for name in _names(found.marks)]
        analysis.children.append(flags)
        _words(layer, found)
    if analysis.children:
        layer.fields.append(analysis)
    if packet == tcp.analysis.sides[direction].unwatched:
        text = f"{MAX_UNACKNOWLEDGED:,} segments of this side wait for an acknowledgement: none is looked for of further ones"
        layer.issues.append(Issue("limit", layer.span, Severity.NOTE, text))
    _states(layer, tcp.states, packet, direction)


def _names(marks: Mark) -> list[str]:
    """Wireshark's names; a fast or spurious retransmission is also a retransmission."""
    names = [mark.name.lower() for mark in Mark if mark & marks and mark.name and not mark & OWN]
    return ["retransmission", *names] if marks & RESENT and not marks & Mark.RETRANSMISSION else names


def _words(layer: Layer, found: Finding) -> None:
    rto_words = f", {found.rto / 1e6:,.1f} ms ago (packet {found.rto_of})" if found.rto_of else ""
    known = {"rto_words": rto_words, "duplicate": found.duplicate, "duplicate_of": found.duplicate_of}
    at = layer.find("tcp.window_size_value") if found.marks & WARNINGS == Mark.ZERO_WINDOW else layer.find("tcp.seq_raw")
    span = at.span if at is not None else layer.span
    labels = []
    shown = found.marks & ~Mark.KEEP_ALIVE if found.marks & Mark.WINDOW_CLOSED else found.marks
    for mark, (label, meaning, reference) in MEANINGS.items():
        if mark & shown:
            labels.append(label)
            why = meaning.format(**known)
            if mark is Mark.RETRANSMISSION and found.marks & Mark.TAIL_PROBE:
                why += ". So soon, and for the last bytes sent, it is rather a tail loss probe than a time-out"
                reference = "RFC 8985, 7.2 and 7.3; RFC 6298, 2.4"
            if mark is Mark.WINDOW_UPDATE and _beyond(layer):
                why += "; its SACK option says that a segment came behind a hole, as a duplicate acknowledgement would"
                reference = "RFC 9293, 3.8.6; RFC 2018, 4"
            layer.notes.append(Note(span, label, f"{why[0].upper()}{why[1:]}.", f"{reference}; {GUIDE}"))
            if mark & WARNINGS:
                layer.issues.append(Issue(_code(mark), span, Severity.WARNING, f"{label}: {why}"))
            elif mark & (RESENT | Mark.DUPLICATE_ACK):
                layer.issues.append(Issue(_code(mark), span, Severity.NOTE, f"{label}: {why}"))
    layer.summary += f"  [{', '.join(labels)}]"


def _beyond(layer: Layer) -> bool:
    """A SACK block lies beyond what is acknowledged: there is a hole."""
    return any(f.name == "tcp.options.sack_le" and f.value > layer.value("tcp.ack", 0) for f in layer.walk())


def _code(mark: Mark) -> str:
    return (mark.name or "").lower().replace("_", "-")


def _states(layer: Layer, states: States, packet: int, direction: int) -> None:
    flags = layer.find("tcp.flags")
    span = flags.span if flags is not None else layer.span
    for change in states.changes(packet):
        who = "the sender" if change.end == direction else "the receiver"
        title = f"{who}: {change.before.title} → {change.step.to.title}"
        layer.notes.append(Note(span, title, f"{change.step.why[0].upper()}{change.step.why[1:]}.", change.step.reference))
    for at, text in states.unexpected:
        if at == packet:
            layer.issues.append(Issue("tcp-state", span, Severity.NOTE, text))


def completeness(bits: int) -> str:
    """Which parts of a conversation the capture has, as Wireshark counts them: `SYN, SYN ACK, ACK, data, FIN (31)`."""
    return f"{parts(bits)} ({bits})"


def parts(bits: int) -> str:
    """The names of these parts: `SYN, SYN ACK, ACK, data, FIN`."""
    names = ("SYN", "SYN ACK", "ACK", "data", "FIN", "RST")
    return ", ".join(name for at, name in enumerate(names) if bits >> at & 1) or "nothing"


def complete(bits: int) -> bool:
    """The capture has the conversation from its three-way handshake to a FIN or a reset."""
    return bits & 7 == 7 and bits & 48 != 0
