"""Sources: bytes of a file or a pipe become packets."""

from __future__ import annotations

from inspector.sources.opening import open_source, open_sources
from inspector.sources.source import Batch, Damage, Secrets, Source

__all__ = ["Batch", "Damage", "Secrets", "Source", "open_source", "open_sources"]
