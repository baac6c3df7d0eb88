"""Writing files safely: beside the place and then into it, so that nobody ever sees half a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from inspector.core.errors import InspectError


@contextmanager
def written(path: str, private: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once all of it is written; after an error nothing has changed.

    private: readable by its owner alone (0600), as for a file that holds keys. Raises InspectError in words for the user.
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = ""
    try:
        if os.path.isdir(path):
            raise InspectError(f"{path}: is a directory")
        fd, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)  # made new, 0600, never through a link
        with os.fdopen(fd, "wb") as file:
            yield file
            if not private:
                os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = ""
    except OSError as error:
        raise InspectError(f"{path}: {error.strerror or error}") from None
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
