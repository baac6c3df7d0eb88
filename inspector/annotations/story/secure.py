"""The TLS handshake of a connection, message by message, and what stays unreadable (RFC 8446, RFC 5246)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.annotations.findings.tls import SHORT_RECORD
from inspector.annotations.story.step import Narrated, Step, duration, listed, sentence, step
from inspector.annotations.story.transport import Ends
from inspector.core.field import Field
from inspector.core.layer import Layer
from inspector.core.stream import Pdu
from inspector.core.text import counted
from inspector.protocols.tls.cipher_suites import SIGNALS
from inspector.protocols.tls.extensions import grease
from inspector.protocols.tls.names import ALERTS
from inspector.protocols.tls.wire import HELLO_RETRY, Content
from inspector.streams.conversation import Conversation

HELLO, SERVER_HELLO, TICKET, EXTENSIONS, CERTIFICATE, KEY_EXCHANGE, FINISHED = 1, 2, 4, 8, 11, 12, 20
TLS12, TLS13 = 0x0303, 0x0304
CLOSE_NOTIFY, WARNING = 0, 1  # an alert, and the level of one after which the connection goes on (RFC 5246, 7.2)


class Message(NamedTuple):
    """A handshake message. kind: its type."""

    pdu: Pdu
    kind: int
    layer: Layer


class Session(NamedTuple):
    """What a handshake agreed on, as far as it can be read; "" and 0 for what cannot."""

    version: int
    version_text: str
    suite: str
    group: str
    alpn: str
    name: str
    resumed: bool
    retried: bool
    tickets: int


def messages(capture: Narrated, conversation: Conversation) -> list[Message]:
    """The handshake messages that can be read, in the order of their packets."""
    found = []
    for packet in sorted(conversation.tree.pdus):
        for pdu in conversation.tree.pdus[packet]:
            if pdu.protocol == "tls.handshake":
                layer = capture.unit(pdu).layers[0]
                found.append(Message(pdu, int(layer.value("tls.handshake.type", -1)), layer))
    return found


def agreed(found: list[Message], until: int = 1 << 62) -> Session:
    """What is agreed on once packet `until` has come."""
    version = tickets = 0
    version_text = suite = group = alpn = name = ""
    resumed = retried = False
    offered: bytes = b""
    seen = {message.kind for message in found if message.pdu.packet <= until}
    for pdu, kind, layer in found:
        if pdu.packet > until:
            break
        if kind == HELLO:
            name = str(layer.value("tls.handshake.extensions_server_name", ""))
            offered = bytes(layer.value("tls.handshake.session_id", b""))
        elif kind == SERVER_HELLO:
            field = layer.find("tls.handshake.extensions.supported_version") or layer.find("tls.handshake.version")
            version, version_text = (int(field.value), _plain(field)) if field is not None else (0, "")
            suite = _text(layer, "tls.handshake.ciphersuite")
            if layer.value("tls.handshake.random") == HELLO_RETRY:
                retried = True
                continue
            group = _text(layer, "tls.handshake.extensions_key_share_group")
            own = bytes(layer.value("tls.handshake.session_id", b""))
            psk = layer.find("tls.handshake.extensions.psk.identity.selected") is not None
            resumed = psk if version >= TLS13 else bool(own) and own == offered and CERTIFICATE not in seen
            alpn = str(layer.value("tls.handshake.extensions_alpn_str", alpn))
        elif kind == EXTENSIONS:
            alpn = str(layer.value("tls.handshake.extensions_alpn_str", alpn))
        elif kind == KEY_EXCHANGE:
            group = _text(layer, "tls.handshake.server_named_curve") or group
        elif kind == TICKET:
            tickets += 1
    return Session(version, version_text, suite, group, alpn, name, resumed, retried, tickets)


def handshake(capture: Narrated, ends: Ends, conversation: Conversation) -> Iterator[Step]:
    """The steps of the handshake, alerts, and what was not decrypted."""
    found = messages(capture, conversation)
    flow = conversation.id
    hellos = [message for message in found if message.kind == HELLO]
    for place, message in enumerate(hellos):
        retried = any(_retries(m) and m.pdu.packet < message.pdu.packet for m in found)
        text = _offer(message.layer, place > 0 and retried)
        yield step(capture, "tls", _carriers(message.pdu), text, flow)
    for message in found:
        if _retries(message):
            wanted = _text(message.layer, "tls.handshake.extensions_key_share_selected_group")
            asks = f"the server wants a key share for {wanted}" if wanted else "the server wants its cookie back"
            text = f"{asks} and asks the client to begin again"
            text = f"{sentence(text)} That is one round trip more (HelloRetryRequest)."
            yield step(capture, "tls", [message.pdu.packet], text, flow)
    yield from _answer(capture, found, flow)
    yield from _finish(capture, ends, conversation, found)
    yield from _tickets(capture, found, flow)
    yield from _alerts(capture, ends, conversation)
    yield from _unread(capture, ends, conversation)


def _retries(message: Message) -> bool:
    return message.kind == SERVER_HELLO and message.layer.value("tls.handshake.random") == HELLO_RETRY


def _offer(layer: Layer, again: bool) -> str:
    versions = [field for field in layer.walk() if field.name == "tls.handshake.extensions.supported_version"]
    real = [field for field in versions if field.value in range(0x0300, TLS13 + 1)]  # the others are drafts and GREASE
    field = max(real, key=lambda f: int(f.value), default=layer.find("tls.handshake.version"))
    name = layer.value("tls.handshake.extensions_server_name")
    protocols = [str(f.value) for f in layer.walk() if f.name == "tls.handshake.extensions_alpn_str"]
    groups = [f for f in layer.walk() if f.name == "tls.handshake.extensions_key_share_group"]
    shares = [_plain(f) for f in groups if grease(f.value) is None]
    suites = sum(f.name == "tls.handshake.ciphersuite" and _is_suite(f.value) for f in layer.walk())
    version = f"TLS up to {_plain(field).removeprefix('TLS ')}" if field is not None else "TLS"
    brings = [counted(suites, "cipher suite"), *([f"a key share for {listed(shares)}"] if shares else [])]
    text = f"the client {'asks again, offering' if again else 'offers'} {version} with {listed(brings)}"
    if protocols:
        text += f"; inside it would speak {' or '.join(protocols)} (ALPN)"
    text += f"; it names {name} in clear (SNI)" if name else "; it names no server (no SNI)"
    if layer.find("tls.handshake.extensions.psk.identity") is not None and not again:
        text += ", and shows a ticket from an earlier session"
    if any(f.name == "tls.handshake.extension.type" and f.value == 42 for f in layer.walk()):
        text += ", and sends early data with it"
    return sentence(text)


def _is_suite(value: int) -> bool:
    """Neither a signal nor GREASE, which only fill the list (RFC 8701, 2)."""
    return value not in SIGNALS and grease(value) is None


def _answer(capture: Narrated, found: list[Message], flow: int) -> Iterator[Step]:
    """ServerHello, and what follows it from the server up to the end of its flight."""
    chosen = next((m for m in found if m.kind == SERVER_HELLO and not _retries(m)), None)
    if chosen is None:
        return
    side = chosen.pdu.direction
    flight = [m for m in found if m.pdu.direction == side and m.pdu.packet >= chosen.pdu.packet and m.kind != TICKET]
    session = agreed(found)
    said = [text for text in (session.version_text, session.suite) if text]
    if session.group:
        said.append(f"key exchange over {session.group}")
    text = f"the server chooses {listed(said)}"
    if session.alpn:
        text += f"; inside {session.alpn} will be spoken (ALPN)"
    if session.resumed:
        text += "; it resumes the earlier session, so that no certificate is needed"
    certificate = next((m for m in flight if m.kind == CERTIFICATE), None)
    if certificate is not None:
        text += f"; its certificate{_certificate(certificate.layer)}"
        if session.version >= TLS13:
            text += " (encrypted, and readable here with the keys)"
    elif session.version >= TLS13 and not session.resumed and not any(m.kind == FINISHED for m in flight):
        text += "; what follows is encrypted, certificate included, and no key for it is known"
    packets = [packet for m in flight for packet in _carriers(m.pdu)]
    yield step(capture, "tls", packets, sentence(text), flow)


def _certificate(layer: Layer) -> str:
    _, _, rest = layer.summary.partition("  ")
    subject, _, above = rest.partition("  and ")
    text = f" is for {subject}" if subject else ""
    if above:
        count = above.partition(" ")[0]
        text += f", and comes with {count} more of its chain"
    issuer, own = _text(layer, "x509af.issuer"), _text(layer, "x509af.subject")
    return text + (", and is signed by itself" if issuer and issuer == own else "")


def _finish(capture: Narrated, ends: Ends, conversation: Conversation, found: list[Message]) -> Iterator[Step]:
    """The client's Finished, or where it stands unread: from here on it may send."""
    opening = next((m.pdu for m in found if m.kind == HELLO), None)
    if opening is None:
        return
    own = [pdu for pdu in _records(conversation) if pdu.direction == opening.direction and pdu.packet >= opening.packet]
    finished = [m.pdu for m in found if m.kind == FINISHED and m.pdu.direction == opening.direction]
    session = agreed(found)
    if finished:
        packet, sure = finished[0].packet, True
    else:
        specs = [pdu for pdu in own if _content(pdu) == Content.CHANGE_CIPHER_SPEC]
        behind = [pdu for pdu in own if specs and pdu.span.start >= specs[-1].span.stop]
        if not behind or _content(behind[0]) not in (Content.HANDSHAKE, Content.APPLICATION_DATA) or not session.version:
            return
        packet, sure = behind[0].packet, False
    took = capture.time_of(packet) - capture.time_of(_carriers(opening)[0])
    if sure:
        text = f"the client has checked all of it and says Finished: the handshake took {duration(took)}"
    elif session.version < TLS13:
        text = f"the client switches to the agreed keys {duration(took)} after its hello; its Finished is encrypted already"
    else:  # what is hidden may as well be an alert
        text = f"the client answers, encrypted, {duration(took)} after its hello; without the keys nobody can say with what"
    yield step(capture, "tls", [packet], sentence(text), conversation.id)


