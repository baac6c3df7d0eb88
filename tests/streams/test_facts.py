"""Names of addresses from DNS answers: what is said of a packet rests on the packets up to it alone."""

from __future__ import annotations

import random

import pytest

from inspector.core.field import Field, FieldSpec, Kind
from inspector.core.layer import Layer
from inspector.core.span import Frame, Span
from inspector.session import open_session
from inspector.streams.facts import Facts, answers

HERE = Span(Frame(1, 0, lambda: b""), 0, 0)
ADDRESS = bytes([192, 0, 2, 80])


def message(*records: tuple[str, str, object]) -> Layer:
    """A DNS layer of (owner, field, value) records."""
    layer = Layer("dns", "DNS", 7, HERE)
    for owner, name, value in records:
        layer.fields.append(Field(FieldSpec("dns.resp.name", Kind.STRING, "Name"), owner, HERE))
        layer.fields.append(Field(FieldSpec(name, Kind.BYTES, ""), value, HERE))
    return layer


def test_a_name_counts_from_its_answer_on() -> None:
    facts = Facts()
    facts.learn(4, [message(("a.test", "dns.a", ADDRESS))])
    facts.learn(9, [message(("b.test", "dns.a", ADDRESS))])
    assert [facts.name(ADDRESS, packet) for packet in (3, 4, 8, 9, 10)] == ["", "a.test", "a.test", "b.test", "b.test"]
    assert facts.name(bytes(4), 10) == ""


def test_behind_aliases_the_first_one_is_the_name() -> None:
    aliases = [("www.test", "dns.cname", "cdn.test"), ("cdn.test", "dns.cname", "edge.test")]
    layer = message(*aliases, ("edge.test", "dns.a", ADDRESS))
    assert list(answers(layer)) == [(ADDRESS, "www.test")]


def test_aliases_in_a_circle_end() -> None:
    layer = message(("a.test", "dns.cname", "b.test"), ("b.test", "dns.cname", "a.test"), ("a.test", "dns.a", ADDRESS))
    assert [address for address, _ in answers(layer)] == [ADDRESS]


@pytest.mark.parametrize("capture", ["sse", "websocket-chat", "dns-udp"])
def test_rows_do_not_depend_on_what_was_looked_at_before(capture: str) -> None:
    first = open_session(capture)
    in_order = {number: first.row(number) for number in range(1, first.count + 1)}
    first.close()
    for seed in range(3):
        session = open_session(capture)
        numbers = list(in_order)
        random.Random(seed).shuffle(numbers)
        assert {number: session.row(number) for number in numbers} == in_order
        session.close()
