"""An HTTP request as a curl command that sends it again."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from inspector.export import redaction
from inspector.export.messages import message
from inspector.index.names import TCP
from inspector.streams.exchanges import Exchange, nearest, of_conversation

if TYPE_CHECKING:
    from inspector.session import Session

MAX_BODY = 8192  # octets of a body that fit a command line people can still read
# curl makes these itself; repeating them would contradict what it sends.
OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})


def of_packet(session: Session, number: int, secrets: bool = False) -> str:
    """The request that a packet completes, or carries, or answers; empty where it has to do with none that is whole.

    secrets: keep credentials, cookies and tokens.
    """
    flow = session.index.flow_of(number)
    if flow < 0 or session.index.flows.protocol(flow) != TCP:
        return ""
    found = nearest(of_conversation(session.conversation(flow), flow), number)
    whole = found is not None and found.request is not None and found.request.whole
    return of_exchange(session, found, secrets) if found is not None and whole else ""


def of_exchange(session: Session, exchange: Exchange, secrets: bool = False) -> str:
    """The request of an exchange. A body that was compressed is sent as what it says."""
    said = message(session, exchange, False)
    if said.head is None:
        return ""
    headers = [(name, value) for name, value in said.head.headers if not said.body or name.lower() != "content-encoding"]
    asked = (exchange.method, exchange.url, headers, said.body or b"")
    knows = exchange.substream >= 0 and exchange.scheme == "http"
    return command(*(asked if secrets else redaction.request(*asked)), prior_knowledge=knows)


def command(method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"", prior_knowledge: bool = False) -> str:
    """The command, safe to paste into a POSIX shell with `$'…'` (bash, zsh, ksh): whatever a capture says stays data.

    A body of more than MAX_BODY octets, or with a NUL, which no argument can hold, is left to a file `body`.
    prior_knowledge: HTTP/2 without TLS, which curl must be told (RFC 9113, 3.3).
    """
    parts = ["curl", *(["--http2-prior-knowledge"] if prior_knowledge else [])]
    if method == "HEAD":
        parts.append("--head")
    elif method != ("POST" if body else "GET"):
        parts.append(f"--request {quoted(method)}")
    parts.append(quoted(url))
    for name, value in headers:
        upgrades = name.lower() == "connection" and any(other.lower() == "upgrade" for other, _ in headers)
        if (name.lower() not in OWN or upgrades) and not name.startswith(":"):
            parts.append(f"--header {quoted(f'{name}: {value}' if value else f'{name};')}")
    if body:
        parts.append(f"--data-binary {quoted_bytes(body) if len(body) <= MAX_BODY and 0 not in body else '@body'}")
    return " ".join(parts)


def quoted(text: str) -> str:
    """One word of a shell command."""
    return quoted_bytes(text.encode("utf-8", "surrogateescape"))


def quoted_bytes(data: bytes) -> str:
    """Printable ASCII in quotes as they are; everything else as `$'\\x1b'`, so that no control character reaches a terminal."""
    if all(32 <= byte < 127 for byte in data):
        return quote(data.decode("ascii"))
    escaped = "".join(
        f"\\{chr(byte)}" if byte in b"\\'" else chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in data
    )
    return f"$'{escaped}'"
