"""The states of TLS handshakes, HTTP/1 connections, event streams and WebSockets, as tables; TCP and HTTP/2 have their own.

A state is named as its specification names it: TLS 1.3 in RFC 8446, Appendix A (`WAIT_SH`), event streams and WebSockets by
their `readyState`. TLS 1.2 and HTTP/1 have no names for theirs; these are ours. What cannot be read (records without keys)
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from inspector.annotations.state.fact import BOTH, CLIENT, SERVER, Fact
from inspector.annotations.story.content import head_of
from inspector.annotations.story.secure import TLS13, Message, messages
from inspector.annotations.story.step import Narrated
from inspector.core.layer import Note, Rank
from inspector.core.span import Span
from inspector.core.stream import Pdu
from inspector.protocols.http.framing import Framing, body_of
from inspector.protocols.http.head import Head
from inspector.protocols.tls.names import MESSAGES
from inspector.protocols.tls.wire import HELLO_RETRY
from inspector.protocols.websocket.websocket import Opcode
from inspector.streams.conversation import Conversation
from inspector.streams.exchanges import Exchange
from inspector.streams.tcp_states import Event as TcpEvent


class Step(NamedTuple):
    """A transition: the state it leads to, why, and where the specification says so."""

    to: str
    why: str
    reference: str


class Machine(NamedTuple):
    """A table of states. who: whose state it is; table: (state, event) → what follows."""

    protocol: str
    who: str
    start: str
    table: Mapping[tuple[str, str], Step]


class Change(NamedTuple):
    """A state changes with a packet. unit: the one that changes it, None where only a packet does; key: which of several."""

    packet: int
    machine: Machine
    before: str
    event: str
    step: Step
    unit: Pdu | None = None
    key: int = 0


_A1, _A2 = "RFC 8446, A.1", "RFC 8446, A.2"
CLIENT_HANDSHAKE = Machine(
    "TLS",
    "client",
    "START",
    {
        ("START", "ClientHello"): Step("WAIT_SH", "it has made its offer, and waits for the server to choose", _A1),
        ("WAIT_SH", "HelloRetryRequest"): Step("START", "the server wants another hello: one round trip more", _A1),
        ("WAIT_SH", "ServerHello"): Step(
            "WAIT_EE", "the server has chosen TLS 1.3: both can derive the keys that protect the rest of the handshake", _A1
        ),
        ("WAIT_EE", "EncryptedExtensions"): Step(
            "WAIT_CERT_CR", "the server is to prove who it is, and may ask the client to do the same", _A1
        ),
        ("WAIT_EE", "EncryptedExtensions with a ticket"): Step(
            "WAIT_FINISHED", "a key that both had before, mostly of an earlier session, vouches: no certificate follows", _A1
        ),
        ("WAIT_CERT_CR", "CertificateRequest"): Step("WAIT_CERT", "the server wants a certificate of the client too", _A1),
        ("WAIT_CERT_CR", "Certificate"): Step("WAIT_CV", "the server has shown its certificate, and is to prove its key", _A1),
        ("WAIT_CERT", "Certificate"): Step("WAIT_CV", "the server has shown its certificate, and is to prove its key", _A1),
        ("WAIT_CV", "CertificateVerify"): Step("WAIT_FINISHED", "the server has proved that it has the key", _A1),
        ("WAIT_FINISHED", "Finished"): Step(
            "CONNECTED", "nobody has changed the handshake; it answers with its own Finished, and may send data at once", _A1
        ),
        ("WAIT_SH", "ServerHello of TLS 1.2"): Step(
            "WAIT_HELLO_DONE", "the server has chosen TLS 1.2 or older; the rest of its flight is to follow", "RFC 5246, 7.3"
        ),
        ("WAIT_SH", "ServerHello of TLS 1.2, resumed"): Step(
            "WAIT_FIRST_FINISHED", "the server resumes an earlier session: no certificate follows, and it finishes first",
            "RFC 5246, 7.3, figure 2; RFC 5077, 3.4",
        ),
        ("WAIT_FIRST_FINISHED", "Finished"): Step(
            "MUST_FINISH", "the server has finished, and the client is to do so too", "RFC 5246, 7.3, figure 2"
        ),
        ("WAIT_HELLO_DONE", "ServerHelloDone"): Step(
            "MUST_ANSWER", "the server has said all of its flight: it is the client's turn", "RFC 5246, 7.3 and 7.4.5"
        ),
        ("MUST_ANSWER", "ClientKeyExchange"): Step(
            "HAS_KEYS", "it has all that the keys are derived from", "RFC 5246, 7.4.7 and 8.1"
        ),
        ("HAS_KEYS", "its Finished"): Step(
            "WAIT_LAST_FINISHED", "it has finished, and waits for the server to do so", "RFC 5246, 7.4.9"
        ),
        ("WAIT_LAST_FINISHED", "Finished"): Step(
            "CONNECTED", "nobody has changed the handshake: it may send data", "RFC 5246, 7.4.9"
        ),
        ("WAIT_HELLO_DONE", "Finished"): Step(
            "MUST_FINISH", "the server resumes an earlier session, and has finished first", "RFC 5246, 7.3, figure 2"
        ),
        ("MUST_FINISH", "its Finished"): Step("CONNECTED", "both have finished: it may send data", "RFC 5246, 7.3, figure 2"),
        ("CONNECTED", "ClientHello"): Step(
            "WAIT_SH", "a new handshake begins inside the connection (renegotiation)", "RFC 5246, 7.4.1.2; RFC 5746, 3.5"
        ),
    },
)
SERVER_HANDSHAKE = Machine(
    "TLS",
    "server",
    "START",
    {
        ("START", "ClientHello"): Step("RECVD_CH", "it has an offer, and chooses from it", _A2),
        ("RECVD_CH", "HelloRetryRequest"): Step("START", "it cannot go on with this hello, and asks for another", _A2),
        ("RECVD_CH", "ServerHello"): Step("NEGOTIATED", "version, cipher suite and key share are settled", _A2),
        ("NEGOTIATED", "its Finished"): Step(
            "WAIT_FLIGHT2", "it has said all of its flight, and may send data; the client is to finish", _A2
        ),
        ("NEGOTIATED", "its Finished after early data"): Step(
            "WAIT_EOED", "it takes the client's early data, until the client says that they end", _A2
        ),
        ("WAIT_EOED", "EndOfEarlyData"): Step("WAIT_FLIGHT2", "the early data have ended", _A2),
        ("WAIT_FLIGHT2", "Certificate"): Step("WAIT_CV", "the client has shown a certificate, and is to prove its key", _A2),
        ("WAIT_FLIGHT2", "Certificate without a certificate"): Step(
            "WAIT_FINISHED", "the client has no certificate; the server may go on without", _A2
        ),
        ("WAIT_CV", "CertificateVerify"): Step("WAIT_FINISHED", "the client has proved that it has the key", _A2),
        ("WAIT_FLIGHT2", "Finished"): Step("CONNECTED", "the client has the same keys and saw the same handshake", _A2),
        ("WAIT_FINISHED", "Finished"): Step("CONNECTED", "the client has the same keys and saw the same handshake", _A2),
        ("RECVD_CH", "ServerHello of TLS 1.2"): Step(
            "SENDS_FLIGHT", "it has chosen TLS 1.2 or older, and goes on with its flight", "RFC 5246, 7.3"
        ),
        ("RECVD_CH", "ServerHello of TLS 1.2, resumed"): Step(
            "FINISHES_FIRST", "it resumes an earlier session: it sends no certificate, and finishes first",
            "RFC 5246, 7.3, figure 2; RFC 5077, 3.4",
        ),
        ("FINISHES_FIRST", "its Finished"): Step(
            "WAIT_FINISHED", "it has finished, and waits for the client to do so", "RFC 5246, 7.3, figure 2"
        ),
        ("SENDS_FLIGHT", "ServerHelloDone"): Step(
            "WAIT_KEY_EXCHANGE", "it has said all of its flight: it is the client's turn", "RFC 5246, 7.4.5"
        ),
        ("WAIT_KEY_EXCHANGE", "ClientKeyExchange"): Step(
            "HAS_KEYS", "it has all that the keys are derived from", "RFC 5246, 7.4.7 and 8.1"
        ),
        ("HAS_KEYS", "Finished"): Step("MUST_FINISH", "the client has finished", "RFC 5246, 7.4.9"),
        ("MUST_FINISH", "its Finished"): Step("CONNECTED", "both have finished: data may flow", "RFC 5246, 7.4.9"),
        ("SENDS_FLIGHT", "its Finished"): Step(
            "WAIT_FINISHED", "it resumes an earlier session, and finishes first", "RFC 5246, 7.3, figure 2"
        ),
        ("CONNECTED", "ClientHello"): Step(
            "RECVD_CH", "a new handshake begins inside the connection (renegotiation)", "RFC 5246, 7.4.1.2; RFC 5746, 3.7"
        ),
    },
)
HTTP1 = Machine(
    "HTTP/1",
    "connection",
    "idle",
    {
        ("idle", "request"): Step(
            "busy", "a request is under way; what follows on this connection waits behind it", "RFC 9112, 9.3"
        ),
        ("busy", "answered, kept"): Step(
            "idle", "every request is answered and nobody wants to close: the next one saves a handshake", "RFC 9112, 9.3"
        ),
        ("busy", "answered, close"): Step(
            "closing",
            "one side said close, speaks HTTP/1.0 without keep-alive, or ends the body by closing: no request may follow",
            "RFC 9112, 9.3 and 9.6",
        ),
        ("idle", "TCP ends"): Step(
            "closed", "one side ends it between two requests; a request that crosses that on the way is lost", "RFC 9112, 9.5"
        ),
        ("busy", "TCP ends"): Step(
            "closed", "one side ends it while a request is under way: what was done of it is not known", "RFC 9112, 9.3.1"
        ),
        ("closing", "TCP ends"): Step("closed", "as one side had said", "RFC 9112, 9.6"),
        ("busy", "upgraded"): Step(
            "handed over", "from here on the connection speaks another protocol, not HTTP", "RFC 9110, 7.8 and 9.3.6"
        ),
    },
)
EVENTS = Machine(
    "SSE",
    "client",
    "CONNECTING",
    {
        ("CONNECTING", "stream"): Step(
            "OPEN", "status 200 and the type of an event stream: events may come", "WHATWG HTML, 9.2.3"
        ),
        ("OPEN", "end"): Step(
            "CONNECTING", "the response has ended: an EventSource waits and asks again", "WHATWG HTML, 9.2.3"
        ),
        ("OPEN", "TCP ends"): Step(
            "CONNECTING", "the connection broke: an EventSource waits and asks again", "WHATWG HTML, 9.2.3"
        ),
        ("CONNECTING", "refused"): Step(
            "CLOSED", "another status or type than that of an event stream: the client does not ask again", "WHATWG HTML, 9.2.3"
        ),
    },
)
_CLOSED = "RFC 6455, 7.1.4"
WEBSOCKET = Machine(
    "WebSocket",
    "connection",
    "CONNECTING",
    {
        ("CONNECTING", "101"): Step(
            "OPEN", "the server has accepted the upgrade: both sides may send messages", "RFC 6455, 4.1 and 4.2.2"
        ),
        ("CONNECTING", "refused"): Step("CLOSED", "the server has not switched: there is no WebSocket here", "RFC 6455, 4.1"),
        ("OPEN", "Close"): Step(
            "CLOSING", "one side has sent Close and says no more; the other is to answer with its own", "RFC 6455, 7.1.3"
        ),
        ("CLOSING", "Close of the other side"): Step(
            "CLOSING, both", "both have sent Close; the server is to end the TCP connection first", "RFC 6455, 7.1.1"
        ),
        ("CLOSING, both", "TCP ends"): Step("CLOSED", "the closing handshake is complete: a clean close", _CLOSED),
        ("CLOSING", "TCP ends"): Step("CLOSED", "the other side has not sent its Close: not a clean close", _CLOSED),
        ("OPEN", "TCP ends"): Step(
            "CLOSED", "TCP ends and nobody has sent Close: programs are told 1006, which is never sent", "RFC 6455, 7.1.5"
        ),
    },
)
MACHINES = (CLIENT_HANDSHAKE, SERVER_HANDSHAKE, HTTP1, EVENTS, WEBSOCKET)
_PSK, _EARLY_DATA = "tls.handshake.extensions.psk.identity.selected", 42
Event = tuple[int, str, Pdu | None]


def run(machine: Machine, events: Iterable[Event], key: int = 0) -> Iterator[Change]:
    """Follow the table; an event that it has no step for changes nothing."""
    now = machine.start
    for packet, event, unit in events:
        step = machine.table.get((now, event))
        if step is not None:
            yield Change(packet, machine, now, event, step, unit, key)
            now = step.to


def changes(capture: Narrated, conversation: Conversation, client: int, exchanges: Sequence[Exchange]) -> list[Change]:
    """Every change in a conversation, in the order of the packets. exchanges: those of the conversation."""
    found = messages(capture, conversation)
    every = [*run(CLIENT_HANDSHAKE, _handshake(found, client, client)),
             *run(SERVER_HANDSHAKE, _handshake(found, client, 1 - client))]  # fmt: skip
    ends = (TcpEvent.SENDS_FIN, TcpEvent.SENDS_RST)
    closing = [change.packet for change in capture.tcp(conversation.id).states.transitions if change.event in ends]
    over: list[Event] = [(packet, "TCP ends", None) for packet in closing[:1]]
    if requests := list(_requests(capture, exchanges)):  # on this connection HTTP/1 is spoken
        every += run(HTTP1, [*requests, *over])
    for key, one in enumerate(exchanges):
        if one.media == "text/event-stream":
            every += run(EVENTS, [*_events(one), *over], key)
    every += _sockets(conversation, exchanges, over)
    return sorted(every, key=lambda change: change.packet)


def _handshake(found: Sequence[Message], client: int, side: int) -> Iterator[Event]:
    """The messages as one end meets them: its own ones, and the other's."""
    psk = early = modern = False
    offered = b""
    for pdu, kind, layer in found:
        own = pdu.direction == side
        name = MESSAGES.get(kind, "")
        if kind == 1:
            offered = bytes(layer.value("tls.handshake.session_id", b""))
        elif kind == 2:
            chosen = layer.find("tls.handshake.extensions.supported_version") or layer.find("tls.handshake.version")
            modern = chosen is not None and int(chosen.value) >= TLS13
            psk = layer.find(_PSK) is not None
            if layer.value("tls.handshake.random") == HELLO_RETRY:
                name = "HelloRetryRequest"
            elif not modern:
                echoed = bytes(layer.value("tls.handshake.session_id", b""))
                name += " of TLS 1.2, resumed" if echoed and echoed == offered else " of TLS 1.2"
        elif kind == 8:
            early = any(f.name == "tls.handshake.extension.type" and f.value == _EARLY_DATA for f in layer.walk())
            name += " with a ticket" if psk else ""
        elif kind == 11 and pdu.direction == client:
            name += "" if layer.find("tls.handshake.certificate") is not None else " without a certificate"
        elif kind == 20 and own:
            name = "its Finished" + (" after early data" if early and side != client else "")
        if kind in (11, 15) and own and side == client:
            continue  # what the client shows moves the server alone
        if name:
            yield pdu.packet, name, pdu


