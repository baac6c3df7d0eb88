"""The Cards: the eight properties of each protocol of a packet, the bytes that show them, and all of them side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.worker import get_current_worker

from inspector.annotations.card_texts import PART_OF
from inspector.annotations.cards import TITLES, Proof, card_of, evidence, find, properties, unshown
from inspector.core.text import printable
from inspector.session import Session
from inspector.tui.cells import fit
from inspector.tui.views.view import View
from inspector.tui.widgets.entry_list import Entry, EntryList
from inspector.tui.widgets.line_list import Piece

if TYPE_CHECKING:
    from inspector.core.protocol import Protocol

PROPERTY = 22  # cells of the column in front
COLUMN = 24  # of a protocol that is compared, at least
LOOKED_AT = 300  # packets of the conversation that are searched for what this packet does not show
Evidence = dict[str, list[Proof]]


class CardList(EntryList):
    """One protocol's properties with their bytes, or several protocols beside one another."""

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id, classes)
        self.protocols: list[Protocol] | None = None
        self.nothing = "no packet is chosen"
        self.at = 0
        self.compares = False
        self._proofs: dict[str, Evidence] = {}

    @property
    def protocol(self) -> Protocol | None:
        """The one that is shown, or stands on the left."""
        return self.protocols[self.at] if self.protocols else None

    def show(self, protocols: list[Protocol], proofs: dict[str, Evidence], at: int) -> None:
        """The protocols of a packet, from the lowest up."""
        self.protocols, self._proofs, self.at = protocols, proofs, at
        self.renew()
        self._label()

    def turn(self, by: int) -> None:
        """To the protocol above, or below."""
        if self.protocols:
            self.at = max(0, min(self.at + by, len(self.protocols) - 1))
            self.renew()
            self._label()

    def _beside(self, width: int) -> list[Protocol]:
        """As many protocols as there is room for, the chosen one among them."""
        assert self.protocols is not None
        count = max((width - PROPERTY) // COLUMN, 1)
        start = max(min(self.at - count // 2, len(self.protocols) - count), 0)
        return self.protocols[start : start + count]

    def _label(self) -> None:
        names = [f"[{one.title}]" if at == self.at else one.title for at, one in enumerate(self.protocols or [])]
        self.border_subtitle = Content(" · ".join(names))

    def entries(self, width: int) -> Iterator[Entry]:
        if self.protocol is None or self.protocols is None:
            return
        shown = self._beside(width) if self.compares else [self.protocol]
        lead = PROPERTY if width >= 2 * PROPERTY else 0
        column = max((width - lead) // len(shown) - 2, 8)
        texts = [properties(one.card) for one in shown if one.card is not None]
        for name, title in TITLES.items():
            cells = [textwrap.wrap(text[name], column) or [""] for text in texts]
            lines: list[list[Piece]] = [] if lead else [[(title, "one")]]
            for row in range(max(map(len, cells))):
                begin: Piece = (fit(title if row == 0 else "", lead), "one")
                lines.append([begin, *((fit(cell[row] if row < len(cell) else "", column) + "  ", "") for cell in cells)])
            proofs = [] if self.compares else self._proofs.get(self.protocol.name, {}).get(name, [])
            for proof in proofs:
                words = f"packet {proof.packet}: {proof.label}  {proof.text}  [{proof.data.hex(' ')}]"
                lines.append([(" " * lead, ""), (fit(printable(words), width - lead), "dim")])
            if not proofs and not self.compares and self._proofs.get(self.protocol.name):
                lines.append([(" " * lead, ""), (fit(unshown(self.protocol.name, name), width - lead), "dim")])
            yield Entry(lines, tuple(dict.fromkeys(proof.packet for proof in proofs)))

    def heading(self, width: int, line: int) -> str:
        if self.protocols is None:
            return ""
        if self.protocol is None:
            return " no protocol of this packet has a card"
        if self.compares:
            shown = self._beside(width - 2)
            column = (width - 2 - PROPERTY) // len(shown)
            return " " * (PROPERTY + 2) + "".join(fit(f"{one.title} (layer {one.osi})", column) for one in shown)
        card, title = self.protocol.card, f"{self.protocol.title} (layer {self.protocol.osi})"
        return f"  {fit('Property', PROPERTY)}{title}, {card.reference if card is not None else ''}"


class CardsView(View):
    """The cards of the protocols of one packet."""

    key = "cards"
    title = "Cards"
    tells = (
        "Eight properties of each protocol of the packet, and the bytes in it that show them."
    )
    keys = (
        ("[ ]", "the protocol below; above"),
        ("a", "one, or several side by side"),
        ("← → Enter", "choose one of the packets; go there"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("[", "turn(-1)", "Protocol below, above", key_display="[ ]"),
        Binding("]", "turn(1)", "Protocol above", show=False),
        Binding("a", "compare", "Side by side"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._number = 0

    def compose(self) -> ComposeResult:
        yield CardList(id="cards", classes="pane")

    def enter(self, flow: int, number: int) -> None:
        super().enter(flow, number)
        if number and number != self._number:
            self._number = number
            self.query_one(CardList).nothing = "reading the packet …"
            self.query_one(CardList).border_title = f"Cards of the protocols of packet {number}"
            self._read(number)

    def chosen(self) -> tuple[int, int] | None:
        return (self.session.index.flow_of(self._number), self._number) if self._number else None

    @work(thread=True, exclusive=True, group="cards")
    def _read(self, number: int) -> None:
        worker, session = get_current_worker(), self.session
        known = session.registry.protocols
        names: dict[str, None] = {}
        for layer in session.dissect(number).layers:
            if not layer.quoted:
                names.setdefault(PART_OF.get(layer.protocol, layer.protocol))
        protocols = [find(name, known) for name in names if name in known and card_of(known[name]) is not None]
        flow = session.index.flow_of(number)
        others = session.index.flow_packets(flow)[:LOOKED_AT].tolist() if flow >= 0 else []
        proofs: dict[str, Evidence] = {}
        for protocol in protocols:
            if worker.is_cancelled:
                return
            proofs[protocol.name] = evidence(session, protocol.name, [number, *others])
        shown = [at for at, protocol in enumerate(protocols) if proofs[protocol.name]]
        top = max(shown, key=lambda at: (protocols[at].osi, at), default=0)
        self.app.call_from_thread(self.query_one(CardList).show, protocols, proofs, top)

    # --- keys

    def action_turn(self, by: int) -> None:
        self.query_one(CardList).turn(by)

    def action_compare(self) -> None:
        """One card with its bytes, or several beside one another."""
        cards = self.query_one(CardList)
        cards.compares = not cards.compares
        cards.turn(0)
