"""What the order of a TCP conversation's segments says: retransmissions, losses, duplicate acknowledgements, windows, times.

The rules are those of Wireshark's TCP analysis (User's Guide, 7.5), so that a mark means here what it means there; what
they look for stands in RFC 9293 (acknowledgements, windows, keep-alives), RFC 5681 and 6675 (duplicate acknowledgements, fast
retransmission), RFC 6298 (time-outs) and RFC 2018 (SACK). Everything is seen from where the capture was made.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from enum import IntFlag
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.core.limits import MAX_UNACKNOWLEDGED
from inspector.core.tcp_flags import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.integer[Any] | np.bool_]

FAST_NS = 20_000_000  # a resend so soon after the duplicate acknowledgements answers them (Wireshark's rule)
LEAST_RTO_NS = 200_000_000  # the least retransmission time-out of Linux; RFC 6298, 2.4 says a second
OUT_OF_ORDER_NS = 3_000_000  # a late segment so soon was overtaken rather than resent, where no round trip is known
Edges = tuple[tuple[int, int], ...]  # SACK blocks: left and right edge, sequence numbers


class Mark(IntFlag):
    """What a segment is, beside what its header says."""

    RETRANSMISSION = 1
    FAST_RETRANSMISSION = 2
    SPURIOUS_RETRANSMISSION = 4
    OUT_OF_ORDER = 8
    LOST_SEGMENT = 16
    ACK_LOST_SEGMENT = 32
    DUPLICATE_ACK = 64
    ZERO_WINDOW = 128
    ZERO_WINDOW_PROBE = 256
    ZERO_WINDOW_PROBE_ACK = 512
    WINDOW_FULL = 1024
    WINDOW_UPDATE = 2048
    KEEP_ALIVE = 4096
    KEEP_ALIVE_ACK = 8192
    # Not Wireshark's:
    WINDOW_CLOSED = 16384  # the keep-alive is a probe of a closed window, as Linux sends them
    TAIL_PROBE = 32768  # the retransmission is of the last bytes sent, and too soon for a time-out (RFC 8985, 7.3)


RESENT = Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION


class Segment(NamedTuple):
    """One segment as the analysis needs it; times in nanoseconds, `window` as it stands in the header."""

    packet: int
    time_ns: int
    direction: int
    sequence: int
    acknowledgement: int
    flags: int
    length: int
    window: int
    sack: Edges = ()


class Finding(NamedTuple):
    """What is known of one segment. 0 and None: not known, or not so.

    acks: the packet whose last byte this one acknowledges, rtt after it; in_flight: bytes sent and not acknowledged, this
    segment's included; duplicate: its number among the duplicates of packet `duplicate_of`; rto: how long the sender had
    waited for the acknowledgement of packet `rto_of`.
    """

    marks: Mark
    acks: int
    rtt: int
    in_flight: int
    duplicate: int
    duplicate_of: int
    rto: int
    rto_of: int
    initial_rtt: int | None


class Analysis:
    """The findings of one conversation as columns, a row a segment, in the order of the capture."""

    def __init__(self, scales: tuple[int, int] = (-1, -1)) -> None:
        """scales: the window scale of each direction, -1 where it is not known, -2 where none is used."""
        self.packets = array("I")
        self.marks = array("H")
        self.initial_rtt: int | None = None
        self.initial_rtt_packet = 0
        self._time = array("q")
        self._acks = array("I")
        self._rtt = array("q")
        self._in_flight = array("I")
        self._looked = bytearray()  # the segments that Wireshark says something of, if only the initial round trip
        self._duplicates: dict[int, tuple[int, int]] = {}
        self._rto: dict[int, tuple[int, int]] = {}
        self.sides = (Side(scales[0]), Side(scales[1]))
        self._syn_ns: int | None = None

    def times(self, packet: int) -> tuple[int, int]:
        """Nanoseconds since the conversation's first packet and the one before; of a packet of this conversation."""
        row = bisect_left(self.packets, packet)
        now = self._time[row]
        return now - self._time[0], now - self._time[max(row - 1, 0)]

    def of(self, packet: int) -> Finding | None:
        """What is known of a packet; None for one that is not of this conversation."""
        row = bisect_left(self.packets, packet)
        if row == len(self.packets) or self.packets[row] != packet:
            return None
        number, of = self._duplicates.get(packet, (0, 0))
        rto, rto_of = self._rto.get(packet, (0, 0))
        known = self.initial_rtt is not None and packet >= self.initial_rtt_packet and self._looked[row]
        return Finding(
            Mark(self.marks[row]), self._acks[row], self._rtt[row], self._in_flight[row], number, of, rto, rto_of,
            self.initial_rtt if known else None,
        )  # fmt: skip

    @property
    def round_trips(self) -> tuple[array[int], array[int]]:
        """Two columns, a row a segment: the packet whose last byte it acknowledges, and how long after it in nanoseconds."""
        return self._acks, self._rtt

    @property
    def settled(self) -> bool:
        """No later segment without SYN says anything of the initial round trip."""
        return self.initial_rtt is not None or self._syn_ns is None

    def extend(
        self, packets: Ints, times: Ints, marks: Ints, acks: Ints, rtt: Ints, in_flight: Ints, looked: Ints
    ) -> None:
        """Rows of many segments whose findings are known (`streams.steady`)."""
        columns = (self.packets, self._time, self.marks, self._acks, self._rtt, self._in_flight)
        for column, values in zip(columns, (packets, times, marks, acks, rtt, in_flight), strict=True):
            column.frombytes(values.astype(column.typecode).tobytes())
        self._looked += looked.astype("u1").tobytes()

    # --- the rules

    def feed(self, s: Segment) -> None:
        """One more segment, in packet order."""
        own, peer = self.sides[s.direction], self.sides[1 - s.direction]
        if s.flags & (SYN | ACK) == SYN:
            self._syn_ns = s.time_ns
        elif s.flags & (SYN | ACK) == ACK and self.initial_rtt is None and self._syn_ns is not None:
            self.initial_rtt, self.initial_rtt_packet = s.time_ns - self._syn_ns, s.packet
        if s.flags & ACK:
            peer.flight_known = True
        marks, settled = _acknowledgement_marks(s, own, peer)
        if marks & Mark.LOST_SEGMENT:
            own.flight_known = False
        if marks & Mark.ZERO_WINDOW_PROBE_ACK and s.acknowledgement == _after(own.last_ack, 1):
            peer.next = peer.to_be_acked = s.acknowledgement  # the receiver took the probe's byte
        if marks & Mark.DUPLICATE_ACK:
            own.duplicates += 1
            self._duplicates[s.packet] = (own.duplicates, own.first_ack_packet)
        if s.acknowledgement != own.last_ack:
            own.first_ack_packet, own.duplicates = s.packet, 0
        marks |= _ack_lost(s, own, peer)
        if s.length or s.flags & (SYN | FIN):
            marks |= self._sequence_marks(s, marks, own, peer)
        looked = bool(marks) or (
            not settled and not s.length and s.window and s.acknowledgement >= own.last_ack and not s.flags & (SYN | FIN | RST)
        )
        own.sent(s, marks)
        acked = peer.acked(s.acknowledgement)
        flight = own.flight(s, peer.sack) if s.length and own.flight_known else 0
        own.marks, own.sack = marks, s.sack
        self.packets.append(s.packet)
        self._time.append(s.time_ns)
        self.marks.append(int(marks))
        self._acks.append(acked[0] if acked else 0)
        self._rtt.append(s.time_ns - acked[1] if acked else 0)
        self._in_flight.append(flight)
        self._looked.append(bool(looked or acked or flight))

    def _sequence_marks(self, s: Segment, marks: Mark, own: Side, peer: Side) -> Mark:
        """For a segment that takes sequence numbers: is it new, or resent, or late?"""
        if marks & Mark.KEEP_ALIVE:
            return Mark(0)
        if s.length and peer.last_ack and distance(_after(s.sequence, s.length), peer.last_ack) <= 0:
            return Mark.SPURIOUS_RETRANSMISSION
        old = bool(own.next) and distance(s.sequence, own.next) < 0
        if s.length > 1 and _after(s.sequence, 1) == own.next:
            old = False  # the byte before was a probe of a closed window
        if not old:
            return Mark(0)
        since = s.time_ns - peer.last_ns
        end = _after(s.sequence, s.length)
        if 0 <= since < FAST_NS and peer.duplicates >= 2:
            sacked = any(distance(s.sequence, left) >= 0 and distance(end, right) <= 0 for left, right in peer.sack)
            if peer.last_ack == s.sequence or (peer.sack and not sacked):
                return Mark.FAST_RETRANSMISSION
        limit = self.initial_rtt or OUT_OF_ORDER_NS
        if 0 <= since < limit and not own.holds(s.sequence, end):
            closing = own.next == _after(end, bool(s.flags & (SYN | FIN)))
            if not closing:
                return Mark.OUT_OF_ORDER
        waited = self._rto[s.packet] = own.waited(s)
        if s.length and end == own.next and waited[0] < LEAST_RTO_NS:
            return Mark.RETRANSMISSION | Mark.TAIL_PROBE
        return Mark.RETRANSMISSION


