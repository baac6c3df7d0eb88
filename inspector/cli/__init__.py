"""The command line: one file a sub-command; what is heavy is imported inside the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import typer

from inspector.core.errors import InspectError

# In the order of the help. A file is imported when its command, or the help, is asked for.
COMMANDS = (
    "open", "live", "interfaces", "captures", "info", "show", "fields", "flows", "exchanges", "explain", "state", "walk",
    "card", "lesson", "findings", "patterns", "assert", "follow", "lab", "record",
)  # fmt: skip
CLASHES = ("open", "assert")  # with words of Python: their files are called open_.py and assert_.py


def _version(wanted: bool) -> None:
    if wanted:
        from inspector import __version__

        print(f"osi-inspect {__version__}")
        raise typer.Exit


def _home(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
    no_cache: bool = typer.Option(False, "--no-cache", help="Neither keep nor use indexes of big captures."),
) -> None:
    """See what crossed the wire, layer by layer, byte by byte, and why."""
    if no_cache:
        os.environ["OSI_INSPECT_NO_CACHE"] = "1"
    if context.invoked_subcommand is None:
        if sys.stdout.isatty() and sys.stdin.isatty():
            from inspector.tui.app import run

            run(None)
        else:
            print(context.get_help())


@cache
def _command_line(wanted: str) -> Any:
    """The parser of the command line, with the command that is wanted, or all. Making it takes longer than many a command."""
    cli = typer.Typer(
        name="osi-inspect",
        add_completion=False,
        no_args_is_help=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.callback(invoke_without_command=True)(_home)
    for name in [wanted] if wanted else COMMANDS:
        command = import_module(f"inspector.cli.{name}_" if name in CLASHES else f"inspector.cli.{name}").command
        # What follows the program that `record` runs are that program's own options.
        cli.command(name, context_settings={"allow_interspersed_args": name != "record"})(command)
    return typer.main.get_command(cli)


def app(arguments: Sequence[str]) -> int:
    """Run the command line on its arguments; returns the exit status. Raises InspectError for bad input."""
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    parser = _command_line(wanted if wanted in COMMANDS else "")
    try:
        status = parser.main(list(arguments), "osi-inspect", standalone_mode=False)
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
        help = f"osi-inspect {f'{wanted} ' if wanted in COMMANDS else ''}--help"
        raise InspectError(f"{message().rstrip('.')}; `{help}` shows the usage") from None
    return status if isinstance(status, int) else 0
