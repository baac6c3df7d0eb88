"""PostgreSQL's frontend/backend protocol 3 (its documentation, "Message Flow" and "Message Formats"): one unit a message.

SSLRequest hands over to TLS. Not here: protocol 2, GSSAPI encryption, the meaning of replicated data.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.core.cursor import Cursor
from inspector.core.field import Base, catalog, flag, heading, octets, sint, string, u8, u16, u32
from inspector.core.layer import Layer, Note, Severity
from inspector.core.protocol import Card, Protocol, Sniff
from inspector.core.stream import Ended, Gap, Reader, Steps, StreamParser
from inspector.protocols.tls.wire import plausible

MAX_MESSAGE = 1 << 30  # PostgreSQL's own limit of a message
LIKELY_MESSAGE = 1 << 24  # bytes that a message may announce where it is not certain that it is one
MAX_STARTUP = 10_000  # PostgreSQL's own limit of a startup packet
CANCEL, SSL, GSSAPI = 80877102, 80877103, 80877104  # in place of the version (Message Formats)
FRONTEND = {
    "p": "Password message", "Q": "Simple query", "P": "Parse", "B": "Bind", "E": "Execute", "D": "Describe", "C": "Close",
    "H": "Flush", "S": "Sync", "F": "Function call", "d": "Copy data", "c": "Copy completion", "f": "Copy failure",
    "X": "Termination",
}  # fmt: skip
BACKEND = {
    "R": "Authentication request", "K": "Backend key data", "S": "Parameter status", "1": "Parse completion",
    "2": "Bind completion", "3": "Close completion", "C": "Command completion", "t": "Parameter description",
    "T": "Row description", "D": "Data row", "I": "Empty query", "n": "No data", "E": "Error", "N": "Notice",
    "s": "Portal suspended", "Z": "Ready for query", "A": "Notification", "V": "Function call response", "G": "CopyIn response",
    "H": "CopyOut response", "W": "CopyBoth response", "d": "Copy data", "c": "Copy completion",
    "v": "Negotiate protocol version",
}  # fmt: skip
AUTHENTICATIONS = {
    0: "Success", 2: "Kerberos V5", 3: "Plaintext password", 5: "MD5 password", 7: "GSSAPI", 8: "GSSAPI continue", 9: "SSPI",
    10: "SASL", 11: "SASL continue", 12: "SASL complete",
}  # fmt: skip
STATUSES = {ord("I"): "Idle", ord("T"): "In a transaction", ord("E"): "In a failed transaction"}
FORMATS = {0: "Text", 1: "Binary"}
ERROR_FIELDS = {
    "S": "severity", "V": "text", "C": "code", "M": "message", "D": "detail", "H": "hint", "P": "position",
    "p": "internal_position", "q": "internal_query", "W": "where", "s": "schema_name", "t": "table_name", "c": "column_name",
    "d": "type_name", "n": "constraint_name", "F": "file", "L": "line", "R": "routine",
}  # fmt: skip

FIELDS = catalog(
    flag("pgsql.frontend", "From the client"),
    string("pgsql.type", "Message"),
    u32("pgsql.length", "Length"),
    u16("pgsql.version_major", "Protocol, major"),
    u16("pgsql.version_minor", "Protocol, minor"),
    u32("pgsql.request_code", "Request code"),
    string("pgsql.ssl_answer", "Answer"),
    string("pgsql.parameter_name", "Parameter"),
    string("pgsql.parameter_value", "Value"),
    string("pgsql.query", "Query"),
    string("pgsql.password", "Password"),
    u32("pgsql.authtype", "Authentication", values=AUTHENTICATIONS),
    octets("pgsql.salt", "Salt"),
    string("pgsql.auth.sasl.mech", "SASL mechanism"),
    sint("pgsql.auth.sasl.data.length", "Length", 32),
    octets("pgsql.auth.sasl.data", "Authentication data"),
    string("pgsql.statement", "Statement"),
    string("pgsql.portal", "Portal"),
    u32("pgsql.returns", "Rows to return at most"),
    string("pgsql.tag", "Tag"),
    u8("pgsql.status", "Transaction", Base.HEX, STATUSES),
    octets("pgsql.copydata", "Data"),
    u32("pgsql.pid", "Process"),
    u32("pgsql.key", "Secret key", Base.HEX),
    string("pgsql.condition", "Channel"),
    string("pgsql.text", "Text"),
    u32("pgsql.oid.table", "Table"),
    u32("pgsql.oid.type", "Type"),
    u16("pgsql.format", "Format", values=FORMATS),
    u8("pgsql.copy_format", "Format", values=FORMATS),
    u16("pgsql.field.count", "Count"),
    heading("pgsql.field", "Field"),
    string("pgsql.col.name", "Column"),
    u16("pgsql.col.index", "Column number"),
    sint("pgsql.val.length", "Length", 32),
    octets("pgsql.val.data", "Data"),
    sint("pgsql.col.typemod", "Type modifier", 32),
    string("pgsql.error_field", "Field"),
    *(string(f"pgsql.{name}", name.replace("_", " ").capitalize()) for name in dict.fromkeys(ERROR_FIELDS.values())),
    octets("pgsql.data", "Contents"),
)


def _startup(head: bytes) -> bool:
    """Eight bytes that begin a connection: a length, and a version or request code."""
    if len(head) < 8:
        return False
    size, code = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    if code in (SSL, GSSAPI):
        return size == 8
    return 8 <= size <= MAX_STARTUP and (code >> 16 == 3 or (code == CANCEL and size >= 16))


def _tagged(head: bytes, tags: frozenset[bytes], most: int = LIKELY_MESSAGE) -> bool:
    """Five bytes that can begin a message: its tag and its length."""
    return len(head) >= 5 and head[:1] in tags and 4 <= int.from_bytes(head[1:5], "big") <= most


def sniff(prefix: bytes) -> Sniff:
    """A client's first message is unmistakable; what may be a later one is left to the port."""
    if _startup(prefix):
        return Sniff.YES
    if len(prefix) < 8 and (prefix[:1] == b"\0" or (len(prefix) < 5 and prefix[:1] in _TAGS)):
        return Sniff.NEED_MORE
    return Sniff.NEED_MORE if _tagged(prefix, _TAGS) else Sniff.NO


