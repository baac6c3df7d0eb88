"""Numbers of the TLS record layer (RFC 8446, 5; RFC 5246, 6.2), and what the hellos say that decides how to read on."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

HEADER = 5
MAX_RECORD = (1 << 14) + 2048  # RFC 5246, 6.2.3; TLS 1.3 allows less
HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446, 4.1.3
DRAFTS = (0x7F, 0xFB)  # first octet of the version of TLS 1.3's drafts, and of those that Facebook used
CLEAR_MESSAGES = frozenset({1, 2, 4, 11, 12, 13, 14, 15, 16, 22})  # handshake messages that travel in clear up to TLS 1.2
VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
_ALPN, _ENCRYPT_THEN_MAC, _EXTENDED_MASTER_SECRET, _TICKET, _PSK, _EARLY_DATA, _VERSIONS = 16, 22, 23, 35, 41, 42, 43


class Content(IntEnum):
    CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24


class Message(IntEnum):
    """The handshake messages that change how records are read."""

    CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 1, 2, 4, 5, 8
    CLIENT_KEY_EXCHANGE, FINISHED, KEY_UPDATE = 16, 20, 24


CONTENTS = {20: "Change Cipher Spec", 21: "Alert", 22: "Handshake", 23: "Application Data", 24: "Heartbeat"}


def plausible(head: bytes) -> bool:
    """Five bytes that can be a record's header."""
    return (
        len(head) >= HEADER
        and head[0] in CONTENTS
        and head[1] == 3
        and head[2] <= 4
        and int.from_bytes(head[3:5], "big") <= MAX_RECORD
    )


def begins(head: bytes) -> bool:
    """A record that holds a ClientHello: every length and version in it fits."""
    return (
        len(head) >= 11
        and head[0] == Content.HANDSHAKE
        and plausible(head)
        and head[5:7] == b"\1\0"
        and int.from_bytes(head[6:9], "big") + 4 >= int.from_bytes(head[3:5], "big")
        and head[9] == 3
        and head[10] <= 4
    )


def opens_clear(body: bytes, size: int) -> bool:
    """The first bytes of a handshake record of `size` bytes begin a message in clear: a known type whose length fits.

    What is encrypted looks random, or begins with a nonce that counts from zero, which is no message's type and length.
    """
    if len(body) < 4 or body[0] not in CLEAR_MESSAGES:
        return False
    length = int.from_bytes(body[1:4], "big") + 4
    if body[0] in (1, 2):  # a hello says the version next
        return body[4:5] in (b"\x03", b"\x7f") and 38 <= length <= size + MAX_RECORD
    return length <= size or (body[0] == 11 and length < 1 << 18 and body[4:7] < body[1:4])


def short_hello(version: int) -> bool:
    """The ServerHello of drafts 1 to 21 of TLS 1.3 has neither a session id nor a compression method."""
    return 0x7F00 <= version <= 0x7F15


class Hello(NamedTuple):
    """What a hello says, as far as it decides how records are read. suites: those offered, or the one chosen;
    version: the one chosen, TLS 1.3 by its extension; tls13: also for its drafts; compression: of the record layer."""

    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    version: int
    tls13: bool = False
    compression: int = 0
    alpn: str = ""
    ticket: bytes = b""
    has_ticket: bool = False
    psk: bool = False
    early_data: bool = False
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False

    @property
    def retry(self) -> bool:
        return self.random == HELLO_RETRY


def extensions(raw: bytes) -> dict[int, bytes]:
    """A list of extensions with its length in front; as many as are whole."""
    found: dict[int, bytes] = {}
    at, stop = 2, min(2 + int.from_bytes(raw[:2], "big"), len(raw))
    while at + 4 <= stop:
        size = int.from_bytes(raw[at + 2 : at + 4], "big")
        if at + 4 + size > stop:
            break
        found.setdefault(int.from_bytes(raw[at : at + 2], "big"), raw[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def chosen_alpn(found: dict[int, bytes]) -> str:
    """The protocol that a server's ALPN extension names (RFC 7301, 3.1)."""
    raw = found.get(_ALPN, b"")
    return raw[3 : 3 + raw[2]].decode("latin-1") if len(raw) > 3 else ""


def accepts_early_data(found: dict[int, bytes]) -> bool:
    return _EARLY_DATA in found


def hello(raw: bytes, client: bool) -> Hello | None:
    """A ClientHello or ServerHello, message header and all; None for one that is cut or nonsense."""
    version = int.from_bytes(raw[4:6], "big")
    if len(raw) >= 40 and not client and short_hello(version):
        return Hello(raw[6:38], b"", (int.from_bytes(raw[38:40], "big"),), version, True)
    if len(raw) < 39 or len(raw) < 39 + raw[38]:
        return None
    random, at = raw[6:38], 39 + raw[38]
    session_id = raw[39:at]
    if client:
        size = int.from_bytes(raw[at : at + 2], "big")
        offered = raw[at + 2 : at + 2 + size]
        suites = tuple(int.from_bytes(offered[i : i + 2], "big") for i in range(0, len(offered) - 1, 2))
        at += 2 + size
        if at >= len(raw):
            return None
        compression, at = 0, at + 1 + raw[at]
    else:
        if len(raw) < at + 3:
            return None
        suites, compression, at = (int.from_bytes(raw[at : at + 2], "big"),), raw[at + 2], at + 3
    found = extensions(raw[at:])
    chosen = found.get(_VERSIONS, b"")
    if not client and len(chosen) == 2:
        version = int.from_bytes(chosen, "big")
    return Hello(
        random, session_id, suites, version, version == 0x0304 or version >> 8 in DRAFTS, compression, chosen_alpn(found),
        found.get(_TICKET, b""), _TICKET in found, _PSK in found, _EARLY_DATA in found,
        _EXTENDED_MASTER_SECRET in found, _ENCRYPT_THEN_MAC in found,
    )  # fmt: skip
