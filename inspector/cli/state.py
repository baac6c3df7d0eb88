"""`osi-inspect state`: what each layer remembers at a packet, and whether the server could restart there."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Proto, WithSecrets, opened, packet_numbers, told, write_lines
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.annotations.state import State

WIDTH = 120


def command(
    files: Files,
    numbers: Annotated[
        str | None, typer.Option("-n", metavar="7|3-9", help="At which packets; the last where not given.")
    ] = None,
    as_json: AsJson = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Show what each layer remembers at a packet, at either end."""
    with opened(files, keylog, rules, proto) as session:
        if not session.count:
            write_lines(["this capture has no packets"])
            return
        for number in packet_numbers(numbers or str(session.count), session.count):
            found = session.state(number)
            if as_json:
                write_lines([json.dumps(told(as_object(found), secrets))])
            else:
                write_lines(told(line, secrets) for line in as_text(found))


def as_object(state: State) -> dict[str, Any]:
    """The state for programs."""
    answer = state.restart
    return {
        "packet": state.packet,
        "flow": state.flow if state.flow >= 0 else None,
        "facts": [{**fact._asdict(), "value": printable(fact.value), "packet": fact.packet or None} for fact in state.facts],
        "restart": None if answer is None else {**answer._asdict(), "why": printable(answer.why)},
    }


def as_text(state: State) -> Iterator[str]:
    """A line a fact: layer, protocol, who remembers it, what, and the packet that shows it."""
    yield f"State once packet {state.packet} has arrived"
    if not state.facts:
        yield "  nothing is remembered: this packet belongs to no TCP conversation, and each datagram stands alone"
    for fact in state.facts:
        where = f"  (packet {fact.packet})" if fact.packet else ""
        lead = f"{fact.osi} {fact.protocol:12} {fact.holder:7} "
        yield from _folded(lead, f"{fact.name}: {printable(fact.value)}{where}  [{fact.reference}]")
    answer = state.restart
    if answer is not None:
        between = f" between packets {answer.between[0]} and {answer.between[1]}" if answer.between[1] else ""
        yield from _folded(
            "? ",
            f"Could this server restart{between}? {answer.verdict[:1].upper()}{answer.verdict[1:]}: {printable(answer.why)}.",
        )


def _folded(lead: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - len(lead))
    yield f"{lead}{lines[0]}"
    for line in lines[1:]:
        yield f"{'':{len(lead)}}{line}"
