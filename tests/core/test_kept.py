"""What is kept within a budget."""

from __future__ import annotations

from inspector.core.kept import Kept


def test_what_was_used_longest_ago_goes_first() -> None:
    kept: Kept[str, int] = Kept(10)
    kept.put("a", 1, 4)
    kept.put("b", 2, 4)
    assert kept.get("a") == 1
    kept.put("c", 3, 4)
    assert "a" in kept and "b" not in kept and kept.get("b") is None and len(kept) == 2


def test_a_value_that_is_put_again_weighs_once_and_the_last_one_stays_whatever_it_weighs() -> None:
    kept: Kept[int, str] = Kept(10)
    for _ in range(5):
        kept.put(1, "x", 6)
    kept.put(2, "y", 4)
    assert 1 in kept
    kept.put(3, "z", 1000)
    assert len(kept) == 1 and kept.get(3) == "z"
    kept.clear()
    kept.put(4, "w", 9)
    assert 4 in kept and len(kept) == 1
