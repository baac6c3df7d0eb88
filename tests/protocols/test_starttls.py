"""Protocols that begin in clear and may hand over to TLS: SMTP, FTP, POP3, IMAP, PostgreSQL."""

from __future__ import annotations

import random

import pytest
from talk import C, S, Step, Unit, talk
from test_tls import TLS12, messages

SMTP = [  # RFC 5321, D.1, with a reply of several lines
    (S, b"220 foo.com Simple Mail Transfer Service Ready\r\n"),
    (C, b"EHLO bar.com\r\n"),
    (S, b"250-foo.com greets bar.com\r\n250-8BITMIME\r\n250-SIZE\r\n250 HELP\r\n"),
    (C, b"MAIL FROM:<Smith@bar.com>\r\n"),
    (S, b"250 OK\r\n"),
    (C, b"RCPT TO:<Green@foo.com>\r\n"),
    (S, b"550 No such user here\r\n"),
    (C, b"DATA\r\n"),
    (S, b"354 Start mail input; end with <CRLF>.<CRLF>\r\n"),
    (C, b"Blah blah blah...\r\n..etc.\r\nQUIT\r\n.\r\n"),
    (S, b"250 OK\r\n"),
    (C, b"QUIT\r\n"),
    (S, b"221 foo.com Service closing transmission channel\r\n"),
]
SMTP_TLS = [
    (S, b"220 mx ESMTP\r\n"),
    (C, b"EHLO a\r\n"),
    (S, b"250-mx\r\n250 STARTTLS\r\n"),
    (C, b"STARTTLS\r\n"),
    (S, b"220 go\r\n"),
]
FTP = [
    (S, b"220-Welcome\r\n220 ready\r\n"),
    (C, b"USER anonymous\r\n"),
    (S, b"331 password\r\n"),
    (C, b"PASS a@b\r\n"),
    (S, b"230 in\r\n"),
    (C, b"FEAT\r\n"),
    (S, b"211-Features:\r\n EPSV\r\n211 End\r\n"),
    (C, b"PASV\r\n"),
    (S, b"227 Entering Passive Mode (192,0,2,7,19,137).\r\n"),
    (C, b"EPSV\r\n"),
    (S, b"229 Entering Extended Passive Mode (|||6446|)\r\n"),
    (C, b"PORT 10,0,0,1,4,1\r\n"),
    (S, b"200 ok\r\n"),
    (C, b"EPRT |2|2001:db8::1|5282|\r\n"),
    (S, b"200 ok\r\n"),
    (C, b"RETR x\r\n"),
    (S, b"150 opening\r\n"),
    (S, b"226 done\r\n"),
]
FTP_TLS = [(S, b"220 ready\r\n"), (C, b"AUTH TLS\r\n"), (S, b"234 go\r\n")]
POP = [  # RFC 1939, 10
    (S, b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
    (C, b"STAT\r\n"),
    (S, b"+OK 2 320\r\n"),
    (C, b"LIST\r\n"),
    (S, b"+OK 2 messages (320 octets)\r\n1 120\r\n2 200\r\n.\r\n"),
    (C, b"LIST 1\r\n"),
    (S, b"+OK 1 120\r\n"),
    (C, b"RETR 1\r\n"),
    (S, b"+OK 120 octets\r\nSubject: x\r\n\r\n+OK not a response\r\n.\r\n"),
    (C, b"QUIT\r\n"),
    (S, b"+OK signing off\r\n"),
]
POP_TLS = [(S, b"+OK ready\r\n"), (C, b"STLS\r\n"), (S, b"+OK begin\r\n")]
IMAP = [  # RFC 3501, 8, shortened
    (S, b"* OK IMAP4rev1 Service Ready\r\n"),
    (C, b"a001 login mrc secret\r\n"),
    (S, b"a001 OK LOGIN completed\r\n"),
    (C, b"a003 fetch 12 full\r\n"),
    (S, b"* 12 FETCH (BODY[HEADER] {17}\r\nSubject: a OK b\r\n)\r\na003 OK done\r\n"),
    (C, b"a004 uid store 12 +flags \\deleted\r\n"),
    (S, b"a004 OK done\r\n"),
]
IMAP_TLS = [(S, b"* OK ready\r\n"), (C, b"a1 STARTTLS\r\n"), (S, b"a1 OK begin\r\n")]


def tagged(tag: bytes, body: bytes) -> bytes:
    return tag + (len(body) + 4).to_bytes(4, "big") + body


SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
STARTUP = b"\0\0\0\x13\0\x03\0\0user\0bob\0\0"
PGSQL = [
    (C, STARTUP.replace(b"\0\0\0\x13", len(STARTUP).to_bytes(4, "big"))),
    (S, tagged(b"R", b"\0\0\0\0") + tagged(b"S", b"TimeZone\0UTC\0") + tagged(b"K", bytes(8)) + tagged(b"Z", b"I")),
    (C, tagged(b"Q", b"select 1 as one\0")),
    (
        S,
        tagged(b"T", b"\0\x01one\0" + bytes(4) + b"\0\0" + b"\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0")
        + tagged(b"D", b"\0\x02\0\0\0\x011\xff\xff\xff\xff")
        + tagged(b"C", b"SELECT 1\0")
        + tagged(b"Z", b"I"),
    ),
    (C, tagged(b"P", b"s1\0select $1\0\0\x01\0\0\0\x17") + tagged(b"B", b"\0s1\0\0\0\0\x01\0\0\0\x015\0\0")),
    (S, tagged(b"E", b"SERROR\0C42601\0Msyntax error\0\0")),
    (C, tagged(b"X", b"")),
]
PGSQL_TLS = [(C, SSL_REQUEST), (S, b"S")]

TALKS = {
    "smtp": (SMTP, 25), "ftp": (FTP, 21), "pop": (POP, 110), "imap": (IMAP, 143), "pgsql": (PGSQL, 5432),
}  # fmt: skip
HAND_OVERS = {
    "smtp": (SMTP_TLS, 25), "ftp": (FTP_TLS, 21), "pop": (POP_TLS, 110), "imap": (IMAP_TLS, 143), "pgsql": (PGSQL_TLS, 5432),
}  # fmt: skip


def say(steps: list[Step], port: int, size: int = 0, lost: tuple[int, ...] = ()) -> list[Unit]:
    return talk(steps, size, lost, ports=(40000, port))


def told(units: list[Unit]) -> list[tuple[int, str, str]]:
    return sorted((unit.pdu.direction, unit.pdu.kind, unit.layer.summary) for unit in units)


def values(units: list[Unit], name: str) -> list[object]:
    return [field.value for unit in units for field in unit.layer.walk() if field.name == name]


@pytest.mark.parametrize("name", TALKS)
@pytest.mark.parametrize("size", [1, 5])
def test_units_do_not_depend_on_segments(name: str, size: int) -> None:
    steps, port = TALKS[name]
    whole = say(steps, port)
    assert {unit.pdu.protocol for unit in whole} == {name}
    assert told(say(steps, port, size)) == told(whole)
    for unit in whole:
        assert unit.pdu.complete and unit.layer.unclaimed() == [], unit.layer
    for direction in (C, S):  # nothing is passed over
        at = 0
        for unit in (unit for unit in whole if unit.pdu.direction == direction):
            assert unit.pdu.span.start == at
            at = unit.pdu.span.stop
        assert at == sum(len(data) for side, data in steps if side == direction)


@pytest.mark.parametrize("name", HAND_OVERS)
@pytest.mark.parametrize("size", [0, 1])
def test_what_is_granted_hands_over_to_tls(name: str, size: int) -> None:
    steps, port = HAND_OVERS[name]
    units = say([*steps, *TLS12], port, size)
    assert messages(units) == [1, 2, 14, 16]
    before = sum(len(data) for side, data in steps if side == C)
    first = next(unit for unit in units if unit.pdu.protocol == "tls")
    assert first.pdu.span.start == before and "answered" in first.pdu.node.why


@pytest.mark.parametrize("name", HAND_OVERS)
def test_what_is_refused_stays_in_clear(name: str) -> None:
    steps, port = HAND_OVERS[name]
    refusal = {"smtp": b"454 no\r\n", "ftp": b"502 no\r\n", "pop": b"-ERR no\r\n", "imap": b"a1 NO no\r\n", "pgsql": b"N"}[name]
    more, last = TALKS[name][0][-1] if name == "pgsql" else (C, b"a2 QUIT\r\n")
    units = say([*steps[:-1], (S, refusal), (more, last)], port)
    assert {unit.pdu.protocol for unit in units} == {name}
    assert units[-1].pdu.direction == C and units[-1].pdu.complete


@pytest.mark.parametrize("name", HAND_OVERS)
def test_the_answer_is_missing_and_tls_follows(name: str) -> None:
    steps, port = HAND_OVERS[name]
    units = say([*steps, *TLS12], port, lost=(len(steps) - 1,))
    assert 1 in messages(units)


@pytest.mark.parametrize("name", TALKS)
def test_gaps_trailing_data_and_mutations_never_raise(name: str) -> None:
    steps, port = TALKS[name]
    dice = random.Random(name)
    for lost in range(len(steps)):
        say(steps, port, lost=(lost,))
    assert told(say(steps, port)) == [
        entry for entry in told(say([*steps, (C, b"\0")], port)) if entry in told(say(steps, port))
    ]
    for _ in range(60):
        broken = []
        for direction, data in steps:
            body = bytearray(data)
            for _ in range(dice.randrange(3)):
                body[dice.randrange(len(body))] = dice.randrange(256)
            broken.append((direction, bytes(body)))
        for unit in say(broken, port, dice.choice([0, 3])):
            for field in unit.layer.walk():
                assert unit.pdu.span.start <= field.span.start <= field.span.stop <= unit.pdu.span.stop


def test_smtp_commands_replies_and_the_mail() -> None:
    units = say(SMTP, 25)
    assert values(units, "smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert values(units, "smtp.req.parameter") == ["bar.com", "FROM:<Smith@bar.com>", "TO:<Green@foo.com>"]
    assert values(units, "smtp.response.code") == [220, 250, 250, 550, 354, 250, 221]
    assert values(units, "smtp.message") == [b"Blah blah blah...\r\n..etc.\r\nQUIT\r\n"]
    assert values(units, "smtp.rsp.parameter")[1:5] == ["foo.com greets bar.com", "8BITMIME", "SIZE", "HELP"]


def test_smtp_data_that_is_refused_and_data_in_chunks() -> None:
    refused = say([(S, b"220 a\r\n"), (C, b"DATA\r\n"), (S, b"521 no\r\n"), (C, b"QUIT\r\n")], 25)
    assert values(refused, "smtp.req.command") == ["DATA", "QUIT"]
    chunk = say([(S, b"220 a\r\n"), (C, b"BDAT 9 LAST\r\nQUIT\r\nab\nQUIT\r\n")], 25)  # RFC 3030
    assert values(chunk, "smtp.req.command") == ["BDAT", "QUIT"] and values(chunk, "smtp.message") == [b"QUIT\r\nab\n"]


def test_smtp_answers_to_a_challenge_are_no_commands() -> None:
    steps = [(S, b"220 a\r\n"), (C, b"AUTH LOGIN\r\n"), (S, b"334 VXNlcm5hbWU6\r\n"), (C, b"Ym9i\r\n"), (S, b"235 ok\r\n")]
    units = say([*steps, (C, b"QUIT\r\n")], 25)
    assert values(units, "smtp.req.command") == ["AUTH", "QUIT"] and values(units, "smtp.auth.response") == ["Ym9i"]


def test_smtp_pipelined_commands_with_the_mail_behind_them() -> None:
    sent = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\n"
    units = say([(S, b"220 a\r\n"), (C, sent), (S, b"250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"), (C, b"QUIT\r\n")], 25)
    assert values(units, "smtp.req.command") == ["MAIL", "RCPT", "DATA", "QUIT"]
    assert values(units, "smtp.message") == [b"hello\r\n"]


def test_starttls_in_a_capture_of_what_was_inside() -> None:
    units = say([*SMTP_TLS, (C, b"EHLO b\r\n"), (S, b"250 mx\r\n")], 25)
    assert values(units, "smtp.req.command") == ["EHLO", "STARTTLS", "EHLO"]


def test_ftp_lines_and_endpoints() -> None:
    units = say(FTP, 21)
    assert values(units, "ftp.response.code") == [220, 220, 331, 230, 211, 211, 227, 229, 200, 200, 150, 226]
    assert values(units, "ftp.passive.ip") == [b"\xc0\0\2\7"] and values(units, "ftp.passive.port") == [5001]
    assert values(units, "ftp.epsv.port") == [6446]
    assert values(units, "ftp.active.port") == [1025] and values(units, "ftp.eprt.ip") == ["2001:db8::1"]
    for unit in units:
        for field in unit.layer.walk():
            if field.name in ("ftp.epsv.port", "ftp.eprt.ip", "ftp.eprt.port"):
                assert field.span.read().decode() == str(field.value)
            if field.name == "ftp.passive.port":
                assert field.span.read() == b"19,137"
    assert all("reply-code" not in unit.issues for unit in units)
    assert "reply-code" in say([(S, b"hello\r\n")], 21)[0].issues


def test_pop_data_belongs_to_its_response() -> None:
    units = say(POP, 110)
    assert values(units, "pop.response.indicator") == ["+OK"] * 6
    assert [len(data) for data in values(units, "pop.response.data")] == [14, 34]  # type: ignore[arg-type]


def test_imap_tags_literals_and_statuses() -> None:
    units = say(IMAP, 143)
    assert values(units, "imap.request_tag") == ["a001", "a003", "a004"]
    assert values(units, "imap.request.command") == ["login", "fetch", "store"]
    assert values(units, "imap.literal") == [b"Subject: a OK b\r\n"]
    assert values(units, "imap.response.status") == ["OK", "OK", "OK", "OK"] and "FETCH" in values(
        units, "imap.response.command"
    )


def test_postgres_messages() -> None:
    units = say(PGSQL, 5432)
    kinds = ["Startup message", "Authentication request", "Parameter status", "Backend key data", "Ready for query"]
    assert values(units, "pgsql.type")[:5] == kinds
    assert values(units, "pgsql.query") == ["select 1 as one", "select $1"]
    assert values(units, "pgsql.col.name") == ["one"] and values(units, "pgsql.val.length") == [4, 1, -1, 1]
    assert values(units, "pgsql.tag") == ["SELECT 1"] and values(units, "pgsql.code") == ["42601"]
    assert any("server-error" in unit.issues for unit in units)


def test_postgres_is_known_by_its_first_message_on_any_port() -> None:
    assert {unit.pdu.protocol for unit in say(PGSQL, 15432)} == {"pgsql"}


def test_postgres_goes_on_behind_a_gap() -> None:
    assert values(say(PGSQL, 5432, lost=(1,)), "pgsql.tag") == ["SELECT 1"]