_CLIENT_TAGS = frozenset(tag.encode() for tag in FRONTEND)
_SERVER_TAGS = frozenset(tag.encode() for tag in BACKEND)
_TAGS = _CLIENT_TAGS | _SERVER_TAGS


class Postgres(StreamParser):
    """Client and server. The first messages of a client have no tag, and a request for encryption is answered with one byte."""

    protocol = "pgsql"

    def __init__(self) -> None:
        self._asked = False  # for encryption
        self._answer: bytes | None = None

    def parse(self, reader: Reader, resync: bool) -> Steps[None]:
        client = reader.direction == self.node.client
        if resync and plausible((yield from reader.peek(5))) and self._hand_over(reader):
            return
        while (yield from reader.some()):
            start = reader.pos
            head = yield from reader.peek(8)
            if not client and self._asked and self._answer is None and head[:1] in (b"S", b"N", b"G"):
                yield from reader.read(1)
                self.node.emit("answer", reader, start, reader.pos)
                self._answer = head[:1]
                if head[:1] == b"S" and plausible((yield from reader.peek(5))) and self._hand_over(reader):
                    return
            elif client and _startup(head):
                if (yield from self._first(reader, head)):
                    return
            elif _tagged(head, _CLIENT_TAGS if client else _SERVER_TAGS, MAX_MESSAGE):
                yield from self._message(reader, "message", 1 + int.from_bytes(head[1:5], "big"))
            elif not (yield from self._find(reader, _CLIENT_TAGS if client else _SERVER_TAGS)):
                return

    def _hand_over(self, reader: Reader) -> bool:
        return self.node.hand_over(reader, "protocol", "tls", why="the server answered SSLRequest with S")

    def _first(self, reader: Reader, head: bytes) -> Steps[bool]:
        """A message without a tag; true where TLS begins behind it."""
        if int.from_bytes(head[4:8], "big") in (SSL, GSSAPI):
            self._asked, self._answer = True, None
        if not (yield from self._message(reader, "startup", int.from_bytes(head[:4], "big"))):
            return False
        if not self._asked or self._answer is not None:
            return False
        answered = yield from self.wait(lambda: self._answer is not None)
        if answered and self._answer != b"S":
            return False
        return plausible((yield from reader.peek(5))) and self._hand_over(reader)

    def _message(self, reader: Reader, kind: str, size: int) -> Steps[bool]:
        start, complete = reader.pos, True
        try:
            complete = not (yield from reader.skip(size, over_gaps=True))
        except Ended:
            reader.pos, complete = reader.arrived, False
        info = {"client": reader.direction == self.node.client}
        self.node.emit(kind, reader, start, reader.pos, info, complete=complete)
        return complete

    def _find(self, reader: Reader, tags: frozenset[bytes]) -> Steps[bool]:
        """The next place where a segment begins with what can be a message."""
        while True:
            reader.pos = min(max(reader.segment_start(reader.pos + 1), reader.pos + 1), reader.arrived)
            try:
                if not (yield from reader.some()):
                    return False
                if _tagged((yield from reader.peek(8)), tags):
                    return True
            except Gap:
                continue


