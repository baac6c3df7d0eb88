"""DNS over UDP, and where UDP is not enough."""

from __future__ import annotations

from pathlib import Path

from recording.lab import WEB4, Lab
from recording.story import Story

QUESTIONS = (
    ("www.example.test", "A"),
    ("shop.example.test", "A"),
    ("static.example.test", "AAAA"),
    ("example.test", "MX"),
    ("_imaps._tcp.example.test", "SRV"),
    ("www.example.test", "HTTPS"),
    ("-x", "192.0.2.80"),
    ("mail.example.test", "AAAA"),
    ("wwww.example.test", "A"),
    ("+bufsize=512", "policy.example.test", "TXT"),
)


def lookups(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    with lab.capture(path):
        for question in QUESTIONS:
            lab.run("dig", *question)
        lab.run("dig", f"@{WEB4}", "+tries=1", "www.example.test", "A", status=9)  # dig: no reply from a server
    return b""


STORIES = (Story("dns-udp", "t", "t", lookups, ("dig", "unbound"), ()),)
