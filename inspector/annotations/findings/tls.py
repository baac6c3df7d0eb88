"""Findings about TLS: alerts, handshakes that cost a round trip more, sessions not resumed, HTTP/2 offered and not chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.annotations.findings.finding import Capture, Finding, View
from inspector.core.layer import Layer, Severity
from inspector.core.stream import Pdu
from inspector.protocols.tls.names import ALERTS
from inspector.protocols.tls.wire import HELLO_RETRY, Content

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
WARNING = 1  # the level of an alert after which the connection goes on
SHORT_RECORD = 96  # bytes: a header of 5, an IV and a block of 16 each, and a MAC of 48 (AES-CBC, SHA-384): an alert is two
CURES = {
    40: "compare versions, cipher suites and groups of both sides: nothing suits both; before TLS 1.3 also"
    " for want of a client certificate",
    42: "the certificate is damaged, or, as some libraries say it, made for another name: issue one that fits",
    43: "the certificate's kind is not supported by who refuses it: use another key type",
    44: "the certificate was revoked: get a new one",
    45: "renew the certificate, or correct the clock of who refuses it",
    46: "who sends the alert refuses the certificate for a reason of its own: look into its log",
    48: "let who sends the alert trust the issuing authority, and the other side send its whole chain",
    70: "allow a version that both sides speak",
    71: "allow stronger parameters on the weaker side",
    80: "look into the log of who sends the alert: it failed in itself",
    86: "the client fell back to an older version: find out why its first attempt failed",
    112: "ask for the name that the server serves, or configure that name (SNI)",
    116: "give the client a certificate: the server asks for one",
    120: "agree on an application protocol: ALPN offers nothing that the server speaks",
}


class Hello(NamedTuple):
    """What the handshake of one connection shows. hellos: the packets of its ClientHellos; group: the
    HelloRetryRequest names one; 0 and "": not seen."""

    flow: int
    client: int
    name: str
    hellos: tuple[int, ...]
    retry: int
    group: bool
    server_hello: int
    certificate: int
    ticket: int
    offered: frozenset[str]
    chosen: str


def alerts(view: View) -> Iterator[Finding]:
    """Fatal alerts: who rejects what. close_notify and user_canceled are no errors (RFC 8446, 6.1), and warnings end
    nothing (RFC 5246, 7.2); TLS 1.3 sends every error as fatal (RFC 8446, 6)."""
    for flow, pdus in _tls(view):
        for pdu in pdus:
            if pdu.protocol != "tls" or pdu.span.size > SHORT_RECORD:
                continue
            if _first(pdu) not in (Content.ALERT, Content.APPLICATION_DATA):
                continue
            for layer in view.capture.unit(pdu).layers:
                code = layer.value("tls.alert_message.desc")
                if code in (None, 0, 90) or layer.value("tls.alert_message.level") == WARNING:
                    continue
                who = "the client" if pdu.direction == pdu.node.client else "the server"
                name = ALERTS.get(code, "unknown")
                cause = f"{who} ends the TLS connection: alert {name} ({code})"
                cure = CURES.get(code, f"look into the log of {who}: it says more than the alert")
                stream = int(view.capture.index.flows.stream[flow])
                yield Finding("tls-alert", Severity.ERROR, (pdu.packet,), stream, cause, cure, "RFC 8446, 6.2")


def handshakes(view: View) -> Iterator[Finding]:
    """What the handshakes say: a second ClientHello, a protocol offered and not chosen, tickets that are not used."""
    streams = view.capture.index.flows.stream
    earlier: dict[tuple[bytes, bytes, int, str], Hello] = {}
    for hello in _handshakes(view):
        stream = int(streams[hello.flow])
        if hello.retry:
            cause = "the client guessed a key share that the server does not want: HelloRetryRequest, one round trip more"
            cure = "let the client send a key share for the group that the server prefers"
            if not hello.group:
                cause = "the server wants its cookie back before it goes on: HelloRetryRequest, one round trip more"
                cure = "nothing, where the server keeps off forged addresses in this way"
            packets = (hello.retry, *hello.hellos)
            yield Finding("hello-retry", Severity.NOTE, packets, stream, cause, cure, "RFC 8446, 4.1.4")
        if "h2" in hello.offered and hello.chosen.startswith("http/1"):
            cause = f"the client offered h2, the server chose {hello.chosen}: one request at a time on each connection"
            cure = "switch HTTP/2 on at the server, if it can"
            yield Finding("alpn-downgrade", Severity.NOTE, hello.hellos, stream, cause, cure, "RFC 7301, 3.2")
        addresses = view.capture.index.flows.addresses(hello.flow)
        port = int(view.capture.index.flows.dport(hello.flow))
        key = (addresses[0], addresses[1], port, hello.name)
        before = earlier.get(key)
        if before is not None and before.ticket and hello.certificate and before.ticket < hello.hellos[0]:
            cause = f"a full handshake again, although the server gave a ticket before (packet {before.ticket})"
            cure = "let the client keep its sessions over connections: one context for all of them"
            packets = (hello.certificate, before.ticket)
            yield Finding("no-tls-resumption", Severity.NOTE, packets, stream, cause, cure, "RFC 8446, 2.2")
        earlier[key] = hello


def _tls(view: View) -> Iterator[tuple[int, list[Pdu]]]:
    """The flows that speak TLS, with the units of their trees, in packet order."""
    capture = view.capture
    for flow in view.carrying:
        if capture.client_random(flow) is not None:
            tree = capture.conversation(flow).tree
            yield flow, [pdu for packet in sorted(tree.pdus) for pdu in tree.pdus[packet]]


def _handshakes(view: View) -> Iterator[Hello]:
    for flow, pdus in _tls(view):
        hello = _read(view.capture, flow, [pdu for pdu in pdus if pdu.protocol == "tls.handshake"])
        if hello.hellos:
            yield hello


def _read(capture: Capture, flow: int, messages: list[Pdu]) -> Hello:
    hellos: list[int] = []
    name, chosen, offered = "", "", frozenset[str]()
    retry = server_hello = certificate = ticket = client = 0
    group = False
    for pdu in messages:
        kind = _first(pdu)
        if kind == CLIENT_HELLO:
            layer = capture.unit(pdu).layers[0]
            hellos.append(pdu.packet)
            client = pdu.direction
            name = layer.value("tls.handshake.extensions_server_name", "")
            offered = frozenset(_values(layer, "tls.handshake.extensions_alpn_str"))
        elif kind in (SERVER_HELLO, ENCRYPTED_EXTENSIONS):
            layer = capture.unit(pdu).layers[0]
            if layer.value("tls.handshake.random") == HELLO_RETRY:
                retry = pdu.packet
                group = layer.find("tls.handshake.extensions_key_share_selected_group") is not None
            elif kind == SERVER_HELLO:
                server_hello = pdu.packet
            chosen = next(iter(_values(layer, "tls.handshake.extensions_alpn_str")), chosen)
        elif kind == CERTIFICATE and pdu.direction != client:
            certificate = certificate or pdu.packet
        elif kind == NEW_SESSION_TICKET:
            ticket = ticket or pdu.packet
    return Hello(flow, client, name, tuple(hellos), retry, group, server_hello, certificate, ticket, offered, chosen)


def _first(pdu: Pdu) -> int:
    """A unit's first byte: the content type of a record, the type of a message; -1 where it was not captured."""
    return next(iter(pdu.span.buffer.read(pdu.span.start, pdu.span.start + 1)), -1)


def _values(layer: Layer, name: str) -> list[str]:
    return [str(field.value) for field in layer.walk() if field.name == name]


RULES = (alerts, handshakes)
