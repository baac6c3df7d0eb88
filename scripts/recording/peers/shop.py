"""The web service of the labs, which here is killed in the middle of an import, as the kernel does when memory runs out."""

from __future__ import annotations

import os
import signal

from inspector.capture.labs.shop import application


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


app = application(0.25, killed)
