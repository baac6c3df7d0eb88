"""The one gate for text: whatever a capture says passes here before a terminal or a report sees it."""

from __future__ import annotations

import re
import unicodedata

# Invisible or direction-changing characters can make one text look like another (Unicode TR 36), so
# they are written as escapes like the control characters.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Letters and marks that show nothing, or change how wide others are (Unicode, Default_Ignorable_Code_Point).
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def printable(text: str, limit: int = 0) -> str:
    """`text` with every control, format, invisible and unassigned character written as an escape (`\\n`, `\\x1b`, `\\u202e`).

    limit: the most characters of `text` shown, 0 for all; a longer one ends in `…`.
    """
    cut = limit and len(text) > limit
    if cut:
        text = text[:limit]
    if not text.isprintable() or _INVISIBLE.search(text):
        text = text.translate(_ESCAPES)
    return text + "…" if cut else text


def natural(text: str | bytes) -> int | None:
    """The number that a peer wrote in decimal digits; None for anything else, and for one that no field of 64 bits holds."""
    return int(text) if len(text) < 20 and text.isdigit() and text.isascii() else None


def counted(number: int, word: str, plural: str = "") -> str:
    """`1 packet`, `2,000 packets`. plural: where it is not the word with an s."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char == " " or (unicodedata.category(char) not in _HIDDEN_CATEGORIES and not _INVISIBLE.match(char)):
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by `surrogateescape`
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Escapes(dict[int, str]):
    """What each character is written as, looked up once."""

    def __missing__(self, code: int) -> str:
        self[code] = _escape(chr(code))
        return self[code]


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\f": "\\f", "\v": "\\v"}
_ESCAPES = _Escapes()


def decode(data: bytes) -> str:
    """UTF-8 where it is, and every other byte kept so that nothing is lost (`surrogateescape`)."""
    return data.decode("utf-8", "surrogateescape")
