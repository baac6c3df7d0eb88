"""TLS decryption: the RFC's traces, conversations recorded from OpenSSL, and scripted ones for the rest."""

from __future__ import annotations

import random
import ssl
from pathlib import Path

import pytest
from talk import C, S, Step, Unit, talk
from tls_peers import (
    AEADS,
    CCS,
    CHOSEN,
    END_OF_EARLY_DATA,
    FINISHED,
    KEY_UPDATE,
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    REQUEST,
    RESPONSE,
    VERSIONS,
    Recorded,
    Script,
    block,
    client_hello,
    extension,
    keys,
    message,
    plain,
    record,
    server_hello,
)

from inspector.core.span import parents, trace
from inspector.protocols.tls.wire import HELLO_RETRY
from inspector.secrets.keylog import KeyLog
from inspector.secrets.keyring import Keyring

VECTORS = Path(__file__).parents[1] / "vectors" / "tls"


def rfc8448(section: int) -> tuple[list[Step], str]:
    """A trace and the key log of its secrets."""
    secrets: list[str] = []
    steps: list[tuple[int, list[str]]] = []
    for line in (VECTORS / f"rfc8448-{section}.txt").read_text().splitlines():
        if line in ("client", "server"):
            steps.append((C if line == "client" else S, []))
        elif steps:
            steps[-1][1].append(line)
        elif not line.startswith("#"):
            secrets.append(line)
    data = [(direction, bytes.fromhex(" ".join(lines))) for direction, lines in steps]
    name = data[0][1][11:43].hex()
    return data, "".join(f"{line.split()[0]} {name} {line.split()[1]}\n" for line in secrets)


def messages(units: list[Unit]) -> list[tuple[int, int]]:
    return [(u.pdu.direction, u.layer.value("tls.handshake.type")) for u in units if u.pdu.protocol == "tls.handshake"]


def carried(units: list[Unit], direction: int) -> bytes:
    """The application data that was decrypted in one direction."""
    return b"".join(
        u.layer.value("tls.segment.data", b"") for u in units if u.pdu.protocol == "tls" and u.pdu.direction == direction
    )


def reasons(units: list[Unit]) -> list[str]:
    return [u.layer.value("tls.record.not_decrypted") for u in units if u.layer.find("tls.record.not_decrypted") is not None]


def http(units: list[Unit]) -> list[str]:
    return [u.layer.summary for u in units if u.pdu.protocol == "http"]


def same(units: list[Unit], others: list[Unit]) -> None:
    """The same units, whatever segments they came in: their layers, their bytes, and their order in each direction."""
    for direction in (C, S):
        told = [
            [(u.pdu.protocol, u.layer.summary, *u.pdu.span[1:3]) for u in found if u.pdu.direction == direction]
            for found in (units, others)
        ]
        assert sorted(told[0]) == sorted(told[1])


# --- TLS 1.3


def test_the_simple_handshake_of_the_rfc() -> None:
    steps, log = rfc8448(3)
    units = talk(steps, keys=keys(log))
    assert messages(units) == [(C, 1), (S, 2), (S, 8), (S, 11), (S, 15), (S, 20), (C, 20), (S, 4)]
    assert carried(units, C) == carried(units, S) == bytes(range(50))
    alerts = [u.layer for u in units if u.layer.find("tls.alert_message.desc") is not None]
    assert [layer.value("tls.alert_message.desc") for layer in alerts] == [0, 0]
    assert all(layer.value("tls.record.content_type") == 21 and layer.value("tls.record.opaque_type") == 23 for layer in alerts)
    assert not reasons(units)


def test_the_early_data_of_the_rfc() -> None:
    steps, log = rfc8448(4)
    units = talk(steps, keys=keys(log))
    assert messages(units) == [(C, 1), (S, 2), (S, 8), (S, 20), (C, 5), (C, 20)]
    assert carried(units, C) == b"ABCDEF" + bytes(range(50))
    early = next(u for u in units if u.layer.value("tls.segment.data") == b"ABCDEF")
    assert "early data keys of the client" in early.layer.value("tls.record.protection")
    assert early.pdu.packet < next(u for u in units if messages([u]) == [(S, 2)]).pdu.packet
    assert not reasons(units)


