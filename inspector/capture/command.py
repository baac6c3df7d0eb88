"""Runs the command that is recorded, with its own input, output and exit status, and asks it for its TLS keys."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Self

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit statuses, as a shell has them (POSIX, 2.8.2)
KILLED = 128  # and the signal's number


@contextmanager
def private_folder(name: str) -> Iterator[Path]:
    """A folder that only this user can enter; it and what is left in it go in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"osi-inspect-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty_keylog(folder: Path) -> Path:
    """A new key log, readable and writable by its owner alone."""
    path = folder / "keys.log"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def environment(keylog: Path) -> dict[str, str]:
    """The user's, and what makes TLS libraries write their keys: OpenSSL and NSS through the variable, Node by an option."""
    env = dict(os.environ)
    if "SUDO_UID" in env:  # root has become the user who typed sudo: the environment is still root's
        with suppress(KeyError):
            user = pwd.getpwuid(os.getuid())
            env |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    env["SSLKEYLOGFILE"] = str(keylog)
    env["NODE_OPTIONS"] = f"{env.get('NODE_OPTIONS', '')} --tls-keylog={keylog}".lstrip()
    return env


class Command:
    """A command that runs as long as the `with` block; signals that come meanwhile are handed on to it."""

    def __init__(self, words: Sequence[str], keylog: Path) -> None:
        """Raises OSError where it cannot be started."""
        self._waiting: list[int] = []  # signals that came before there was a process
        self._process: subprocess.Popen[bytes] | None = None
        self._before = {number: signal.signal(number, self._forward) for number in FORWARDED}
        try:
            self._process = process = subprocess.Popen(words, env=environment(keylog))
        except BaseException:
            self.close()
            raise
        self.pid = process.pid
        self.name = Path(words[0]).name
        for number in self._waiting:
            process.send_signal(number)

    def wait(self) -> int:
        """Its exit status; 128 and the signal's number where a signal has ended it."""
        assert self._process is not None
        status = self._process.wait()
        return status if status >= 0 else KILLED - status

    def close(self) -> None:
        """Signals are for this program again."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if number in FROM_THE_TERMINAL and _in_the_foreground():
            return  # the terminal has sent it to the command too
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_the_foreground() -> bool:
    for stream in (sys.__stdin__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            return os.tcgetpgrp(stream.fileno()) == os.getpgrp()  # type: ignore[union-attr]
    return False
