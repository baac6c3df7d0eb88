"""The line of views: `1 Packets  2 Conversations …`, of which a click chooses one."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static


class TabLine(Static):
    """Names with the key that leads there; the active one stands in brackets, so that colour is not needed to see it.

    Where there is no room for every name, those that are furthest from the active one keep only their keys.
    """

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
        self._labels: list[str] = []

    @property
    def active(self) -> str:
        return self._active

    def activate(self, name: str) -> None:
        self._active = name
        self._labels = self._fitted(self.size.width or 80)
        text = Text(no_wrap=True, overflow="ellipsis")
        for label, (_, other, _) in zip(self._labels, self._names, strict=True):
            text.append(label, "bold reverse" if other == name else "")
        self.update(text)

    def on_resize(self) -> None:
        self.activate(self._active)

    def _fitted(self, width: int) -> list[str]:
        at = next(at for at, (_, name, _) in enumerate(self._names) if name == self._active)
        near = sorted(range(len(self._names)), key=lambda other: abs(other - at))
        for gap in (" ", ""):  # between two labels, beside the blank that each one ends with
            for named in range(len(self._names), 0, -1):
                labels = [self._label(other, other in near[:named], gap) for other in range(len(self._names))]
                if sum(map(len, labels)) <= width and (named == len(self._names) or not gap):
                    return labels
        return [self._label(at, True, "") if other == at else "" for other in range(len(self._names))]

    def _label(self, at: int, named: bool, gap: str) -> str:
        key, name, title = self._names[at]
        words = f"{key} {title}" if named else key
        return f"[{words}]" if name == self._active else f" {words}{gap}" if gap else f"{words} "

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset_capture(self).x
        for label, (_, name, _) in zip(self._labels, self._names, strict=True):
            left -= len(label)
            if left < 0:
                self.post_message(self.Chosen(name))
                return