@pytest.mark.parametrize("section", [3, 4])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_segments_make_no_difference(section: int, size: int) -> None:
    steps, log = rfc8448(section)
    same(talk(steps, size, keys=keys(log)), talk(steps, keys=keys(log)))


@pytest.mark.parametrize("suite", AEADS)
def test_every_suite_of_tls_1_3(suite: int) -> None:
    script = Script(suite)
    steps = [
        *script.opening(alpn=b"http/1.1"),
        (C, script["client"](23, REQUEST, padding=100)),
        (S, script["server"](23, RESPONSE[:20]) + script["server"](23, RESPONSE[20:])),
    ]
    units = talk(steps, keys=script.keys())
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    asked = next(u for u in units if u.pdu.protocol == "tls" and u.layer.find("tls.record.padding") is not None)
    assert asked.layer.value("tls.record.padding") == bytes(100)
    assert next(u for u in units if u.pdu.protocol == "http").pdu.node.why == "ALPN said http/1.1"


def test_plaintext_is_a_buffer_that_names_its_record() -> None:
    script = Script()
    units = talk([*script.opening(), (C, script["client"](23, REQUEST))], keys=script.keys())
    request = next(u for u in units if u.pdu.protocol == "http")
    assert request.pdu.span.read() == REQUEST
    (below,) = parents(request.pdu.span)
    assert (below.buffer.id, below.buffer.kind, below.exact) == ("tls:0.0.4", "decrypted", True)
    assert below.read() == REQUEST
    frames = trace(request.pdu.span)
    sealed = next(u for u in units if u.pdu.protocol == "tls" and u.layer.value("tls.segment.data") == REQUEST)
    assert not frames[0].exact and sum(span.size for span in frames) == sealed.pdu.span.size
    content = sealed.layer.find("tls.segment.data")
    kind = sealed.layer.find("tls.record.content_type")
    assert content is not None and kind is not None
    assert content.span.buffer == kind.span.buffer == below.buffer
    assert (kind.span.start, kind.span.stop) == (len(REQUEST), len(REQUEST) + 1)
    assert not sealed.layer.unclaimed()


def test_each_direction_updates_its_keys_by_itself() -> None:
    script = Script()
    client = script["client"]
    later = client.updated().updated()
    steps = [
        *script.opening(),
        (C, client(23, b"GET / HTTP/1.1\r\n") + client(22, KEY_UPDATE)),
        (C, client.updated()(22, KEY_UPDATE) + later(23, b"Host: b\r\n")),
        (C, later(23, b"\r\n")),
        (S, script["server"](23, RESPONSE)),
    ]
    units = talk(steps, keys=script.keys())
    assert http(units) == ["GET / HTTP/1.1", "HTTP/1.1 200 OK"]
    last = [u.layer for u in units if u.pdu.protocol == "tls" and u.pdu.direction == C][-1]
    assert last.value("tls.record.secret").endswith("updated, updated") and last.value("tls.record.sequence") == 1


def test_a_retry_request_then_the_same_secrets() -> None:
    script = Script()
    steps = [
        (C, plain(22, client_hello([0x1301], VERSIONS))),
        (S, plain(22, server_hello(0x1301, CHOSEN, random=HELLO_RETRY)) + CCS),
        (C, CCS + plain(22, client_hello([0x1301], VERSIONS))),
        *script.opening()[1:],
        (C, script["client"](23, REQUEST)),
    ]
    units = talk(steps, keys=script.keys())
    assert messages(units) == [(C, 1), (S, 2), (C, 1), (S, 2), (S, 8), (S, 20), (C, 20)]
    assert http(units) == ["GET /a HTTP/1.1"]


