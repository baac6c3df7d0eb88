"""`osi-inspect assert`: a condition that every exchange of a capture must meet; an exit status for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.cli.common import DecodeAs, File, Keylog, WithSecrets, opened, told, write_lines
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.query.exchanges import Assertion
    from inspector.session import Session
    from inspector.streams.exchanges import Exchange

FAILED = 1  # the exit status where it does not hold


def command(
    file: File,
    condition: Annotated[
        str, typer.Argument(metavar="CONDITION", help="Such as 'exchange.ttfb < 200 and finding.error == 0'; milliseconds.")
    ],
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
) -> int:
    """Check a condition for every exchange; or exit with status 1."""
    from inspector.query.exchanges import Assertion

    asserted = Assertion(condition)
    with opened(file, keylog, rules) as session:
        if asserted.of_exchanges and not session.exchanges():
            write_lines(["fails: the capture shows no exchange that could meet it"])
            return FAILED
        failing = asserted.failing(session)
        write_lines(told(line, secrets) for line in _lines(session, asserted, failing))
    return FAILED if failing else 0


def _lines(session: Session, asserted: Assertion, failing: list[Exchange | None]) -> Iterator[str]:
    total = len(session.exchanges()) if asserted.of_exchanges else 0
    for exchange in failing:
        yield f"fails: {_words(asserted, exchange)}" if exchange is not None else "fails: the findings of the capture"
    if any(name.startswith("finding.") for name in asserted.fields) and failing:
        for finding in session.findings():
            packet = finding.packets[0]
            yield f"  {finding.severity.name.lower():7} {finding.code}, packet {packet}: {printable(finding.cause)}"
    if asserted.of_exchanges:
        yield f"holds for {total - len(failing):,} of {total:,} exchanges"
    elif not failing:
        yield "holds"


def _words(asserted: Assertion, exchange: Exchange) -> str:
    """Which exchange, and the values that were asked for."""
    from inspector.query.exchanges import EXCHANGE, of_exchange

    asked = []
    for name in sorted(asserted.fields & EXCHANGE.keys()):
        values = of_exchange(exchange, name)
        value = "not there" if not values else f"{values[0]:.3f} ms" if isinstance(values[0], float) else str(values[0])
        asked.append(f"{name} {value}")
    what = f"{exchange.method} {exchange.url}".strip() or "a response without its request"
    return printable(f"exchange {exchange.number} (packet {exchange.first}) {what}: {', '.join(asked)}")