def _requests(capture: Narrated, exchanges: Sequence[Exchange]) -> Iterator[Event]:
    """What the requests of an HTTP/1 connection do to it: the last answer of those under way decides."""
    plain = [one for one in exchanges if one.substream < 0 and one.request is not None]
    moments: list[tuple[int, int, str, Pdu | None]] = []
    for one in plain:
        assert one.request is not None
        units = one.units
        moments.append((one.request.first, 0, "request", units.request[0] if units and units.request else None))
        if one.response is not None and one.response.whole:
            unit = units.response[-1] if units and units.response else None
            moments.append((one.response.complete, 1, _after(capture, one), unit))
    waiting = 0
    for packet, answer, event, unit in sorted(moments, key=lambda moment: moment[:2]):
        waiting += -1 if answer else 1
        if not answer or not waiting or event != "answered, kept":
            yield packet, event, unit


def _after(capture: Narrated, one: Exchange) -> str:
    """What becomes of the connection behind a response."""
    if one.status == 101 or (one.method == "CONNECT" and 200 <= one.status < 300):
        return "upgraded"
    heads = [head_of(capture.detailed(one), response=side) for side in (False, True)]
    for head in heads:
        if head is not None and ("close" in head.tokens("connection") or _old(head)):
            return "answered, close"
    answer = heads[-1]
    to_the_end = answer is not None and body_of(answer, one.method).framing is Framing.CLOSE
    return "answered, close" if to_the_end else "answered, kept"


