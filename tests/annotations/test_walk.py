"""The walk: who reads a layer on the way, and what the receiver does there, as the capture has it."""

from __future__ import annotations

import pytest

from inspector.annotations.walk import Stage, lines, walk
from inspector.session import open_session


def stages(capture: str, number: int) -> dict[int, Stage]:
    session = open_session(capture)
    try:
        found = walk(session, number)
        assert [line for line in lines(found) if line.strip()]
        return {stage.osi: stage for stage in found.stages}
    finally:
        session.close()


@pytest.mark.parametrize(
    ("capture", "number", "osi", "looks"),
    [
        ("http-get", 16, 7, "in clear"),
        ("https-tls13", 22, 7, "nobody else on the way"),
        ("https-tls12", 20, 7, "nobody else on the way"),  # what is inside cannot be read here either
        ("http-get", 16, 6, "nothing of it is encrypted"),
        ("https-tls13", 22, 6, "only who has the keys"),
        ("tls13-hello-retry", 14, 6, "nothing of it is encrypted"),
        ("http-get", 16, 3, "every router"),
        ("http-get-lo", 10, 3, "no router"),
        ("http-get-lo", 10, 1, "never leaves"),
        ("http-get", 16, 4, "flags"),
    ],
)
def test_who_looks_at_a_layer(capture: str, number: int, osi: int, looks: str) -> None:
    assert looks in stages(capture, number)[osi].looks


def test_nobody_looks_at_a_layer_that_has_nothing() -> None:
    found = stages("http-get", 1)  # ARP
    assert [osi for osi, stage in found.items() if stage.looks] == [2, 1]
    assert {found[osi].up for osi in (3, 4, 5, 6, 7)} == {"nothing to do"}


def test_a_datagram_has_no_sequence_number() -> None:
    assert "sequence number" in stages("http-get", 16)[4].up
    udp = stages("dns-udp", 18)[4]
    assert "sequence number" not in udp.up and "flags" not in udp.looks


def test_what_is_encrypted_is_not_nothing() -> None:
    top = stages("https-tls12", 20)[7]
    assert top.what == "encrypted, and not to be read here" and top.up == "the program reads what was decrypted"
