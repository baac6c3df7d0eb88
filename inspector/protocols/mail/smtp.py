"""SMTP (RFC 5321), with AUTH (RFC 4954), CHUNKING (RFC 3030) and STARTTLS (RFC 3207): one unit a command, reply or message.

Not here: what a message says (RFC 5322, MIME); the removal of the doubled dots (4.5.2); LMTP.
"""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, octets, string, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.limits import MAX_MAIL
from inspector.core.lines import Commands, Line, end_line, line, text_size
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Reader, Steps, StreamParser, TooLong
from inspector.core.text import decode, natural
from inspector.protocols.tls.wire import plausible

READY, CHALLENGE, GO_AHEAD = 220, 334, 354
GREETINGS = (220, 421, 554)  # what a connection begins with (RFC 5321, 4.3.2): no command is answered by it

FIELDS = catalog(
    flag("smtp.req", "Request"),
    flag("smtp.rsp", "Reply"),
    string("smtp.command_line", "Command line"),
    string("smtp.req.command", "Command"),
    string("smtp.req.parameter", "Parameter"),
    string("smtp.auth.response", "Answer to the challenge"),
    string("smtp.response", "Line"),
    u32("smtp.response.code", "Code"),
    string("smtp.rsp.parameter", "Text"),
    octets("smtp.message", "Message"),
    octets("smtp.eom", "End of the message"),
)


class Smtp(StreamParser):
    """Client and server; replies are matched with commands in order, for what follows depends on them."""

    protocol = "smtp"

    def __init__(self) -> None:
        self._open: Commands[bytes] = Commands()
        self._data: int | None = None  # what DATA was answered with
        self._tls: bool | None = None  # whether STARTTLS was granted
        self._challenged: bool | None = None  # whether AUTH, or an answer to it, was answered with a challenge
        self._greeted = False

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
                yield from self._authenticate(reader)
                continue
            words = found.text.split(None, 2)
            verb = words[0].upper() if words else b""
            self._emit("command", reader, found)
            if verb == b"AUTH":
                yield from self._authenticate(reader)
                continue
            self._open.append(verb, self.node, reader)
            if verb == b"DATA":
                self._data = None
                if not (yield from self.wait(lambda: self._data is not None)) or self._data == GO_AHEAD:
                    yield from self._message(reader)
            elif verb == b"BDAT" and len(words) > 1 and (size := natural(words[1])) is not None:
                yield from self._chunk(reader, size)
            elif verb == b"STARTTLS":
                self._tls = None
                answered = yield from self.wait(lambda: self._tls is not None)
                if (self._tls or not answered) and (yield from self._secure(reader)):
                    return

    def _authenticate(self, reader: Reader) -> Steps[None]:
        """What the next line is, a command or the answer to a challenge, the reply says (RFC 4954, 4)."""
        self._challenged = None
        self._open.append(b"AUTH", self.node, reader)
        yield from self.wait(lambda: self._challenged is not None)

    def _server(self, reader: Reader) -> Steps[None]:
        while (first := (yield from line(reader))) is not None:
            last = first
            while last.data[3:4] == b"-" and last.complete and last.data[:3].isdigit():
                more = yield from line(reader)
                if more is None:
                    break
                last = more
            reply = Line(first.start, last.stop, first.data, last.complete and last.data[3:4] != b"-")
            self._emit("reply", reader, reply)
            code = int(first.data[:3]) if first.data[:3].isdigit() else 0
            if (yield from self._answered(reader, code)):
                return

    def _answered(self, reader: Reader, code: int) -> Steps[bool]:
        """What a reply means for what follows; true where TLS begins."""
        greeting = not self._greeted and code in GREETINGS
        self._greeted = True
        verb = self._open.take() if self._open and not greeting else b""
        if verb == b"DATA":
            self._data = code
        elif verb == b"AUTH":
            self._challenged = code == CHALLENGE
        elif verb == b"STARTTLS":
            self._tls = code == READY
            return self._tls and (yield from self._secure(reader))
        return False

    def _secure(self, reader: Reader) -> Steps[bool]:
        """TLS begins here, if the bytes agree: some captures hold what was inside instead."""
        if not plausible((yield from reader.peek(5))):
            return False
        return self.node.hand_over(reader, "protocol", "tls", why="the server answered STARTTLS with 220 (RFC 3207, 4)")

    def _message(self, reader: Reader) -> Steps[None]:
        start = reader.pos
        try:
            if (yield from reader.peek(3)) == b".\r\n":
                yield from reader.read(3)
            else:
                yield from reader.until(b"\r\n.\r\n", MAX_MAIL)
        except (Ended, TooLong) as stopped:
            if reader.arrived > start:
                self.node.emit("message", reader, start, reader.arrived, {"limit": stopped.limit}, complete=False)
            reader.pos = reader.arrived
            return
        self.node.emit("message", reader, start, reader.pos)
        self._open.append(b"message", self.node, reader)

    def _chunk(self, reader: Reader, size: int) -> Steps[None]:
        start = reader.pos
        try:
            missing = yield from reader.skip(size, over_gaps=True)
        except Ended:
            missing = size
            reader.pos = reader.arrived
        if reader.pos > start:
            self.node.emit("chunk", reader, start, reader.pos, complete=not missing)

    def _emit(self, kind: str, reader: Reader, found: Line) -> None:
        self.node.emit(kind, reader, found.start, found.stop, complete=found.complete)


