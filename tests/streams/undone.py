"""The bytes of a range worked out anew: from the frames that it traces to, and the secrets in the capture, and nothing else.

Masks, deflate, content codings, TLS 1.2 and TLS 1.3 are undone here by code of their own, so that it cannot share a mistake
with what it tests. Whatever is no such thing must be a copy.
"""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import brotli
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from inspector.core.span import Buffer, Frame, Span

RECORDS = 1000  # numbers of records that are tried under a secret
TAIL = b"\0\0\xff\xff"  # RFC 7692, 7.2.1


class Hellos(NamedTuple):
    """What the two hellos of a TLS connection say in clear: both randoms, and the cipher suite that the server chose."""

    client_random: bytes
    server_random: bytes
    suite: int

    @classmethod
    def of(cls, client: bytes, server: bytes) -> Hellos | None:
        """From the first bytes of both directions: a record of handshake (22), its first message a hello (1, 2)."""
        if (client[:1], client[5:6], server[:1], server[5:6]) != (b"\x16", b"\1", b"\x16", b"\2"):
            return None
        behind = 44 + server[43]  # the session id
        return cls(client[11:43], server[11:43], int.from_bytes(server[behind : behind + 2], "big"))


class Undone:
    """Of one telling of one conversation. log: the text of the capture's key logs; hellos: of the conversation, where it is
    TLS: TLS 1.2 derives its keys from the randoms (RFC 5246, 6.3)."""

    def __init__(self, log: str = "", hellos: Hellos | None = None) -> None:
        self._log = log
        self._hellos = hellos
        self._records: dict[bytes, bytes] = {}
        self._decoded: dict[str, dict[tuple[int, int], bytes]] = {}  # buffer → range of the coded bytes → what came out
        self._payloads: dict[str, dict[int, Payload]] = {}  # buffer → where a frame's payload begins → what it carries

    def read(self, span: Span) -> bytes:
        """The bytes of a range."""
        if isinstance(span.buffer, Frame):
            return span.read()
        undo = self._undo(span.buffer)
        parts, at = [], span.start
        for origin in span.buffer.origins(span.start, span.stop):
            low, high = max(origin.start, span.start), min(origin.stop, span.stop)
            assert low == at < high, (span, origin)  # no byte comes from nowhere, none from two places
            source = origin.source
            if undo is not None:
                parts.append(undo(source)[low - origin.start : high - origin.start])
            else:
                assert origin.copied
                parts.append(
                    self.read(Span(source.buffer, source.start + low - origin.start, source.start + high - origin.start))
                )
            at = high
        assert at == span.stop, span
        return b"".join(parts)

    def needed(self, span: Span) -> list[tuple[int, int]]:
        """The bytes of frames, as (number, offset), that the range is made of, each once, in the order in which they come."""
        if isinstance(span.buffer, Frame):
            return [(span.buffer.number, at) for at in range(span.start, span.stop)]
        found: dict[tuple[int, int], None] = {}
        for origin in span.buffer.origins(span.start, span.stop):
            source = origin.source
            if origin.copied:
                low, high = max(origin.start, span.start), min(origin.stop, span.stop)
                source = Span(source.buffer, source.start + low - origin.start, source.start + high - origin.start)
            found.update(dict.fromkeys(self.needed(source)))
        return list(found)

    def _undo(self, buffer: Buffer) -> Callable[[Span], bytes] | None:
        """How what a buffer was made from becomes its bytes; None for one that only copies."""
        if buffer.kind == "decrypted":
            return self._open
        if buffer.kind == "message":
            return self._payload
        below = next((origin.source.buffer.kind for origin in buffer.origins(0, 1)), "")
        for kind, coded in ((buffer.kind, "decompressed ("), (below, "coded body (")):
            if kind.startswith(coded):
                return partial(self._decode, buffer, kind.removeprefix(coded).removesuffix(")"))
        return None

    # --- TLS 1.3 (RFC 8446, 5.2 and 7.3), TLS 1.2 (RFC 5246, 6.2.3)

    def _open(self, source: Span) -> bytes:
        record = self.read(source)
        assert len(record) == 5 + int.from_bytes(record[3:5], "big")  # the whole record
        if record not in self._records:
            self._records[record] = self._opened(record)
        return self._records[record]

    def _opened(self, record: bytes) -> bytes:
        """What is in a record: it opens under one of the secrets, as one of its first records, or not at all."""
        for number in range(RECORDS):
            for key in self._older:
                content = _opened_12(key, number, record)
                if content is not None:
                    return content
            for aead, iv in self._keys:
                nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
                try:
                    return bytes(aead.decrypt(nonce, record[5:], record[:5])).rstrip(b"\0")[:-1]
                except InvalidTag:
                    continue
        raise AssertionError("no secret opens this record")

    @cached_property
    def _keys(self) -> list[tuple[Any, bytes]]:
        found: list[tuple[Any, bytes]] = []
        for line in self._log.splitlines():
            if "_TRAFFIC_SECRET" in line:
                key = bytes.fromhex(line.split()[2])
                kinds = [(AESGCM, 32)] if len(key) == 48 else [(AESGCM, 16), (ChaCha20Poly1305, 32)]
                found += [(make(_expand(key, b"key", size)), _expand(key, b"iv", 12)) for make, size in kinds]
        return found

    @cached_property
    def _older(self) -> list[Key12]:
        """The keys of both directions of TLS 1.2 (RFC 5246, 6.3), where the log holds its master secret."""
        hellos = self._hellos
        known = [line.split() for line in self._log.splitlines() if line.startswith("CLIENT_RANDOM ")]
        if hellos is None or hellos.suite not in SUITES:
            return []
        masters = [bytes.fromhex(secret) for _, random, secret in known if bytes.fromhex(random) == hellos.client_random]
        if not masters:
            return []
        kind, mac, key, iv = SUITES[hellos.suite]
        block = _prf(masters[0], b"key expansion" + hellos.server_random + hellos.client_random, 2 * (mac + key + iv))
        parts, at = [], 0
        for size in (mac, mac, key, key, iv, iv):
            parts.append(block[at : at + size])
            at += size
        return [Key12(kind, parts[end], parts[2 + end], parts[4 + end]) for end in (0, 1)]

    # --- content codings

    def _decode(self, buffer: Buffer, coding: str, source: Span) -> bytes:
        """What came out of one piece of a coded body, when all before it had been fed."""
        if buffer.id not in self._decoded:
            feed = _decoder(coding)
            origins = list(buffer.origins(0, buffer.size))
            sources = [origin.source for origin in origins]
            assert all(a.buffer == b.buffer and a.stop <= b.start for a, b in pairwise(sources))
            out = [feed(self.read(piece)) for piece in sources]
            assert [len(piece) for piece in out] == [origin.stop - origin.start for origin in origins]
            self._decoded[buffer.id] = {(p.start, p.stop): data for p, data in zip(sources, out, strict=True)}
        return self._decoded[buffer.id][source.start, source.stop]

    # --- WebSocket (RFC 6455, 5.2 and 5.3; RFC 7692)

    def _payload(self, source: Span) -> bytes:
        """What a frame's payload, or a piece of it, carries."""
        if source.buffer.id not in self._payloads:
            stream = source.buffer
            self._payloads[stream.id] = {p.start: p for p in _payloads(self.read(Span(stream, 0, stream.size)))}
        payloads = self._payloads[source.buffer.id]
        payload = payloads[max(start for start in payloads if start <= source.start)]
        if payload.compressed:
            assert (source.start, source.stop) == (payload.start, payload.stop)
            return payload.content
        return payload.content[source.start - payload.start : source.stop - payload.start]


