"""The last line: the keys that do something where the focus is. A click presses one."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget

FIRST = "app.help"  # tells the others, and so is never without room
LAST = ("filter", "app.command_palette", "leave")  # the same everywhere: behind those that are of this view


class KeyLine(Widget):
    """One line of text. Textual's own footer makes a widget of each key, and all of them anew with every move of the focus:
    a tenth of the time to the first screen, and felt at the keys. Keys without room are left out, the last ones first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key"}

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[str, str, str, bool]] = []  # a key, its sign, what it does, whether it does that now

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        found: dict[str, tuple[str, str, str, bool]] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show:
                sign = self.app.get_key_display(binding)
                found.setdefault(binding.action, (binding.key, f" {sign} ", f"{binding.description} ", enabled))
        order = sorted(found, key=lambda action: (action != FIRST, action in LAST))
        keys = [found[action] for action in order]
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Text:
        style = self.get_component_rich_style("key-line--key", partial=True)
        text = Text(no_wrap=True, overflow="crop", end="")
        for _, sign, words, enabled in self._keys:
            if text.cell_len + cell_len(sign + words) > self.size.width:
                break
            text.append(sign, style if enabled else "dim")
            text.append(words, "" if enabled else "dim")
        return text

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset_capture(self).x
        for key, sign, words, _ in self._keys:
            left -= cell_len(sign + words)
            if left < 0:
                self.app.simulate_key(key)
                return
