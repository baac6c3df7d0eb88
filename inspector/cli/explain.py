"""`osi-inspect explain`: the whole capture in plain sentences, in order, each with its packets and its time."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Proto, WithSecrets, opened, seconds, told, write_lines
from inspector.core.text import counted, printable

if TYPE_CHECKING:
    from inspector.annotations.story import Step
    from inspector.session import Session

WIDTH = 120  # columns where the output is no terminal
SHOWN = 80  # steps of a story whose connections are told one by one without being asked
MOST = 1000  # steps that are told without being asked for all: more than anybody reads
MAX_RANGES = 22  # characters of packet numbers beside a sentence


def command(
    files: Files,
    all_: Annotated[bool, typer.Option("--all", help="Open every group.")] = False,
    as_json: AsJson = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Tell what happens in a capture, in plain sentences."""
    with opened(files, keylog, rules, proto) as session:
        steps = session.story()
        if as_json:
            base = session.time_of(1) if session.count else 0
            write_lines(json.dumps(told(as_object(one, base), secrets)) for one in steps)
            return
        width = min(max(shutil.get_terminal_size().columns, 60), WIDTH) if sys.stdout.isatty() else WIDTH
        write_lines(as_text(session, steps, all_, width, secrets) if steps else ["this capture has no packets"])


def as_object(step: Step, base: int) -> dict[str, Any]:
    """A step for programs; time: seconds since the capture's first packet."""
    return {
        "kind": step.kind,
        "packets": list(step.packets),
        "time": seconds(step.begun - base),
        "flow": step.flow if step.flow >= 0 else None,
        "text": printable(step.text),
        "steps": [as_object(inner, base) for inner in step.steps],
    }


def as_text(session: Session, steps: list[Step], opened: bool, width: int, secrets: bool = False) -> Iterator[str]:
    """Each step with its time and its packets in front, folded to the width."""
    yield f"{'time':>11}  {'packets':22} what happens"
    few = sum(1 + len(one.steps) for one in steps) <= SHOWN
    base = session.time_of(1)
    for one in steps if opened else steps[:MOST]:
        yield from _step(one, base, 0, opened or few, opened, width, secrets)
    if len(steps) > MOST and not opened:
        yield f"{'':11}  {'':22} {counted(len(steps) - MOST, 'more step')}: --all tells them"


def _step(step: Step, base: int, depth: int, opens: bool, all_: bool, width: int, secrets: bool) -> Iterator[str]:
    from inspector.annotations.story import ranges

    packets = ranges(step.packets) if len(step.packets) < 100 else f"{step.packets[0]}–{step.packets[-1]}"
    if len(packets) > MAX_RANGES:
        packets = f"{step.packets[0]} … {step.packets[-1]}"
    lead = f"{(step.begun - base) / 1e9:11.6f}  {packets:22} "
    indent = "  " * depth
    hidden = step.steps and not (opens if step.kind == "group" else all_)
    text = told(printable(step.text), secrets) + (f" [--all tells {counted(len(step.steps), 'step')}]" if hidden else "")
    lines = textwrap.wrap(text, max(width - len(lead) - len(indent), 30)) or [""]
    yield f"{lead}{indent}{lines[0]}"
    for line in lines[1:]:
        yield f"{'':{len(lead)}}{indent}{line}"
    if not hidden:
        for inner in step.steps:
            yield from _step(inner, base, depth + 1, all_, all_, width, secrets)
