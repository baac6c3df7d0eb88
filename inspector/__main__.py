"""The command `osi-inspect`."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from io import TextIOWrapper
from typing import NoReturn

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what a disk, or a terminal that is gone, answers


def main() -> None:
    """Run the command line; `--version` is answered before anything heavy is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from inspector import __version__

        print(f"osi-inspect {__version__}")
        return
    # numpy's algebra library starts a thread and takes memory for every core; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A large capture makes millions of objects that stay: looking through them all for cycles, again and again, is a
    # quarter of the time.
    gc.set_threshold(100_000, 50, 50)
    from inspector.core.errors import InspectError

    if sys.stdout is None:  # it was closed
        if sys.stderr is not None:
            print("osi-inspect: standard output is closed; there is nowhere to print to", file=sys.stderr)
        sys.exit(2)
    if isinstance(sys.stdout, TextIOWrapper):  # what the terminal's encoding lacks is replaced
        sys.stdout.reconfigure(errors="replace")
    try:
        from inspector.cli import app

        status = app(sys.argv[1:])
        sys.stdout.flush()
    except InspectError as error:
        from inspector.core.text import printable  # the name of a file may be hostile too

        print("\n".join(map(printable, f"osi-inspect: {error}".split("\n"))), file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"osi-inspect: standard output cannot be written to: {error.strerror}", file=sys.stderr)
        status = 2
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process. Everything is closed and written: the system takes the memory back as it is, which is quicker by half
    a second than to take millions of objects apart one by one."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
