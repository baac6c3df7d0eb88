"""What workers and widgets tell the views and the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.stream import Pdu
from inspector.tui.finding import Found

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection


class Loaded(Message):
    """The index has grown, or is complete; or loading failed with `error`."""

    def __init__(self, error: str = "") -> None:
        super().__init__()
        self.error = error


class Dissected(Message):
    """A packet was dissected."""

    def __init__(self, number: int, result: Dissection, part_of: list[Pdu]) -> None:
        super().__init__()
        self.number = number
        self.result = result
        self.part_of = part_of


class PacketSelected(Message):
    """The list's cursor stands on another packet."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class FieldSelected(Message):
    """A field, or a whole layer, was chosen in the tree."""

    def __init__(self, entry: Layer | Field) -> None:
        super().__init__()
        self.entry = entry


class ByteSelected(Message):
    """A byte was chosen in the hex view."""

    def __init__(self, buffer: str, offset: int) -> None:
        super().__init__()
        self.buffer = buffer
        self.offset = offset


class Copied(Message):
    """A text for the clipboard; `what` says what it is."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text = text
        self.what = what


class Asked(Message):
    """Something is to be typed; the answer goes to the screen under the name `kind`."""

    def __init__(self, kind: str, label: str, value: str) -> None:
        super().__init__()
        self.kind = kind
        self.label = label
        self.value = value


class GoTo(Message):
    """Show a packet in the Packets view."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class ShowFlow(Message):
    """Show a conversation in a view: `packets` (filtered to it), `ladder`, `stream` or `follow`."""

    def __init__(self, flow: int, view: str) -> None:
        super().__init__()
        self.flow = flow
        self.view = view


class Matched(Message):
    """What was looked for was found, or is nowhere further."""

    def __init__(self, found: Found | None) -> None:
        super().__init__()
        self.found = found


class Decrypts(Message):
    """The secrets that are known open a conversation of the capture."""
