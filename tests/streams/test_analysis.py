"""TCP analysis: what Wireshark's rules say of segments, by small conversations and beside tshark on real captures."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from inspector.core.tcp_flags import ACK, FIN, PSH, SYN
from inspector.query.fields import Style, lines
from inspector.session import open_session
from inspector.sources.bundled import bundled
from inspector.streams.analysis import Analysis, Finding, Mark, Segment
from inspector.streams.segments import sack_blocks

MS = 1_000_000
WINDOW = 500


class Talk:
    """A conversation whose segments are given one by one; both ends' numbers begin near the wrap."""

    def __init__(self, scales: tuple[int, int] = (-2, -2)) -> None:
        self.analysis = Analysis(scales)
        self.base = (0xFFFFFFF0, 0xFFFFFF00)
        self.packet = 0

    def say(self, end: int, at_ms: float, seq: int, ack: int, size: int = 0, flags: int = ACK, window: int = WINDOW,
            sack: tuple[tuple[int, int], ...] = ()) -> Finding:  # fmt: skip
        self.packet += 1
        number, acked = self.base[end] + seq & 0xFFFFFFFF, self.base[1 - end] + ack & 0xFFFFFFFF
        edges = tuple((self.base[1 - end] + a & 0xFFFFFFFF, self.base[1 - end] + b & 0xFFFFFFFF) for a, b in sack)
        acked = acked if flags & ACK else 0
        self.analysis.feed(Segment(self.packet, int(at_ms * MS), end, number, acked, flags, size, window, edges))
        found = self.analysis.of(self.packet)
        assert found is not None
        return found

    def open(self) -> Talk:
        self.say(0, 0, 0, 0, flags=SYN)
        self.say(1, 10, 0, 1, flags=SYN | ACK)
        self.say(0, 20, 1, 1)
        return self


def test_handshake_gives_the_initial_round_trip() -> None:
    talk = Talk().open()
    assert talk.analysis.initial_rtt == 20 * MS
    answer = talk.analysis.of(2)
    assert answer is not None and (answer.acks, answer.rtt, answer.initial_rtt) == (1, 10 * MS, None)
    last = talk.analysis.of(3)
    assert last is not None and (last.acks, last.rtt, last.initial_rtt) == (2, 10 * MS, 20 * MS)


def test_acknowledged_data_and_bytes_in_flight() -> None:
    talk = Talk().open()
    assert talk.say(0, 30, 1, 1, 100).in_flight == 100
    assert talk.say(0, 31, 101, 1, 50, ACK | PSH).in_flight == 150
    done = talk.say(1, 45, 1, 151)
    assert (done.acks, done.rtt, done.marks) == (5, 14 * MS, Mark(0))
    assert talk.say(0, 50, 151, 1, 10).in_flight == 10


def test_time_out_says_how_long_the_sender_waited() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    again = talk.say(0, 240, 1, 1, 100)
    assert again.marks == Mark.RETRANSMISSION
    assert (again.rto, again.rto_of) == (210 * MS, 4)


def test_the_last_bytes_again_and_too_soon_for_a_time_out_are_a_tail_loss_probe() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    talk.say(0, 31, 101, 1, 100)
    assert talk.say(0, 90, 101, 1, 100).marks == Mark.RETRANSMISSION | Mark.TAIL_PROBE
    assert talk.say(0, 91, 1, 1, 100).marks == Mark.RETRANSMISSION  # not the last bytes
    assert talk.say(0, 400, 101, 1, 100).marks == Mark.RETRANSMISSION  # late enough for a time-out


def test_three_duplicate_acknowledgements_and_a_fast_retransmission() -> None:
    talk = Talk().open()
    for at, offset in ((30, 1), (31, 101), (32, 201), (33, 301)):
        talk.say(0, at, offset, 1, 100)
    talk.say(1, 40, 1, 101)
    found = [talk.say(1, at, 1, 101, sack=((201, 301),)) for at in (41, 42, 43)]
    assert [one.marks for one in found] == [Mark.DUPLICATE_ACK] * 3
    assert [(one.duplicate, one.duplicate_of) for one in found] == [(1, 8), (2, 8), (3, 8)]
    assert talk.say(0, 45, 101, 1, 100).marks == Mark.FAST_RETRANSMISSION


