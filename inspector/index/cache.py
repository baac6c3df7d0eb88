"""The index of a big capture, kept in the user's cache folder, so that it need not be read again to be opened again.

Only of ordinary files, alone or several as one: not of pipes, of compressed files, or of files that are still written. One
file holds one index: a head, the columns as they lie in memory, and a JSON text that says what is where. It belongs to the
capture whose files have the size, the time, the inode and the sampled bytes that it names, and to the program that wrote it;
anything else is passed over, and so is whatever is damaged. Columns are read when they are asked for. Keys are not copied:
their places in the capture are.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inspector import __version__
from inspector.core.limits import MAX_CACHE, MAX_CACHED_TEXT
from inspector.core.packet import Interface
from inspector.index.columns import BLOCK, TYPES, Column, Columns
from inspector.index.flows import FlowTable
from inspector.index.index import Index
from inspector.sources import Damage, Secrets, Source

WORTH = 1.0  # seconds of reading from which on an index is kept
FORMAT = 3
MAGIC = b"osiindex"
HEAD = struct.Struct("<8sQQI")  # magic; where the JSON text lies, its length, its checksum
SAMPLES, SAMPLE = 64, 4096  # blocks of a file that are looked at, and bytes of each
ABANDONED = 3600  # seconds after which a half-written file is nobody's any more
OFF = "OSI_INSPECT_NO_CACHE"  # in the environment: no index is kept, and none is used


class Kept(NamedTuple):
    """An index from the cache. fragments: the packets that carry fragments of datagrams, in order."""

    columns: Columns
    flows: FlowTable
    fragments: list[int]


def identity(source: Source) -> list[Any] | None:
    """What a capture's files are known by; None where it is not one that can be kept."""
    files = source.files()
    if files is None or os.environ.get(OFF) or _folder() is None:
        return None
    return [_identity(fd) for fd in files]