class Waiting(NamedTuple):
    """A segment that is not acknowledged: its sequence numbers, its packet and time."""

    start: int
    stop: int
    packet: int
    time_ns: int


class Side:
    """What one direction has said so far. Numbers are 0 until they are known."""

    __slots__ = (
        "_high",
        "_least",
        "_low",
        "duplicates",
        "first_ack_packet",
        "flight_known",
        "last_ack",
        "last_ns",
        "marks",
        "next",
        "next_ns",
        "next_packet",
        "ordered",
        "sack",
        "scale",
        "to_be_acked",
        "unwatched",
        "waiting",
        "window",
        "window_scaled",
    )  # fmt: skip

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.window = -1
        self.window_scaled = False
        self.next = 0  # one past the highest sequence number sent
        self.next_packet = self.next_ns = 0
        self.to_be_acked = 0  # the end of what is known to have been sent without a hole
        self.last_ack = 0
        self.last_ns = -(1 << 62)
        self.first_ack_packet = self.duplicates = 0
        self.flight_known = True
        self.marks = Mark(0)
        self.sack: Edges = ()
        self.waiting: deque[Waiting] = deque()
        self.unwatched = 0  # the first packet that found `MAX_UNACKNOWLEDGED` others waiting
        self.ordered = True  # the waiting segments stand in the order of their sequence numbers; where they do not:
        self._low = self._high = 0  # the lowest start of them and the highest stop
        self._least = 0  # the lowest stop

    @property
    def edge(self) -> int | None:
        """One past the last byte that this side lets the other send; None where the window's scale is not known."""
        if self.scale == -1 or self.window < 0:
            return None
        return _after(self.last_ack, self.window << (max(self.scale, 0) if self.window_scaled else 0))

    def sent(self, s: Segment, marks: Mark) -> None:
        """Remember a segment of this side."""
        stop = _after(s.sequence, s.length)
        if (s.length or s.flags & (SYN | FIN)) and len(self.waiting) < MAX_UNACKNOWLEDGED:
            stop = _after(stop, bool(s.flags & (SYN | FIN)))
            self._wait(Waiting(s.sequence, stop, s.packet, s.time_ns))
        elif s.length:
            self.unwatched = self.unwatched or s.packet
        probe = bool(marks & Mark.ZERO_WINDOW_PROBE)
        if (not self.next or distance(stop, self.next) > 0) and not probe:
            self.next, self.next_packet, self.next_ns = stop, s.packet, s.time_ns
        if (not self.to_be_acked or s.sequence == self.to_be_acked) and not probe:
            self.to_be_acked = self.next
        self.window, self.window_scaled = s.window, not s.flags & SYN
        self.last_ack, self.last_ns = s.acknowledgement, s.time_ns

    def acked(self, number: int) -> tuple[int, int] | None:
        """The peer acknowledges all before `number`: forget it, and tell the packet and time of the segment that ends there."""
        found: tuple[int, int] | None = None
        if self.ordered:
            while self.waiting and distance(self.waiting[0].stop, number) <= 0:
                gone = self.waiting.popleft()
                if gone.stop == number and found is None:
                    found = gone.packet, gone.time_ns
            return found
        if self.waiting and distance(self._least, number) > 0:
            return None
        before = self.waiting
        self.waiting, self.ordered = deque(), True
        for waiting in before:
            if distance(waiting.stop, number) > 0:
                self._wait(waiting)
            elif waiting.stop == number and found is None:
                found = waiting.packet, waiting.time_ns
        return found

    def _wait(self, new: Waiting) -> None:
        """One more segment that waits, and what is asked of all of them again and again."""
        if not self.waiting:
            self.ordered, self._low, self._high, self._least = True, new.start, new.stop, new.stop
        elif self.ordered and distance(new.start, self.waiting[-1].stop) >= 0:
            self._high = new.stop
        else:
            if self.ordered:  # until now their order alone told
                self._low, self._high, self._least = self.waiting[0].start, self.waiting[-1].stop, self.waiting[0].stop
            self.ordered = False
            self._low = min(self._low, new.start, key=lambda number: distance(number, new.start))
            self._high = max(self._high, new.stop, key=lambda number: distance(number, new.start))
            self._least = min(self._least, new.stop, key=lambda number: distance(number, new.start))
        self.waiting.append(new)

    def flight(self, s: Segment, sack: Edges) -> int:
        """Bytes of this side that the peer has not acknowledged, less what it has reported with SACK (RFC 2018)."""
        if not self.waiting:
            return 0
        low, high = (self.waiting[0].start, self.waiting[-1].stop) if self.ordered else (self._low, self._high)
        size = high - low & 0xFFFFFFFF
        size -= sum(distance(right, left) for left, right in sack)
        return size - bool(s.flags & (SYN | FIN)) if 0 < size < 1 << 31 else 0

    def holds(self, start: int, stop: int) -> bool:
        """A waiting segment has these bytes: they were seen before."""
        return any(distance(start, held.start) >= 0 and distance(stop, held.stop) <= 0 for held in self.waiting)

    def waited(self, s: Segment) -> tuple[int, int]:
        """How long ago, and in which packet, the oldest waiting segment that a resend can stand for was sent."""
        for waiting in self.waiting:
            if distance(waiting.start, s.sequence) >= 0:
                return s.time_ns - waiting.time_ns, waiting.packet
        return s.time_ns - self.next_ns, self.next_packet


