"""TLS key logs (draft-ietf-tls-keylogfile; the format that NSS began): one secret a line, named by its label and its session.

They come from a file, which may grow while it is read, and from the secrets blocks of a pcapng file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from inspector.core.errors import InspectError

SESSION_ID = "RSA Session-ID"
# Label → the sizes that its secret may have. What names the session is the client random, but for the two kinds of RSA lines.
LABELS = {
    "CLIENT_RANDOM": (48,),
    "CLIENT_EARLY_TRAFFIC_SECRET": (32, 48),
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET": (32, 48),
    "SERVER_HANDSHAKE_TRAFFIC_SECRET": (32, 48),
    "CLIENT_TRAFFIC_SECRET_0": (32, 48),
    "SERVER_TRAFFIC_SECRET_0": (32, 48),
    "EARLY_EXPORTER_SECRET": (32, 48),
    "EARLY_EXPORTER": (32, 48),
    "EXPORTER_SECRET": (32, 48),
    "RSA": (48,),  # named by the first 8 bytes of the encrypted premaster secret
    SESSION_ID: (48,),  # named by the session id; the master secret
}
OLD = frozenset({"CLIENT_RANDOM", "RSA", SESSION_ID})
RANDOM = 32
TLS_KEY_LOG = 0x544C534B  # the type of a secrets block that holds a TLS key log (draft-ietf-opsawg-pcapng)
MAX_LINE = 4096  # a longer one holds no secret
_STEP = 1 << 20  # bytes read at a time


class KeyLog:
    """Secrets by label and session. `secrets` counts them, `damaged` the lines that could not be read.

    path: a file that may grow or not exist yet; blocks: gives the key logs that the capture holds, as far as it has been read.
    """

    def __init__(self, path: str | None = None, blocks: Callable[[], Sequence[bytes]] = lambda: ()) -> None:
        self.path = path
        self._blocks = blocks
        self._secrets: dict[tuple[str, bytes], bytes] = {}
        self._names: set[bytes] = set()
        self.resumable = False  # it has secrets of TLS 1.2 and before, whose sessions another handshake can resume
        self._used = 0  # blocks
        self._at = 0  # bytes of the file
        self._seen: tuple[int, int, int] | None = None
        self._tail = 0  # damaged lines in the file's unfinished last line
        self._damaged = 0
        self.refresh()

    @property
    def secrets(self) -> int:
        return len(self._secrets)

    @property
    def sessions(self) -> int:
        """How many sessions the secrets belong to."""
        return len(self._names)

    def names(self, session: bytes) -> bool:
        """There is a secret of this session."""
        return session in self._names

    @property
    def damaged(self) -> int:
        return self._damaged + self._tail

    def find(self, label: str, name: bytes) -> bytes | None:
        """The secret; where it is not there, what was added meanwhile is read first."""
        found = self._secrets.get((label, name))
        if found is None and self.refresh():
            found = self._secrets.get((label, name))
        return found

    def refresh(self) -> bool:
        """Read what was added since; true where that brought a secret."""
        before = len(self._secrets)
        blocks = self._blocks()
        for block in blocks[self._used :]:
            for line in block.split(b"\n"):
                self._damaged += not self._line(line)
        self._used = len(blocks)
        if self.path is not None:
            self._follow(self.path)
        return len(self._secrets) > before

    def _follow(self, path: str) -> None:
        try:
            state = os.stat(path)
            now = (state.st_ino, state.st_size, state.st_mtime_ns)
            if now == self._seen:
                return
            if state.st_size < self._at or (self._seen is not None and state.st_ino != self._seen[0]):
                self._at = 0  # another file in its place
            self._seen = now
            with open(path, "rb") as file:
                file.seek(self._at)
                self._read(file.read)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InspectError(f"--keylog {path}: {error.strerror or error}") from None

    def _read(self, read: Callable[[int], bytes]) -> None:
        rest = b""
        self._tail = 0
        while part := read(_STEP):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._at += len(line) + 1
                self._damaged += not self._line(line)
            if len(rest) > MAX_LINE:  # no line of a key log
                self._at += len(rest) - MAX_LINE
                rest = rest[-MAX_LINE:]
        self._tail = int(not self._line(rest))  # the writer may not have finished it: it is read again later

    def _line(self, line: bytes) -> bool:
        """Take the secret of a line; false where the line is damaged. Comments, empty lines and other labels are none."""
        words = line.decode("latin-1").split()
        if not words or words[0].startswith("#"):
            return True
        try:
            if words[0] == "RSA" and len(words) == 3 and words[1].startswith("Session-ID:"):
                label, name, secret = SESSION_ID, words[1].partition(":")[2], words[2].removeprefix("Master-Key:")
            else:
                label, name, secret = words
            named, value = bytes.fromhex(name), bytes.fromhex(secret)
        except ValueError:
            return False
        fits = LABELS.get(label)
        if fits is None:
            return True
        if len(value) not in fits or (label not in ("RSA", SESSION_ID) and len(named) != RANDOM) or not named:
            return False
        self._secrets[label, named] = value
        self._names.add(named)
        self.resumable = self.resumable or label in OLD
        return True
