"""Every finding beside a capture of real programs that shows it, and one that looks like it and must stay silent.

Captures are bundled ones, or those of `faults`, which scripts/record_captures.py --faults records.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from inspector.annotations import findings
from inspector.core.layer import Severity
from inspector.session import open_session

FAULTS = Path(__file__).parent / "faults"
TABLE = {  # finding: (what shows it, what must not)
    "address-family-fallback": ("faults/address-family-fallback", "http-keepalive"),  # IPv6 answers
    "alpn-downgrade": ("faults/no-tls-resumption", "https-http2-multiplex"),
    "boundaries": ("sse", "sse-cut"),
    "chatty-polling": ("short-polling", "long-polling"),
    "closed-first": ("http1-pipelining", "http-get"),  # the client, once
    "connection-refused": ("tcp-refused", "tcp-reset"),
    "cookie-affinity": ("faults/cookie-affinity", "cookie-session"),  # one server
    "destination-unreachable": ("faults/destination-unreachable", "dns-udp"),  # a port
    "dns-retried": ("faults/dns-retried", "dns-udp"),  # again over TCP
    "expired-token": ("jwt", "cookie-session"),  # 401 without a token
    "fast-recovery": ("tcp-loss", "tcp-zero-window"),
    "flow-control-stall": ("faults/flow-control-stall", "https-http2-multiplex"),
    "goaway": ("faults/flow-control-stall", "https-http2-multiplex"),
    "grpc-status": ("grpc-streams", "faults/grpc-status-missing"),
    "grpc-status-missing": ("faults/grpc-status-missing", "grpc-streams"),
    "hello-retry": ("tls13-hello-retry", "https-tls13"),
    "idle-cutoff": ("faults/idle-cutoff", "keepalive-race"),  # two seconds are nobody's time-out
    "idle-in-transaction": ("faults/idle-in-transaction", "faults/transaction-in-time"),
    "keepalive-race": ("keepalive-race", "faults/idle-cutoff"),  # the client has seen the FIN
    "nagle-delayed-ack": ("nagle-delayed-ack", "http-post-json"),  # head and body apart, and nobody waits
    "no-reuse": ("faults/no-reuse", "http-keepalive"),
    "no-tls-resumption": ("faults/no-tls-resumption", "tls13-resumption"),
    "path-mtu": ("faults/path-mtu", "tcp-loss"),
    "path-mtu-black-hole": ("faults/path-mtu-black-hole", "faults/path-mtu"),
    "ping-unanswered": ("faults/ping-unanswered", "websocket-chat"),
    "port-unreachable": ("dns-udp", "tcp-refused"),
    "reset-after-data": ("tcp-reset", "tls13-resumption"),  # a reset behind FIN
    "rst-stream": ("faults/flow-control-stall", "https-http2-multiplex"),
    "rto-stall": ("tcp-loss", "tcp-zero-window"),  # probes are no resends
    "six-connection-queue": ("faults/six-connection-queue", "http1-six-connections"),  # six, and no seventh request
    "slow-response": ("slow-server", "long-polling"),
    "slow-dns": ("faults/slow-dns", "slow-server"),
    "sse-buffered": ("sse-buffered-by-proxy", "sse"),  # three events written together
    "sse-truncated": ("sse-cut", "sse"),
    "syn-unanswered": ("faults/syn-unanswered", "tcp-refused"),
    "tls-alert": ("tls-bad-certificate", "https-tls13"),  # close_notify
    "websocket-abnormal": ("faults/websocket-abnormal", "websocket-chat"),
    "window-limited": ("faults/window-limited", "tcp-loss"),
    "zero-window": ("tcp-zero-window", "faults/window-limited"),
}
ALSO = {  # what else is wrong in a recorded fault, rightly
    "faults/cookie-affinity": {"no-reuse"},  # the balancer opens a connection to its servers for each request
}


def codes() -> Iterator[str]:
    """The codes that the rules can give: the first argument of what makes a finding, or what is assigned to it."""
    for path in Path(findings.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("Finding", "finding") and isinstance(node.args[0], ast.Constant):
                    yield str(node.args[0].value)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp) and ast.unparse(node.targets[0]) == "code":
                either = (node.value.body, node.value.orelse)
                yield from (str(value.value) for value in either if isinstance(value, ast.Constant))


@cache
def found(name: str) -> dict[str, Severity]:
    session = open_session(str(FAULTS / f"{name.partition('/')[2]}.pcapng") if name.startswith("faults/") else name)
    try:
        return {finding.code: finding.severity for finding in reversed(session.findings())}
    finally:
        session.close()


def test_every_finding_is_in_the_table() -> None:
    assert set(codes()) == {*TABLE, "not-looked-at"}  # which is about the rules, and shows in captures of any kind
    assert {f"faults/{path.stem}" for path in FAULTS.glob("*.pcapng")} <= {name for row in TABLE.values() for name in row}


@pytest.mark.parametrize("code", TABLE)
def test_a_finding_is_made_where_the_fault_is_and_not_where_it_only_seems_to_be(code: str) -> None:
    shows, silent = TABLE[code]
    assert code in found(shows)
    assert code not in found(silent)


@pytest.mark.parametrize("name", sorted({row[0] for row in TABLE.values() if row[0].startswith("faults/")}))
def test_a_fault_is_told_once(name: str) -> None:
    """Nothing else is called wrong in the capture of a fault."""
    expected = {code for code, (shows, _) in TABLE.items() if shows == name} | ALSO.get(name, set())
    assert {code for code, severity in found(name).items() if severity >= Severity.WARNING} <= expected