def dissect(c: Cursor) -> None:
    kind = c.context.info.get("kind")
    if kind == "answer":
        letter = c.peek(1)
        words = {b"S": "yes, TLS follows", b"N": "no", b"G": "yes, GSSAPI follows"}
        c.string("pgsql.ssl_answer", 1)
        c.layer.summary = f"Encryption: {words.get(letter, 'unknown')}"
        return
    client = bool(c.context.info.get("client"))
    c.generated("pgsql.frontend", client)
    if kind == "startup":
        _startup_message(c)
        return
    tag = c.peek(1).decode("latin-1")
    name = (FRONTEND if client else BACKEND).get(tag, "Unknown")
    if tag == "p" and client:
        name = _password_name(c)
    c.add("pgsql.type", name, c.pos, c.pos + 1, f"{name} ({tag})")
    c.skip(1)
    c.layer.summary = name
    size = c.uint("pgsql.length", 4)
    with c.within(max(size - 4, 0)):
        read = (_FRONTEND if client else _BACKEND).get(tag)
        if read is not None:
            read(c)
        if c.remaining:
            c.octets("pgsql.data", c.remaining)


def _password_name(c: Cursor) -> str:
    """The letter p carries passwords and SASL alike; a SASL mechanism's name, or a SCRAM answer, tells them apart."""
    body = c.peek(64, 5)
    if body.startswith(b"SCRAM-"):
        return "SASLInitialResponse message"
    return "SASLResponse message" if body.startswith((b"c=", b"n,,", b"y,,")) else "Password message"


def _text(c: Cursor, name: str) -> str:
    """A string that ends with a zero byte."""
    data = c.peek(c.remaining)
    stop = data.find(b"\0")
    if stop < 0:
        return c.string(name, c.remaining)
    start = c.pos
    value = data[:stop].decode("utf-8", "surrogateescape")
    c.skip(stop + 1)
    c.add(name, value, start, c.pos)
    return value


def _startup_message(c: Cursor) -> None:
    at = c.pos
    size, code = c.peek_uint(4), c.peek_uint(4, 4)
    names = {SSL: "SSL request", CANCEL: "Cancel request", GSSAPI: "GSSENC request"}
    name = names.get(code, "Startup message")
    c.layer.summary = name
    c.uint("pgsql.length", 4)
    with c.within(max(size - 4, 0)):
        if code in names:
            c.uint("pgsql.request_code", 4)
        else:
            c.uint("pgsql.version_major", 2)
            c.uint("pgsql.version_minor", 2)
        c.generated("pgsql.type", name, c.span(at))
        if code == CANCEL:
            c.uint("pgsql.pid", 4)
            c.uint("pgsql.key", min(4, c.remaining))
        elif code not in names:
            words = []
            while c.remaining > 1:
                words.append(f"{_text(c, 'pgsql.parameter_name')}={_text(c, 'pgsql.parameter_value')}")
            c.layer.summary += f"  {' '.join(words[:4])}"
        if c.remaining:
            c.octets("pgsql.data", c.remaining)


