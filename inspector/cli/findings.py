"""`osi-inspect findings`: what an expert would point out, with the packets that prove it; an exit status for scripts."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, WithSecrets, opened, told, write_lines
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding

FOUND = 1  # the exit status where --fail-on finds something
MARKS = {1: "N", 2: "W", 3: "E"}


class Least(StrEnum):
    note = "note"
    warn = "warn"
    error = "error"


def command(
    files: Files,
    fail_on: Annotated[Least | None, typer.Option("--fail-on", help="Exit with status 1 if one is at least this bad.")] = None,
    as_json: AsJson = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
) -> int:
    """Say what is wrong or worth knowing: evidence, cause, cure."""
    with opened(files, keylog, rules) as session:
        found = session.findings()
        if as_json:
            write_lines(json.dumps(told(as_object(finding), secrets)) for finding in found)
        else:
            lines = [line for finding in found for line in as_text(finding)]
            write_lines(told(lines, secrets) or ["nothing stands out in this capture"])
    least = {None: 4, Least.note: 1, Least.warn: 2, Least.error: 3}[fail_on]
    return FOUND if any(finding.severity >= least for finding in found) else 0


def as_object(finding: Finding) -> dict[str, object]:
    """A finding for programs."""
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "packets": list(finding.packets),
        "stream": finding.stream if finding.stream >= 0 else None,
        "times": finding.times,
        "cause": printable(finding.cause),
        "cure": printable(finding.cure),
        "reference": finding.reference,
        "vantage": finding.vantage,
        "phase": finding.phase.kind if finding.phase is not None else None,
    }


def as_text(finding: Finding) -> list[str]:
    """Two lines: what and where, then the cure."""
    where = f"tcp {finding.stream}, " if finding.stream >= 0 else ""
    packets = ", ".join(map(str, finding.packets[:6])) + (" …" if len(finding.packets) > 6 else "")
    word = "packet" if len(finding.packets) == 1 else "packets"
    first = f"{MARKS[finding.severity]}  {finding.code:20} {printable(finding.cause)}  ({where}{word} {packets})"
    return [first, f"{'':24}→ {printable(finding.cure)}  [{finding.reference}]"]
