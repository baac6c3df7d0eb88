"""Conversations, ladder, stream and follow."""

from __future__ import annotations

from pathlib import Path

from driving import drive, press, screen_text, settle
from textual.pilot import Pilot

from inspector.tui.screens.capture import CaptureScreen
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


def test_ladder_marks_what_the_analysis_found() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "3")
        assert "fast retransmission" in screen_text(screen)

    drive(steps, "tcp-loss", start=63)


def test_stream_aligns_an_event_over_two_segments() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4")
        pane = screen.query_one(StrataMap)
        assert pane._strata is not None
        titles = [row.title for row in pane._strata.rows]
        assert titles == ["SSE event", "HTTP/1.1", "TLS handshake", "TLS record", "TCP segments", "frames"]
        unit = pane.unit
        assert unit is not None and unit.stratum == "SSE event" and unit.packet == 36
        units = {row.title: row.between(unit.start, unit.stop) for row in pane._strata.rows}
        assert [u.packet for u in units["frames"]] == [34, 36] and len(units["TCP segments"]) == 2
        assert len(units["TLS record"]) == 1 and len(units["HTTP/1.1"]) == 1
        rows = [line for line in screen_text(screen).splitlines() if line.startswith(("│▶SSE", "│ TCP seg", "│ frames"))]
        bars = [{at for at, char in enumerate(row) if char in "│┃║" and 17 < at < len(row) - 3} for row in rows]
        assert bars[1] == bars[2] != bars[0]  # frames and segments begin in the same cells; the event does not
        await press(pilot, "enter")
        assert screen.query_one(PacketList).cursor == 36

    drive(steps, "sse-tls", start=36)


def test_stream_aligns_three_events_in_one_segment() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "4", "down", "down", "down")  # to the segment; no handshake is here
        pane = screen.query_one(StrataMap)
        assert pane._strata is not None and pane.unit is not None and pane.unit.stratum == "TCP segments"
        events = pane._strata.row("SSE event").between(pane.unit.start, pane.unit.stop)
        assert len(events) == 3 and all(not event.exact for event in events)
        assert events[0].stop <= events[1].start and events[1].stop <= events[2].start
        text = str(screen.query_one("#unit-text").render())
        assert "event 2" in text and "event 4" in text

    drive(steps, "sse-tls", start=24)


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

    drive(steps, str(tmp_path / "net.pcap"))
