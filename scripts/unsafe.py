"""What must never reach a terminal from a capture, and a standard output that looks for it."""

from __future__ import annotations

import re
from io import TextIOBase

# What a terminal may obey, or what hides or turns text around (Unicode TR 36); lines end in a line feed, cells in a tab.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class Sink(TextIOBase):
    """Standard output that keeps nothing and reads everything."""

    def __init__(self) -> None:
        self.unsafe = ""

    def write(self, text: str) -> int:
        found = UNSAFE.search(text)
        if found and not self.unsafe:
            self.unsafe = repr(text[max(found.start() - 60, 0) : found.end() + 20])
        return len(text)
