"""Which sockets belong to a command and its children, watched while it runs.

A socket is the command's when a process of its family holds it. It is somebody else's when it was open before and after all
descriptors of the family were looked through, and was not among them; what comes and goes between two looks is neither.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from inspector.capture.sockets import Diagnosis, Endpoints

PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
INTERVAL = 0.001  # seconds between two looks: a connection on this machine lives a few milliseconds
SHARE = 0.5  # of one core at most goes into looking
MISSES = 2  # looks that must miss a socket: a process may have been born while the first was under way
_SOCKET = re.compile(r"socket:\[(\d+)\]")


class Process(NamedTuple):
    """A process by the name that the kernel has for it."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    @staticmethod
    def named(sentence: str) -> str:
        """The process that a sentence on a conversation's owner begins with; empty where it names none."""
        found = re.match(r"(.{1,64}? \(process \d+\)): ", sentence)
        return found[1] if found else ""


def adopt_orphans() -> None:
    """Whatever the command leaves behind becomes a child of this process, so that it stays in the family."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> list[int]:
    """The child processes of a process now."""
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


class Family:
    """Watches from `start` to `stop` in a thread of its own.

    owned: the processes that were seen with each socket; others: sockets of anybody else; local: addresses of this machine
    that a socket was bound to; failure: why nothing could be watched, "" where it could.
    """

    def __init__(self) -> None:
        self.owned: dict[Endpoints, Process] = {}
        self.others: set[Endpoints] = set()
        self.local: set[bytes] = set()
        self.failure = ""
        self._strangers = frozenset(children(os.getpid()))  # the capture process and such
        self._holders: dict[int, Process] = {}  # socket inode → who holds it
        self._misses: dict[int, int] = {}  # socket inode → looks at the whole family that did not find it
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sockets", daemon=True)

    def start(self) -> None:
        """Look once, so that what is open already is known as somebody else's, and then again and again."""
        try:
            self._diagnosis = Diagnosis()
            for _ in range(MISSES + 1):
                self._look()
        except OSError as error:
            self.failure = error.strerror or str(error)
            return
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Somebody of the family is still there."""
        return any(True for _ in self._members())

    def _watch(self) -> None:
        pause = INTERVAL
        while not self._stopping.wait(pause):
            begun = monotonic()
            try:
                self._look()
            except OSError as error:
                self.failure = error.strerror or str(error)
                break
            pause = max(INTERVAL, (monotonic() - begun) * (1 / SHARE - 1))
        self._diagnosis.close()

    def _look(self) -> None:
        found = [one for one in self._diagnosis.sockets() if one.inode]
        for inode, endpoints in found:
            self.local.add(endpoints.local)
            if self._misses.get(inode, 0) >= MISSES:
                self.others.add(endpoints)
        now = {one.inode for one in found}
        self._misses = {inode: misses for inode, misses in self._misses.items() if inode in now}
        unsure = {inode for inode in now - self._holders.keys() if self._misses.get(inode, 0) < MISSES}
        if unsure:
            held, whole = self._held()
            self._holders.update(held)
            for inode in unsure - held.keys() if whole else ():
                self._misses[inode] = self._misses.get(inode, 0) + 1
        for inode, endpoints in found:
            holder = self._holders.get(inode)
            if holder is not None:
                self.owned.setdefault(endpoints, holder)

    def _held(self) -> tuple[dict[int, Process], bool]:
        """The sockets that the family holds open now and that were not known; and whether all its descriptors could be read
        (not those of a program that has more rights than this one)."""
        held: dict[int, Process] = {}
        whole = True
        for pid in self._members():
            try:
                new = [inode for inode in _descriptors(pid) if inode not in self._holders and inode not in held]
            except PermissionError:
                whole = False
                continue
            if new:
                held.update(dict.fromkeys(new, Process(pid, _name(pid))))
        return held, whole

    def _members(self) -> Iterator[int]:
        waiting = [pid for pid in children(os.getpid()) if pid not in self._strangers]
        known = set(waiting)
        while waiting:
            pid = waiting.pop()
            yield pid
            young = [child for child in children(pid) if child not in known]
            known.update(young)
            waiting += young


def _descriptors(pid: int) -> Iterator[int]:
    """The inodes of the sockets that a process holds; none of one that has ended. Raises PermissionError."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                if match := _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{descriptor}")):
                    yield int(match[1])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "a process that has ended"
