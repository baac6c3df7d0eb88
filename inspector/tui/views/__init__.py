"""The views of a capture, by the key that leads to each. A view is imported when it is first shown."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inspector.tui.views.view import View


class Choice(NamedTuple):
    """A view to choose: its name, which is that of its module, and its title."""

    name: str
    title: str

    def view(self) -> type[View]:
        """The class, as `LadderView` of the module `ladder`."""
        found: type[View] = getattr(import_module(f"inspector.tui.views.{self.name}"), f"{self.title}View")
        return found


VIEWS = {
    "1": Choice("packets", "Packets"),
    "2": Choice("conversations", "Conversations"),
    "3": Choice("ladder", "Ladder"),
    "4": Choice("stream", "Stream"),
    "5": Choice("findings", "Findings"),
    "6": Choice("story", "Story"),
    "7": Choice("state", "State"),
    "8": Choice("walk", "Walk"),
    "9": Choice("timing", "Timing"),
    "0": Choice("patterns", "Patterns"),
    "i": Choice("cards", "Cards"),
    "f": Choice("follow", "Follow"),
}
