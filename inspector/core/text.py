"""The one gate for text: whatever a capture says passes here before a terminal or a report sees it."""

from __future__ import annotations

import unicodedata

# Invisible or direction-changing characters can make one text look like another (Unicode TR 36), so
# they are written as escapes like the control characters.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, limit: int = 0) -> str:
    """`text` with every control, format and unassigned character written as an escape (`\\n`, `\\x1b`, `\\u202e`).

    limit: the most characters of `text` shown, 0 for all; a longer one ends in `…`.
    """
    cut = limit and len(text) > limit
    if cut:
        text = text[:limit]
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_escape, text))
    return text + "…" if cut else text


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if unicodedata.category(char) not in _HIDDEN_CATEGORIES:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by `surrogateescape`
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def decode(data: bytes) -> str:
    """UTF-8 where it is, and every other byte kept so that nothing is lost (`surrogateescape`)."""
    return data.decode("utf-8", "surrogateescape")
