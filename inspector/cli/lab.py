"""`osi-inspect lab`: a real server and a real client that talk as you look on."""

from __future__ import annotations

import signal
import sys
import threading
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.core.errors import InspectError

if TYPE_CHECKING:
    from inspector.capture.labs import Lab
    from inspector.capture.labs.session import Captured

WIDTH = 100  # columns of the list


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The lab; all are listed where it is left out.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", metavar="N", help="Actions a second.")] = None,
    duration: Annotated[float | None, typer.Option("--duration", metavar="S", help="End after S seconds.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Over TLS; the capture gets the keys.")] = False,
    path: Annotated[str | None, typer.Option("-w", metavar="FILE", help="Keep the capture in this file.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the exchanges in the end; open nothing.")] = False,
) -> None:
    """Start a lab, capture it, and open it live."""
    from inspector.capture.labs import LABS

    if name is None:
        print(_listed())
        return
    lab = LABS.get(name)
    if lab is None:
        raise InspectError(f"{name}: no lab is called that; there are {', '.join(LABS)}")
    for option, value in (("--rate", rate), ("--duration", duration)):
        if value is not None and not 0 < value < 1e6:
            raise InspectError(f"{option} {value:g}: must be more than 0")
    from inspector.capture.labs.running import require_extra
    from inspector.capture.labs.session import captured, keep

    require_extra()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds, so that nothing is left running
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    with captured(lab, rate or lab.rate, tls) as running:
        if no_open or not sys.stdout.isatty():
            trouble = _run(running, lab, duration)
            running.stop()
            _print_exchanges(running)
        else:
            trouble = _open(running, duration)
        if path is not None:
            running.stop()
            keep(running, path)
    if trouble:
        raise InspectError(trouble)


def _listed() -> str:
    from inspector.capture.labs import LABS

    return "\n".join(
        f"{lab.name}\n{fill(lab.teaches, WIDTH, initial_indent='    ', subsequent_indent='    ')}" for lab in LABS.values()
    )


def _run(running: Captured, lab: Lab, duration: float | None) -> str:
    """Until its time is over, or Ctrl-C; what went wrong, "" for nothing."""
    ending = "Ctrl-C ends it" if duration is None else f"for {duration:g} seconds"
    print(f"osi-inspect: {lab.name} at {running.running.url}, {ending}", file=sys.stderr)
    try:
        return running.wait(duration)
    except KeyboardInterrupt:
        return ""


def _open(running: Captured, duration: float | None) -> str:
    """The screen, on the file as it grows; what went wrong, "" for nothing."""
    from inspector.session import Session, open_session
    from inspector.tui.app import InspectorApp
    from inspector.tui.screens.live import LiveScreen

    keylog = running.running.keylog
    found: list[str] = []

    def opened(path: str) -> Session:
        session = open_session(path, keylog=None if keylog is None else str(keylog), growing=True)
        session.title = f"lab {running.running.lab.name}"
        return session

    def end() -> None:
        found.append(running.wait(duration))
        running.stop()

    threading.Thread(target=end, name="lab", daemon=True).start()
    InspectorApp(screen=LiveScreen([running.capture], opened, None, running.stop)).run()
    return found[0] if found else ""


def _print_exchanges(running: Captured) -> None:
    from inspector.cli.exchanges import as_text
    from inspector.session import open_session

    keylog = running.running.keylog
    session = open_session(running.capture.path, keylog=None if keylog is None else str(keylog))
    try:
        found = session.exchanges()
        print("\n".join(as_text(session, found)) if found else "nothing was said")
    finally:
        session.close()
