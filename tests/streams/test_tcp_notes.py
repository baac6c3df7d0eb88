"""Notes on TCP segments: one for every combination of flags, every number from the segment itself."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from inspector.core.layer import Note
from inspector.session import open_session
from inspector.sources.bundled import bundled
from tests.annotations.wire import ACK, FIN, PSH, RST, SYN, Wire

URG = 0x20
BITS = (FIN, SYN, RST, PSH, ACK, URG)
EVERY = [sum(chosen) for size in range(len(BITS) + 1) for chosen in combinations(BITS, size)]


def notes(wire: Wire, folder: Path, number: int) -> list[Note]:
    session = wire.session(folder)
    try:
        tcp = session.dissect(number).last("tcp")
        assert tcp is not None
        return tcp.notes
    finally:
        session.close()


@pytest.mark.parametrize("flags", EVERY)
def test_every_combination_of_flags_is_explained(flags: int, tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 7, flags=flags)
    titles = {note.title for note in notes(wire, tmp_path, 4)}
    if flags & SYN and flags & (FIN | RST):
        assert "impossible flags" in titles
    elif not flags & (SYN | FIN | RST | ACK):
        assert "no ACK" in titles
    else:
        assert "data" in titles
        assert ("no more data" in titles) == bool(flags & FIN) and ("reset" in titles) == bool(flags & RST)
        assert ("urgent" in titles) == bool(flags & URG)
        assert ("acknowledgement" in titles or "acknowledgement alone" in titles) == bool(flags & ACK and not flags & RST)


@pytest.mark.parametrize("size", [1, 300])
@pytest.mark.parametrize("window", [200, 400])
def test_the_sentence_changes_with_the_field(size: int, window: int, tmp_path: Path) -> None:
    wire = Wire(mss=size + 700).open()
    wire.say(20, 0, 1, 1, size, window=window)
    said = {note.title: note.why for note in notes(wire, tmp_path, 4)}
    assert f"{size:,} byte" in said["data"] and f"1 to {size:,};" in said["data"]
    assert f"room for {window:,} bytes" in said["acknowledgement"]
    opens = next(note for note in notes(wire, tmp_path, 1) if note.title == "the first of three steps")
    assert f"up to {size + 700:,} bytes" in opens.why and "from 1000 on" in opens.why


def test_an_acknowledgement_names_what_it_acknowledges(tmp_path: Path) -> None:
    wire = Wire().open()
    wire.say(20, 0, 1, 1, 50)
    wire.say(27.5, 1, 1, 51)
    why = next(note.why for note in notes(wire, tmp_path, 5) if note.title == "acknowledgement alone")
    assert "before number 51" in why and "in packet 4, 7.500 ms before this" in why


@pytest.mark.parametrize("capture", [one.name for one in bundled()])
def test_every_packet_of_the_bundled_captures_has_a_note(capture: str) -> None:
    session = open_session(capture)
    try:
        bare = []
        for number in range(1, session.count + 1):
            layers = session.dissect(number).layers
            tcp = [layer for layer in layers if layer.protocol == "tcp" and not layer.quoted]
            if not any(layer.notes for layer in layers) or any(not layer.notes for layer in tcp):
                bare.append(number)
    finally:
        session.close()
    assert not bare
