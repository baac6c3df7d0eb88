"""Findings: what an expert would point out in a capture, with the packets that prove it, a cause and a cure.

A rule is a function that yields findings: of one connection's segments (`CONNECTION_RULES`), of what one conversation says
(`TALK_RULES`), or of the whole capture (`CAPTURE_RULES`). It stays silent where the evidence is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.annotations.findings import closing, database, http, http2, network, streams, tcp, tls, waiting
from inspector.annotations.findings.finding import Capture, Connection, Finding, Talk, View

CONNECTION_RULES: tuple[Callable[[Connection], Iterator[Finding]], ...] = (*tcp.RULES, *closing.RULES)
TALK_RULES: tuple[Callable[[Talk], Iterator[Finding]], ...] = (
    *streams.TALK_RULES, *http2.TALK_RULES, *database.TALK_RULES,
)  # fmt: skip
CAPTURE_RULES: tuple[Callable[[View], Iterator[Finding]], ...] = (
    *tls.RULES, *http.RULES, *waiting.RULES, *streams.RULES, *network.RULES,
)  # fmt: skip
# finding → what says the same with more knowledge, where the conversation shows it too
CONSEQUENCES = {
    "reset-after-data": frozenset({"tls-alert", "keepalive-race", "websocket-abnormal", "sse-truncated"}),
    "websocket-abnormal": frozenset({"ping-unanswered"}),
    "syn-unanswered": frozenset({"destination-unreachable", "port-unreachable"}),
    "no-tls-resumption": frozenset({"no-reuse"}),
    "rto-stall": frozenset({"path-mtu-black-hole"}),
}

__all__ = [
    "CAPTURE_RULES", "CONNECTION_RULES", "TALK_RULES", "Capture", "Connection", "Finding", "Talk", "View", "findings",
]  # fmt: skip


def findings(capture: Capture) -> list[Finding]:
    """All findings of a capture, the worst first, and in the order of their packets."""
    view = View(capture)
    found = [finding for connection in view.connections() for rule in CONNECTION_RULES for finding in rule(connection)]
    found += [finding for talk in view.talks() for rule in TALK_RULES for finding in rule(talk)]
    found += [finding for rule in CAPTURE_RULES for finding in rule(view)]
    found += view.unseen()
    seen: dict[int, set[str]] = {}
    for finding in found:
        seen.setdefault(finding.stream, set()).add(finding.code)
    found = [one for one in found if not CONSEQUENCES.get(one.code, frozenset()) & seen[one.stream]]
    worst: dict[tuple[str, int, int], Finding] = {}  # one rule may know more of an idle connection than another
    for one in found:
        key = (one.code, one.stream, one.packets[0])
        if key not in worst or one.severity > worst[key].severity:
            worst[key] = one
    sockets = {one.stream for one in view.exchanges if one.protocol == "WebSocket"}  # the server is to close (RFC 6455, 7.1.1)
    merged = [one for one in worst.values() if one.code != "closed-first"]
    merged += closing.closes([one for one in worst.values() if one.code == "closed-first" and one.stream not in sockets])
    return sorted(merged, key=lambda finding: (-finding.severity, finding.packets[0], finding.code))
