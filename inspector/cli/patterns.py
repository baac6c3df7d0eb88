"""`osi-inspect patterns`: how the programs in a capture talk, with what speaks for it and against it, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, WithSecrets, opened, told, write_lines
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.annotations.patterns import Pattern


def command(
    files: Files,
    as_json: AsJson = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
) -> None:
    """Say how the programs talk: polling, push, jobs, pools."""
    with opened(files, keylog, rules) as session:
        found = session.patterns()
        if as_json:
            write_lines(json.dumps(told(as_object(pattern), secrets)) for pattern in found)
        else:
            lines = [line for pattern in found for line in as_text(pattern)]
            write_lines(told(lines, secrets) or ["no pattern is recognised: this capture shows no exchange"])


def as_object(pattern: Pattern) -> dict[str, Any]:
    """A pattern for programs; delay in seconds, null where something is not known."""
    cost = pattern.cost
    return {
        "name": pattern.name,
        "confidence": pattern.confidence.name.lower(),
        "about": pattern.about,
        "packets": list(pattern.packets),
        "streams": list(pattern.streams),
        "evidence": [printable(text) for text in pattern.evidence],
        "counter_evidence": [printable(text) for text in pattern.counter],
        "cost": {
            "requests": cost.requests,
            "connections": cost.connections,
            "bytes": cost.octets,
            "brought_nothing": cost.wasted,
            "delay": None if cost.delay is None else cost.delay / 1e9,
            "instead": cost.instead or None,
        },
    }


def as_text(pattern: Pattern) -> Iterator[str]:
    """What and how sure; below it what speaks for it (+) and against it (-), and the cost."""
    from inspector.annotations.patterns import cost_words

    yield f"{pattern.name}  ({pattern.confidence.name.lower()} confidence)  {pattern.about}"
    yield from (f"    + {printable(text)}" for text in pattern.evidence)
    yield from (f"    - {printable(text)}" for text in pattern.counter)
    yield f"    cost: {cost_words(pattern.cost)}"
    if pattern.cost.instead:
        yield f"    instead: {printable(pattern.cost.instead)}"