def _tickets(capture: Narrated, found: list[Message], flow: int) -> Iterator[Step]:
    given = [m for m in found if m.kind == TICKET]
    if not given:
        return
    lives = sorted({int(m.layer.value("tls.handshake.session_ticket_lifetime_hint", 0)) for m in given} - {0})
    valid = f"{'each ' if len(given) > 1 else ''}valid for {listed([counted(life, 'second') for life in lives])}"
    if not lives:  # TLS 1.2 leaves it open, TLS 1.3 takes the ticket back (RFC 5077, 3.3; RFC 8446, 4.6.1)
        valid = "for how long is not said" if agreed(found).version < TLS13 else "not to be used (a lifetime of 0)"
    tickets = counted(len(given), "session ticket")
    text = f"the server gives the client {tickets}, {valid}: a later connection can resume with one"
    yield step(capture, "tls", [m.pdu.packet for m in given], sentence(text), flow)


def _alerts(capture: Narrated, ends: Ends, conversation: Conversation) -> Iterator[Step]:
    for pdu in _records(conversation):
        if pdu.span.size > SHORT_RECORD or _content(pdu) not in (Content.ALERT, Content.APPLICATION_DATA):
            continue
        layer = capture.unit(pdu).layers[0]
        code = layer.value("tls.alert_message.desc")
        if code is None:
            continue
        who = ends.who(pdu.direction)
        if code == CLOSE_NOTIFY:
            text = f"{who} says that it will send nothing more over TLS (close_notify), so that an end is told from a cut"
        elif layer.value("tls.alert_message.level") == WARNING:
            text = f"{who} sends the TLS alert {ALERTS.get(code, 'unknown')} ({code}), a warning: the connection goes on"
        else:
            text = f"{who} gives up: TLS alert {ALERTS.get(code, 'unknown')} ({code})"
        yield step(capture, "tls", [pdu.packet], sentence(text), conversation.id)


