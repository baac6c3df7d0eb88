"""`osi-inspect walk`: a message down the sender's stack and up the receiver's."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Proto, WithSecrets, opened, packet_numbers, told, write_lines
from inspector.core.text import printable


def command(
    files: Files,
    numbers: Annotated[str, typer.Option("-n", metavar="7|3-9", help="The packets whose messages walk.")] = "1",
    as_json: AsJson = False,
    secrets: WithSecrets = False,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Walk a message down seven layers, and up again."""
    from inspector.annotations.walk import lines, walk

    with opened(files, keylog, rules, proto) as session:
        for number in packet_numbers(numbers, session.count):
            found = walk(session, number)
            if as_json:
                record = {**found._asdict(), "message": printable(found.message)}
                record["stages"] = [
                    {**stage._asdict(), "spans": [(at.buffer.id, at.start, at.stop) for at in stage.spans]}
                    for stage in found.stages
                ]
                write_lines([json.dumps(told(record, secrets))])
            else:
                write_lines(told(printable(line), secrets) for line in lines(found))
