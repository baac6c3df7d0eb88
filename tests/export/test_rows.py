"""Lines of the packet list."""

from __future__ import annotations

from pathlib import Path

import dpkt
import pytest

from inspector.export import rows
from inspector.session import open_session
from tests import made


@pytest.mark.parametrize("capture", ["http-get", "tcp-loss", "https-tls13"])
def test_a_line_from_the_columns_says_what_the_dissected_packet_does(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(capture)
    numbers = range(1, session.count + 1)
    from_columns = [rows.packet_row(session, number, deep=False) for number in numbers]
    told = [rows._plain_row(session, number) for number in numbers]
    assert sum(row is not None for row in told) > len(numbers) // 2
    monkeypatch.setattr(rows, "_plain_row", lambda *_: None)
    assert from_columns == [rows.packet_row(session, number, deep=False) for number in numbers]


def test_a_conversation_over_ipv6_names_its_ends_with_brackets(tmp_path: Path) -> None:
    datagram = bytes.fromhex("c000 0035 0008 0000")
    packet = dpkt.ip6.IP6(src=bytes(15) + b"\1", dst=bytes(15) + b"\2", nxt=17, hlim=64, data=datagram)
    packet.plen = 8
    session = made.opened(tmp_path, [bytes(dpkt.ethernet.Ethernet(src=made.M, dst=made.M, type=0x86DD, data=packet))])
    row = next(rows.flow_rows(session))
    assert (row["client"], row["server"]) == ("[::1]:49152", "[::2]:53")