def _unread(capture: Narrated, ends: Ends, conversation: Conversation) -> Iterator[Step]:
    """What travels encrypted and is not opened."""
    closed: list[Pdu] = []
    for pdu in _records(conversation):
        if _content(pdu) == Content.APPLICATION_DATA and _sealed(capture, pdu):
            closed.append(pdu)
    if not closed:
        return
    said = []
    for direction in (ends.client, 1 - ends.client):
        own = [pdu for pdu in closed if pdu.direction == direction]
        if own:
            size = sum(pdu.span.size for pdu in own)
            said.append(f"{counted(len(own), 'record')} of {ends.who(direction)} ({size:,} bytes)")
    verb = "is" if len(closed) == 1 else "are"
    text = f"{listed(said)} {verb} encrypted, and the key is not known: only sizes and times can be told"
    yield step(capture, "tls", [pdu.packet for pdu in closed], sentence(text), conversation.id)


def _sealed(capture: Narrated, pdu: Pdu) -> bool:
    return capture.unit(pdu).layers[0].find("tls.record.not_decrypted") is not None


def _records(conversation: Conversation) -> Iterator[Pdu]:
    for packet in sorted(conversation.tree.pdus):
        yield from (pdu for pdu in conversation.tree.pdus[packet] if pdu.protocol == "tls")


def _content(pdu: Pdu) -> int:
    return next(iter(pdu.span.buffer.read(pdu.span.start, pdu.span.start + 1)), -1)


def _carriers(pdu: Pdu) -> list[int]:
    """The packets that carried a unit, in order."""
    from inspector.core.span import Frame, trace

    numbers = {span.buffer.number for span in trace(pdu.span) if isinstance(span.buffer, Frame)}
    return sorted(numbers | {pdu.packet})


def _text(layer: Layer, name: str) -> str:
    field = layer.find(name)
    return "" if field is None else _plain(field)


def _plain(field: Field) -> str:
    """A field's name without its number: `TLS 1.3`."""
    return (field.text or str(field.value)).partition(" (")[0]