def _acknowledgement_marks(s: Segment, own: Side, peer: Side) -> tuple[Mark, bool]:
    """What the numbers and the window say before it is asked whether the bytes are new; true where that settles it."""
    marks = Mark(0)
    plain = not s.flags & (SYN | FIN | RST)
    if s.length == 1 and s.sequence == own.next and peer.window == 0:
        return Mark.ZERO_WINDOW_PROBE, True
    if s.window == 0 and plain:
        marks |= Mark.ZERO_WINDOW
    if own.next and distance(s.sequence, own.next) > 0 and not s.flags & RST:
        marks |= Mark.LOST_SEGMENT
    if s.length <= 1 and _after(s.sequence, 1) == own.next and plain:
        marks |= Mark.KEEP_ALIVE if peer.window else Mark.KEEP_ALIVE | Mark.WINDOW_CLOSED
    if s.length and plain and peer.edge == _after(s.sequence, s.length):
        marks |= Mark.WINDOW_FULL
    if s.length or not plain or s.sequence != own.next:
        return marks, False
    same = s.acknowledgement == own.last_ack
    if same and s.window and s.window != own.window:
        marks |= Mark.WINDOW_UPDATE
    if same and s.window and s.window == own.window and peer.marks & Mark.KEEP_ALIVE:
        return marks | Mark.KEEP_ALIVE_ACK, True
    probed = s.window == own.window == 0 and peer.marks & Mark.ZERO_WINDOW_PROBE
    if probed and (same or s.acknowledgement == _after(own.last_ack, 1)):
        return marks | Mark.ZERO_WINDOW_PROBE_ACK, True
    if same and s.window and s.window == own.window:
        return marks | Mark.DUPLICATE_ACK, True
    return marks, False


def _ack_lost(s: Segment, own: Side, peer: Side) -> Mark:
    """An acknowledgement of bytes that the capture does not have."""
    if not (peer.to_be_acked and s.flags & ACK and distance(s.acknowledgement, peer.to_be_acked) > 0):
        return Mark(0)
    if s.acknowledgement == _after(own.last_ack, 1) and s.sequence == own.next and peer.marks & Mark.ZERO_WINDOW_PROBE:
        peer.next = peer.to_be_acked = s.acknowledgement  # the probe's byte was taken, and the window opens
        return Mark.WINDOW_UPDATE
    peer.to_be_acked = peer.next if distance(peer.next, s.acknowledgement) > 0 else s.acknowledgement
    return Mark.ACK_LOST_SEGMENT


def _after(number: int, size: int) -> int:
    return number + size & 0xFFFFFFFF


def distance(number: int, other: int) -> int:
    """How far `number` is past `other`, in the arithmetic of sequence numbers (RFC 9293, 3.4); negative where it is before."""
    delta = number - other & 0xFFFFFFFF
    return delta - (1 << 32) if delta >> 31 else delta
