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
  1 2 3 4      packets, conversations, ladder, stream
  5 6 7 8      findings, story, state, walk
  9 0 i f      timing, patterns, cards, follow
  { }          the conversation before, the next one
  /            filter: Tab completes, ↑ ↓ choose, an empty one shows all
  Ctrl-F n N   look for a text, or for bytes as 0x0d0a; next, before
  Ctrl-G       go to packet N
  Tab  \\       next pane; zoom it, and back
  Esc          back: from the line, zoom, search, filter, lesson
  w            save the packets in the list as pcapng
  L            the lesson on a bundled capture: space shows the answer,
               then the next stop; backspace goes back
  :  Ctrl-P    all commands
  T  q  Q      light or dark; back; quit

1 Packets
  ↑ ↓ j k g G  previous, next; first, last
  [ ]          one layer down, one layer up
  b  t         the next buffer; time since the first, of day, since the last
  m '          mark a packet; the next marked one
  r            from a request to its response, and back
  c  C         copy; copy the request as a curl command
  x            save the HTTP body
  Enter        in the fields: open; on the number of a packet: go there

2 Conversations
  Enter        its packets; l ladder, s stream, f follow
  o  r         order by another column; the other way round

3 Ladder, f Follow
  a            segments or messages; text or hexadecimal
  Enter        to the packet

4 Stream
  ← → ↑ ↓      unit before, next unit; level above, level below
  + -          more cells for a byte, or fewer (or Ctrl and the wheel)
  d  Enter     the other direction; to the packet that completes the unit

5 Findings, 0 Patterns, 7 State, i Cards
  Enter        to the packet that proves it; ← → choose another one
  , .          in State: at the packet before, at the next one
  [ ]  a       in Cards: the protocol below, above; several side by side

6 Story
  Enter        to the packet of the sentence; open or close a group
  p  o         to the packet of a group, too; open all, or close all

8 Walk
  ↓ ↑          the next step: seven layers down, seven up; ← → change sides
  , .  Enter   the packet before, the next one; to the packet

9 Timing
  a            waterfall, sequence of bytes, throughput
  + - ← →      more or less time; in a plot: earlier, later; g all
  d  , .       in a plot: the other direction; the packet before, the next
  Enter  r     to the packet of the request; of the response

Live
  F  space     follow the newest packet; hold the screen still, and on
  S  Ctrl-N    stop the capture; begin another

Choose a field: its bytes light up, and the layer that owns them. Choose a
byte: its deepest field is shown. The tabs above the bytes are the buffers
that the packet has a part in: the frame, the reassembled stream, and what
was decrypted, unmasked or decompressed. ≈ marks a value that was worked out
and does not stand in the bytes. ✗ ! · in front of a packet: an error, a
warning, a remark; Why says which. ◆ is a mark; in State, what this packet
changed; in the Ladder, what a request waited for.
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
