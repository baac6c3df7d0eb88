"""`osi-inspect info`: what a capture holds: file, times, interfaces, protocols, endpoints."""

from __future__ import annotations

from collections import Counter
from typing import Any

from inspector.cli.common import AsJson, DecodeAs, File, Keylog, opened
from inspector.core.field import time_text
from inspector.core.text import printable


def command(file: File, as_json: AsJson = False, keylog: Keylog = None, rules: DecodeAs = None) -> None:
    """Say what a capture holds."""
    with opened(file, keylog, rules) as session:
        times = session.index.column("time_ns")
        first, last = (int(times.min()), int(times.max())) if session.count else (0, 0)
        sizes = session.index.column("wire")
        hierarchy: Counter[str] = Counter()
        endpoints: Counter[str] = Counter()
        for number in range(1, session.count + 1):
            result = session.dissect(number)
            hierarchy[":".join(dict.fromkeys(layer.protocol for layer in result.layers if not layer.quoted))] += 1
            row_ends = {
                f.text
                for layer in result.layers
                for f in layer.fields
                if f.name in ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
            }
            endpoints.update(row_ends)
        log = session.keyring.log
        facts: dict[str, Any] = {
            "file": session.title,
            "format": session.source.format,
            "size": session.source.size,
            "packets": session.count,
            "bytes": int(sizes.sum()) if session.count else 0,
            "first": time_text(first),
            "last": time_text(last),
            "seconds": (last - first) / 1e9,
            "interfaces": [
                {"name": printable(i.name), "link_type": i.link_type, "snap_length": i.snap_length} for i in session.interfaces
            ],
            "comments": [printable(text) for text in session.source.section_comments],
            "secrets": len(session.source.secrets),
            "key_log": {"secrets": log.secrets, "sessions": log.sessions, "damaged_lines": log.damaged},
            "decrypted": sum(map(session.decrypts, range(len(session.index.flows)))),
            "protocols": dict(hierarchy.most_common()),
            "endpoints": dict(endpoints.most_common(50)),
        }
        if as_json:
            import json

            print(json.dumps(facts, indent=1))
            return
        for name in ("file", "format", "size", "packets", "bytes", "first", "last", "seconds"):
            value = facts[name]
            print(f"{name.capitalize():12} {value:,}" if isinstance(value, int) else f"{name.capitalize():12} {value}")
        for interface in facts["interfaces"]:
            print(f"Interface    {interface['name'] or 'unnamed'}, link type {interface['link_type']}")
        for comment in facts["comments"]:
            print(f"Comment      {comment}")
        if facts["secrets"]:
            print(f"Secrets      {facts['secrets']} block(s) of keys for decryption")
        if log.secrets or log.damaged:
            damage = f", {log.damaged:,} damaged lines passed over" if log.damaged else ""
            print(f"Key log      {log.secrets:,} secrets of {log.sessions:,} sessions{damage}")
            print(f"Decrypted    {facts['decrypted']:,} of {len(session.index.flows):,} conversations")
        print("Protocols")
        for name, count in facts["protocols"].items():
            print(f"  {count:>8,}  {name.replace(':', ' › ')}")
        print("Endpoints")
        for name, count in facts["endpoints"].items():
            print(f"  {count:>8,}  {name}")
