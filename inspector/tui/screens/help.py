"""The help screen: the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = """\
 ↑ ↓  j k      previous, next packet or field          g G   first, last packet
 [  ]          one layer down, one layer up            Tab   next pane
 ← → ↑ ↓       in the bytes: the byte's field lights   Enter open or close a field
 Ctrl-G        go to packet N                          t     time: relative, of day, since the packet before
 \\             zoom the pane, and back                 b     the bytes; the next buffer
 Esc           back to the list
 :  Ctrl-P     command palette (themes, quit …)        q     back, Q quit
 T             light or dark theme

 Choose a field: its bytes light up, and the layer that owns them. Choose a byte: its deepest field is shown.
 The tabs above the bytes are the buffers the packet has a part in: the frame, the reassembled stream, and what was
 unmasked or decompressed. ≈ marks a value that was worked out and does not stand in the bytes.
"""


class HelpScreen(ModalScreen[None]):
    """The keys; any of ? q Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(KEYS, markup=False)

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "Keys"
