"""Columns in blocks: however they are asked for, the same values; and none is held twice."""

from __future__ import annotations

import random

import numpy as np
import pytest

from inspector.index import columns
from inspector.index.columns import TYPES, Columns


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[Columns, list[int]]:
    """1,037 rows in blocks of 100."""
    monkeypatch.setattr(columns, "BLOCK", 100)
    values = [random.Random(1).randrange(1 << 31) for _ in range(1037)]
    found = Columns()
    for start in range(0, 1037, 83):
        part = np.array(values[start : start + 83])
        found.append(dict.fromkeys(TYPES, part))
    return found, values


@pytest.mark.parametrize("joined", [False, True])
def test_values_of_any_rows(made: tuple[Columns, list[int]], joined: bool) -> None:
    found, values = made
    rng = random.Random(2)
    for _ in range(200):
        if joined:
            found.column("seq")
        rows = rng.choices(range(1037), k=rng.choice((0, 1, 5, 300)))
        if rng.random() < 0.7:
            rows.sort()
        assert found.at("seq", np.array(rows, np.int64)).tolist() == [values[row] for row in rows]


def test_blocks_and_rows_since_are_the_same_before_and_after_the_column_was_joined(made: tuple[Columns, list[int]]) -> None:
    found, values = made
    for _ in range(2):
        assert np.concatenate(list(found.blocks("ack"))).tolist() == values
        assert [found.value("ack", row) for row in (0, 99, 100, 1036)] == [values[row] for row in (0, 99, 100, 1036)]
        assert found.since("ack", 950).tolist() == values[950:]
        assert found.column("ack").tolist() == values


def test_a_joined_column_is_not_held_twice_and_still_grows(made: tuple[Columns, list[int]]) -> None:
    found, values = made
    whole = found.column("time_ns")
    shared = [np.shares_memory(whole, block) for block in found.blocks("time_ns")]
    assert shared == [True] * 10 + [False]  # the open block is still written
    more = np.arange(200)
    found.append(dict.fromkeys(TYPES, more))
    assert whole.tolist() == values and found.column("time_ns").tolist() == values + more.tolist()
