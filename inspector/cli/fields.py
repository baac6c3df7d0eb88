"""`osi-inspect fields`: one line a packet, the same columns and cells as `tshark -T fields`."""

from __future__ import annotations

from typing import Annotated

import typer

from inspector.cli.common import DecodeAs, Files, Keylog, Passing, Proto, opened, passing, write_lines


def command(
    files: Files,
    names: Annotated[list[str], typer.Option("-e", metavar="NAME", help="A field, such as tcp.seq; may be repeated.")],
    filter_: Passing = None,
    options: Annotated[
        list[str] | None,
        typer.Option("-E", metavar="OPTION", help="header=y · separator=, · occurrence=f|l|a · aggregator=; · quote=d|s|n"),
    ] = None,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Print fields of every packet, tab-separated."""
    from inspector.query.fields import Style, lines

    style = Style.parse(options or [])
    with opened(files, keylog, rules, proto) as session:
        write_lines(lines(session, names, style, passing(session, filter_)))
