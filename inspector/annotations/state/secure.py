"""What both ends of a TLS connection remember at a packet (RFC 8446; RFC 5246)."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.annotations.state.fact import BOTH, CLIENT, SERVER, Fact
from inspector.annotations.story.secure import SERVER_HELLO, TICKET, TLS13, agreed, messages
from inspector.annotations.story.step import Narrated
from inspector.core.layer import Layer
from inspector.core.text import counted, printable
from inspector.streams.conversation import Conversation


def tls(capture: Narrated, conversation: Conversation, client: int, number: int) -> Iterator[Fact]:
    """The session as far as it is agreed on, which keys protect what, and the tickets that the client holds."""
    found = messages(capture, conversation)
    session = agreed(found, number)
    hellos = [message.pdu.packet for message in found if message.kind == SERVER_HELLO and message.pdu.packet <= number]
    packet = hellos[-1] if hellos else 0
    retried = session.retried and len(hellos) == 1  # a HelloRetryRequest, and no answer to the second hello yet
    if not hellos:
        begun = any(message.pdu.packet <= number for message in found)
        if begun:
            yield Fact(5, "TLS", BOTH, "session", "offered by the client, not agreed yet", 0, "RFC 8446, 4.1.1")
    else:
        reference = "RFC 8446, 4.1.3" if session.version >= TLS13 else "RFC 5246, 7.4.1.3"
        yield Fact(5, "TLS", BOTH, "version", session.version_text, packet, reference)
        yield Fact(5, "TLS", BOTH, "cipher suite", session.suite, packet, reference)
        if retried:
            yield Fact(5, "TLS", BOTH, "session", "the server wants another hello first", packet, "RFC 8446, 4.1.4")
        if session.group:
            where = "RFC 8446, 4.2.8" if session.version >= TLS13 else "RFC 8422, 5.4"
            yield Fact(5, "TLS", BOTH, "key exchange", session.group, packet, where)
        if not retried:
            resumed = "resumed from an earlier one" if session.resumed else "a new one"
            where = "RFC 8446, 2.2" if session.version >= TLS13 else "RFC 5246, 7.3"
            yield Fact(5, "TLS", BOTH, "session", resumed, packet, where)
        if session.alpn:
            yield Fact(5, "TLS", BOTH, "protocol inside", printable(session.alpn, 40), packet, "RFC 7301, 3.2")
    yield from _keys(capture, conversation, client, number, session.version)
    tickets = [message for message in found if message.kind == TICKET and message.pdu.packet <= number]
    if tickets:
        lives = {int(message.layer.value("tls.handshake.session_ticket_lifetime_hint", 0)) for message in tickets}
        modern = session.version >= TLS13
        spans = [counted(life, "second") for life in sorted(lives - {0})]
        text = counted(len(tickets), "ticket")
        if spans:
            text += f", for {', '.join(spans)} {'at most' if modern else '(a hint, no promise)'}"
        else:  # TLS 1.2 leaves it open, TLS 1.3 takes the ticket back
            text += ", to be thrown away (a lifetime of 0)" if modern else ", for how long is not said"
        reference = "RFC 8446, 4.6.1" if modern else "RFC 5077, 3.3"
        yield Fact(5, "TLS", CLIENT, "tickets for later connections", text, tickets[-1].pdu.packet, reference)


def _keys(capture: Narrated, conversation: Conversation, client: int, number: int, version: int) -> Iterator[Fact]:
    """What the last record of each direction was protected with."""
    last: dict[int, tuple[int, str]] = {}
    for packet in sorted(conversation.tree.pdus):
        if packet > number:
            break
        for pdu in conversation.tree.pdus[packet]:
            if pdu.protocol == "tls":
                last[pdu.direction] = packet, _protection(capture.unit(pdu).layers[0], bool(pdu.info.get("encrypted")))
    for direction, (packet, text) in sorted(last.items()):
        sender = CLIENT if direction == client else SERVER
        reference = "RFC 8446, 5.1 and 5.2" if not version or version >= TLS13 else "RFC 5246, 6.2"
        yield Fact(6, "TLS records", sender, "protects what it sends with", text, packet, reference)


def _protection(layer: Layer, encrypted: bool) -> str:
    known = layer.value("tls.record.protection")
    if known:
        number = layer.value("tls.record.sequence")
        return f"{known}; this is record {number:,} under them" if number is not None else str(known)
    return "keys that are not known here" if encrypted or layer.find("tls.record.not_decrypted") else "nothing: it is in clear"