def _query(c: Cursor) -> None:
    c.layer.summary += f"  {_text(c, 'pgsql.query')}"


def _parse(c: Cursor) -> None:
    _text(c, "pgsql.statement")
    _query(c)
    for _ in range(c.uint("pgsql.field.count", 2)):
        c.uint("pgsql.oid.type", 4)


def _formats(c: Cursor) -> None:
    for _ in range(c.uint("pgsql.field.count", 2)):
        c.uint("pgsql.format", 2)


def _values(c: Cursor) -> None:
    for _ in range(c.uint("pgsql.field.count", 2)):
        size = c.sint("pgsql.val.length", 4)  # -1 is NULL
        if size > 0:
            c.octets("pgsql.val.data", size)


def _bind(c: Cursor) -> None:
    _text(c, "pgsql.portal")
    _text(c, "pgsql.statement")
    _formats(c)
    _values(c)
    _formats(c)


def _execute(c: Cursor) -> None:
    _text(c, "pgsql.portal")
    c.uint("pgsql.returns", 4)


def _describe(c: Cursor) -> None:
    kind = c.peek(1)
    c.octets("pgsql.data", 1, "portal" if kind == b"P" else "statement")
    _text(c, "pgsql.portal" if kind == b"P" else "pgsql.statement")


def _password(c: Cursor) -> None:
    if c.layer.summary.startswith("SASLInitial"):
        _text(c, "pgsql.auth.sasl.mech")
        size = c.sint("pgsql.auth.sasl.data.length", 4)
        if size > 0:
            c.octets("pgsql.auth.sasl.data", size)
    elif c.layer.summary.startswith("SASL"):
        c.octets("pgsql.auth.sasl.data", c.remaining)
    else:
        _text(c, "pgsql.password")


def _copy(c: Cursor) -> None:
    c.octets("pgsql.copydata", c.remaining)


def _failure(c: Cursor) -> None:
    _text(c, "pgsql.error_field")


def _authentication(c: Cursor) -> None:
    kind = c.uint("pgsql.authtype", 4)
    c.layer.summary += f"  {AUTHENTICATIONS.get(kind, kind)}"
    if kind == 5:
        c.octets("pgsql.salt", 4)
    elif kind == 10:
        while c.remaining > 1:
            _text(c, "pgsql.auth.sasl.mech")
    elif c.remaining:
        c.octets("pgsql.auth.sasl.data", c.remaining)


def _key_data(c: Cursor) -> None:
    c.uint("pgsql.pid", 4)
    c.uint("pgsql.key", min(4, c.remaining))


def _parameter(c: Cursor) -> None:
    c.layer.summary += f"  {_text(c, 'pgsql.parameter_name')}={_text(c, 'pgsql.parameter_value')}"


def _completion(c: Cursor) -> None:
    c.layer.summary += f"  {_text(c, 'pgsql.tag')}"


def _ready(c: Cursor) -> None:
    status = c.uint("pgsql.status", 1)
    c.layer.summary += f"  {STATUSES.get(status, status)}"


def _row_description(c: Cursor) -> None:
    columns = []
    for _ in range(c.uint("pgsql.field.count", 2)):
        with c.group("pgsql.field") as group:
            group.text = _text(c, "pgsql.col.name")
            columns.append(group.text)
            c.uint("pgsql.oid.table", 4)
            c.uint("pgsql.col.index", 2)
            c.uint("pgsql.oid.type", 4)
            c.sint("pgsql.val.length", 2)
            c.sint("pgsql.col.typemod", 4)
            c.uint("pgsql.format", 2)
    c.layer.summary += f"  {', '.join(columns[:8])}"


def _parameter_description(c: Cursor) -> None:
    for _ in range(c.uint("pgsql.field.count", 2)):
        c.uint("pgsql.oid.type", 4)


