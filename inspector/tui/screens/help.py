"""The help screen: the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = """\
Everywhere
  1–6 f        packets, conversations, ladder, stream, findings, story; follow
  { }          the conversation before, the next one
  /            filter: Tab completes, ↑ ↓ choose, an empty one shows all
  Ctrl-F n N   look for a text, or for bytes as 0x0d0a; next, before
  Ctrl-G       go to packet N
  Tab  \\       next pane; zoom it, and back
  Esc          back: from the line, the zoom, the search, the filter
  w            save the packets in the list as pcapng
  :  Ctrl-P    all commands
  T  q  Q      light or dark; back; quit

Packets
  ↑ ↓ j k g G  previous, next; first, last
  [ ]          one layer down, one layer up
  b  t         the next buffer; times: relative, of day, since the one before
  m '          mark a packet; the next marked one
  r            from a request to its response, and back
  c  C         copy; copy the request as a curl command
  x            save the HTTP body
  Enter        in the fields: open; on the number of a packet: go there

Live
  F  space     follow the newest packet; hold the screen still, and on
  S  Ctrl-N    stop the capture; begin another

Conversations
  Enter        its packets; l ladder, s stream, f follow
  o  r         order by another column; the other way round

Ladder, follow
  a            segments or messages; text or hexadecimal
  Enter        to the packet

Findings
  Enter        to the packet that proves it; ← → choose another one of its evidence

Story
  Enter        to the packet of the sentence; open or close a group
  p  o         to the packet of a group, too; open all, or close all

Stream
  ← → ↑ ↓      unit before, next unit; level above, level below
  + -          more cells for a byte, or fewer (or Ctrl and the wheel)
  d  Enter     the other direction; to the packet that completes the unit

Choose a field: its bytes light up, and the layer that owns them. Choose a
byte: its deepest field is shown. The tabs above the bytes are the buffers
that the packet has a part in: the frame, the reassembled stream, and what
was decrypted, unmasked or decompressed. ≈ marks a value that was worked out
and does not stand in the bytes. ✗ ! · in front of a packet: an error, a
warning, a remark; Why says which. ◆ is a mark.
"""


class HelpScreen(ModalScreen[None]):
    """The keys; any of ? q Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(KEYS, markup=False)

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "Keys"
        self.query_one("#help").focus()