GCM, CHACHA, CBC = "AES-GCM", "ChaCha20-Poly1305", "AES-CBC, encrypt-then-MAC with SHA-256"
SUITES = {0xC02F: (GCM, 0, 16, 4), 0xCCA8: (CHACHA, 0, 32, 12), 0xC027: (CBC, 32, 16, 0)}  # bytes of MAC key, key and fixed IV


class Key12(NamedTuple):
    """The keys of one direction of TLS 1.2."""

    kind: str
    mac: bytes
    key: bytes
    iv: bytes


def _opened_12(key: Key12, number: int, record: bytes) -> bytes | None:
    """The content of a record of TLS 1.2, were it this one under the key; None where it is not."""
    head, body = number.to_bytes(8, "big") + record[:3], record[5:]
    if key.kind == CBC:  # RFC 7366, 3
        coded, tag = body[:-32], body[-32:]
        if hmac.digest(key.mac, head + len(coded).to_bytes(2, "big") + coded, "sha256") != tag:
            return None
        opening = Cipher(algorithms.AES(key.key), modes.CBC(coded[:16])).decryptor()
        plain = opening.update(coded[16:]) + opening.finalize()
        assert plain[-1 - plain[-1] :] == bytes((plain[-1],)) * (plain[-1] + 1)
        return plain[: -1 - plain[-1]]
    sent = 8 if key.kind == GCM else 0  # bytes of the nonce (RFC 5288, 3; RFC 7905, 2)
    nonce = key.iv + body[:8] if sent else (int.from_bytes(key.iv, "big") ^ number).to_bytes(12, "big")
    aead: Any = AESGCM(key.key) if key.kind == GCM else ChaCha20Poly1305(key.key)
    try:
        return bytes(aead.decrypt(nonce, body[sent:], head + (len(body) - sent - 16).to_bytes(2, "big")))
    except InvalidTag:
        return None


