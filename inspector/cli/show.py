"""`osi-inspect show`: the layers of packets as text or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Passing, Proto, chosen, opened, seconds
from inspector.core.field import Field, Kind, cell, time_text
from inspector.core.layer import Layer, Severity, ranked
from inspector.core.limits import MAX_VALUE
from inspector.core.span import trace
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.dissection.engine import Dissection
    from inspector.session import Session


def command(
    files: Files,
    numbers: Annotated[str | None, typer.Option("-n", metavar="7|3-9", help="Which packets; all where not given.")] = None,
    filter_: Passing = None,
    hexdump: Annotated[bool, typer.Option("-x", help="Also the bytes.")] = False,
    as_json: AsJson = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Show the layers of packets, with the reason for each."""
    import json

    with opened(files, keylog, rules, proto) as session:
        for number in chosen(session, numbers, filter_):
            result = session.explained(number)
            if as_json:
                print(json.dumps(as_object(result, session.file(number))))
            else:
                print("\n".join([*as_text(session, result), *(dump(result) if hexdump else ()), ""]))


def as_object(result: Dissection, file: str = "") -> dict[str, Any]:
    """A packet as one JSON object; ranges lie in the buffer that is named. file: the one of several that it lies in."""
    packet = result.packet
    return {
        "number": packet.number,
        "time": seconds(packet.time_ns),
        "length": packet.wire_length,
        "captured": len(packet.data),
        **({"file": printable(file)} if file else {}),
        "layers": [_layer(layer) for layer in result.layers],
    }


def _layer(layer: Layer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "protocol": layer.protocol,
        "title": layer.title,
        "osi": layer.osi,
        "summary": printable(layer.summary),
        "why": printable(layer.why),
        "buffer": layer.span.buffer.id,
        "start": layer.span.start,
        "stop": layer.span.stop,
        "fields": [_field(field) for field in layer.fields],
        "issues": [
            {
                "code": issue.code,
                "severity": issue.severity.name.lower(),
                "text": printable(issue.text),
                "start": issue.span.start,
                "stop": issue.span.stop,
            }
            for issue in layer.issues
        ],
        "notes": [
            {
                "title": printable(note.title),
                "why": printable(note.why),
                "reference": note.reference,
                "rank": int(note.rank),
                "buffer": note.at.buffer.id,
                "start": note.at.start,
                "stop": note.at.stop,
            }
            for note in ranked(layer.notes)
        ],
    }
    if not layer.span.buffer.id.startswith("frame:"):
        found["frames"] = [
            {"frame": span.buffer.id, "start": span.start, "stop": span.stop, "exact": span.exact} for span in trace(layer.span)
        ]
    if layer.quoted:
        found["quoted"] = True
    return found


def _field(field: Field) -> dict[str, Any]:
    value = field.value
    if field.spec.kind in (Kind.BYTES, Kind.IPV4, Kind.IPV6, Kind.ETHER, Kind.OID) and value is not None:
        value = cell(field.spec, value)
    cut = isinstance(value, str) and len(value) > MAX_VALUE
    if isinstance(value, str):
        value = printable(value, MAX_VALUE)
    found: dict[str, Any] = {
        "name": field.name,
        "label": field.label,
        "value": value,
        "text": field.text,
        "buffer": field.span.buffer.id,
        "start": field.span.start,
        "stop": field.span.stop,
    }
    if cut:
        found["cut"] = True
    if field.bits is not None:
        found["bits"] = list(field.bits)
    if field.generated:
        found["generated"] = True
    if field.children:
        found["children"] = [_field(child) for child in field.children]
    return found


def as_text(session: Session, result: Dissection) -> list[str]:
    """A packet as lines of text."""
    packet = result.packet
    cut = f", {len(packet.data):,} captured" if len(packet.data) < packet.wire_length else ""
    file = session.file(packet.number)
    inside = f"  in {printable(file)}" if file else ""
    lines = [f"Packet {packet.number}  {time_text(packet.time_ns)}  {packet.wire_length:,} bytes{cut}{inside}"]
    lines += [f"  comment: {printable(comment)}" for comment in session.comments(packet.number)]
    for layer in result.layers:
        where = f"{layer.span.buffer.id} {layer.span.start}–{layer.span.stop}"
        lines.append(f"{layer.osi} {layer.title}  {printable(layer.summary)}  [{where}]")
        if layer.why:
            lines.append(f"    because {printable(layer.why)}")
        if not layer.span.buffer.id.startswith("frame:"):
            carried = ", ".join(f"{s.buffer.id} {s.start}–{s.stop}" for s in trace(layer.span)[:6])
            lines.append(f"    carried by {carried}")
        for field in layer.fields:
            _lines(field, 1, lines)
        for issue in layer.issues:
            lines.append(f"    {'!' if issue.severity > Severity.NOTE else '·'} {issue.code}: {printable(issue.text)}")
        for note in ranked(layer.notes):
            lines.append(
                f"    › {printable(note.title)}: {printable(note.why)}" + (f" ({note.reference})" if note.reference else "")
            )
    for pdu in session.part_of(packet.number)[:4]:
        lines.append(f"  part of a {pdu.protocol} {pdu.kind} that completes in packet {pdu.packet}")
    return lines


def _lines(field: Field, depth: int, lines: list[str]) -> None:
    mark = "≈ " if field.generated else ""
    lines.append(f"{'    ' * depth}{mark}{field.label}  {field.text}".rstrip())
    for child in field.children:
        _lines(child, depth + 1, lines)


def dump(result: Dissection) -> list[str]:
    """The frame's bytes, sixteen a line."""
    data = result.packet.data
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"  {at:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {text}")
    return lines
