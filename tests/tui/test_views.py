"""Conversations, ladder, stream and follow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from driving import drive, press, screen_text, settle
from textual.pilot import Pilot

from inspector.export import pcapng
from inspector.session import open_session
from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.views import VIEWS
from inspector.tui.views.conversations import ConversationTable
from inspector.tui.views.findings import FindingList
from inspector.tui.views.follow import FollowText
from inspector.tui.views.ladder import Ladder
from inspector.tui.views.story import StoryList
from inspector.tui.widgets.packet_list import PacketList
from inspector.tui.widgets.strata_map import StrataMap
from tests.annotations.net import Net


def test_conversations_sort_and_open() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "2")
        table = screen.query_one(ConversationTable)
        assert table.total == 6 and table.has_focus
        text = screen_text(screen)
        assert "WebSocket" in text and "chat.example.test:80" in text  # named, and by what it changed to
        table._sort_by("bytes_sent")
        most = [int(screen.session.index.flows.octets[int(flow)][0]) for flow in table._order]
        assert most == sorted(most, reverse=True)
        table.put(0)
        flow = table.flow
        await press(pilot, "enter")
        packets = screen.query_one(PacketList)
        assert screen.view.key == "packets"
        assert list(packets.numbers()) == screen.session.index.flow_packets(flow).tolist()
        await press(pilot, "escape")
        assert packets.total == screen.session.count

    drive(steps, "websocket-chat")


def test_views_are_of_the_conversation_under_the_cursor() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "2", "j", "j", "j", "3")
        ladder = screen.query_one(Ladder)
        assert ladder.flow == 3
        await press(pilot, "4", "f")
        assert screen.query_one(FollowText).flow == 3
        await press(pilot, "right_curly_bracket")
        assert screen.query_one(FollowText).flow == 4

    drive(steps, "websocket-chat", start=1)


def test_ladder_shows_segments_states_and_messages() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "3", "g")
        text = screen_text(screen)
        assert "SYN  seq 0" in text and "SYN-SENT" in text and "ESTAB" in text and "api.example.test:80" in text
        lines = text.splitlines()
        syn, answer = next(line for line in lines if "SYN  seq 0" in line), next(line for line in lines if "SYN ACK" in line)
        assert "▶│" in syn and "│◀" in answer
        await press(pilot, "a")
        ladder = screen.query_one(Ladder)
        text = screen_text(screen)
        assert ladder.by_message and "GET /orders/events HTTP/1.1" in text and "event 1" in text
        assert text.count("chunk of") == 1  # only the chunk that completes no event
        ladder.put(3)
        await press(pilot, "enter")
        assert screen.query_one(PacketList).cursor == 18

    drive(steps, "sse", start=18)


def test_ladder_marks_what_a_request_waited_for() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "3")
        marked = [line for line in screen_text(screen).splitlines() if "◆" in line]
        assert len(marked) == 6 and all("◀" in line for line in marked)
        assert "◆ 16 waited 126 µs for this  PSH ACK  seq 372" in marked[1]
        await press(pilot, "a")
        assert "◆ 16 waited 126 µs for this  HTTP/1.1 200 OK" in screen_text(screen)

    drive(steps, "http-keepalive", start=17)


def test_ladder_marks_what_the_analysis_found() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "3")
        assert "fast retransmission" in screen_text(screen)

    drive(steps, "tcp-loss", start=63)


FIVE = ["SSE event", "HTTP/1.1", "TLS record", "TCP segments", "frames"]


def drawn(screen: CaptureScreen) -> dict[str, str]:
    """The rows of the strata as they stand on the screen: what is drawn behind each title."""
    lines = screen_text(screen).splitlines()
    ruler = next(at for at, line in enumerate(lines) if "B a cell" in line)
    rows = [line for line in lines[ruler + 1 : ruler + 12] if line.startswith("│") and line[1:17].strip()]
    return {row[1:17].strip(" ▶"): row[17:-1] for row in rows[: next(at for at, row in enumerate(rows) if "frames" in row) + 1]}


def begins(row: str) -> set[int]:
    """The cells in which something begins or ends."""
    return {at for at, char in enumerate(row) if char in "│┃║"}


def chosen(row: str) -> range:
    """The cells of the unit under the cursor."""
    start = row.index("┃")
    return range(start, min(at for at in begins(row) if at > start))


@pytest.mark.parametrize("width", [140, 160])
def test_stream_shows_an_event_that_spans_two_segments_in_five_rows(width: int) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4")
        rows = drawn(screen)
        assert list(rows) == FIVE
        event = chosen(rows["SSE event"])
        assert "event 7" in rows["SSE event"][event.start : event.stop]
        inside = {title: begins(row) & set(event[1:]) for title, row in rows.items()}
        assert len(inside["TCP segments"]) == 1 and inside["frames"] == inside["TCP segments"]  # a boundary in the event
        assert not inside["TLS record"] and not inside["HTTP/1.1"]  # which one chunk and one record carry
        assert "34" in rows["frames"][event.start : event.stop] and "36" in rows["frames"][event.start : event.stop]
        await press(pilot, "enter")
        assert screen.query_one(PacketList).cursor == 36

    drive(steps, "sse-tls", start=36, size=(width, 45))


@pytest.mark.parametrize("width", [140, 160])
def test_stream_shows_a_segment_that_carries_several_events_in_five_rows(width: int) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4", "down", "down", "down")  # from the event to the chunk, the record and the segment
        rows = drawn(screen)
        assert list(rows) == FIVE
        segment = chosen(rows["TCP segments"])
        starts = sorted(begins(rows["SSE event"]) & set(segment[1:]))
        events = [rows["SSE event"][one + 1 : two].strip("─━═ ") for one, two in pairwise(starts)]
        assert len([words for words in events if words]) == 3  # events 2 to 4, each from its own cell to the next one's
        pane = screen.query_one(StrataMap)
        assert pane.unit is not None and pane.unit.packet == 24
        text = str(screen.query_one("#unit-text").render())
        assert "event 2" in text and "event 4" in text

    drive(steps, "sse-tls", start=24, size=(width, 45))


def test_stream_shows_a_row_of_the_handshake_where_there_is_one() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4")
        assert list(drawn(screen)) == ["TLS handshake", "TLS record", "TCP segments", "frames"]

    drive(steps, "sse-tls", start=14)


def test_stream_keys() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4")
        pane = screen.query_one(StrataMap)
        per = pane._per
        await press(pilot, "plus")
        assert pane._per == per / 2
        await press(pilot, "minus", "minus")
        assert pane._per == per * 2
        await press(pilot, "right")
        assert pane.unit is not None and pane.unit.packet == 20
        await press(pilot, "end")
        assert pane.unit.packet == 36
        await press(pilot, "d")
        assert pane.unit.packet == 12
        await press(pilot, "pagedown", "home")
        assert pane.unit.number == 0

    drive(steps, "sse", start=18)


def test_follow_shows_both_sides_decrypted() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "f")
        text = screen_text(screen)
        assert "→ GET / HTTP/1.1" in text and "← HTTP/1.1 200 OK" in text and "<!DOCTYPE html>" in text
        await press(pilot, "a")
        assert "47 45 54 20 2f 20 48 54  54 50" in screen_text(screen)
        await press(pilot, "enter")
        assert screen.query_one(PacketList).cursor == 17

    drive(steps, "https-tls13", start=17)


def test_follow_of_datagrams_is_hexadecimal() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "f")
        text = screen.query_one(FollowText)
        assert text.as_hex and {turn.direction for turn in text._lines.turns} == {0, 1}
        assert "·example·test" in screen_text(screen)
        await settle(pilot)

    drive(steps, "dns-udp", start=3)


def test_a_long_stream_is_followed_as_far_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.tui.views.follow.MAX_FOLLOWED", 100)

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "f")
        assert "bytes more not shown" in str(screen.query_one(FollowText).border_subtitle)

    drive(steps, "sse", start=8)


def test_story_tells_opens_and_leads_to_packets() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "6")
        story = screen.query_one(StoryList)
        assert story.has_focus and story.step is not None
        text = screen_text(screen)
        assert "asks everybody on the link" in text and "What happens" in text
        story.near(20)
        assert "Events 2–4 arrive together" in story.step.text
        await press(pilot, "enter")
        assert screen.view.key == "packets" and screen.query_one(PacketList).cursor == 20

    drive(steps, "sse", start=1)


def test_story_groups_open_and_close() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "6")
        story = screen.query_one(StoryList)
        group = next(at for at, line in enumerate(story._lines) if line.step.kind == "group")
        story.put(group)
        before = story.total
        await press(pilot, "enter")
        assert story.total < before and story.step is not None and story.step.kind == "group"
        await press(pilot, "right")
        assert story.total == before
        await press(pilot, "j")
        assert story.step.kind == "connect" and story.step.flow == 1
        await press(pilot, "p")
        assert screen.query_one(PacketList).cursor == 9

    drive(steps, "https-tls12", start=1, size=(90, 30))


def test_findings_are_listed_and_lead_to_their_packets() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "5")
        findings = screen.query_one(FindingList)
        text = screen_text(screen)
        assert findings.has_focus and "E  zero-window" in text and "1 error, 0 warnings, 1 note" in text
        assert "does not read what it gets" in text and "packets [17] 23" in text
        await press(pilot, "right")
        assert "packets 17 [23]" in screen_text(screen) and findings.packet == 23
        await press(pilot, "j")
        assert findings.finding is not None and findings.finding.code == "closed-first"
        await press(pilot, "k", "enter")
        assert screen.view.key == "packets" and screen.query_one(PacketList).cursor == 23

    drive(steps, "tcp-zero-window")


def test_nothing_stands_out(tmp_path: Path) -> None:
    net = Net()
    net.lookup(0, "api.example.test", "192.0.2.80")
    net.session(tmp_path).close()

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "5", "j", "enter")
        assert "nothing stands out" in screen_text(screen) and screen.view.key == "findings"

    drive(steps, str(tmp_path / "made.pcap"))


def test_the_help_of_every_view_fits_a_small_screen() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        for key, choice in VIEWS.items():
            await press(pilot, key, "question_mark")
            box = pilot.app.screen.query_one("#help")
            assert box.border_title == f"Help: {choice.title}"
            assert box.max_scroll_y == 0, choice.title
            await press(pilot, "escape")

    drive(steps, "sse-tls", start=24, size=(80, 24))


def test_escape_comes_back_from_the_packet_that_a_finding_led_to() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "5")
        await press(pilot, "enter")
        assert screen.view.title == "Packets"
        await press(pilot, "escape")
        assert screen.view.title == "Findings"
        await press(pilot, "enter")
        await press(pilot, "3")
        await press(pilot, "escape")  # who chose another view was not led there
        assert screen.view.title == "Ladder"

    drive(steps, "tcp-loss")


def test_conversations_say_who_closed_and_whose_they_are(tmp_path: Path) -> None:
    path = str(tmp_path / "owned.pcapng")
    session = open_session("http1-six-connections")
    firsts = [session.index.flows.first[flow] for flow in range(len(session.index.flows))]
    comments = {firsts[-1]: ["curl (process 812): it held the socket"], firsts[0]: ["a remark (process 7) of somebody's"]}
    pcapng.write(path, session.interfaces, map(session.packet, range(1, session.count + 1)), pcapng.Extras(comments))
    session.close()

    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "2", "G")
        table = screen.query_one(ConversationTable)
        rows = [line for line in screen_text(screen).splitlines() if "TCP " in line and "→" in line]
        assert all("FIN" in row for row in rows) and sum("curl (process 812)" in row for row in rows) == 1
        assert "remark" not in "".join(rows)
        text = screen_text(screen)
        assert "curl (process 812): it held the socket" in text and "closed first, with a FIN in packet" in text
        assert "after the last byte; where messages end is not known" in " ".join(text.replace("│", " ").split())  # no keys
        assert "TIME-WAIT" in text
        assert "Captured: SYN, SYN ACK, ACK, data, FIN; complete (tcp.completeness == 31)." in text
        while table.sort != "ended":
            await press(pilot, "o")
        flows = screen.session.index.flows
        kinds = [flows.protocol(int(flow)) for flow in table._order]
        assert kinds == sorted(kinds, reverse=kinds[0] == 17) and len(set(kinds)) == 2  # datagrams have no end

    drive(steps, path, start=1, size=(170, 40))


def test_nothing_of_a_stream_stands_under_the_name_of_datagrams() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4")
        assert "HTTP/1.1 200 OK" in screen_text(screen)
        await press(pilot, "2", "g", "4")
        text = screen_text(screen)
        assert "UDP 0: datagrams are no stream" in text and "lead to the TCP conversations" in text
        assert "HTTP/1.1" not in text and "0000 " not in text
        await press(pilot, "right", "plus", "down", "enter", "d")  # keys find nothing to do
        await press(pilot, "4", "right_curly_bracket")
        assert "HTTP/1.1 200 OK" in screen_text(screen)

    drive(steps, "sse", start=14)


@pytest.mark.parametrize(("key", "title"), [("3", "Ladder of TCP 0"), ("4", "TCP 0"), ("f", "TCP 0")])
def test_a_packet_of_no_conversation_shows_the_first_over_tcp(key: str, title: str) -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, key)
        assert title in screen_text(screen)

    drive(steps, "sse", start=1)  # ARP
