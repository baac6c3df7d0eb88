"""`osi-inspect flows`: the conversations of a capture, from the columns."""

from __future__ import annotations

from typing import Any

from inspector.cli.common import AsJson, Files, Keylog, Passing, opened, passing


def command(files: Files, filter_: Passing = None, as_json: AsJson = False, keylog: Keylog = None) -> None:
    """List the TCP and UDP conversations."""
    from inspector.export.rows import flow_rows

    with opened(files, keylog) as session:
        rows: list[dict[str, Any]] = flow_rows(session)
        wanted = passing(session, filter_)
        if wanted is not None:
            kept = set(session.index.column("flow")[wanted.matches(session) - 1].tolist())
            rows = [row for row in rows if row["flow"] in kept]
        if as_json:
            import json

            print("\n".join(json.dumps(row) for row in rows))
            return
        lines = [
            f"{row['protocol']:4} {row['stream']:>6}  {row['client']:>28} → {row['server']:<28}"
            f" {row['packets_sent']:>8,} → {row['packets_received']:<8,}"
            f" {row['bytes_sent']:>12,} → {row['bytes_received']:<12,}"
            f" {row['duration']:.6f} s{'  decrypted' if row['decrypted'] else ''}"
            for row in rows
        ]
        nothing = "no TCP or UDP conversation in this capture" if wanted is None else "no conversation has a packet that passes"
        print("\n".join(lines) if lines else nothing)
