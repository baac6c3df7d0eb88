"""The tabs above the bytes: one for each buffer that the packet has a part in."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from inspector.core.span import Buffer


class BufferTabs(Static):
    """Names of buffers; a click chooses one."""

    class Chosen(Message):
        """Another buffer is wanted."""

        def __init__(self, buffer: Buffer) -> None:
            super().__init__()
            self.buffer = buffer

    def __init__(self, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._buffers: list[Buffer] = []
        self._active = 0

    @property
    def buffers(self) -> list[Buffer]:
        return self._buffers

    def show(self, buffers: list[Buffer]) -> None:
        """The buffers of another packet."""
        self._buffers = buffers
        self.activate(buffers[0] if buffers else None)

    def activate(self, buffer: Buffer | None) -> None:
        """Mark the buffer that is shown."""
        self._active = next((at for at, other in enumerate(self._buffers) if other == buffer), 0)
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, other in enumerate(self._buffers):
            text.append(self._label(other), "reverse bold" if at == self._active else "dim")
        self.update(text, layout=False)

    def cycle(self, by: int) -> None:
        """Ask for the next buffer."""
        if self._buffers:
            self.post_message(self.Chosen(self._buffers[(self._active + by) % len(self._buffers)]))

    @staticmethod
    def _label(buffer: Buffer) -> str:
        return f" {buffer.kind} {buffer.size:,} B "

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset_capture(self).x
        for buffer in self._buffers:
            left -= len(self._label(buffer))
            if left < 0:
                self.post_message(self.Chosen(buffer))
                return
