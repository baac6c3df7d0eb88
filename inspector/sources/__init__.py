"""Sources: bytes of a file or a pipe become packets."""

from __future__ import annotations

from inspector.sources.source import Batch, Damage, Secrets, Source, open_source

__all__ = ["Batch", "Damage", "Secrets", "Source", "open_source"]
