"""`osi-inspect open`: the TUI on a file, a bundled capture or a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.cli.common import DecodeAs, Files, Keylog, Proto, decode_as, keyboard, one_of, packet_line, tell_damage
from inspector.core.errors import InspectError

if TYPE_CHECKING:
    from inspector.session import Session


def command(
    files: Files,
    number: Annotated[int | None, typer.Option("-n", metavar="N", help="Start at this packet.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="The file is still written: its packets as they come.")] = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Open a capture and step through its layers."""
    from inspector.session import open_session

    file = one_of(files)
    if follow and not (file and os.path.isfile(file)):
        raise InspectError("--follow takes one file that another program is writing")
    source: str | int | list[str] = file or files
    if file == "-":
        source = _packets_from_stdin()
    growing = follow or isinstance(source, int)
    session = open_session(
        source, keylog=keylog, decode_as=decode_as(rules), proto=proto or (), load=False, growing=growing, follow=follow
    )
    if not sys.stdout.isatty():
        _print(session, growing)
        tell_damage(session)
        return
    from inspector.tui.app import InspectorApp, run
    from inspector.tui.recent import remember

    if file and os.path.isfile(file):
        remember(file)
    try:
        if growing:
            from inspector.tui.screens.growing import FileScreen, PipeScreen

            InspectorApp(screen=(FileScreen if follow else PipeScreen)(session, number)).run()
        else:
            run(session, number)
    finally:
        session.close()


def _print(session: Session, growing: bool) -> None:
    """One line a packet; of a pipe or a file that grows as they come, flushed."""
    done = 0

    def come(_: float = 0) -> None:
        nonlocal done
        for row in session.rows(done + 1, session.count + 1):
            print(packet_line(row))
        sys.stdout.flush()
        done = session.count

    session.load(come if growing else None)
    come()


def _packets_from_stdin() -> int:
    """Packets come from a duplicate of standard input, and the terminal becomes the keyboard."""
    packets = os.dup(0)
    if os.isatty(packets):
        raise InspectError("-: standard input is the terminal; pipe a capture into it (tcpdump -w - | osi-inspect open -)")
    if sys.stdout.isatty() and not keyboard():
        raise InspectError("-: there is no terminal to take keys from; use `osi-inspect show -`")
    return packets
