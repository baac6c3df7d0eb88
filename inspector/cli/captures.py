"""`osi-inspect captures`: the bundled captures and what each teaches."""

from __future__ import annotations

import textwrap

from inspector.cli.common import AsJson


def command(as_json: AsJson = False) -> None:
    """List the bundled captures and what each teaches."""
    from inspector.sources.bundled import bundled

    found = bundled()
    if as_json:
        import json

        print(json.dumps([{"name": c.name, "path": str(c.path), **c.entry} for c in found], indent=1, default=str))
        return
    for capture in found:
        print(f"{capture.name:22} {capture.title}")
        print(textwrap.indent(textwrap.fill(capture.teaches, 96), " " * 23))
