"""What a story is: the recording, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recording.lab import Lab

VETH = "one end of a veth pair between two network namespaces, offloads off"


@dataclass(frozen=True)
class Look:
    """A packet worth looking at: the first that matches the display filter `where`.

    `{tcp.len}` in `text` becomes what tshark says of that field in that packet, so that a sentence stays true when the capture
    is recorded again. With `comment` the sentence also goes into the file, as the packet's comment.
    """

    where: str
    text: str
    comment: bool = False


@dataclass(frozen=True)
class Story:
    """One bundled capture.

    `record(lab, path)` records into `path` and returns the TLS key log to go into the file, or b"". `requires` are display
    filters that must match, with how often (None: at least once); `expect` names what is wrong on purpose.
    """

    name: str
    title: str
    teaches: str
    record: Callable[[Lab, Path], bytes]
    peers: tuple[str, ...]
    looks: tuple[Look, ...]
    requires: Mapping[str, int | None] = field(default_factory=dict)
    expect: tuple[str, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    interface: str = VETH
    vantage: str = "client"  # the end at which it is recorded
    checksums: bool = True
    losses: bool = False  # segments are lost and resent on purpose