def _error(c: Cursor) -> None:
    found: dict[str, str] = {}
    start = c.pos
    while c.remaining and c.peek(1) != b"\0":
        letter = c.peek(1).decode("latin-1")
        name = ERROR_FIELDS.get(letter, "error_field")
        with c.group("pgsql.error_field", letter) as group:
            c.skip(1)
            group.text = found[name] = _text(c, f"pgsql.{name}")
    if c.layer.summary == "Error":
        text = f"the server says: {found.get('severity', 'ERROR')} {found.get('code', '')}: {found.get('message', '')}"
        c.issue("server-error", text, Severity.WARNING, c.span(start))
    c.layer.summary += f"  {found.get('code', '')} {found.get('message', '')}"


def _notification(c: Cursor) -> None:
    c.uint("pgsql.pid", 4)
    c.layer.summary += f"  {_text(c, 'pgsql.condition')}"
    _text(c, "pgsql.text")


def _copy_response(c: Cursor) -> None:
    c.uint("pgsql.copy_format", 1)
    _formats(c)


Readers = dict[str, Callable[[Cursor], None]]
_FRONTEND: Readers = {
    "Q": _query, "P": _parse, "B": _bind, "E": _execute, "D": _describe, "C": _describe, "p": _password, "d": _copy,
    "f": _failure,
}  # fmt: skip
_BACKEND: Readers = {
    "R": _authentication, "K": _key_data, "S": _parameter, "C": _completion, "Z": _ready, "T": _row_description, "D": _values,
    "t": _parameter_description, "E": _error, "N": _error, "A": _notification, "d": _copy, "G": _copy_response,
    "H": _copy_response, "W": _copy_response,
}  # fmt: skip


def explain(layer: Layer) -> list[Note]:
    kind = layer.find("pgsql.type")
    told = _NOTES.get(str(kind.value)) if kind is not None else None
    answer = layer.find("pgsql.ssl_answer")
    if answer is not None:
        why = "One byte, not a message: S and the TLS handshake begins, N and everything stays in clear."
        return [Note(answer.span, "the answer", why, "PostgreSQL, Message Flow: SSL Session Encryption")]
    return [Note(kind.span, *told)] if kind is not None and told is not None else []


_FLOW = "PostgreSQL, Message Flow: "
_NOTES = {
    "SSL request": ("encryption wanted", "The client asks for TLS before it says anything else, even its name.",
                    f"{_FLOW}SSL Session Encryption"),
    "Startup message": ("who and what", "The user, the database, and the protocol's version.", f"{_FLOW}Start-up"),
    "Cancel request": ("cancel", "A connection of its own, to stop a query in another one; the key proves the right to.",
                       f"{_FLOW}Canceling Requests in Progress"),
    "Backend key data": ("for cancelling", "With this process number and key a query can be cancelled from outside.",
                         f"{_FLOW}Start-up"),
    "Ready for query": ("your turn", "The server has done with what was asked, and waits.", f"{_FLOW}Simple Query"),
    "Simple query": ("query", "SQL text; rows, completion and Ready for query come back.", f"{_FLOW}Simple Query"),
    "Parse": ("prepare", "SQL text is made into a statement; values come later, with Bind.", f"{_FLOW}Extended Query"),
    "Bind": ("values", "The statement gets its values, apart from the SQL: nothing in them can be taken for SQL.",
             f"{_FLOW}Extended Query"),
    "Sync": ("end of the group", "After an error the server skips everything up to here.", f"{_FLOW}Extended Query"),
}  # fmt: skip

CARD = Card(
    "binary messages: a letter, a length, contents; rows as text or binary",
    "request and response; several requests may be sent ahead",
    "user and database in the startup message",
    "full duplex",
    "idle, in a transaction, in a failed transaction; prepared statements and portals stay on the server",
    "a pooler may stand between and share connections",
    "TCP's",
    "errors with a five-character SQLSTATE; the group up to Sync is skipped",
)
PROTOCOL = Protocol(
    "pgsql", "PostgreSQL", 7, FIELDS, dissect, keys={"tcp.port": [5432]}, sniff=sniff, parser=Postgres, explain=explain,
    card=CARD, reference="PostgreSQL documentation, Frontend/Backend Protocol",
)  # fmt: skip
