"""Nothing of a capture acts on the terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from inspector.core.text import decode, printable


def test_escapes_are_written_out() -> None:
    assert printable("a\x1b]52;c;aGk=\x07b") == "a\\x1b]52;c;aGk=\\x07b"
    assert printable("safe\u202eevil\u200b") == "safe\\u202eevil\\u200b"
    assert printable("grüße → ✓") == "grüße → ✓"
    assert printable(decode(b"\xff\r\n")) == "\\xff\\r\\n"
    assert printable("x" * 10, 4) == "xxxx…"


@given(st.text())
def test_no_control_or_hidden_character_passes(text: str) -> None:
    assert not [char for char in printable(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


@given(st.binary())
def test_any_bytes_can_be_shown(data: bytes) -> None:
    shown = printable(decode(data))
    assert shown.encode("utf-8").decode("utf-8") == shown
