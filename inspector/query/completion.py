"""What may come next in a filter that is being typed."""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector.core.field import FieldSpec, Kind
from inspector.dissection.registry import Registry

MAX_COMPLETIONS = 50
_WORD = re.compile(r'[A-Za-z0-9_.:-]*$|"[^"]*$')
_COMPARED = re.compile(
    r"([A-Za-z0-9_.-]+)\s*(?:===?|!==?|~=|>=|<=|>|<|\b(?:eq|ne|gt|ge|lt|le|any_eq|all_eq|any_ne|all_ne)\b"
    r"|\bin\s*\{(?:[^{}]*[,\s])?)\s*$"
)


class Completion(NamedTuple):
    """`text` may stand in the place of the filter's characters from `start` on; label: what it means."""

    text: str
    label: str
    start: int


def completions(text: str, registry: Registry) -> list[Completion]:
    """Field names, protocols and values that continue a filter, typed as far as `text`; the likeliest first."""
    from inspector.query import catalog

    found = _WORD.search(text)
    assert found is not None
    typed, start = found.group(), found.start()
    before = text[:start]
    fields = catalog.filterable(registry)
    compared = _COMPARED.search(before)
    if compared is not None and compared.group(1) in fields:
        return [Completion(value, label, start) for value, label in _values(fields[compared.group(1)], typed)]
    if typed.startswith('"'):
        return []
    return [Completion(name, label, start) for name, label in _names(typed, fields, registry)][:MAX_COMPLETIONS]


def _names(typed: str, fields: dict[str, FieldSpec], registry: Registry) -> list[tuple[str, str]]:
    """Names that begin with what was typed, protocols and short names first; where none does, names that contain it."""
    known = {name: spec.label for name, spec in fields.items()}
    known |= {name: protocol.title for name, protocol in registry.protocols.items()}
    known["frame"] = "The whole packet"
    wanted = typed.lower()
    matching = [name for name in known if name.startswith(wanted)] or [name for name in known if wanted in name]
    matching.sort(key=lambda name: (name.count("."), name))
    return [(name, known[name]) for name in matching if name != typed]


def _values(spec: FieldSpec, typed: str) -> list[tuple[str, str]]:
    wanted = typed.strip('"').lower()
    if spec.kind is Kind.BOOL:
        found = [("1", "set"), ("0", "not set")]
    else:
        found = [(str(value), word) for value, word in sorted((spec.values or {}).items())]
    return [pair for pair in found if pair[0].startswith(wanted) or pair[1].lower().startswith(wanted)][:MAX_COMPLETIONS]
