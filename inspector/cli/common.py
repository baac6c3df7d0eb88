"""What the sub-commands share: options, opening a capture, and what is said when a file is damaged."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.core.errors import InspectError

if TYPE_CHECKING:
    from inspector.export.rows import Row
    from inspector.query.filters import Filter
    from inspector.session import Session

LINES_AT_A_TIME, CHARACTERS_AT_A_TIME = 4096, 1 << 22
File = Annotated[str, typer.Argument(metavar="FILE|NAME|-", help="A capture file, a bundled capture, or - for a pipe.")]
Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE|NAME|-…", help="As FILE elsewhere; several files are one capture, in the order of time."),
]
Keylog = Annotated[
    str | None, typer.Option("--keylog", metavar="FILE", help="TLS key log; $SSLKEYLOGFILE where it is not given.")
]
DecodeAs = Annotated[
    list[str] | None, typer.Option("-d", metavar="tcp.port==8080,http", help="Decode a port as a protocol; may be repeated.")
]
Proto = Annotated[
    list[str] | None,
    typer.Option("--proto", metavar="FILE", help="A .proto file or descriptor set, for gRPC's messages; may be repeated."),
]
Passing = Annotated[
    str | None, typer.Option("-Y", metavar="FILTER", help="Only packets that pass a display filter, such as 'tcp.port == 80'.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WithSecrets = Annotated[
    bool, typer.Option("--with-secrets", help="Keep credentials, cookies, tokens and passwords; without it they are redacted.")
]


def decode_as(rules: list[str] | None) -> dict[tuple[str, Any], str]:
    """`tcp.port==8080,http` → {("tcp.port", 8080): "http"}."""
    found: dict[tuple[str, Any], str] = {}
    for rule in rules or []:
        selector, comma, protocol = rule.partition(",")
        table, equals, value = selector.partition("==")
        try:
            if not (comma and equals and table.strip() and protocol.strip()):
                raise ValueError
            found[table.strip(), int(value, 0)] = protocol.strip().lower()
        except ValueError:
            raise InspectError(f"-d {rule}: a rule looks like tcp.port==8080,http") from None
    return found


@contextmanager
def opened(
    files: str | list[str], keylog: str | None = None, rules: list[str] | None = None, proto: list[str] | None = None
) -> Iterator[Session]:
    """The session on a capture. A damaged file's packets are all shown first; then the damage is told, with exit status 2."""
    from inspector.session import open_session

    session = open_session(_source(files), keylog=keylog, decode_as=decode_as(rules), proto=proto or ())
    try:
        yield session
        tell_damage(session)
    finally:
        session.close()


def _source(files: str | list[str]) -> str | int | list[str]:
    """What `open_session` takes for the files of a command line."""
    file = files if isinstance(files, str) else one_of(files)
    return files if file is None else os.dup(0) if file == "-" else file


def one_of(files: list[str]) -> str | None:
    """The file, where there is only one; None for several, of which none may be a pipe: raises InspectError."""
    if len(files) > 1 and "-" in files:
        raise InspectError("-: a pipe cannot be one of several captures; write it to a file first")
    return files[0] if len(files) == 1 else None


def tell_damage(session: Session) -> None:
    """After everything whole was shown: raises InspectError where the file is damaged."""
    damage = session.damage
    if damage is not None:
        sys.stdout.flush()
        raise InspectError(f"{session.title}: {damage.text}")


def passing(session: Session, text: str | None) -> Filter | None:
    """The display filter of `-Y`, compiled; None where none was given. Raises InspectError for a wrong one."""
    if text is None:
        return None
    from inspector.query.filters import compile

    return compile(text, session.registry)


def chosen(session: Session, ranges: str | None, text: str | None) -> Iterator[int]:
    """The numbers of the packets that `-n` and `-Y` leave."""
    found = passing(session, text)
    if found is None:
        yield from packet_numbers(ranges, session.count)
    elif ranges is None:
        for _, numbers in found.search(session):
            yield from numbers
    else:
        for number in packet_numbers(ranges, session.count):
            if found.accepts(session, number):
                yield number


def packet_line(row: Row) -> str:
    """A packet in one line, where standard output is no terminal."""
    return f"{row.number:>6} {row.time_ns / 1e9:.6f} {row.source} → {row.destination} {row.protocol} {row.length} {row.info}"


def told(value: Any, secrets: bool) -> Any:
    """A text, or all texts of lists and dictionaries, as they are reported: without secrets unless these are asked for."""
    if secrets:
        return value
    from inspector.export.redaction import every

    return every(value)


def write_lines(lines: Iterable[str]) -> None:
    """Print many lines, some thousand at a time, or as many as are some megabytes."""
    pending: list[str] = []
    size = 0
    for line in lines:
        pending.append(line)
        size += len(line)
        if len(pending) >= LINES_AT_A_TIME or size >= CHARACTERS_AT_A_TIME:
            sys.stdout.write("\n".join(pending) + "\n")
            pending.clear()
            size = 0
    if pending:
        sys.stdout.write("\n".join(pending) + "\n")


def keyboard() -> bool:
    """Make the terminal standard input, where that is something else; false where there is no terminal."""
    if os.isatty(0):
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return False
    os.dup2(terminal, 0)
    os.close(terminal)
    return True


def seconds(nanoseconds: int) -> str:
    """Seconds with nine decimals."""
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{abs(nanoseconds) // 10**9}.{abs(nanoseconds) % 10**9:09d}"


def packet_numbers(ranges: str | None, count: int) -> Iterator[int]:
    """`7`, `3-9`, `1,4-6,20-` → packet numbers, cut to those that exist. Raises InspectError for anything else."""
    if ranges is None:
        yield from range(1, count + 1)
        return
    for part in ranges.split(","):
        low, dash, high = part.partition("-")
        try:
            first = int(low) if low.strip() else 1
            last = (int(high) if high.strip() else count) if dash else first
            if first < 1 or last < first:
                raise ValueError
        except ValueError:
            raise InspectError(f"-n {ranges}: packets are given as 7 or 3-9 or 1,4-6") from None
        if first > count:
            raise InspectError(f"-n {ranges}: the capture has {count:,} packets")
        yield from range(first, min(last, count) + 1)