EARLY = extension(42)


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize("known", [True, False])
def test_rejected_early_data_is_shown_but_is_no_part_of_the_stream(retry: bool, known: bool) -> None:
    script = Script()
    offer = plain(22, client_hello([0x1301], VERSIONS, EARLY)) + CCS + script["early"](23, REQUEST)
    again = [
        (S, plain(22, server_hello(0x1301, CHOSEN, random=HELLO_RETRY))),
        (C, script["early"](23, b"also too early") + CCS + plain(22, client_hello([0x1301], VERSIONS))),
    ]
    second = script["client"](23, REQUEST.replace(b"/a", b"/b"))
    steps = [(C, offer), *(again if retry else []), *script.opening()[1:], (C, second)]
    units = talk(steps, keys=script.keys() if known else script.keys("early"))
    assert http(units) == ["GET /b HTTP/1.1"]
    rejected = [u.layer.summary for u in units if "did not accept" in u.layer.summary]
    assert len(rejected) == (1 + retry if known else 0)
    assert len(reasons(units)) == (0 if known else 1 + retry)
    assert all("CLIENT_EARLY_TRAFFIC_SECRET" in reason for reason in reasons(units))


def test_accepted_early_data_is_the_start_of_the_stream() -> None:
    script = Script()
    encrypted = message(8, block(EARLY))
    steps = [
        (C, plain(22, client_hello([0x1303, 0x1301], VERSIONS, EARLY)) + script["early"](23, REQUEST[:10])),
        (S, plain(22, server_hello(0x1301, CHOSEN)) + script["server handshake"](22, encrypted + FINISHED)),
        (C, script["early"](22, END_OF_EARLY_DATA) + script["client handshake"](22, FINISHED)),
        (C, script["client"](23, REQUEST[10:])),
        (S, script["server"](23, RESPONSE)),
    ]
    units = talk(steps, keys=script.keys())
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    assert talk(steps, 3, keys=script.keys())[0].layer.summary == units[0].layer.summary


def test_messages_after_the_handshake_may_span_records() -> None:
    script = Script()
    server = script["server"]
    ticket = message(4, bytes(8) + b"\x01\x07" + block(b"t" * 200) + block())
    steps = [*script.opening(), (S, server(22, ticket[:50]) + server(22, ticket[50:]) + server(23, RESPONSE))]
    units = talk(steps, keys=script.keys())
    assert messages(units)[-1] == (S, 4)
    assert carried(units, S) == RESPONSE


# --- TLS 1.0 to 1.2, from OpenSSL

OLD, NEW = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2
SUITES = [
    ("ECDHE-RSA-AES128-GCM-SHA256", NEW, 0), ("ECDHE-RSA-AES256-GCM-SHA384", NEW, 0),
    ("ECDHE-RSA-CHACHA20-POLY1305", NEW, 0), ("AES128-CCM", NEW, 0), ("AES256-CCM8", NEW, 0), ("AES128-SHA", NEW, 0),
    ("AES256-SHA256", NEW, NO_ENCRYPT_THEN_MAC), ("ECDHE-RSA-AES256-SHA384", NEW, 0),
    ("ECDHE-RSA-AES256-SHA384", NEW, NO_ENCRYPT_THEN_MAC | NO_EXTENDED_MASTER_SECRET),
    ("ECDHE-RSA-CAMELLIA128-SHA256", NEW, 0), ("CAMELLIA256-SHA", NEW, NO_ENCRYPT_THEN_MAC),
    ("NULL-SHA256", NEW, 0), ("NULL-MD5", NEW, 0), ("AES128-SHA", ssl.TLSVersion.TLSv1_1, 0),
    ("AES256-SHA", ssl.TLSVersion.TLSv1_1, NO_ENCRYPT_THEN_MAC), ("AES256-SHA", OLD, 0),
    ("ECDHE-RSA-AES128-SHA", OLD, NO_ENCRYPT_THEN_MAC), ("CAMELLIA128-SHA", OLD, 0),
]  # fmt: skip
MANY = [(C, REQUEST), (S, RESPONSE)] * 2