def _old(head: Head) -> bool:
    return head.version == "HTTP/1.0" and "keep-alive" not in head.tokens("connection")


def _events(one: Exchange) -> Iterator[Event]:
    if one.response is None:
        return
    units = one.units.response if one.units is not None else []
    yield one.response.first, "stream" if one.status == 200 else "refused", units[0] if units else None
    if one.response.whole:
        yield one.response.complete, "end", units[-1] if units else None


def _sockets(conversation: Conversation, exchanges: Sequence[Exchange], over: Sequence[Event]) -> Iterator[Change]:
    """A WebSocket for each node of the tree that has frames, opened by the answer before them."""
    frames: dict[int, list[Pdu]] = {}
    for packet in sorted(conversation.tree.pdus):
        for pdu in conversation.tree.pdus[packet]:
            if pdu.protocol == "websocket":
                frames.setdefault(id(pdu.node), []).append(pdu)
    opened = [one for one in exchanges if one.protocol == "WebSocket" and one.response is not None]
    for one in exchanges:
        head = head_of(one, response=False)
        wanted = head is not None and (head.get("upgrade") or "").lower() == "websocket"
        if wanted and one.status not in (0, 101) and one.response is not None and one.units is not None:
            yield from run(WEBSOCKET, [(one.response.first, "refused", one.units.response[0])], -1 - exchanges.index(one))
    for key, own in enumerate(frames.values()):
        first = own[0].packet
        answer = next((one for one in reversed(opened) if one.response is not None and one.response.first <= first), None)
        events: list[Event] = []
        if answer is not None and answer.response is not None:
            units = answer.units.response if answer.units is not None else []
            events.append((answer.response.first, "101", units[0] if units else None))
        else:
            events.append((first, "101", None))
        closed: set[int] = set()
        for pdu in own:
            if pdu.span.buffer.read(pdu.span.start, pdu.span.start + 1)[0] & 15 == Opcode.CLOSE and pdu.direction not in closed:
                events.append((pdu.packet, "Close of the other side" if closed else "Close", pdu))
                closed.add(pdu.direction)
        yield from run(WEBSOCKET, [*events, *over], key)


