"""The notes of the bundled captures: none without a section, one at least that fits no other packet, the important first."""

from __future__ import annotations

import re

import pytest

from inspector.core.layer import Layer, Note, Rank, ranked
from inspector.session import open_session
from inspector.sources.bundled import bundled

NAMES = [capture.name for capture in bundled()]
REFERENCE = re.compile(r"RFC \d+|IEEE 802|WHATWG|protobuf\.dev|gRPC|PostgreSQL|Wireshark User's Guide")


def own_words(layer: Layer) -> set[str]:
    """What could stand in a note on this layer and on no other: the values of its fields, and sizes of its parts."""
    words: set[str] = set()
    for field in layer.walk():
        words |= {field.text, f"{field.span.size:,}"}
        words |= set(re.findall(r"[\w.:/@-]{2,}", field.text))
        if isinstance(field.value, int) and not isinstance(field.value, bool):
            words.add(f"{field.value:,}")
    return {word for word in words if word} | {f"{layer.span.size:,}"}


def specific(layer: Layer) -> list[Note]:
    """The notes of a layer that say something of its own bytes."""
    words = own_words(layer)
    return [note for note in layer.notes if words & set(re.findall(r"[\w.:/@,-]*[\w]", f"{note.title} {note.why}"))]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_every_packet_has_a_note_of_its_own(name: str) -> None:
    session = open_session(name)
    try:
        for number in range(1, session.count + 1):
            for layer in session.explained(number).layers:
                if layer.quoted:  # a copy of another packet, whose own notes say it all
                    continue
                assert specific(layer), (number, layer, [note.why for note in layer.notes])
                for note in layer.notes:
                    assert REFERENCE.search(note.reference), (number, note)
                    assert note.why[-1:] in ".:" and note.why == note.why.strip(), (number, note)
                    assert note.at.stop >= note.at.start
    finally:
        session.close()


@pytest.mark.parametrize(
    ("capture", "number", "words"),
    [
        ("async-job", 18, "By custom the client asks at /jobs/41"),
        ("async-job", 18, "The server wishes to be asked again in 1 s, not sooner."),
        ("http-post-json", 16, "It is at /orders/A-1001."),
        ("long-polling", 12, "The client is ready to wait 1 s"),
        ("jwt", 43, "What it sent is refused: The access token expired."),
        ("jwt", 14, "3 pairs of a name and a value in 90 bytes"),
        ("tcp-refused", 10, "The reset acknowledges 1, so that the other end knows which segment it answers."),
        ("tcp-reset", 20, "The reset carries the number 2,766, which must lie in the other end's window to count;"),
        ("tcp-zero-window", 16, "rather a tail loss probe than a time-out"),
        ("tcp-zero-window", 17, "bytes 7,241 to 7,300 came twice: what was sent again had not been lost."),
        ("http-get-lo", 1, "is no checksum yet, only the sum of the pseudo-header"),
        ("http-get", 3, "covers the addresses too"),
        ("async-job", 31, "What answers the request stands elsewhere"),  # 303 does not say that the resource has moved
        ("https-tls12", 12, "30 cipher suites, 3 of them for TLS 1.3"),  # and a signal in the same list
        ("https-tls12", 12, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV beside them is a signal and no suite."),
    ],
)
def test_what_real_services_say(capture: str, number: int, words: str) -> None:
    session = open_session(capture)
    try:
        notes = [note.why for layer in session.explained(number).layers for note in layer.notes]
    finally:
        session.close()
    assert any(words in why for why in notes), notes


def test_what_happens_stands_first_and_what_is_looked_at_before_it() -> None:
    session = open_session("http-get")
    try:
        layer = session.explained(9).layers[1]
    finally:
        session.close()
    assert layer.protocol == "ip"
    ranks = [note.rank for note in ranked(layer.notes)]
    assert ranks == sorted(ranks) and ranks[0] is Rank.STEP
    ttl = layer.find("ip.ttl")
    assert ttl is not None
    assert ranked(layer.notes, ttl.span)[0].title == "time to live"
