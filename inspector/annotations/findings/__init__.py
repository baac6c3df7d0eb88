"""Findings: what an expert would point out in a capture, with the packets that prove it, a cause and a cure.

A rule is a function that yields findings, of one connection (`CONNECTION_RULES`) or of the whole capture (`CAPTURE_RULES`). It
stays silent where the evidence is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.annotations.findings import tcp, tls
from inspector.annotations.findings.finding import Capture, Connection, Finding, View

CONNECTION_RULES: tuple[Callable[[Connection], Iterator[Finding]], ...] = tcp.RULES
CAPTURE_RULES: tuple[Callable[[View], Iterator[Finding]], ...] = tls.RULES
CONSEQUENCES = {"reset-after-data": "tls-alert"}  # finding → what explains it in the same conversation: told once

__all__ = ["CAPTURE_RULES", "CONNECTION_RULES", "Capture", "Connection", "Finding", "View", "findings"]


def findings(capture: Capture) -> list[Finding]:
    """All findings of a capture, the worst first, and in the order of their packets."""
    view = View(capture)
    found = [finding for connection in view.connections() for rule in CONNECTION_RULES for finding in rule(connection)]
    found += [finding for rule in CAPTURE_RULES for finding in rule(view)]
    seen = {(finding.code, finding.stream) for finding in found}
    found = [finding for finding in found if (CONSEQUENCES.get(finding.code), finding.stream) not in seen]
    return sorted(found, key=lambda finding: (-finding.severity, finding.packets[0], finding.code))