def current(found: Iterable[Change], number: int) -> Iterator[Fact]:
    """The states once a packet has arrived, of those that have left their first one."""
    last: dict[tuple[str, str, int], Change] = {}
    for change in found:
        if change.packet <= number:
            last[change.machine.protocol, change.machine.who, change.key] = change
    for change in last.values():
        osi, holder, name = _PLACES[change.machine.protocol, change.machine.who]
        text = f"{change.step.to}: {change.step.why}"
        yield Fact(osi, change.machine.protocol, holder, name, text, change.packet, change.step.reference)


_PLACES = {
    ("TLS", "client"): (5, CLIENT, "handshake"),
    ("TLS", "server"): (5, SERVER, "handshake"),
    ("HTTP/1", "connection"): (7, BOTH, "connection"),
    ("SSE", "client"): (7, CLIENT, "event source"),
    ("WebSocket", "connection"): (7, BOTH, "connection"),
}


def note(change: Change, at: Span) -> Note:
    """A change as a note on the bytes that bring it."""
    why = f"{change.step.why[0].upper()}{change.step.why[1:]}."
    title = f"{change.machine.protocol} {change.machine.who}: {change.before} → {change.step.to}"
    return Note(at, title, why, change.step.reference, Rank.DETAIL if change.machine is HTTP1 else Rank.STEP)
