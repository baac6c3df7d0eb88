"""The line of screens: `1 Packets  2 Conversations …`, of which a click chooses one."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static


class TabLine(Static):
    """Names with the key that leads there; the active one stands in brackets, so that colour is not needed to see it."""

    class Chosen(Message):
        """Another screen is wanted."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: list[tuple[str, str, str]], id: str) -> None:
        """names: (key, name, title) in order."""
        super().__init__(id=id, markup=False)
        self._names = names
        self._active = names[0][1]

    @property
    def active(self) -> str:
        return self._active

    def activate(self, name: str) -> None:
        self._active = name
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, (_, other, _) in enumerate(self._names):
            text.append(self._label(at), "bold reverse" if other == name else "")
        self.update(text)

    def _label(self, at: int) -> str:
        key, name, title = self._names[at]
        return f"[{key} {title}]" if name == self._active else f" {key} {title} "

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset_capture(self).x
        for at, (_, name, _) in enumerate(self._names):
            left -= len(self._label(at))
            if left < 0:
                self.post_message(self.Chosen(name))
                return
