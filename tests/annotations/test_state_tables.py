"""Every transition of every state table has a note with its section, and a packet that makes it shows that note."""

from __future__ import annotations

import re

import pytest

from inspector.annotations.state import machines
from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.span import Derived, Span
from inspector.protocols.http2 import frames
from inspector.protocols.http2 import streams as http2
from inspector.protocols.http2.explain import explain
from inspector.session import open_session
from inspector.sources.bundled import bundled
from inspector.streams import tcp_states as tcp
from inspector.streams.tcp_layer import _states as tell

SECTION = re.compile(r"RFC \d+, [\dA-Z]")


def changes() -> list[tuple[http2.State, http2.State]]:
    """The changes of state that one HTTP/2 frame can bring: one step, or two with END_STREAM."""
    found = set()
    for before, row in http2.TRANSITIONS.items():
        for event, after in row.items():
            if isinstance(after, http2.Wrong):
                continue
            found.add((before, after))
            if event.name.endswith(("_HEADERS", "_DATA")):
                last = http2.TRANSITIONS[after][http2.Event[f"{event.name.partition('_')[0]}_END"]]
                if isinstance(last, http2.State):
                    found.add((before, last))
    return sorted(((a, b) for a, b in found if a is not b), key=lambda pair: (pair[0].name, pair[1].name))


@pytest.mark.parametrize(("state", "event"), tcp.TABLE)
def test_every_step_of_tcp_is_told_in_its_packet(state: tcp.State, event: tcp.Event) -> None:
    step = tcp.TABLE[state, event]
    states = tcp.States()
    states.transitions.append(tcp.Transition(7, 1, state, event, step))
    layer = Layer("tcp", "TCP", 4, Span(Derived("frame", "frame", bytes(20), []), 0, 20))
    tell(layer, states, 7, 0)
    (note,) = layer.notes
    assert note.title == f"the receiver: {state.title} → {step.to.title}"
    assert note.why[0].isupper() and note.why.endswith(".") and len(note.why) > 20
    assert SECTION.match(note.reference)


def test_the_table_of_http2_is_total_and_names_no_change_that_cannot_be() -> None:
    assert all(set(row) == set(http2.Event) for row in http2.TRANSITIONS.values())
    assert set(http2.TRANSITIONS) == set(http2.State)
    assert set(http2.MEANINGS) == set(changes())


@pytest.mark.parametrize(("before", "after"), changes(), ids=lambda state: state.name)
def test_every_change_of_an_http2_stream_has_a_note(before: http2.State, after: http2.State) -> None:
    """A frame with that change, as its dissector would show it."""
    data = Derived("frame", "frame", bytes(9), [])
    layer = Layer("http2", "HTTP/2", 7, Span(data, 0, 9))
    whole = Span(data, 0, 9)
    layer.fields = [
        Field(frames.FIELDS["http2.streamid"], 5, Span(data, 5, 9)),
        Field(frames.FIELDS["http2.stream.state"], f"{before.value} → {after.value}", whole, generated=True),
    ]
    (note,) = explain(layer)
    assert note.title == f"stream 5: {before.value} → {after.value}" and note.at == Span(data, 5, 9)
    assert SECTION.match(note.reference) and note.why.endswith(".")


def test_what_must_not_happen_says_which_error_it_is() -> None:
    wrong = {answer for row in http2.TRANSITIONS.values() for answer in row.values() if isinstance(answer, http2.Wrong)}
    assert all(answer.error in ("PROTOCOL_ERROR", "STREAM_CLOSED") and re.search(r"5\.1|8\.4", answer.text) for answer in wrong)


def test_the_states_of_the_bundled_captures_are_told_where_they_change() -> None:
    """In the packets themselves: the note stands in the packet that brings the change, with the section of the table."""
    told = set()
    for capture in bundled():
        session = open_session(capture.name)
        try:
            for flow in range(len(session.index.flows)):
                if session.index.flows.protocol(flow) != 6:
                    continue
                for change in session.tcp(flow).states.transitions:
                    layer = session.dissect(change.packet).last("tcp")
                    assert layer is not None
                    words = f"{change.before.title} → {change.step.to.title}"
                    notes = [note for note in layer.notes if note.title.endswith(words)]
                    assert change.step.reference in [note.reference for note in notes], (capture.name, change)
                    told.add((change.before, change.step.to))
        finally:
            session.close()
    assert len(told) >= 10


