"""Signed certificate timestamps (RFC 6962, 3.2 and 3.3): a log's promise that it has seen the certificate."""

from __future__ import annotations

from inspector.core.cursor import Cursor
from inspector.core.field import catalog, heading, octets, time, u8, u16

FIELDS = catalog(
    u16("tls.sct.scts_length", "List length"),
    heading("tls.sct", "Signed certificate timestamp"),
    u16("tls.sct.sct_length", "Length"),
    u8("tls.sct.sct_version", "Version", values={0: "v1"}),
    octets("tls.sct.sct_logid", "Log"),
    time("tls.sct.sct_timestamp", "Timestamp"),
    u16("tls.sct.sct_extensions_length", "Extensions length"),
    octets("tls.sct.sct_extensions", "Extensions"),
    u16("tls.sct.sct_signature_length", "Signature length"),
    octets("tls.sct.sct_signature", "Signature"),
)


def timestamps(c: Cursor) -> None:
    """A SignedCertificateTimestampList: an opaque list of opaque items, so that an unknown version can be passed over."""
    with c.within(c.uint("tls.sct.scts_length", 2)):
        while c.remaining:
            with c.group("tls.sct"), c.within(c.uint("tls.sct.sct_length", 2)):
                _timestamp(c)


def _timestamp(c: Cursor) -> None:
    version = c.uint("tls.sct.sct_version", 1)
    if version == 0:
        c.octets("tls.sct.sct_logid", 32)
        at = c.pos
        milliseconds = c.peek_uint(8)
        c.skip(8)
        c.add("tls.sct.sct_timestamp", milliseconds * 1_000_000, at, c.pos)
        size = c.uint("tls.sct.sct_extensions_length", 2)
        if size:
            c.octets("tls.sct.sct_extensions", size)
        c.uint("tls.handshake.sig_hash_alg", 2)
        size = c.uint("tls.sct.sct_signature_length", 2)
        c.octets("tls.sct.sct_signature", size)
    if c.remaining:
        c.octets("tls.sct.sct_extensions", c.remaining)
