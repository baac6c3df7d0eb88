"""State at a packet: what each layer remembers, who must remember it, and the test of statelessness."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from itertools import pairwise
from pathlib import Path

import pytest

from inspector.annotations.state import State
from inspector.annotations.state.transport import _timer
from inspector.annotations.tokens import names_session, token, words
from inspector.cli.state import as_object, as_text
from inspector.session import open_session
from inspector.sources.bundled import bundled
from tests.annotations.wire import ACK, FIN, Wire


def at(capture: str, number: int) -> dict[tuple[str, str, str], str]:
    """(protocol, holder, name) → value."""
    session = open_session(capture)
    try:
        return values(session.state(number))
    finally:
        session.close()


def values(state: State) -> dict[tuple[str, str, str], str]:
    return {(fact.protocol, fact.holder, fact.name): fact.value for fact in state.facts}


def test_nothing_is_remembered_that_lies_ahead() -> None:
    """No fact of packet N rests on a later packet, and the words can be printed, for every packet of every capture."""
    for capture in bundled():
        session = open_session(capture.name)
        try:
            for number in range(1, session.count + 1, max(session.count // 12, 1)):
                found = session.state(number)
                assert all(fact.packet <= number for fact in found.facts), (capture.name, number)
                assert json.dumps(as_object(found)) and list(as_text(found))
        finally:
            session.close()


def test_what_its_own_conversation_says_is_said_without_the_others() -> None:
    """The quick state lacks what rests on other connections, and differs in nothing else."""
    session = open_session("cookie-session")
    try:
        last = session.exchanges()[-2].request
        assert last is not None
        number = last.complete
        quick, whole = session.state(number, whole=False), session.state(number)
        beside = [fact for fact in whole.facts if fact.protocol in ("Cookies", "Credentials")]
        assert beside and not quick.whole and whole.whole
        assert quick.facts == [fact for fact in whole.facts if fact not in beside]
        assert quick.restart is None and whole.restart is not None
    finally:
        session.close()


def test_tls_is_agreed_step_by_step() -> None:
    assert at("https-tls13", 12)["TLS", "both", "session"] == "offered by the client, not agreed yet"
    found = at("https-tls13", 14)
    assert found["TLS", "both", "version"] == "TLS 1.3"
    assert found["TLS", "both", "cipher suite"] == "TLS_AES_256_GCM_SHA384"
    assert found["TLS", "both", "key exchange"] == "x25519"
    assert found["TLS records", "server", "protects what it sends with"].startswith("AES_256_GCM, handshake keys of the server")
    assert ("TLS", "client", "tickets for later connections") not in found
    found = at("https-tls13", 19)
    assert found["TLS", "client", "tickets for later connections"].startswith("2 tickets, for 300 seconds")
    assert "application keys of the server" in found["TLS records", "server", "protects what it sends with"]


def test_a_request_for_another_hello_settles_no_session() -> None:
    assert at("tls13-hello-retry", 16)["TLS", "both", "session"] == "the server wants another hello first"
    assert at("tls13-hello-retry", 18)["TLS", "both", "session"] == "a new one"


def test_the_references_are_those_of_the_version_that_is_spoken() -> None:
    session = open_session("https-http2-multiplex")
    references = {fact.reference for fact in session.state(57).facts if fact.protocol == "HTTP"}
    session.close()
    assert references == {"RFC 9113, 8.1", "RFC 9113, 9.1"}
    session = open_session("https-tls12")
    references = {fact.reference for fact in session.state(20).facts if fact.protocol == "TLS records"}
    session.close()
    assert references == {"RFC 5246, 6.2"}


def test_resumption_and_unknown_keys() -> None:
    assert at("tls13-resumption", 33)["TLS", "both", "session"] == "resumed from an earlier one"
    assert at("tls13-resumption", 16)["TLS", "both", "session"] == "a new one"
    found = at("https-tls12", 21)
    assert found["TLS records", "server", "protects what it sends with"] == "keys that are not known here"


def test_http2_tables_windows_and_streams() -> None:
    before, after = at("https-http2-multiplex", 44), at("https-http2-multiplex", 57)
    name = ("HPACK", "both", "header table of the responses")
    assert before[name] == "25 entries, 1,511 of 4,096 bytes" and after[name] != before[name]
    assert before["HTTP/2", "both", "streams"] == "6 streams open (1, 3, 5, 7, 9 and 11), 0 finished"
    assert after["HTTP/2", "both", "streams"] == "5 streams open (1, 3, 5, 7 and 11), 1 finished"


def test_event_streams_remember_the_last_id_and_the_delay() -> None:
    assert at("sse", 20)["SSE", "client", "last event id"].startswith("“4”")
    assert at("sse", 20)["SSE", "client", "waits before it connects again"] == "3,000 ms"
    assert at("sse", 20)["SSE", "client", "events so far"] == "4"
    assert "no retry was sent" in at("sse-cut", 18)["SSE", "client", "waits before it connects again"]


def test_websocket_extensions() -> None:
    assert "permessage-deflate" in at("websocket-chat", 57)["WebSocket", "both", "extensions"]
    assert at("websocket-chat", 61)["WebSocket", "both", "extensions"] == "none"


def test_cookies_by_name_alone() -> None:
    session = open_session("http-post-json")
    try:
        found = session.state(21)
        text = "\n".join(as_text(found))
    finally:
        session.close()
    facts = values(found)
    assert facts["Cookies", "client", "given by the server"].startswith("session (")
    assert "session stands for" in facts["Cookies", "server", "session"]
    assert "session=" not in text and "theme=" not in text


def test_tcp_counts_what_is_in_flight(tmp_path: Path) -> None:
    for size in (100, 700):
        wire = Wire().open()
        wire.say(20, 0, 1, 1, size)
        wire.say(40, 1, 1, 1 + size, window=321)
        wire.say(50, 0, 1 + size, 1, flags=FIN | ACK)
        session = wire.session(tmp_path)
        try:
            before, after, closing = (values(session.state(number)) for number in (4, 5, 6))
        finally:
            session.close()
        assert before["TCP", "client", "sent and not acknowledged"] == f"{size} bytes"
        assert after["TCP", "client", "sent and not acknowledged"] == "0 bytes"
        assert after["TCP", "client", "may have in flight"] == "321 bytes"
        assert after["TCP", "client", "round trip, last measured"] == "20.0 ms"
        assert closing["TCP", "client", "state"] == "FIN-WAIT-1" and closing["TCP", "server", "state"] == "CLOSE-WAIT"


def test_the_timer_is_that_of_rfc_6298() -> None:
    assert _timer([100]) == 300  # 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR
    assert _timer([100, 100]) == 250  # 2.3: RTTVAR = 3/4 · 50 + 1/4 · 0


def jwt(**claims: object) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJlLW9mLXRoaXM"])


def test_a_token_shows_its_claims_and_never_its_signature() -> None:
    text = jwt(sub="u7", exp=1000, password="hidden")
    found = token(text)
    assert found is not None
    said = words(found, 940 * 10**9)
    assert 'sub "u7"' in said and "60 seconds from this packet on" in said
    assert "it has expired" in words(found, 1100 * 10**9)
    assert "hidden" not in said and text.split(".")[2] not in said and "23 characters, not shown" in said
    assert token("not.a.token") is None and token("abc") is None
    unsigned = token(text.rsplit(".", 1)[0] + ".")
    assert unsigned is not None and "not signed" in words(unsigned, 0)


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        (253402300799, "expires 9999-12-31 23:59:59 UTC (253,402,300,799 seconds from this packet on)"),
        (999999999999, "expires 999999999999 s since 1970 (999,999,999,999 seconds from this packet on)"),
        (float("-inf"), "exp -Infinity"),
        (float("nan"), "exp NaN"),
        (10**400, "exp 1000"),
    ],
)
def test_times_that_no_calendar_has(expires: float, said: str) -> None:
    found = token(jwt(exp=expires))
    assert found is not None and said in words(found, 0)


@pytest.mark.parametrize(("name", "is_one"), [("session", True), ("JSESSIONID", True), ("connect.sid", True), ("theme", False)])
def test_names_of_sessions(name: str, is_one: bool) -> None:
    assert names_session(name) is is_one


def conversation(second: bytes, tmp_path: Path, new_connection: bool) -> State:
    """Two requests; the second one as given, on the same connection or on one of its own."""
    first = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: session=abc123\r\n\r\n"
    wire = Wire().open()
    wire.say(20, 0, 1, 1, data=first)
    wire.say(30, 1, 1, 1 + len(first), data=answer)
    if not new_connection:
        wire.say(40, 0, 1 + len(first), 1 + len(answer), data=second)
    else:
        other = Wire().open()
        other.say(20, 0, 1, 1, data=second)
        port = (41_000).to_bytes(2, "big")
        for time, frame in other.packets:
            offset = 34 if frame[34:36] != (80).to_bytes(2, "big") else 36
            wire.packets.append((time + 100, frame[:offset] + port + frame[offset + 2 :]))
    session = wire.session(tmp_path)
    try:
        return session.state(5)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("head", "new", "verdict", "words"),
    [
        (b"", False, "no", "with no handshake between them"),
        (b"", True, "yes", "can be understood alone"),
        (b"Cookie: session=abc123\r\n", True, "this capture cannot tell", "the cookie session"),
        (b"Authorization: Bearer TOKEN\r\n", True, "yes", "holds its claims itself"),
        (b"Authorization: Bearer opaque\r\n", True, "this capture cannot tell", "credentials (Bearer)"),
        (b"Last-Event-ID: 7\r\n", True, "this capture cannot tell", "Last-Event-ID 7"),
    ],
)
def test_could_the_server_restart(head: bytes, new: bool, verdict: str, words: str, tmp_path: Path) -> None:
    request = b"GET /b HTTP/1.1\r\nHost: a.example\r\n" + head.replace(b"TOKEN", jwt(sub="u").encode()) + b"\r\n"
    answer = conversation(request, tmp_path, new).restart
    assert answer is not None
    assert answer.verdict == verdict and words in answer.why
    assert "abc123" not in answer.why


def test_without_a_further_request_nothing_can_be_told() -> None:
    session = open_session("http-get")
    try:
        answer = session.state(16).restart
    finally:
        session.close()
    assert answer is not None and answer.verdict == "this capture cannot tell" and not answer.packets


def test_what_lies_below_and_beside_the_connection() -> None:
    """The neighbour's hardware address from ARP, and the name's address from DNS with the time that it is still good for."""
    found = at("http-get", 12)
    assert found["DNS", "client", "remembered answer"] == "www.example.test is 192.0.2.80; good for 300 more of 300 seconds"
    assert found["ARP", "client", "neighbour"].startswith("192.0.2.80 is at 00:00:5e:00:53:50")
    assert found["ARP", "server", "neighbour"].startswith("192.0.2.10 is at 00:00:5e:00:53:0a")
    assert ("ARP", "client", "neighbour") not in at("http-get", 7) and ("ARP", "client", "neighbour") in at("http-get", 8)
    assert at("http-keepalive", 9)["ND", "client", "neighbour"].startswith("2001:db8::80 is at 00:00:5e:00:53:50")


def test_a_question_waits_for_its_answer() -> None:
    assert at("dns-udp", 3)["DNS", "client", "waits for an answer"].startswith("Query  A www.example.test")
    answered = at("dns-udp", 4)
    assert ("DNS", "client", "waits for an answer") not in answered
    assert answered["DNS", "client", "remembered answer"].endswith("good for 300 more of 300 seconds")
    assert ("DNS", "client", "waits for an answer") in at("dns-udp", 35)


def test_the_timer_is_said_to_be_an_estimate() -> None:
    found = at("http-get", 16)
    value = found["TCP", "client", "retransmission time-out, an estimate"]
    assert "by the formula" in value and "in no packet" in value


def test_of_many_requests_the_last_ones_are_read_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = at("http-post-json", 24)
    assert whole["Cookies", "client", "given by the server"].startswith("session")
    monkeypatch.setattr("inspector.annotations.state.application.LOOKED_AT", 1)
    found = at("http-post-json", 24)
    assert found["Cookies", "both", "cookies and credentials"] == "told from the last 1 of 2 requests"
    assert ("Cookies", "client", "given by the server") not in found  # that was the first answer


def test_a_restart_would_cut_what_is_under_way(tmp_path: Path) -> None:
    """The second request goes out on a connection of its own, before the answer to the first is whole."""
    session = open_session("http1-six-connections")
    try:
        found = session.exchanges()
        first = next(
            one
            for one, two in pairwise(found)
            if one.flow != two.flow and two.request and one.response and one.response.complete > two.request.first
        )
        assert first.request is not None
        answer = session.state(first.request.first).restart
    finally:
        session.close()
    assert answer is not None and answer.verdict == "no" and "cut it off" in answer.why and len(answer.packets) == 3


@pytest.mark.parametrize(
    ("capture", "number", "verdict", "words"),
    [
        ("jwt", 22, "yes", "carries a signed token"),
        ("cookie-session", 17, "this capture cannot tell", "the cookie session"),
        ("cookie-session", 28, "this capture cannot tell", "answered with 200 before, and now with 401 (packet 40)"),
        ("cookie-session", 15, "no", "Beside the connection it carries the cookie session"),
        ("async-job", 23, "no", "the path /jobs/41, which packet 16 gave"),
        ("short-polling", 20, "no", "on a new one it could be understood alone"),
    ],
)
def test_what_a_server_must_remember_in_real_conversations(capture: str, number: int, verdict: str, words: str) -> None:
    session = open_session(capture)
    try:
        answer = session.state(number).restart
    finally:
        session.close()
    assert answer is not None and answer.verdict == verdict and words in answer.why
