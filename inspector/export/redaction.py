"""Secrets are taken out of what is exported: credentials, cookies and tokens in headers, targets, forms and JSON."""

from __future__ import annotations

import re

REDACTED = "(redacted)"
_CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
_COOKIES = frozenset({"cookie", "set-cookie"})
_SECRET = re.compile(
    r"(?:^|[-_.])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|apikey|auth|credential|session(?:[-_]?id)?|sid|jwt|csrf"
    r"|xsrf|signature|sig|otp|pin|private[-_]?key|client[-_]secret|refresh[-_]token|access[-_]token|id[-_]token)s?$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PAIR = re.compile(r"([^=&;?#]*)=([^&;#]*)")
_USER = re.compile(r"(?<=://)[^/?#@]*:[^/?#@]*@")
_JSON = re.compile(r'("((?:[^"\\]|\\.){1,64})"\s*:\s*)("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*)')


def secret(name: str) -> bool:
    """Does a header, parameter or member of that name hold a secret?"""
    return _SECRET.search(_CAMEL.sub("-", name.strip())) is not None


def header(name: str, value: str) -> str:
    """A header's value without its secrets: the scheme of credentials and the names of cookies stay."""
    key = name.lower()
    if key in _CREDENTIALS:
        scheme, space, rest = value.partition(" ")
        return f"{scheme} {REDACTED}" if space and rest else REDACTED
    if key == "cookie":
        return "; ".join(f"{pair.partition('=')[0]}={REDACTED}" for pair in value.split("; "))
    if key == "set-cookie":
        first, mark, attributes = value.partition(";")
        return f"{first.partition('=')[0]}={REDACTED}{mark}{attributes}"
    if key in ("referer", "location", "content-location", ":path"):
        return url(value)
    return REDACTED if secret(key.removeprefix("x-")) or key in _COOKIES else value


def url(text: str) -> str:
    """A target without a password in front of the host and without secret parameters."""
    text = _USER.sub(f"{REDACTED}@", text)
    path, mark, query = text.partition("?")
    return path + mark + parameters(query)


def parameters(text: str) -> str:
    """`a=b&token=c` without secret values."""
    return _PAIR.sub(lambda pair: f"{pair[1]}={REDACTED}" if secret(pair[1]) else pair[0], text)


def body(text: str, media: str) -> str:
    """A body's text without the secrets of a form or of JSON; other bodies stay as they are."""
    if media == "application/x-www-form-urlencoded":
        return parameters(text)
    if media.endswith(("json", "event-stream")):
        return _JSON.sub(lambda member: f'{member[1]}"{REDACTED}"' if secret(member[2]) else member[0], text)
    return text
