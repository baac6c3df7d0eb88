"""Lines of the packet list."""

from __future__ import annotations

import pytest

from inspector.export import rows
from inspector.session import open_session


@pytest.mark.parametrize("capture", ["http-get", "tcp-loss", "https-tls13"])
def test_a_line_from_the_columns_says_what_the_dissected_packet_does(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(capture)
    numbers = range(1, session.count + 1)
    from_columns = [rows.packet_row(session, number, deep=False) for number in numbers]
    told = [rows._plain_row(session, number) for number in numbers]
    assert sum(row is not None for row in told) > len(numbers) // 2
    monkeypatch.setattr(rows, "_plain_row", lambda *_: None)
    assert from_columns == [rows.packet_row(session, number, deep=False) for number in numbers]
