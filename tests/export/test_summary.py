"""The hierarchy of protocols is counted, mostly without dissection, as dissecting every packet would count it."""

from __future__ import annotations

from pathlib import Path

import dpkt
import pytest

from inspector.export.summary import Level, hierarchy
from inspector.session import open_session
from tests import made

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


def test_conversations_without_payload_are_counted_and_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def segment(port: int, flags: int, data: bytes = b"") -> bytes:
        tcp = dpkt.tcp.TCP(sport=port, dport=80, flags=flags, data=data)
        ip = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=6, len=40 + len(data), data=bytes(tcp))
        return bytes(dpkt.ethernet.Ethernet(src=made.M, dst=made.M, data=bytes(ip)))

    scan = [segment(port, dpkt.tcp.TH_SYN) for port in range(1000, 1050)]
    session = made.opened(tmp_path, [*scan[:25], segment(2000, dpkt.tcp.TH_ACK, b"\xff\xfe\xfd"), *scan[25:]])
    followed: list[int] = []
    conversation = session.conversation
    monkeypatch.setattr(session, "conversation", lambda flow: followed.append(flow) or conversation(flow))
    found = hierarchy(session)[0]["eth"].inside["ip"].inside["tcp"]
    assert found.packets == 51 and found.inside["data"].packets == 1 and set(followed) == {25}
    session.close()