def dissect(c: Cursor) -> None:
    kind = c.context.info.get("kind", "command")
    if kind == "reply":
        _reply(c)
    elif kind in ("message", "chunk"):
        _message(c, kind)
    elif kind == "answer":
        c.generated("smtp.req", True)
        size = text_size(c)
        with c.group("smtp.command_line", *_whole(c, size)):
            c.string("smtp.auth.response", size)
            end_line(c)
        c.layer.summary = "Answer to the challenge"
    else:
        _command(c)


def _whole(c: Cursor, size: int) -> tuple[str, str]:
    """A line with its end, as Wireshark has it, and as people read it."""
    return decode(c.peek(size + 2).partition(b"\n")[0] + b"\n" if c.remaining > size else c.peek(size)), decode(c.peek(size))


def _command(c: Cursor) -> None:
    c.generated("smtp.req", True)
    size = text_size(c)
    with c.group("smtp.command_line", *_whole(c, size)) as group:
        with c.within(size):
            verb = c.peek(size).split(b" ", 1)[0]
            c.string("smtp.req.command", len(verb))
            rest = c.peek(c.remaining)
            c.skip(len(rest) - len(rest.lstrip(b" ")))
            if c.remaining:
                c.string("smtp.req.parameter", c.remaining)
        c.layer.summary = group.text
        end_line(c)


def _reply(c: Cursor) -> None:
    c.generated("smtp.rsp", True)
    words: list[str] = []
    while c.remaining:
        size = text_size(c)
        with c.group("smtp.response", *_whole(c, size)):
            with c.within(size):
                _reply_line(c, words)
            end_line(c)
    c.layer.summary = " ".join(words[:2]) + (f"  and {len(words) - 2} more lines" if len(words) > 2 else "")


def _reply_line(c: Cursor, words: list[str]) -> None:
    digits = c.peek(3)
    if len(digits) == 3 and digits.isdigit():
        if not words:
            c.add("smtp.response.code", int(digits), c.pos, c.pos + 3)
            words.append(digits.decode())
        c.skip(min(4, c.remaining))
    elif not words:
        text = "a reply begins with three digits (RFC 5321, 4.2)"
        c.issue("reply-code", text, Severity.WARNING, c.span(c.pos, c.stop))
    words.append(c.string("smtp.rsp.parameter", c.remaining) if c.remaining else "")


def _message(c: Cursor, kind: str) -> None:
    data = c.peek(c.remaining)
    tail = 3 if kind == "message" and data.endswith(b".\r\n") and (len(data) == 3 or data.endswith(b"\r\n.\r\n")) else 0
    if len(data) > tail:
        c.octets("smtp.message", len(data) - tail, data[:80].partition(b"\r\n")[0].decode("utf-8", "surrogateescape"))
    if tail:
        c.octets("smtp.eom", tail)
    c.layer.summary = f"{kind.capitalize()}, {len(data) - tail:,} bytes"


def explain(layer: Layer) -> list[Note]:
    verb = layer.find("smtp.req.command")
    code = layer.find("smtp.response.code")
    if verb is not None:
        told = _VERBS.get(str(verb.value).upper())
        return [Note(verb.span, str(verb.value).upper(), *told)] if told else []
    if code is not None:
        kinds = {2: "done", 3: "go on: the server waits for more", 4: "not now: the client may try again", 5: "no, for good"}
        why = kinds.get(code.value // 100)
        return [Note(code.span, f"{code.value // 100}xx", f"The first digit says: {why}.", "RFC 5321, 4.2.1")] if why else []
    if layer.find("smtp.eom") is not None:
        why = "A line with nothing but a dot ends the message; lines of it that begin with a dot were sent with one more."
        return [Note(layer.span, "the mail itself", why, "RFC 5321, 4.5.2")]
    return []


_VERBS = {
    "EHLO": ("The client names itself and asks what the server can do beyond the basics.", "RFC 5321, 4.1.1.1"),
    "HELO": ("The client names itself, and wants no extensions.", "RFC 5321, 4.1.1.1"),
    "MAIL": ("A new mail begins; errors go back to this address. It need not be the From line's.", "RFC 5321, 4.1.1.2"),
    "RCPT": ("One recipient; the server accepts or refuses each by itself.", "RFC 5321, 4.1.1.3"),
    "DATA": ("The mail follows once the server has answered 354.", "RFC 5321, 4.1.1.4"),
    "BDAT": ("So many bytes of the mail follow at once, whatever they are.", "RFC 3030, 2"),
    "STARTTLS": ("If the server answers 220, TLS begins in this connection, and all that was said before is forgotten.",
                 "RFC 3207, 4 and 4.2"),
    "AUTH": ("The client says who it is. Without TLS, PLAIN and LOGIN show the password to everybody on the way.",
             "RFC 4954, 4"),
    "RSET": ("The mail that was begun is dropped; the connection stays.", "RFC 5321, 4.1.1.5"),
    "QUIT": ("The client wants to end; the server answers 221 and closes.", "RFC 5321, 4.1.1.10"),
}  # fmt: skip

CARD = Card(
    "lines of text; the mail itself between DATA and a line with a dot",
    "commands and replies in turn; several commands at once where the server allows it",
    "mail addresses in MAIL and RCPT; the next server by the domain's MX record",
    "full duplex, used in turn",
    "both sides keep the mail that is being built, until it is sent or reset",
    "store and forward: each server takes the mail over, and passes it on by itself",
    "TCP's",
    "three-digit replies: 4xx may be tried again, 5xx not; undeliverable mail comes back as a mail",
)
PROTOCOL = Protocol(
    "smtp", "SMTP", 7, FIELDS, dissect, keys={"tcp.port": [25, 587]}, parser=Smtp, explain=explain, card=CARD,
    reference="RFC 5321",
)  # fmt: skip
