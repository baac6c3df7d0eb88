"""The files that were opened last: kept in the user's state folder, readable by the user alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

KEPT = 12  # files remembered


def _path() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "osi-inspect" / "recent.json"


def recent_files() -> list[str]:
    """Paths that still exist, the latest first."""
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [path for path in found if isinstance(path, str) and os.path.isfile(path)] if isinstance(found, list) else []


def remember(path: str) -> None:
    """Put a file on top of the list; a state folder that cannot be written is no reason to stop."""
    full = os.path.abspath(path)
    paths = [full, *(other for other in recent_files() if other != full)][:KEPT]
    with suppress(OSError):
        target = _path()
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(paths, file)
