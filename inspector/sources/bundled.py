"""The captures that come with the program, and how a capture is named: by its path, or as one of these."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inspector.core.errors import InspectError


class Bundled(NamedTuple):
    """A capture that comes with the program."""

    name: str
    path: Path
    title: str
    teaches: str
    entry: Mapping[str, Any]


def captures_folder() -> Path:
    """Where the bundled captures are: beside the package in a checkout, inside it in an installation."""
    here = Path(__file__).resolve().parent.parent
    inside = here / "captures"
    return inside if inside.is_dir() else here.parent / "captures"


def bundled() -> list[Bundled]:
    """The captures that come with the program, in the order of their catalog."""
    import tomllib

    folder = captures_folder()
    try:
        catalog = tomllib.loads((folder / "catalog.toml").read_text(encoding="utf-8"))
    except OSError:
        return []
    return [
        Bundled(name, folder / f"{name}.pcapng", entry.get("title", name), entry.get("teaches", ""), entry)
        for name, entry in catalog.items()
        if (folder / f"{name}.pcapng").is_file()
    ]


def resolve(source: str) -> str:
    """The path of a capture that is given by its path or by the name of a bundled one."""
    if os.path.exists(source):
        return source
    name = source.removesuffix(".pcapng")
    path = captures_folder() / f"{name}.pcapng"
    if name == os.path.basename(name) and path.is_file():
        return str(path)
    if os.sep not in source and "." not in source:
        from difflib import get_close_matches

        names = [capture.name for capture in bundled()]
        near = get_close_matches(source, names, 1)
        hint = f"; did you mean {near[0]}?" if near else "; `osi-inspect captures` lists the bundled ones"
        raise InspectError(f"{source}: no such file, and no bundled capture has that name{hint}")
    raise InspectError(f"{source}: no such file")
