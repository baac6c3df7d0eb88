"""Numbers that a peer writes as text, or as long as it likes: nothing makes an integer of them that Python refuses to print
(more than 4,300 digits), or that takes the square of its length to make."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.export.har import lines
from inspector.protocols.encodings import der
from tests.made import connection, opened
from tests.test_limits_told import ASK, PREFACE, frame, smtp, tls

LONG = b"9" * 5000
NUMBERS = {"long": LONG, "negative": b"-" + LONG, "superscript": "²³".encode(), "other digits": "٣٤".encode(), "none": b""}


def http(number: bytes) -> list[bytes]:
    """Every header of HTTP that holds a number."""
    names = (b"Prefer: wait=%b", b"Cache-Control: max-age=%b, s-maxage=%b", b"Max-Forwards: %b",
             b"Keep-Alive: timeout=%b, max=%b", b"Range: bytes=%b-%b", b"DNT: %b", b"Cookie: a=%b")  # fmt: skip
    answers = (b"Retry-After: %b", b"Age: %b", b"Set-Cookie: a=b; Max-Age=%b", b"Content-Range: bytes %b-%b/%b",
               b"ETag: %b", b"Strict-Transport-Security: max-age=%b", b"X-RateLimit-Remaining: %b")  # fmt: skip
    asks = b"\r\n".join(line.replace(b"%b", number) for line in names)
    said = b"\r\n".join(line.replace(b"%b", number) for line in answers)
    ask, answer = b"GET /?a=" + number + b" HTTP/1.1\r\nHost: a:" + number, b"HTTP/1.1 503 No\r\n" + said
    return connection(4000, (0, ask + b"\r\n" + asks + b"\r\n\r\n"), (1, answer + b"\r\nContent-Length: 0\r\n\r\n"))


def http_length(number: bytes) -> list[bytes]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + number + b"\r\n\r\nabc"
    return connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, answer))


def http_status(number: bytes) -> list[bytes]:
    return connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, b"HTTP/1.1 " + number + b" OK\r\n\r\nabc"))


def http_chunk(number: bytes) -> list[bytes]:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + number + b"\r\nabc\r\n0\r\n\r\n"
    return connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, answer))


def events(number: bytes) -> list[bytes]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    answer += b"retry: " + number + b"\nid: " + number + b"\ndata: 1\n\n"
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: " + number + b"\r\n\r\n"
    return connection(4000, (0, ask), (1, answer))


def token(number: bytes) -> list[bytes]:
    """Claims of a JSON Web Token."""
    head, text = base64.urlsafe_b64encode(b'{"alg":"none"}'), number.decode("latin-1")
    body = base64.urlsafe_b64encode(f'{{"exp":{text},"iat":"{text}","n":{text}}}'.encode())
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + head.rstrip(b"=") + b"." + body.rstrip(b"=") + b".\r\n\r\n"
    return connection(4000, (0, ask), (1, b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n"))


def literal(value: bytes) -> bytes:
    size = len(value)
    return bytes([size]) if size < 127 else b"\x7f" + bytes(
        [size - 127 & 0x7F | 0x80, size - 127 >> 7] if size - 127 > 127 else [size - 127]
    )  # fmt: skip


def grpc(number: bytes) -> list[bytes]:
    """A call that ends with this status."""

    def header(name: bytes, value: bytes) -> bytes:
        return b"\0" + literal(name) + name + literal(value) + value

    kind = header(b"content-type", b"application/grpc")
    ask = frame(1, 5, 1, ASK[9:] + kind + header(b"grpc-timeout", number + b"S"))
    trailers = b"".join(header(name, number) for name in (b"grpc-status", b"retry-after", b"content-length", b"age"))
    answer = frame(4, 0, 0, b"") + frame(1, 4, 1, header(b":status", b"200") + kind) + frame(1, 5, 1, trailers)
    return connection(4000, (0, PREFACE + ask), (1, answer))


def ftp(number: bytes) -> list[bytes]:
    pasv = b"227 ok (" + b",".join([number] * 6) + b")\r\n229 ok (|||" + number + b"|)\r\n"
    ask = b"PORT " + b",".join([number] * 6) + b"\r\nEPRT |1|192.0.2.1|" + number + b"|\r\nREST " + number + b"\r\n"
    return connection(4000, (1, b"220 a\r\n"), (0, ask), (1, pasv), (1, number + b" x\r\n"), server=21)


def mail(number: bytes) -> list[bytes]:
    said = b"MAIL FROM:<a> SIZE=" + number + b"\r\nBDAT " + number + b" LAST\r\nabc\r\n"
    return smtp((0, said), (1, number + b" x\r\n"))


def imap(number: bytes) -> list[bytes]:
    said = b"* " + number + b" FETCH (BODY {" + number + b"}\r\n* OK [UIDNEXT " + number + b"]\r\n"
    return connection(4000, (1, b"* OK a\r\n"), (0, b"a FETCH " + number + b" {" + number + b"+}\r\n"), (1, said), server=143)


def pop(number: bytes) -> list[bytes]:
    said = b"+OK " + number + b" " + number + b"\r\n"
    return connection(4000, (1, b"+OK a\r\n"), (0, b"STAT\r\nRETR " + number + b"\r\n"), (1, said), server=110)


MAKE = [http, http_length, http_status, http_chunk, events, token, grpc, ftp, mail, imap, pop]


@pytest.mark.parametrize("make", MAKE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_any_length_and_in_any_digits(make: Callable[[bytes], list[bytes]], number: str, tmp_path: Path) -> None:
    session = opened(tmp_path, make(NUMBERS[number]))
    for packet in range(1, session.count + 1):
        for layer in session.explained(packet).layers:
            assert all(note.why for note in layer.notes)
            assert all(field.text.isprintable() for field in layer.walk())
        session.state(packet)
    assert session.story() and session.findings() is not None and session.patterns() is not None
    assert json.loads("".join(lines(session, session.exchanges())))
    session.close()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("depth", [900, 940, 960, 980, 990, 5000])
def test_claims_of_any_depth(depth: int, tmp_path: Path) -> None:
    session = opened(tmp_path, token(nested(depth)))
    for packet in range(1, session.count + 1):
        assert session.explained(packet).layers
    assert session.story() and session.findings() is not None
    session.close()


def certificate(*parts: bytes) -> list[bytes]:
    """A chain of one certificate with these parts behind its version and serial number."""

    def element(kind: int, contents: bytes) -> bytes:
        return bytes([kind, 0x83]) + len(contents).to_bytes(3, "big") + contents

    inside = element(0xA0, b"\2\1\2") + b"\2\1\1" + b"".join(parts)
    made = element(0x30, element(0x30, inside))
    chain = len(made).to_bytes(3, "big") + made
    body = len(chain).to_bytes(3, "big") + chain
    return tls(b"\x0b" + len(body).to_bytes(3, "big") + body)


def test_an_object_identifier_of_any_length(tmp_path: Path) -> None:
    arc = b"\xff" * 600_000 + b"\x7f"
    algorithm = b"\x30\x83" + (len(arc) + 5).to_bytes(3, "big") + b"\6\x83" + len(arc).to_bytes(3, "big") + arc
    start = time.process_time()
    session = opened(tmp_path, certificate(algorithm))
    found = [layer.value("x509af.algorithm.id") for n in range(1, session.count + 1) for layer in session.dissect(n).layers]
    assert "…" in found and time.process_time() - start < 5
    session.close()


def test_the_arcs_of_object_identifiers() -> None:
    assert der.dotted(bytes.fromhex("2a864886f70d01010b")) == "1.2.840.113549.1.1.11"
    assert der.dotted(bytes.fromhex("6983ffffffffffffffffffffffffffffffffff7f")).startswith("2.25.")  # a UUID: ITU-T X.667
    assert der.dotted(b"\x2a" + b"\xff" * 30 + b"\1") == "1.2.…"
    assert der.dotted(bytes([1]) * 200).endswith(".1.…") and not der.dotted(bytes([1]) * 127).endswith("…")


def test_what_a_note_quotes_is_cut_visibly_and_numbers_are_never_cut(tmp_path: Path) -> None:
    said = (
        b"HTTP/1.1 302 Found\r\nLocation: /"
        + b"p" * 300
        + b"\r\nAge: 1234567890123456789012\r\nContent-Length: 0\r\nSet-Cookie: a=b; Max-Age="
    )
    session = opened(tmp_path, connection(4000, (0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (1, said + b"9" * 25 + b"\r\n\r\n")))
    whys = [note.why for n in range(1, session.count + 1) for layer in session.dissect(n).layers for note in layer.notes]
    assert any("p" * 119 + "…" in why for why in whys) and any("longer than any client counts" in why for why in whys)
    assert not any(digits in why for why in whys for digits in ("123,456,789", "999,999,999"))
    session.close()
