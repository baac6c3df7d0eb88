"""What a filter or an assertion may ask of exchanges and findings: fields named `exchange.` and `finding.`.

In a display filter they belong to the packet that completes the exchange, and to the packets that prove the finding; in an
assertion (`osi-inspect assert`) to each exchange, the findings being those of the whole capture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspector.core.field import FieldSpec, Kind, catalog, string, u32
from inspector.core.layer import Severity
from inspector.query import syntax
from inspector.query.evaluate import Typist, fields_of, holds
from inspector.query.syntax import At, FilterError

if TYPE_CHECKING:
    from inspector.annotations.findings import Finding
    from inspector.query.evaluate import Node
    from inspector.session import Session
    from inspector.streams.exchanges import Exchange

MS = 1e6  # nanoseconds


def _real(name: str, label: str) -> FieldSpec:
    return FieldSpec(name, Kind.FLOAT, label, unit="ms")


EXCHANGE = catalog(
    u32("exchange.number", "Number of the exchange"),
    string("exchange.protocol", "Protocol of the exchange"),
    string("exchange.method", "Method of the exchange"),
    string("exchange.url", "URL of the exchange"),
    string("exchange.host", "Host of the exchange"),
    u32("exchange.status", "Status of the exchange"),
    string("exchange.type", "Media type of the response"),
    u32("exchange.stream", "TCP conversation of the exchange"),
    _real("exchange.ttfb", "Milliseconds from the whole request to the first byte of the response"),
    _real("exchange.duration", "Milliseconds from the first byte to the last"),
    _real("exchange.dns", "Milliseconds of the name lookup"),
    _real("exchange.connect", "Milliseconds of the TCP handshake"),
    _real("exchange.tls", "Milliseconds of the TLS handshake"),
    _real("exchange.send", "Milliseconds of sending"),
    _real("exchange.receive", "Milliseconds of receiving"),
    u32("exchange.size", "Bytes of the response, head and body"),
    u32("exchange.request_size", "Bytes of the request, head and body"),
    u32("exchange.items", "Events or messages inside"),
    FieldSpec("exchange.complete", Kind.BOOL, "Request and response are whole", 1),
)
FINDING = catalog(
    string("finding.code", "Code of a finding"),
    u32("finding.error", "Errors among the findings"),
    u32("finding.warn", "Warnings among the findings"),
    u32("finding.note", "Notes among the findings"),
)
FIELDS = {**EXCHANGE, **FINDING}
SEVERITIES = {
    "finding.error": Severity.ERROR, "finding.warn": Severity.WARNING, "finding.note": Severity.NOTE,
}  # fmt: skip
_PHASES = {"exchange.ttfb": "wait", **{f"exchange.{name}": name for name in ("dns", "connect", "tls", "send", "receive")}}


def of_exchange(exchange: Exchange, name: str) -> list[Any]:
    """The values of an `exchange.` field; none where the capture does not show it."""
    if name in _PHASES:
        value = getattr(exchange.phases, _PHASES[name])
        return [value / MS] if value >= 0 else []
    part = exchange.request if name == "exchange.request_size" else exchange.response
    if name in ("exchange.size", "exchange.request_size"):
        return [part.size] if part is not None else []
    simple = {
        "exchange.number": exchange.number, "exchange.protocol": exchange.protocol, "exchange.stream": exchange.stream,
        "exchange.duration": (exchange.ended - exchange.begun) / MS, "exchange.items": len(exchange.items),
    }  # fmt: skip
    if name in simple:
        return [simple[name]]
    if name == "exchange.complete":  # there or not, as flags of analysis are
        return [True] if exchange.complete else []
    known = {
        "exchange.method": exchange.method, "exchange.url": exchange.url, "exchange.host": exchange.host,
        "exchange.status": exchange.status, "exchange.type": exchange.media,
    }  # fmt: skip
    return [known[name]] if known.get(name) else []


def of_findings(findings: Sequence[Finding], name: str) -> list[Any]:
    """The values of a `finding.` field: the codes, or how many there are of a severity."""
    if name == "finding.code":
        return [finding.code for finding in findings]
    return [sum(finding.severity == SEVERITIES[name] for finding in findings)]


class Told:
    """Of each packet the exchanges that it completes and the findings that it proves, of a capture that is complete."""

    def __init__(self, session: Session, wanted: frozenset[str]) -> None:
        self.exchanges: dict[int, list[Exchange]] = {}
        self.findings: dict[int, list[Finding]] = {}
        if wanted & EXCHANGE.keys():
            for exchange in session.exchanges():
                part = exchange.response or exchange.request
                if part is not None:
                    self.exchanges.setdefault(part.complete, []).append(exchange)
        if wanted & FINDING.keys():
            for finding in session.findings():
                for packet in finding.packets:
                    self.findings.setdefault(packet, []).append(finding)

    def values(self, packet: int, name: str) -> list[Any]:
        """The values of a field in a packet."""
        if name in EXCHANGE:
            return [value for exchange in self.exchanges.get(packet, ()) for value in of_exchange(exchange, name)]
        return [value for value in of_findings(self.findings.get(packet, ()), name) if value]


class PacketTold:
    """What is told of one packet, as the tests of a filter see it."""

    def __init__(self, told: Told, packet: int) -> None:
        self._told = told
        self._packet = packet

    def values(self, name: str, layers: tuple[syntax.Range, ...] | None = None) -> list[Any]:
        return self._told.values(self._packet, name)


class Assertion:
    """A condition on every exchange of a capture and on its findings. Raises FilterError for one that means nothing."""

    def __init__(self, text: str) -> None:
        tree = syntax.parse(text)
        if tree is None:
            raise FilterError(text, "nothing is asserted", At(0, len(text)))
        try:
            self._node: Node = Typist(text, FIELDS, frozenset()).test(tree)
        except RecursionError:
            raise FilterError(text, "too deep", At(0, len(text))) from None
        self.fields = fields_of(self._node)

    @property
    def of_exchanges(self) -> bool:
        """It asks for exchanges; else for findings only."""
        return bool(self.fields & EXCHANGE.keys())

    def failing(self, session: Session) -> list[Exchange | None]:
        """The exchanges for which it does not hold; [None] where it is about findings alone and does not hold."""
        findings = session.findings() if self.fields & FINDING.keys() else []
        subjects: Sequence[Exchange | None] = session.exchanges() if self.of_exchanges else [None]
        return [one for one in subjects if not holds(self._node, _Subject(one, findings))]


class _Subject:
    """One exchange, and the findings of the capture, as the tests of a filter see them."""

    def __init__(self, exchange: Exchange | None, findings: Sequence[Finding]) -> None:
        self._exchange = exchange
        self._findings = findings

    def values(self, name: str, layers: tuple[syntax.Range, ...] | None = None) -> list[Any]:
        if name in FINDING:
            return of_findings(self._findings, name)
        return of_exchange(self._exchange, name) if self._exchange is not None else []
