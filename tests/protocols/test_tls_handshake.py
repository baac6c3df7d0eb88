"""TLS handshake messages by their own bytes: the traces of RFC 8448, and messages of TLS 1.2 put together by its grammar."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from talk import C, S, talk
from test_tls import CLIENT_HELLO, RANDOM, extension, extensions, message, record, server_hello

from inspector.core.layer import Layer
from inspector.core.packet import Packet
from inspector.core.span import Frame, Span
from inspector.dissection.engine import Dissection, Engine, make_registry
from inspector.protocols.tls import fingerprints

LINES = (Path(__file__).parents[1] / "vectors/tls/rfc8448.txt").read_text().splitlines()
RFC8448 = {name: bytes.fromhex(data) for name, data in (line.split() for line in LINES if not line.startswith("#"))}
REGISTRY = make_registry()
TLS12 = {"version": 0x0303, "tls13": False}
X = "tls.handshake.extensions"


def read(data: bytes, session: dict[str, Any] | None = None, time_ns: int = 1_480_000_000 * 10**9) -> Dissection:
    frame = Frame(1, len(data), lambda: data)
    packet = Packet(1, time_ns, 1, len(data), data)
    engine = Engine(REGISTRY, strict=True)
    return engine.unit(
        packet, "tls.handshake", Span(frame, 0, len(data)), {"tls": session or {"tls13": True, "version": 0x0303}}
    )


def layer(data: bytes, session: dict[str, Any] | None = None) -> Layer:
    return read(data, session).layers[0]


def values(found: Layer, name: str) -> list[Any]:
    return [field.value for field in found.walk() if field.name == name]


def notes(found: Layer) -> dict[str, str]:
    return {note.title: note.why for note in found.notes}


# --- RFC 8448


def test_client_hello_of_the_trace() -> None:
    hello = layer(RFC8448["client_hello"])
    assert values(hello, f"{X}_server_name") == ["server"]
    assert values(hello, f"{X}.supported_version") == [0x0304]
    assert values(hello, f"{X}_key_share_group") == [29]
    assert values(hello, "tls.extension.psk_ke_mode") == [1]
    assert values(hello, "tls.record_size_limit") == [16385]
    assert len(values(hello, "tls.handshake.sig_hash_alg")) == 15
    assert hello.unclaimed() == [] and not hello.issues


def test_server_flight_of_the_trace() -> None:
    hello = layer(RFC8448["server_hello"])
    assert "TLS_AES_128_GCM_SHA256" in hello.summary and "TLS 1.3" in hello.summary
    encrypted = layer(RFC8448["encrypted_extensions"])
    assert values(encrypted, "tls.handshake.extension.type") == [10, 28, 0]
    verify = layer(RFC8448["certificate_verify"])
    assert values(verify, "tls.handshake.sig_hash_alg") == [0x0804]
    assert len(verify.value("tls.handshake.client_cert_vrfy.sig")) == 128
    finished = layer(RFC8448["finished"])
    assert finished.value("tls.handshake.verify_data") == RFC8448["finished"][4:]
    assert [note.reference for note in finished.notes] == ["RFC 8446, 4.4.4"]


def test_certificate_of_the_trace_is_a_tree_at_its_own_bytes() -> None:
    data = RFC8448["certificate"]
    found = layer(data)
    assert found.value("tls.handshake.certificate_request_context_length") == 0
    assert found.value("x509af.serialNumber") == b"\x02"
    assert found.find("x509af.subject").text == "CN=rsa"  # type: ignore[union-attr]
    assert found.find("x509af.subjectPublicKeyInfo_element").text == "RSA 1024 bits"  # type: ignore[union-attr]
    times = [field for field in found.walk() if field.name == "x509af.utcTime"]
    assert [data[field.span.start : field.span.stop] for field in times] == [b"160730012359Z", b"260730012359Z"]
    assert found.value("pkcs1.publicExponent") == 65537 and found.value("x509af.extensions") == 2
    usage = {field.label for field in found.walk() if field.name.startswith("x509ce.KeyUsage.") and field.value}
    assert usage == {"digitalSignature", "keyEncipherment"}
    for field in found.walk():
        if field.name in ("x509sat.printableString", "x509af.serialNumber", "x509af.encrypted"):
            raw = data[field.span.start : field.span.stop]
            assert raw == (field.value.encode() if isinstance(field.value, str) else field.value)
    assert "self-issued" in notes(found)
    late = read(data, time_ns=1_800_000_000 * 10**9).layers[0]
    assert {issue.code for issue in late.issues} == {"certificate-validity"}


def test_ticket_and_what_the_client_makes_of_it() -> None:
    ticket = layer(RFC8448["new_session_ticket"])
    assert ticket.value("tls.handshake.session_ticket_lifetime_hint") == 30
    assert ticket.value("tls.handshake.session_ticket_nonce") == b"\0\0"
    assert ticket.value("tls.early_data.max_early_data_size") == 1024
    hello = layer(RFC8448["client_hello_resumed_section_4"])
    assert values(hello, f"{X}.psk.identity.identity") == [ticket.value("tls.handshake.session_ticket")]
    # the client has taken six milliseconds (0xfad6aacb less the ticket's age_add)
    age = hello.value(f"{X}.psk.identity.obfuscated_ticket_age") - ticket.value("tls.handshake.session_ticket_age_add")
    assert age == 6
    assert [len(binder) for binder in values(hello, f"{X}.psk.binders")] == [32]
    assert {"resumption", "0-RTT"} <= notes(hello).keys()


def test_hello_retry_request_of_the_trace() -> None:
    retry = layer(RFC8448["hello_retry_request_section_5"])
    assert retry.summary.startswith("HelloRetryRequest")
    assert retry.value(f"{X}_key_share_selected_group") == 23
    assert retry.value(f"{X}.cookie_len") == 0x72
    assert "secp256r1" in notes(retry)["hello retry"]


@pytest.mark.parametrize("name", sorted(RFC8448))
def test_prefixes_and_mutations_never_raise(name: str) -> None:
    whole = RFC8448[name]
    dice = random.Random(name)
    for size in range(1, len(whole), 7):
        read(whole[:size])
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        found = read(bytes(data), dice.choice([None, TLS12])).layers[0]
        for field in found.walk():
            assert 0 <= field.span.start <= field.span.stop <= len(data)
            for child in field.children:
                if child.span.buffer == field.span.buffer:
                    assert field.span.start <= child.span.start and child.span.stop <= field.span.stop


# --- TLS 1.2


def test_elliptic_curve_exchange() -> None:
    session = {**TLS12, "suite": 0xC02F}
    point, signature = bytes(range(65)), bytes(70)
    body = b"\x03\x00\x17\x41" + point + b"\x04\x03\x00\x46" + signature
    found = layer(message(12, body), session)
    assert found.value("tls.handshake.server_named_curve") == 23
    assert found.value("tls.handshake.server_point") == point
    assert found.value("tls.handshake.sig") == signature
    assert "ecdsa_secp256r1_sha256" in notes(found)["signature"]
    old = layer(message(12, b"\x03\x00\x17\x41" + point + b"\x00\x46" + signature), {"version": 0x0301, "suite": 0xC013})
    assert old.value("tls.handshake.sig") == signature and old.find("tls.handshake.sig_hash_alg") is None
    share = layer(message(16, b"\x41" + point), session)
    assert share.value("tls.handshake.client_point") == point


def test_diffie_hellman_exchange_names_a_short_prime() -> None:
    def vector(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    body = vector(b"\xff" * 128) + vector(b"\x02") + vector(b"\x11" * 128) + b"\x06\x01" + vector(bytes(256))
    found = layer(message(12, body), {**TLS12, "suite": 0x0033})
    assert len(found.value("tls.handshake.p")) == 128 and found.value("tls.handshake.g") == b"\x02"
    assert found.unclaimed() == [] and "1,024 bits" in notes(found)["key share"] and "short" in notes(found)["key share"]
    share = layer(message(16, vector(b"\x22" * 128)), {**TLS12, "suite": 0x0033})
    assert share.value("tls.handshake.yc") == b"\x22" * 128


def test_rsa_exchange_and_its_form_in_ssl_3() -> None:
    found = layer(message(16, b"\0\x04abcd"), {**TLS12, "suite": 0x002F})
    assert found.value("tls.handshake.epms") == b"abcd" and "the secret" in notes(found)
    assert layer(message(16, b"abcd"), {"version": 0x0300, "suite": 0x002F}).value("tls.handshake.epms") == b"abcd"
    unknown = layer(message(16, b"abcd"), TLS12)  # the suite was not seen: nothing is guessed
    assert unknown.value("tls.handshake.body") == b"abcd"


def test_psk_exchange() -> None:
    assert layer(message(12, b"\0\x02hi"), {**TLS12, "suite": 0x00A8}).value("tls.handshake.hint") == b"hi"
    assert layer(message(16, b"\0\x02me"), {**TLS12, "suite": 0x00A8}).value("tls.handshake.identity") == b"me"


def test_certificate_request_in_both_forms() -> None:
    name = bytes.fromhex("300e310c300a06035504031303727361")
    body = b"\x01\x40" + b"\0\x02\x04\x03" + (len(name) + 2).to_bytes(2, "big") + len(name).to_bytes(2, "big") + name
    old = layer(message(13, body), TLS12)
    assert old.value("tls.handshake.cert_type") == 64 and values(old, "tls.handshake.sig_hash_alg") == [0x0403]
    assert old.find("tls.handshake.dname").text == "CN=rsa"  # type: ignore[union-attr]
    assert old.unclaimed() == []
    new = layer(message(13, b"\x01\x07" + extensions(extension(13, b"\0\x02\x08\x04"))))
    assert new.value("tls.handshake.certificate_request_context") == b"\x07"
    assert values(new, "tls.handshake.sig_hash_alg") == [0x0804]


def test_short_messages() -> None:
    assert layer(message(24, b"\x01")).value("tls.handshake.key_update.request_update") == 1
    assert layer(message(5, b"")).notes[0].reference == "RFC 8446, 4.5"
    assert layer(message(14, b""), TLS12).notes[0].title == "your turn"
    ticket = layer(message(4, b"\0\0\x0e\x10\0\x03abc"), TLS12)
    assert ticket.value("tls.handshake.session_ticket") == b"abc" and "3,600 seconds (1 hour)" in notes(ticket)["a ticket"]


@pytest.mark.parametrize(
    ("lifetime", "session", "said"),
    [
        (7200, {}, "within 7,200 seconds (2 hours)"), (86_400, {}, "(1 day)"), (90, {}, "within 90 seconds"),
        (0, {}, "throw this ticket away"), (0, TLS12, "for how long is not said"),
    ],
)  # fmt: skip
def test_how_long_a_ticket_is_good_for(lifetime: int, session: dict[str, Any], said: str) -> None:
    rest = b"\0\x03abc" if session else bytes(4) + b"\x01n\0\x03abc\0\0"
    assert said in notes(layer(message(4, lifetime.to_bytes(4, "big") + rest), session))["a ticket"]


def test_an_empty_certificate_is_the_clients() -> None:
    assert layer(message(11, bytes(3)), TLS12).notes[0].reference == "RFC 5246, 7.4.6"


def test_compressed_certificate_is_opened() -> None:
    import zlib

    plain = RFC8448["certificate"][4:]
    packed = zlib.compress(plain)
    body = b"\0\x01" + len(plain).to_bytes(3, "big") + len(packed).to_bytes(3, "big") + packed
    found = layer(message(25, body))
    serial = found.find("x509af.serialNumber")
    assert serial is not None and serial.value == b"\x02" and serial.span.buffer.kind == "decompressed"
    broken = layer(message(25, b"\0\x01\0\0\x10\0\0\x02hi"))
    assert {issue.code for issue in broken.issues} == {"compressed-certificate"}


def test_a_server_that_could_do_better_says_so() -> None:
    hello = layer(server_hello(False, RANDOM[:24] + b"DOWNGRD\x01"))
    assert "TLS 1.2" in notes(hello)["downgrade mark"]
    assert "downgrade mark" not in notes(layer(server_hello(False)))


# --- extensions


def hello_with(*parts: bytes) -> Layer:
    return layer(message(1, b"\x03\x03" + RANDOM + b"\0\0\x02\x13\x01\x01\0" + extensions(*parts)))


@pytest.mark.parametrize(
    "kind, body, name, expected",
    [
        (1, b"\x02", "tls.handshake.max_fragment_length", [2]),
        (5, b"\x01\0\0\0\0", f"{X}_status_request_type", [1]),
        (15, b"\x01", "tls.handshake.extension.heartbeat.mode", [1]),
        (21, b"\0\0\0", f"{X}_padding_data", [bytes(3)]),
        (27, b"\x04\0\x02\0\x01", "tls.compress_certificate.algorithm", [2, 1]),
        (34, b"\0\x02\x04\x03", "tls.handshake.sig_hash_alg", [0x0403]),
        (44, b"\0\x02ab", f"{X}.cookie", [b"ab"]),
        (50, b"\0\x02\x08\x07", "tls.handshake.sig_hash_alg", [0x0807]),
        (57, b"\x01\x02\x67\x10\x0f\x01\xaa", "tls.quic.parameter.max_idle_timeout", [10000]),
        (57, b"\x11\x08\0\0\0\x01\x6b\x33\x43\xcf", "tls.quic.parameter.vi.other_version", [0x6B3343CF]),
        (17513, b"\0\x03\x02h2", f"{X}_alps_alpn_str", ["h2"]),
        (65281, b"\x02xy", f"{X}_reneg_info", [b"xy"]),
        (0xFE0D, b"\0\0\x01\0\x03\x07\0\x02KE\0\x03pay", "tls.ech.enc", [b"KE"]),
        (0xFE0D, b"\0\0\x01\0\x03\x07\0\x02KE\0\x03pay", "tls.ech.config_id", [7]),
    ],
)
def test_extensions_say_what_they_mean(kind: int, body: bytes, name: str, expected: list[Any]) -> None:
    found = hello_with(extension(kind, body))
    assert values(found, name) == expected
    assert found.unclaimed() == [] and not found.issues


def test_an_extension_twice_is_an_issue() -> None:
    assert {issue.code for issue in hello_with(extension(23, b""), extension(23, b"")).issues} == {"duplicate-extension"}


def test_signed_certificate_timestamps() -> None:
    one = b"\0" + bytes(32) + (1_600_000_000_000).to_bytes(8, "big") + b"\0\0" + b"\x04\x03\0\x02ok"
    body = (len(one) + 2).to_bytes(2, "big") + len(one).to_bytes(2, "big") + one
    found = hello_with(extension(18, body))
    assert found.value("tls.sct.sct_timestamp") == 1_600_000_000 * 10**9
    assert found.value("tls.sct.sct_signature") == b"ok" and found.unclaimed() == []


# --- fingerprints

JA4_EXAMPLE = fingerprints.Hello(  # the example of the JA4 specification, with GREASE put in front
    0x0303,
    [0x0A0A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35],
    [0x1A1A, 0x1B, 0, 0x33, 0x10, 0x4469, 0x17, 0x2D, 0xD, 5, 0x23, 0x12, 0x2B, 0xFF01, 0xB, 0xA, 0x15],
    [],
    [],
    [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
    [0x2A2A, 0x0304, 0x0303],
    b"h2",
)


def test_ja4_of_the_specification() -> None:
    assert fingerprints.ja4(JA4_EXAMPLE)[0] == "t13d1516h2_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    "alpn, expected",
    [(b"", "00"), (b"http/1.1", "h1"), (b"h", "hh"), (b"\xab", "ab"), (b"\x30\xab", "3b"), (b"\xab\xcd", "ad")],
)
def test_ja4_ends_of_the_protocol(alpn: bytes, expected: str) -> None:
    assert fingerprints.ja4(JA4_EXAMPLE._replace(alpn=alpn))[0].split("_")[0] == f"t13d1516{expected}"


def test_ja4_without_schemes_and_without_anything() -> None:
    bare = JA4_EXAMPLE._replace(schemes=[], extensions=[], versions=[], suites=[], alpn=b"")
    assert fingerprints.ja4(bare) == ("t12i000000_000000000000_000000000000", "t12i000000__")


# --- SSL 2


def ssl2_hello(version: bytes) -> bytes:
    body = b"\x01" + version + b"\0\x06\0\0\0\x10" + b"\x07\0\xc0" + b"\0\0\x2f" + bytes(range(16))
    return (0x8000 | len(body)).to_bytes(2, "big") + body


@pytest.mark.parametrize("size", [0, 1])
def test_a_hello_in_the_form_of_ssl_2_and_tls_behind_it(size: int) -> None:
    units = talk([(C, ssl2_hello(b"\x03\x01")), (S, record(22, server_hello(False) + message(14, b"")))], size)
    assert units[0].pdu.protocol == "tls.ssl2"
    assert [unit.layer.value("tls.handshake.type") for unit in units if unit.layer.find("tls.handshake.type")] == [1, 2, 14]
    hello = units[0].layer
    assert values(hello, "tls.handshake.cipherspec") == [0x0700C0, 0x2F] and hello.unclaimed() == []


def test_ssl_2_itself() -> None:
    body = b"\x04\0\x01\0\x02\0\0\0\x03\0\x02" + b"\x07\0\xc0" + b"id"
    server = (0x8000 | len(body)).to_bytes(2, "big") + body
    secret = (0x8000 | 40).to_bytes(2, "big") + bytes(40)
    units = talk([(C, ssl2_hello(b"\0\x02")), (S, server), (S, secret)])
    assert [unit.layer.summary for unit in units][1:] == ["ServerHello", "Encrypted, 40 bytes"]
    assert "ssl2" in units[1].issues


def test_mutations_of_ssl_2_never_raise() -> None:
    dice = random.Random(2)
    for _ in range(80):
        data = bytearray(ssl2_hello(b"\x03\x01") + ssl2_hello(b"\0\x02"))
        data[dice.randrange(len(data))] = dice.randrange(256)
        talk([(C, bytes(data)), (S, bytes(data))], size=dice.choice([0, 5]))


def test_a_client_hello_survives_every_segmentation() -> None:
    assert layer(CLIENT_HELLO).value(f"{X}_server_name") == "a.b.org"
