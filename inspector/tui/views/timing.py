"""Timing: the waterfall of the exchanges, and a conversation's bytes in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import octets, seconds
from inspector.tui.messages import GoTo
from inspector.tui.views.view import View, neighbour
from inspector.tui.widgets.waterfall import PHASES, Waterfall

if TYPE_CHECKING:
    from inspector.tui.widgets.time_plot import TimePlot

WATERFALL, SEQUENCE, THROUGHPUT = range(3)


class TimingView(View):
    """Three pictures of time; `a` turns from one to the next. The plots are mounted when they are first shown."""

    key = "timing"
    title = "Timing"
    tells = (
        "What each request waited for: the network, the server, or the data. Behind it, two plots of a "
        "conversation: its bytes in time, and its throughput."
    )
    keys = (
        ("a", "waterfall, sequence of bytes, throughput"),
        ("+ -", "more or less time; in a plot ← → earlier, later; g all"),
        ("d  , .", "in a plot: the other direction; the packet before, the next"),
        ("Enter r", "to the packet of the request; of the response"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open(False)", "Packet"),
        Binding("r", "open(True)", "Response", show=False),
        Binding("a", "turn", "Waterfall, plots"),
        Binding("comma", "step(-1)", "Packet before", key_display=",", show=False),
        Binding("full_stop", "step(1)", "Next packet", key_display=".", show=False),
        Binding("left_curly_bracket", "other(-1)", "Conversation before", key_display="{", show=False),
        Binding("right_curly_bracket", "other(1)", "Next conversation", key_display="}", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.picture = WATERFALL
        self._flow, self._number = -1, 0
        self._plot: TimePlot | None = None

    def compose(self) -> ComposeResult:
        yield Waterfall(self.session, id="waterfall", classes="pane")
        with VerticalScroll(id="exchange", classes="pane"):
            yield Static(id="exchange-text", markup=False)

    def on_mount(self) -> None:
        self.query_one("#exchange").border_title = "Exchange"

    def enter(self, flow: int, number: int) -> None:
        self._flow, self._number = flow, number
        self.query_one(Waterfall).near(number)
        if self._plot is not None and self.picture != WATERFALL:
            self._plot.show(flow, number, self.picture == SEQUENCE)
        self.focus_main()

    def chosen(self) -> tuple[int, int] | None:
        if self._plot is not None and self.picture != WATERFALL:
            return self._plot.flow, self._plot.packet
        exchange = self.query_one(Waterfall).exchange
        return (exchange.flow, exchange.first) if exchange is not None else None

    def focus_main(self) -> None:
        if self._plot is not None and self.picture != WATERFALL:
            self._plot.focus()
        else:
            self.query_one(Waterfall).focus()

    def loaded(self) -> None:
        self.query_one(Waterfall).reload()

    # --- the exchange under the cursor

    @on(Waterfall.Moved)
    def _tell(self) -> None:
        exchange = self.query_one(Waterfall).exchange
        if exchange is None:
            return
        text = Text()
        text.append(f"{exchange.method or '?'} {printable(exchange.url, 200)}", "bold")
        if exchange.status:
            text.append(f" → {exchange.status} {printable(exchange.reason, 60)}  {printable(exchange.media, 60)}")
        text.append("\n")
        phases = [
            f"{name} {seconds(size)}" for (name, _, _), size in zip(PHASES, exchange.phases, strict=True) if size >= 0
        ]
        text.append(f"{' · '.join(phases) or 'no phase was seen'}\n")
        request, response = exchange.request, exchange.response
        if request is not None:
            text.append(f"Request in {_packets(request.first, request.complete)}, {octets(request.size)}. ")
        if response is not None:
            text.append(f"Response in {_packets(response.first, response.complete)}, {octets(response.size)}. ")
        else:
            text.append("No response was seen. ")
        if request is not None and response is not None and exchange.phases.wait >= 0:
            text.append(f"The request waited {seconds(exchange.phases.wait)} for packet {response.first}.")
        self.query_one("#exchange-text", Static).update(text)
        self.query_one("#exchange").border_subtitle = f"TCP {exchange.stream}"

    # --- keys

    async def action_turn(self) -> None:
        """To the next picture; the plots are of the conversation of the exchange, or of the packet that was chosen before."""
        chosen = self.chosen()
        if chosen is not None and chosen[0] >= 0 and not (self.picture == WATERFALL and self._carries(self._number)):
            self._flow, self._number = chosen
        self.picture = (self.picture + 1) % 3
        if self._plot is None:
            from inspector.tui.widgets.time_plot import TimePlot

            self._plot = TimePlot(self.session, id="plot", classes="pane")
            await self.mount(self._plot)
        plots = self.picture != WATERFALL
        self._plot.display = plots
        self.query_one(Waterfall).display = self.query_one("#exchange").display = not plots
        if plots:
            self._plot.show(self._flow, self._number, self.picture == SEQUENCE)
        else:
            self.query_one(Waterfall).near(self._number)
        self.focus_main()

    def _carries(self, number: int) -> bool:
        """The exchange under the cursor lies around a packet."""
        exchange = self.query_one(Waterfall).exchange
        if exchange is None:
            return True
        last = exchange.response or exchange.request
        return last is not None and exchange.flow == self._flow and exchange.first <= number <= last.complete

    def action_open(self, response: bool) -> None:
        if self._plot is not None and self.picture != WATERFALL:
            number = self._plot.packet
        else:
            exchange = self.query_one(Waterfall).exchange
            part = exchange.response if exchange is not None and response else None
            number = part.first if part is not None else exchange.first if exchange is not None else 0
        if number:
            self.post_message(GoTo(number))

    def action_step(self, by: int) -> None:
        """To the next packet of the conversation in a plot, or the one before."""
        if self._plot is not None and self.picture != WATERFALL:
            number = neighbour(self.session, self._plot.packet, by)
            if number:
                self._plot.show(self._plot.flow, number, self.picture == SEQUENCE)

    def action_other(self, by: int) -> None:
        """The conversation after this one, or before."""
        if self._plot is not None and self.picture != WATERFALL:
            flow = self._plot.flow + by
            if 0 <= flow < len(self.session.index.flows):
                self._plot.show(flow, int(self.session.index.flows.first[flow]), self.picture == SEQUENCE)


def _packets(first: int, last: int) -> str:
    return f"packet {first}" if first == last else f"packets {first} to {last}"
