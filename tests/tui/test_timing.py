"""Timing: the waterfall and the plots."""

from __future__ import annotations

from driving import drive, press, screen_text
from textual.pilot import Pilot
from textual.widgets import Static

from inspector.tui.screens.capture import CaptureScreen
from inspector.tui.widgets.packet_list import PacketList
from inspector.tui.widgets.time_plot import TimePlot
from inspector.tui.widgets.waterfall import PHASES, Waterfall


def test_waterfall_has_a_bar_a_phase_and_leads_to_packets() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "9")
        waterfall = screen.query_one(Waterfall)
        assert waterfall.has_focus and waterfall.total == 6 and waterfall.position == 3
        rows = [line for line in screen_text(screen).splitlines() if "GET /" in line or "HEAD /" in line]
        first, second = rows[0], rows[1]
        assert "▒" in first and "▒" not in second  # only the first request of the connection waited for it
        bar = second.index("─", second.index("µs"))
        assert first.rstrip(" │").rindex("─") < bar  # one after the other
        text = str(screen.query_one("#exchange-text", Static).render())
        assert "304 Not Modified" in text and "waited 33.1 µs for packet 21" in text
        await press(pilot, "r")
        assert screen.query_one(PacketList).cursor == 21
        await press(pilot, "9", "j", "enter")
        assert screen.query_one(PacketList).cursor == 22

    drive(steps, "http-keepalive", start=21)


def test_waterfall_is_to_scale_and_stretches() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "9")
        waterfall = screen.query_one(Waterfall)
        exchange = waterfall.exchange
        assert exchange is not None
        whole = "".join(text for text, _ in waterfall._bar(exchange, 100))
        phases = exchange.phases
        lasts = phases.connect + phases.tls + phases.wait + phases.receive + phases.dns
        assert abs(whole.count("█") - round(100 * phases.receive / lasts)) <= 2
        await press(pilot, *["plus"] * 6)
        near = "".join(text for text, _ in waterfall._bar(exchange, 100))
        assert "▓" in near and "─" in near and near.count("▓") > whole.count("▓")
        assert {name for name, glyph, _ in PHASES if glyph in near} >= {"DNS", "TLS", "wait"}

    drive(steps, "sse-tls", start=12)


def test_nothing_to_wait_for() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "9", "j", "enter", "r", "plus")
        assert "no exchange was found here" in screen_text(screen)
        await press(pilot, "a")
        assert "no sequence numbers" in screen_text(screen)
        await press(pilot, "a")
        assert "Throughput of UDP 0" in screen_text(screen)

    drive(steps, "dns-udp", start=3)


def test_plots_of_the_conversation() -> None:
    async def steps(pilot: Pilot[None], screen: CaptureScreen) -> None:
        await press(pilot, "9", "a")
        plot = screen.query_one(TimePlot)
        text = screen_text(screen)
        assert plot.has_focus and plot.packet == 63
        assert "Sequence of TCP 0, 192.0.2.80:80 → 192.0.2.10:54456" in text and "140kB" in text and "×" in text
        await press(pilot, *["plus"] * 5)
        assert "▲" in screen_text(screen) and " ms" in screen_text(screen)
        await press(pilot, "full_stop")
        assert plot.packet == 64
        await press(pilot, "d")
        assert "Sequence of TCP 0, 192.0.2.10:54456 → 192.0.2.80:80" in screen_text(screen)
        await press(pilot, "a", "home")
        assert "Throughput of TCP 0" in screen_text(screen) and "Mb/s" in screen_text(screen)
        await press(pilot, "enter")
        assert screen.query_one(PacketList).cursor == 64
        await press(pilot, "9", "a")
        assert screen.query_one(Waterfall).has_focus

    drive(steps, "tcp-loss", start=63, size=(100, 34))
