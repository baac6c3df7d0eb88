"""The broker: the one process that may open capture sockets. It captures nothing itself, and reads nothing that was captured.

It is started before the screen gives up root, keeps CAP_NET_RAW alone, opens sockets when the screen asks for a capture, and
hands them to a child that has no privilege at all. It ends with the screen.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from inspector.capture.capturing import Capturing
from inspector.capture.interfaces import link
from inspector.capture.options import Options
from inspector.capture.privileges import drop_all, keep_net_raw
from inspector.capture.ring import Ring
from inspector.capture.writer import DiskFull, Writer
from inspector.core.errors import InspectError

MESSAGE = 1 << 20  # bytes of a message at most
URGENCY = -10  # the capturing process goes before others where it may, so that a busy screen loses no packet


def main() -> None:
    """Serve the screen, whose socket is the descriptor that the first argument names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _wake)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENCY)
        with open("/proc/self/autogroup", "w") as group:  # sched(7): of another session only this is compared
            group.write(str(URGENCY))
    keep_net_raw()
    Broker(socket.socket(fileno=int(sys.argv[1]))).serve()


def _wake(number: int, frame: object) -> NoReturn:
    raise InterruptedError


class Broker:
    """Takes requests from the screen, one capture at a time."""

    def __init__(self, screen: socket.socket) -> None:
        self._screen = screen
        self._child = 0
        self._alive = -1  # a pipe that ends with the child

    def serve(self) -> None:
        """Until the screen goes, or a signal comes; then the capture ends its file."""
        screen = self._screen.fileno()
        try:
            while True:
                news, _, _ = select.select([screen, self._alive] if self._child else [screen], [], [])
                if self._alive in news:
                    self._reap()
                if screen in news:
                    data = self._screen.recv(MESSAGE)
                    if not data:
                        return
                    self._request(json.loads(data))
        except (InterruptedError, ConnectionError):
            pass
        finally:
            self._stop()

    def _request(self, request: dict[str, Any]) -> None:
        if request["request"] == "stop":
            self._stop()
        elif not self._child:
            try:
                self._start(Options.read(request["options"]))
            except (InspectError, OSError, DiskFull) as error:
                self._tell("refused", text=str(error), lacking=isinstance(error, PermissionError) and not error.filename)

    def _start(self, options: Options) -> None:
        links = [link(name) for name in options.interfaces]
        rings: list[Ring] = []
        try:
            for one, code in zip(links, options.filters, strict=True):
                if not one.up:
                    raise InspectError(f"-i {one.name}: the interface is down; `ip link set {one.name} up` brings it up")
                try:
                    rings.append(Ring(one, bytes.fromhex(code), options.buffer_mib, options.promiscuous))
                except OSError as error:
                    if error.errno == errno.ENOMEM:
                        raise InspectError(f"-B {options.buffer_mib}: the kernel has no memory for so large a buffer") from None
                    raise
            try:
                writer = Writer(options, links)
            except OSError as error:
                raise InspectError(f"{options.path}: cannot be written: {(error.strerror or str(error)).lower()}") from None
            self._fork(options, rings, writer)
        finally:
            for ring in rings:
                ring.close()

    def _fork(self, options: Options, rings: list[Ring], writer: Writer) -> None:
        lifeline, held = os.pipe()
        self._alive, kept = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.close(held)
                os.close(self._alive)
                drop_all()
                Capturing(options, rings, writer, self._screen, lifeline).run()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(lifeline)
        os.close(kept)
        self._held = held
        writer.forget()

    def _stop(self) -> None:
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)
            self._reap()

    def _reap(self) -> None:
        """The child has ended, or is about to."""
        if not self._child:
            return
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        os.close(self._alive)
        os.close(self._held)
        self._alive = -1
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        why = f"was killed (signal {killed})" if killed else "failed" if status else ""
        self._tell("gone", why=why and f"the capturing process {why}")

    def _tell(self, event: str, **values: Any) -> None:
        with suppress(OSError):
            self._screen.send(json.dumps({"event": event, **values}).encode())


if __name__ == "__main__":
    main()
