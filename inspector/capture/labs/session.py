"""A lab that is captured as it runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from inspector.capture.client import Broker, Capture
from inspector.capture.labs import Lab
from inspector.capture.labs.running import Running
from inspector.capture.options import Options
from inspector.capture.privileges import drop_all

LAST_PACKETS = 0.2  # seconds until the last acknowledgements are through
POLL = 0.1


class Captured(NamedTuple):
    """A lab and its capture."""

    running: Running
    capture: Capture

    def wait(self, seconds: float | None) -> str:
        """Let it run for `seconds` from its first packet, for ever where that is None; returns early, saying why, where it
        cannot go on."""
        end: float | None = None
        while end is None or time.monotonic() < end:
            if trouble := self.running.failure or "; ".join(self.capture.troubles):
                return trouble
            if end is None and seconds is not None and self.capture.packets:
                end = time.monotonic() + seconds
            time.sleep(POLL if end is None else min(POLL, max(end - time.monotonic(), 0)))
        return ""

    def stop(self) -> None:
        """End the two that talk, and then the capture, which has their farewell."""
        self.running.stop()
        time.sleep(LAST_PACKETS)
        self.capture.stop()


@contextmanager
def captured(lab: Lab, rate: float, tls: bool) -> Iterator[Captured]:
    """Start a lab, captured from its first packet; in the end nothing of it runs. Raises InspectError."""
    with Broker() as broker:
        drop_all()
        with Running(lab, rate, tls) as running:
            options = Options(("lo",), str(running.folder / "lab.pcapng"), f"tcp port {running.port}", temporary=True)
            both = Captured(running, broker.start(options))
            try:
                running.start()
                yield both
            finally:
                both.stop()


def keep(done: Captured, path: str) -> None:
    """Copy what was captured to `path`, the keys before the first packet. Raises InspectError."""
    from inspector.export import pcapng
    from inspector.export.files import written
    from inspector.secrets.keylog import TLS_KEY_LOG
    from inspector.session import open_session

    keylog: Path | None = done.running.keylog
    if keylog is None:
        with written(path) as file, open(done.capture.path, "rb") as source:
            shutil.copyfileobj(source, file)
        return
    session = open_session(done.capture.path)
    try:
        extras = pcapng.Extras({}, [(TLS_KEY_LOG, keylog.read_bytes())], {}, [f"The lab {done.running.lab.name}"])
        numbers = range(1, session.count + 1)
        pcapng.write(path, session.interfaces, map(session.packet, numbers), extras)
    finally:
        session.close()
