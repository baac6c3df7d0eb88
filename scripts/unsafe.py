"""What must never reach a terminal from a capture, and a standard output that looks for it."""

from __future__ import annotations

import re
from io import TextIOBase

# What a terminal may obey, or what hides or turns text around (Unicode TR 36); lines end in a line feed, cells in a tab.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
# Such bytes: a title, a screen that is cleared, a link, a clipboard that is written, C1 controls alone and as UTF-8, text
# turned around, nothing that is seen, wide characters, markup of Textual's.
HOSTILE = (
    b"\x1b]0;owned\x07", b"\x1b[2J\x1b[H", b"\x1b]8;;http://a\x1b\\x\x1b]8;;\x1b\\", b"\x1b]52;c;aGk=\x07",
    b"\x9b2J\x9d0;x\x9c", "\x9b31m\u202egpj.exe\u2066".encode(), "\u200b\u200d\ufeff\u3164\ufe0f\xa0\xad".encode(),
    "漢字🏴\U000e0067".encode(), b"[bold red]x[/][@click=app.quit]y[/]", b"\r\n\r\x08\x08", b"\xff\xfe\xed\xa0\x80",
)  # fmt: skip


class Sink(TextIOBase):
    """Standard output that keeps nothing and reads everything."""

    def __init__(self) -> None:
        self.unsafe = ""

    def write(self, text: str) -> int:
        found = UNSAFE.search(text)
        if found and not self.unsafe:
            self.unsafe = repr(text[max(found.start() - 60, 0) : found.end() + 20])
        return len(text)
