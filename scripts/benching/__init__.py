"""What scripts/bench.py measures with."""