def steps() -> list[tuple[machines.Machine, str, str]]:
    return [(machine, state, event) for machine in machines.MACHINES for state, event in machine.table]


@pytest.mark.parametrize(("machine", "state", "event"), steps(), ids=lambda part: part if isinstance(part, str) else part.who)
def test_every_step_of_the_other_tables_is_told(machine: machines.Machine, state: str, event: str) -> None:
    """From its start the machine reaches the state, makes the step, and the note says why and where that is specified."""
    path = reach(machine, state)
    assert path is not None, "no way leads there"
    change = list(machines.run(machine, [(number, name, None) for number, name in enumerate([*path, event], 1)]))[-1]
    assert (change.before, change.event, change.packet) == (state, event, len(path) + 1)
    span = Span(Derived("unit", "unit", bytes(4), []), 0, 4)
    note = machines.note(change, span)
    assert note.title == f"{machine.protocol} {machine.who}: {state} → {machine.table[state, event].to}"
    assert note.at == span and note.why[0].isupper() and note.why.endswith(".") and len(note.why) > 20
    assert SECTION.match(note.reference) or note.reference.startswith("WHATWG HTML, 9.2")


def reach(machine: machines.Machine, state: str) -> list[str] | None:
    """Events that lead from the start to a state."""
    known: dict[str, list[str]] = {machine.start: []}
    todo = [machine.start]
    while todo:
        at = todo.pop(0)
        for (before, event), step in machine.table.items():
            if before == at and step.to not in known:
                known[step.to] = [*known[at], event]
                todo.append(step.to)
    return known.get(state)


@pytest.mark.parametrize(
    ("capture", "number", "expected"),
    [
        ("https-tls13", 12, {("TLS", "client"): "WAIT_SH", ("TLS", "server"): "RECVD_CH"}),
        ("https-tls13", 14, {("TLS", "client"): "CONNECTED", ("TLS", "server"): "WAIT_FLIGHT2"}),
        ("https-tls13", 16, {("TLS", "client"): "CONNECTED", ("TLS", "server"): "CONNECTED"}),
        ("tls13-hello-retry", 14, {("TLS", "client"): "START", ("TLS", "server"): "START"}),
        ("tls13-resumption", 31, {("TLS", "client"): "CONNECTED", ("TLS", "server"): "WAIT_FLIGHT2"}),
        ("https-tls12", 18, {("TLS", "client"): "HAS_KEYS", ("TLS", "server"): "HAS_KEYS"}),
        ("https-tls12", 32, {("TLS", "client"): "WAIT_FIRST_FINISHED", ("TLS", "server"): "FINISHES_FIRST"}),
        ("http-get", 12, {("HTTP/1", "both"): "busy"}),
        ("http-get", 16, {("HTTP/1", "both"): "idle"}),
        ("sse", 14, {("SSE", "client"): "OPEN", ("HTTP/1", "both"): "busy"}),
        ("websocket-chat", 14, {("HTTP/1", "both"): "handed over"}),
        ("websocket-chat", 102, {("WebSocket", "both"): "CLOSING"}),
        ("websocket-chat", 103, {("WebSocket", "both"): "CLOSING, both"}),
        ("websocket-chat", 105, {("WebSocket", "both"): "CLOSED"}),
        ("sse-cut", 22, {("SSE", "client"): "CONNECTING"}),
        ("jwt", 43, {("HTTP/1", "both"): "idle"}),
        ("jwt", 45, {("HTTP/1", "both"): "busy"}),  # with the first part of a request in two
    ],
)
def test_the_states_at_a_packet(capture: str, number: int, expected: dict[tuple[str, str], str]) -> None:
    session = open_session(capture)
    try:
        found = session.state(number).facts
    finally:
        session.close()
    names = ("handshake", "connection", "event source")
    states = {(fact.protocol, fact.holder): fact.value.partition(":")[0] for fact in found if fact.name in names}
    assert expected.items() <= states.items()


@pytest.mark.parametrize(("capture", "number"), [("https-http2-multiplex", 79), ("dns-udp", 30)])
def test_a_connection_without_http1_has_no_state_of_it(capture: str, number: int) -> None:
    session = open_session(capture)
    try:
        assert "HTTP/1" not in {fact.protocol for fact in session.state(number).facts}
        titles = [note.title for layer in session.explained(number).layers for note in layer.notes]
    finally:
        session.close()
    assert titles and not [title for title in titles if title.startswith("HTTP/1")]
