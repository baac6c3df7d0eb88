"""Giving up privileges: capabilities(7), through the system calls, since Python has none of its own for them."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

NET_RAW = 1 << 13  # include/uapi/linux/capability.h
PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 8, 38
_VERSION_3 = 0x20080522
_SETS = struct.Struct("=6I")  # effective, permitted, inheritable: the lower halves, then the upper ones


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def keep_net_raw() -> None:
    """Become the user who typed `sudo`, where one did, and keep nothing of root but the right to open capture sockets."""
    libc = _libc()
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    become_user()
    _keep(libc, NET_RAW)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_all() -> None:
    """Become the user who typed `sudo`, where one did, and keep no capability. For this thread: call it before others begin."""
    become_user()
    _keep(_libc(), 0)


def become_user() -> None:
    """Of a program that was started with sudo: take the identity of the user who typed it."""
    if os.geteuid() != 0:
        return
    try:
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return
    with suppress(OSError):  # no right to set groups: then there are none to lose
        os.initgroups(os.environ.get("SUDO_USER", ""), group)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def _keep(libc: ctypes.CDLL, wanted: int) -> None:
    """Keep those of `wanted` that this thread has."""
    header = struct.pack("=Ii", _VERSION_3, 0)
    sets = ctypes.create_string_buffer(_SETS.size)
    if libc.capget(header, sets) < 0:
        return
    _, permitted, *_ = _SETS.unpack(sets.raw)
    kept = permitted & wanted
    libc.capset(header, _SETS.pack(kept, kept, 0, 0, 0, 0))
