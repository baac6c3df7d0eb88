"""`captures/catalog.toml`: what is said about each bundled capture."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recording import tshark
from recording.lab import RecordingError
from recording.story import Story

HEAD = """\
# The bundled captures, in the order in which the home screen shows them. Written by scripts/record_captures.py: the sentences
# stand in scripts/recording/stories, the numbers are what tshark says of the recordings.
"""
LAYERS = ("arp", "icmp", "icmpv6", "dns", "tls", "http", "http2", "grpc", "websocket")
PLACE = re.compile(r"\{([a-z0-9_.]+)\}")
LONG_FRACTION = re.compile(r"\d+\.\d{6,}")  # seconds with all of their nanoseconds


def looks(story: Story, path: Path) -> list[tuple[int, str, bool]]:
    """The packets worth looking at: number, sentence, and whether it becomes the packet's comment; in packet order."""
    found = []
    for look in story.looks:
        matching = tshark.numbers(path, look.where)
        if not matching:
            raise RecordingError(f"{story.name}: no packet matches {look.where!r}; record it again, or correct the story")
        names = sorted(set(PLACE.findall(look.text)))
        values = tshark.values(path, matching[0], names) if names else {}
        values = {name: f"{float(value):.3g}" if LONG_FRACTION.fullmatch(value) else value for name, value in values.items()}
        if missing := [name for name in names if not values[name]]:
            raise RecordingError(f"{story.name}: packet {matching[0]} has no {', '.join(missing)}")
        text = PLACE.sub(lambda place, values=values: values[place[1]], look.text)
        found.append((matching[0], text, look.comment))
    return sorted(found)


def check(story: Story, path: Path) -> None:
    """`RecordingError` unless the recording is what the story says: nothing lost or resent, checksums right, all it needs."""
    wrong = {"_ws.malformed": "malformed packets"}
    if not story.losses:
        lost = "tcp.analysis.retransmission || tcp.analysis.lost_segment || tcp.analysis.out_of_order"
        wrong[lost] = "resent or lost segments"
    if story.checksums:
        wrong["tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0"] = "wrong checksums"
    for where, what in wrong.items():
        if bad := tshark.numbers(path, where):
            raise RecordingError(f"{story.name}: {what} in packets {bad}; record it again")
    for where, count in story.requires.items():
        matching = len(tshark.numbers(path, where))
        if (not matching) if count is None else matching != count:
            wanted = "at least one" if count is None else count
            raise RecordingError(f"{story.name}: {matching} packets match {where!r}, not {wanted}")


def entry(story: Story, path: Path, peers: list[str]) -> dict[str, Any]:
    return {
        "title": story.title,
        "teaches": " ".join(story.teaches.split()),
        "vantage": story.vantage,
        "peers": peers,
        "packets": [{"n": number, "look": text} for number, text, _ in looks(story, path)],
        "expect": list(story.expect),
        "facts": {
            "packets": len(tshark.numbers(path, "frame")),
            "tcp_conversations": tshark.streams(path, "tcp"),
            "udp_conversations": tshark.streams(path, "udp"),
            **tshark.layers(path, LAYERS),
            **story.facts,
        },
    }


def read(path: Path) -> dict[str, dict[str, Any]]:
    return tomllib.loads(path.read_text()) if path.exists() else {}


def write(path: Path, entries: dict[str, dict[str, Any]], order: Iterable[str]) -> None:
    tables = [table(name, entries[name]) for name in order if name in entries]
    path.write_text("\n".join([HEAD, *tables]))


def table(name: str, entry: dict[str, Any]) -> str:
    lines = [f"[{name}]"]
    for key, value in entry.items():
        if isinstance(value, list) and value:
            lines += [f"{key} = [", *(f"    {toml(item)}," for item in value), "]"]
        else:
            lines.append(f"{key} = {toml(value)}")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value in one line of TOML; JSON's strings and numbers are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
