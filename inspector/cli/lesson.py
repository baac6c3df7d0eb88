"""`osi-inspect lesson`: stops on the packets of a bundled capture, a question first, the answer after.

In a terminal it is given in the TUI, beside the packets themselves; as text where it is asked for, or where no terminal is.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Annotated

import typer

from inspector.cli.common import AsJson, write_lines
from inspector.core.errors import InspectError
from inspector.core.text import printable

WIDTH = 100


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A bundled capture; all are listed where it is left out.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="As text, also in a terminal: Enter for each answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go through a bundled capture, with a question at each stop."""
    from inspector.annotations.lessons import lesson
    from inspector.session import open_session
    from inspector.sources.bundled import bundled

    if name is None:
        write_lines(f"{one.name:22} {one.title}" for one in bundled())
        return
    capture = next((one for one in bundled() if one.name == name), None)
    if capture is None:
        raise InspectError(f"{printable(name, 40)} is no bundled capture; `osi-inspect captures` lists them")
    stops = lesson(capture.path.parent, name, capture.entry)
    if as_json:
        write_lines(json.dumps(stop._asdict()) for stop in stops)
        return
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    session = open_session(str(capture.path), load=as_text or not asks)
    try:
        if asks and not as_text:
            from inspector.tui.app import run

            run(session, lesson=True)
            return
        write_lines([capture.title, "", *textwrap.wrap(capture.teaches, WIDTH), ""])
        for number, stop in enumerate(stops, 1):
            row = session.row(stop.packet)
            ends = f"{row.source} → {row.destination}"
            write_lines([f"{number} of {len(stops)} · packet {stop.packet}: {ends}  {row.protocol}  {row.info}"])
            write_lines([f"  ? {line}" if not at else f"    {line}" for at, line in enumerate(textwrap.wrap(stop.ask, WIDTH))])
            if asks:
                input("    (Enter for the answer) ")
            write_lines([*(f"    {line}" for line in textwrap.wrap(stop.answer, WIDTH)), ""])
    finally:
        session.close()
