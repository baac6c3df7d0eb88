"""The hierarchy of protocols is counted, mostly without dissection, as dissecting every packet would count it."""

from __future__ import annotations

import pytest

from inspector.export.summary import Level, hierarchy
from inspector.session import open_session

CAPTURES = [
    "http-get",
    "http-keepalive",
    "http-post-json",
    "sse",
    "https-tls13",
    "dns-udp",
    "tcp-reset",
    "jwt",
    "short-polling",
]


@pytest.mark.parametrize("capture", CAPTURES)
def test_the_hierarchy_is_that_of_every_packet(capture: str) -> None:
    session = open_session(capture)
    top = Level()
    for number in range(1, session.count + 1):
        level = top
        for name in dict.fromkeys(layer.protocol for layer in session.dissect(number).layers if not layer.quoted):
            level = level.inside.setdefault(name, Level())
            level.packets += 1
            level.octets += session.index.value("wire", number)
    protocols, _, _ = hierarchy(session)
    assert protocols == top.inside
    session.close()


def test_what_bodies_hold_is_told_where_it_was_not_looked_at() -> None:
    session = open_session("nagle-delayed-ack")
    answers = [one for one in session.exchanges() if one.response is not None and one.response.stop > one.response.head]
    protocols, _, assumed = hierarchy(session)
    assert assumed == len(answers) - len({one.media for one in answers}) == 11
    assert protocols["eth"].inside["ip"].inside["tcp"].inside["http"].packets == 24
    session.close()