def _prf(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_SHA256 (RFC 5246, 5)."""
    found, link = b"", seed
    while len(found) < size:
        link = hmac.digest(secret, link, "sha256")
        found += hmac.digest(secret, link + seed, "sha256")
    return found[:size]


class Payload(NamedTuple):
    """Of one data frame: where it lies in its stream, and what it carries."""

    start: int
    stop: int
    compressed: bool
    content: bytes


def _payloads(stream: bytes) -> Iterable[Payload]:
    """The payloads of one direction, the HTTP head in front of them included in `stream`."""
    at = stream.index(b"\r\n\r\n") + 4
    head = stream[:at]
    fresh = (b"client" if head.startswith(b"GET") else b"server") + b"_no_context_takeover" in head
    inflater, compressed = zlib.decompressobj(-15), False
    while at < len(stream):
        first, length = stream[at], stream[at + 1] & 127
        extended = {126: 2, 127: 8}.get(length, 0)
        begin = at + 2 + extended
        length = int.from_bytes(stream[at + 2 : begin], "big") if extended else length
        key = stream[begin : begin + 4] if stream[at + 1] & 128 else bytes(4)
        start = begin + (4 if stream[at + 1] & 128 else 0)
        at = start + length
        if first & 15 >= 8:
            continue
        content = bytes(octet ^ key[i % 4] for i, octet in enumerate(stream[start:at]))
        if first & 15:
            compressed = bool(first & 0x40)
            if fresh:
                inflater = zlib.decompressobj(-15)
        if compressed:
            content = inflater.decompress(content + TAIL if first & 128 else content)
        yield Payload(start, at, compressed, content)


def _decoder(coding: str) -> Callable[[bytes], bytes]:
    feed: Callable[[bytes], bytes]
    if coding == "br":
        feed = brotli.Decompressor().process
    elif coding == "zstd":
        feed = zstandard.ZstdDecompressor().decompressobj().decompress
    else:
        feed = zlib.decompressobj(31 if coding == "gzip" else 15).decompress
    return feed


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label without a context (RFC 8446, 7.1)."""
    algorithm = hashes.SHA384() if len(secret) == 48 else hashes.SHA256()
    info = size.to_bytes(2, "big") + bytes((6 + len(label),)) + b"tls13 " + label + b"\0"
    return HKDFExpand(algorithm, size, info).derive(secret)