def _identity(fd: int) -> list[Any]:
    found = os.fstat(fd)
    digest = blake2b(digest_size=16)
    last = max(found.st_size - SAMPLE, 0)
    for number in range(SAMPLES):
        digest.update(os.pread(fd, SAMPLE, last * number // (SAMPLES - 1)))
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, digest.hexdigest()]


def save(source: Source, known: list[Any], index: Index, fragments: Sequence[int]) -> None:
    """Keep an index; a cache that cannot be written is no reason to stop. known: the `identity` before it was read."""
    with suppress(OSError):
        if index.count == 0 or identity(source) != known or index.memory > MAX_CACHE:
            return
        path = _path(known)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made, name = tempfile.mkstemp(dir=path.parent, suffix=".new")  # mode 0600
        try:
            with os.fdopen(made, "wb") as file:
                if not _write(file, source, known, index, fragments):
                    return
            os.replace(name, path)
            name = ""
        finally:
            if name:
                os.unlink(name)
        _make_room(path)


def _write(file: Any, source: Source, known: list[Any], index: Index, fragments: Sequence[int]) -> bool:
    about: dict[str, Any] = {
        "format": FORMAT, "program": _program(), "identity": known, "packets": index.count, "facts": _facts(source),
        "columns": {}, "arrays": {},
    }  # fmt: skip
    file.seek(HEAD.size)
    for name in TYPES:
        start, sums = file.tell(), []
        for part in index.blocks(name):
            data = np.ascontiguousarray(part, "<" + TYPES[name]).data
            sums.append(zlib.crc32(data))
            file.write(data)
        about["columns"][name] = [start, sums]
    for name, array in {**index.flows.arrays(), "fragments": np.array(fragments, np.int64)}.items():
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        about["arrays"][name] = [file.tell(), array.dtype.str[1:], array.shape, zlib.crc32(raw)]
        file.write(raw)
    text = json.dumps(about).encode()
    if len(text) > MAX_CACHED_TEXT:
        return False
    at = file.tell()
    file.write(text)
    file.seek(0)
    file.write(HEAD.pack(MAGIC, at, len(text), zlib.crc32(text)))
    return True


def load(source: Source, known: list[Any], anew: Callable[[], Columns]) -> Kept | None:
    """The kept index of a capture that is known by `known`, and what its file tells besides (into `source`); None where
    there is none. anew: the columns from the capture itself, for when damage is found later."""
    try:
        file = _File(_path(known), anew)
        about = file.about
        if (about["format"], about["program"], about["identity"]) != (FORMAT, _program(), known):
            raise ValueError("of another capture, or of another program")
        flows = FlowTable.of({name: file.array(name) for name in FlowTable.ARRAYS})
        fragments = file.array("fragments").tolist()
        columns = _Stored(file)
        _restore(source, about["facts"])
        os.utime(file.fd)  # the ones used longest ago go first
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return Kept(columns, flows, fragments)


class _File:
    """An open index file. Raises ValueError, LookupError or TypeError where it is not what it should be."""

    def __init__(self, path: Path, anew: Callable[[], Columns]) -> None:
        self.fd = -1
        self._path = path
        self._anew = anew
        self._fresh: Columns | None = None
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        found = os.fstat(self.fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ValueError("not ours alone to write")
        magic, at, length, sum_ = HEAD.unpack(self._read(0, HEAD.size))
        if magic != MAGIC or length > MAX_CACHED_TEXT or at + length > found.st_size:
            raise ValueError("damaged")
        text = self._read(at, length)
        if zlib.crc32(text) != sum_:
            raise ValueError("damaged")
        self.about = json.loads(text)
        self.packets = int(self.about["packets"])
        self._columns: dict[str, tuple[int, list[int]]] = {name: self.about["columns"][name] for name in TYPES}

    def _read(self, at: int, size: int) -> bytes:
        data = os.pread(self.fd, size, at)
        if len(data) < size:
            raise ValueError("cut short")
        return data

    def array(self, name: str) -> Column:
        at, kind, shape, sum_ = self.about["arrays"][name]
        wanted = np.dtype("<" + kind)
        if wanted.kind not in "iu":
            raise ValueError("no numbers")
        data = self._read(at, wanted.itemsize * int(np.prod(shape, dtype=np.int64)))
        if zlib.crc32(data) != sum_:
            raise ValueError("damaged")
        return np.frombuffer(data, wanted).reshape(shape)

    def block(self, name: str, number: int) -> Column:
        """A block of a column. Where it is damaged the file is deleted, and all columns are made anew."""
        if self._fresh is None:
            kind = np.dtype("<" + TYPES[name])
            rows = min(BLOCK, self.packets - number * BLOCK)
            try:
                at, sums = self._columns[name]
                data = self._read(at + number * BLOCK * kind.itemsize, rows * kind.itemsize)
                if zlib.crc32(data) == sums[number]:
                    return np.frombuffer(data, kind)
            except (OSError, ValueError, LookupError, TypeError):
                pass
            with suppress(OSError):
                self._path.unlink()
            self._fresh = self._anew()
        return self._fresh.block(name, number)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class _Stored(Columns):
    """Columns that lie in an index file."""

    def __init__(self, file: _File) -> None:
        super().__init__()
        self.count = file.packets
        self._blocks = [_Block(file, number) for number in range(-(-file.packets // BLOCK))]


class _Block(dict[str, Column]):
    """A block's columns, each read when it is first asked for."""

    def __init__(self, file: _File, number: int) -> None:
        self._file = file
        self._number = number

    def __missing__(self, name: str) -> Column:
        found = self[name] = self._file.block(name, self._number)
        return found


def _facts(source: Source) -> dict[str, Any]:
    """What a capture tells besides its packets."""
    return {
        "interfaces": source.interfaces,
        "names": source.names,
        "secrets": [(one.type, one.offset, len(one.data)) for one in source.secrets],
        "comments": list(source.comments.items()),
        "section_comments": source.section_comments,
        "statistics": source.interface_statistics,
        "damage": source.damage,
    }


def _restore(source: Source, facts: dict[str, Any]) -> None:
    interfaces = [Interface(*one) for one in facts["interfaces"]]
    secrets = [Secrets(type_, source.read(offset, size), offset) for type_, offset, size in facts["secrets"]]
    comments = {int(number): list(texts) for number, texts in facts["comments"]}
    damage = None if facts["damage"] is None else Damage(*facts["damage"])
    source.interfaces[:], source.secrets[:] = interfaces, secrets
    source.names, source.comments = dict(facts["names"]), comments
    source.section_comments[:], source.interface_statistics[:] = facts["section_comments"], facts["statistics"]
    source.damage = damage


def _program() -> str:
    """This program: its version, and when its youngest file was written, for one that is being worked on."""
    from inspector import __file__ as package

    newest = max((path.stat().st_mtime_ns for path in Path(package).parent.rglob("*.py")), default=0)
    return f"{__version__} {newest}"


def _folder() -> Path | None:
    """None where this user has no home, or, as root, where it would be somebody else's."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if not base.is_absolute():
        return None
    above = next(folder for folder in (base, *base.parents) if os.path.exists(folder))  # false too where it may not be seen
    return base / "osi-inspect" if os.geteuid() or above.stat().st_uid == 0 else None


def _path(known: list[Any]) -> Path:
    """A capture's place in the cache: by its devices and inodes, so that a changed file replaces what it was."""
    folder, places = _folder(), [one[:2] for one in known]
    if folder is None:
        raise OSError("no folder")
    return folder / f"{blake2b(json.dumps(places).encode(), digest_size=16).hexdigest()}.index"


def _make_room(own: Path) -> None:
    """Delete the indexes that were used longest ago, until the others fit; and what was never finished."""
    found = sorted(_ages(own.parent), reverse=True)
    room = MAX_CACHE
    for used, size, path in found:
        unfinished = path.suffix == ".new"
        if not unfinished:
            room -= size
        if path != own and (room < 0 if not unfinished else time.time() - used > ABANDONED):
            with suppress(OSError):
                path.unlink()


def _ages(folder: Path) -> Iterator[tuple[float, int, Path]]:
    for path in folder.iterdir():
        if path.suffix in (".index", ".new"):
            with suppress(OSError):
                state = path.stat()
                yield state.st_mtime, state.st_size, path
