"""Cards, side by side and with evidence; the OSI walk and its sums."""

from __future__ import annotations

import pytest

from inspector.annotations.card_texts import CARDS, PART_OF, SECTIONS
from inspector.annotations.cards import EVIDENCE, TITLES, evidence, find, first_packet, properties, table, unshown
from inspector.annotations.walk import CARRIED, walk
from inspector.core.errors import InspectError
from inspector.dissection.engine import make_registry
from inspector.session import open_session

PROTOCOLS = make_registry(None).protocols


def test_cards_have_eight_properties_and_stand_side_by_side() -> None:
    found = [find(name, PROTOCOLS) for name in ("tcp", "http2", "ws")]
    cards = [(protocol.title, protocol.card) for protocol in found if protocol.card is not None]
    assert len(cards) == 3 and all(len(properties(card)) == 8 for _, card in cards)
    lines = table(cards, 120)
    assert max(map(len, lines)) <= 120
    assert all(any(line.startswith(title) for line in lines) for title in TITLES.values())
    with pytest.raises(InspectError, match="did you mean"):
        find("tpc", PROTOCOLS)


def test_every_protocol_that_is_dissected_has_a_card_or_is_a_part_of_one_that_has() -> None:
    assert not set(PART_OF) & set(CARDS)
    for name in set(PROTOCOLS) - {"data"}:  # what nobody claims is no protocol
        protocol = find(name, PROTOCOLS)
        card = protocol.card
        assert card is not None and (protocol.name == name or PART_OF[name] == protocol.name)
        texts = list(properties(card).values())
        assert len(texts) == 8 and all(len(text) > 3 for text in texts), name
        assert all(text == text.strip() and not text.endswith(".") and len(text) <= 150 for text in texts), name
        assert card.reference and card.reference == card.reference.strip(), name
    assert set(CARDS) | set(PART_OF) <= set(PROTOCOLS) and set(SECTIONS) <= set(PROTOCOLS)


def test_where_no_field_is_known_to_show_it_the_first_ones_do() -> None:
    session = open_session("http-get")
    try:
        assert {proof.label for proof in evidence(session, "data-text-lines")["data_format"]} == {"Line"}
        assert not any(proof.text == "not set" for own in evidence(session, "tcp").values() for proof in own)
    finally:
        session.close()


def test_evidence_names_fields_that_exist() -> None:
    names = {spec for protocol in PROTOCOLS.values() for spec in protocol.fields}
    for protocol, shown in EVIDENCE.items():
        assert find(protocol, PROTOCOLS).card is not None
        assert {name for fields in shown.values() for name in fields} <= names
        assert set(shown) <= set(TITLES)


def test_evidence_is_read_from_the_capture() -> None:
    session = open_session("http-get")
    try:
        found = evidence(session, "tcp")
        port = next(proof for proof in found["addressing"] if proof.label == "Destination port")
        assert (port.packet, port.text, port.data) == (9, "80", b"\x00\x50")
        assert evidence(session, "websocket") == {}
    finally:
        session.close()


def test_a_property_without_bytes_says_why() -> None:
    session = open_session("https-http2-multiplex")
    try:
        assert "errors" not in evidence(session, "http2")  # nothing was reset
        assert unshown("http2", "errors").startswith("no bytes: http2.rst_stream.error or http2.goaway.error would show it")
        assert unshown("tcp", "routing") == "no bytes: no field of this layer shows it"
        assert unshown("snmp", "state") == "no bytes: which fields show it is not known here"
        assert (first_packet(session, "http2"), first_packet(session, "smtp")) == (17, 0)
    finally:
        session.close()


@pytest.mark.parametrize(("capture", "protocol", "property_", "label"), [
    ("http-get", "arp", "state", "sender"), ("http-get", "eth", "routing", "Destination"),
    ("sse", "sse", "addressing", "event"), ("https-http2-multiplex", "http2", "routing", ":path"),
    ("https-http2-multiplex", "http2", "control", "INITIAL_WINDOW_SIZE"), ("http-get", "http", "state", "Connection"),
])  # fmt: skip
def test_a_field_may_show_several_properties(capture: str, protocol: str, property_: str, label: str) -> None:
    session = open_session(capture)
    try:
        assert any(label.lower() in proof.label.lower() for proof in evidence(session, protocol)[property_])
    finally:
        session.close()


@pytest.mark.parametrize(
    ("capture", "number", "content", "added", "packets"),
    [
        ("http-get", 16, 1712, {7: 254, 6: 0, 4: 64, 3: 40, 2: 28}, (14, 16)),
        ("http-get", 3, 34, {7: 0, 4: 8, 3: 20, 2: 14}, (3,)),
        ("https-tls13", 22, 1712, {7: 254, 6: 22, 4: 64, 3: 40, 2: 28}, (21, 22)),  # 5 header, 1 type, 16 tag
        ("sse-tls", 38, 59, {7: 6, 6: 22, 4: 32}, (38,)),  # a chunk: "3b" and two line ends
    ],
)
def test_what_each_layer_adds(capture: str, number: int, content: int, added: dict[int, int], packets: tuple[int, ...]) -> None:
    session = open_session(capture)
    try:
        found = walk(session, number)
    finally:
        session.close()
    assert (found.content, found.packets) == (content, packets)
    stages = {stage.osi: stage.added for stage in found.stages}
    assert {osi: stages[osi] for osi in added} == added
    assert found.wire == found.content + sum(stages.values())  # every byte of these frames is accounted for
    assert sum(stages[osi] for osi in CARRIED) < found.wire


def test_what_lies_for_middleboxes() -> None:
    session = open_session("https-tls13")
    try:
        lies = " ".join(walk(session, 14).lies)
        assert "it is TLS 1.3" in lies and "ChangeCipherSpec changes nothing" in lies and "supported_versions" in lies
        assert not walk(session, 10).lies
    finally:
        session.close()
