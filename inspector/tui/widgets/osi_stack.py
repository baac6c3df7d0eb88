"""The seven layers of the packet, 7 at the top."""

from __future__ import annotations

from rich.text import Text
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from inspector.annotations.osi import Level
from inspector.core.text import printable


class OsiStack(OptionList):
    """All seven, always; an empty one says why."""

    class Stepped(Message):
        """Another layer was chosen."""

        def __init__(self, level: Level) -> None:
            super().__init__()
            self.level = level

    def __init__(self, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._levels: list[Level] = []

    def show(self, levels: list[Level]) -> Level:
        """Show another packet; the layer that is chosen, without telling anybody: the highest that is there."""
        at = self.highlighted
        self._levels = levels
        self.clear_options()
        self.add_options([Option(self._label(level)) for level in levels])
        top = next((i for i, level in enumerate(levels) if level.layers), 0)
        chosen = at if at is not None and levels[at].layers and self.has_focus else top
        self.choose(levels[chosen].osi)
        return levels[chosen]

    def step(self, by: int) -> None:
        """To the layer below (+1) or above (-1)."""
        self.highlighted = max(0, min((self.highlighted or 0) + by, len(self._levels) - 1))

    def choose(self, osi: int) -> None:
        """Mark a layer by its number."""
        with self.prevent(OptionList.OptionHighlighted):
            self.highlighted = 7 - osi

    @staticmethod
    def _label(level: Level) -> Text:
        style = "" if level.layers or level.osi == 1 else "dim"
        overhead = f"  +{level.overhead:,} B" if level.overhead else ""
        return Text.assemble(
            (f"{level.osi} {level.name:<12} ", "bold" if level.layers else "dim"),
            (printable(level.text), style),
            (overhead, "dim"),
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self._levels:
            self.post_message(self.Stepped(self._levels[event.option_index]))
