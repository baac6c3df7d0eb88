"""Rows of cells, as `tshark -T fields` prints them: from the columns where they can be, else one pass in packet order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from inspector.core.errors import InspectError
from inspector.core.field import cell
from inspector.core.text import printable
from inspector.protocols.borrowed import table as borrowed
from inspector.query.catalog import ALSO, check

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection
    from inspector.query.filters import Filter
    from inspector.session import Session

SESSION = 5  # the lowest layer that is read from streams
_CHUNK = 65_536  # packets formatted at a time


@dataclass(frozen=True)
class Style:
    """How a row is written, tshark's `-E` options."""

    header: bool = False
    separator: str = "\t"
    occurrence: str = "a"
    aggregator: str = ","
    quote: str = ""

    @staticmethod
    def parse(options: list[str]) -> Style:
        """`["header=y", "separator=,"]`; raises InspectError for an option that does not exist."""
        style = Style()
        for option in options:
            name, _, value = option.partition("=")
            if name == "header" and value in ("y", "n"):
                style = replace(style, header=value == "y")
            elif name == "separator" and value:
                style = replace(style, separator={"/t": "\t", "/s": " "}.get(value, value))
            elif name == "occurrence" and value in ("f", "l", "a"):
                style = replace(style, occurrence=value)
            elif name == "aggregator" and value:
                style = replace(style, aggregator={"/s": " "}.get(value, value))
            elif name == "quote" and value in ("d", "s", "n"):
                style = replace(style, quote={"d": '"', "s": "'", "n": ""}[value])
            else:
                raise InspectError(
                    f"-E {option}: not an option; use header=y, separator=, occurrence=f|l|a, aggregator= or quote=d|s|n"
                )
        return style


def lines(session: Session, names: list[str], style: Style, passing: Filter | None = None) -> Iterator[str]:
    """The rows, each as one line, of all packets or of those that pass a filter; raises InspectError for an unknown field."""
    from inspector.index.cells import COLUMN_FIELDS, extract

    check(session.registry, names)
    if style.header:
        yield style.separator.join(names)
    wanted = frozenset(names)
    if passing is not None:
        look = session.layers if wanted <= COLUMN_FIELDS else session.dissect
        for _, numbers in passing.search(session):
            for number in numbers:
                yield _line(cells(session, look(number), wanted), names, style)
        return
    if wanted <= COLUMN_FIELDS:
        for start in range(0, session.count, _CHUNK):
            rows = extract(session.index, names, start + 1, min(start + _CHUNK, session.count) + 1)
            plain = style.quote == ""
            for number, found in enumerate(rows, start + 1):
                if found is None:
                    yield _line(cells(session, session.layers(number), wanted), names, style)
                elif plain:
                    yield style.separator.join(found)
                else:
                    yield _line({name: [value] for name, value in zip(names, found, strict=True) if value}, names, style)
        return
    only = _upper(session, wanted)
    for number in range(1, session.count + 1):
        result = session.completed(number, only) if only is not None else None
        yield _line(cells(session, result or session.dissect(number), wanted), names, style)


def _upper(session: Session, wanted: frozenset[str]) -> frozenset[str] | None:
    """The protocols that have the wanted fields, where all of them stand above the transport: then the packets' own layers
    need not be built. None where others are wanted too."""
    if "frame.protocols" in wanted or any(name.startswith(borrowed.PREFIX) for name in wanted):
        return None
    sought = _sought(wanted).keys()
    found = [
        protocol
        for protocol in session.registry.protocols.values()
        if protocol.name in wanted or not sought.isdisjoint(protocol.fields)
    ]
    return frozenset(protocol.name for protocol in found) if all(protocol.osi >= SESSION for protocol in found) else None


def _line(found: dict[str, list[str]], names: list[str], style: Style) -> str:
    parts = []
    for name in names:
        values = found.get(name, [])
        if values and style.occurrence != "a":
            values = values[:1] if style.occurrence == "f" else values[-1:]
        text = style.aggregator.join(values)
        parts.append(f"{style.quote}{text}{style.quote}" if text and style.quote else text)
    return style.separator.join(parts)


@lru_cache(64)
def _sought(wanted: frozenset[str]) -> dict[str, list[str]]:
    """Under which of the wanted names a field's value is given: its own, and those that name several fields."""
    sought = {name: [name] for name in wanted}
    for name, others in ALSO.items():
        for other in others:
            if other in wanted:
                sought.setdefault(name, []).append(other)
    return sought


def cells(session: Session, result: Dissection, wanted: frozenset[str]) -> dict[str, list[str]]:
    """The wanted cells of one packet, every occurrence, in the order of the packet."""
    found: dict[str, list[str]] = {}
    sought = _sought(wanted)
    for layer in result.layers:
        if layer.protocol in wanted:
            found.setdefault(layer.protocol, []).append(printable(layer.title))
        for field in layer.walk():
            for name in sought.get(field.spec.name, ()):
                text = cell(field.spec, field.value)
                if not text.isprintable():
                    text = printable(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
                found.setdefault(name, []).append(text)
    if any(name.startswith("frame.") for name in wanted):
        _frame(session, result, found)
    return found


def _frame(session: Session, result: Dissection, found: dict[str, list[str]]) -> None:
    from inspector.core.field import time_text

    packet = result.packet
    times = session.index.column("time_ns")
    first = int(times[0])
    before = int(times[packet.number - 2]) if packet.number > 1 else packet.time_ns
    found["frame.number"] = [str(packet.number)]
    found["frame.time"] = [time_text(packet.time_ns)]
    found["frame.time_epoch"] = [_seconds(packet.time_ns)]
    found["frame.time_relative"] = [_seconds(packet.time_ns - first)]
    found["frame.time_delta"] = [_seconds(packet.time_ns - before)]
    found["frame.len"] = [str(packet.wire_length)]
    found["frame.cap_len"] = [str(len(packet.data))]
    found["frame.interface_id"] = [str(packet.interface)]
    found["frame.protocols"] = [":".join(layer.protocol for layer in result.layers)]
    comments = session.comments(packet.number)
    if comments:
        found["frame.comment"] = [printable(comment) for comment in comments]


def _seconds(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{abs(nanoseconds) // 10**9}.{abs(nanoseconds) % 10**9:09d}"
