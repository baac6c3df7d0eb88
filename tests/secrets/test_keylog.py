"""Key logs: every kind of line, damage, files that grow or are replaced, blocks of the capture."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from inspector.core.errors import InspectError
from inspector.secrets.keylog import LABELS, SESSION_ID, KeyLog
from inspector.session import Session, open_session

RANDOM, SECRET = "ab" * 32, "cd" * 32
LINE = f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {SECRET}\n"


def log(text: str) -> KeyLog:
    return KeyLog(None, lambda: [text.encode("latin-1")])


@pytest.mark.parametrize("label", [label for label in LABELS if label != SESSION_ID])
def test_every_label(label: str) -> None:
    size = LABELS[label][-1]
    name = "12" * 8 if label == "RSA" else RANDOM
    found = log(f"# a comment\n\n{label} {name} {'ef' * size}\r\n")
    assert found.find(label, bytes.fromhex(name)) == b"\xef" * size
    assert (found.secrets, found.damaged) == (1, 0)


def test_session_ids_name_master_secrets() -> None:
    found = log(f"RSA Session-ID:{'01' * 32} Master-Key:{'02' * 48}\n")
    assert found.find(SESSION_ID, b"\1" * 32) == b"\2" * 48


@pytest.mark.parametrize(
    "line",
    [
        f"CLIENT_RANDOM {RANDOM}", f"CLIENT_RANDOM {RANDOM} {SECRET}", f"CLIENT_RANDOM {RANDOM[2:]} {'cd' * 48}",
        f"CLIENT_RANDOM {RANDOM} {'cd' * 47}c", f"CLIENT_RANDOM {RANDOM} {'xy' * 48}", "\0\xff", "one two three four",
        f"RSA Session-ID: Master-Key:{'02' * 48}",
    ],
)  # fmt: skip
def test_damaged_lines_are_counted_and_passed_over(line: str) -> None:
    found = log(f"{line}\n{LINE}")
    assert (found.secrets, found.damaged) == (1, 1)


def test_labels_of_others_are_no_damage() -> None:
    found = log(f"QUIC_CLIENT_TRAFFIC_SECRET_0 {RANDOM} {SECRET}\n")
    assert (found.secrets, found.damaged) == (0, 0)


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    found = KeyLog(str(path))
    name = bytes.fromhex(RANDOM)
    assert found.find("CLIENT_TRAFFIC_SECRET_0", name) is None
    path.write_text(LINE[:60])  # the writer is in the middle of a line
    assert found.find("CLIENT_TRAFFIC_SECRET_0", name) is None and found.damaged == 1
    path.write_text(LINE)
    assert found.find("CLIENT_TRAFFIC_SECRET_0", name) == bytes.fromhex(SECRET)
    assert found.damaged == 0
    with path.open("a") as file:
        file.write(LINE.replace("CLIENT_T", "SERVER_T"))
    assert found.find("SERVER_TRAFFIC_SECRET_0", name) == bytes.fromhex(SECRET)


def test_a_file_that_is_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    path, other = tmp_path / "keys", tmp_path / "other"
    path.write_text(LINE * 3)
    found = KeyLog(str(path))
    other.write_text(LINE.replace("ab", "ba"))
    os.replace(other, path)
    assert found.find("CLIENT_TRAFFIC_SECRET_0", b"\xba" * 32) == bytes.fromhex(SECRET)
    assert found.secrets == 2


def test_long_lines_and_binary_files_hold_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"\0" * 3_000_000 + b"\n" + LINE.encode())
    found = KeyLog(str(path))
    assert (found.secrets, found.damaged) == (1, 1)


def test_a_key_log_that_is_asked_for_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "not yet"))
    session = open_session("https-tls12")
    assert session.keyring.empty
    session.close()
    with pytest.raises(InspectError, match="no such file"):
        open_session("https-tls12", keylog=str(tmp_path / "missing"))


def test_the_blocks_of_a_capture_open_it() -> None:
    session = open_session("https-tls13")
    assert session.decrypted and session.keyring.log.damaged == 0
    summaries = {layer.summary for number in range(1, session.count + 1) for layer in session.dissect(number).layers}
    assert "GET / HTTP/1.1" in summaries and "HTTP/1.1 200 OK" in summaries
    session.close()


def test_secrets_that_come_later_open_what_was_closed(tmp_path: Path) -> None:
    source = open_session("https-tls13")
    (block,) = source.source.secrets
    source.close()
    path = tmp_path / "keys"
    path.write_text("")
    session = open_session("https-tls13", keylog=str(path))
    session.source.secrets.clear()

    def seen(session: Session) -> bool:
        return any("GET /" in layer.summary for n in range(1, session.count + 1) for layer in session.dissect(n).layers)

    session.keyring.log._secrets.clear()
    assert not seen(session) and not session.decrypted
    path.write_bytes(block.data)
    assert seen(session) and session.decrypted
    session.close()


@pytest.mark.parametrize("growing", [False, True])
def test_exchanges_and_findings_follow_secrets_that_come_later(tmp_path: Path, growing: bool) -> None:
    capture = tmp_path / "closed.pcapng"
    with closing(open_session("https-tls13")) as source:
        block = source.source.secrets[0].data
        source.save(str(capture), range(1, source.count + 1))
    path = tmp_path / "keys"
    path.write_text("")
    with closing(open_session(str(capture), keylog=str(path), growing=growing)) as session:
        while growing and session.grow():
            pass
        assert session.exchanges() == []
        before = session.findings()
        path.write_bytes(block)
        assert [exchange.request is not None for exchange in session.exchanges()] == [True]
        assert session.findings() is not before and session.exchanges() is session.exchanges()
