"""`osi-inspect flows`: the conversations of a capture, from the columns."""

from __future__ import annotations

from typing import Any

from inspector.cli.common import AsJson, Files, Keylog, Passing, opened, passing, write_lines


def command(files: Files, filter_: Passing = None, as_json: AsJson = False, keylog: Keylog = None) -> None:
    """List the TCP and UDP conversations."""
    from inspector.export.rows import flow_rows

    with opened(files, keylog) as session:
        passed, wanted = passing(session, filter_), None
        if passed is not None:
            wanted = set(session.index.column("flow")[passed.matches(session) - 1].tolist()) - {-1}
        rows = flow_rows(session, wanted)
        if as_json:
            import json

            write_lines(map(json.dumps, rows))
        elif wanted or (wanted is None and len(session.index.flows)):
            write_lines(map(_line, rows))
        else:
            print(
                f"no {'TCP or UDP conversation in this capture' if wanted is None else 'conversation has a packet that passes'}"
            )


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['protocol']:4} {row['stream']:>6}  {row['client']:>28} → {row['server']:<28}"
        f" {row['packets_sent']:>8,} → {row['packets_received']:<8,}"
        f" {row['bytes_sent']:>12,} → {row['bytes_received']:<12,}"
        f" {row['duration']:.6f} s{'  decrypted' if row['decrypted'] else ''}"
    )
