"""FTP's control connection (RFC 959), with AUTH TLS (RFC 4217) and EPRT and EPSV (RFC 2428): one unit a line.

Not here: data connections; TELNET options inside lines (RFC 959, 2.3).
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, flag, ipv4, string, u8, u16, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.lines import Commands, end_line, line, text_size
from inspector.core.protocol import Card, Protocol
from inspector.core.stream import Reader, Steps, StreamParser
from inspector.core.text import natural
from inspector.protocols.tls.wire import plausible

AUTH_ACCEPTED = 234
GREETINGS = (120, 220, 421)  # what a connection begins with (RFC 959, 5.4): no command is answered by it
PASSIVE, EXTENDED_PASSIVE = 227, 229
ENDPOINT = re.compile(rb"\d{1,3}(?:,\d{1,3}){5}")
PORT_ONLY = re.compile(rb"\((.)\1\1(\d{1,5})\1\)")

FIELDS = catalog(
    string("ftp.line", "Line"),
    flag("ftp.request", "Request"),
    flag("ftp.response", "Response"),
    string("ftp.request.command", "Command"),
    string("ftp.request.arg", "Argument"),
    u32("ftp.response.code", "Code"),
    string("ftp.response.arg", "Text"),
    ipv4("ftp.active.cip", "Client's address"),
    u16("ftp.active.port", "Client's port"),
    ipv4("ftp.passive.ip", "Server's address"),
    u16("ftp.passive.port", "Server's port"),
    u8("ftp.eprt.af", "Address family", values={1: "IPv4", 2: "IPv6"}),
    string("ftp.eprt.ip", "Client's address"),
    u16("ftp.eprt.port", "Client's port"),
    u16("ftp.epsv.port", "Server's port"),
)


class Ftp(StreamParser):
    """Client and server; replies are matched with commands in order, because AUTH changes what follows."""

    protocol = "ftp"

    def __init__(self) -> None:
        self._open: Commands[bytes] = Commands()
        self._tls: bool | None = None
        self._greeted = False

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        if resync and (yield from self._secure(reader)):
            return
        client = reader.direction == self.node.client
        multi = b""  # the code of a reply of several lines, until its last one (RFC 959, 4.2)
        while (found := (yield from line(reader))) is not None:
            kind = "request" if client else "response"
            self.node.emit(kind, reader, found.start, found.stop, {"inside": multi != b""}, complete=found.complete)
            if client:
                words = found.text.upper().split()
                self._open.append(words[0] if words else b"", self.node, reader)
                if words[:1] == [b"AUTH"]:
                    self._tls = None
                    answered = yield from self.wait(lambda: self._tls is not None)
                    if (self._tls or not answered) and (yield from self._secure(reader)):
                        return
                continue
            code = found.data[:3] if found.data[:3].isdigit() else b""
            if code and found.data[3:4] == b"-" and not multi:
                multi = code
            elif not multi or (code == multi and found.data[3:4] != b"-"):
                multi = b""
                if (yield from self._answered(reader, int(code or b"0"))):
                    return

    def _answered(self, reader: Reader, code: int) -> Steps[bool]:
        """The last line of a reply; true where TLS begins. 1xx is followed by another reply to the same command."""
        greeting = not self._greeted and code in GREETINGS
        self._greeted = code != 120  # "ready in some minutes"; the greeting itself follows
        if greeting or not self._open or code // 100 == 1:
            return False
        if self._open.take() != b"AUTH":
            return False
        self._tls = code == AUTH_ACCEPTED
        return self._tls and (yield from self._secure(reader))

    def _secure(self, reader: Reader) -> Steps[bool]:
        if not plausible((yield from reader.peek(5))):
            return False
        return self.node.hand_over(reader, "protocol", "tls", why="the server answered AUTH with 234 (RFC 4217, 4)")


def dissect(c: Cursor) -> None:
    size = text_size(c)
    with c.group("ftp.line", c.peek(size).decode("utf-8", "surrogateescape")):
        with c.within(size):
            if c.context.info.get("kind") == "request":
                _request(c)
            else:
                _response(c, bool(c.context.info.get("inside")))
        end_line(c)


def _request(c: Cursor) -> None:
    c.generated("ftp.request", True)
    c.generated("ftp.response", False)
    verb = c.peek(c.remaining).split(b" ", 1)[0]
    command = c.string("ftp.request.command", len(verb))
    rest = c.peek(c.remaining)
    c.skip(len(rest) - len(rest.lstrip(b" ")))
    start = c.pos
    argument = c.string("ftp.request.arg", c.remaining) if c.remaining else ""
    c.layer.summary = f"{command} {argument}" if argument else command
    if command.upper() == "PORT":
        _endpoint(c, "ftp.active.cip", "ftp.active.port", argument, start)
    elif command.upper() == "EPRT":
        _extended(c, argument, start)


def _response(c: Cursor, inside: bool) -> None:
    c.generated("ftp.request", False)
    c.generated("ftp.response", True)
    code = c.peek(3)
    number = 0
    if len(code) == 3 and code.isdigit():
        number = int(code)
        c.add("ftp.response.code", number, c.pos, c.pos + 3)
        c.skip(3)
        if c.remaining:
            c.skip(1)
    elif not inside:
        c.issue("reply-code", "a reply begins with three digits (RFC 959, 4.2)", Severity.WARNING, c.span(c.pos, c.stop))
    start, raw = c.pos, c.peek(c.remaining)
    text = c.string("ftp.response.arg", c.remaining) if c.remaining else ""
    c.layer.summary = f"{number} {text}" if number else text
    if number == PASSIVE:
        found = ENDPOINT.search(raw)
        if found is not None:
            _endpoint(c, "ftp.passive.ip", "ftp.passive.port", found[0].decode(), start + found.start())
    elif number == EXTENDED_PASSIVE:
        _extended_passive(c, raw, start)


def _endpoint(c: Cursor, address: str, port: str, text: str, start: int) -> None:
    """`h1,h2,h3,h4,p1,p2` (RFC 959, 4.1.2), at its own bytes."""
    parts = text.strip().split(",")
    numbers = [found for part in parts if (found := natural(part)) is not None and found < 256]
    if len(parts) != 6 or len(numbers) != 6:
        return
    middle = start + sum(len(part) + 1 for part in parts[:4])
    stop = start + len(",".join(parts))
    c.add(address, bytes(numbers[:4]), start, middle - 1)
    c.add(port, numbers[4] << 8 | numbers[5], middle, stop)


def _extended(c: Cursor, text: str, start: int) -> None:
    """`|1|192.0.2.1|6275|` (RFC 2428, 2); the first character is the delimiter."""
    parts = text.split(text[0]) if text else []
    if len(parts) != 5 or parts[1] not in ("1", "2") or natural(parts[3]) is None:
        return
    try:
        ip_address(parts[2])
    except ValueError:
        return
    at = start + 1
    for name, part in (("ftp.eprt.af", parts[1]), ("ftp.eprt.ip", parts[2]), ("ftp.eprt.port", parts[3])):
        c.add(name, part if name == "ftp.eprt.ip" else int(part), at, at + len(part))
        at += len(part) + 1


def _extended_passive(c: Cursor, raw: bytes, start: int) -> None:
    """`Entering Extended Passive Mode (|||6446|)` (RFC 2428, 3)."""
    found = PORT_ONLY.search(raw)
    if found is not None and (port := natural(found[2])) is not None and port < 65536:
        c.add("ftp.epsv.port", port, start + found.start(2), start + found.end(2))


def explain(layer: Layer) -> list[Note]:
    verb, code = layer.find("ftp.request.command"), layer.find("ftp.response.code")
    if verb is not None:
        told = _VERBS.get(str(verb.value).upper())
        return [Note(verb.span, str(verb.value).upper(), *told)] if told else []
    notes = []
    if code is not None and code.value // 100 in _KINDS:
        notes.append(Note(code.span, f"{code.value // 100}xx", _KINDS[code.value // 100], "RFC 959, 4.2"))
    port = layer.find("ftp.passive.port") or layer.find("ftp.epsv.port")
    if port is not None:
        why = f"The client opens the data connection to port {port.value} of the server."
        reference = "RFC 2428, 3" if port.name == "ftp.epsv.port" else "RFC 959, 4.1.2"
        notes.append(Note(port.span, "data connection", why, reference))
    return notes


_KINDS = {
    1: "Begun; another reply follows when it is done.",
    2: "Done.",
    3: "Accepted, but the server needs one more command.",
    4: "Not now: the client may try again.",
    5: "No, for good.",
}
_VERBS = {
    "USER": ("Who wants to come in.", "RFC 959, 4.1.1"),
    "PASS": ("The password, in clear unless TLS began before.", "RFC 959, 4.1.1"),
    "AUTH": ("If the server answers 234, TLS begins in this connection.", "RFC 4217, 4"),
    "PASV": ("The server shall listen for the data connection: the client may sit behind a NAT.", "RFC 959, 4.1.2"),
    "EPSV": ("The server shall listen for the data connection, on the address of this one.", "RFC 2428, 3"),
    "PORT": ("The client listens for the data connection at this address: a NAT on the way must change it.",
             "RFC 959, 4.1.2"),
    "EPRT": ("The client listens for the data connection at this address, IPv4 or IPv6.", "RFC 2428, 2"),
    "RETR": ("The file comes on the data connection, not on this one.", "RFC 959, 4.1.3"),
    "STOR": ("The file goes over the data connection, not over this one.", "RFC 959, 4.1.3"),
    "LIST": ("The listing comes on the data connection.", "RFC 959, 4.1.3"),
    "QUIT": ("The client wants to end; the server answers 221 and closes.", "RFC 959, 4.1.1"),
}  # fmt: skip

CARD = Card(
    "lines of text; files on connections of their own",
    "commands and replies in turn; a data connection for each transfer",
    "host and port of the control connection; the data connection's in PORT, PASV, EPRT or EPSV",
    "full duplex, used in turn; data in one direction a transfer",
    "login, directory, type and data port are kept by the server for the connection",
    "addresses inside the text: NATs and firewalls must read along",
    "TCP's",
    "three-digit replies: 4xx may be tried again, 5xx not; an interrupted transfer goes on with REST",
)
PROTOCOL = Protocol(
    "ftp", "FTP", 7, FIELDS, dissect, keys={"tcp.port": [21]}, parser=Ftp, explain=explain, card=CARD, reference="RFC 959"
)