def recorded(ciphers: str, version: ssl.TLSVersion, options: int, **more: object) -> Recorded:
    try:
        return record(ciphers, version, options, **more)  # type: ignore[arg-type]
    except ssl.SSLError as error:
        pytest.skip(f"this OpenSSL does not speak {ciphers}: {error.reason}")


@pytest.mark.parametrize(("ciphers", "version", "options"), SUITES)
def test_suites_as_openssl_speaks_them(ciphers: str, version: ssl.TLSVersion, options: int) -> None:
    talked = recorded(ciphers, version, options, talk=MANY)
    assert talked.cipher == ciphers
    units = talk(talked.steps, keys=keys(talked.log))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"] * 2
    assert not reasons(units)
    assert [direction for direction, kind in messages(units) if kind == 20] == [C, S]
    for unit in units:
        assert not unit.layer.unclaimed()
    same(units, talk(talked.steps, 1 if "GCM" in ciphers else 50, keys=keys(talked.log)))


def test_a_premaster_secret_and_its_messages_make_the_extended_master_secret() -> None:
    talked = recorded("AES128-SHA", NEW, 0)
    premaster = [line for line in talked.log.splitlines() if line.startswith("RSA ")]
    assert premaster, "OpenSSL logs the premaster secret of an RSA key exchange"
    units = talk(talked.steps, keys=keys("\n".join(premaster)))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    plainer = recorded("AES128-SHA", OLD, NO_EXTENDED_MASTER_SECRET)
    units = talk(plainer.steps, keys=keys("\n".join(line for line in plainer.log.splitlines() if line.startswith("RSA "))))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]


def test_a_session_log_line_names_the_session_id() -> None:
    talked = recorded("ECDHE-RSA-AES128-GCM-SHA256", NEW, ssl.OP_NO_TICKET)
    hello = talked.steps[1][1][5:]
    session = hello[39 : 39 + hello[38]]
    (master,) = [line.split()[2] for line in talked.log.splitlines() if line.startswith("CLIENT_RANDOM")]
    units = talk(talked.steps, keys=keys(f"RSA Session-ID:{session.hex()} Master-Key:{master}\n"))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]


@pytest.mark.parametrize("options", [0, ssl.OP_NO_TICKET])
def test_a_resumed_session_needs_only_the_first_ones_secret(options: int) -> None:
    first = recorded("ECDHE-RSA-AES128-GCM-SHA256", NEW, options)
    again = record(resume=first)
    assert all(step[1][5] != 11 for step in again.steps if step[0] == S)  # no certificate: it did resume
    ring = Keyring(KeyLog(None, lambda: [first.log.encode()]))
    talk(first.steps, keys=ring.of(3))
    units = talk(again.steps, keys=ring.of(7))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    word = "session id" if options else "ticket"
    secrets = [u.layer.value("tls.record.secret") for u in units if u.layer.find("tls.record.secret") is not None]
    assert f"earlier session with {word}" in secrets[0]
    before = talk(again.steps, keys=ring.of(2))  # a conversation that came before learns nothing from a later one
    assert not http(before) and "resumed" in reasons(before)[0]


def test_a_handshake_too_long_for_an_extended_master_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.protocols.tls.connection.MAX_TRANSCRIPT", 1000)
    talked = recorded("AES128-SHA", NEW, 0)
    units = talk(talked.steps, keys=keys("\n".join(line for line in talked.log.splitlines() if line.startswith("RSA "))))
    assert not http(units) and "its handshake is longer than" in reasons(units)[0]


def test_more_sessions_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.secrets.keyring.MAX_SESSIONS", 1)
    first = recorded("ECDHE-RSA-AES128-GCM-SHA256", NEW, 0)
    again = record(resume=first)
    ring = Keyring(KeyLog(None, lambda: [first.log.encode()]))
    ring.teach(1, b"another", bytes(48))
    talk(first.steps, keys=ring.of(3))
    units = talk(again.steps, keys=ring.of(7))
    assert not http(units) and "is not among the 1 that are remembered" in reasons(units)[0]


