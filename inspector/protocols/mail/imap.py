"""IMAP (RFC 9051, RFC 3501), with STARTTLS (6.2.1): one unit a command or response, its literals (4.3) in it.

Not here: what responses say beyond their first words; COMPRESS (RFC 4978).
"""

from __future__ import annotations

import re

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, octets, string
from inspector.core.layer import Layer, Note
from inspector.core.limits import MAX_LITERALS
from inspector.core.lines import end_line, line, text_size
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Ended, Reader, Steps, StreamParser
from inspector.core.text import decode
from inspector.protocols.tls.wire import plausible

LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\r?\n$")
STATUSES = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")

FIELDS = catalog(
    flag("imap.isrequest", "Request"),
    string("imap.line", "Line"),
    string("imap.request_tag", "Tag"),
    string("imap.request.command", "Command"),
    flag("imap.request.command.uid", "By unique id"),
    string("imap.request", "Request"),
    string("imap.response_tag", "Tag"),
    string("imap.response.status", "Status"),
    string("imap.response.command", "Response"),
    string("imap.response", "Response"),
    octets("imap.literal", "Literal"),
)


class Imap(StreamParser):
    """Client and server; responses name the command by its tag."""

    protocol = "imap"

    def __init__(self) -> None:
        self._starttls = b""  # its tag
        self._tls: bool | None = None

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and (yield from self._secure(reader)):
            return
        client = reader.direction == self.node.client
        while (yield from reader.some()):
            start = reader.pos
            first = yield from self._unit(reader, start, "request" if client else "response")
            words = first.split(None, 2)
            if client and len(words) > 1 and words[1].upper().strip() == b"STARTTLS":
                self._starttls, self._tls = words[0], None
                answered = yield from self.wait(lambda: self._tls is not None)
                if (self._tls or not answered) and (yield from self._secure(reader)):
                    return
            elif not client and self._starttls and words[:1] == [self._starttls]:
                self._starttls = b""
                self._tls = len(words) > 1 and words[1].upper() == b"OK"
                if self._tls and (yield from self._secure(reader)):
                    return

    def _unit(self, reader: Reader, start: int, kind: str) -> Steps[bytes]:
        """A line, and as many literals and lines as it announces; returns its first line."""
        first, complete = b"", True
        literals: list[tuple[int, int]] = []
        limit = ""
        while True:
            found = yield from line(reader)
            if found is None:
                complete = False
                break
            first = first or found.data
            complete = found.complete
            announced = LITERAL.search(found.data)
            if announced is None:
                break
            if len(literals) >= MAX_LITERALS:
                complete, limit = False, f"more than {MAX_LITERALS:,} literals in one command or response: it is cut here"
                break
            size = int(announced[1])
            literals.append((reader.pos - start, size))
            try:
                yield from reader.skip(size, over_gaps=True)
            except Ended:
                reader.pos = reader.arrived
                complete = False
                break
        self.node.emit(kind, reader, start, reader.pos, {"literals": literals, "limit": limit}, complete=complete)
        return first

    def _secure(self, reader: Reader) -> Steps[bool]:
        if not plausible((yield from reader.peek(5))):
            return False
        return self.node.hand_over(reader, "protocol", "tls", why="the server answered STARTTLS with OK (RFC 9051, 6.2.1)")


def dissect(c: Cursor) -> None:
    request = c.context.info.get("kind") == "request"
    literals = [(c.start + at, size) for at, size in c.context.info.get("literals", [])]
    c.generated("imap.isrequest", request)
    first = True
    while c.remaining:
        if literals and literals[0][0] == c.pos:
            size = min(literals.pop(0)[1], c.remaining)
            if size:
                c.octets("imap.literal", size)
            continue
        size = text_size(c)
        text = decode(c.peek(size))
        whole = c.peek(size + 2).partition(b"\n")[0] + b"\n" if c.remaining > size else c.peek(size)
        with c.group("imap.line", decode(whole), text):
            with c.within(size), c.group("imap.request" if request else "imap.response", text):
                if first:
                    (_request if request else _response)(c)
                c.skip(c.remaining)
            if first:
                c.layer.summary = text
            end_line(c)
        first = False


def _word(c: Cursor) -> bytes:
    """The next word, without moving."""
    return c.peek(c.remaining).split(b" ", 1)[0]


def _space(c: Cursor) -> None:
    if c.peek(1) == b" ":
        c.skip(1)


def _request(c: Cursor) -> None:
    if not _word(c) or b" " not in c.peek(c.remaining):  # the answer to a challenge, or DONE (RFC 2177)
        return
    c.string("imap.request_tag", len(_word(c)))
    _space(c)
    uid = _word(c).upper() == b"UID"
    if uid:
        start = c.pos
        c.skip(3)
        c.add("imap.request.command.uid", True, start, c.pos)
        _space(c)
    if word := _word(c):
        c.string("imap.request.command", len(word))


def _response(c: Cursor) -> None:
    tag = _word(c)
    if tag in (b"*", b"+", b""):
        c.skip(len(tag))
    else:
        c.string("imap.response_tag", len(tag))
    _space(c)
    if _word(c).isdigit() and b" " in c.peek(c.remaining):  # `* 12 FETCH (…`: the number comes first
        c.skip(len(_word(c)))
        _space(c)
    if _word(c).upper() in STATUSES:
        c.string("imap.response.status", len(_word(c)))
        _space(c)
        if tag == b"*":
            return
    if word := _word(c):
        c.string("imap.response.command", len(word))


def explain(layer: Layer) -> list[Note]:
    tag, verb, response = (layer.find(f"imap.{name}") for name in ("response_tag", "request.command", "response"))
    if response is not None and response.value.startswith("*"):
        why = "The server says it by itself, or on the way to an answer; the answer itself bears the command's tag."
        return [Note(response.span, "untagged", why, "RFC 9051, 2.2.2")]
    if response is not None and response.value.startswith("+"):
        return [Note(response.span, "go on", "The server waits for the rest of the command.", "RFC 9051, 7.6")]
    if tag is not None:
        why = f"The command with the tag {tag.text} is done; commands may overlap, so the tag says which."
        return [Note(tag.span, "tagged", why, "RFC 9051, 2.2.2 and 5.5")]
    told = _VERBS.get(str(verb.value).upper()) if verb is not None else None
    return [Note(verb.span, str(verb.value).upper(), *told)] if verb is not None and told else []


_VERBS = {
    "LOGIN": ("Name and password, in clear unless TLS began before.", "RFC 9051, 6.2.3"),
    "STARTTLS": ("If the server answers OK, TLS begins in this connection.", "RFC 9051, 6.2.1"),
    "SELECT": ("A mailbox is opened: from here on numbers mean its messages.", "RFC 9051, 6.3.2"),
    "FETCH": ("Parts of messages are fetched; they come as untagged responses.", "RFC 9051, 6.4.5"),
    "IDLE": ("The client waits, and the server tells it of changes.", "RFC 2177, 3; RFC 9051, 6.3.13"),
}

CARD = Card(
    "lines of text with a tag; literals of announced length inside",
    "commands may overlap; the server also speaks unasked",
    "mailbox names, message numbers and unique ids",
    "full duplex",
    "not authenticated, authenticated, selected, logout",
    "one server holds the mailboxes",
    "TCP's; a literal waits until the server says go on",
    "OK, NO and BAD, with the command's tag",
)
PROTOCOL = Protocol(
    "imap", "IMAP", 7, FIELDS, dissect, keys={"tcp.port": [143]}, parser=Imap, explain=explain, card=CARD, reference="RFC 9051"
)
