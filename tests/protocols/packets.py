"""What the tests of packet-level protocols share: dissecting bytes, and the promises that hold for all bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from inspector.core.field import Field
from inspector.core.packet import Packet
from inspector.dissection.engine import Dissection, Engine, make_registry
from inspector.dissection.fragments import Fragments

REGISTRY = make_registry()


def dissect(data: bytes, link: int = 1, wire: int | None = None) -> Dissection:
    """The layers of one packet; bugs in dissectors come through."""
    return Engine(REGISTRY, Fragments().offer, strict=True).dissect(Packet(1, 0, link, wire or len(data), data))


def names(data: bytes, link: int = 1) -> list[str]:
    return [layer.protocol for layer in dissect(data, link).layers]


def values(data: bytes, name: str, link: int = 1) -> list[object]:
    """Every value of a field, outermost first."""
    return [field.value for layer in dissect(data, link).layers for field in layer.walk() if field.name == name]


def codes(data: bytes, link: int = 1) -> list[str]:
    """The codes of every issue."""
    return [issue.code for layer in dissect(data, link).layers for issue in layer.issues]


def assert_sound(result: Dissection) -> None:
    """Spans lie in their buffers, children in their parents, bits in their bytes, payloads in their layers' buffers."""
    for layer in result.layers:
        assert 0 <= layer.span.start <= layer.span.stop <= layer.span.buffer.size
        for field, parent in _pairs(layer.fields, None):
            span = field.span
            assert 0 <= span.start <= span.stop <= span.buffer.size, field
            if parent is not None and parent.span.buffer == span.buffer:
                assert parent.span.start <= span.start and span.stop <= parent.span.stop, (parent, field)
            if field.bits is not None:
                assert field.bits[0] >= 0 and sum(field.bits) <= span.size * 8, field
            assert field.text.isprintable()
        for payload in layer.payloads:
            assert 0 <= payload.span.start <= payload.span.stop <= payload.span.buffer.size


def _pairs(fields: list[Field], parent: Field | None) -> Iterator[tuple[Field, Field | None]]:
    for field in fields:
        yield field, parent
        yield from _pairs(field.children, field)


def assert_holds(data: bytes, link: int = 1, mutations: int = 40) -> None:
    """Every prefix as sent, every third as cut off by the capture, and many mutations: nothing raises, and all is sound."""
    for size in range(len(data)):
        assert_sound(dissect(data[:size], link))
        if size % 3 == 0:
            assert_sound(dissect(data[:size], link, len(data)))
    chance = random.Random(len(data))
    for _ in range(mutations):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        assert_sound(dissect(bytes(changed), link))


def assert_clean(data: bytes, link: int = 1) -> None:
    """No issue, and every byte belongs to a field or is handed on."""
    result = dissect(data, link)
    assert not [issue for layer in result.layers for issue in layer.issues]
    assert not [span for layer in result.layers for span in layer.unclaimed()]
