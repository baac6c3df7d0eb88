"""The help screen: the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = """\
EVERYWHERE
 1 2 3 4 f     packets, conversations, ladder, stream, follow      { }     conversation before, next one
 /             filter (Tab completes, ↑ ↓ choose)                  Esc     back: line, zoom, search, filter
 Ctrl-F n N    look for a text, or bytes as 0x0d0a; next, before   Ctrl-G  go to packet N
 Tab           next pane                \\   zoom it, and back       w       save the packets in the list
 : or Ctrl-P   all commands             T   light or dark          q Q     back, quit

PACKETS
 ↑ ↓ j k       previous, next           g G   first, last          m '     mark, next mark
 [ ]           one layer down, one up   b     the next buffer      t       time: relative, of day, since before
 r             from request to response and back                   c C     copy; the request as a curl command
 x             save the HTTP body       Enter in the fields: open; on the number of a packet: go there

CONVERSATIONS  Enter its packets   l ladder   s stream   f follow   o order by   r the other way round
LADDER, FOLLOW a segments or messages, text or hexadecimal; Enter to the packet
STREAM         ← → unit, ↑ ↓ level   + - scale (or Ctrl and the wheel)   d other direction   Enter to the packet

 Choose a field: its bytes light up, and the layer that owns them. Choose a byte: its deepest field is shown.
 The tabs above the bytes are the buffers that the packet has a part in: the frame, the reassembled stream, and what was
 decrypted, unmasked or decompressed. ≈ marks a value that was worked out and does not stand in the bytes.
 ✗ ! · in front of a packet: an error, a warning, a remark; Why says which.
"""


class HelpScreen(ModalScreen[None]):
    """The keys; any of ? q Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(KEYS, markup=False)

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "Keys"