def test_spurious_when_everything_was_acknowledged() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    talk.say(1, 40, 1, 101)
    assert talk.say(0, 300, 1, 1, 100).marks == Mark.SPURIOUS_RETRANSMISSION


def test_overtaken_segment_is_out_of_order_and_the_hole_is_seen() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    talk.say(1, 31, 1, 101)
    assert talk.say(0, 31.2, 201, 1, 100).marks == Mark.LOST_SEGMENT
    assert talk.say(0, 31.5, 101, 1, 100).marks == Mark.OUT_OF_ORDER


def test_acknowledgement_of_what_the_capture_missed() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    assert talk.say(1, 40, 1, 501).marks == Mark.ACK_LOST_SEGMENT


def test_closed_window_probe_and_update() -> None:
    talk = Talk().open()
    assert talk.say(0, 30, 1, 1, WINDOW).marks == Mark.WINDOW_FULL
    assert talk.say(1, 40, 1, 1 + WINDOW, window=0).marks == Mark.ZERO_WINDOW
    assert talk.say(0, 240, 1 + WINDOW, 1, 1).marks == Mark.ZERO_WINDOW_PROBE
    assert talk.say(1, 241, 1, 1 + WINDOW, window=0).marks == Mark.ZERO_WINDOW | Mark.ZERO_WINDOW_PROBE_ACK
    assert talk.say(1, 500, 1, 1 + WINDOW, window=400).marks == Mark.WINDOW_UPDATE


def test_window_full_needs_the_scale() -> None:
    assert talk_fills(Talk((-1, -1))) == Mark(0)
    assert talk_fills(Talk((0, 0))) == Mark.WINDOW_FULL


def talk_fills(talk: Talk) -> Mark:
    return talk.open().say(0, 30, 1, 1, WINDOW).marks


def test_keep_alive_and_its_answer() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    talk.say(1, 40, 1, 101)
    assert talk.say(0, 60_000, 100, 1).marks == Mark.KEEP_ALIVE
    assert talk.say(1, 60_001, 1, 101).marks == Mark.KEEP_ALIVE_ACK


def test_a_probe_that_looks_like_a_keep_alive_is_told_from_one() -> None:
    talk = Talk().open()
    talk.say(0, 30, 1, 1, 100)
    talk.say(1, 40, 1, 101, window=0)
    assert talk.say(0, 240, 100, 1).marks == Mark.KEEP_ALIVE | Mark.WINDOW_CLOSED


def test_a_fin_takes_a_number_and_a_pure_acknowledgement_none() -> None:
    talk = Talk().open()
    assert talk.say(0, 30, 1, 1, flags=ACK | FIN).marks == Mark(0)
    assert talk.say(1, 31, 1, 2).acks == 4


def test_packets_of_other_conversations_are_unknown() -> None:
    assert Talk().open().analysis.of(99) is None


def test_sack_blocks_among_other_options() -> None:
    stamps = b"\x01\x01\x08\x0a" + bytes(8)
    block = b"\x01\x01\x05\x12" + b"".join(n.to_bytes(4, "big") for n in (10, 20, 30, 40))
    assert sack_blocks(stamps + block) == ((10, 20), (30, 40))
    assert sack_blocks(stamps) == sack_blocks(b"\x05\x01") == sack_blocks(b"") == sack_blocks(b"\x00" + block) == ()
    assert sack_blocks(block[:-2]) == ((10, 20),)  # the second block is cut


# Not rto and rto_frame: Wireshark 4.0 counts from the oldest segment that waits, later versions and we from the one resent.
FIELDS = [
    "frame.number",
    *(
        f"tcp.analysis.{name}"
        for name in (
            "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment",
            "ack_lost_segment", "duplicate_ack", "duplicate_ack_num", "duplicate_ack_frame", "zero_window", "zero_window_probe",
            "zero_window_probe_ack", "window_full", "window_update", "keep_alive", "keep_alive_ack", "acks_frame", "ack_rtt",
            "initial_rtt", "bytes_in_flight",
        )
    ),
]  # fmt: skip


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("capture", bundled(), ids=lambda capture: capture.name)
def test_bundled_captures_as_tshark_analyses_them(capture) -> None:
    command = ["tshark", "-n", "-r", str(capture.path), "-T", "fields"]
    command += [word for name in FIELDS for word in ("-e", name)]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    session = open_session(str(capture.path))
    try:
        assert list(lines(session, FIELDS, Style())) == theirs
    finally:
        session.close()
