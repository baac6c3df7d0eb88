"""The screen's end of a capture: starts the broker, asks it for captures, and knows how they fare.

    with Broker() as broker:                    # first of all, while the program still has its privilege
        drop_all()
        capture = broker.start(options)         # sockets are open and the file has its header when it returns
        ...
        capture.stop()                          # the file is whole

`Dumpcap` has the same `start`, and lets dumpcap do the capturing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from inspector.capture.filters import compile_filter
from inspector.capture.interfaces import link
from inspector.capture.options import Options
from inspector.core.errors import InspectError

PATIENCE = 10.0  # seconds that a start or a stop may take
MESSAGE = 1 << 20
_DROPS = re.compile(r"received/dropped on interface .*: (\d+)/(\d+)")


class Capture:
    """A capture that runs, or has ended. Its numbers are the last that were told, a quarter of a second old at most.

    path: the file that grows (of a ring of files: the newest); paths: all of them, in order; received, dropped: by the
    kernel's count (received ones include dropped ones); interface_dropped: what the interfaces lost before that; troubles:
    sentences for the user; ended: why it ended, empty while it runs.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.path = options.path
        self.paths: list[str] = []
        self.packets = self.bytes = self.received = self.dropped = self.interface_dropped = 0
        self.troubles: list[str] = []
        self.ended = ""
        self._refused: tuple[str, bool] | None = None
        self._started, self._over = threading.Event(), threading.Event()

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; false where the time was over first."""
        return self._over.wait(seconds)

    def stop(self) -> None:
        """End it: when this returns, the file is whole."""
        raise NotImplementedError

    def heard(self, event: dict[str, Any]) -> None:
        """What the capture process says."""
        kind = event.pop("event")
        if kind in ("started", "file"):
            self.path = event["path"]
            self.paths.append(self.path)
            self._started.set()
        elif kind == "counts":
            for name, value in event.items():
                setattr(self, name, value)
        elif kind == "trouble":
            self.troubles.append(event["text"])
        elif kind == "refused":
            self._refused = event["text"], event["lacking"]
            self.end("it could not start")
        elif kind == "ended":
            self.ended = event["why"]
        elif kind == "gone":
            if event["why"] and not self.ended:
                self.troubles.append(event["why"])
            self.end(event["why"])

    def end(self, why: str) -> None:
        """Nothing more will be heard of it."""
        self.ended = self.ended or why or "stopped"
        self._over.set()
        self._started.set()

    def begin(self) -> None:
        """Wait until it has started. Raises InspectError where it cannot."""
        if not self._started.wait(PATIENCE):
            raise InspectError("the capture process does not answer")
        if self._refused is not None:
            text, lacking = self._refused
            raise InspectError(no_privilege() if lacking else text)
        if not self.paths:
            raise InspectError(f"the capture did not start: {self.ended}")


class Broker:
    """The broker's process. Make it before anything else, and before privileges are given up; it ends with this object."""

    def __init__(self) -> None:
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).resolve().parents[2])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from inspector.capture.broker import main; main()", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": root},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's signals are the screen's: it decides when a capture ends
            )
        self._socket = own
        self._capture: Capture | None = None
        self._reader = threading.Thread(target=self._listen, name="capture", daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, options: Options) -> Capture:
        """Begin a capture, when the one before has ended. Raises InspectError with one sentence for the user."""
        ready = prepared(options)
        if self._capture is not None:
            self._capture.stop()
        if not self._reader.is_alive():
            self._reader.start()
        self._capture = capture = _Brokered(options, self)
        self._send({"request": "start", "options": ready.text()})
        capture.begin()
        return capture

    def stop(self) -> None:
        """Ask for the end of the capture that runs."""
        self._send({"request": "stop"})

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(request).encode())
        except OSError:
            if self._capture is not None:
                self._capture.end("the capture process has gone")

    def _listen(self) -> None:
        with suppress(OSError):
            while data := self._socket.recv(MESSAGE):
                if self._capture is not None:
                    self._capture.heard(json.loads(data))
        capture = self._capture
        if capture is not None and capture.running:
            if not capture.ended:
                capture.troubles.append("the capture process has gone")
            capture.end("the capture process has gone")

    def close(self) -> None:
        """End the capture that runs, and the broker."""
        if self._capture is not None and self._capture.running:
            self._capture.stop()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        if self._reader.is_alive():
            self._reader.join(PATIENCE)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Brokered(Capture):
    def __init__(self, options: Options, broker: Broker) -> None:
        super().__init__(options)
        self._broker = broker

    def stop(self) -> None:
        if self.running:
            self._broker.stop()
            self._over.wait(PATIENCE)


