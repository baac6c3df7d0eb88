"""An HTTP request as a curl command that sends it again."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

MAX_BODY = 8192  # octets of a body that fit a command line people can still read
# curl makes these itself; repeating them would contradict what it sends.
OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})


def command(method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> str:
    """The command, safe to paste into a POSIX shell with `$'…'` (bash, zsh, ksh): whatever a capture says stays data.

    A body of more than MAX_BODY octets is left to a file `body`.
    """
    parts = ["curl"]
    if method == "HEAD":
        parts.append("--head")
    elif method != ("POST" if body else "GET"):
        parts.append(f"--request {quoted(method)}")
    parts.append(quoted(url))
    for name, value in headers:
        if name.lower() not in OWN and not name.startswith(":"):
            parts.append(f"--header {quoted(f'{name}: {value}' if value else f'{name};')}")
    if body:
        parts.append(f"--data-binary {quoted_bytes(body) if len(body) <= MAX_BODY else '@body'}")
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
