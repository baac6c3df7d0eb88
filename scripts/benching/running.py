"""Runs a program to its end, and what that took."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benching.screen import HERE

ALONE = Path(__file__).with_name("alone.py")


class Run(NamedTuple):
    """One run of a program: wall seconds, processor seconds, peak resident bytes."""

    seconds: float
    processor: float
    peak: int


def run(command: list[str]) -> Run:
    """Run a program to its end, its output thrown away. Raises CalledProcessError where it fails."""
    done = subprocess.run([sys.executable, "-IS", str(ALONE), *command], capture_output=True, cwd=HERE, check=True)
    status, seconds, processor, peak = map(float, done.stdout.split())
    if status:
        raise subprocess.CalledProcessError(int(status), command, stderr=done.stderr)
    return Run(seconds, processor, int(peak) * (1 if sys.platform == "darwin" else 1024))
