"""State and walk: what is remembered at a packet, and its message through seven layers."""

from __future__ import annotations

from driving import drive, press, screen_text, settle
from textual.pilot import Pilot
from textual.widgets import Static

from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.views.state import StateTable, StateView
from inspector.tui.views.walk import WalkPicture
from inspector.tui.widgets.hex_view import HexView
from inspector.tui.widgets.packet_list import PacketList


def about(screen: CaptureScreen, of: str) -> str:
    """The words of a pane."""
    return str(screen.query_one(of, Static).render())


def test_state_has_both_ends_side_by_side_and_marks_what_changed() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "7")
        lines = screen_text(screen).splitlines()
        assert any("◆ FIN-WAIT-1" in line and "◆ CLOSE-WAIT" in line for line in lines)
        assert any("cipher suite" in line and "both  TLS_AES_256_GCM_SHA384" in line for line in lines)
        assert "◆ changed here" in screen_text(screen)
        await press(pilot, "comma")  # what the packet before changed is something else
        lines = screen_text(screen).splitlines()
        assert screen.query_one(StateView).number == 24
        assert any("state" in line and "ESTABLISHED" in line and "◆" not in line for line in lines)
        await press(pilot, "full_stop")
        assert screen.query_one(StateView).number == 25

    drive(steps, "https-tls13", start=25)


def test_state_leads_to_the_packets_that_show_it() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "7")
        table = screen.query_one(StateTable)
        assert table.has_focus and "requests on this connection so far: 4" in about(screen, "#about-text")
        await press(pilot, "G")
        text = screen_text(screen)
        assert "Could the server restart between packets 20 and 22" in text and "No: both requests travel on" in text
        assert "packets [20] 22" in text
        await press(pilot, "right", "enter")
        assert screen.view.key == "packets" and screen.query_one(PacketList).cursor == 22

    drive(steps, "http-keepalive", start=21)


def test_a_click_passes_the_title_of_a_layer_and_chooses_a_line() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "7")
        table = screen.query_one(StateTable)
        first, lines = table.row, screen_text(screen).splitlines()
        title = next(at for at, line in enumerate(lines) if "4 Transport" in line)
        await pilot.click(offset=(10, title))
        await press(pilot, "down")
        assert table.row is not None and table.row is not first and table.row.packets, "the keys still go on from line to line"
        await pilot.click(offset=(10, title + 1))
        await settle(pilot)
        assert about(screen, "#about-text").startswith("TCP")

    drive(steps, "http-keepalive", start=21)


def test_state_of_a_datagram() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "7", "enter")
        assert screen.view.key == "packets" and screen.query_one(PacketList).cursor == 3  # which shows it
        await press(pilot, "7", "comma")
        text = screen_text(screen)
        assert screen.query_one(StateView).number == 3 and "each datagram stands alone" in text
        assert "DNS         waits for an answer: client ◆ Query  A www.example.test" in text
        assert "192.0.2.53 is at" in text and "◆ 192.0.2.53" not in text  # that was known before

    drive(steps, "dns-udp", start=3, size=(80, 24))


def test_walk_goes_down_and_up_and_lights_what_each_layer_added() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "8")
        picture = screen.query_one(WalkPicture)
        assert picture.has_focus and picture.stage is not None and picture.stage.osi == 7 and not picture.goes_up
        pane = screen.query_one("#stage-bytes", HexView)
        lit = pane.lit
        assert pane.buffer is not None and pane.buffer.kind == "decrypted stream"
        size, end = (pane.buffer.read(*where) for where in lit)  # of the chunk
        assert int(size, 16) == lit[1][0] - lit[0][1] and end == b"\r\n"
        await press(pilot, *"jjj")
        assert picture.stage.osi == 4 and pane.buffer is not None and pane.buffer.id == "frame:24" and pane.lit == [(34, 66)]
        assert "TCP adds 32 bytes" in about(screen, "#stage-text") and "layer-4 balancers" in about(screen, "#stage-text")
        await press(pilot, "right")
        assert picture.goes_up and picture.stage.osi == 4 and "takes off 32 bytes" in about(screen, "#stage-text")
        await press(pilot, "G")
        assert picture.stage.osi == 7 and picture.step == 13
        await press(pilot, "full_stop", "enter")
        assert screen.query_one(PacketList).cursor == 25

    drive(steps, "sse-tls", start=24)


def test_walk_is_drawn_to_scale() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "8")
        picture = screen.query_one(WalkPicture)
        assert picture.walk is not None
        for room in (80, 10, 8):
            cells = picture._cells(room)
            assert len(cells) == 8 and cells == sorted(cells) and cells[-1] <= room
            for at, stage in enumerate(picture.walk.stages):
                assert (cells[at + 1] > cells[at]) == (stage.added > 0)  # who adds something is seen
        assert picture._cells(80)[0] == round(38 / 289 * 80)

    drive(steps, "sse-tls", start=24)


def test_patterns_have_evidence_cost_and_packets() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "0")
        text = screen_text(screen)
        assert "request–response" in text and "high confidence" in text and "+ whole responses to 2 of 2 requests" in text
        assert "− what it names may be in the server" in text and "cost: 2 requests, 1 connection, 3,408 bytes" in text
        await press(pilot, "G", "enter")
        assert screen.view.key == "packets" and screen.query_one(PacketList).cursor == 12

    drive(steps, "http-post-json", start=1)


def test_cards_of_a_packet_with_its_bytes_and_side_by_side() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "i")
        text = screen_text(screen)
        assert "SSE event (layer 7)" in text and "packet 24: event: its type  order" in text and "[SSE event]" in text
        await press(pilot, "[", "[", "[")
        assert "TCP (layer 4), RFC 9293" in screen_text(screen) and "Source port  443  [01 bb]" in screen_text(screen)
        await press(pilot, "a")
        heads = screen_text(screen).splitlines()[3]
        assert "IPv4 (layer 3)" in heads and "TCP (layer 4)" in heads
        await press(pilot, "a", "G", "enter")
        assert screen.view.key == "packets"

    drive(steps, "sse-tls", start=24)
