"""What a protocol needs to see through encryption: it asks for keys by what it has read, and hands records over to be opened.

The cryptography itself is not known here: whoever opens the capture hands it in (`Node.keys`), so that protocols stay sans-IO.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, Protocol

MAX_CACHED = 16 * 1024 * 1024  # bytes of plaintext kept for reading again; everything else is decrypted when it is asked for


class Missing(NamedTuple):
    """Why there are no keys; `text` completes "not decrypted: …"."""

    text: str


class Sealed(NamedTuple):
    """A protected record as it stands in its stream.

    sequence: how many records were protected under these keys before it; header, body: its bytes;
    position: how many bytes of bodies these keys protected before (a stream cipher's place); prior: the bytes of the stream
    in front of the header (the chaining value of TLS 1.0's CBC lies there).
    """

    sequence: int
    header: bytes
    body: bytes
    position: int = 0
    prior: bytes = b""


class Opened(NamedTuple):
    """What was inside a record. content: its type; data: all that was encrypted; of it the first `size` bytes are the
    content, `mac` bytes behind them authenticate it, and the rest is the type (TLS 1.3) or padding."""

    content: int
    data: bytes
    size: int
    mac: int = 0


class Opener(Protocol):
    """The keys of one direction. It keeps no state between records: any of them can be opened at any time.

    cipher: its name; source: the secret that the keys come from, in words; leading, trailing: bytes of nonce or IV in front of
    the ciphertext and of the authentication tag behind it, as they stand in the record; overhead: bytes that protection adds
    to the content at least; chained: the IV is the end of the record before (TLS 1.0).
    """

    cipher: str
    source: str
    leading: int
    trailing: int
    overhead: int
    chained: bool

    def open(self, record: Sealed) -> Opened | None:
        """The record's content; None where it does not authenticate under these keys and this sequence number."""

    def nonce(self, record: Sealed) -> bytes:
        """The nonce or initialisation vector of a record; empty where the cipher has none."""

    def following(self) -> Opener | None:
        """The keys after a KeyUpdate (RFC 8446, 7.2); None where the protocol has none."""


class Agreed(NamedTuple):
    """What the two hellos of a TLS 1.0 to 1.2 handshake, and the client's key exchange, settled."""

    version: int
    suite: str
    client_random: bytes
    server_random: bytes
    session_id: bytes = b""
    ticket: bytes = b""  # that the client offered
    resumed: bool = False
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False
    premaster: bytes = b""  # as it crossed the wire, encrypted with the server's RSA key
    transcript: bytes = b""  # the messages up to the ClientKeyExchange (RFC 7627, 3)
    cut: bool = False  # not all of them: there are more than `MAX_TRANSCRIPT`


class Keys(Protocol):
    """The secrets that were given, as one conversation asks for them."""

    cache: Cache

    def traffic(self, label: str, client_random: bytes, suite: str, version: int) -> Opener | Missing:
        """TLS 1.3: the keys of a traffic secret, such as CLIENT_TRAFFIC_SECRET_0."""

    def early(self, client_random: bytes, suites: Sequence[str]) -> list[Opener] | Missing:
        """The keys of early data: one for each offered suite that the secret fits."""

    def connection(self, agreed: Agreed, client: bool) -> Opener | Missing:
        """TLS 1.0 to 1.2: the keys that the client, or the server, writes with."""

    def teach(self, name: bytes, opener: Opener) -> None:
        """A session id or ticket under which the session of these (proven) keys can be resumed."""


class Cache:
    """Opened records, the latest used last, up to `limit` bytes."""

    def __init__(self, limit: int = MAX_CACHED) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[str, Opened] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Opened | None:
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def put(self, name: str, opened: Opened) -> None:
        with self._lock:
            old = self._kept.pop(name, None)
            self._size += len(opened.data) - (len(old.data) if old is not None else 0)
            self._kept[name] = opened
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1].data)
