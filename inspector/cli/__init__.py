"""The command line: one file a sub-command; what is heavy is imported inside the command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer

from inspector.cli import (
    assert_,
    captures,
    card,
    exchanges,
    explain,
    fields,
    findings,
    flows,
    follow,
    info,
    interfaces,
    lab,
    lesson,
    live,
    open_,
    patterns,
    record,
    show,
    state,
    walk,
)
from inspector.core.errors import InspectError


def _version(wanted: bool) -> None:
    if wanted:
        from inspector import __version__

        print(f"osi-inspect {__version__}")
        raise typer.Exit


def _home(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    """See what crossed the wire, layer by layer, byte by byte, and why."""
    if context.invoked_subcommand is None:
        if sys.stdout.isatty() and sys.stdin.isatty():
            from inspector.tui.app import run

            run(None)
        else:
            print(context.get_help())


@cache
def _command_line() -> Any:
    """The parser of the command line, with all commands. Making it takes longer than many a command."""
    cli = typer.Typer(
        name="osi-inspect",
        add_completion=False,
        no_args_is_help=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.callback(invoke_without_command=True)(_home)
    cli.command("open")(open_.command)
    cli.command("live")(live.command)
    cli.command("interfaces")(interfaces.command)
    cli.command("captures")(captures.command)
    cli.command("info")(info.command)
    cli.command("show")(show.command)
    cli.command("fields")(fields.command)
    cli.command("flows")(flows.command)
    cli.command("exchanges")(exchanges.command)
    cli.command("explain")(explain.command)
    cli.command("state")(state.command)
    cli.command("walk")(walk.command)
    cli.command("card")(card.command)
    cli.command("lesson")(lesson.command)
    cli.command("findings")(findings.command)
    cli.command("patterns")(patterns.command)
    cli.command("assert")(assert_.command)
    cli.command("follow")(follow.command)
    cli.command("lab")(lab.command)
    cli.command("record", context_settings={"allow_interspersed_args": False})(record.command)
    return typer.main.get_command(cli)


def app(arguments: Sequence[str]) -> int:
    """Run the command line on its arguments; returns the exit status. Raises InspectError for bad input."""
    try:
        status = _command_line().main(list(arguments), "osi-inspect", standalone_mode=False)
    except typer.Abort:
        return 130
    except SystemExit as stop:  # the parser library's answer to a pipe that was closed
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    except Exception as error:  # a usage error of the parser library; anything else goes on up
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        raise InspectError(f"{message().rstrip('.')}; `osi-inspect --help` shows the usage") from None
    return status if isinstance(status, int) else 0
