"""What leaves the program without its secrets, and what keeps them: the one policy.

- What tells or exports takes them out: HAR, curl commands, `exchanges`, `explain`, `findings`, `patterns`, `state`, `walk`,
  `assert`, as text and as JSON. `--with-secrets` keeps them.
- What shows the bytes themselves shows all of them, as tshark does: `show`, `fields`, `follow`, the screens, saved packets. Who
  hands these on hands on the capture.
- Keys that open TLS are left out of saved captures unless they are asked for, and then the file is its owner's alone.

Secrets are credentials, cookies, tokens and passwords: in headers, in targets, in forms and in JSON where a name tells, and in
the commands of mail and file transfer. What no name tells stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

REDACTED = "(redacted)"
Parts = tuple[str, str, list[tuple[str, str]], bytes]  # of a request: method, URL, headers, body
_CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
_COOKIES = frozenset({"cookie", "set-cookie"})
_SECRET = re.compile(
    r"(?:^|[-_.])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|apikey|auth|credential|session(?:[-_]?id)?|sid|jwt|csrf"
    r"|xsrf|signature|sig|otp|pin|private[-_]?key|client[-_]secret|refresh[-_]token|access[-_]token|id[-_]token)s?$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Each begins where a run of its characters begins, so that its time grows with the text and not with its square.
_PAIR = re.compile(r"(?<![^=&;?#])([^=&;?#]*)=([^&;#]*)")
_USER = re.compile(r"(?<=://)[^/?#@:]*:[^/?#@]*@")
# In running text: what is quoted may be cut off, or stand in quotes once more.
_MEMBER = re.compile(r'(?<!\\)(\\*"([^"\\]{1,64})\\*"\s*:\s*)(\\*"(?:[^"\\]|\\[^"])*(?:\\*"|$)|-?\d[\d.eE+-]*)')
_SETTING = re.compile(r"(?<![A-Za-z0-9_.%\[\]-])([A-Za-z0-9_.%\[\]-]+)( ?= ?)([^&\s,;#\"'<>”]+)")
_HEADER = re.compile(r"\b((?:proxy-)?authorization:\s*\S+)\s+[^\s,”]+", re.IGNORECASE)
_COOKIE = re.compile(r"\b(set-cookie|cookie):\s*([^=\s]+=.*)", re.IGNORECASE)
_LOGIN = r'PASS|ACCT|AUTH [\w-]+|AUTHENTICATE [\w-]+|APOP \S+|LOGIN (?:"[^"]*"|\S+)'  # RFC 959, 1939, 4954, 9051
_COMMAND = re.compile(rf"((?:^|: )(?:\S+ )?(?:{_LOGIN})) \S.*?(\.?)$", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]+\.?[\w-]*")  # a JSON Web Token (RFC 7519) begins with {" in base64
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
    if "=" not in text and "@" not in text:
        return text
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


def words(text: str) -> str:
    """A sentence, or a line of a report, without the secrets that it quotes."""
    text = _USER.sub(f"{REDACTED}@", text)
    text = _HEADER.sub(rf"\1 {REDACTED}", text)
    text = _COOKIE.sub(lambda found: f"{found[1]}: {header(found[1], found[2])}", text)
    text = _SETTING.sub(lambda pair: f"{pair[1]}{pair[2]}{REDACTED}" if secret(pair[1]) else pair[0], text)
    text = _MEMBER.sub(lambda member: f'{member[1]}"{REDACTED}"' if secret(member[2]) else member[0], text)
    text = _COMMAND.sub(rf"\1 {REDACTED}\2", text)
    return _TOKEN.sub(REDACTED, text)


def every(value: Any) -> Any:
    """The same for all texts inside lists and dictionaries."""
    if isinstance(value, str):
        return words(value)
    if isinstance(value, dict):
        return {key: every(inner) for key, inner in value.items()}
    return [every(inner) for inner in value] if isinstance(value, list | tuple) else value


def request(method: str, target: str, headers: Sequence[tuple[str, str]], content: bytes) -> Parts:
    """A request that is to be sent again, without its secrets."""
    media = next((value for name, value in headers if name.lower() == "content-type"), "").split(";")[0].strip().lower()
    clean = body(content.decode("utf-8", "surrogateescape"), media).encode("utf-8", "surrogateescape")
    return method, url(target), [(name, header(name, value)) for name, value in headers], clean
