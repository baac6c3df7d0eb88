"""Starts a lab's server and client, and ends both whatever happens: also when the one who started them is killed."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from inspector.capture.command import empty_keylog, private_folder
from inspector.capture.labs import EXTRA, Lab
from inspector.core.errors import InspectError

HOST = "127.0.0.1"
STOP_SECONDS = 3.0  # between closing a process's input and killing it
PACKAGE = Path(__file__).resolve().parents[3]  # so that a child finds this very code


def require_extra() -> None:
    """Raises InspectError where the packages of the extra are not installed."""
    absent = [name for name in (*EXTRA, "cryptography") if importlib.util.find_spec(name) is None]
    if absent:
        raise InspectError(f"a lab needs the extra lab ({', '.join(absent)}): pip install 'osi-inspect[lab]'")


class Running:
    """A lab: listening as soon as it is made, so that its port is known; talking from `start` to the end of the `with` block.

    keylog: the client's TLS key log, where `tls`.
    """

    def __init__(self, lab: Lab, rate: float, tls: bool) -> None:
        self.lab = lab
        self._beat = 1 / rate
        self._stack = ExitStack()
        self.folder = self._stack.enter_context(private_folder("lab"))
        self.keylog = empty_keylog(self.folder) if tls else None
        self._socket = self._stack.enter_context(socket.create_server((HOST, 0)))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else HOST}:{self.port}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._stack.close()

    def start(self) -> None:
        """Let the two talk."""
        served: list[str] = []
        trusted: list[str] = []
        if self.keylog is not None:
            from inspector.capture.labs import certificates

            files = certificates.self_signed(self.folder, "localhost")
            served, trusted = [str(files.chain), str(files.key)], [str(files.root)]
        descriptor = self._socket.fileno()
        self._spawn("server", str(descriptor), str(self._beat), *served, keep=(descriptor,))
        self._spawn("client", self.lab.name, self.url, str(self._beat), *trusted)

    def _spawn(self, module: str, *words: str, keep: tuple[int, ...] = ()) -> None:
        env = {name: value for name, value in os.environ.items() if name not in ("SSLKEYLOGFILE", "SSL_CERT_FILE")}
        path = [str(PACKAGE), *filter(None, [env.get("PYTHONPATH")])]
        env |= {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
        if self.keylog is not None and module == "client":
            env["SSLKEYLOGFILE"] = str(self.keylog)
        with (self.folder / f"{module}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"inspector.capture.labs.{module}", *words],
                stdin=subprocess.PIPE, stdout=log, stderr=log, env=env, pass_fds=keep, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)

    @property
    def failure(self) -> str:
        """What a process that has ended by itself said last; "" while both run."""
        for name, process in zip(("server", "client"), self._processes, strict=False):
            if process.poll() is not None:
                lines = (self.folder / f"{name}.log").read_text(errors="replace").split("\n")
                said = [line for line in lines if line.strip()]
                return f"the lab's {name} has ended: {said[-1] if said else f'status {process.returncode}'}"
        return ""

    def stop(self) -> None:
        """End the client, then the server: by the end of their input, and by force where that does not help."""
        while self._processes:
            process = self._processes.pop()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
