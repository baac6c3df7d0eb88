"""JSON Web Tokens (RFC 7519) and session identifiers: what lives in the token, and what must live in the server."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error
from datetime import UTC, datetime
from typing import Any, NamedTuple

from inspector.core.text import printable

MAX_TOKEN = 16 * 1024  # characters: no header that servers accept is longer
MAX_CLAIMS = 32
MAX_TIME = 10**18  # seconds: a time may be given in microseconds by mistake; beyond that it is none
SHOWN = 40
_COMPACT = re.compile(r"[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\Z")
_SESSION = re.compile(
    r"(?:^|[-_.])(?:sess(?:ion)?(?:[-_]?id)?|sid|phpsessid|jsessionid|connect\.sid|auth|token|jwt)\Z", re.IGNORECASE
)
_SECRET_CLAIMS = re.compile(r"pass|secret|key|token|email|phone|address", re.IGNORECASE)
_TIMES = {"exp": "expires", "nbf": "not before", "iat": "issued"}


class Token(NamedTuple):
    """A decoded token. signature: its length in characters, 0 without one: it is never shown."""

    algorithm: str
    claims: dict[str, Any]
    signature: int


def token(text: str) -> Token | None:
    """The token in a text; None where it is none. The signature is not checked: nobody here has the key."""
    text = text.strip()
    if len(text) > MAX_TOKEN or not _COMPACT.match(text):
        return None
    head, body, signature = text.split(".")
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body))
    except (Error, ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "alg" not in header:
        return None
    return Token(str(header["alg"]), claims, len(signature))


def times(found: Token) -> dict[str, float]:
    """When it expires (`exp`), begins to hold (`nbf`) and was issued (`iat`), in seconds since 1970, as far as it says so."""
    claims = {name: found.claims.get(name) for name in _TIMES}
    return {name: at for name, at in claims.items() if isinstance(at, int | float) and -MAX_TIME < at < MAX_TIME}


def moment(seconds: float) -> str:
    """A time of a token, as people write it; as it stands where it is in no year that a calendar has."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s since 1970"


def words(found: Token, now_ns: int) -> str:
    """Its claims, and whether it holds at a time. What may be about a person is named and not shown."""
    said, known = [], times(found)
    for name, value in list(found.claims.items())[:MAX_CLAIMS]:
        if name in known:
            text = f"{_TIMES[name]} {moment(value)}"
            if name == "exp":
                left = value - now_ns / 1e9
                far = f"{abs(left):,.{0 if abs(left) >= 10 else 3}f} seconds"
                text += f" ({far} {'from this packet on' if left > 0 else 'before this packet: it has expired'})"
            said.append(text)
        elif _SECRET_CLAIMS.search(name):
            said.append(f"{printable(name, SHOWN)} (not shown)")
        else:
            said.append(f"{printable(name, SHOWN)} {printable(json.dumps(value, ensure_ascii=False), SHOWN)}")
    signed = f"signed with {printable(found.algorithm, 20)} ({found.signature} characters, not shown)"
    if found.algorithm.lower() == "none" or not found.signature:
        signed = "not signed: anybody can write one"
    return f"claims {'; '.join(said) or 'none'}; {signed}"


def names_session(name: str) -> bool:
    """A cookie of that name usually identifies a session."""
    return _SESSION.search(name) is not None
