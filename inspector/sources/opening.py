"""Opening a capture: a file or a pipe, compressed or not, by what it begins with."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from inspector.core.errors import InspectError
from inspector.core.limits import MAX_SPOOL
from inspector.sources import pcap, pcapng
from inspector.sources.compressed import inflater
from inspector.sources.merged import Merged
from inspector.sources.source import FileSource, Source
from inspector.sources.store import Followed, Spool, Store, first_bytes

FILES_EACH, FILES_ELSE = 3, 64  # open files that a member of several takes at most (compressed: itself, twice its copy)


class Format(Protocol):
    """A reader's constructor."""

    def __call__(self, store: Store, name: str) -> FileSource: ...


def open_source(source: str | int, follow: bool = False) -> FileSource:
    """Open a file by its path, or a pipe by its descriptor (which is then this source's to close).

    follow: the file is still being written; its packets come as they are written, until `Source.stop`.
    Raises InspectError with one sentence.
    """
    name = "standard input" if isinstance(source, int) else os.path.basename(source)
    fd = source if isinstance(source, int) else _open(source)
    store = _store(fd, name, follow)
    try:
        store.wait(3)
        magic = store.read(0, 4)
        if not magic and store.failure:
            raise InspectError(f"{name}: {store.failure}")
        return _format(magic, name)(store, name)
    except BaseException:
        store.close()
        raise


def open_sources(paths: Sequence[str]) -> Source:
    """Open several files as one capture, in the order of time. Raises InspectError with one sentence."""
    _allow_files(len(paths) * FILES_EACH + FILES_ELSE)
    names = [os.path.basename(path) for path in paths]
    name = ", ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1:,} more"
    opened: list[FileSource] = []
    try:
        for path in paths:
            opened.append(open_source(path))
            if names.count(opened[-1].name) > 1:
                opened[-1].name = path
        return Merged(opened, name)
    except BaseException:
        for source in opened:
            source.close()
        raise


def _allow_files(wanted: int) -> None:
    """As many open files as this user may have, where the usual number (1,024) is too small."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # then opening says what is missing
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _store(fd: int, name: str, follow: bool) -> Store:
    try:
        piped = not stat.S_ISREG(os.fstat(fd).st_mode)
        begun = first_bytes(fd, 6) if piped else b""
        try:
            inflate = inflater(begun if piped else os.pread(fd, 6, 0))
        except InspectError as error:
            raise InspectError(f"{name}: {error}") from None
        if piped or inflate is not None:
            return Spool(fd, begun, inflate, MAX_SPOOL)
    except OSError as error:
        os.close(fd)
        raise InspectError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except BaseException:
        os.close(fd)
        raise
    return Followed(fd) if follow else Store(fd)


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InspectError(f"{path}: cannot be opened: {(error.strerror or 'unknown error').lower()}") from None
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise InspectError(f"{path}: a directory; name a capture file in it")
    os.set_blocking(fd, True)
    return fd


_KNOWN = {
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"snoo": "a snoop capture, which is not read here; convert it with `editcap -F pcapng`",
}


def _format(magic: bytes, name: str) -> Format:
    if magic in pcap.MAGICS:
        return pcap.Pcap
    if magic == pcapng.MAGIC:
        return pcapng.Pcapng
    if not magic:
        raise InspectError(f"{name}: the file is empty")
    what = _KNOWN.get(magic, f"no pcap or pcapng capture: it begins with the bytes {magic.hex(' ')}")
    raise InspectError(f"{name}: {what if what.startswith('no ') else 'this is ' + what}")