class Dumpcap:
    """Captures by Wireshark's dumpcap, which may be allowed to capture where this program is not."""

    def __init__(self) -> None:
        """Raises InspectError where it is not installed."""
        found = shutil.which("dumpcap")
        if found is None:
            raise InspectError("--dumpcap: dumpcap is not installed; on Debian and Ubuntu: apt install wireshark-common")
        self._program = found
        self._capture: _Dumped | None = None

    def start(self, options: Options) -> Capture:
        """Begin a capture. Raises InspectError with dumpcap's own words."""
        self._capture = capture = _Dumped(options, [self._program, *_dumpcap_words(options)])
        capture.begin()
        return capture

    def close(self) -> None:
        """End the capture that runs."""
        if self._capture is not None:
            self._capture.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Dumped(Capture):
    """What dumpcap writes, and says on its standard error; it counts what was dropped at the end."""

    def __init__(self, options: Options, command: Sequence[str]) -> None:
        super().__init__(options)
        self._said: list[str] = []
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, name="dumpcap", daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.strip())
            if line.startswith("File: "):
                self._await(line[6:].strip())
            for received, dropped in _DROPS.findall(line):
                self.received += int(received)
                self.dropped += int(dropped)
            if (found := re.match(r"Packets captured: (\d+)", line)) is not None:
                self.packets = int(found[1])
        status = self._process.wait()
        if not self.paths:
            self._refused = f"dumpcap: {' '.join(line for line in self._said if line) or f'exit status {status}'}", False
        self.end("stopped" if status in (0, -signal.SIGINT, -signal.SIGTERM) else f"dumpcap ended with exit status {status}")

    def _await(self, path: str) -> None:
        """dumpcap names the file before its header is written."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError):
                if os.stat(path).st_size:
                    break
            time.sleep(0.01)
        self.heard({"event": "started", "path": path})

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._over.wait(PATIENCE)


def _dumpcap_words(options: Options) -> list[str]:
    words = ["-n", "-w", options.path, "-B", str(options.buffer_mib), "-s", str(options.snap)]
    for name in options.interfaces:
        words += ["-i", name, *(["-f", options.filter_text] if options.filter_text else [])]
    if not options.promiscuous:
        words.append("-p")
    if options.stop_packets:
        words += ["-c", str(options.stop_packets)]
    conditions = (
        ("-a", "duration", options.stop_seconds, 1), ("-a", "filesize", options.stop_bytes, 1000),
        ("-a", "files", options.stop_files, 1), ("-b", "duration", options.ring_seconds, 1),
        ("-b", "filesize", options.ring_bytes, 1000), ("-b", "packets", options.ring_packets, 1),
        ("-b", "files", options.ring_files, 1),
    )  # fmt: skip
    for option, name, value, unit in conditions:
        if value:
            words += [option, f"{name}:{value / unit:g}"]
    return words


def prepared(options: Options) -> Options:
    """With the filter compiled for each interface. Raises InspectError for a wrong filter or interface."""
    from dataclasses import replace

    links = [link(name) for name in options.interfaces]
    codes = [compile_filter(options.filter_text, one.link_type, options.snap, one.cooked) for one in links]
    return replace(options, filters=tuple(code.hex() for code in codes))


def temporary_path(interfaces: Sequence[str]) -> str:
    """Where a capture goes that was given no name."""
    moment, name = time.strftime("%Y%m%d%H%M%S"), re.sub(r"[^\w.-]", "_", "-".join(interfaces)[:40])
    return os.path.join(tempfile.gettempdir(), f"osi-inspect_{name}_{moment}_{os.urandom(3).hex()}.pcapng")


def no_privilege() -> str:
    """One sentence: what a user without privilege can do on this machine."""
    program = shutil.which("dumpcap")
    if program is not None and os.access(program, os.X_OK) and os.geteuid() != 0:
        return "capturing needs a privilege; run it with sudo, or let dumpcap capture: add --dumpcap"
    if os.path.exists("/usr/bin/dumpcap"):
        return "capturing needs a privilege; run it with sudo, or join the group wireshark, log in again, and add --dumpcap"
    return "capturing needs a privilege; run it with sudo"
