"""A short run of the fuzzer over every target, and what it ever found, again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from inspector.streams.conversation import Conversation

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.append(str(SCRIPTS))
fuzz = importlib.import_module("fuzz")
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


@pytest.mark.parametrize("name", fuzz.SEEDS)
def test_seeds_reach_what_begins_only_inside_others(name: str) -> None:
    """The parser finds units of its own in them."""
    found: list[str] = []

    def note(self: Conversation) -> None:
        finish(self)
        found.extend(pdu.protocol for pdus in self.tree.pdus.values() for pdu in pdus)

    finish = Conversation.finish
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversation, "finish", note)
        for seed in fuzz.seeds(f"stream:{name}"):
            fuzz.stream(name)(seed)
    assert name in found


def test_what_was_found_is_mended() -> None:
    for path in sorted(fuzz.CRASHERS.glob("*-*")):
        fuzz.again(path)


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
