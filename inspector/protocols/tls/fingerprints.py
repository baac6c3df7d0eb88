"""Fingerprints of TLS clients and servers: JA3 and JA3S as Salesforce published them, JA4 as FoxIO describes it.

Not here: JA4 over QUIC and DTLS, whose first letter is another.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from inspector.core.field import catalog, string
from inspector.protocols.tls.extensions import ALPN, SERVER_NAME, grease

FIELDS = catalog(
    string("tls.handshake.ja3_full", "JA3 string"),
    string("tls.handshake.ja3", "JA3 fingerprint"),
    string("tls.handshake.ja3s_full", "JA3S string"),
    string("tls.handshake.ja3s", "JA3S fingerprint"),
    string("tls.handshake.ja4", "JA4 fingerprint"),
    string("tls.handshake.ja4_r", "JA4 before hashing"),
)
VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}


class Hello(NamedTuple):
    """What fingerprints look at, in the order of the message."""

    version: int
    suites: list[int]
    extensions: list[int]
    groups: list[int]
    formats: list[int]
    schemes: list[int]
    versions: list[int]
    alpn: bytes  # the first protocol of the list


def _plain(values: list[int]) -> list[int]:
    return [value for value in values if grease(value) is None]


def ja3(hello: Hello) -> str:
    """A ClientHello's numbers, without GREASE; the fingerprint is its MD5."""
    parts = [[hello.version], _plain(hello.suites), _plain(hello.extensions), _plain(hello.groups), hello.formats]
    return ",".join("-".join(map(str, part)) for part in parts)


def ja3s(hello: Hello) -> str:
    """A ServerHello's numbers; the fingerprint is its MD5."""
    return ",".join("-".join(map(str, part)) for part in ([hello.version], hello.suites, hello.extensions))


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def ja4(hello: Hello) -> tuple[str, str]:
    """A ClientHello's JA4, and the same before hashing (JA4_r). Ciphers and extensions are sorted, schemes are not."""
    suites, extensions = _plain(hello.suites), _plain(hello.extensions)
    version = VERSIONS.get(max(_plain(hello.versions), default=hello.version), "00")
    named = "d" if SERVER_NAME in extensions else "i"
    head = f"t{version}{named}{min(len(suites), 99):02}{min(len(extensions), 99):02}{_ends(hello.alpn)}"
    ciphers = ",".join(sorted(f"{value:04x}" for value in suites))
    tail = ",".join(sorted(f"{value:04x}" for value in extensions if value not in (SERVER_NAME, ALPN)))
    if schemes := _plain(hello.schemes):
        tail += "_" + ",".join(f"{value:04x}" for value in schemes)
    return f"{head}_{_short(ciphers)}_{_short(tail)}", f"{head}_{ciphers}_{tail}"


def _ends(alpn: bytes) -> str:
    """First and last character of the first protocol; of its hexadecimal form, where either is not alphanumeric."""
    if not alpn:
        return "00"
    first, last = alpn[:1], alpn[-1:]
    if first.isalnum() and last.isalnum():  # of bytes: ASCII only
        return (first + last).decode()
    return first.hex()[0] + last.hex()[1]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12