def test_retry_and_resumption_of_openssl_in_tls_1_3() -> None:
    first = record(version=ssl.TLSVersion.TLSv1_3, curve="secp521r1")
    again = record(resume=first)
    units = talk(first.steps, keys=keys(first.log))
    assert [kind for _, kind in messages(units)][:4] == [1, 2, 1, 2]
    for talked in (first, again):
        assert http(talk(talked.steps, 100, keys=keys(talked.log))) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]


# --- what is missing, wrong or damaged


def test_missing_secrets_are_named() -> None:
    script = Script()
    steps = [*script.opening(), (C, script["client"](23, REQUEST)), (S, script["server"](23, RESPONSE))]
    units = talk(steps, keys=script.keys("client"))
    assert http(units) == ["HTTP/1.1 200 OK"]
    (reason,) = reasons(units)
    assert reason == "CLIENT_TRAFFIC_SECRET_0 of the session with client random c1c1c1c1… is not in the key log"
    note = next(note for u in units for note in u.layer.notes if note.title == "not decrypted")
    assert "CLIENT_TRAFFIC_SECRET_0" in note.why
    nothing = reasons(talk(steps, keys=keys("")))
    assert all(reason.startswith("no key log was given") for reason in nothing) and len(nothing) == 4
    assert not reasons(talk(steps)) or set(reasons(talk(steps))) == {"no secrets were given"}


def test_handshake_secrets_may_be_missing_where_the_traffic_secrets_are_known() -> None:
    script = Script()
    steps = [*script.opening(), (C, script["client"](23, REQUEST)), (S, script["server"](23, RESPONSE))]
    units = talk(steps, keys=script.keys("client handshake", "server handshake"))
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    assert len(reasons(units)) == 2


def test_wrong_secrets_open_nothing() -> None:
    script = Script()
    steps = [*script.opening(), (C, script["client"](23, REQUEST)), (S, script["server"](23, RESPONSE))]
    script.secrets = dict.fromkeys(script.secrets, b"\x99" * 32)
    units = talk(steps, keys=script.keys())
    assert not http(units) and len(reasons(units)) == 4
    assert "does not authenticate" in reasons(units)[0]


def test_a_changed_byte_loses_one_record() -> None:
    script = Script()
    server = script["server"]
    parts = [server(23, data) for data in (RESPONSE.replace(b" 5", b" 105"), b"x" * 50, b"x" * 50)]
    damaged = bytearray(parts[1])
    damaged[20] ^= 1
    steps = [*script.opening(), (C, script["client"](23, REQUEST)), (S, parts[0]), (S, bytes(damaged)), (S, parts[2])]
    units = talk(steps, keys=script.keys())
    assert len(reasons(units)) == 1 and "does not authenticate as record 1" in reasons(units)[0]
    assert sum("not-authentic" in u.issues for u in units) == 1
    assert http(units) == ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"]
    response = next(u for u in units if u.layer.summary == "HTTP/1.1 200 OK")
    assert response.pdu.info["missing"] == 50


@pytest.mark.parametrize("suite", [0x1301, 0x1305])
def test_behind_a_gap_the_sequence_number_is_found_again(suite: int) -> None:
    script = Script(suite)
    server = script["server"]
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    parts = [server(23, body), *(server(23, bytes((65 + at,)) * 500) for at in range(10))]
    opening = [*script.opening(), (C, script["client"](23, REQUEST))]
    lost = [len(opening) + 2, len(opening) + 3, len(opening) + 4]
    units = talk([*opening, *((S, part) for part in parts)], lost=lost, keys=script.keys())
    assert not reasons(units)
    numbers = [u.layer.value("tls.record.sequence") for u in units if u.pdu.direction == S and u.layer.find("tls.segment.data")]
    assert numbers == [0, 1, 5, 6, 7, 8, 9, 10]
    response = next(u for u in units if u.layer.summary == "HTTP/1.1 200 OK")
    assert response.pdu.info["missing"] == 1500 and response.pdu.complete


