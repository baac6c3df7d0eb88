"""A short run of the fuzzer over every target, and what it ever found, again."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.protocols import PROTOCOLS
from inspector.streams.conversation import Conversation

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.append(str(SCRIPTS))
fuzz = importlib.import_module("fuzz")
targets, tls = importlib.import_module("fuzzing.targets"), importlib.import_module("fuzzing.tls")
NAMES = list(fuzz.targets())
SECONDS = 1.0  # for each target; `scripts/fuzz.py` goes on for as long as it may


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "CRASHERS", tmp_path)
    assert fuzz.blindly(name, SECONDS) > 3


def test_what_was_spent_is_remembered(tmp_path: Path) -> None:
    ledger = fuzz.Ledger(tmp_path)
    ledger.add("packet", 60.04, 1000, False)
    ledger.add("file", 1.0, 5, True)
    ledger.add("packet", 30.0, 500, False)
    again = fuzz.Ledger(tmp_path)
    assert again.spent == {"packet": 90.0, "file": 1.0} and again.inputs == {"packet": 1500, "file": 5}
    assert again.failed == ["file"]


REACHED = {  # target → of what its seeds hold units
    **{name: {name.partition(":")[2]} for name in NAMES if name.startswith("stream:")},
    "stream:websocket": {"websocket", "websocket.message"},
    "stream:http2": {"http2", "http2.body"},
    "stream:grpc": {"http2", "grpc"},
    "body": {"http", "sse"},
    "sealed:tls13": {"tls", "tls.handshake", "http", "http2", "sse", "websocket", "grpc"},
    "sealed:tls12": {"tls", "tls.handshake", "http", "http2", "sse", "websocket", "grpc"},
    "keylog": {"tls", "tls.handshake", "http"},
    "schema": {"http2", "grpc"},
    "views": {"http", "tls", "http2", "websocket", "sse", "grpc", "pgsql", "smtp", "ftp", "dns"},
    "growing": {"http", "tls", "http2"},
}


def of_seeds(name: str) -> set[str]:
    """The protocols of whose units a target finds some in what it begins with."""
    found: set[str] = set()
    finish = Conversation.finish

    def note(self: Conversation) -> None:
        finish(self)
        found.update(pdu.protocol for pdus in self.tree.pdus.values() for pdu in pdus)

    given = list(fuzz.seeds(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversation, "finish", note)
        for seed in given:
            fuzz.targets()[name](seed)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_a_target_begins_with_reaches_what_it_is_for(name: str) -> None:
    assert of_seeds(name) >= REACHED.get(name, set())


def test_every_stream_parser_is_reached_by_some_target() -> None:
    """Directly, or inside what carries it."""
    parsers = {protocol.name for protocol in PROTOCOLS if protocol.parser is not None}
    assert not parsers - {name for found in REACHED.values() for name in found}


@pytest.mark.parametrize(("wire", "change"), [(tls.tls13, (8 | 2, tls.KEY_UPDATE)), (tls.tls12, (8 | 6, b"\1"))])
def test_what_is_sealed_opens(wire: Callable[[bytes], tuple[list[tuple[int, bytes]], str]], change: tuple[int, bytes]) -> None:
    """With every suite, whatever the hellos settled, and after a change of keys: the fuzzer's bytes are what is read."""
    for suite in range(11):
        for how in (0, 1, 2, 16, 32, 64, 97):  # those in which its handshake is not the fuzzer's
            said = (0, b"GET /1 HTTP/1.1\r\n\r\n"), change, (0, b"x")
            words, log = wire(tls.chosen(*said, suite=suite, how=how))
            opened: list[bool] = []
            with pytest.MonkeyPatch.context() as patch:
                finish = Conversation.finish

                def note(self: Conversation, opened: list[bool] = opened, finish: Callable[..., None] = finish) -> None:
                    finish(self)
                    records = [pdu for pdus in self.tree.pdus.values() for pdu in pdus if pdu.protocol == "tls"]
                    opened += [pdu.info["encrypted"] for pdu in records]
                    assert self.decrypted
                    reasons = [pdu.info["records"].at(pdu.span.start) for pdu in records]
                    assert not [each for each in reasons if each and isinstance(each, str)], reasons

                patch.setattr(Conversation, "finish", note)
                targets.converse(words, targets.registered("tls"), tls.keys(log.encode()))
            assert sum(opened) >= 3


def test_what_was_found_is_mended() -> None:
    found = sorted(fuzz.CRASHERS.glob("*-*"))
    assert found
    for path in found:
        fuzz.again(path)  # raises what it finds


def test_a_bug_is_kept_for_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fuzz, "CRASHERS", tmp_path)
    monkeypatch.setattr(fuzz, "targets", lambda: {"stream:tls.ssl2": broken})
    with pytest.raises(ZeroDivisionError):
        fuzz.blindly("stream:tls.ssl2", SECONDS)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("stream_tls.ssl2-")
    with pytest.raises(ZeroDivisionError):
        fuzz.again(kept)
