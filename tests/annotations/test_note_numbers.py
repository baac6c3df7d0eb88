"""Every number in a note is computed from the capture: change what it rests on, and the sentence changes.

One note of each shape (a sentence with its numbers left out) of the bundled captures. For each of its numbers something is
sought that changes it: a byte of the packet or of the unit, its length, a value that the conversation brought, the packets and
times around. A number that nothing changes must be one of the specification's own, listed here with the words around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from inspector.core.layer import Layer, Note
from inspector.core.span import Derived, Span
from inspector.core.stream import Pdu
from inspector.dissection.engine import Dissection
from inspector.export.pcapng import Extras, write
from inspector.session import Session, open_session
from inspector.sources.bundled import bundled
from inspector.streams.tcp_layer import enrich
from inspector.streams.transports import place as add_places

# A number by itself, or octets in hexadecimal; not what is part of a name or an address (`x25519`, `TLS 1.3`, `HTTP/1`).
NUMBER = re.compile(
    r"(?<![\w.:/-])(?<!TLS )(?<!SSL )"
    r"(?:[0-9a-f]{2}(?: [0-9a-f]{2}){3,}|0x[0-9a-f]+|\d+(?:,\d{3})*(?:\.\d+)?)(?![\w/]|[.:]\d|-\w)"
)
FIRST = 400  # bytes at the start of a layer that are changed one by one, behind those that the note names
# Numbers of the specifications, by the note that has them.
CONSTANTS = {
    "dns EDNS": {"512"},
    "eth not padded yet": {"60"},
    "eth to a group": {"32"},
    "grpc status": {"200"},  # the status that HTTP/2 has, whatever gRPC's is
    "http # Continue": {"100"},  # the code itself is what the note is about: with another one it is another note
    "http # Not Modified": {"304"},
    "http # Switching Protocols": {"101"},
    "http expectation": {"100"},
    "http the last chunk": {"0"},
    "http why the body ends": {"0"},
    "http2 INITIAL_WINDOW_SIZE": {"65,535"},
    "http2 MAX_FRAME_SIZE": {"16,384"},
    "http2 MAX_HEADER_LIST_SIZE": {"32"},
    "http2 connection preface": {"24"},
    "ip time to live": {"64", "128", "255"},  # `test_how_far` changes it
    "ipv6 hop limit": {"64", "128", "255"},
    "ipv6 header": {"40"},
    "ipv6 whose addresses": {"24"},
    "tls the nonce": {"4", "8"},  # the salt and the explicit part (RFC 5288, 3; RFC 6655, 3), whatever the record
    "udp length": {"8"},
    "websocket permessage-deflate": {"00 00 ff ff"},
}


class Place(NamedTuple):
    """A note: in which capture and packet, in which unit of it (None: the packet's own layers), layer and note by index."""

    capture: str
    packet: int
    unit: int | None
    layer: int
    note: int


def shape(note: Note) -> str:
    """The sentence without its numbers."""
    return NUMBER.sub("#", f"{note.title}: {note.why}")


def numbers(note: Note) -> list[str]:
    return NUMBER.findall(f"{note.title}: {note.why}")


@cache
def session(name: str) -> Session:
    return open_session(name)


def units(capture: Session, number: int) -> list[Pdu]:
    """The units that a packet completes."""
    flow = capture.index.flow_of(number)
    if flow < 0 or capture.index.flows.protocol(flow) != 6:
        return []
    return capture.conversation(flow).pdus(number)


def own(capture: Session, number: int, data: bytes | None = None) -> Dissection:
    """A packet's own layers, with what the conversation says of a TCP segment; data: its bytes, where they are changed."""
    packet = capture.packet(number)
    changed = packet if data is None else packet._replace(data=data, wire_length=len(data))
    result = capture.engine.dissect(changed, lambda: changed.data)
    add_places(result, capture.index.flows, capture.registry)
    tcp, flow = result.last("tcp"), capture.index.flow_of(number)
    if tcp is not None and flow >= 0:
        direction = capture.index.value("direction", number)
        enrich(tcp, capture.registry.protocols["tcp"].fields, capture.tcp(flow), number, direction)
    return result


def unit(capture: Session, pdu: Pdu, data: bytes | None = None) -> Dissection:
    """A unit's layers; data: its bytes, where they are changed."""
    if data is None:
        return capture.unit(pdu)
    buffer = Derived(pdu.span.buffer.id, "changed", bytes(pdu.span.start) + data, [])
    span = Span(buffer, pdu.span.start, pdu.span.start + len(data))
    info = {**pdu.info, "time_of": capture.time_of, "schema": capture.schema}
    return capture.engine.unit(capture.packet(pdu.packet), pdu.protocol, span, info, pdu.node.why)


@cache
def found() -> dict[str, tuple[Place, set[tuple[str, ...]]]]:
    """Shape → the first note that has it, and the numbers of every one."""
    places: dict[str, tuple[Place, set[tuple[str, ...]]]] = {}
    for one in bundled():
        capture = session(one.name)
        for number in range(1, capture.count + 1):
            results = [(None, own(capture, number))]
            results += [(at, unit(capture, pdu)) for at, pdu in enumerate(units(capture, number))]
            for at, result in results:
                for place, layer in enumerate(result.layers):
                    for index, note in enumerate(layer.notes):
                        if numbers(note):
                            here = Place(one.name, number, at, place, index)
                            known = places.setdefault(f"{layer.protocol} {shape(note)}", (here, set()))
                            known[1].add(tuple(numbers(note)))
    return places


def results(place: Place) -> Iterator[Dissection]:
    """The packet or unit with something changed: first the bytes that the note names, then the others, and the length."""
    capture = session(place.capture)
    pdu = units(capture, place.packet)[place.unit] if place.unit is not None else None
    layer, note = seen(place)
    if pdu is None:
        buffer, begin = f"frame:{place.packet}", 0
        data = capture.packet(place.packet).data

        def again(changed: bytes) -> Dissection:
            return own(capture, place.packet, changed)
    else:
        buffer, begin = pdu.span.buffer.id, pdu.span.start
        data = pdu.span.read()

        def again(changed: bytes) -> Dissection:
            return unit(capture, pdu, changed)

    order = [at for span in (note.at, layer.span) if span.buffer.id == buffer for at in range(span.start, span.stop)[:FIRST]]
    for at in dict.fromkeys([*order, *range(begin, begin + min(len(data), FIRST))]):
        where = at - begin
        if 0 <= where < len(data):
            for value in (data[where] ^ 1, data[where] ^ 2, data[where] ^ 16, ord(";")):
                yield again(data[:where] + bytes([value]) + data[where + 1 :])
    yield again(data + b"\0")
    yield again(data[:-1])


def seen(place: Place) -> tuple[Layer, Note]:
    capture = session(place.capture)
    if place.unit is None:
        layer = own(capture, place.packet).layers[place.layer]
    else:
        layer = unit(capture, units(capture, place.packet)[place.unit]).layers[place.layer]
    return layer, layer.notes[place.note]


def by_value(place: Place) -> Iterator[list[Note]]:
    """The notes with one field's value changed: what the conversation brought does not stand in these bytes."""
    explain = session(place.capture).registry.protocols[seen(place)[0].protocol].explain
    layer, _ = seen(place)
    if explain is None:
        return
    for field in list(layer.walk()):
        value = field.value
        if isinstance(value, int):
            field.value = value ^ 1
        elif isinstance(value, str) and re.search(r"[0-9a-f]{8}…", value):
            field.value = re.sub(r"[0-9a-f]{8}(?=…)", "01234567", value)
        else:
            continue
        yield list(explain(layer))
        field.value = value


def unchanged(place: Place) -> set[int]:
    """Which numbers of the note (by index) nothing changes in these bytes, or in what the conversation brought."""
    _, note = seen(place)
    layer, _ = seen(place)
    before, wanted, pattern = numbers(note), set(range(len(numbers(note)))), shape(note)
    title = "header" if "→" in note.title else NUMBER.sub("#", note.title)
    constants = CONSTANTS.get(f"{layer.protocol} {title}", set())
    wanted = {at for at in wanted if before[at] not in constants}
    changed: set[int] = set()

    def look(notes: list[Note]) -> None:
        for other in notes:
            if other.title == note.title or shape(other) == pattern:
                after = numbers(other)
                if len(after) == len(before):
                    changed.update(at for at in wanted if after[at] != before[at])
                else:  # a sentence of another shape: `(2 hours)` is left out where it is no round number
                    changed.update(at for at in wanted if before[at] not in after)

    for result in results(place):
        if changed >= wanted:
            break
        for one in result.layers:
            if one.protocol == layer.protocol:
                look(one.notes)
    for notes in by_value(place) if changed < wanted else ():
        look(notes)
    return wanted - changed


@cache
def other(name: str, folder: str) -> Session:
    """The same capture with a packet in front, and everything happening three times as slowly."""
    capture = session(name)
    first = capture.packet(1)
    packets = [first._replace(data=bytes(60), wire_length=60)]
    for number in range(1, capture.count + 1):
        packet = capture.packet(number)
        packets.append(packet._replace(number=number + 1, time_ns=first.time_ns + 3 * (packet.time_ns - first.time_ns)))
    path = f"{folder}/{name}.pcapng"
    secrets = [(block.type, block.data) for block in capture.source.secrets]
    write(path, capture.interfaces, packets, Extras({}, secrets, capture.names, []))
    return open_session(path)


def changed_around(place: Place, folder: str) -> set[int]:
    """Which numbers are others where the packet has another number, and all times are others."""
    _, note = seen(place)
    before = numbers(note)
    capture = other(place.capture, folder)
    if place.unit is None:
        layer = own(capture, place.packet + 1).layers[place.layer]
    else:
        layer = unit(capture, units(capture, place.packet + 1)[place.unit]).layers[place.layer]
    after = numbers(layer.notes[place.note])
    return {at for at, (one, two) in enumerate(zip(before, after, strict=True)) if one != two}


def test_every_number_in_a_note_is_computed_from_the_capture(tmp_path: Path) -> None:
    fixed = []
    for place, every in found().values():
        left = unchanged(place)
        if left:
            left -= changed_around(place, str(tmp_path))
        if seen(place)[0].protocol == "tcp":  # what counts the segments before: another segment, another number
            left = {at for at in left if len({one[at] for one in every}) == 1}
        if left:
            _, note = seen(place)
            fixed.append((place, [numbers(note)[at] for at in left], note.why))
    assert not fixed


@pytest.mark.parametrize("number", [3, 4, 20, 36])
def test_what_packets_around_say_follows_their_numbers_and_times(number: int, tmp_path: Path) -> None:
    here, there = session("dns-udp"), other("dns-udp", str(tmp_path))
    before = [note for layer in here.explained(number).layers for note in layer.notes]
    after = [note for layer in there.explained(number + 1).layers for note in layer.notes]
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if re.match("(answer|about).* packet", a.title)]
    assert pairs and all(shape(a) == shape(b) for a, b in pairs)
    for a, b in pairs:
        for one, two in zip(numbers(a), numbers(b), strict=True):
            if "." in one:  # rounded to a microsecond
                assert float(two) == pytest.approx(3 * float(one), abs=0.002)
            elif f"packet {one}" in f"{a.title} {a.why}":
                assert int(two) == int(one) + 1


@pytest.mark.parametrize(("left", "words"), [(61, "have passed 3 routers"), (127, "1 router"), (1, "not meant"), (0, "0: ")])
def test_how_far(left: int, words: str) -> None:
    capture = session("dns-udp")
    data = bytearray(capture.packet(3).data)
    data[22] = left
    layer = own(capture, 3, bytes(data)).last("ip")
    assert layer is not None
    why = next(note.why for note in layer.notes if note.title == "time to live")
    assert words in why and why.startswith(f"{left}: ")


def test_the_constants_are_those_of_notes_that_exist() -> None:
    titles = set()
    for place, _ in found().values():
        layer, note = seen(place)
        titles.add(f"{layer.protocol} {'header' if '→' in note.title else NUMBER.sub('#', note.title)}")
    assert set(CONSTANTS) <= titles
