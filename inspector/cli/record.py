"""`osi-inspect record`: run a command and see its traffic decrypted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from inspector.cli.common import keyboard
from inspector.core.text import printable


def command(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT]...", help="The command to run.")],
    interfaces: Annotated[
        list[str] | None, typer.Option("-i", "--iface", metavar="IFACE", help="Only on this interface; may be repeated.")
    ] = None,
    path: Annotated[str, typer.Option("-w", metavar="FILE", help="Write to this file, which will hold TLS keys.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Keep the packets of the whole machine.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the exchanges to standard error; open nothing.")] = False,
) -> None:
    """Run a command, record its packets and TLS keys, and open them."""
    from inspector.capture.recording import NotStarted, record

    try:
        done = record(words, interfaces or (), path, everything)
    except NotStarted as error:
        print(printable(f"osi-inspect: {error}"), file=sys.stderr)
        raise typer.Exit(error.status) from None
    for sentence in [*done.says, f"{done.packets:,} packets in {done.path}"]:
        print(printable(f"osi-inspect: {sentence}"), file=sys.stderr)  # a process may call itself what it likes
    if no_open or not sys.stdout.isatty() or not keyboard():
        _print_exchanges(done.path)
    else:
        from inspector.session import open_session
        from inspector.tui.app import run

        session = open_session(done.path, load=False)
        try:
            run(session)
        finally:
            session.close()
    raise typer.Exit(done.status)


def _print_exchanges(path: str) -> None:
    """To standard error: standard output is the command's."""
    from inspector.cli.exchanges import as_text
    from inspector.session import open_session

    session = open_session(path)
    try:
        found = session.exchanges()
        lines = as_text(session, found) if found else ["no HTTP exchange was recorded"]
        print("\n".join(lines), file=sys.stderr)
    finally:
        session.close()