def test_a_gap_over_the_change_of_keys() -> None:
    script = Script()
    steps = script.opening()
    flight = steps[1][1]
    cut = len(flight) - 30
    steps[1:2] = [(S, flight[:cut]), (S, flight[cut:])]
    units = talk([*steps, (S, script["server"](23, RESPONSE))], lost=[2], keys=script.keys())
    assert carried(units, S) == RESPONSE


def test_the_number_of_tries_is_bounded() -> None:
    script = Script()
    server = script["server"]
    parts = [server(23, b"a"), b"\x17\3\3\x40\0" + bytes(0x4000), *(plain(23, bytes(400)) for _ in range(30))]
    units = talk([*script.opening(), *((S, part) for part in parts)], keys=script.keys())
    assert "was lost, and not found among the" in reasons(units)[-1]


def test_one_direction_alone_says_what_is_missing() -> None:
    script = Script()
    steps = [step for step in script.opening() if step[0] == S]
    units = talk([*steps, (S, script["server"](23, RESPONSE))], keys=script.keys())
    assert all("ClientHello" in reason for reason in reasons(units)) and len(reasons(units)) == 2


def test_an_unknown_cipher_is_said_to_be_unknown() -> None:
    talked = recorded("ECDHE-ARIA128-GCM-SHA256", NEW, 0)
    (reason, *_) = reasons(talk(talked.steps, keys=keys(talked.log)))
    assert reason == "the cipher of TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256 is not known here"


def test_content_decides_where_no_alpn_does() -> None:
    script = Script()
    units = talk([*script.opening(), (C, script["client"](23, REQUEST))], keys=script.keys(), ports=(1, 2))
    request = next(u for u in units if u.pdu.protocol == "http")
    assert "signature" in request.pdu.node.why
    assert request.layer.value("http.request.full_uri") == "https://a.test/a"
    other = talk([*script.opening(), (C, Script()["client"](23, b"\0\1\2\3"))], keys=script.keys())
    assert carried(other, C) == b"\0\1\2\3" and not http(other)


def test_no_mutation_raises_and_fields_stay_in_their_buffers() -> None:
    dice = random.Random(8446)
    old = recorded("AES128-SHA", OLD, 0)
    new, log = rfc8448(4)
    for turn in range(120):
        chosen, secrets = (old.steps, old.log) if turn % 2 else (new, log)
        steps = []
        for direction, data in chosen:
            body = bytearray(data)
            for _ in range(dice.choice([0, 0, 1, 3])):
                body[dice.randrange(len(body))] = dice.randrange(256)
            steps.append((direction, bytes(body)))
        lost = [dice.randrange(30) for _ in range(dice.choice([0, 0, 2]))]
        for unit in talk(steps, dice.choice([0, 61, 200]), lost, keys=keys(secrets)):
            for layer in unit.dissection.layers:
                for field in layer.walk():
                    assert 0 <= field.span.start <= field.span.stop <= field.span.buffer.size


def test_any_prefix_is_read_as_far_as_it_goes() -> None:
    steps, log = rfc8448(3)
    for cut in range(len(steps)):
        for stop in (3, 5, 20, len(steps[cut][1]) - 1):
            talk([*steps[:cut], (steps[cut][0], steps[cut][1][:stop])], keys=keys(log))


def test_the_client_is_who_sends_the_client_hello() -> None:
    script = Script()
    steps = [*script.opening(), (C, script["client"](23, REQUEST)), (S, script["server"](23, RESPONSE))]
    turned = [(1 - direction, data) for direction, data in steps]
    assert carried(talk(turned, keys=script.keys()), S) == REQUEST
