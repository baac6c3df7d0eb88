"""POP3 (RFC 1939), with STLS (RFC 2595) and AUTH (RFC 5034): one unit a command or response.

Not here: what a mail says; the removal of the doubled dots (RFC 1939, 3).
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, octets, string
from inspector.core.layer import Layer, Note, Severity
from inspector.core.limits import MAX_MAIL
from inspector.core.lines import Commands, Line, end_line, line, text_size
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Reader, Steps, StreamParser, TooLong
from inspector.protocols.tls.wire import plausible

FIELDS = catalog(
    string("pop.request", "Request"),
    string("pop.request.command", "Command"),
    string("pop.request.parameter", "Parameter"),
    string("pop.request.data", "Answer to the challenge"),
    string("pop.response", "Response"),
    string("pop.response.indicator", "Indicator"),
    string("pop.response.description", "Text"),
    octets("pop.response.data", "Data"),
    octets("pop.response.end", "End of the data"),
)


class Pop(StreamParser):
    """Client and server; which responses have several lines depends on the command (RFC 1939, 3)."""

    protocol = "pop"

    def __init__(self) -> None:
        self._open: Commands[tuple[bytes, bool]] = Commands()  # (command, whether it has a parameter)
        self._tls: bool | None = None
        self._challenged: bool | None = None  # whether AUTH, or an answer to it, was answered with a challenge

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and (yield from self._secure(reader)):
            return
        if reader.direction == self.node.client:
            yield from self._client(reader)
        else:
            yield from self._server(reader)

    def _client(self, reader: Reader) -> Steps[None]:
        while (found := (yield from line(reader))) is not None:
            if self._challenged:
                self._emit("answer", reader, found)
                yield from self._authenticate(reader, True)
                continue
            words = found.text.upper().split()
            verb = words[0] if words else b""
            self._emit("request", reader, found)
            if verb == b"AUTH":
                yield from self._authenticate(reader, len(words) > 1)
                continue
            self._open.append((verb, len(words) > 1), self.node, reader)
            if verb == b"STLS":
                self._tls = None
                answered = yield from self.wait(lambda: self._tls is not None)
                if (self._tls or not answered) and (yield from self._secure(reader)):
                    return

    def _authenticate(self, reader: Reader, parameter: bool) -> Steps[None]:
        """What the next line is, a command or the answer to a challenge, the response says (RFC 5034, 4)."""
        self._challenged = None
        self._open.append((b"AUTH", parameter), self.node, reader)
        yield from self.wait(lambda: self._challenged is not None)

    def _server(self, reader: Reader) -> Steps[None]:
        greeted = False
        while (found := (yield from line(reader))) is not None:
            self._emit("response", reader, found)
            if found.data[:2] in (b"+ ", b"+\r") and self._open and self._open.next()[0] == b"AUTH":
                self._open.take()
                self._challenged = True
                continue
            verb, parameter = self._open.take() if self._open and greeted else (b"", False)
            greeted = True
            good = found.data.startswith(b"+OK")
            if verb == b"AUTH":
                self._challenged = False
            elif verb == b"STLS":
                self._tls = good
                if good and (yield from self._secure(reader)):
                    return
            long = verb in (b"RETR", b"TOP", b"CAPA") or (verb in (b"LIST", b"UIDL") and not parameter)
            if good and (long or (verb == b"AUTH" and not parameter)):
                yield from self._data(reader)

    def _data(self, reader: Reader) -> Steps[None]:
        start = reader.pos
        try:
            if (yield from reader.peek(3)) == b".\r\n":
                yield from reader.read(3)
            else:
                yield from reader.until(b"\r\n.\r\n", MAX_MAIL)
        except (Ended, TooLong) as stopped:
            if reader.arrived > start:
                self.node.emit("data", reader, start, reader.arrived, {"limit": stopped.limit}, complete=False)
            reader.pos = reader.arrived
            return
        self.node.emit("data", reader, start, reader.pos)

    def _secure(self, reader: Reader) -> Steps[bool]:
        if not plausible((yield from reader.peek(5))):
            return False
        return self.node.hand_over(reader, "protocol", "tls", why="the server answered STLS with +OK (RFC 2595, 4)")

    def _emit(self, kind: str, reader: Reader, found: Line) -> None:
        self.node.emit(kind, reader, found.start, found.stop, complete=found.complete)


def dissect(c: Cursor) -> None:
    kind = c.context.info.get("kind")
    if kind == "data":
        data = c.peek(c.remaining)
        end = 3 if data == b".\r\n" or data.endswith(b"\r\n.\r\n") else 0
        if len(data) > end:
            c.octets("pop.response.data", len(data) - end, data[:80].partition(b"\r\n")[0].decode("utf-8", "surrogateescape"))
        if end:
            c.octets("pop.response.end", end)
        c.layer.summary = f"Data, {len(data) - end:,} bytes"
        return
    size = text_size(c)
    name = "pop.response" if kind == "response" else "pop.request"
    with c.group(name, c.peek(size).decode("utf-8", "surrogateescape")) as group:
        with c.within(size):
            if kind == "answer":
                c.string("pop.request.data", c.remaining)
            else:
                _words(c, response=kind == "response")
        c.layer.summary = group.text if kind != "answer" else "Answer to the challenge"
        end_line(c)


def _words(c: Cursor, response: bool) -> None:
    first, second = (
        ("pop.response.indicator", "pop.response.description") if response else ("pop.request.command", "pop.request.parameter")
    )
    word = c.string(first, len(c.peek(c.remaining).split(b" ", 1)[0]))
    if response and word not in ("+OK", "-ERR", "+"):
        c.issue("indicator", "a response begins with +OK or -ERR (RFC 1939, 3)", Severity.WARNING)
    rest = c.peek(c.remaining)
    c.skip(len(rest) - len(rest.lstrip(b" ")))
    if c.remaining:
        c.string(second, c.remaining)


def explain(layer: Layer) -> list[Note]:
    verb = layer.find("pop.request.command")
    told = _VERBS.get(str(verb.value).upper()) if verb is not None else None
    return [Note(verb.span, str(verb.value).upper(), *told)] if verb is not None and told else []


_VERBS = {
    "USER": ("Whose mailbox it is.", "RFC 1939, 7"),
    "PASS": ("The password, in clear unless TLS began before.", "RFC 1939, 7"),
    "STAT": ("How many mails there are, and how many bytes.", "RFC 1939, 5"),
    "RETR": ("One mail is fetched; a line with a dot ends it.", "RFC 1939, 5"),
    "DELE": ("A mail is marked; it goes when QUIT is answered.", "RFC 1939, 5"),
    "STLS": ("If the server answers +OK, TLS begins in this connection.", "RFC 2595, 4"),
    "QUIT": ("Marked mails are removed, and the connection ends.", "RFC 1939, 6"),
}

CARD = Card(
    "lines of text; mails and lists end with a line with a dot",
    "commands and responses in turn",
    "the mailbox by its user's name",
    "full duplex, used in turn",
    "authorisation, transaction, update: the server remembers what is marked, and removes it at QUIT",
    "one server holds the mailbox",
    "TCP's",
    "+OK or -ERR",
)
PROTOCOL = Protocol(
    "pop", "POP3", 7, FIELDS, dissect, keys={"tcp.port": [110]}, parser=Pop, explain=explain, card=CARD, reference="RFC 1939"
)
