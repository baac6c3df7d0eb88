"""`osi-inspect fields`: one line a packet, the same columns and cells as `tshark -T fields`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from inspector.cli.common import DecodeAs, File, Keylog, Passing, opened, passing
from inspector.core.errors import InspectError

_WRITE = 8192  # lines written at a time


def command(
    file: File,
    names: Annotated[list[str], typer.Option("-e", metavar="NAME", help="A field, such as tcp.seq; may be repeated.")],
    filter_: Passing = None,
    options: Annotated[
        list[str] | None,
        typer.Option("-E", metavar="OPTION", help="header=y · separator=, · occurrence=f|l|a · aggregator=; · quote=d|s|n"),
    ] = None,
    keylog: Keylog = None,
    rules: DecodeAs = None,
) -> None:
    """Print fields of every packet, tab-separated."""
    from inspector.query.fields import Style, lines

    style = Style.parse(options or [])
    with opened(file, keylog, rules) as session:
        pending: list[str] = []
        try:
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        except (AttributeError, ValueError) as error:
            raise InspectError(f"standard output cannot be written: {error}") from None
        for line in lines(session, names, style, passing(session, filter_)):
            pending.append(line)
            if len(pending) >= _WRITE:
                sys.stdout.write("\n".join(pending) + "\n")
                pending.clear()
        if pending:
            sys.stdout.write("\n".join(pending) + "\n")
