"""Records what one command sends and receives: into one file, with its TLS keys, and without the rest of the machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from inspector.capture.client import Broker
from inspector.capture.command import NOT_EXECUTABLE, NOT_FOUND, Command, empty_keylog, private_folder
from inspector.capture.family import Family, adopt_orphans
from inspector.capture.interfaces import links
from inspector.capture.options import Options
from inspector.capture.ownership import Owners, Proof, write
from inspector.capture.privileges import become_user, drop_all
from inspector.core.errors import InspectError

LAST_PACKETS = 0.3  # seconds until the last acknowledgements are through


class Recorded(NamedTuple):
    """status: the command's; packets: in the file; says: what the user should know, a sentence each."""

    status: int
    path: str
    packets: int
    says: list[str]


class NotStarted(Exception):
    """The command cannot be run; status: what a shell would give."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def record(words: Sequence[str], interfaces: Sequence[str] = (), path: str = "", everything: bool = False) -> Recorded:
    """Run a command and write what belongs to it.

    interfaces: all that are up where none is given; path: of the file, a new one in a folder of its own where it is empty;
    everything: keep the packets of the whole machine. Raises InspectError where nothing can be captured, NotStarted.
    """
    with Broker() as broker:
        become_user()  # whom the command runs as. Root itself keeps its rights: it must see what the command holds open
        if path:
            _writable(path)  # before the command has done its work, which cannot always be done twice
        adopt_orphans()
        with private_folder("record") as folder:
            keylog = empty_keylog(folder)
            raw = folder / "raw.pcapng"
            capture = broker.start(Options(tuple(interfaces) or _all(), str(raw), temporary=True))
            family = Family()
            family.start()
            begun = time.time_ns()
            try:
                with _started(words, keylog) as command:
                    status = command.wait()
                    ended = time.time_ns()
                    time.sleep(LAST_PACKETS)
                    if family.alive:  # somebody whom the command has left behind
                        ended = time.time_ns()
            finally:
                family.stop()
                capture.stop()
            drop_all()  # what comes now reads what others have sent
            path = path or str(Path(tempfile.mkdtemp(prefix="osi-inspect-")) / f"{command.name}.pcapng")  # its owner's alone
            packets, says = _keep(command, status, family, (begun, ended), (raw, keylog), path, everything)
    if capture.dropped:
        says.append(f"{capture.dropped:,} packets were lost: the capture could not keep up")
    return Recorded(status, path, packets, [*capture.troubles, *says])


def _writable(path: str) -> None:
    """Raises InspectError where a file cannot be written there."""
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise InspectError(f"-w {path}: a directory; name a file in it")
    if not os.path.isdir(folder):
        raise InspectError(f"-w {path}: there is no directory {folder}")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise InspectError(f"-w {path}: you may not write there")


def _all() -> tuple[str, ...]:
    """The interfaces that are up, but for those whose packets another one shows too (the ports of a bridge or a bond)."""
    return tuple(
        link.name for link in links() if link.index and link.up and not Path(f"/sys/class/net/{link.name}/master").exists()
    )


def _started(words: Sequence[str], keylog: Path) -> Command:
    try:
        return Command(words, keylog)
    except FileNotFoundError:
        raise NotStarted(f"{words[0]}: no such command", NOT_FOUND) from None
    except OSError as error:
        raise NotStarted(f"{words[0]}: cannot be run: {(error.strerror or str(error)).lower()}", NOT_EXECUTABLE) from None


def _keep(
    command: Command,
    status: int,
    family: Family,
    lived: tuple[int, int],
    files: tuple[Path, Path],
    path: str,
    everything: bool,
) -> tuple[int, list[str]]:
    from inspector.session import open_session

    raw, keylog = files
    session = open_session(str(raw), keylog=str(keylog))
    try:
        owners = Owners(session, family, lived)
        about = f"The traffic of {command.name} (process {command.pid}), which ended with status {status}; osi-inspect record"
        packets = write(session, owners, path, keylog.read_bytes(), about, everything)
        proofs = [owner.proof for owner in owners.of]
        says = [
            f"{name or 'a child of ' + command.name} spoke TLS and wrote no key: it does not seem to honour SSLKEYLOGFILE"
            for name in owners.keyless()
        ]
    finally:
        session.close()
    if family.failure:
        says.append(f"the sockets of the command could not be seen ({family.failure}): most owners are not proven")
    if unproven := proofs.count(Proof.NONE):
        says.append(f"conversations that are kept although their owner is not proven: {unproven}; their first packets say so")
    if (others := proofs.count(Proof.OTHER)) and not everything:
        says.append(f"conversations of other programs, which are left out: {others}; --all keeps them")
    return packets, says
