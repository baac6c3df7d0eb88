"""Lessons: numbered stops on the packets of a bundled capture, a question first, the answer after."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inspector.sources.bundled import bundled


class Stop(NamedTuple):
    """packet: to look at; ask, answer: the question and its answer; shows: a display filter that the packet passes, which
    proves that it shows what is asked about."""

    packet: int
    ask: str
    answer: str
    shows: str


def lesson(folder: Path, name: str, entry: Mapping[str, Any]) -> list[Stop]:
    """The stops of a capture. An answer that the file does not give is what the catalog's entry says of the packet."""
    stops = tomllib.loads((folder / "lessons.toml").read_text(encoding="utf-8")).get(name, {}).get("stops", [])
    looks = {packet["n"]: packet["look"] for packet in reversed(entry.get("packets", []))}
    return [Stop(stop["n"], stop["ask"], stop.get("answer") or looks[stop["n"]], stop["shows"]) for stop in stops]


def lesson_of(path: str) -> list[Stop]:
    """The stops of the capture in a file; none where it is not one of the bundled ones."""
    for capture in bundled():
        if capture.path.name == os.path.basename(path) and os.path.samefile(capture.path, path):
            return lesson(capture.path.parent, capture.name, capture.entry)
    return []
