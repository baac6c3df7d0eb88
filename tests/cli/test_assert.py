"""`osi-inspect assert` and the fields of exchanges and findings in display filters."""

from __future__ import annotations

import pytest

from inspector.cli import app
from inspector.core.errors import InspectError
from inspector.query.filters import compile
from inspector.session import open_session


@pytest.mark.parametrize(("capture", "condition", "status", "words"), [
    ("http-keepalive", "exchange.ttfb < 200 and finding.error == 0", 0, "holds for 6 of 6 exchanges"),
    ("http-keepalive", "exchange.status < 400", 1, "exchange 6 (packet 24) GET http://static.example.test/missing.png"),
    ("grpc-streams", "finding.error == 0", 1, "error   grpc-status, packet 71"),
    ("tcp-reset", "exchange.complete", 1, "exchange.complete not there"),
    ("tcp-reset", 'finding.code == "reset-after-data"', 0, "holds"),
    ("tcp-refused", "exchange.status == 200", 1, "no exchange"),
])  # fmt: skip
def test_conditions(capture: str, condition: str, status: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["assert", capture, condition]) == status
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("condition", ["", "exchange.tfb < 3", "tcp.port == 80", "exchange.status =", 'exchange.ttfb == "x"'])
def test_what_means_nothing(condition: str) -> None:
    with pytest.raises(InspectError, match="column"):
        app(["assert", "http-get", condition])


def test_what_was_not_seen_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["assert", "http-keepalive", "exchange.tls < 1000"]) == 1  # there is no TLS
    assert "exchange.tls not there" in capsys.readouterr().out


@pytest.mark.parametrize(("capture", "text", "expected"), [
    ("http-keepalive", "exchange.status == 404", [25]),
    ("http-keepalive", "exchange.status == 404 or tcp.flags.syn == 1", [9, 10, 25]),
    ("tcp-reset", 'finding.code == "reset-after-data"', [20]),
    ("tcp-zero-window", "finding.error", [17, 23]),
    ("http-get", "exchange.ttfb > 60000", []),
])  # fmt: skip
def test_in_a_display_filter(capture: str, text: str, expected: list[int]) -> None:
    session = open_session(capture)
    assert compile(text, session.registry).matches(session).tolist() == expected
    session.close()
