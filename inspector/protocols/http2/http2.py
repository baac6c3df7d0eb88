"""HTTP/2 (RFC 9113): how it is recognised, and its card.

Frames are dissected in `frames`, header blocks in `header_block`, the connection is followed in `connection` and `streams`,
its messages in `messages` and `body`. Not here: the priorities of RFC 7540 as a tree; server push as an exchange of its own.
"""

from __future__ import annotations

from inspector.core.protocol import Card, Protocol, Sniff
from inspector.protocols.http2.connection import Http2
from inspector.protocols.http2.explain import explain
from inspector.protocols.http2.frames import FIELDS, dissect
from inspector.protocols.http2.names import DEFAULT_MAX_FRAME, HEADER, PREFACE, SIZES, TYPES, Type, plausible

CHAIN = 3  # frames in a row that are proof of HTTP/2 without its preface


def sniff(prefix: bytes) -> Sniff:
    """The preface; or, where it was before the capture, a chain of frames that fit their types."""
    if PREFACE.startswith(prefix[: len(PREFACE)]):
        return Sniff.YES if len(prefix) >= len(PREFACE) else Sniff.NEED_MORE
    if len(prefix) < HEADER:
        possible = prefix[0] == 0 and (len(prefix) < 4 or prefix[3] in TYPES)
        return Sniff.NEED_MORE if possible else Sniff.NO
    at = count = certain = 0
    while plausible(prefix[at : at + HEADER]):
        kind, length = prefix[at + 3], int.from_bytes(prefix[at : at + 3], "big")
        count += 1
        certain += kind in SIZES or kind == Type.SETTINGS
        at += HEADER + length
        if count >= CHAIN or (count > 1 and certain):
            return Sniff.YES
    first = count == 1 and prefix[3] == Type.SETTINGS and _setting_ids(prefix[HEADER:at])
    if first and at <= len(prefix) and at > HEADER:
        return Sniff.YES
    return Sniff.NEED_MORE if count and at + HEADER > len(prefix) and at < DEFAULT_MAX_FRAME else Sniff.NO


def _setting_ids(payload: bytes) -> bool:
    return all(1 <= int.from_bytes(payload[at : at + 2], "big") <= 9 for at in range(0, len(payload) - 5, 6))


CARD = Card(
    "binary frames: length, type, flags, stream; headers packed by HPACK; any bytes as DATA",
    "messages cut into frames; many streams interleaved on one connection",
    ":scheme, :authority and :path of each request; a stream identifier in each frame",
    "full duplex; the client asks, the server answers and may push",
    "settings, a header table in each direction, a state for each stream",
    "proxies and gateways read :authority and :path; a balancer for connections sends all streams to one server",
    "credit for each stream and for the connection (WINDOW_UPDATE), over TCP's; a lost segment still stops every stream",
    "RST_STREAM ends one stream, GOAWAY the connection and says what is safe to repeat",
)
PROTOCOL = Protocol(
    "http2", "HTTP/2", 7, FIELDS, dissect, keys={"http.upgrade": ["h2c"], "tls.alpn": ["h2"]}, sniff=sniff, parser=Http2,
    explain=explain, card=CARD, reference="RFC 9113",
)  # fmt: skip
