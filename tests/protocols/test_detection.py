"""What a stream speaks is found out from either direction, at its beginning or, where that says nothing, later on."""

from __future__ import annotations

import pytest
from talk import C, S, Step, Unit, talk

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOISE = b"\x01\x02 the rest of something\xff"


def heads(units: list[Unit]) -> list[object]:
    return [
        u.layer.value("http.request.method") or u.layer.value("http.response.code") for u in units if u.pdu.protocol == "http"
    ]


def test_the_answer_recognises_what_the_request_does_not() -> None:
    assert heads(talk([(C, NOISE), (S, OK), (C, GET), (S, OK)], ports=(40000, 50000)))[-3:] == [200, "GET", 200]


@pytest.mark.parametrize("lost", [[0], [1]])
def test_a_missing_first_segment(lost: list[int]) -> None:
    found = heads(talk([(C, GET), (S, OK), (C, GET), (S, OK)], lost=lost, ports=(40000, 50000)))
    assert found[-2:] == ["GET", 200] and len(found) == 3


@pytest.mark.parametrize("side", [C, S])
def test_a_later_segment_begins_what_is_known(side: int) -> None:
    steps: list[Step] = [(side, NOISE), (side, NOISE), (C, GET), (S, OK)]
    units = talk(steps, ports=(40000, 50000))
    assert heads(units)[-2:] == ["GET", 200]
    claimed = sum(unit.pdu.span.read() == NOISE for unit in units)
    assert claimed == (0 if side == C else 2)  # HTTP claims what stands before its start in the other direction


def test_what_nothing_recognises_stays_unclaimed() -> None:
    assert talk([(C, NOISE), (S, NOISE)] * 200, ports=(40000, 50000)) == []
