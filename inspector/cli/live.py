"""`osi-inspect live`: capture on interfaces, and see it as it comes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.cli.common import DecodeAs, Keylog, Passing, Proto, decode_as, packet_line, passing
from inspector.core.errors import InspectError

if TYPE_CHECKING:
    from inspector.capture.client import Broker, Capture, Dumpcap
    from inspector.capture.options import Options
    from inspector.session import Session

POLL = 0.03  # seconds between looks at the file


def command(
    interfaces: Annotated[
        list[str] | None, typer.Option("-i", "--iface", metavar="NAME", help="Interface, or any; may be repeated.")
    ] = None,
    capture_filter: Annotated[str, typer.Option("-f", metavar="FILTER", help="Capture filter, such as 'tcp port 80'.")] = "",
    path: Annotated[str | None, typer.Option("-w", metavar="FILE", help="Write the packets to this file (pcapng).")] = None,
    count: Annotated[int, typer.Option("-c", metavar="N", min=0, help="Stop after N packets.")] = 0,
    until: Annotated[
        list[str] | None, typer.Option("-a", metavar="CONDITION", help="Stop at duration:S, filesize:KB, packets:N or files:N.")
    ] = None,
    ring: Annotated[
        list[str] | None,
        typer.Option("-b", metavar="CONDITION", help="A new file after filesize:KB, duration:S or packets:N; keep files:N."),
    ] = None,
    snap: Annotated[int, typer.Option("-s", metavar="BYTES", min=0, help="Bytes of each packet to keep; 0: all.")] = 0,
    buffer: Annotated[int, typer.Option("-B", metavar="MIB", min=1, help="Buffer in the kernel.")] = 32,
    no_promiscuous: Annotated[
        bool, typer.Option("-p", "--no-promiscuous", help="Only packets that are for this machine.")
    ] = False,
    dumpcap: Annotated[bool, typer.Option("--dumpcap", help="Let Wireshark's dumpcap do the capturing.")] = False,
    quiet: Annotated[bool, typer.Option("-q", help="Print no packets, only what was captured at the end.")] = False,
    shown: Passing = None,
    keylog: Keylog = None,
    rules: DecodeAs = None,
    proto: Proto = None,
) -> None:
    """Capture on interfaces and see the packets as they come."""
    from inspector.capture.client import Broker, Dumpcap, temporary_path
    from inspector.capture.options import MAX_SNAP, Options, conditions
    from inspector.capture.privileges import drop_all

    if not interfaces:
        raise InspectError("-i says where to capture; `osi-inspect interfaces` lists the interfaces")
    ends = conditions("-a", until or (), ("duration", "filesize", "packets", "files"))
    turns = conditions("-b", ring or (), ("filesize", "duration", "packets", "files"))
    if set(turns) == {"files"} or ("files" in ends and not turns):
        raise InspectError("-b files: a ring needs filesize:, duration: or packets: too, which say when the next file begins")
    if turns and path is None:
        raise InspectError("-b needs -w, which names the files")
    options = Options(
        tuple(dict.fromkeys(interfaces)),
        path or temporary_path(interfaces),
        capture_filter,
        snap=min(snap or MAX_SNAP, MAX_SNAP),
        buffer_mib=buffer,
        promiscuous=not no_promiscuous,
        stop_packets=min((int(n) for n in (count, ends.get("packets", 0)) if n), default=0),
        stop_seconds=ends.get("duration", 0),
        stop_bytes=int(ends.get("filesize", 0)),
        stop_files=int(ends.get("files", 0)),
        ring_bytes=int(turns.get("filesize", 0)),
        ring_seconds=turns.get("duration", 0),
        ring_packets=int(turns.get("packets", 0)),
        ring_files=int(turns.get("files", 0)),
        temporary=path is None,
    )
    with Dumpcap() if dumpcap else Broker() as capturer:
        if not dumpcap:
            drop_all()

        def opened(file: str) -> Session:
            from inspector.session import open_session

            return open_session(file, keylog=keylog, decode_as=decode_as(rules), proto=proto or (), growing=True)

        if sys.stdout.isatty() and not quiet:
            from inspector.tui.screens.live import run

            run(capturer.start(options), opened, capturer)
        else:
            Lines(capturer, options, opened, shown, quiet).run()


class Lines:
    """One line a packet, as it comes; flushed, so that a pipe has it at once."""

    def __init__(
        self,
        capturer: Broker | Dumpcap,
        options: Options,
        opened: Callable[[str], Session],
        shown: str | None,
        quiet: bool = False,
    ) -> None:
        """opened: the session on a file that grows; shown: the display filter that a packet must pass."""
        self._capturer, self._options, self._opened, self._shown = capturer, options, opened, shown
        self._quiet, self._stopping = quiet, False

    def run(self) -> None:
        """Until the capture ends; a signal ends it. Raises InspectError where something went wrong on the way."""
        with self._signals():
            capture = self._capturer.start(self._options)
            try:
                self._print(capture)
            finally:
                capture.stop()
                if self._options.temporary and not capture.troubles:
                    with suppress(OSError):
                        os.unlink(capture.path)
        packets = f"{capture.packets:,} packet{'s' * (capture.packets != 1)}"
        lost = f"{capture.dropped:,} dropped by the kernel, {capture.interface_dropped:,} by the interface"
        if capture.troubles:
            raise InspectError(f"{'; '.join(capture.troubles)}; the {packets} captured before are in {capture.path}")
        print(f"{packets} captured, {lost}", file=sys.stderr)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: object) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, stop) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _print(self, capture: Capture) -> None:
        while self._quiet and capture.running:
            if self._stopping:
                capture.stop()
            capture.wait(POLL)
        if self._quiet:
            return
        base = at = 0
        while True:
            while at + 1 < len(capture.paths) and not os.path.exists(capture.paths[at]):
                at += 1  # the ring has come round before this file was read
            session = self._opened(capture.paths[at])
            try:
                wanted = passing(session, self._shown)
                done = 0
                while True:
                    if self._stopping:
                        capture.stop()
                    last = not capture.running or at + 1 < len(capture.paths)
                    session.grow()
                    for number in range(done + 1, session.count + 1):
                        if wanted is None or wanted.accepts(session, number):
                            row = session.row(number)
                            print(packet_line(row._replace(number=base + number)))
                    if session.count > done:
                        sys.stdout.flush()
                    elif last:
                        break
                    else:
                        capture.wait(POLL)
                    done = session.count
                base += session.count
            finally:
                session.close()
            if at + 1 == len(capture.paths):
                return
            at += 1
