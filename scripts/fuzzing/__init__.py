"""What `scripts/fuzz.py` feeds, and with what it begins."""
