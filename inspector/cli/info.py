"""`osi-inspect info`: what a capture holds: file, times, interfaces, the hierarchy of protocols, endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inspector.cli.common import AsJson, DecodeAs, Files, Keylog, Proto, opened, seconds, write_lines
from inspector.core.field import time_text
from inspector.core.text import printable

if TYPE_CHECKING:
    from inspector.session import Session

ENDPOINTS = 50  # lines of text; --json has them all


def command(files: Files, as_json: AsJson = False, keylog: Keylog = None, rules: DecodeAs = None, proto: Proto = None) -> None:
    """Say what a capture holds."""
    with opened(files, keylog, rules, proto) as session:
        facts = as_object(session)
        if as_json:
            import json

            write_lines([json.dumps(facts, indent=1)])
        else:
            write_lines(as_text(facts))


def as_object(session: Session) -> dict[str, Any]:
    """The facts, for programs: `protocols` nest as the layers do, `endpoints` come busiest first."""
    from inspector.export.summary import hierarchy

    times = session.index.column("time_ns")
    first, last = (int(times.min()), int(times.max())) if session.count else (0, 0)
    protocols, ends, assumed = hierarchy(session)
    log, flows = session.keyring.log, range(len(session.index.flows))
    links = session.registry.tables["link"]
    return {
        "file": printable(session.title),
        "format": session.source.format,
        "size": session.source.size,
        "packets": session.count,
        "bytes": int(session.index.column("wire").sum()),
        "first": time_text(first) if session.count else None,
        "last": time_text(last) if session.count else None,
        "seconds": seconds(last - first),
        "interfaces": [
            {
                "name": printable(one.name),
                "link_type": one.link_type,
                "link": links[one.link_type].title if one.link_type in links else None,
                "snap_length": one.snap_length,
            }
            for one in session.interfaces
        ],
        "comments": [printable(text) for text in session.source.section_comments],
        "secrets": len(session.source.secrets),
        "key_log": {"secrets": log.secrets, "sessions": log.sessions, "damaged_lines": log.damaged},
        "conversations": len(flows),
        "decrypted": sum(map(session.decrypts, flows)),
        "protocols": {name: level.as_object() for name, level in protocols.items()},
        "bodies_taken_for_the_first_of_their_type": assumed,
        "endpoints": [{"address": address, **vars(end)} for address, end in ends.items()],
    }


def as_text(facts: dict[str, Any]) -> Iterator[str]:
    for name in ("file", "format", "size", "packets", "bytes", "first", "last", "seconds"):
        value = facts[name]
        if value is not None:
            yield f"{name.capitalize():12} {value:,}" if isinstance(value, int) else f"{name.capitalize():12} {value}"
    for interface in facts["interfaces"]:
        number = f"link type {interface['link_type']}"
        link = f"{interface['link']} ({number})" if interface["link"] else number
        yield f"Interface    {interface['name'] or 'unnamed'}, {link}"
    for comment in facts["comments"]:
        yield f"Comment      {comment}"
    if facts["secrets"]:
        yield f"Secrets      {facts['secrets']} block(s) of keys for decryption"
    log = facts["key_log"]
    if log["secrets"] or log["damaged_lines"]:
        damage = f", {log['damaged_lines']:,} damaged lines passed over" if log["damaged_lines"] else ""
        yield f"Key log      {log['secrets']:,} secrets of {log['sessions']:,} sessions{damage}"
        yield f"Decrypted    {facts['decrypted']:,} of {facts['conversations']:,} conversations"
    yield f"{'Protocols':30} {'packets':>10} {'bytes':>14}"
    yield from _levels(facts["protocols"], 1)
    assumed = facts["bodies_taken_for_the_first_of_their_type"]
    if assumed:
        yield f"  What {assumed:,} HTTP bodies hold is taken from the first one of their Content-Type."
    ends = facts["endpoints"]
    yield f"{'Endpoints':40} {'packets sent':>14} {'received':>10} {'bytes sent':>14} {'received':>14}"
    for end in ends[:ENDPOINTS]:
        yield (
            f"  {end['address']:38} {end['packets_sent']:>14,} {end['packets_received']:>10,}"
            f" {end['bytes_sent']:>14,} {end['bytes_received']:>14,}"
        )
    if len(ends) > ENDPOINTS:
        yield f"  … and {len(ends) - ENDPOINTS:,} more; --json has them all"


def _levels(levels: dict[str, Any], depth: int) -> Iterator[str]:
    for name, level in levels.items():
        yield f"{'  ' * depth + name:30} {level['packets']:>10,} {level['bytes']:>14,}"
        yield from _levels(level.get("inside", {}), depth + 1)
