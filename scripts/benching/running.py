"""Runs a program to its end, and what that took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple

from benching.screen import HERE


class Run(NamedTuple):
    """One run of a program: wall seconds, processor seconds, peak resident bytes."""

    seconds: float
    processor: float
    peak: int


def run(command: list[str]) -> Run:
    """Run a program to its end, its output thrown away. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=HERE)
    assert child.stderr is not None
    with child.stderr:
        errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command, stderr=errors)
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)
